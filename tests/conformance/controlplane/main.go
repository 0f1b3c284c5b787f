// A Kubernetes control plane in one program: etcd, the API server, the controllers, the scheduler, kube-proxy and kubectl, each
// as a subcommand with its own flags. They are the published modules, so that no container image is needed.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/server/v3/embed"
	"k8s.io/component-base/cli"
	kubectl "k8s.io/kubectl/pkg/cmd"
	apiserver "k8s.io/kubernetes/cmd/kube-apiserver/app"
	controllers "k8s.io/kubernetes/cmd/kube-controller-manager/app"
	proxy "k8s.io/kubernetes/cmd/kube-proxy/app"
	scheduler "k8s.io/kubernetes/cmd/kube-scheduler/app"
)

func main() {
	if len(os.Args) < 2 {
		fail("usage: controlplane etcd DIRECTORY | compact | kube-apiserver | kube-controller-manager | kube-scheduler | kube-proxy | kubectl …")
	}
	// Each of them takes its name from the first argument.
	os.Args = os.Args[1:]
	switch os.Args[0] {
	case "etcd":
		etcd(os.Args[1])
	case "compact":
		compact()
	case "kube-apiserver":
		os.Exit(cli.Run(apiserver.NewAPIServerCommand()))
	case "kube-controller-manager":
		os.Exit(cli.Run(controllers.NewControllerManagerCommand()))
	case "kube-scheduler":
		os.Exit(cli.Run(scheduler.NewSchedulerCommand()))
	case "kube-proxy":
		os.Exit(cli.Run(proxy.NewProxyCommand()))
	case "kubectl":
		if err := cli.RunNoErrOutput(kubectl.NewDefaultKubectlCommand()); err != nil {
			fail(err)
		}
	default:
		fail("unknown program " + os.Args[0])
	}
}

// etcd serves clients on its usual port, until a signal.
func etcd(directory string) {
	config := embed.NewConfig()
	config.Dir = directory
	config.LogLevel = "error"
	// The data does not outlive the run.
	config.UnsafeNoFsync = true
	server, err := embed.StartEtcd(config)
	if err != nil {
		fail(err)
	}
	<-server.Server.ReadyNotify()
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM, syscall.SIGINT)
	<-stop
	server.Close()
}

// compact makes etcd forget all earlier revisions, as the API server has it do every five minutes.
func compact() {
	client, err := clientv3.New(clientv3.Config{Endpoints: []string{"127.0.0.1:2379"}, DialTimeout: 5 * time.Second})
	if err != nil {
		fail(err)
	}
	defer client.Close()
	ctx := context.Background()
	now, err := client.Get(ctx, "any")
	if err != nil {
		fail(err)
	}
	if _, err := client.Compact(ctx, now.Header.Revision, clientv3.WithCompactPhysical()); err != nil {
		fail(err)
	}
}

func fail(what any) {
	fmt.Fprintln(os.Stderr, what)
	os.Exit(1)
}
