//! A watch of a real cluster behind this server, subject to disturbances.

use std::ops::ControlFlow;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use futures_util::stream::{self, Stream};
use http_body_util::BodyExt as _;
use kube::client::Body;
use tokio::sync::watch::Receiver;

use super::super::kinds::Kind;
use super::super::shared::{Opened, Shared};
use super::output::{Aborted, Output};

/// An open watch of the cluster.
pub(crate) struct Relay {
    shared: Arc<Shared>,
    resource: &'static str,
    body: Body,
    /// The beginning of an incomplete line.
    rest: BytesMut,
    /// Number of disturbances that were processed.
    processed: usize,
    changed: Receiver<u64>,
    output: Output,
    _open: Opened,
}

impl Relay {
    /// Relays the body of a watch of this kind.
    pub(crate) fn new(shared: &Arc<Shared>, kind: &'static Kind, body: Body) -> Self {
        let open = shared.open(kind.plural.to_owned());
        let state = shared.state();
        Self {
            resource: kind.plural,
            body,
            rest: BytesMut::new(),
            processed: state.disturbances.len(),
            changed: state.store.collection(kind.storage()).changed(),
            output: Output::default(),
            _open: open,
            shared: shared.clone(),
        }
    }

    /// The pieces of the response body.
    pub(crate) fn stream(self) -> impl Stream<Item = Result<Bytes, Aborted>> + Send {
        stream::unfold(self, |mut relay| async move {
            let piece = relay.next().await?;
            Some((piece, relay))
        })
    }

    async fn next(&mut self) -> Option<Result<Bytes, Aborted>> {
        loop {
            if let ControlFlow::Break(piece) = self.output.next().await {
                return piece;
            }
            self.changed.mark_unchanged();
            if self.disturb() {
                continue;
            }
            tokio::select! {
                _ = self.changed.changed() => {}
                frame = self.body.frame() => match frame {
                    Some(Ok(frame)) => self.take(&frame.into_data().unwrap_or_default()),
                    Some(Err(_)) => self.output.abort(),
                    None => self.output.end(),
                },
            }
        }
    }

    /// Applies new disturbances and returns whether there were any.
    fn disturb(&mut self) -> bool {
        let state = self.shared.state();
        let before = self.processed;
        while self.output.is_running()
            && let Some(next) = state.disturbances.get(self.processed)
        {
            self.processed += 1;
            let target = next.resource.as_ref();
            if target.is_none_or(|resource| resource == self.resource) {
                self.output.apply(&next.disturbance);
            }
        }
        before != self.processed
    }

    fn take(&mut self, bytes: &[u8]) {
        self.rest.extend_from_slice(bytes);
        while let Some(end) = self.rest.iter().position(|&byte| byte == b'\n') {
            let line = self.rest.split_to(end + 1).freeze();
            if line.starts_with(b"{\"type\":\"BOOKMARK\"")
                || line.starts_with(b"{\"type\":\"ERROR\"")
            {
                self.output.send(line);
            } else {
                self.output.change(line);
            }
        }
    }
}
