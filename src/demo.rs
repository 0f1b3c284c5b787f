//! `headgate demo`: the examples compiled into the program, served in front of an echo backend for every Service, all in
//! one process, with lines to try.

use std::collections::BTreeMap;
use std::future::pending;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use headgate_compile::{Change, Name, Object, Service};
use headgate_manifest::{Source, SourceOptions};
use k8s_openapi::api::discovery::v1::{Endpoint, EndpointPort, EndpointSlice};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use tokio::net::TcpListener;

use crate::app::{self, Addresses, Serving};
use crate::echo;
use crate::examples::EXAMPLES;
use crate::reconciler::{Batch, Feed, Input};

/// Serves the examples until SIGTERM or SIGINT.
pub(crate) async fn run(serving: Serving) -> Result<()> {
    let folder = Folder::create()?;
    let source = Source::open(vec![folder.0.clone()], SourceOptions::default())?;
    let feed = Backends {
        source,
        started: false,
    };
    app::run(serving, feed, |addresses| {
        print!("{}", welcome(addresses, &folder.0))
    })
    .await
}

/// The examples as files in a folder of their own, so that they can be edited while they are served. Removed at the end.
struct Folder(PathBuf);

impl Folder {
    fn create() -> Result<Self> {
        let path = std::env::temp_dir().join(format!("headgate-demo-{}", std::process::id()));
        std::fs::create_dir(&path).with_context(|| format!("creating {}", path.display()))?;
        let folder = Self(path);
        for (name, text) in EXAMPLES {
            let file = folder.0.join(name);
            std::fs::write(&file, text).with_context(|| format!("writing {}", file.display()))?;
        }
        Ok(folder)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What is left behind is a folder of examples in the system's temporary folder.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// The examples' files, with the endpoints of the backends that were started for their Services.
struct Backends {
    source: Source,
    started: bool,
}

impl Feed for Backends {
    async fn next(&mut self) -> Input {
        let batch = self.source.changes().await;
        let mut changes = batch.changes;
        if !self.started {
            self.started = true;
            let slices = start_backends(&changes);
            changes.extend(
                slices
                    .into_iter()
                    .map(|slice| Change::Apply(Object::from(slice))),
            );
        }
        Input::Batch(Batch {
            changes,
            documents: batch.findings,
            arrived: batch.arrived,
            is_stale: false,
        })
    }
}

/// Starts an echo backend for every Service that has endpoints of its own, and says where they are.
fn start_backends(changes: &[Change]) -> Vec<EndpointSlice> {
    let services = changes.iter().filter_map(|change| match change {
        Change::Apply(Object::Service(service)) => Some(&**service),
        _ => None,
    });
    services
        .filter(|service| !service.is_external())
        .filter_map(|service| match start_backend(service) {
            Ok(slice) => Some(slice),
            Err(error) => {
                tracing::error!(service = %service.name(), %error, "no backend for this Service");
                None
            }
        })
        .collect()
}

fn start_backend(service: &Service) -> Result<EndpointSlice> {
    let Name { namespace, name } = service.name();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").context("binding a backend")?;
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

/// What to try, with the ports that were bound.
fn welcome(addresses: &Addresses, folder: &Path) -> String {
    let port = |of: &[SocketAddr]| of.first().map_or(0, SocketAddr::port);
    let (http, https) = (port(&addresses.http), port(&addresses.https));
    let admin = addresses.admin.port();
    let api =
        format!("--resolve api.ecommerce.com:{https}:127.0.0.1 https://api.ecommerce.com:{https}");
    format!(
        "\n\
Headgate serves an example shop: http on port {http}, https on port {https}.\n\
\n\
Host and path routing, with TLS from a Secret:\n  curl -k {api}/users/7\n  curl -k --resolve www.ecommerce.com:{https}:127.0.0.1 https://www.ecommerce.com:{https}/\n\
Plain http is redirected to https (308):\n  curl -i --resolve api.ecommerce.com:{http}:127.0.0.1 http://api.ecommerce.com:{http}/users/7\n\
A tenth of the requests goes to the canary; a header asks for it:\n  for i in $(seq 20); do curl -sk {api}/products | grep -o '\"name\":\"[^\"]*\"'; done\n  curl -k -H 'X-Canary: always' {api}/products\n\
A rate limit (503 once the burst is used up):\n  for i in $(seq 40); do curl -sk -o /dev/null -w '%{{http_code}} ' {api}/orders; done; echo\n\
A session that stays on its backend:\n  curl -ik --resolve cart.ecommerce.com:{https}:127.0.0.1 https://cart.ecommerce.com:{https}/\n\
Rewriting, WebSocket, gRPC and more: see the files, which take effect when they are edited:\n  {}\n\
What is served, what is wrong, and the metrics:\n  curl http://127.0.0.1:{admin}/debug/table\n  curl http://127.0.0.1:{admin}/debug/findings\n  curl http://127.0.0.1:{admin}/metrics\n\
\n\
Stop with Ctrl-C. The access log follows.\n\n",
        folder.display()
    )
}
