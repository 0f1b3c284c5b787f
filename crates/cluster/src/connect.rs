//! Finds the API server and builds a client for it.
//!
//! Not the library's default client: here connections notice a vanished peer within half a minute, a rejected token is
//! read again at once, no proxy of the environment is used, and retries and logs are left to the callers.

mod token;

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use http::header::USER_AGENT;
use http::{HeaderValue, Uri};
use hyper_util::client::legacy::Client as HttpClient;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::dns::Name;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use kube::client::{Body, ConfigExt as _};
use kube::config::{AuthInfo, InClusterError, KubeConfigOptions, Kubeconfig, KubeconfigError};
use kube::{Client, Config};
use tower::util::option_layer;
use tower::{Layer as _, Service, service_fn};

use token::{ResponseTimeout, TokenFile, TokenLayer};

/// Timeout of opening a connection.
const CONNECT: Duration = Duration::from_secs(5);
/// Timeout from the start of a request, connecting included, to the head of its response.
const RESPONSE: Duration = Duration::from_secs(30);
/// TCP keepalive: idle time before the first probe; further ones follow after each [`PROBE`].
const KEEPALIVE: Duration = Duration::from_secs(10);
/// See [`KEEPALIVE`].
const PROBE: Duration = Duration::from_secs(5);
/// `TCP_USER_TIMEOUT`: longest time that sent data may stay unacknowledged.
const UNACKNOWLEDGED: Duration = Duration::from_secs(20);
/// Unused connections are closed after this time.
const IDLE: Duration = Duration::from_secs(30);

/// Flags that select the API server.
#[derive(Clone, Debug, Default)]
pub struct ConnectOptions {
    /// Its URL (`--apiserver-host`). Default `None`: as in the kubeconfig or the pod's environment.
    pub apiserver: Option<String>,
    /// File of the CAs that its certificate is verified against (`--certificate-authority`); only with `apiserver`.
    /// Default `None`: the system's CAs.
    pub certificate_authority: Option<PathBuf>,
    /// A kubeconfig file (`--kubeconfig`). Default `None`.
    pub kubeconfig: Option<PathBuf>,
}

/// A client and its API server.
#[derive(Clone)]
pub struct Connected {
    /// The client; cheap to clone. It has sent no request yet.
    pub client: Client,
    /// URL of the API server.
    pub server: String,
}

/// Why there is no client. An unreachable API server is not among these: no request is sent.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "the messages say it")]
pub enum ConnectError {
    #[error("invalid URL of the API server: {url:?}")]
    Url {
        url: String,
        source: http::uri::InvalidUri,
    },
    #[error("kubeconfig {file}")]
    Kubeconfig {
        file: String,
        source: Box<KubeconfigError>,
    },
    #[error("kubeconfig {file}: proxies are not supported (proxy-url {proxy})")]
    Proxy { file: String, proxy: String },
    #[error("the pod's service account")]
    InCluster { source: Box<InClusterError> },
    #[error("certificate authority {file}")]
    Authority { file: String, source: io::Error },
    #[error("token {file}")]
    Token { file: String, source: io::Error },
    #[error(
        "no API server: not in a pod (no KUBERNETES_SERVICE_HOST), and no kubeconfig in $KUBECONFIG or ~/.kube/config; \
         give --kubeconfig or --apiserver-host"
    )]
    Nowhere { source: Box<KubeconfigError> },
    #[error("setting up the connection to {url}")]
    Setup {
        url: String,
        source: Box<kube::Error>,
    },
}

/// A client for the URL or file in `options`, else for the pod's environment, else for `$KUBECONFIG` or
/// `~/.kube/config`. Needs a tokio runtime.
///
/// # Errors
/// When a file cannot be read or is invalid. An unreachable API server is not an error here.
pub async fn connect(options: &ConnectOptions) -> Result<Connected, ConnectError> {
    // Fails when the process has a provider already, which stays.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let config = find(options).await?;
    let server = config.cluster_url.to_string();
    let client = client(config).await?;
    tracing::debug!(%server, "API server");
    Ok(Connected { client, server })
}

async fn find(options: &ConnectOptions) -> Result<Config, ConnectError> {
    let mut config = match (&options.kubeconfig, &options.apiserver) {
        (Some(file), _) => from_file(file).await?,
        (None, Some(url)) => Config::new(uri(url)?),
        (None, None) => from_environment().await?,
    };
    if let Some(url) = &options.apiserver {
        config.cluster_url = uri(url)?;
        if let Some(file) = &options.certificate_authority {
            std::fs::metadata(file).map_err(|source| ConnectError::Authority {
                file: file.display().to_string(),
                source,
            })?;
            // The library reads it again about every minute, so that a rotated CA is noticed.
            config.root_cert_file = Some(file.clone());
        }
    }
    Ok(config)
}

fn uri(url: &str) -> Result<Uri, ConnectError> {
    // As in kubectl, a host and port alone mean plain HTTP.
    let full = if url.contains("://") {
        url.to_owned()
    } else {
        format!("http://{url}")
    };
    full.parse().map_err(|source| ConnectError::Url {
        url: url.to_owned(),
        source,
    })
}

async fn from_environment() -> Result<Config, ConnectError> {
    if std::env::var_os("KUBERNETES_SERVICE_HOST").is_some() {
        return Config::incluster().map_err(|source| ConnectError::InCluster {
            source: Box::new(source),
        });
    }
    let found = kubeconfig().map_err(|source| ConnectError::Nowhere {
        source: Box::new(source),
    })?;
    let file = "of $KUBECONFIG or ~/.kube/config";
    from_kubeconfig(found, file).await
}

/// That of `$KUBECONFIG`, else `~/.kube/config`. Not the library's function for both, which without `$HOME` asks the user
/// database for the home directory, and a static program has none (see [`headgate_resolve`]).
fn kubeconfig() -> Result<Kubeconfig, KubeconfigError> {
    if let Some(named) = Kubeconfig::from_env()? {
        return Ok(named);
    }
    let home = std::env::var_os("HOME").ok_or(KubeconfigError::FindPath)?;
    Kubeconfig::read_from(Path::new(&home).join(".kube/config"))
}

async fn from_file(file: &Path) -> Result<Config, ConnectError> {
    let name = file.display().to_string();
    let kubeconfig = Kubeconfig::read_from(file).map_err(|source| ConnectError::Kubeconfig {
        file: name.clone(),
        source: Box::new(source),
    })?;
    from_kubeconfig(kubeconfig, &name).await
}

async fn from_kubeconfig(kubeconfig: Kubeconfig, file: &str) -> Result<Config, ConnectError> {
    let proxy = proxy(&kubeconfig);
    let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default())
        .await
        .map_err(|source| ConnectError::Kubeconfig {
            file: file.to_owned(),
            source: Box::new(source),
        })?;
    match proxy {
        Some(proxy) => Err(ConnectError::Proxy {
            file: file.to_owned(),
            proxy,
        }),
        None => Ok(config),
    }
}

/// `proxy-url` of the current context's cluster. Not taken from the library, which mixes in the environment.
fn proxy(kubeconfig: &Kubeconfig) -> Option<String> {
    let current = kubeconfig.current_context.as_ref()?;
    let mut contexts = kubeconfig.contexts.iter();
    let context = contexts.find(|context| context.name == *current)?;
    let cluster = &context.context.as_ref()?.cluster;
    let mut clusters = kubeconfig.clusters.iter();
    let cluster = clusters.find(|named| named.name == *cluster)?;
    let proxy = cluster.cluster.as_ref()?.proxy_url.clone()?;
    (!proxy.is_empty()).then_some(proxy)
}

async fn client(mut config: Config) -> Result<Client, ConnectError> {
    let url = config.cluster_url.to_string();
    let failed = |source| ConnectError::Setup {
        url: url.clone(),
        source: Box::new(source),
    };
    let token = token(&mut config.auth_info).await?;
    let agent = HeaderValue::from_static(concat!("headgate/", env!("CARGO_PKG_VERSION")));
    config.headers.push((USER_AGENT, agent));
    let tls = config
        .rustls_https_connector_with_connector(connector())
        .map_err(failed)?;
    let http: HttpClient<_, Body> = HttpClient::builder(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(IDLE)
        .build(tls);
    let http = ResponseTimeout::new(http, RESPONSE);
    let service = option_layer(token.map(TokenLayer::new)).layer(http);
    let service = option_layer(config.auth_layer().map_err(failed)?).layer(service);
    let service = config.extra_headers_layer().map_err(failed)?.layer(service);
    let service = config.base_uri_layer().layer(service);
    Ok(Client::new(service, config.default_namespace))
}

/// Takes the token file away from the library, which would use a rejected token for another minute.
async fn token(auth: &mut AuthInfo) -> Result<Option<TokenFile>, ConnectError> {
    if auth.token.is_some() || auth.username.is_some() || auth.auth_provider.is_some() {
        return Ok(None);
    }
    let Some(file) = auth.token_file.take() else {
        return Ok(None);
    };
    let opened = TokenFile::open(PathBuf::from(&file)).await;
    opened
        .map(Some)
        .map_err(|source| ConnectError::Token { file, source })
}

/// Names are resolved at each new connection, so that a server that has moved is found.
fn connector() -> HttpConnector<
    impl Service<Name, Response: Iterator<Item = SocketAddr>, Error = io::Error, Future: Send>
    + Clone
    + Send
    + Sync
    + 'static,
> {
    let mut connector = HttpConnector::new_with_resolver(service_fn(|name: Name| async move {
        let found = headgate_resolve::lookup(name.as_str()).await?;
        let addresses = found.into_iter().map(|address| SocketAddr::new(address, 0));
        Ok::<_, io::Error>(addresses)
    }));
    connector.enforce_http(false);
    connector.set_nodelay(true);
    connector.set_connect_timeout(Some(CONNECT));
    connector.set_keepalive(Some(KEEPALIVE));
    connector.set_keepalive_interval(Some(PROBE));
    connector.set_keepalive_retries(Some(3));
    connector.set_tcp_user_timeout(Some(UNACKNOWLEDGED));
    connector
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failure is the test's result")]

    use super::*;

    const KUBECONFIG: &str = r#"
apiVersion: v1
kind: Config
current-context: here
contexts: [{name: here, context: {cluster: one, user: me}}]
clusters: [{name: one, cluster: {server: "http://127.0.0.1:1"}}]
users: [{name: me, user: {}}]
"#;

    async fn connected(text: &str) -> Result<Connected, ConnectError> {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("config");
        std::fs::write(&file, text).unwrap();
        let options = ConnectOptions {
            kubeconfig: Some(file),
            ..ConnectOptions::default()
        };
        connect(&options).await
    }

    #[tokio::test]
    async fn a_kubeconfig_names_the_server() {
        let connected = connected(KUBECONFIG).await.unwrap();
        assert_eq!(connected.server, "http://127.0.0.1:1/");
    }

    #[tokio::test]
    async fn a_proxy_is_refused_by_name() {
        let text = KUBECONFIG.replace("server:", "proxy-url: \"http://127.0.0.9:3128\", server:");
        let error = connected(&text).await.err().unwrap().to_string();
        assert!(error.contains("127.0.0.9:3128"), "{error}");
    }

    #[tokio::test]
    async fn errors_name_the_file() {
        let options = ConnectOptions {
            kubeconfig: Some("/nonexistent/kubeconfig".into()),
            ..ConnectOptions::default()
        };
        let error = connect(&options).await.err().unwrap().to_string();
        assert!(error.contains("/nonexistent/kubeconfig"), "{error}");
        let options = ConnectOptions {
            apiserver: Some("https://127.0.0.1:1".to_owned()),
            certificate_authority: Some("/nonexistent/ca.crt".into()),
            ..ConnectOptions::default()
        };
        let error = connect(&options).await.err().unwrap().to_string();
        assert!(error.contains("/nonexistent/ca.crt"), "{error}");
    }

    #[tokio::test]
    async fn a_url_without_a_scheme_means_plain_http() {
        let options = ConnectOptions {
            apiserver: Some("127.0.0.1:8080".to_owned()),
            ..ConnectOptions::default()
        };
        let connected = connect(&options).await.unwrap();
        assert_eq!(connected.server, "http://127.0.0.1:8080/");
    }
}
