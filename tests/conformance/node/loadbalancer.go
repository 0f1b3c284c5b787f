package main

import (
	"context"
	"fmt"
	"log"
	"net/netip"
	"slices"
	"sync"

	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/errors"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/util/retry"
)

// balancers gives each Service of type LoadBalancer an address. kube-proxy then sends its traffic to the endpoints.
type balancers struct {
	client    kubernetes.Interface
	automatic netip.Prefix
	requested netip.Prefix

	lock sync.Mutex
	// UIDs of the Services by their address.
	owners map[netip.Addr]string
	// The address given last. They go round, so that one is not used again while something may still know its former owner.
	last netip.Addr
}

// watch starts to serve all Services, and returns.
func (b *balancers) watch() error {
	factory := informers.NewSharedInformerFactory(b.client, 0)
	_, err := factory.Core().V1().Services().Informer().AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    func(object any) { b.update(object.(*v1.Service)) },
		UpdateFunc: func(_, object any) { b.update(object.(*v1.Service)) },
		DeleteFunc: func(object any) {
			if last, ok := object.(cache.DeletedFinalStateUnknown); ok {
				object = last.Obj
			}
			b.release(string(object.(*v1.Service).UID))
			// One that waits for this address gets it when it is next seen; cloud providers do not promise more.
		},
	})
	factory.Start(nil)
	return err
}

func (b *balancers) update(service *v1.Service) {
	var wanted []v1.LoadBalancerIngress
	if service.Spec.Type == v1.ServiceTypeLoadBalancer && service.Spec.LoadBalancerClass == nil {
		address, err := b.assign(string(service.UID), service.Spec.LoadBalancerIP)
		if err != nil {
			log.Printf("%s/%s: no load balancer: %s", service.Namespace, service.Name, err)
		} else {
			mode := v1.LoadBalancerIPModeVIP
			wanted = []v1.LoadBalancerIngress{{IP: address.String(), IPMode: &mode}}
		}
	} else {
		b.release(string(service.UID))
	}
	if same(service.Status.LoadBalancer.Ingress, wanted) {
		return
	}
	services := b.client.CoreV1().Services(service.Namespace)
	err := retry.RetryOnConflict(retry.DefaultRetry, func() error {
		current, err := services.Get(context.Background(), service.Name, meta.GetOptions{})
		if err != nil || current.UID != service.UID {
			return err
		}
		current.Status.LoadBalancer.Ingress = wanted
		_, err = services.UpdateStatus(context.Background(), current, meta.UpdateOptions{})
		return err
	})
	if err != nil && !errors.IsNotFound(err) {
		log.Printf("%s/%s: status: %s", service.Namespace, service.Name, err)
	}
}

// assign finds the address of a Service: the one that it asks for, the one that it has, or a free one.
func (b *balancers) assign(uid, requested string) (netip.Addr, error) {
	b.lock.Lock()
	defer b.lock.Unlock()
	if requested != "" {
		address, err := netip.ParseAddr(requested)
		if err != nil {
			return address, err
		}
		if !b.requested.Contains(address) && !b.automatic.Contains(address) {
			return address, fmt.Errorf("%s is not an address of load balancers", address)
		}
		if owner := b.owners[address]; owner != "" && owner != uid {
			return address, fmt.Errorf("%s is in use", address)
		}
		b.releaseLocked(uid)
		b.owners[address] = uid
		return address, nil
	}
	for address, owner := range b.owners {
		if owner == uid {
			return address, nil
		}
	}
	if !b.last.IsValid() {
		b.last = b.automatic.Addr()
	}
	for range 1 << (b.automatic.Addr().BitLen() - b.automatic.Bits()) {
		if b.last = b.last.Next(); !b.automatic.Contains(b.last) {
			b.last = b.automatic.Addr()
		}
		if b.owners[b.last] == "" {
			b.owners[b.last] = uid
			return b.last, nil
		}
	}
	return b.last, fmt.Errorf("all addresses of load balancers are in use")
}

func (b *balancers) release(uid string) {
	b.lock.Lock()
	defer b.lock.Unlock()
	b.releaseLocked(uid)
}

func (b *balancers) releaseLocked(uid string) {
	for address, owner := range b.owners {
		if owner == uid {
			delete(b.owners, address)
		}
	}
}

func same(one, other []v1.LoadBalancerIngress) bool {
	return slices.EqualFunc(one, other, func(a, b v1.LoadBalancerIngress) bool { return a.IP == b.IP })
}
