//! A webhook that always returns the same response.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use headgate_testkit::Issued;
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::{Value, json};

/// Received requests: path and review.
type Received = Arc<Mutex<Vec<(String, Value)>>>;

pub(crate) struct Hook {
    address: SocketAddr,
    received: Received,
}

impl Hook {
    pub(crate) fn start(issued: &Issued, response: Value) -> Self {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(
                vec![CertificateDer::from(issued.der.clone())],
                PrivateKeyDer::from_pem_slice(issued.key.as_bytes()).unwrap(),
            )
            .unwrap();
        let config = Arc::new(config);
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let received = Received::default();
        let seen = received.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let tls = ServerConnection::new(config.clone()).unwrap();
                let mut stream = StreamOwned::new(tls, stream.unwrap());
                // A client that does not trust the certificate disconnects.
                drop(serve(&mut stream, &response, &seen));
            }
        });
        Self { address, received }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn calls(&self) -> usize {
        self.received.lock().unwrap().len()
    }

    pub(crate) fn last(&self) -> Value {
        self.received.lock().unwrap().last().unwrap().1.clone()
    }

    pub(crate) fn path(&self) -> String {
        self.received.lock().unwrap().last().unwrap().0.clone()
    }
}

fn serve(
    stream: &mut StreamOwned<ServerConnection, TcpStream>,
    response: &Value,
    seen: &Received,
) -> std::io::Result<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte)?;
        head.extend(byte);
    }
    let head = String::from_utf8(head).unwrap();
    let length = head
        .lines()
        .find_map(|line| {
            line.to_lowercase()
                .strip_prefix("content-length: ")
                .map(str::to_owned)
        })
        .unwrap();
    let mut body = vec![0; length.parse().unwrap()];
    stream.read_exact(&mut body)?;
    let review: Value = serde_json::from_slice(&body).unwrap();
    let mut response = response.clone();
    response["uid"] = review["request"]["uid"].clone();
    let path = head.split(' ').nth(1).unwrap().to_owned();
    seen.lock().unwrap().push((path, review));
    let body = json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": response}).to_string();
    let length = body.len();
    write!(
        stream,
        "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
    )?;
    stream.conn.send_close_notify();
    stream.flush()
}
