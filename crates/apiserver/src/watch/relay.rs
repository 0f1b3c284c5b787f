//! A watch of a cluster behind this server: its lines, as disturbances will have them.

use std::ops::ControlFlow;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use futures_util::stream::{self, Stream};
use http_body_util::BodyExt as _;
use kube::client::Body;
use tokio::sync::watch::Receiver;

use super::super::kinds::Kind;
use super::super::shared::{Opened, Shared};
use super::outlet::{Broken, Outlet};

/// An open watch of the cluster.
pub(crate) struct Relay {
    shared: Arc<Shared>,
    resource: &'static str,
    body: Body,
    /// The beginning of a line.
    rest: BytesMut,
    /// Disturbances that were looked at.
    seen: usize,
    news: Receiver<u64>,
    outlet: Outlet,
    _open: Opened,
}

impl Relay {
    /// Relays the answer to a request for a watch of this kind.
    pub(crate) fn new(shared: &Arc<Shared>, kind: &'static Kind, body: Body) -> Self {
        let open = shared.open(kind.plural.to_owned());
        let state = shared.state();
        Self {
            resource: kind.plural,
            body,
            rest: BytesMut::new(),
            seen: state.disturbances.len(),
            news: state.store.kept(kind.shelf()).news(),
            outlet: Outlet::default(),
            _open: open,
            shared: shared.clone(),
        }
    }

    /// What it sends.
    pub(crate) fn stream(self) -> impl Stream<Item = Result<Bytes, Broken>> + Send {
        stream::unfold(self, |mut relay| async move {
            let piece = relay.next().await?;
            Some((piece, relay))
        })
    }

    async fn next(&mut self) -> Option<Result<Bytes, Broken>> {
        loop {
            if let ControlFlow::Break(piece) = self.outlet.next().await {
                return piece;
            }
            self.news.mark_unchanged();
            if self.disturb() {
                continue;
            }
            tokio::select! {
                _ = self.news.changed() => {}
                frame = self.body.frame() => match frame {
                    Some(Ok(frame)) => self.take(&frame.into_data().unwrap_or_default()),
                    Some(Err(_)) => self.outlet.break_off(),
                    None => self.outlet.end(),
                },
            }
        }
    }

    /// Meets the disturbances that came; whether there were any.
    fn disturb(&mut self) -> bool {
        let state = self.shared.state();
        let before = self.seen;
        while self.outlet.is_on()
            && let Some(next) = state.disturbances.get(self.seen)
        {
            self.seen += 1;
            let mine = next.resource.as_ref();
            if mine.is_none_or(|resource| resource == self.resource) {
                self.outlet.meet(&next.what);
            }
        }
        before != self.seen
    }

    fn take(&mut self, bytes: &[u8]) {
        self.rest.extend_from_slice(bytes);
        while let Some(end) = self.rest.iter().position(|&byte| byte == b'\n') {
            let line = self.rest.split_to(end + 1).freeze();
            if line.starts_with(b"{\"type\":\"BOOKMARK\"")
                || line.starts_with(b"{\"type\":\"ERROR\"")
            {
                self.outlet.send(line);
            } else {
                self.outlet.change(line);
            }
        }
    }
}
