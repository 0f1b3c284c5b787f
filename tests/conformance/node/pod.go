package main

import (
	"fmt"
	"log"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	v1 "k8s.io/api/core/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// pod is a Pod of this node, from its binding to its end.
type pod struct {
	node    *node
	object  *v1.Pod
	network podNetwork
	started meta.Time
	volumes map[string]string

	// Closed when the object is deleted; then grace is set.
	deleted  chan struct{}
	deletion sync.Once
	grace    time.Duration

	init       []*container
	containers []*container

	// Guards what the status tells: the phase, and the states of containers.
	lock  sync.Mutex
	phase v1.PodPhase
	// Has one element when the status has changed since it was written last.
	changed chan struct{}
}

func newPod(n *node, object *v1.Pod, number int) *pod {
	p := &pod{
		node:    n,
		object:  object,
		network: networkOf(number),
		started: meta.Now(),
		volumes: map[string]string{},
		deleted: make(chan struct{}),
		phase:   v1.PodPending,
		changed: make(chan struct{}, 1),
	}
	for i := range object.Spec.InitContainers {
		p.init = append(p.init, &container{pod: p, spec: &object.Spec.InitContainers[i]})
	}
	for i := range object.Spec.Containers {
		p.containers = append(p.containers, &container{pod: p, spec: &object.Spec.Containers[i]})
	}
	return p
}

func (p *pod) String() string {
	return p.object.Namespace + "/" + p.object.Name
}

func (p *pod) directory() string {
	return filepath.Join(p.node.directory, string(p.object.UID))
}

// delete begins the end of the Pod. A later one with less grace has no effect: none of the tests needs it.
func (p *pod) delete(grace time.Duration) {
	p.deletion.Do(func() {
		p.grace = grace
		close(p.deleted)
	})
}

// live runs the containers of the Pod until its end, and then deletes its object.
func (p *pod) live() {
	end := make(chan struct{})
	reported := make(chan struct{})
	go func() {
		p.reportUntil(end)
		close(reported)
	}()
	if p.prepare() {
		p.runAll()
	}
	// A Pod that has ended by itself stays, so that others see how.
	<-p.deleted
	close(end)
	<-reported
	if err := p.network.remove(); err != nil {
		log.Printf("%s: %s", p, err)
	}
	if err := os.RemoveAll(p.directory()); err != nil {
		log.Printf("%s: %s", p, err)
	}
	p.node.forget(p)
}

// prepare makes the network and the volumes. False: the Pod was deleted before they were there.
func (p *pod) prepare() bool {
	select {
	case <-p.deleted:
		return false
	default:
	}
	if err := p.network.create(p.object); err != nil {
		log.Printf("%s: network: %s", p, err)
		return false
	}
	p.report()
	for i := range p.object.Spec.Volumes {
		volume := &p.object.Spec.Volumes[i]
		directory := filepath.Join(p.directory(), "volumes", volume.Name)
		// What it is made from may not exist yet.
		if !p.until("volume "+volume.Name, func() error { return p.fill(directory, volume) }) {
			return false
		}
		p.volumes[volume.Name] = directory
	}
	return true
}

// runAll runs the init containers in turn and then the others together, and returns when all have ended for good.
func (p *pod) runAll() {
	for _, one := range p.init {
		one.run()
		if code, ended := one.exitCode(); !ended || code != 0 {
			p.become(v1.PodFailed)
			return
		}
	}
	p.become(v1.PodRunning)
	var all sync.WaitGroup
	for _, one := range p.containers {
		all.Go(one.run)
	}
	all.Wait()
	phase := v1.PodSucceeded
	for _, one := range p.containers {
		if code, ended := one.exitCode(); !ended || code != 0 {
			phase = v1.PodFailed
		}
	}
	p.become(phase)
}

func (p *pod) become(phase v1.PodPhase) {
	p.lock.Lock()
	p.phase = phase
	p.lock.Unlock()
	p.report()
}

// until repeats an attempt ten times a second until it succeeds or its Pod is to stop, and logs its first error.
func (p *pod) until(what string, attempt func() error) bool {
	for logged := false; ; {
		err := attempt()
		if err == nil {
			return true
		}
		if !logged {
			log.Printf("%s: %s: %s", p, what, err)
			logged = true
		}
		select {
		case <-p.deleted:
			return false
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// field is the value of a field that the downward API offers.
func (p *pod) field(path string) (string, error) {
	object := p.object
	if key, found := strings.CutPrefix(path, "metadata.labels['"); found {
		return object.Labels[strings.TrimSuffix(key, "']")], nil
	}
	if key, found := strings.CutPrefix(path, "metadata.annotations['"); found {
		return object.Annotations[strings.TrimSuffix(key, "']")], nil
	}
	switch path {
	case "metadata.name":
		return object.Name, nil
	case "metadata.namespace":
		return object.Namespace, nil
	case "metadata.uid":
		return string(object.UID), nil
	case "spec.nodeName":
		return object.Spec.NodeName, nil
	case "spec.serviceAccountName":
		return object.Spec.ServiceAccountName, nil
	case "status.podIP", "status.podIPs":
		return p.network.address, nil
	case "status.hostIP", "status.hostIPs":
		return p.node.address, nil
	}
	return "", fmt.Errorf("the field %s is not supported", path)
}
