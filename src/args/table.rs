//! All flags. Names, defaults and meanings are those of ingress-nginx 1.15, with the flags of its logging library; a few
//! are additions.

use super::flag::{Flag, Kind, Support};

use Kind::{
    Addresses, Count, Decimal, Decimals, DnsName, Duration, Host, HostPort, List, Object, Path,
    Port, PortRange, Selector, Switch, Text,
};
use Support::{Cluster, Missing, Never, Yes};

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
        difference: "",
    }
}

const ONE_PROCESS: Support = Never("there is one process, without internal ports");
const LOG: Support = Never("the log goes to standard error; RUST_LOG filters it");
const NO_GEO: Support =
    Missing("databases of locations are not downloaded: mount them in --maxmind-directory");
const NO_NATIVE: Support = Missing("metrics are exposed as text, which has no native histograms");

/// All flags, in the order of the documentation.
#[rustfmt::skip] // one line for each flag
pub(crate) const FLAGS: &[Flag] = &[
    // Sockets and threads.
    flag("http-port", Port, "80", Yes, "Port for plain HTTP; 0: any free port"),
    flag("https-port", Port, "443", Yes, "Port for HTTPS; 0: any free port"),
    flag("bind-address", Addresses, "", Yes, "Address to listen on, repeatable; default: all IPv4 and IPv6 addresses"),
    flag("healthz-port", Port, "10254", Yes, "Admin port: health, metrics and diagnosis; 0: any free port"),
    flag("healthz-host", Host, "", Yes, "Address of the admin port; empty: all addresses"),
    flag("console-address", HostPort, "127.0.0.1:10243", Yes, "Address of the web console; port 0: any free port; empty: no console. Other than on loopback it needs --console-token-file"),
    flag("console-token-file", Text, "", Yes, "File with the token that readers of the console must have; at least 16 characters"),
    flag("console-hosts", List, "", Yes, "Names by which browsers may reach the console besides localhost and its address, separated by commas, repeatable"),
    flag("health-check-path", Path, "/healthz", Yes, "Health check path, on the admin port and on the catch-all host"),
    flag("health-check-timeout", Count(0), "10", Never("health checks take no time"), "Time limit of a health check in seconds"),
    flag("workers", Count(0), "0", Yes, "Worker threads; 0: the CPU limit of the container, else the number of cores"),
    flag("shutdown-grace-period", Count(0), "0", Yes, "At a stop, seconds between failing readiness and refusing connections; default in `controller`: 10").differs("The controller accepts requests for this time after SIGTERM; ingress-nginx refuses connections at once and then waits."),
    flag("post-shutdown-grace-period", Count(0), "10", Never("the process exits with its last request"), "At a stop, seconds to wait after the last request"),
    flag("allow-loopback-upstreams", Switch, "true", Yes, "Allow endpoints with loopback addresses; default in `controller`: false"),
    // Which objects.
    flag("ingress-class", Text, "nginx", Yes, "Serve Ingresses whose class annotation is this; see also --ingress-class-by-name"),
    flag("controller-class", Text, "k8s.io/ingress-nginx", Yes, "Serve Ingresses of IngressClasses whose spec.controller is this"),
    flag("ingress-class-by-name", Switch, "false", Yes, "Also serve the IngressClass named --ingress-class, whatever its spec.controller"),
    flag("watch-ingress-without-class", Switch, "false", Yes, "Serve Ingresses without a class"),
    flag("watch-namespace", Text, "", Yes, "Serve Ingresses of this namespace only; empty: all namespaces"),
    flag("watch-namespace-selector", Selector, "", Yes, "Serve Ingresses of namespaces with these labels only").differs("An Ingress is served or no longer served as soon as its namespace gains or loses the labels; ingress-nginx notices with the next event of the Ingress."),
    flag("enable-gateway-api", Switch, "false", Cluster, "Serve Gateways and routes of the Gateway API too; files always may have them, and `check` and `explain` read those of a cluster"),
    flag("gateway-controller-name", Text, "headgate.dev/gateway-controller", Yes, "Serve Gateways of GatewayClasses whose spec.controllerName is this"),
    flag("gateway-on-ingress-ports", Object, "", Yes, "Gateway whose HTTP and HTTPS listeners share the ports of Ingresses: where none of its routes matches, Ingresses serve"),
    flag("configmap", Object, "", Yes, "ConfigMap with the settings"),
    flag("default-backend-service", Object, "", Yes, "Service for requests with an unknown host or path"),
    flag("default-ssl-certificate", Object, "", Yes, "Secret with the certificate for hosts without one").differs("A Secret that becomes invalid or is deleted keeps its last valid certificate in service; in ingress-nginx the generated one serves."),
    flag("annotations-prefix", DnsName, "nginx.ingress.kubernetes.io", Yes, "Prefix of annotations"),
    flag("enable-annotation-validation", Switch, "true", Yes, "Validate the characters of annotation values"),
    flag("disable-catch-all", Switch, "false", Yes, "Ignore Ingresses with spec.defaultBackend"),
    flag("disable-svc-external-name", Switch, "false", Yes, "Do not forward to ExternalName Services"),
    flag("tcp-services-configmap", Object, "", Yes, "ConfigMap with TCP ports and their Services"),
    flag("udp-services-configmap", Object, "", Yes, "ConfigMap with UDP ports and their Services"),
    flag("enable-topology-aware-routing", Switch, "false", Cluster, "Prefer endpoints of the controller's zone, for Services that request it"),
    flag("enable-ssl-passthrough", Switch, "false", Yes, "Enable the annotation ssl-passthrough"),
    flag("ssl-passthrough-proxy-port", Port, "442", Never("TLS is passed through without a second hop"), "Internal port for TLS passthrough"),
    flag("enable-ssl-chain-completion", Switch, "false", Yes, "Fetch missing intermediate certificates from the URLs in the certificates").differs("The certificate is served at once and completed when its issuers have been fetched; ingress-nginx waits for them."),
    flag("deep-inspect", Switch, "true", Yes, "Refuse Ingresses with injected nginx configuration"),
    // Metrics.
    flag("enable-metrics", Switch, "false", Never("metrics are always on"), "Collect metrics"),
    flag("metrics-per-host", Switch, "true", Yes, "Add the label host to request metrics"),
    flag("metrics-per-undefined-host", Switch, "false", Yes, "Count requests for hosts that no Ingress names, too"),
    flag("report-status-classes", Switch, "false", Yes, "Write status classes such as 2xx in request metrics"),
    flag("time-buckets", Decimals, "0.005,0.01,0.025,0.05,0.1,0.25,0.5,1,2.5,5,10", Yes, "Buckets of durations in seconds, repeatable"),
    flag("length-buckets", Decimals, "10,20,30,40,50,60,70,80,90,100", Yes, "Buckets of request_size and response_size in bytes, repeatable"),
    flag("size-buckets", Decimals, "10,100,1000,10000,100000,1e+06,1e+07", Yes, "Buckets of bytes_sent in bytes, repeatable"),
    flag("bucket-factor", Decimal, "0", NO_NATIVE, "Growth factor of native histograms"),
    flag("max-buckets", Count(0), "100", NO_NATIVE, "Maximum number of buckets of native histograms"),
    flag("exclude-socket-metrics", List, "", Yes, "Request metrics to leave out, separated by commas, repeatable; the prefix is optional"),
    flag("monitor-max-batch-size", Count(0), "10000", Never("metrics are not batched"), "Maximum number of requests in a batch of metrics"),
    // The API server.
    flag("apiserver-host", Text, "", Cluster, "URL of the API server"),
    flag("certificate-authority", Text, "", Cluster, "File with the CA of the API server"),
    flag("kubeconfig", Text, "", Cluster, "Kubeconfig file"),
    flag("sync-period", Duration, "0s", Cluster, "Resync period: list all objects again this often; 0: never"),
    flag("sync-rate-limit", Decimal, "0.3", Never("every change is served at once"), "Maximum number of syncs per second"),
    flag("publish-service", Object, "", Cluster, "Service whose addresses are written to the status of Ingresses"),
    flag("publish-status-address", Text, "", Cluster, "Addresses to write to the status of Ingresses, separated by commas"),
    flag("update-status", Switch, "true", Cluster, "Write the status of Ingresses"),
    flag("update-status-on-shutdown", Switch, "true", Cluster, "Clear the status of Ingresses when the last replica stops"),
    flag("status-update-interval", Count(0), "60", Cluster, "Seconds between updates of the status; at least 5"),
    flag("report-node-internal-ip-address", Switch, "false", Cluster, "Write internal addresses of nodes to the status"),
    flag("election-id", Text, "ingress-controller-leader", Cluster, "Name of the Lease for leader election"),
    flag("election-ttl", Duration, "30s", Cluster, "Duration of that Lease").differs("The Lease is renewed every quarter of this time, and released at shutdown; in ingress-nginx every half."),
    flag("disable-leader-election", Switch, "false", Cluster, "Run without leader election; no status is written"),
    flag("gateway-port-range", PortRange, "20000-27999", Cluster, "Local ports for the Services of Gateways; `none`: no Services, and Gateways listen on their own ports"),
    flag("gateway-endpoints-service", Object, "", Cluster, "Service whose endpoints the Services of Gateways have; empty: that of --publish-service"),
    flag("disable-sync-events", Switch, "false", Cluster, "Write no Sync Events"),
    flag("validating-webhook", HostPort, "", Cluster, "Address of the admission webhook; empty: no webhook"),
    flag("validating-webhook-certificate", Text, "", Cluster, "File with the certificate of the webhook"),
    flag("validating-webhook-key", Text, "", Cluster, "File with the key of the webhook"),
    flag("validating-webhook-client-ca", Text, "", Cluster, "File with the CA of clients of the webhook; empty: no client certificate is required"),
    flag("validating-webhook-secret", Object, "", Cluster, "Secret for the certificate that the replicas generate and share when no files are given"),
    flag("validating-webhook-configuration", Text, "", Cluster, "ValidatingWebhookConfiguration whose caBundle is kept current with that certificate"),
    flag("validating-webhook-service", Object, "", Cluster, "Service of the webhook: the DNS names of that certificate"),
    flag("disable-full-test", Switch, "false", Never("an object is always checked against its own hosts only"), "Check only the object under review"),
    flag("cache-dir", Text, "", Cluster, "Directory of the object cache, which is served at a start without the API server; empty: no cache"),
    flag("cache-key-file", Text, "", Cluster, "File with the key that encrypts cached Secrets; empty: Secrets are not cached"),
    // Parts of ingress-nginx that Headgate does not have.
    flag("default-server-port", Port, "8181", ONE_PROCESS, "Internal port of the default backend"),
    flag("status-port", Port, "10246", ONE_PROCESS, "Internal port for control"),
    flag("stream-port", Port, "10247", ONE_PROCESS, "Internal port for control of streams"),
    flag("internal-logger-address", Text, "127.0.0.1:11514", ONE_PROCESS, "Address of the internal logger"),
    flag("dynamic-configuration-retries", Count(0), "15", ONE_PROCESS, "Attempts to update the configuration"),
    flag("profiling", Switch, "true", Never("there is no profiler"), "Serve profiles"),
    flag("profiler-port", Port, "10245", Never("there is no profiler"), "Port of the profiler"),
    flag("profiler-address", Text, "127.0.0.1", Never("there is no profiler"), "Address of the profiler"),
    flag("maxmind-edition-ids", Text, "GeoLite2-City,GeoLite2-ASN", Yes, "Databases of locations: the names of their files, without .mmdb"),
    flag("maxmind-directory", Text, "/etc/ingress-controller/geoip", Yes, "Directory of these databases"),
    flag("maxmind-license-key", Text, "", NO_GEO, "Licence to download them"),
    flag("maxmind-mirror", Text, "", NO_GEO, "URL to download them from"),
    flag("maxmind-retries-count", Count(0), "1", NO_GEO, "Attempts to download them"),
    flag("maxmind-retries-timeout", Duration, "0s", NO_GEO, "Wait between these attempts"),
    flag("version", Switch, "false", Yes, "Print the version and exit"),
    // The logging library of ingress-nginx.
    flag("v", Count(0), "0", Yes, "Verbosity of the log: 0 info, 2 debug, 5 trace"),
    flag("add_dir_header", Switch, "false", LOG, "Show directories in the log"),
    flag("alsologtostderr", Switch, "false", LOG, "Log to standard error too"),
    flag("log_backtrace_at", Text, "", LOG, "Log a stack trace at this line"),
    flag("log_dir", Text, "", LOG, "Directory for log files"),
    flag("log_file", Text, "", LOG, "Log file"),
    flag("log_file_max_size", Count(0), "1800", LOG, "Largest log file in MB"),
    flag("logtostderr", Switch, "true", LOG, "Log to standard error"),
    flag("one_output", Switch, "false", LOG, "Log each line at one severity only"),
    flag("skip_headers", Switch, "false", LOG, "Show no headers in the log"),
    flag("skip_log_headers", Switch, "false", LOG, "Show no headers in log files"),
    flag("stderrthreshold", Text, "2", LOG, "Severity from which lines go to standard error too"),
    flag("vmodule", Text, "", LOG, "Verbosity by source file"),
];
