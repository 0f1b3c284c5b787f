//! A simple client of the API.

use headgate_apiserver::ApiServer;
use headgate_testkit::{Connection, Request, Response};
use serde_json::{Value, json};

/// A response with its decoded body.
#[derive(Debug)]
pub(crate) struct Received {
    pub(crate) response: Response,
    pub(crate) body: Value,
}

impl Received {
    #[track_caller]
    pub(crate) fn is(self, status: u16) -> Value {
        self.response.is(status);
        self.body
    }
}

/// Sends a request, with a body unless that is null.
pub(crate) fn send(api: &ApiServer, method: &str, path: &str, body: &Value) -> Received {
    let kind = match method {
        "PATCH" if path.contains("fieldManager=") => "application/apply-patch+yaml",
        "PATCH" => "application/merge-patch+json",
        _ => "application/json",
    };
    send_as(api, method, path, kind, body)
}

pub(crate) fn send_as(
    api: &ApiServer,
    method: &str,
    path: &str,
    kind: &str,
    body: &Value,
) -> Received {
    let mut request = Request::new(method, path);
    if !body.is_null() {
        request = request.field("Content-Type", kind).body(body.to_string());
    }
    received(request.send(api.address()))
}

pub(crate) fn received(response: Response) -> Received {
    let body = serde_json::from_slice(&response.body).unwrap_or_default();
    Received { response, body }
}

pub(crate) fn get(api: &ApiServer, path: &str) -> Received {
    send(api, "GET", path, &Value::Null)
}

/// A ConfigMap in namespace `a`.
pub(crate) fn config_map(name: &str, value: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"namespace": "a", "name": name},
        "data": {"value": value},
    })
}

/// An Ingress in namespace `a`.
pub(crate) fn ingress(name: &str) -> Value {
    json!({
        "apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "metadata": {"namespace": "a", "name": name},
        "spec": {"rules": [{"host": "a.test", "http": {"paths": [
            {"path": "/", "pathType": "Prefix", "backend": {"service": {"name": "web", "port": {"number": 80}}}},
        ]}}]},
    })
}

/// An open watch.
pub(crate) struct Watch {
    connection: Connection,
    rest: Vec<u8>,
}

impl Watch {
    /// Opens a watch; the response must be 200.
    pub(crate) fn open(api: &ApiServer, path: &str) -> Self {
        let mut connection = Connection::open(api.address());
        connection.send(Request::get(path).bytes());
        let head = connection.try_head().unwrap();
        assert!(head.starts_with("HTTP/1.1 200"), "{head}");
        Self {
            connection,
            rest: Vec::new(),
        }
    }

    /// The next event: type and object; `None` at the end.
    pub(crate) fn next(&mut self) -> Option<(String, Value)> {
        loop {
            if let Some(end) = self.rest.iter().position(|&byte| byte == b'\n') {
                let line: Vec<u8> = self.rest.drain(..=end).collect();
                let event: Value = serde_json::from_slice(&line).unwrap();
                let kind = event["type"].as_str().unwrap().to_owned();
                return Some((kind, event["object"].clone()));
            }
            let chunk = self.chunk();
            if chunk.is_empty() {
                return None;
            }
            self.rest.extend(chunk);
        }
    }

    /// The next events, as `ADDED one`.
    pub(crate) fn lines(&mut self, count: usize) -> Vec<String> {
        (0..count).map(|_| self.line()).collect()
    }

    /// The next event, as `ADDED one`.
    pub(crate) fn line(&mut self) -> String {
        match self.next() {
            None => "END".to_owned(),
            Some((kind, object)) => {
                let name = object["metadata"]["name"].as_str().unwrap_or_default();
                format!("{kind} {name}").trim_end().to_owned()
            }
        }
    }

    /// Reads to the end of the connection.
    pub(crate) fn raw(&mut self) -> Vec<u8> {
        self.connection.rest().unwrap_or_default()
    }

    /// The next chunk; empty at the end.
    pub(crate) fn chunk(&mut self) -> Vec<u8> {
        let mut size = Vec::new();
        while !size.ends_with(b"\r\n") {
            size.extend(self.connection.exactly(1));
        }
        let size = String::from_utf8(size).unwrap();
        let size = usize::from_str_radix(size.trim(), 16).unwrap();
        let mut chunk = self.connection.exactly(size + 2);
        chunk.truncate(size);
        chunk
    }
}
