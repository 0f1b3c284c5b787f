//! `headgate stop`: stops the replicas of an installation, which clear the statuses of Ingresses when the last one ends. A hook
//! of the chart runs it before a release is deleted, because the permission to write statuses is deleted with it.

use std::time::Duration;

use anyhow::{Context as _, Result};
use headgate_cluster::stop::{WorkloadKind, stop_workload};
use headgate_cluster::{ConnectOptions, connect};
use headgate_compile::Name;

use crate::args::duration;

/// The command line of `headgate stop`.
#[derive(Debug, clap::Args)]
pub(crate) struct StopArgs {
    /// The workload: `deployment/NAME` or `daemonset/NAME`.
    #[arg(value_name = "KIND/NAME", value_parser = workload)]
    workload: (WorkloadKind, String),
    /// Its namespace.
    #[arg(long, env = "POD_NAMESPACE", default_value = "default")]
    namespace: String,
    /// How long to wait for the Pods to end.
    #[arg(long, value_name = "DURATION", default_value = "5m", value_parser = duration)]
    timeout: Duration,
    /// The kubeconfig; by default the cluster of the Pod, else $KUBECONFIG.
    #[arg(long, value_name = "FILE")]
    kubeconfig: Option<std::path::PathBuf>,
}

/// Runs the command.
///
/// # Errors
/// When the API server refuses a request, or Pods are left after the timeout.
pub(crate) async fn run(args: StopArgs) -> Result<()> {
    crate::log::start(tracing::Level::INFO);
    let options = ConnectOptions {
        apiserver: None,
        certificate_authority: None,
        kubeconfig: args.kubeconfig,
    };
    let connected = connect(&options)
        .await
        .context("configuring the connection to the API server")?;
    let (kind, name) = args.workload;
    let name = Name::new(&args.namespace, &name);
    stop_workload(&connected.client, kind, &name, args.timeout).await?;
    tracing::info!("all Pods have ended");
    Ok(())
}

fn workload(text: &str) -> Result<(WorkloadKind, String), String> {
    let kinds = [
        ("deployment", WorkloadKind::Deployment),
        ("daemonset", WorkloadKind::DaemonSet),
    ];
    let split = text.split_once('/').filter(|(_, name)| !name.is_empty());
    let found = split.and_then(|(kind, name)| {
        let kind = kinds
            .iter()
            .find(|(known, _)| kind.eq_ignore_ascii_case(known));
        Some((kind?.1, name.to_owned()))
    });
    found.ok_or_else(|| "expected deployment/NAME or daemonset/NAME".to_owned())
}
