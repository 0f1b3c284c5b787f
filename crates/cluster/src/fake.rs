//! An API server as far as writing tests need it: objects under their paths, versions, conflicts, and failures on command.
//! It answers in the same task, so that tests can pause the clock.

#![allow(clippy::unwrap_used, reason = "for tests only, and a test fails by it")]

use std::collections::{BTreeMap, VecDeque};
use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard};

use http::{Method, Request, Response, StatusCode};
use http_body_util::BodyExt as _;
use kube::Client;
use kube::client::Body;
use serde_json::{Value, json};

/// What is done about a request instead of playing it.
#[derive(Clone, Debug)]
pub(crate) enum Failure {
    /// This status.
    Status(u16),
    /// No answer, ever.
    Silence,
}

/// A request that was made.
#[derive(Clone, Debug)]
pub(crate) struct Made {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) query: String,
    pub(crate) body: Value,
}

/// The server.
#[derive(Clone, Default)]
pub(crate) struct Fake {
    state: Arc<Mutex<State>>,
}

type Judge = Box<dyn FnMut(&Made) -> Option<Failure> + Send>;

#[derive(Default)]
struct State {
    objects: BTreeMap<String, Value>,
    version: u64,
    made: VecDeque<Made>,
    judge: Option<Judge>,
}

impl Fake {
    /// A client of it.
    pub(crate) fn client(&self) -> Client {
        let fake = self.clone();
        let service = tower::service_fn(move |request: Request<Body>| {
            let fake = fake.clone();
            async move { fake.answer(request).await }
        });
        Client::new(service, "default")
    }

    /// Each request is shown to `judge` first.
    pub(crate) fn judge(&self, judge: impl FnMut(&Made) -> Option<Failure> + Send + 'static) {
        self.state().judge = Some(Box::new(judge));
    }

    /// Plays all requests from now on.
    pub(crate) fn heal(&self) {
        self.state().judge = None;
    }

    /// Puts an object at a path.
    pub(crate) fn put(&self, path: &str, object: Value) {
        self.state().store(path, object);
    }

    /// Changes an object that is there.
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

    /// All objects whose path starts so.
    pub(crate) fn under(&self, path: &str) -> Vec<Value> {
        let state = self.state();
        let under = state
            .objects
            .iter()
            .filter(|(key, _)| key.starts_with(path));
        under.map(|(_, object)| object.clone()).collect()
    }

    /// The requests made since this was last called.
    pub(crate) fn take_made(&self) -> Vec<Made> {
        self.state().made.drain(..).collect()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    async fn answer(&self, request: Request<Body>) -> Result<Response<Body>, Infallible> {
        let (head, body) = request.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        let made = Made {
            method: head.method,
            path: head.uri.path().to_owned(),
            query: head.uri.query().unwrap_or_default().to_owned(),
            body: serde_json::from_slice(&body).unwrap_or(Value::Null),
        };
        let failure = {
            let mut state = self.state();
            state.made.push_back(made.clone());
            state.judge.as_mut().and_then(|judge| judge(&made))
        };
        // Others get their turn between request and answer, as over a network.
        tokio::task::yield_now().await;
        let (status, body) = match failure {
            Some(Failure::Silence) => std::future::pending().await,
            Some(Failure::Status(code)) => refusal(code),
            None => self.state().play(&made),
        };
        let body = Body::from(serde_json::to_vec(&body).unwrap());
        let response = Response::builder().status(status);
        Ok(response.body(body).unwrap())
    }
}

impl State {
    fn play(&mut self, made: &Made) -> (StatusCode, Value) {
        if made.query.contains("watch=true") {
            return refusal(403);
        }
        let path = made.path.trim_end_matches("/status").to_owned();
        let found = self.objects.get(&path).cloned();
        match (&made.method, found) {
            (&Method::GET, Some(object)) => (StatusCode::OK, object),
            (&Method::GET, None) => self.list(&path),
            (&Method::POST, _) => self.create(&path, made.body.clone()),
            (&Method::PUT, Some(old)) => self.update(&path, &old, made.body.clone()),
            (&Method::PATCH, Some(old)) => {
                let mut new = old.clone();
                match made.body.as_array() {
                    Some(operations) => operations.iter().for_each(|one| add(&mut new, one)),
                    None => merge(&mut new, &made.body),
                }
                if made.query.contains("force=true") {
                    Self::apply(&mut new, made);
                }
                self.update(&path, &old, new)
            }
            _ => refusal(404),
        }
    }

    /// Of server-side apply as much as a status needs: what is not applied any more goes.
    fn apply(new: &mut Value, made: &Made) {
        let entries = &made.body["status"]["loadBalancer"]["ingress"];
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
            let wanted = &new["metadata"][field];
            !wanted.is_null() && *wanted != old["metadata"][field]
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

/// The `add` of JSON patch, to what has a parent.
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
    /// A client that gets no answer while `cut_off` is set.
    pub(crate) fn client_behind(&self, cut_off: Arc<std::sync::atomic::AtomicBool>) -> Client {
        let fake = self.clone();
        let service = tower::service_fn(move |request: Request<Body>| {
            let (fake, cut_off) = (fake.clone(), cut_off.clone());
            async move {
                if cut_off.load(std::sync::atomic::Ordering::SeqCst) {
                    return std::future::pending().await;
                }
                fake.answer(request).await
            }
        });
        Client::new(service, "default")
    }
}
