package main

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"

	"golang.org/x/sys/unix"
	v1 "k8s.io/api/core/v1"
)

// gateway is the node's address on the link to each Pod.
const gateway = "169.254.1.1"

// podNetwork is a network namespace at the end of a link whose other end the node has. The node routes between them, so that
// kube-proxy sees all traffic without the kernel module for bridges.
type podNetwork struct {
	// Name of the namespace, and of the node's end of the link.
	name    string
	address string
}

func networkOf(number int) podNetwork {
	// Addresses are not used again, as nothing must still know a former owner.
	number += 9
	return podNetwork{name: fmt.Sprintf("pod%d", number), address: fmt.Sprintf("10.244.%d.%d", number/250, number%250+1)}
}

func (n podNetwork) create(object *v1.Pod) error {
	commands := fmt.Sprintf(`netns add %[1]s
link add %[1]s type veth peer name eth0 netns %[1]s
address add %[3]s/32 dev %[1]s scope link
link set %[1]s up
route add %[2]s/32 dev %[1]s
`, n.name, n.address, gateway)
	if err := ip(commands); err != nil {
		return err
	}
	commands = fmt.Sprintf(`link set lo up
address add %[1]s/32 dev eth0
link set eth0 up
route add %[2]s dev eth0 scope link
route add default via %[2]s
`, n.address, gateway)
	if err := ip(commands, "-netns", n.name); err != nil {
		return err
	}
	// As container runtimes set it.
	settings := map[string]string{"net.ipv4.ip_unprivileged_port_start": "0"}
	if context := object.Spec.SecurityContext; context != nil {
		for _, one := range context.Sysctls {
			settings[one.Name] = one.Value
		}
	}
	return n.inside(func() error {
		for name, value := range settings {
			if err := os.WriteFile("/proc/sys/"+strings.ReplaceAll(name, ".", "/"), []byte(value), 0o644); err != nil {
				return err
			}
		}
		return nil
	})
}

func (n podNetwork) remove() error {
	// The link goes with the namespace.
	return ip("netns delete " + n.name + "\n")
}

// inside calls a function on a thread that is in the namespace; programs that it starts are too.
func (n podNetwork) inside(do func() error) error {
	namespace, err := os.Open("/run/netns/" + n.name)
	if err != nil {
		return err
	}
	defer namespace.Close()
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	outside, err := os.Open("/proc/thread-self/ns/net")
	if err != nil {
		return err
	}
	defer outside.Close()
	if err := unix.Setns(int(namespace.Fd()), unix.CLONE_NEWNET); err != nil {
		return err
	}
	failed := do()
	if err := unix.Setns(int(outside.Fd()), unix.CLONE_NEWNET); err != nil {
		// A thread in the wrong namespace must not be used for anything else.
		panic(err)
	}
	return failed
}

// ip runs commands of ip(8).
func ip(commands string, flags ...string) error {
	command := exec.Command("ip", append(flags, "-batch", "-")...)
	command.Stdin = strings.NewReader(commands)
	output, err := command.CombinedOutput()
	if err != nil {
		return fmt.Errorf("ip: %w: %s", err, output)
	}
	return nil
}
