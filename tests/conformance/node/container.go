package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	v1 "k8s.io/api/core/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// container is a container of a Pod: a program that is started again when it ends, as the Pod's policy says.
type container struct {
	pod  *pod
	spec *v1.Container

	// Guarded by the lock of the Pod.
	process   *os.Process
	began     meta.Time
	ended     *v1.ContainerStateTerminated
	waiting   string
	restarts  int32
	readiness bool
	startup   bool
}

// run starts the program, and again after its end while the policy says so, until the Pod is deleted.
func (c *container) run() {
	policy := c.pod.object.Spec.RestartPolicy
	for {
		if !c.pod.until("container "+c.spec.Name, c.once) {
			return
		}
		code, _ := c.exitCode()
		again := policy == v1.RestartPolicyAlways || policy == v1.RestartPolicyOnFailure && code != 0
		select {
		case <-c.pod.deleted:
			return
		default:
			if !again || c.isInit() && code == 0 {
				return
			}
		}
		select {
		case <-c.pod.deleted:
			return
		case <-time.After(min(time.Duration(c.restarts)*10*time.Second, time.Minute)):
		}
		c.set(func() { c.restarts++ })
	}
}

// once runs the program until it ends. An error: it could not be started.
func (c *container) once() error {
	command, err := c.command()
	if err != nil {
		c.set(func() { c.waiting = "CreateContainerError" })
		return err
	}
	output := newLog(c.logFile())
	command.Stdout, command.Stderr = output, output
	if err := c.pod.network.inside(command.Start); err != nil {
		return err
	}
	c.set(func() {
		c.process, c.began, c.ended, c.waiting = command.Process, meta.Now(), nil, ""
		c.startup = c.spec.StartupProbe == nil
		c.readiness = c.startup && c.spec.ReadinessProbe == nil
	})
	ended := make(chan struct{})
	go c.probe(ended)
	go func() {
		select {
		case <-ended:
		case <-c.pod.deleted:
			c.stop(ended, c.pod.grace)
		}
	}()
	err = command.Wait()
	close(ended)
	code := command.ProcessState.ExitCode()
	if status := command.ProcessState.Sys().(syscall.WaitStatus); status.Signaled() {
		code = 128 + int(status.Signal())
	}
	log.Printf("%s: %s ended: %v", c.pod, c.spec.Name, command.ProcessState)
	c.set(func() {
		reason := "Completed"
		if code != 0 {
			reason = "Error"
		}
		c.ended = &v1.ContainerStateTerminated{ExitCode: int32(code), Reason: reason, StartedAt: c.began, FinishedAt: meta.Now(), ContainerID: c.id()}
		c.process, c.readiness, c.startup = nil, false, false
	})
	var failed *exec.ExitError
	if err != nil && !errors.As(err, &failed) {
		log.Printf("%s: %s: %s", c.pod, c.spec.Name, err)
	}
	return nil
}

// stop ends the program: after its preStop hook by SIGTERM, and at the end of the grace by SIGKILL.
func (c *container) stop(ended chan struct{}, grace time.Duration) {
	kill := time.After(grace)
	terminate := time.After(c.preStop())
	for {
		select {
		case <-ended:
			return
		case <-terminate:
			c.signal(syscall.SIGTERM)
		case <-kill:
			c.signal(syscall.SIGKILL)
		}
	}
}

// preStop is how long the preStop hook takes. Only those that sleep are supported.
func (c *container) preStop() time.Duration {
	if hooks := c.spec.Lifecycle; hooks != nil && hooks.PreStop != nil && hooks.PreStop.Sleep != nil {
		return time.Duration(hooks.PreStop.Sleep.Seconds) * time.Second
	}
	return 0
}

func (c *container) signal(signal os.Signal) {
	c.pod.lock.Lock()
	defer c.pod.lock.Unlock()
	if c.process != nil {
		_ = c.process.Signal(signal)
	}
}

// command is this program, which becomes the container in namespaces of its own.
func (c *container) command() (*exec.Cmd, error) {
	environment, err := c.environment()
	if err != nil {
		return nil, err
	}
	program, found := c.pod.node.programs[imageName(c.spec.Image)]
	if !found {
		return nil, fmt.Errorf("no program for the image %s", c.spec.Image)
	}
	root := filepath.Join(c.pod.directory(), "containers", c.spec.Name)
	sandbox := sandbox{Root: root, Hostname: c.pod.object.Name, Address: c.pod.network.address, Image: program[0]}
	if c.spec.Command == nil {
		sandbox.Command = append([]string{imagePath(program[0])}, program[1:]...)
	}
	for _, argument := range slices.Concat(c.spec.Command, c.spec.Args) {
		sandbox.Command = append(sandbox.Command, expand(argument, environment))
	}
	for name, value := range environment {
		sandbox.Environment = append(sandbox.Environment, name+"="+value)
	}
	for _, mount := range c.spec.VolumeMounts {
		sandbox.Mounts = append(sandbox.Mounts, sandboxMount{
			From:     filepath.Join(c.pod.volumes[mount.Name], mount.SubPath),
			To:       mount.MountPath,
			ReadOnly: mount.ReadOnly,
		})
	}
	sandbox.restrict(c.pod.object.Spec.SecurityContext, c.spec.SecurityContext)
	text, err := json.Marshal(sandbox)
	if err != nil {
		return nil, err
	}
	command := exec.Command("/proc/self/exe", "container", string(text))
	command.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: syscall.CLONE_NEWNS | syscall.CLONE_NEWPID | syscall.CLONE_NEWUTS | syscall.CLONE_NEWIPC,
		Setsid:     true,
	}
	return command, nil
}

func (c *container) isInit() bool {
	return slices.Contains(c.pod.init, c)
}

func (c *container) exitCode() (int32, bool) {
	c.pod.lock.Lock()
	defer c.pod.lock.Unlock()
	if c.ended == nil {
		return 0, false
	}
	return c.ended.ExitCode, true
}

// set changes the state under the lock, and reports it.
func (c *container) set(change func()) {
	c.pod.lock.Lock()
	change()
	c.pod.lock.Unlock()
	c.pod.report()
}

func (c *container) id() string {
	return fmt.Sprintf("program://%s-%s-%d", c.pod.object.UID, c.spec.Name, c.restarts)
}

func (c *container) logFile() string {
	return filepath.Join(c.pod.node.logs, logName(c.pod.object.Namespace, c.pod.object.Name, c.spec.Name))
}

// imageName is the last part of an image's name, without tag and digest.
func imageName(image string) string {
	image, _, _ = strings.Cut(image, "@")
	name := image[strings.LastIndex(image, "/")+1:]
	name, _, _ = strings.Cut(name, ":")
	return name
}
