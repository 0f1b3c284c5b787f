//! A fake API server for tests of writers: objects by path, resource versions, conflicts, and injected failures. It
//! responds in the same task, so that tests can pause the clock.

#![allow(clippy::unwrap_used, reason = "for tests only, and a test fails by it")]

use std::collections::{BTreeMap, VecDeque};
use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard};

use http::{Method, Request, Response, StatusCode};
use http_body_util::BodyExt as _;
use kube::Client;
use kube::client::Body;
use serde_json::{Value, json};

/// What a request gets instead of a response.
#[derive(Clone, Debug)]
pub(crate) enum Failure {
    Status(u16),
    /// The request never completes.
    Hang,
}

#[derive(Clone, Debug)]
pub(crate) struct RecordedRequest {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) query: String,
    pub(crate) body: Value,
}

#[derive(Clone, Default)]
pub(crate) struct Fake {
    state: Arc<Mutex<State>>,
}

type FailIf = Box<dyn FnMut(&RecordedRequest) -> Option<Failure> + Send>;

#[derive(Default)]
struct State {
    objects: BTreeMap<String, Value>,
    version: u64,
    requests: VecDeque<RecordedRequest>,
    fail_if: Option<FailIf>,
}

impl Fake {
    pub(crate) fn client(&self) -> Client {
        let fake = self.clone();
        let service = tower::service_fn(move |request: Request<Body>| {
            let fake = fake.clone();
            async move { fake.respond(request).await }
        });
        Client::new(service, "default")
    }

    /// Requests for which `fail_if` returns a failure get that instead of a response.
    pub(crate) fn fail_if(
        &self,
        fail_if: impl FnMut(&RecordedRequest) -> Option<Failure> + Send + 'static,
    ) {
        self.state().fail_if = Some(Box::new(fail_if));
    }

    /// No request fails from now on.
    pub(crate) fn heal(&self) {
        self.state().fail_if = None;
    }

    pub(crate) fn put(&self, path: &str, object: Value) {
        self.state().store(path, object);
    }

    pub(crate) fn modify(&self, path: &str, change: impl FnOnce(&mut Value)) {
        let mut state = self.state();
        let mut object = state.objects.get(path).cloned().unwrap();
        change(&mut object);
        state.store(path, object);
    }

    pub(crate) fn remove(&self, path: &str) {
        self.state().objects.remove(path);
    }

    pub(crate) fn get(&self, path: &str) -> Option<Value> {
        self.state().objects.get(path).cloned()
    }

    /// All objects whose path has this prefix.
    pub(crate) fn under(&self, path: &str) -> Vec<Value> {
        let state = self.state();
        let under = state
            .objects
            .iter()
            .filter(|(key, _)| key.starts_with(path));
        under.map(|(_, object)| object.clone()).collect()
    }

    /// The requests since this was last called.
    pub(crate) fn take_requests(&self) -> Vec<RecordedRequest> {
        self.state().requests.drain(..).collect()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    async fn respond(&self, request: Request<Body>) -> Result<Response<Body>, Infallible> {
        let (head, body) = request.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        let recorded = RecordedRequest {
            method: head.method,
            path: head.uri.path().to_owned(),
            query: head.uri.query().unwrap_or_default().to_owned(),
            body: serde_json::from_slice(&body).unwrap_or(Value::Null),
        };
        let failure = {
            let mut state = self.state();
            state.requests.push_back(recorded.clone());
            state
                .fail_if
                .as_mut()
                .and_then(|fail_if| fail_if(&recorded))
        };
        // Other tasks run between request and response, as over a network.
        tokio::task::yield_now().await;
        let (status, body) = match failure {
            Some(Failure::Hang) => std::future::pending().await,
            Some(Failure::Status(code)) => refusal(code),
            None => self.state().handle(&recorded),
        };
        let body = Body::from(serde_json::to_vec(&body).unwrap());
        let response = Response::builder().status(status);
        Ok(response.body(body).unwrap())
    }
}

impl State {
    fn handle(&mut self, request: &RecordedRequest) -> (StatusCode, Value) {
        if request.query.contains("watch=true") {
            return refusal(403);
        }
        let path = request.path.trim_end_matches("/status").to_owned();
        let found = self.objects.get(&path).cloned();
        match (&request.method, found) {
            (&Method::GET, Some(object)) => (StatusCode::OK, object),
            (&Method::GET, None) => self.list(&path),
            (&Method::POST, _) => self.create(&path, request.body.clone()),
            (&Method::PUT, Some(old)) => self.update(&path, &old, request.body.clone()),
            (&Method::PATCH, Some(old)) => {
                let mut new = old.clone();
                match request.body.as_array() {
                    Some(operations) => operations.iter().for_each(|one| add(&mut new, one)),
                    None => merge(&mut new, &request.body),
                }
                if request.query.contains("force=true") {
                    Self::apply(&mut new, request);
                }
                self.update(&path, &old, new)
            }
            _ => refusal(404),
        }
    }

    /// Server-side apply as far as statuses need it: owned fields that are not applied again are removed.
    fn apply(new: &mut Value, request: &RecordedRequest) {
        let entries = &request.body["status"]["loadBalancer"]["ingress"];
        let owned = if entries.is_null() {
            new["status"] = json!({});
            json!([])
        } else {
            json!([{"manager": "headgate", "operation": "Apply", "subresource": "status",
                "fieldsV1": {"f:status": {"f:loadBalancer": {"f:ingress": {}}}}}])
        };
        new["metadata"]["managedFields"] = owned;
    }

    fn list(&self, path: &str) -> (StatusCode, Value) {
        let prefix = format!("{path}/");
        let items: Vec<&Value> = self
            .objects
            .iter()
            .filter(|(key, _)| {
                key.strip_prefix(&prefix)
                    .is_some_and(|rest| !rest.contains('/'))
            })
            .map(|(_, object)| object)
            .collect();
        let kinds = ["pods", "nodes", "leases"];
        if kinds.iter().any(|kind| path.ends_with(kind)) {
            let version = self.version.to_string();
            return (
                StatusCode::OK,
                json!({"metadata": {"resourceVersion": version}, "items": items}),
            );
        }
        refusal(404)
    }

    fn create(&mut self, path: &str, object: Value) -> (StatusCode, Value) {
        let name = object["metadata"]["name"].as_str().unwrap();
        let path = format!("{path}/{name}");
        if self.objects.contains_key(&path) {
            return refusal(409);
        }
        (StatusCode::CREATED, self.store(&path, object))
    }

    fn update(&mut self, path: &str, old: &Value, new: Value) -> (StatusCode, Value) {
        let is_stale = |field: &str| {
            let expected = &new["metadata"][field];
            !expected.is_null() && *expected != old["metadata"][field]
        };
        if is_stale("resourceVersion") || is_stale("uid") {
            return refusal(409);
        }
        (StatusCode::OK, self.store(path, new))
    }

    fn store(&mut self, path: &str, mut object: Value) -> Value {
        self.version += 1;
        object["metadata"]["resourceVersion"] = self.version.to_string().into();
        if object["metadata"]["uid"].is_null() {
            object["metadata"]["uid"] = format!("uid-{}", self.version).into();
        }
        self.objects.insert(path.to_owned(), object.clone());
        object
    }
}

fn refusal(code: u16) -> (StatusCode, Value) {
    let status = json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code,
        "message": format!("refused with {code}"), "reason": "", "metadata": {}});
    (StatusCode::from_u16(code).unwrap(), status)
}

/// The `add` operation of a JSON patch; the parent must exist.
fn add(into: &mut Value, operation: &Value) {
    let path = operation["path"].as_str().unwrap();
    let (parent, key) = path.rsplit_once('/').unwrap();
    into.pointer_mut(parent).unwrap()[key] = operation["value"].clone();
}

fn merge(into: &mut Value, from: &Value) {
    let (Value::Object(old), Value::Object(new)) = (&mut *into, from) else {
        *into = from.clone();
        return;
    };
    for (key, value) in new {
        if value.is_null() {
            old.remove(key);
        } else {
            merge(old.entry(key.clone()).or_insert(Value::Null), value);
        }
    }
}

impl Fake {
    /// A client whose requests hang while `cut_off` is set.
    pub(crate) fn client_behind(&self, cut_off: Arc<std::sync::atomic::AtomicBool>) -> Client {
        let fake = self.clone();
        let service = tower::service_fn(move |request: Request<Body>| {
            let (fake, cut_off) = (fake.clone(), cut_off.clone());
            async move {
                if cut_off.load(std::sync::atomic::Ordering::SeqCst) {
                    return std::future::pending().await;
                }
                fake.respond(request).await
            }
        });
        Client::new(service, "default")
    }
}
