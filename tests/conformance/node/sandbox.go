package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"

	"golang.org/x/sys/unix"
	v1 "k8s.io/api/core/v1"
)

// sandbox is what a container sees: a root with the libraries of this machine, its program and its volumes, and how much it may do.
type sandbox struct {
	Root        string
	Hostname    string
	Address     string
	Image       string
	Command     []string
	Environment []string
	Mounts      []sandboxMount

	User, Group     int
	ReadOnlyRoot    bool
	NoNewPrivileges bool
	// The capabilities that remain, by number; nil: all.
	Capabilities []uintptr
}

type sandboxMount struct {
	From, To string
	ReadOnly bool
}

// capabilities that manifests of the tests add.
var capabilities = map[v1.Capability]uintptr{"NET_BIND_SERVICE": unix.CAP_NET_BIND_SERVICE}

// imagePath is where a program is inside of the container.
func imagePath(program string) string {
	return "/image/" + filepath.Base(program)
}

// restrict applies the security contexts of the Pod and of the container.
func (s *sandbox) restrict(pod *v1.PodSecurityContext, own *v1.SecurityContext) {
	if pod != nil {
		setInt(&s.User, pod.RunAsUser)
		setInt(&s.Group, pod.RunAsGroup)
	}
	if own == nil {
		return
	}
	setInt(&s.User, own.RunAsUser)
	setInt(&s.Group, own.RunAsGroup)
	s.ReadOnlyRoot = own.ReadOnlyRootFilesystem != nil && *own.ReadOnlyRootFilesystem
	s.NoNewPrivileges = own.AllowPrivilegeEscalation != nil && !*own.AllowPrivilegeEscalation
	if own.Capabilities == nil || len(own.Capabilities.Drop) == 0 {
		return
	}
	s.Capabilities = []uintptr{}
	for _, name := range own.Capabilities.Add {
		if number, known := capabilities[name]; known {
			s.Capabilities = append(s.Capabilities, number)
		}
	}
}

func setInt(to *int, from *int64) {
	if from != nil {
		*to = int(*from)
	}
}

// becomeContainer is called in the new namespaces, with a sandbox as JSON. It does not return unless that fails.
func becomeContainer(text string) error {
	var s sandbox
	if err := json.Unmarshal([]byte(text), &s); err != nil {
		return err
	}
	if err := s.mount(); err != nil {
		return err
	}
	if err := unix.Sethostname([]byte(s.Hostname)); err != nil {
		return err
	}
	if err := unix.Chroot(s.Root); err != nil {
		return err
	}
	if err := os.Chdir("/"); err != nil {
		return err
	}
	program, err := exec.LookPath(s.Command[0])
	if err != nil {
		return err
	}
	runtime.LockOSThread()
	if err := s.drop(); err != nil {
		return err
	}
	return fmt.Errorf("%s: %w", program, unix.Exec(program, s.Command, s.Environment))
}

func (s *sandbox) mount() error {
	// Nothing of this is seen outside.
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return err
	}
	for _, directory := range []string{"usr", "proc", "dev", "etc", "tmp", "run", "var", "image"} {
		if err := os.MkdirAll(filepath.Join(s.Root, directory), 0o755); err != nil {
			return err
		}
	}
	for _, link := range []string{"bin", "sbin", "lib", "lib64"} {
		if err := os.Symlink("usr/"+link, filepath.Join(s.Root, link)); err != nil && !errors.Is(err, os.ErrExist) {
			return err
		}
	}
	files := map[string]string{
		"passwd":        "root:x:0:0::/:/bin/sh\n",
		"hosts":         fmt.Sprintf("127.0.0.1 localhost\n%s %s\n", s.Address, s.Hostname),
		"nsswitch.conf": "hosts: files dns\n",
		"resolv.conf":   "",
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(s.Root, "etc", name), []byte(text), 0o644); err != nil {
			return err
		}
	}
	// Itself, so that it can be made read-only below.
	mounts := []sandboxMount{{From: s.Root, To: "/"}, {From: "/usr", To: "/usr", ReadOnly: true}, {From: "/dev", To: "/dev"}}
	mounts = append(mounts, sandboxMount{From: s.Image, To: imagePath(s.Image), ReadOnly: true})
	for _, one := range append(mounts, s.Mounts...) {
		if err := s.bind(one); err != nil {
			return fmt.Errorf("mounting %s: %w", one.To, err)
		}
	}
	if err := unix.Mount("proc", filepath.Join(s.Root, "proc"), "proc", 0, ""); err != nil {
		return fmt.Errorf("mounting /proc: %w", err)
	}
	if s.ReadOnlyRoot {
		return unix.Mount("", s.Root, "", unix.MS_REMOUNT|unix.MS_BIND|unix.MS_RDONLY, "")
	}
	return nil
}

func (s *sandbox) bind(one sandboxMount) error {
	to := filepath.Join(s.Root, one.To)
	found, err := os.Stat(one.From)
	if err != nil {
		return err
	}
	if found.IsDir() {
		err = os.MkdirAll(to, 0o755)
	} else if err = os.MkdirAll(filepath.Dir(to), 0o755); err == nil {
		err = os.WriteFile(to, nil, 0o755)
	}
	if err != nil {
		return err
	}
	if err := unix.Mount(one.From, to, "", unix.MS_BIND|unix.MS_REC, ""); err != nil {
		return err
	}
	if one.ReadOnly {
		return unix.Mount("", to, "", unix.MS_REMOUNT|unix.MS_BIND|unix.MS_RDONLY, "")
	}
	return nil
}

// drop gives up all that the container may not do. Its caller must go on in the same thread.
func (s *sandbox) drop() error {
	if s.Capabilities != nil {
		for number := uintptr(0); number <= unix.CAP_LAST_CAP; number++ {
			if slices.Contains(s.Capabilities, number) {
				continue
			}
			if err := unix.Prctl(unix.PR_CAPBSET_DROP, number, 0, 0, 0); err != nil && !errors.Is(err, unix.EINVAL) {
				return err
			}
		}
	}
	if s.NoNewPrivileges {
		if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
			return err
		}
	}
	if err := unix.Setgroups([]int{s.Group}); err != nil {
		return err
	}
	if err := unix.Setresgid(s.Group, s.Group, s.Group); err != nil {
		return err
	}
	return unix.Setresuid(s.User, s.User, s.User)
}
