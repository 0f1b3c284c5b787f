//! A real cluster behind this server: requests and the changes of a test are forwarded to it. Recording, faults, disturbances
//! and stops are the same as without one.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::StreamExt as _;
use http::request::Parts;
use http::{HeaderValue, Request, Response, header};
use http_body_util::BodyExt as _;
use kube::client::Body;
use kube::config::{AuthInfo, KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use serde_json::Value;
use tokio::runtime::Handle;

use super::failure::Failure;
use super::kinds::Kind;
use super::prepare::Object;
use super::request_info::RequestInfo;
use super::shared::Shared;
use super::stored::Key;
use super::transport::{ApiResponse, Content};
use super::users::User;
use super::watch::Relay;

/// Fields of requests and responses that are specific to a connection, or that this server sets.
const CONNECTION_FIELDS: [header::HeaderName; 6] = [
    header::HOST,
    header::CONNECTION,
    header::CONTENT_LENGTH,
    header::TRANSFER_ENCODING,
    header::ACCEPT_ENCODING,
    header::CONTENT_TYPE,
];

/// A real cluster.
pub(crate) struct Cluster {
    /// Sends as the user of the kubeconfig, who must have all permissions.
    admin: Client,
    /// Sends with the token of a request.
    bearer: Client,
    runtime: Handle,
}

/// A change of a test was refused: status and message.
#[derive(Debug, thiserror::Error)]
#[error("{code}: {message}")]
pub(crate) struct Refused {
    pub(crate) code: u16,
    message: String,
}

impl From<Failure> for Refused {
    fn from(failure: Failure) -> Self {
        Self {
            code: failure.code,
            message: failure.message,
        }
    }
}

impl Cluster {
    /// Reads a kubeconfig; sends no request yet.
    ///
    /// # Panics
    /// When it is unusable.
    pub(crate) fn new(kubeconfig: &str, runtime: Handle) -> Self {
        // Fails if a provider is already installed.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let parsed = Kubeconfig::from_yaml(kubeconfig).expect("a kubeconfig");
        let options = KubeConfigOptions::default();
        let config = runtime.block_on(Config::from_custom_kubeconfig(parsed, &options));
        let config = config.expect("a usable kubeconfig");
        let _guard = runtime.enter();
        let mut plain = config.clone();
        plain.auth_info = AuthInfo::default();
        let client = |config| Client::try_from(config).expect("a client");
        Self {
            admin: client(config),
            bearer: client(plain),
            runtime: runtime.clone(),
        }
    }

    /// The cluster's response to a request of this user.
    pub(crate) async fn respond(
        &self,
        shared: &Arc<Shared>,
        info: &RequestInfo,
        user: &User,
        (parts, body): (&Parts, Bytes),
    ) -> Result<ApiResponse, Failure> {
        let mut request = Request::new(Body::from(body));
        *request.method_mut() = parts.method.clone();
        *request.uri_mut() = parts.uri.clone();
        for (name, value) in &parts.headers {
            let kept = name == header::CONTENT_TYPE || !CONNECTION_FIELDS.contains(name);
            if kept && name != header::AUTHORIZATION {
                request.headers_mut().append(name, value.clone());
            }
        }
        let client = if user.is_admin() {
            &self.admin
        } else {
            if let Some(token) = parts.headers.get(header::AUTHORIZATION) {
                request
                    .headers_mut()
                    .insert(header::AUTHORIZATION, token.clone());
            }
            &self.bearer
        };
        let response = client.send(request).await.map_err(unreachable)?;
        relay(shared, info, response).await
    }

    /// Sends a request as the administrator.
    pub(crate) fn request(
        &self,
        method: &str,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Value, Refused> {
        let bytes = body.map_or_else(Vec::new, |body| body.to_string().into_bytes());
        let kind = match method {
            "PATCH" => "application/json-patch+json",
            _ => "application/json",
        };
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::CONTENT_TYPE, kind)
            .body(Body::from(bytes));
        let failed = |why: String| Refused {
            code: 0,
            message: format!("{method} {path}: {why}"),
        };
        let request = request.map_err(|error| failed(error.to_string()))?;
        let admin = self.admin.clone();
        // On the runtime's threads: the caller may be in a network namespace without access to the cluster.
        let response = self.runtime.spawn(async move {
            let (head, body) = admin.send(request).await?.into_parts();
            let body = body.collect().await?.to_bytes();
            Ok::<_, kube::Error>((head.status, body))
        });
        let response = self.runtime.block_on(response);
        let response = response.map_err(|error| failed(error.to_string()))?;
        let (status, body) = response.map_err(|error| failed(format!("{error:?}")))?;
        let value: Value = serde_json::from_slice(&body).unwrap_or_default();
        if status.is_success() {
            return Ok(value);
        }
        Err(Refused {
            code: status.as_u16(),
            ..failed(value["message"].to_string())
        })
    }

    /// An object.
    ///
    /// # Panics
    /// When the request fails.
    pub(crate) fn find(&self, kind: &Kind, key: &Key) -> Option<Value> {
        match self.request("GET", &path(kind, key), None) {
            Ok(object) => Some(object),
            Err(refused) if refused.code == 404 => None,
            Err(refused) => panic!("{refused}"),
        }
    }

    /// All objects of a kind, with the `apiVersion` and `kind` that items of a list lack.
    ///
    /// # Panics
    /// When the request fails.
    pub(crate) fn all(&self, kind: &Kind) -> Vec<Value> {
        let mut list = match self.request("GET", &collection(kind, ""), None) {
            Ok(list) => list,
            Err(refused) => panic!("{refused}"),
        };
        let Value::Array(mut items) = list["items"].take() else {
            return Vec::new();
        };
        for item in &mut items {
            if let Value::Object(object) = item {
                *item = whole(kind, object);
            }
        }
        items
    }

    /// Creates an object with its status.
    pub(crate) fn create(&self, kind: &Kind, object: &Object) -> Result<Value, Refused> {
        let namespace = super::prepare::metadata_text(object, "namespace");
        let created = self.request(
            "POST",
            &collection(kind, namespace),
            Some(&whole(kind, object)),
        )?;
        self.write_status(kind, object, created)
    }

    /// Replaces an object of this version, including its status; `None`: its version changed meanwhile.
    pub(crate) fn replace(
        &self,
        kind: &Kind,
        version: &Value,
        object: &Object,
    ) -> Result<Option<Value>, Refused> {
        let mut next = whole(kind, object);
        next["metadata"]["resourceVersion"] = version.clone();
        let path = path(kind, &Key::of(object));
        match self.request("PUT", &path, Some(&next)) {
            Ok(replaced) => self.write_status(kind, object, replaced).map(Some),
            Err(refused) if refused.code == 409 || refused.code == 404 => Ok(None),
            Err(refused) => Err(refused),
        }
    }

    /// Deletes an object at once and returns whether it existed.
    ///
    /// # Panics
    /// When the request fails.
    pub(crate) fn delete(&self, kind: &Kind, key: &Key) -> bool {
        let options =
            serde_json::json!({"gracePeriodSeconds": 0, "propagationPolicy": "Background"});
        match self.request("DELETE", &path(kind, key), Some(&options)) {
            Ok(_) => true,
            Err(refused) if refused.code == 404 => false,
            Err(refused) => panic!("{refused}"),
        }
    }

    /// The version of the latest change.
    ///
    /// # Panics
    /// When the request fails.
    pub(crate) fn version(&self) -> u64 {
        let list = self.request("GET", "/api/v1/namespaces?limit=1", None);
        let list = list.unwrap_or_else(|refused| panic!("{refused}"));
        let version = list["metadata"]["resourceVersion"].as_str();
        version
            .and_then(|version| version.parse().ok())
            .unwrap_or(0)
    }

    /// A new token of a ServiceAccount, which is created if it does not exist.
    ///
    /// # Panics
    /// When the request fails.
    pub(crate) fn token(&self, namespace: &str, name: &str) -> String {
        let accounts = format!("/api/v1/namespaces/{namespace}/serviceaccounts");
        let account = serde_json::json!({"metadata": {"name": name}});
        match self.request("POST", &accounts, Some(&account)) {
            Err(refused) if refused.code != 409 => panic!("{refused}"),
            Ok(_) | Err(_) => {}
        }
        let request = serde_json::json!({"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}});
        let response = self.request("POST", &format!("{accounts}/{name}/token"), Some(&request));
        let response = response.unwrap_or_else(|refused| panic!("{refused}"));
        let token = response["status"]["token"].as_str();
        token
            .unwrap_or_else(|| panic!("no token in {response}"))
            .to_owned()
    }

    /// Whether the subject of a SubjectAccessReview is permitted to do this.
    ///
    /// # Panics
    /// When the request fails.
    pub(crate) fn is_allowed(&self, spec: &Value) -> bool {
        let review = serde_json::json!({"apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview", "spec": spec});
        let path = "/apis/authorization.k8s.io/v1/subjectaccessreviews";
        let response = self.request("POST", path, Some(&review));
        response.unwrap_or_else(|refused| panic!("{refused}"))["status"]["allowed"] == true
    }

    /// Writes the status, if the kind has one, by a request of its own.
    fn write_status(&self, kind: &Kind, object: &Object, present: Value) -> Result<Value, Refused> {
        let status = object.get("status").filter(|_| kind.has_status());
        let Some(status) = status.filter(|status| present["status"] != **status) else {
            return Ok(present);
        };
        let patch = serde_json::json!([{"op": "add", "path": "/status", "value": status}]);
        let path = format!("{}/status", path(kind, &Key::of(object)));
        self.request("PATCH", &path, Some(&patch))
    }
}

async fn relay(
    shared: &Arc<Shared>,
    info: &RequestInfo,
    response: Response<Body>,
) -> Result<ApiResponse, Failure> {
    let (head, body) = response.into_parts();
    let content = match info.kind {
        Some(kind) if info.verb == "watch" && head.status.is_success() => {
            Content::Events(Relay::new(shared, kind, body).stream().boxed())
        }
        _ => {
            let whole = body.collect().await.map_err(unreachable)?.to_bytes();
            let kind = head.headers.get(header::CONTENT_TYPE);
            let json = HeaderValue::from_static("application/json");
            Content::Other(whole, kind.cloned().unwrap_or(json))
        }
    };
    let mut response = ApiResponse::new(head.status, content);
    for (name, value) in &head.headers {
        if !CONNECTION_FIELDS.contains(name) && name != header::CACHE_CONTROL {
            response.fields.append(name, value.clone());
        }
    }
    Ok(response)
}

fn unreachable(error: kube::Error) -> Failure {
    Failure::new(
        502,
        "BadGateway",
        format!("the cluster of the test: {error}"),
    )
}

/// An object with `apiVersion` and `kind`.
fn whole(kind: &Kind, object: &Object) -> Value {
    let mut whole = Value::Object(object.clone());
    whole["apiVersion"] = kind.api_version().into();
    whole["kind"] = kind.kind.into();
    whole
}

fn collection(kind: &Kind, namespace: &str) -> String {
    let root = if kind.group.is_empty() {
        "/api"
    } else {
        "/apis"
    };
    let within = match namespace {
        "" => String::new(),
        namespace => format!("namespaces/{namespace}/"),
    };
    format!("{root}/{}/{within}{}", kind.api_version(), kind.plural)
}

fn path(kind: &Kind, key: &Key) -> String {
    let namespace = if kind.namespaced {
        key.namespace.as_str()
    } else {
        ""
    };
    format!("{}/{}", collection(kind, namespace), key.name)
}
