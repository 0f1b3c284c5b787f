// The parts of a cluster that Kubernetes leaves to others, on one machine without container images: a node that runs the
// containers of Pods as programs of this machine, and load balancers. Each Pod has a network namespace of its own.
//
// Against a kubelet these are missing: cgroups and seccomp, host networks, exec and its probes, updates of mounted objects and
// tokens, and following logs.
package main

import (
	"encoding/json"
	"flag"
	"log"
	"net/netip"
	"os"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

func main() {
	log.SetFlags(log.Ltime | log.Lmicroseconds)
	command, arguments := "", []string{}
	if len(os.Args) > 1 {
		command, arguments = os.Args[1], os.Args[2:]
	}
	switch command {
	case "run":
		run(arguments)
	case "container":
		// Started by the node itself, in the namespaces of the new container.
		log.Fatal(becomeContainer(arguments[0]))
	case "dns":
		log.Fatal(serveNames())
	default:
		log.Fatal("usage: node run FLAGS | node dns")
	}
}

func run(arguments []string) {
	flags := flag.NewFlagSet("run", flag.ExitOnError)
	kubeconfig := flags.String("kubeconfig", "", "`file` with the address of the API server and credentials of an administrator")
	directory := flags.String("directory", "", "`directory` of the volumes and root filesystems of Pods")
	logs := flags.String("logs", "", "`directory` of the logs of containers")
	address := flags.String("address", "", "the `address` of the node")
	certificate := flags.String("certificate", "", "`file` with the certificate of that address")
	key := flags.String("key", "", "`file` with its key")
	images := flags.String("images", "{}", "programs by the last part of an image's name without its tag, as `JSON`: {\"echo\": [\"/path\", \"argument\"]}")
	automatic := flags.String("automatic", "", "`prefix` of the addresses that load balancers get; empty: there are none")
	requested := flags.String("requested", "", "`prefix` of the addresses that they get only by spec.loadBalancerIP")
	_ = flags.Parse(arguments)

	config, err := clientcmd.BuildConfigFromFlags("", *kubeconfig)
	check(err)
	config.RateLimiter = nil
	config.QPS, config.Burst = 500, 1000
	config.ContentType = "application/vnd.kubernetes.protobuf"
	config.AcceptContentTypes = "application/vnd.kubernetes.protobuf,application/json"
	client := kubernetes.NewForConfigOrDie(rest.AddUserAgent(config, "node"))

	programs := map[string][]string{}
	check(json.Unmarshal([]byte(*images), &programs))
	n := &node{client: client, address: *address, directory: *directory, logs: *logs, programs: programs, pods: map[string]*pod{}}
	go func() { log.Fatal(n.serveLogs(*certificate, *key)) }()
	check(n.register())
	check(n.watch())
	if *automatic != "" {
		balancers := &balancers{
			client:    client,
			automatic: netip.MustParsePrefix(*automatic),
			requested: netip.MustParsePrefix(*requested),
			owners:    map[netip.Addr]string{},
		}
		check(balancers.watch())
	}
	select {}
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
