package main

import (
	"crypto/tls"
	"fmt"
	"log"
	"net"
	"net/http"
	"time"

	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// probe does the probes of a container until its program ends: first the startup probe, then the others.
func (c *container) probe(ended chan struct{}) {
	if c.spec.StartupProbe != nil {
		passed := c.observe(c.spec.StartupProbe, ended, func(success bool) bool {
			if !success {
				c.fail("startup", ended)
			}
			return true
		})
		if !passed {
			return
		}
		c.set(func() {
			c.startup = c.process != nil
			c.readiness = c.startup && c.spec.ReadinessProbe == nil
		})
	}
	if c.spec.LivenessProbe != nil {
		go c.observe(c.spec.LivenessProbe, ended, func(success bool) bool {
			if !success {
				c.fail("liveness", ended)
			}
			return !success
		})
	}
	if c.spec.ReadinessProbe != nil {
		c.observe(c.spec.ReadinessProbe, ended, func(success bool) bool {
			c.set(func() { c.readiness = success && c.process != nil })
			return false
		})
	}
}

// observe repeats a probe and tells each result that its thresholds confirm, until the receiver says that it is enough; then it
// returns that result. False also: the program has ended.
func (c *container) observe(probe *v1.Probe, ended chan struct{}, tell func(success bool) (enough bool)) bool {
	client := &http.Client{
		Timeout: time.Duration(probe.TimeoutSeconds) * time.Second,
		// As the kubelet: certificates are not verified, and connections not used again.
		Transport:     &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	wait := time.Duration(probe.InitialDelaySeconds) * time.Second
	var successes, failures int32
	for {
		select {
		case <-ended:
			return false
		case <-time.After(wait):
		}
		wait = time.Duration(probe.PeriodSeconds) * time.Second
		if c.try(client, probe) == nil {
			successes, failures = successes+1, 0
		} else {
			successes, failures = 0, failures+1
		}
		success := successes >= probe.SuccessThreshold
		if (success || failures >= probe.FailureThreshold) && tell(success) {
			return success
		}
	}
}

func (c *container) try(client *http.Client, probe *v1.Probe) error {
	if get := probe.HTTPGet; get != nil {
		scheme := "http"
		if get.Scheme == v1.URISchemeHTTPS {
			scheme = "https"
		}
		request, err := http.NewRequest(http.MethodGet, fmt.Sprintf("%s://%s%s", scheme, c.at(get.Port), get.Path), nil)
		if err != nil {
			return err
		}
		request.Header.Set("User-Agent", "kube-probe/1.36")
		response, err := client.Do(request)
		if err != nil {
			return err
		}
		response.Body.Close()
		if response.StatusCode < 200 || response.StatusCode >= 400 {
			return fmt.Errorf("status %d", response.StatusCode)
		}
		return nil
	}
	if socket := probe.TCPSocket; socket != nil {
		connection, err := net.DialTimeout("tcp", c.at(socket.Port), client.Timeout)
		if err != nil {
			return err
		}
		return connection.Close()
	}
	return fmt.Errorf("its kind is not supported")
}

// at is the address of a port of the container, given by number or name.
func (c *container) at(port intstr.IntOrString) string {
	number := port.IntVal
	for _, one := range c.spec.Ports {
		if port.Type == intstr.String && one.Name == port.StrVal {
			number = one.ContainerPort
		}
	}
	return net.JoinHostPort(c.pod.network.address, fmt.Sprint(number))
}

// fail ends the program because of a probe; it is then started again.
func (c *container) fail(probe string, ended chan struct{}) {
	log.Printf("%s: %s: the %s probe failed", c.pod, c.spec.Name, probe)
	go c.stop(ended, time.Duration(*c.pod.object.Spec.TerminationGracePeriodSeconds)*time.Second)
}
