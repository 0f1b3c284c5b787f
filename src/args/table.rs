//! All flags. Names, defaults and meanings are those of ingress-nginx (its reference, section 6), with the flags of its
//! logging library; a few are our own.

use super::flag::{Flag, Kind, Support};

use Kind::{
    Addresses, Count, Decimal, Decimals, DnsName, Duration, Host, HostPort, Object, Path, Port,
    Selector, Switch, Text,
};
use Support::{Cluster, Never, Yes};

const fn flag(
    name: &'static str,
    kind: Kind,
    default: &'static str,
    support: Support,
    meaning: &'static str,
) -> Flag {
    Flag {
        name,
        kind,
        default,
        meaning,
        support,
    }
}

const ONE_PROCESS: Support =
    Never("there is one process, which nothing has to be told from outside");
const OWN_LOG: Support = Never("the process logs to standard error; see RUST_LOG");
const NO_GEO: Support = Never("geographical lookup is not built in");
const FIXED_BOUNDS: Support = Never("histograms have the default bounds");

/// All flags, in the order of the documentation.
#[rustfmt::skip] // a flag a line
pub(crate) const FLAGS: &[Flag] = &[
    // Sockets and threads.
    flag("http-port", Port, "80", Yes, "Port for plain HTTP; 0: any free one"),
    flag("https-port", Port, "443", Yes, "Port for HTTPS; 0: any free one"),
    flag("bind-address", Addresses, "", Yes, "Address to listen on, repeatable; not given: all of IPv4 and IPv6"),
    flag("healthz-port", Port, "10254", Yes, "Port for health, metrics and diagnosis; 0: any free one"),
    flag("healthz-host", Host, "", Yes, "Address of that port; empty: all"),
    flag("health-check-path", Path, "/healthz", Yes, "Path that answers 200 while the process is well, on that port and on the catch-all host"),
    flag("health-check-timeout", Count(0), "10", Never("health is answered from memory"), "Seconds that a health check may take"),
    flag("workers", Count(0), "0", Yes, "Worker threads; 0: as many as the CPU limit of the container, else the cores"),
    flag("shutdown-grace-period", Count(0), "0", Yes, "Seconds from failing readiness to refusing connections when stopping; not given, 10 in `controller`"),
    flag("post-shutdown-grace-period", Count(0), "10", Never("the process ends when its last request has"), "Seconds to wait when everything has stopped"),
    flag("allow-loopback-upstreams", Switch, "true", Yes, "Whether endpoints may have loopback addresses; not given, false in `controller`"),
    // Which objects.
    flag("ingress-class", Text, "nginx", Yes, "Class served when named by annotation, or by --ingress-class-by-name"),
    flag("controller-class", Text, "k8s.io/ingress-nginx", Yes, "IngressClasses whose spec.controller is this are served"),
    flag("ingress-class-by-name", Switch, "false", Yes, "Serve the IngressClass named by --ingress-class, whatever its controller"),
    flag("watch-ingress-without-class", Switch, "false", Yes, "Serve Ingresses that name no class"),
    flag("watch-namespace", Text, "", Yes, "Serve Ingresses of this namespace only; empty: all"),
    flag("watch-namespace-selector", Selector, "", Cluster, "Watch the namespaces with these labels"),
    flag("configmap", Object, "", Yes, "ConfigMap with the settings"),
    flag("default-backend-service", Object, "", Yes, "Service that answers for unknown hosts and paths"),
    flag("default-ssl-certificate", Object, "", Yes, "Secret with the certificate for hosts that have none"),
    flag("annotations-prefix", DnsName, "nginx.ingress.kubernetes.io", Yes, "Prefix of the annotations that are read"),
    flag("enable-annotation-validation", Switch, "true", Yes, "Refuse values of annotations with characters that they have no use for"),
    flag("disable-catch-all", Switch, "false", Yes, "Ignore Ingresses with a default backend"),
    flag("disable-svc-external-name", Switch, "false", Yes, "Do not forward to Services of type ExternalName"),
    flag("tcp-services-configmap", Object, "", Never("TCP services are not served"), "ConfigMap with TCP ports and their Services"),
    flag("udp-services-configmap", Object, "", Never("UDP services are not served"), "ConfigMap with UDP ports and their Services"),
    flag("enable-topology-aware-routing", Switch, "false", Cluster, "Prefer endpoints of the same zone"),
    flag("enable-ssl-passthrough", Switch, "false", Never("TLS passthrough is not served"), "Hand TLS connections of annotated hosts through"),
    flag("ssl-passthrough-proxy-port", Port, "442", Never("TLS passthrough is not served"), "Internal port for TLS passthrough"),
    flag("enable-ssl-chain-completion", Switch, "false", Never("certificates are served as their Secrets have them"), "Fetch missing intermediate certificates"),
    flag("deep-inspect", Switch, "true", Yes, "Search objects for injected configuration"),
    // Metrics.
    flag("enable-metrics", Switch, "false", Never("metrics are always on"), "Collect metrics"),
    flag("metrics-per-host", Switch, "true", Yes, "Label request metrics with the host"),
    flag("metrics-per-undefined-host", Switch, "false", Yes, "Also for hosts that no Ingress names"),
    flag("report-status-classes", Switch, "false", Yes, "Label request metrics with 2xx instead of 200, and so on"),
    flag("time-buckets", Decimals, "0.005,0.01,0.025,0.05,0.1,0.25,0.5,1,2.5,5,10", FIXED_BOUNDS, "Bounds of histograms of seconds"),
    flag("length-buckets", Decimals, "10,20,30,40,50,60,70,80,90,100", FIXED_BOUNDS, "Bounds of histograms of lengths"),
    flag("size-buckets", Decimals, "10,100,1000,10000,100000,1e+06,1e+07", FIXED_BOUNDS, "Bounds of histograms of bytes"),
    flag("bucket-factor", Decimal, "0", FIXED_BOUNDS, "Growth of the bounds of native histograms"),
    flag("max-buckets", Count(0), "100", FIXED_BOUNDS, "Most buckets of native histograms"),
    flag("exclude-socket-metrics", Text, "", Never("all metrics are kept"), "Metrics not to collect"),
    flag("monitor-max-batch-size", Count(0), "10000", Never("requests are counted where they happen"), "Most requests counted at once"),
    // The API server.
    flag("apiserver-host", Text, "", Cluster, "Address of the API server"),
    flag("certificate-authority", Text, "", Cluster, "File with the authority of the API server's certificate"),
    flag("kubeconfig", Text, "", Cluster, "File with the way to the API server"),
    flag("sync-period", Duration, "0s", Cluster, "Read all objects again this often"),
    flag("sync-rate-limit", Decimal, "0.3", Never("a change is served at once"), "Most reconfigurations a second"),
    flag("publish-service", Object, "", Cluster, "Service whose addresses the Ingresses' status shows"),
    flag("publish-status-address", Text, "", Cluster, "Addresses that the Ingresses' status shows"),
    flag("update-status", Switch, "true", Cluster, "Write the Ingresses' status"),
    flag("update-status-on-shutdown", Switch, "true", Cluster, "Clear the Ingresses' status when the last replica stops"),
    flag("status-update-interval", Count(0), "60", Cluster, "Seconds between looks at the status"),
    flag("report-node-internal-ip-address", Switch, "false", Cluster, "Show nodes' internal addresses in the status"),
    flag("election-id", Text, "ingress-controller-leader", Cluster, "Lease by which replicas elect who writes the status"),
    flag("election-ttl", Duration, "30s", Cluster, "How long that Lease lasts"),
    flag("disable-leader-election", Switch, "false", Cluster, "Elect nobody"),
    flag("disable-sync-events", Switch, "false", Cluster, "Create no Events for Ingresses that are served"),
    flag("validating-webhook", HostPort, "", Cluster, "Address of the admission webhook"),
    flag("validating-webhook-certificate", Text, "", Cluster, "File with the webhook's certificate"),
    flag("validating-webhook-key", Text, "", Cluster, "File with the webhook's key"),
    flag("validating-webhook-client-ca", Text, "", Cluster, "File with the authorities of clients that may ask the webhook; empty: everybody may"),
    flag("validating-webhook-secret", Object, "", Cluster, "Secret in which replicas share the certificate that they manage for the webhook themselves, when no files are given"),
    flag("validating-webhook-configuration", Text, "", Cluster, "ValidatingWebhookConfiguration that is told the authority of that certificate"),
    flag("validating-webhook-service", Object, "", Cluster, "Service of the webhook, for whose names that certificate is made"),
    flag("disable-full-test", Switch, "false", Never("an object is always tried against its own hosts alone"), "Test only the object that is admitted"),
    flag("cache-dir", Text, "", Cluster, "Folder for a copy of the last objects, to serve at once when the API server is away at start; empty: none"),
    flag("cache-key-file", Text, "", Cluster, "File with the key that this copy is sealed with; without one it holds no Secrets"),
    // Parts of ingress-nginx that do not exist here.
    flag("default-server-port", Port, "8181", ONE_PROCESS, "Internal port of the default backend"),
    flag("status-port", Port, "10246", ONE_PROCESS, "Internal port for control"),
    flag("stream-port", Port, "10247", ONE_PROCESS, "Internal port for control of streams"),
    flag("internal-logger-address", Text, "127.0.0.1:11514", ONE_PROCESS, "Address of the internal logger"),
    flag("dynamic-configuration-retries", Count(0), "15", ONE_PROCESS, "Attempts to hand over a configuration"),
    flag("profiling", Switch, "true", Never("there is no profiler in the process"), "Serve profiles"),
    flag("profiler-port", Port, "10245", Never("there is no profiler in the process"), "Port of the profiler"),
    flag("profiler-address", Text, "127.0.0.1", Never("there is no profiler in the process"), "Address of the profiler"),
    flag("maxmind-edition-ids", Text, "GeoLite2-City,GeoLite2-ASN", NO_GEO, "Geographical databases"),
    flag("maxmind-license-key", Text, "", NO_GEO, "Licence to download them"),
    flag("maxmind-mirror", Text, "", NO_GEO, "Where to download them"),
    flag("maxmind-retries-count", Count(0), "1", NO_GEO, "Attempts to download them"),
    flag("maxmind-retries-timeout", Duration, "0s", NO_GEO, "Wait between these attempts"),
    flag("version", Switch, "false", Yes, "Print the version and exit"),
    // The logging library of ingress-nginx.
    flag("v", Count(0), "0", Yes, "Verbosity of the process's log: from 2 on debug, from 5 on trace"),
    flag("add_dir_header", Switch, "false", OWN_LOG, "Show folders in the log"),
    flag("alsologtostderr", Switch, "false", OWN_LOG, "Log to standard error too"),
    flag("log_backtrace_at", Text, "", OWN_LOG, "Log a stack trace at this line"),
    flag("log_dir", Text, "", OWN_LOG, "Folder for log files"),
    flag("log_file", Text, "", OWN_LOG, "Log file"),
    flag("log_file_max_size", Count(0), "1800", OWN_LOG, "Largest log file in MB"),
    flag("logtostderr", Switch, "true", OWN_LOG, "Log to standard error"),
    flag("one_output", Switch, "false", OWN_LOG, "Log each line at one severity only"),
    flag("skip_headers", Switch, "false", OWN_LOG, "Show no headers in the log"),
    flag("skip_log_headers", Switch, "false", OWN_LOG, "Show no headers in log files"),
    flag("stderrthreshold", Text, "2", OWN_LOG, "Severity from which lines go to standard error too"),
    flag("vmodule", Text, "", OWN_LOG, "Verbosity by source file"),
];
