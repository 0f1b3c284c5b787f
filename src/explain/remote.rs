//! Asks a running instance on its admin port.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use bytes::Bytes;
use http::header::HOST;
use http::{Request, StatusCode};
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper_util::rt::TokioIo;
use percent_encoding::{NON_ALPHANUMERIC, percent_encode};
use serde_json::Value;
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::ExplainArgs;

/// Time for the whole exchange.
const PATIENCE: Duration = Duration::from_secs(10);
/// Longest body that is read.
const MAX_BODY: usize = 16 << 20;

pub(super) fn ask(admin: SocketAddr, args: &ExplainArgs) -> Result<Value> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("starting the runtime")?;
    let asked = runtime.block_on(async { timeout(PATIENCE, exchange(admin, args)).await });
    let (status, body) = asked
        .with_context(|| format!("{admin} does not respond within {} s", PATIENCE.as_secs()))?
        .with_context(|| format!("asking {admin}"))?;
    if status != StatusCode::OK {
        let body = String::from_utf8_lossy(&body);
        bail!("{admin} responds with {}: {}", status.as_u16(), body.trim());
    }
    serde_json::from_slice(&body)
        .with_context(|| format!("{admin} is not the admin port of headgate"))
}

async fn exchange(admin: SocketAddr, args: &ExplainArgs) -> Result<(StatusCode, Bytes)> {
    let stream = TcpStream::connect(admin).await?;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let request = Request::get(target(args))
        .header(HOST, admin.to_string())
        .body(Empty::<Bytes>::new())?;
    let response = async {
        let response = sender.send_request(request).await?;
        let status = response.status();
        let body = Limited::new(response.into_body(), MAX_BODY).collect().await;
        let body = body.map_err(|error| anyhow::anyhow!("{error}"))?;
        anyhow::Ok((status, body.to_bytes()))
    };
    tokio::select! {
        response = response => response,
        ended = connection => {
            ended?;
            bail!("the connection was closed")
        }
    }
}

fn target(args: &ExplainArgs) -> String {
    let encoded = |text: &[u8]| percent_encode(text, NON_ALPHANUMERIC).to_string();
    let mut target = format!(
        "/debug/explain?url={}&method={}&from={}",
        encoded(args.url.url.to_string().as_bytes()),
        encoded(args.method.as_str().as_bytes()),
        encoded(args.from.to_string().as_bytes()),
    );
    for (name, value) in &args.fields() {
        let field = [name.as_str().as_bytes(), b": ", value.as_bytes()].concat();
        target.push_str("&header=");
        target.push_str(&encoded(&field));
    }
    target
}
