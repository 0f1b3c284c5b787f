//! What the flags mean: the second stage after [`args`](crate::args), which finds conflicts between flags.

mod cluster;
mod system;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use headgate_compile::{
    Address, ClassSelection, EndpointOptions, GatewayOptions, HttpListeners, LabelSelector,
    Namespaces, Options, PublishedAddresses,
};
use headgate_console::model::Instance;
use headgate_proxy::{AccessLog, Buckets, LocationFiles, MetricLabels};

use crate::app::Serving;
use crate::args::{COMMIT, Flags, HostPort};
use crate::console::ConsoleOptions;

pub(crate) use cluster::{Api, Cluster, Status, Webhook, WebhookCertificate};
pub(crate) use system::System;

/// The configuration of a command.
pub(crate) struct Config {
    /// Configuration of every source.
    pub(crate) serving: Serving,
    /// Only for `controller`.
    pub(crate) cluster: Option<Cluster>,
    pub(crate) log_level: tracing::Level,
    /// Given flags without effect, with the reason.
    pub(crate) ignored: Vec<String>,
}

/// The defaults of a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Preset {
    /// Defaults of ingress-nginx, and a shutdown grace period.
    Controller,
    /// Defaults of ingress-nginx, and endpoints with loopback addresses.
    Serve,
    /// High ports on loopback.
    Demo,
}

impl Preset {
    /// The name of the command.
    fn as_str(self) -> &'static str {
        match self {
            Self::Controller => "controller",
            Self::Serve => "serve",
            Self::Demo => "demo",
        }
    }
}

/// Flags that contradict each other.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "the messages are the docs")]
pub(crate) enum Conflict {
    #[error(
        "--publish-service and --publish-status-address exclude each other: set only one of them"
    )]
    PublishedTwice,
    #[error(
        "--watch-namespace and --watch-namespace-selector exclude each other: set only one of them"
    )]
    WatchedTwice,
    #[error(
        "--metrics-per-undefined-host needs --metrics-per-host: do not set the latter to false"
    )]
    UndefinedHostsOnly,
    #[error(
        "--validating-webhook needs a certificate: set --validating-webhook-certificate and --validating-webhook-key, or --validating-webhook-service for a certificate that the controller generates"
    )]
    WebhookWithoutCertificate,
    #[error(
        "--validating-webhook-certificate and --validating-webhook-key belong together: set both or none"
    )]
    HalfACertificate,
    #[error(
        "--console-address {0} is not on loopback: set --console-token-file, or an address such as 127.0.0.1:10243"
    )]
    ConsoleWithoutToken(SocketAddr),
    #[error("the numbers of all --{0} together are not ascending: sort them")]
    UnsortedBuckets(&'static str),
    #[error("--{0} and --{1} are both {2}: set different ports")]
    SamePort(&'static str, &'static str, u16),
}

impl Config {
    /// # Errors
    /// Flags that contradict each other.
    pub(crate) fn new(flags: &Flags, preset: Preset, system: &System) -> Result<Self, Conflict> {
        check_conflicts(flags)?;
        let ports = Ports::new(flags, preset);
        ports.check()?;
        let admin = SocketAddr::new(admin_address(flags, preset, system), ports.healthz);
        let cluster = (preset == Preset::Controller).then(|| Cluster::new(flags, system));
        let cluster = cluster.transpose()?;
        let mut options = options(flags, preset);
        if let Some(webhook) = cluster
            .as_ref()
            .and_then(|cluster| cluster.webhook.as_ref())
        {
            let port = webhook.address.port();
            options.reserved_ports.push((port, "the admission webhook"));
        }
        if let (Some(gateway), Some(cluster)) = (&mut options.gateway, &cluster) {
            let services = cluster.gateways.as_ref();
            gateway.ports = services.map(|services| services.record.clone());
            gateway.published = cluster.status.as_ref().and_then(published);
        }
        let console = console(flags, preset, system)?;
        let serving = Serving {
            options,
            proxy: headgate_proxy::Config {
                counts_all_hosts: console.is_some(),
                ..proxy(flags, &ports, preset, system)
            },
            console,
            admin,
            grace: grace(flags, preset),
        };
        Ok(Self {
            serving,
            cluster,
            log_level: log_level(flags),
            ignored: ignored(flags, preset),
        })
    }

    /// The warning about flags without effect, if there are any.
    pub(crate) fn warning(&self) -> Option<String> {
        let flags = self.ignored.join("; ");
        (!flags.is_empty()).then(|| format!("flags without effect: {flags}"))
    }
}

/// Where clients reach the controller, by flags. Addresses of nodes are not known in advance.
fn published(status: &Status) -> Option<PublishedAddresses> {
    let fixed = status.addresses.iter().map(|text| Address::parse(text));
    let fixed: Vec<Address> = fixed.collect();
    if fixed.is_empty() {
        status.service.clone().map(PublishedAddresses::OfService)
    } else {
        Some(PublishedAddresses::Fixed(fixed))
    }
}

struct Ports {
    http: u16,
    https: u16,
    healthz: u16,
}

impl Ports {
    fn new(flags: &Flags, preset: Preset) -> Self {
        let port = |name, in_demo| match preset {
            Preset::Demo if !flags.is_given(name) => in_demo,
            Preset::Demo | Preset::Serve | Preset::Controller => flags.port(name),
        };
        Self {
            http: port("http-port", 8080),
            https: port("https-port", 8443),
            healthz: port("healthz-port", 10254),
        }
    }

    fn check(&self) -> Result<(), Conflict> {
        let named = [
            ("http-port", self.http),
            ("https-port", self.https),
            ("healthz-port", self.healthz),
        ];
        for (index, (name, port)) in named.into_iter().enumerate() {
            let other = named
                .into_iter()
                .skip(index + 1)
                .find(|(_, other)| port != 0 && *other == port);
            if let Some((other, _)) = other {
                return Err(Conflict::SamePort(name, other, port));
            }
        }
        Ok(())
    }
}

fn check_conflicts(flags: &Flags) -> Result<(), Conflict> {
    if flags.object("publish-service").is_some() && !flags.text("publish-status-address").is_empty()
    {
        return Err(Conflict::PublishedTwice);
    }
    if !flags.text("watch-namespace").is_empty()
        && !flags.text("watch-namespace-selector").is_empty()
    {
        return Err(Conflict::WatchedTwice);
    }
    if flags.switch("metrics-per-undefined-host") && !flags.switch("metrics-per-host") {
        return Err(Conflict::UndefinedHostsOnly);
    }
    for name in ["time-buckets", "length-buckets", "size-buckets"] {
        if !crate::args::is_ascending(&flags.decimals(name)) {
            return Err(Conflict::UnsortedBuckets(name));
        }
    }
    Ok(())
}

/// How long load balancers may still send requests after readiness failed.
const PROPAGATION: Duration = Duration::from_secs(10);

fn grace(flags: &Flags, preset: Preset) -> Duration {
    let name = "shutdown-grace-period";
    if preset == Preset::Controller && !flags.is_given(name) {
        PROPAGATION
    } else {
        flags.seconds(name)
    }
}

/// In a cluster, a loopback endpoint would be the controller itself or another process of its node.
fn loopback(flags: &Flags, preset: Preset) -> bool {
    let name = "allow-loopback-upstreams";
    flags.switch(name) && (preset != Preset::Controller || flags.is_given(name))
}

/// The options of compilation.
pub(crate) fn options(flags: &Flags, preset: Preset) -> Options {
    Options {
        listeners: HttpListeners::default(), // until the sockets are bound
        class: ClassSelection {
            ingress_class: flags.text("ingress-class").into(),
            controller_class: flags.text("controller-class").into(),
            without_class: flags.switch("watch-ingress-without-class"),
            by_name: flags.switch("ingress-class-by-name"),
        },
        namespaces: namespaces(flags),
        annotations_prefix: flags.text("annotations-prefix").into(),
        deep_inspect: flags.switch("deep-inspect"),
        validate_annotations: flags.switch("enable-annotation-validation"),
        settings: flags.object("configmap"),
        tcp_services: flags.object("tcp-services-configmap"),
        udp_services: flags.object("udp-services-configmap"),
        reserved_ports: Vec::new(), // that of the admin port is known when it is bound
        default_certificate: flags.object("default-ssl-certificate"),
        default_backend: flags.object("default-backend-service"),
        disable_catch_all: flags.switch("disable-catch-all"),
        endpoints: EndpointOptions {
            external_names: !flags.switch("disable-svc-external-name"),
            loopback: loopback(flags, preset),
            topology: flags.switch("enable-topology-aware-routing"),
        },
        ssl_passthrough: flags.switch("enable-ssl-passthrough"),
        // In a cluster these are the Ingresses of other controllers.
        explain_unserved: preset != Preset::Controller,
        gateway: gateway(flags, preset),
        health_path: flags.text("health-check-path").into(),
    }
}

/// Files may always have objects of the Gateway API; in a cluster another controller may serve them.
pub(crate) fn gateway(flags: &Flags, preset: Preset) -> Option<GatewayOptions> {
    let is_enabled = preset != Preset::Controller || flags.switch("enable-gateway-api");
    is_enabled.then(|| GatewayOptions {
        controller: flags.text("gateway-controller-name").into(),
        on_ingress_ports: flags.object("gateway-on-ingress-ports"),
        ..GatewayOptions::default()
    })
}

fn namespaces(flags: &Flags) -> Namespaces {
    let one = flags.text("watch-namespace");
    let labels = flags.text("watch-namespace-selector");
    match labels.parse::<LabelSelector>() {
        _ if !one.is_empty() => Namespaces::One(one.into()),
        Ok(selector) if !labels.is_empty() => Namespaces::Selected(selector),
        // The parser of flags refuses any other text.
        Ok(_) | Err(_) => Namespaces::All,
    }
}

fn proxy(flags: &Flags, ports: &Ports, preset: Preset, system: &System) -> headgate_proxy::Config {
    let mut bind = flags.addresses("bind-address");
    if bind.is_empty() && preset == Preset::Demo {
        bind.push(Ipv4Addr::LOCALHOST.into());
    }
    let workers = usize::try_from(flags.number("workers")).unwrap_or(usize::MAX);
    headgate_proxy::Config {
        bind,
        http_port: ports.http,
        https_port: ports.https,
        workers: if workers == 0 { system.cpus } else { workers },
        loopback_upstreams: loopback(flags, preset),
        max_connections: system.max_connections(),
        response_buffers: system.response_buffers(),
        request_buffers: system.request_buffers(),
        memory: system.memory_limit(),
        completes_chains: flags.switch("enable-ssl-chain-completion"),
        locations: LocationFiles {
            directory: flags.text("maxmind-directory").into(),
            editions: editions(flags),
        },
        access_log: AccessLog::Stdout,
        stream_log: AccessLog::Stdout,
        tracing: system.tracing.clone(),
        labels: MetricLabels {
            namespace: system.pod_namespace.as_str().into(),
            class: flags.text("controller-class").into(),
            pod: system.pod_name.as_str().into(),
        },
        metrics_per_host: flags.switch("metrics-per-host"),
        metrics_per_undefined_host: flags.switch("metrics-per-undefined-host"),
        counts_all_hosts: false, // unless there is a console
        status_classes: flags.switch("report-status-classes"),
        commit: COMMIT.unwrap_or("unknown"),
        excluded_metrics: flags.list("exclude-socket-metrics"),
        buckets: Buckets {
            time: flags.decimals("time-buckets"),
            length: flags.decimals("length-buckets"),
            size: flags.decimals("size-buckets"),
        },
    }
}

/// The databases of locations.
fn editions(flags: &Flags) -> Vec<String> {
    let list = flags.text("maxmind-edition-ids");
    let names = list.split(',').map(str::trim);
    // A name is the name of a file, not a path.
    let names = names.filter(|name| !name.is_empty() && !name.contains('/'));
    names.map(str::to_owned).collect()
}

/// The console; `None`: switched off.
fn console(
    flags: &Flags,
    preset: Preset,
    system: &System,
) -> Result<Option<ConsoleOptions>, Conflict> {
    let Some(HostPort { host, port }) = flags.host_port("console-address") else {
        return Ok(None);
    };
    let address = SocketAddr::new(host.unwrap_or_else(|| system.all_addresses()), port);
    let token = flags.file("console-token-file");
    if token.is_none() && !address.ip().is_loopback() {
        return Err(Conflict::ConsoleWithoutToken(address));
    }
    Ok(Some(ConsoleOptions {
        address,
        is_default: !flags.is_given("console-address"),
        token,
        hosts: flags.list("console-hosts"),
        instance: Instance {
            command: preset.as_str().to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            namespace: system.pod_namespace.clone(),
            pod: system.pod_name.clone(),
            started_unix_seconds: 0, // the kernel says it
        },
    }))
}

fn admin_address(flags: &Flags, preset: Preset, system: &System) -> IpAddr {
    match (flags.address("healthz-host"), preset) {
        (Some(address), _) => address,
        (None, Preset::Demo) if !flags.is_given("healthz-host") => Ipv4Addr::LOCALHOST.into(),
        (None, _) => system.all_addresses(),
    }
}

/// As in ingress-nginx: reconfigurations from 2 on, objects from 5 on.
fn log_level(flags: &Flags) -> tracing::Level {
    match flags.number("v") {
        0 | 1 => tracing::Level::INFO,
        2..=4 => tracing::Level::DEBUG,
        5.. => tracing::Level::TRACE,
    }
}

fn ignored(flags: &Flags, preset: Preset) -> Vec<String> {
    let reason = |flag: &crate::args::Flag| {
        flag.without_effect(preset)
            .map(|reason| format!("--{} ({reason})", flag.name))
    };
    let mut ignored: Vec<String> = flags.given().filter_map(reason).collect();
    let shares = flags.object("gateway-on-ingress-ports").is_some();
    if shares && gateway(flags, preset).is_none() {
        ignored.push("--gateway-on-ingress-ports (--enable-gateway-api is not set)".to_owned());
    }
    ignored
}
