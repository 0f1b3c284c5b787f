//! `headgate demo`: the built-in examples, with an echo backend for every Service in the same process, and commands to
//! try.

mod traffic;

use std::collections::BTreeMap;
use std::future::pending;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use headgate_compile::{Name, Service};
use headgate_manifest::{Source, SourceOptions};
use k8s_openapi::api::discovery::v1::{Endpoint, EndpointPort, EndpointSlice};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use rustls::RootCertStore;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

use crate::app::{self, Addresses, Serving};
use crate::echo;
use crate::examples::EXAMPLES;
use crate::serve::Files;

/// The file with the endpoints of the backends.
const ENDPOINTS: &str = "endpoints.json";

/// Serves the examples until SIGTERM or SIGINT, or until its terminal is closed.
pub(crate) async fn run(serving: Serving, has_traffic: bool) -> Result<()> {
    let directory = Directory::create()?;
    let roots = start_backends(&directory).await?;
    let feed = Files(directory.source()?);
    let mut hung_up = signal(SignalKind::hangup()).context("listening for SIGHUP")?;
    let served = app::run(serving, feed, |addresses| {
        print!("{}", welcome(addresses, &directory.0, has_traffic));
        if has_traffic {
            tokio::spawn(traffic::run(addresses.https.clone(), roots));
        }
    });
    tokio::select! {
        result = served => result,
        _ = hung_up.recv() => Ok(()),
    }
}

/// The examples as files in a temporary directory, so that they can be edited while they are served. Removed at the end.
struct Directory(PathBuf);

impl Directory {
    fn create() -> Result<Self> {
        let path = std::env::temp_dir().join(format!("headgate-demo-{}", std::process::id()));
        std::fs::create_dir(&path).with_context(|| format!("creating {}", path.display()))?;
        let directory = Self(path);
        for (name, text) in EXAMPLES {
            let file = directory.0.join(name);
            std::fs::write(&file, text).with_context(|| format!("writing {}", file.display()))?;
        }
        Ok(directory)
    }

    fn source(&self) -> Result<Source> {
        let paths = vec![self.0.clone()];
        Ok(Source::open(paths, SourceOptions::default())?)
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        // At worst a directory of examples stays behind among temporary files.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Starts an echo backend for every Service except ExternalName ones, and writes their EndpointSlices beside the examples.
/// Returns the authorities of the examples.
async fn start_backends(directory: &Directory) -> Result<RootCertStore> {
    let mut source = directory.source()?;
    source.changes().await;
    let mut slices = String::new();
    for service in source.snapshot().all::<Service>() {
        if service.is_external() {
            continue;
        }
        match start_backend(service) {
            Ok(slice) => slices += &serde_json::to_string(&slice).context("writing a slice")?,
            Err(error) => {
                tracing::error!(service = %service.name(), %error, "cannot start a backend");
            }
        }
    }
    let file = directory.0.join(ENDPOINTS);
    std::fs::write(&file, slices).with_context(|| format!("writing {}", file.display()))?;
    Ok(traffic::roots(source.snapshot()))
}

fn start_backend(service: &Service) -> Result<EndpointSlice> {
    let Name { namespace, name } = service.name();
    let listener =
        std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("binding a backend")?;
    listener
        .set_nonblocking(true)
        .context("preparing a backend")?;
    let port = i32::from(
        listener
            .local_addr()
            .context("reading a backend's port")?
            .port(),
    );
    let listener = TcpListener::from_std(listener).context("starting a backend")?;
    tokio::spawn(echo::serve(listener, name.clone(), pending()));
    let ports = service.port_names().map(|name| EndpointPort {
        name: name.map(str::to_owned),
        port: Some(port),
        ..EndpointPort::default()
    });
    let label = ("kubernetes.io/service-name".to_owned(), name.to_string());
    Ok(EndpointSlice {
        metadata: ObjectMeta {
            name: Some(format!("{name}-demo")),
            namespace: Some(namespace.to_string()),
            labels: Some(BTreeMap::from([label])),
            ..ObjectMeta::default()
        },
        address_type: "IPv4".into(),
        endpoints: Some(vec![Endpoint {
            addresses: vec!["127.0.0.1".into()],
            ..Endpoint::default()
        }]),
        ports: Some(ports.collect()),
    })
}

/// Commands to try, with the bound ports.
fn welcome(addresses: &Addresses, directory: &Path, has_traffic: bool) -> String {
    let port = |of: &[SocketAddr]| of.first().map_or(0, SocketAddr::port);
    let (http, https) = (port(&addresses.http), port(&addresses.https));
    let admin = addresses.admin.port();
    let api =
        format!("--resolve api.ecommerce.com:{https}:127.0.0.1 https://api.ecommerce.com:{https}");
    let console = addresses.console.map_or_else(String::new, |address| {
        format!("Console, for a browser:\n  http://{address}/\n\n")
    });
    let traffic = match has_traffic {
        true => " A few requests each second are the demo's own (--no-traffic: none).",
        false => "",
    };
    format!(
        "\n\
{console}\
Headgate is serving an example shop on ports {http} (http) and {https} (https).\n\
\n\
Host and path routing, with TLS from a Secret:\n  curl -k {api}/users/7\n  curl -k --resolve www.ecommerce.com:{https}:127.0.0.1 https://www.ecommerce.com:{https}/\n\
Redirect from http to https (308):\n  curl -i --resolve api.ecommerce.com:{http}:127.0.0.1 http://api.ecommerce.com:{http}/users/7\n\
Canary: a tenth of the requests, and every request with this header:\n  for i in $(seq 20); do curl -sk {api}/products | grep -o '\"name\":\"[^\"]*\"'; done\n  curl -k -H 'X-Canary: always' {api}/products\n\
Rate limit (503 after the burst):\n  for i in $(seq 40); do curl -sk -o /dev/null -w '%{{http_code}} ' {api}/orders; done; echo\n\
Session affinity by cookie:\n  curl -ik --resolve cart.ecommerce.com:{https}:127.0.0.1 https://cart.ecommerce.com:{https}/\n\
A Gateway with an HTTPRoute: a header selects version 2, and an old path is redirected:\n  curl -H 'Host: gateway.ecommerce.com' -H 'X-Version: 2' http://127.0.0.1:8090/products\n  curl -i -H 'Host: gateway.ecommerce.com' http://127.0.0.1:8090/catalogue/7\n\
Rewrites, WebSocket, gRPC and more are in these files; edit them, and changes are served at once:\n  {}\n\
Routing table, findings and metrics:\n  curl http://127.0.0.1:{admin}/debug/table\n  curl http://127.0.0.1:{admin}/debug/findings\n  curl http://127.0.0.1:{admin}/metrics\n\
\n\
Stop with Ctrl-C. The access log follows.{traffic}\n\n",
        directory.display()
    )
}
