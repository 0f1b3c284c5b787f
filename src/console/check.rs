//! The report of `headgate check` about what this process serves.

use headgate_console::Failed;
use headgate_console::model::{CheckPage, CheckedIngress, Page, Search};
use serde_json::Value;
use tokio::task::spawn_blocking;

use super::search::Words;
use super::{Console, failed, not_yet};
use crate::input::Input;

/// The objects are copied by the reconciler, which takes milliseconds, and compiled and judged by another thread.
pub(super) async fn check(console: &Console, search: &Search) -> Result<CheckPage, Failed> {
    console.table().ok_or_else(not_yet)?;
    let permit = console.checks.clone().try_acquire_owned();
    let permit = permit
        .map_err(|_| Failed::Unavailable("another report is being made: try again".to_owned()))?;
    let input = console.state.explainer().query(|view| {
        Input::of_served(
            view.snapshot.clone(),
            view.unreadable.to_vec(),
            view.options,
        )
    });
    let input = input.await.map_err(failed)?;
    let search = search.clone();
    let page = spawn_blocking(move || {
        // The client may have left: the report is finished, and the next one begins after it.
        let _permit = permit;
        let report = crate::check::json_of(&input).map_err(|error| format!("{error:#}"))?;
        selected(report, &search).map_err(|error| error.to_string())
    });
    let page = page
        .await
        .map_err(|error| Failed::Internal(error.to_string()))?;
    page.map_err(Failed::Internal)
}

/// The report with the Ingresses that the search finds.
fn selected(mut report: Value, search: &Search) -> serde_json::Result<CheckPage> {
    let ingresses: Vec<CheckedIngress> = serde_json::from_value(report["ingresses"].take())?;
    let words = Words::of(&search.q);
    let found = ingresses.into_iter().filter(|ingress| {
        let annotations = ingress.annotations.iter();
        let names = [&*ingress.namespace, &*ingress.name].into_iter();
        words.are_in(names.chain(annotations.map(|one| &*one.name)))
    });
    report["ingresses"] = serde_json::to_value(Page::of(found.collect(), search))?;
    serde_json::from_value(report)
}
