package main

import (
	"context"
	"encoding/json"
	"log"
	"reflect"
	"time"

	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/errors"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// report says that the status has changed.
func (p *pod) report() {
	select {
	case p.changed <- struct{}{}:
	default:
	}
}

// reportUntil writes the status each time that it changes, and a last time at the end.
func (p *pod) reportUntil(end chan struct{}) {
	var written *v1.PodStatus
	for last := false; !last; {
		select {
		case <-end:
			last = true
		case <-p.changed:
		}
		for {
			status := p.status(written)
			if reflect.DeepEqual(status, written) {
				break
			}
			err := p.write(status)
			if err == nil || errors.IsNotFound(err) || errors.IsConflict(err) {
				written = status
				break
			}
			// The API server may be restarting.
			log.Printf("%s: writing its status: %s", p, err)
			time.Sleep(time.Second)
		}
	}
}

func (p *pod) write(status *v1.PodStatus) error {
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{"uid": p.object.UID}, "status": status})
	if err != nil {
		return err
	}
	pods := p.node.client.CoreV1().Pods(p.object.Namespace)
	_, err = pods.Patch(context.Background(), p.object.Name, types.StrategicMergePatchType, patch, meta.PatchOptions{}, "status")
	return err
}

// status is the current status; times of conditions that do not change are those of the last one.
func (p *pod) status(last *v1.PodStatus) *v1.PodStatus {
	p.lock.Lock()
	defer p.lock.Unlock()
	status := &v1.PodStatus{
		Phase:     p.phase,
		HostIP:    p.node.address,
		HostIPs:   []v1.HostIP{{IP: p.node.address}},
		PodIP:     p.network.address,
		PodIPs:    []v1.PodIP{{IP: p.network.address}},
		StartTime: &p.started,
	}
	for _, one := range p.init {
		status.InitContainerStatuses = append(status.InitContainerStatuses, one.status())
	}
	ready := p.phase == v1.PodRunning
	for _, one := range p.containers {
		found := one.status()
		ready = ready && found.Ready
		status.ContainerStatuses = append(status.ContainerStatuses, found)
	}
	conditions := []struct {
		kind  v1.PodConditionType
		holds bool
	}{
		{v1.PodReadyToStartContainers, true},
		{v1.PodInitialized, p.phase != v1.PodPending},
		{v1.ContainersReady, ready},
		{v1.PodReady, ready},
	}
	for _, one := range conditions {
		condition := v1.PodCondition{Type: one.kind, Status: v1.ConditionFalse, LastTransitionTime: meta.Now()}
		if one.holds {
			condition.Status = v1.ConditionTrue
		}
		if last != nil {
			for _, old := range last.Conditions {
				if old.Type == one.kind && old.Status == condition.Status {
					condition = old
				}
			}
		}
		status.Conditions = append(status.Conditions, condition)
	}
	return status
}

// status is called with the lock of the Pod.
func (c *container) status() v1.ContainerStatus {
	status := v1.ContainerStatus{
		Name: c.spec.Name, Image: c.spec.Image, ImageID: "program://" + imageName(c.spec.Image),
		RestartCount: c.restarts, Ready: c.readiness,
	}
	started := c.startup
	status.Started = &started
	switch {
	case c.process != nil:
		status.ContainerID = c.id()
		status.State.Running = &v1.ContainerStateRunning{StartedAt: c.began}
	case c.ended != nil:
		status.ContainerID = c.id()
		status.State.Terminated = c.ended
		// That of init containers remains; it is what Ready means for them.
		status.Ready = c.isInit() && c.ended.ExitCode == 0
	case c.waiting != "":
		status.State.Waiting = &v1.ContainerStateWaiting{Reason: c.waiting}
	default:
		status.State.Waiting = &v1.ContainerStateWaiting{Reason: "ContainerCreating"}
	}
	return status
}
