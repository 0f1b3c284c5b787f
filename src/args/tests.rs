//! Command lines and what they mean.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::collections::BTreeSet;
use std::time::Duration;

use headgate_compile::{EndpointOptions, GatewayOptions, Name, Namespaces};

use super::*;
use crate::config::WebhookCertificate;

fn system() -> System {
    System {
        cpus: 3,
        open_files: 21_024,
        has_ipv6: true,
        memory: None,
        pod_name: "pod".to_owned(),
        pod_namespace: "ingress".to_owned(),
        host_name: "machine".to_owned(),
        tracing: headgate_proxy::TracingEnvironment::default(),
    }
}

fn run(line: &str) -> Result<Invocation, clap::Error> {
    let words = std::iter::once("headgate").chain(line.split_whitespace());
    try_invocation(words.map(OsString::from), &system())
}

fn serve(line: &str) -> Config {
    match run(&format!("serve dir {line}")) {
        Ok(Invocation::Serve(config, _)) => *config,
        Ok(_) => panic!("not serve"),
        Err(error) => panic!("{line}: {error}"),
    }
}

fn controller(line: &str) -> Config {
    match run(&format!("controller {line}")) {
        Ok(Invocation::Controller(config)) => *config,
        Ok(_) => panic!("not controller"),
        Err(error) => panic!("{line}: {error}"),
    }
}

fn refused(line: &str) -> String {
    let error = run(line)
        .err()
        .unwrap_or_else(|| panic!("{line} is accepted"));
    assert_eq!(error.exit_code(), 2, "{line}");
    error.to_string()
}

#[test]
fn a_cluster_is_served_with_gateways_where_a_flag_says_so() {
    let gateway = |flags| controller(flags).serving.options.gateway;
    assert_eq!(gateway(""), None);
    let own = gateway("--enable-gateway-api --gateway-controller-name=example.com/own").unwrap();
    assert_eq!(&*own.controller, "example.com/own");
    assert_eq!(own.ports, None, "without a Service of the controller");
    let published = "--enable-gateway-api --publish-service=infra/headgate";
    let ports = gateway(published).unwrap().ports;
    let record = Name::new("ingress", "ingress-controller-leader-gateway-ports");
    assert_eq!(ports, Some(record));
    let none = format!("{published} --gateway-port-range=none");
    assert_eq!(gateway(&none).unwrap().ports, None);
}

#[test]
fn the_parser_is_consistent() {
    Args::command().debug_assert();
}

#[test]
fn defaults_are_those_of_ingress_nginx() {
    let Config {
        serving,
        cluster: None,
        log_level,
        ignored,
    } = serve("")
    else {
        panic!("serve needs no cluster")
    };
    let defaults = headgate_compile::Options {
        endpoints: EndpointOptions {
            loopback: true,
            ..Default::default()
        },
        explain_unserved: true,
        gateway: Some(GatewayOptions::default()),
        ..Default::default()
    };
    assert_eq!(format!("{:?}", serving.options), format!("{defaults:?}"));
    let proxy = serving.proxy;
    assert_eq!((proxy.http_port, proxy.https_port), (80, 443));
    assert_eq!(
        (proxy.bind.len(), proxy.workers, proxy.max_connections),
        (0, 3, 10_000)
    );
    assert!(proxy.metrics_per_host && !proxy.metrics_per_undefined_host && !proxy.status_classes);
    assert!(proxy.loopback_upstreams);
    assert_eq!(
        (&*proxy.labels.namespace, &*proxy.labels.pod),
        ("ingress", "pod")
    );
    assert_eq!(&*proxy.labels.class, "k8s.io/ingress-nginx");
    assert_eq!(serving.admin.to_string(), "[::]:10254");
    assert_eq!(
        (serving.grace, log_level),
        (Duration::ZERO, tracing::Level::INFO)
    );
    assert!(ignored.is_empty());
}

#[test]
fn a_controller_has_a_cluster() {
    let Config {
        serving,
        cluster: Some(cluster),
        ignored,
        ..
    } = controller("")
    else {
        panic!("a controller has a cluster")
    };
    assert!(ignored.is_empty());
    assert_eq!(serving.grace, Duration::from_secs(10));
    assert!(!serving.options.endpoints.loopback && !serving.proxy.loopback_upstreams);
    assert_eq!(cluster.pod, Name::new("ingress", "pod"));
    let election = cluster.election.unwrap();
    assert_eq!(
        (election.lease, election.ttl),
        (
            Name::new("ingress", "ingress-controller-leader"),
            Duration::from_secs(30)
        )
    );
    assert_eq!(cluster.status.unwrap().interval, Duration::from_secs(60));
    assert!(cluster.webhook.is_none() && cluster.cache.is_none() && cluster.resync.is_zero());
    assert!(cluster.sync_events);

    let config = controller(
        "--shutdown-grace-period=0 --allow-loopback-upstreams --update-status=false --disable-leader-election --status-update-interval=1 --cache-dir=/c --validating-webhook=:8443 --validating-webhook-service=ns/hook --publish-status-address=a,b",
    );
    assert_eq!(config.serving.grace, Duration::ZERO);
    assert!(config.serving.options.endpoints.loopback);
    let cluster = config.cluster.unwrap();
    assert!(cluster.status.is_none() && cluster.election.is_none());
    assert_eq!(cluster.cache.unwrap().directory, PathBuf::from("/c"));
    let webhook = cluster.webhook.unwrap();
    assert_eq!(webhook.address.to_string(), "[::]:8443");
    let WebhookCertificate::Managed {
        secret, service, ..
    } = webhook.certificate
    else {
        panic!("no files were given")
    };
    assert_eq!(
        (secret, service),
        (Name::new("ingress", "hook"), Name::new("ns", "hook"))
    );

    let status = controller("--status-update-interval=1 --publish-status-address=a,,b")
        .cluster
        .unwrap()
        .status
        .unwrap();
    assert_eq!(status.interval, Duration::from_secs(5));
    assert_eq!(status.addresses, ["a", "b"]);
}

#[test]
fn selectors_have_the_api_servers_grammar() {
    for text in ["a=b", "a==b,c!=d", "a", "!a", "example.com/a=b", "a=", ""] {
        let config = controller(&format!("--watch-namespace-selector={text}"));
        let selected = match config.serving.options.namespaces {
            Namespaces::Selected(selector) => selector.to_string(),
            _ => String::new(),
        };
        assert_eq!(selected, text);
    }
    assert_eq!(parse::selector("a in (b, c),d notin (e),!f"), Ok(()));
    for text in [
        "a b", "a in b", "a in (b", "a=b,,c", "=b", "a in ()", "a=(b)",
    ] {
        assert!(parse::selector(text).is_err(), "{text}");
    }
}

#[test]
fn forms_of_flags() {
    let paths = |line: &str| match run(line).unwrap() {
        Invocation::Serve(config, paths) => (*config, paths),
        _ => panic!("not serve"),
    };
    let (config, dirs) = paths("serve a --http-port=0 b --https-port 0 --healthz-port 0");
    assert_eq!(dirs, [PathBuf::from("a"), PathBuf::from("b")]);
    assert_eq!(
        (
            config.serving.proxy.http_port,
            config.serving.proxy.https_port
        ),
        (0, 0)
    );
    assert_eq!(config.serving.admin.port(), 0);

    // The word after a bare switch is not its value.
    let (config, dirs) = paths("serve --watch-ingress-without-class dir");
    assert!(config.serving.options.class.without_class && dirs == [PathBuf::from("dir")]);

    for (line, expected) in [
        ("", false),
        ("=true", true),
        ("=1", true),
        ("=T", true),
        ("=false", false),
        ("=0", false),
        ("=f", false),
    ] {
        let flag = if line.is_empty() {
            String::new()
        } else {
            format!("--ingress-class-by-name{line}")
        };
        assert_eq!(
            serve(&flag).serving.options.class.by_name,
            expected,
            "{flag}"
        );
    }

    for (line, level) in [
        ("-v=2", tracing::Level::DEBUG),
        ("-v 2", tracing::Level::DEBUG),
        ("--v=5", tracing::Level::TRACE),
        ("--v=1", tracing::Level::INFO),
    ] {
        assert_eq!(serve(line).log_level, level, "{line}");
    }

    // The last one wins; addresses accumulate.
    assert_eq!(
        serve("--http-port=1 --http-port=2").serving.proxy.http_port,
        2
    );
    let bind = serve("--bind-address 127.0.0.1 --bind-address=::1,[::2]")
        .serving
        .proxy
        .bind;
    assert_eq!(
        bind.iter().map(ToString::to_string).collect::<Vec<_>>(),
        ["127.0.0.1", "::1", "::2"]
    );
}

#[test]
fn flags_set_the_configuration() {
    let serving = serve(
        "--configmap=a/b --default-ssl-certificate=c/d --default-backend-service e/f --annotations-prefix=example.com \
         --ingress-class=internal --controller-class=example.com/x --watch-namespace=ns --disable-catch-all \
         --disable-svc-external-name --enable-annotation-validation=false --health-check-path=/well \
         --allow-loopback-upstreams=false --workers=7 --healthz-host=localhost --shutdown-grace-period=5 \
         --report-status-classes --metrics-per-undefined-host --enable-ssl-passthrough",
    )
    .serving;
    let options = serving.options;
    assert_eq!(options.settings, Some(Name::new("a", "b")));
    assert_eq!(options.default_certificate, Some(Name::new("c", "d")));
    assert_eq!(options.default_backend, Some(Name::new("e", "f")));
    assert_eq!(
        (&*options.annotations_prefix, &*options.health_path),
        ("example.com", "/well")
    );
    assert_eq!(
        (
            &*options.class.ingress_class,
            &*options.class.controller_class
        ),
        ("internal", "example.com/x")
    );
    assert_eq!(options.namespaces, Namespaces::One("ns".into()));
    assert!(options.ssl_passthrough && options.explain_unserved);
    let selected = serve("--watch-namespace-selector=a=b").serving.options;
    let selector = "a=b".parse().unwrap();
    assert_eq!(selected.namespaces, Namespaces::Selected(selector));
    assert!(!controller("").serving.options.explain_unserved);
    assert!(
        options.disable_catch_all
            && !options.endpoints.external_names
            && !options.validate_annotations
    );
    assert!(!options.endpoints.loopback && !serving.proxy.loopback_upstreams);
    assert!(serving.proxy.status_classes && serving.proxy.metrics_per_undefined_host);
    assert_eq!(serving.proxy.workers, 7);
    assert_eq!(serving.admin.to_string(), "127.0.0.1:10254");
    assert_eq!(serving.grace, Duration::from_secs(5));
    // An empty value means none.
    assert_eq!(serve("--configmap=").serving.options.settings, None);
}

#[test]
fn a_gateway_on_the_ports_of_ingresses_needs_the_gateway_api() {
    const FLAG: &str = "--gateway-on-ingress-ports=infra/edge";
    let warning = controller(FLAG).warning();
    assert_eq!(
        warning.as_deref(),
        Some("flags without effect: --gateway-on-ingress-ports (--enable-gateway-api is not set)")
    );
    let enabled = controller(&format!("{FLAG} --enable-gateway-api"));
    assert_eq!(enabled.warning(), None);
    assert_eq!(serve(FLAG).warning(), None);
}

/// Arguments that the chart of ingress-nginx writes, and common additions.
#[test]
fn arguments_of_an_existing_deployment_are_accepted() {
    let config = serve(
        "--publish-service=ingress-nginx/ingress-nginx-controller --election-id=ingress-nginx-leader \
         --controller-class=k8s.io/ingress-nginx --ingress-class=nginx --configmap=ingress-nginx/ingress-nginx-controller \
         --tcp-services-configmap=ingress-nginx/tcp --udp-services-configmap=ingress-nginx/udp \
         --validating-webhook=:8443 --validating-webhook-certificate=/usr/local/certificates/cert \
         --validating-webhook-key=/usr/local/certificates/key --watch-ingress-without-class=true \
         --default-ssl-certificate=ingress-nginx/wildcard --enable-metrics=false --enable-ssl-passthrough \
         --time-buckets=0.1,1,10 --election-ttl=1m30s --sync-period=10h --exclude-socket-metrics=a,b --v=3 \
         --logtostderr=true --log_file=x --log_dir=/tmp --vmodule=store=4 --stderrthreshold=INFO",
    );
    let warning = config.warning().unwrap();
    assert!(warning.starts_with("flags without effect: --"), "{warning}");
    for name in [
        "publish-service",
        "validating-webhook",
        "enable-metrics",
        "log_file",
        "election-ttl",
    ] {
        assert!(
            warning.contains(&format!("--{name} (")),
            "{name}: {warning}"
        );
    }
    assert!(
        !warning.contains("--configmap") && !warning.contains("--v "),
        "{warning}"
    );
    assert_eq!(serve("--http-port=8080").warning(), None);
}

/// The default of every flag is one of its values.
#[test]
fn every_flag_is_accepted_with_its_default() {
    let mut names = BTreeSet::new();
    for flag in FLAGS.iter().filter(|flag| flag.name != "version") {
        assert!(names.insert(flag.name), "{} twice", flag.name);
        let is_list = flag.kind == Kind::Addresses;
        assert!(
            is_list || flag.kind.parse(flag.default).is_ok(),
            "{}",
            flag.name
        );
        if !is_list {
            let ignored = serve(&format!("--{}={}", flag.name, flag.default)).ignored;
            assert_eq!(
                ignored.len(),
                usize::from(flag.without_effect(Preset::Serve).is_some()),
                "{}",
                flag.name
            );
        }
    }
    assert!(names.len() > 80, "{}", names.len());
}

#[test]
fn errors_name_the_flag_and_what_is_expected() {
    let cases = [
        ("serve dir --no-such-flag", "--no-such-flag", ""),
        ("serve dir --htp-port=80", "--htp-port", "--http-port"),
        (
            "serve dir --http-port=eighty",
            "--http-port",
            "from 0 to 65535",
        ),
        (
            "serve dir --https-port 65536",
            "--https-port",
            "from 0 to 65535",
        ),
        (
            "serve dir --configmap=nameonly",
            "--configmap",
            "namespace/name",
        ),
        (
            "serve dir --configmap=a/b/c",
            "--configmap",
            "namespace/name",
        ),
        (
            "serve dir --enable-metrics=maybe",
            "--enable-metrics",
            "true or false",
        ),
        ("serve dir --election-ttl=30", "--election-ttl", "30s"),
        ("serve dir --election-ttl=1x", "--election-ttl", "30s"),
        (
            "serve dir --time-buckets=1,1",
            "--time-buckets",
            "ascending",
        ),
        (
            "serve dir --bind-address=example.com",
            "--bind-address",
            "IP address",
        ),
        (
            "serve dir --healthz-host=example.com",
            "--healthz-host",
            "localhost",
        ),
        (
            "serve dir --annotations-prefix=Example/",
            "--annotations-prefix",
            "DNS name",
        ),
        (
            "serve dir --health-check-path=healthz",
            "--health-check-path",
            "begins with /",
        ),
        ("serve dir --workers=-1", "--workers", "whole number"),
        (
            "controller --watch-namespace-selector=team=a=b",
            "--watch-namespace-selector",
            "team=shop",
        ),
        (
            "controller --watch-namespace-selector=team(x)",
            "--watch-namespace-selector",
            "team=shop",
        ),
        (
            "controller --validating-webhook=:8443",
            "--validating-webhook",
            "--validating-webhook-service",
        ),
        (
            "controller --validating-webhook=:8443 --validating-webhook-key=k",
            "--validating-webhook-certificate",
            "both or none",
        ),
        (
            "serve dir --validating-webhook=8443",
            "--validating-webhook",
            ":port",
        ),
        ("serve dir --http-port", "--http-port", "PORT"),
        ("serve", "PATH", ""),
        (
            "serve dir --publish-service=a/b --publish-status-address=1.2.3.4",
            "--publish-service",
            "--publish-status-address",
        ),
        (
            "serve dir --watch-namespace=a --watch-namespace-selector=b=c",
            "--watch-namespace",
            "--watch-namespace-selector",
        ),
        (
            "serve dir --http-port=80 --https-port=80",
            "--http-port",
            "--https-port",
        ),
        ("demo --healthz-port=8080", "--http-port", "--healthz-port"),
        (
            "serve dir --console-address=10.0.0.1:0",
            "--console-address 10.0.0.1:0",
            "--console-token-file",
        ),
        (
            "serve dir --metrics-per-host=false --metrics-per-undefined-host",
            "--metrics-per-undefined-host",
            "--metrics-per-host",
        ),
        ("proxy", "proxy", ""),
    ];
    for (line, named, right) in cases {
        let message = refused(line);
        assert!(
            message.contains(named) && message.contains(right),
            "{line}: {message}"
        );
    }
}

#[test]
fn the_console_is_on_loopback_unless_it_has_a_token() {
    let console = |line: &str| serve(line).serving.console;
    let default = console("").unwrap();
    assert_eq!(default.address.to_string(), "127.0.0.1:10243");
    assert!(default.is_default && default.token.is_none());
    assert_eq!(default.instance.command, "serve");
    assert!(serve("").serving.proxy.counts_all_hosts);
    let own = console("--console-address=:0 --console-token-file=/token --console-hosts=a,b");
    let own = own.unwrap();
    assert_eq!(
        (own.address.to_string(), own.is_default),
        ("[::]:0".to_owned(), false)
    );
    assert_eq!((own.hosts.len(), own.token), (2, Some("/token".into())));
    assert!(console("--console-address=").is_none());
    assert!(!serve("--console-address=").serving.proxy.counts_all_hosts);
}

#[test]
fn durations_are_those_of_go() {
    let cases = [
        ("0", Some(0.0)),
        ("30s", Some(30.0)),
        ("1h30m", Some(5400.0)),
        ("1.5h", Some(5400.0)),
        ("500ms", Some(0.5)),
        ("250µs", Some(0.000_25)),
        ("", None),
        ("30", None),
        ("s", None),
        ("-1s", None),
        ("1s2", None),
        ("99999999999999999999h", None),
    ];
    for (text, seconds) in cases {
        assert_eq!(
            duration(text).ok(),
            seconds.map(Duration::from_secs_f64),
            "{text:?}"
        );
    }
}

#[test]
fn the_demo_listens_on_loopback_by_default() {
    let demo = |line: &str| match run(line).unwrap() {
        Invocation::Demo(config, _) => config.serving,
        _ => panic!("not demo"),
    };
    let serving = demo("demo");
    assert_eq!(
        (serving.proxy.http_port, serving.proxy.https_port),
        (8080, 8443)
    );
    assert_eq!(serving.admin.to_string(), "127.0.0.1:10254");
    assert_eq!(
        serving
            .proxy
            .bind
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>(),
        ["127.0.0.1"]
    );
    let serving = demo("demo --http-port=0 --bind-address=::1 --healthz-host=");
    assert_eq!((serving.proxy.http_port, serving.proxy.bind.len()), (0, 1));
    assert_eq!(serving.admin.to_string(), "[::]:10254");
}

#[test]
fn version_and_help_exit_with_success() {
    for line in [
        "--version",
        "serve --version",
        "--help",
        "serve --help",
        "help serve",
    ] {
        assert_eq!(run(line).err().unwrap().exit_code(), 0, "{line}");
    }
    assert!(matches!(run("flags"), Ok(Invocation::Flags)));
    assert!(matches!(run("echo --name a"), Ok(Invocation::Echo(_))));
}

#[test]
fn the_page_has_a_row_for_each_flag() {
    let page = flags_markdown();
    assert_eq!(page.lines().count(), FLAGS.len() + 2);
    assert!(page.contains(
        "| `--http-port` | `80` | Port for plain HTTP; 0: any free port | honoured |  |\n"
    ));
    assert!(
        page.lines()
            .all(|row| row.replace("\\|", "").matches('|').count() == 6),
        "{page}"
    );
}
