//! Input from a cluster, read as the controller reads it. Nothing is written.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use headgate_cluster::running;
use headgate_cluster::{
    CommonLabels, ConnectOptions, Connected, Watch, WatchMetrics, WatchOptions, connect,
};
use headgate_compile::{Batch, Kind, Snapshot, Workload};
use tokio::time::timeout;

use super::progress::Progress;
use super::values;
use super::{Controller, Input, Objects, Place, unchecked};
use crate::config::{Api, Preset};

/// Time to list everything; a large cluster takes seconds.
const PATIENCE: Duration = Duration::from_secs(120);

pub(super) fn read(place: &Place, progress: &Progress) -> Result<Input> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("starting the runtime")?;
    progress.phase("reading the cluster", None);
    let input = runtime.block_on(input(place));
    // Does not wait for the watches.
    runtime.shutdown_background();
    input
}

async fn input(place: &Place) -> Result<Input> {
    let api = Api::new(&place.flags);
    let options = ConnectOptions {
        apiserver: api.server,
        certificate_authority: api.authority,
        kubeconfig: api.kubeconfig,
    };
    let connected = connect(&options).await;
    let connected = connected.context(
        "no PATH is given, so a cluster is read: configuring the connection to its API server",
    )?;
    let mut unread = Vec::new();
    let workloads = match running::workloads(&connected.client).await {
        Ok(workloads) => workloads,
        Err(error) if error.is_refusal => {
            unread.push(format!(
                "{error}: the flags of ingress-nginx are not checked"
            ));
            Vec::new()
        }
        Err(error) => return Err(error).context(connected.server),
    };
    let mut controller = Controller::of(place, workloads, Preset::Controller);
    controller.notes.extend(unread);
    let (watch, batch) = objects(&connected, &controller).await?;
    // That an object is missing of a kind that must not be listed is no finding.
    let denied = watch.health().borrow().denied.clone();
    controller.notes.extend(refused(&denied, watch.snapshot()));
    let mut input = Input {
        objects: Objects::Cluster(Box::new(watch)),
        unreadable: batch.findings,
        options: controller.options,
        source: connected.server.clone(),
        workload: controller.workload,
        flags: controller.flags,
        values: Vec::new(),
        notes: controller.notes,
        absent: denied.into_iter().collect(),
    };
    match release(&connected, input.workload.as_ref()).await {
        Ok(values) => input.values = values,
        Err(error) => input
            .notes
            .push(format!("{error:#}: chart values are not checked")),
    }
    Ok(input)
}

/// What cannot be listed, and what follows. Discovery tells which kinds of the Gateway API there are, so that they and what only
/// they need are left out silently where there are none.
fn refused(denied: &BTreeSet<Kind>, snapshot: &Snapshot) -> Vec<String> {
    let custom: Vec<&str> = denied
        .iter()
        .filter(|kind| kind.is_custom())
        .map(|kind| kind.as_str())
        .collect();
    let mut all = Kind::ALL.into_iter().filter(|kind| kind.is_custom());
    let has_custom = !custom.is_empty() || all.any(|kind| snapshot.names(kind).next().is_some());
    let mut notes = Vec::new();
    for kind in denied.iter().filter(|kind| !kind.is_custom()) {
        let of_gateways = matches!(kind, Kind::CustomResourceDefinition | Kind::Namespace);
        if !of_gateways || has_custom {
            let consequence = unchecked(*kind);
            notes.push(format!("{} cannot be listed: {consequence}", kind.as_str()));
        }
    }
    if !custom.is_empty() {
        let kinds = custom.join(", ");
        notes.push(format!("left out, because they cannot be listed: {kinds}"));
    }
    notes
}

/// All objects, when they were listed once.
async fn objects(connected: &Connected, controller: &Controller) -> Result<(Watch, Batch)> {
    let options = WatchOptions {
        compile: controller.options.clone(),
        ..WatchOptions::default()
    };
    let metrics =
        WatchMetrics::new(&CommonLabels::new()).context("naming the metrics of watches")?;
    let mut watch = Watch::start(connected.client.clone(), options, metrics);
    let first = timeout(PATIENCE, watch.changes()).await;
    if let Ok(batch) = first {
        return Ok((watch, batch));
    }
    let problems = watch.health().borrow().problems.join("; ");
    bail!(
        "{}: not everything was listed in {} s: {problems}",
        connected.server,
        PATIENCE.as_secs()
    )
}

/// The verdicts about the values of the release that the workload is of.
async fn release(
    connected: &Connected,
    workload: Option<&Workload>,
) -> Result<Vec<headgate_compile::Judgement>> {
    let Some(release) = workload.and_then(|workload| workload.release.as_ref()) else {
        return Ok(Vec::new());
    };
    let data = running::helm_release(&connected.client, release).await?;
    let data = data.with_context(|| format!("Helm stores no release {release} in a Secret"))?;
    values::of_release(&data).with_context(|| format!("release {release}"))
}
