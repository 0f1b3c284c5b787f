//! Requests.

use std::io;
use std::net::SocketAddr;

use super::http1::Connection;
use super::response::Response;
use super::tls::Tls;

/// A request, sent as given: only `Host` and, with a body, `Content-Length` are added where they are missing.
#[derive(Clone, Debug)]
pub struct Request {
    method: String,
    target: String,
    fields: Vec<(String, String)>,
    body: Option<Vec<u8>>,
    tls: Option<Tls>,
}

impl Request {
    /// A request; the default host is `a.test`.
    pub fn new(method: &str, target: &str) -> Self {
        Self {
            method: method.to_owned(),
            target: target.to_owned(),
            fields: Vec::new(),
            body: None,
            tls: None,
        }
    }

    /// A GET request.
    pub fn get(target: &str) -> Self {
        Self::new("GET", target)
    }

    /// A POST request.
    pub fn post(target: &str, body: impl Into<Vec<u8>>) -> Self {
        Self::new("POST", target).body(body)
    }

    /// Sets the host.
    pub fn host(self, host: &str) -> Self {
        self.field("Host", host)
    }

    /// Adds a field.
    pub fn field(mut self, name: &str, value: &str) -> Self {
        self.fields.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Sets the body, framed by Content-Length.
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = Some(body.into());
        self
    }

    /// Makes the request use TLS.
    pub fn over(mut self, tls: &Tls) -> Self {
        self.tls = Some(tls.clone());
        self
    }

    pub(super) fn is_head(&self) -> bool {
        self.method == "HEAD"
    }

    /// The request in HTTP/1.1.
    pub fn bytes(&self) -> Vec<u8> {
        let mut head = format!("{} {} HTTP/1.1\r\n", self.method, self.target);
        let has = |field: &str| {
            self.fields
                .iter()
                .any(|(name, _)| name.eq_ignore_ascii_case(field))
        };
        if !has("host") {
            head.push_str("Host: a.test\r\n");
        }
        for (name, value) in &self.fields {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        if let Some(body) = &self.body
            && !has("content-length")
        {
            head.push_str(&format!("Content-Length: {}\r\n", body.len()));
        }
        head.push_str("\r\n");
        let mut bytes = head.into_bytes();
        bytes.extend(self.body.iter().flatten());
        bytes
    }

    /// Sends it on a new connection.
    ///
    /// # Panics
    /// When no response comes.
    pub fn send(&self, address: SocketAddr) -> Response {
        let mut connection = match &self.tls {
            Some(tls) => Connection::open_tls(address, tls),
            None => Connection::open(address),
        };
        connection.exchange(self)
    }

    /// Sends it on a new connection; there may be no response.
    pub fn try_send(&self, address: SocketAddr) -> io::Result<Response> {
        let mut connection = match &self.tls {
            Some(tls) => Connection::try_open_tls(address, tls, &[])?,
            None => Connection::try_open(address)?,
        };
        connection.try_send(&self.bytes())?;
        connection.try_response(self.is_head())
    }
}
