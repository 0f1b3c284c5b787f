package main

import (
	"context"
	"fmt"
	"log"
	"runtime"
	"sync"
	"time"

	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"
)

const nodeName = "node"

// logPort is the port of the kubelet's own server, of which only the logs are there.
const logPort = 10250

// node runs the Pods that are bound to it.
type node struct {
	client    kubernetes.Interface
	address   string
	directory string
	logs      string
	programs  map[string][]string

	lock sync.Mutex
	// Those that exist, by UID: a Pod of a StatefulSet has the name of its predecessor.
	pods    map[string]*pod
	started int
}

// register creates the Node, ready. It reports only once: the controllers are told to wait long for the next time.
func (n *node) register() error {
	ctx := context.Background()
	object := &v1.Node{ObjectMeta: meta.ObjectMeta{Name: nodeName, Labels: map[string]string{
		v1.LabelHostname:     nodeName,
		v1.LabelOSStable:     runtime.GOOS,
		v1.LabelArchStable:   runtime.GOARCH,
		v1.LabelTopologyZone: "zone",
	}}}
	made, err := n.client.CoreV1().Nodes().Create(ctx, object, meta.CreateOptions{})
	if err != nil {
		return fmt.Errorf("creating the Node: %w", err)
	}
	capacity := v1.ResourceList{
		v1.ResourceCPU:              resource.MustParse("64"),
		v1.ResourceMemory:           resource.MustParse("64Gi"),
		v1.ResourceEphemeralStorage: resource.MustParse("64Gi"),
		v1.ResourcePods:             resource.MustParse("1000"),
	}
	made.Status = v1.NodeStatus{
		Capacity:    capacity,
		Allocatable: capacity,
		Addresses:   []v1.NodeAddress{{Type: v1.NodeInternalIP, Address: n.address}},
		Conditions: []v1.NodeCondition{{
			Type: v1.NodeReady, Status: v1.ConditionTrue, Reason: "KubeletReady", LastHeartbeatTime: meta.Now(), LastTransitionTime: meta.Now(),
		}},
		DaemonEndpoints: v1.NodeDaemonEndpoints{KubeletEndpoint: v1.DaemonEndpoint{Port: logPort}},
		NodeInfo:        v1.NodeSystemInfo{OperatingSystem: runtime.GOOS, Architecture: runtime.GOARCH, KubeletVersion: "v1.36.3"},
	}
	_, err = n.client.CoreV1().Nodes().UpdateStatus(ctx, made, meta.UpdateOptions{})
	if err != nil {
		return fmt.Errorf("writing the status of the Node: %w", err)
	}
	return nil
}

// watch starts to run the Pods of the node, and returns.
func (n *node) watch() error {
	mine := informers.WithTweakListOptions(func(options *meta.ListOptions) {
		options.FieldSelector = fields.OneTermEqualSelector("spec.nodeName", nodeName).String()
	})
	factory := informers.NewSharedInformerFactoryWithOptions(n.client, 0, mine)
	_, err := factory.Core().V1().Pods().Informer().AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    func(object any) { n.update(object.(*v1.Pod)) },
		UpdateFunc: func(_, object any) { n.update(object.(*v1.Pod)) },
		DeleteFunc: func(object any) {
			if last, ok := object.(cache.DeletedFinalStateUnknown); ok {
				object = last.Obj
			}
			n.remove(object.(*v1.Pod))
		},
	})
	factory.Start(nil)
	return err
}

func (n *node) update(object *v1.Pod) {
	n.lock.Lock()
	defer n.lock.Unlock()
	p := n.pods[string(object.UID)]
	if p == nil {
		n.started++
		p = newPod(n, object, n.started)
		n.pods[string(object.UID)] = p
		go p.live()
	}
	if object.DeletionGracePeriodSeconds != nil {
		p.delete(time.Duration(*object.DeletionGracePeriodSeconds) * time.Second)
	}
}

// remove stops a Pod whose object is gone already, as after a forced deletion.
func (n *node) remove(object *v1.Pod) {
	n.lock.Lock()
	defer n.lock.Unlock()
	if p := n.pods[string(object.UID)]; p != nil {
		p.delete(0)
		delete(n.pods, string(object.UID))
	}
}

// forget deletes the object of a Pod all of whose containers have ended.
func (n *node) forget(p *pod) {
	now := int64(0)
	options := meta.DeleteOptions{GracePeriodSeconds: &now, Preconditions: &meta.Preconditions{UID: &p.object.UID}}
	for {
		err := n.client.CoreV1().Pods(p.object.Namespace).Delete(context.Background(), p.object.Name, options)
		if err == nil || errors.IsNotFound(err) || errors.IsConflict(err) {
			return
		}
		log.Printf("%s: deleting it: %s", p, err)
		time.Sleep(time.Second)
	}
}
