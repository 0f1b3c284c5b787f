//! Pages that take long: the frame is sent at once, and the content when it is made.

use std::convert::Infallible;
use std::sync::Arc;

use bytes::Bytes;
use http::Response;
use http_body_util::BodyExt as _;
use http_body_util::channel::Channel;

use super::Console;
use super::answer::read;
use super::response::{self, Body, HTML};
use crate::address::Target;
use crate::pages;

/// The page of `target`. What is wrong with it is shown in it, for its status is sent before that is known.
pub(super) fn page(console: &Arc<Console>, target: Target) -> Response<Body> {
    let (mut sender, body) = Channel::<Bytes, Infallible>::new(1);
    let console = console.clone();
    tokio::spawn(async move {
        let (before, after) = pages::around(&target);
        // A client that has left needs no content.
        if sender.send_data(before.into()).await.is_err() {
            return;
        }
        let content = match read(&console, &target).await {
            Ok(content) => pages::content(&target, &content),
            Err(refusal) => pages::failure(&refusal.reason),
        };
        let _ = sender
            .send_data((content.into_string() + &after).into())
            .await;
    });
    response::with_body(HTML, body.boxed_unsync())
}
