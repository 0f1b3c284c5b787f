//! What `check` and `explain` are made from: objects, and the flags and chart values of a running ingress-nginx, from files or
//! from a cluster. Only reads.

mod cluster;
mod files;
mod progress;
mod running;
mod values;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use anyhow::Result;
use headgate_cluster::Watch;
use headgate_compile::{
    Changes, Compiled, Finding, GatewayOptions, HttpListeners, Judgement, Kind, Name, Options,
    Snapshot, Workload, compile,
};
use headgate_manifest::Contents;

pub(crate) use self::progress::Progress;
use self::running::Running;
use crate::args::Flags;
use crate::config::{self, Preset};
use crate::default_certificate;

/// Where the input is.
#[derive(Debug, clap::Args)]
pub(crate) struct Place {
    /// Files and directories with Kubernetes objects (`-`: standard input), those of the running ingress-nginx included:
    /// its Deployment or DaemonSet has the flags, and its ConfigMap the settings. Without any, the cluster of --kubeconfig or
    /// $KUBECONFIG is read.
    #[arg(value_name = "PATH")]
    pub(crate) paths: Vec<PathBuf>,
    /// The Deployment or DaemonSet of ingress-nginx, if there are several.
    #[arg(long, value_name = "NAMESPACE/NAME", value_parser = name)]
    pub(crate) workload: Option<Name>,
    /// Flags of ingress-nginx; they replace those of its Deployment.
    #[command(flatten)]
    pub(crate) flags: Flags,
}

/// Parses `namespace/name`.
fn name(text: &str) -> Result<Name, String> {
    let parts = text.split_once('/');
    let parts = parts.filter(|(namespace, name)| !namespace.is_empty() && !name.is_empty());
    let (namespace, name) = parts.ok_or("expected namespace/name")?;
    Ok(Name::new(namespace, name))
}

/// The input of a report or an explanation.
pub(crate) struct Input {
    pub(crate) objects: Objects,
    /// Findings about documents and objects that cannot be read.
    pub(crate) unreadable: Vec<Finding>,
    pub(crate) options: Options,
    /// Where the objects are from, for people.
    pub(crate) source: String,
    /// The running ingress-nginx.
    pub(crate) workload: Option<Workload>,
    /// The verdicts about its flags.
    pub(crate) flags: Vec<Judgement>,
    /// The verdicts about the values of its chart.
    pub(crate) values: Vec<Judgement>,
    /// What could not be checked, and why.
    pub(crate) notes: Vec<String>,
    /// Kinds of which the input has no object at all: that one is missing is no finding.
    pub(crate) absent: Vec<Kind>,
}

/// The objects.
pub(crate) enum Objects {
    Files(Box<Snapshot>),
    Cluster(Box<Watch>),
}

impl Objects {
    pub(crate) fn snapshot(&self) -> &Snapshot {
        match self {
            Self::Files(snapshot) => snapshot,
            Self::Cluster(watch) => watch.snapshot(),
        }
    }
}

/// The running ingress-nginx, and the options that follow from its flags and those of the command line.
pub(crate) struct Controller {
    pub(crate) workload: Option<Workload>,
    pub(crate) flags: Vec<Judgement>,
    pub(crate) options: Options,
    pub(crate) notes: Vec<String>,
}

impl Controller {
    /// Chooses among `workloads`.
    pub(crate) fn of(place: &Place, workloads: Vec<Workload>, preset: Preset) -> Self {
        let mut notes = Vec::new();
        let workload = running::choose(workloads, place.workload.as_ref(), &mut notes);
        let Running { flags, verdicts } = workload.as_ref().map(running::flags).unwrap_or_default();
        let flags: Flags = place.flags.clone().over(flags);
        let listener = |name| {
            vec![SocketAddr::new(
                Ipv4Addr::UNSPECIFIED.into(),
                flags.port(name),
            )]
        };
        let gateway = config::gateway(&flags, Preset::Serve);
        let options = Options {
            explain_unserved: true,
            gateway: gateway.map(|gateway| GatewayOptions {
                simulated: true,
                ..gateway
            }),
            listeners: HttpListeners {
                http: listener("http-port"),
                https: listener("https-port"),
            },
            ..config::options(&flags, preset)
        };
        Self {
            workload,
            flags: verdicts,
            options,
            notes,
        }
    }
}

impl Input {
    /// Reads the objects at `place`.
    ///
    /// # Errors
    /// When a path or the cluster cannot be read.
    pub(crate) fn read(place: &Place, values: &[PathBuf], progress: &Progress) -> Result<Self> {
        let mut input = if place.paths.is_empty() {
            cluster::read(place, progress)?
        } else {
            files::read(place, progress)?
        };
        input.values.extend(values::of_files(values)?);
        Ok(input)
    }

    /// Compiles the objects as the controller does.
    ///
    /// # Errors
    /// When no default certificate can be generated.
    pub(crate) fn compile(&self) -> Result<Compiled> {
        let fallback = default_certificate::generate()?;
        let snapshot = self.objects.snapshot();
        let nothing = Changes::default(); // without a former state everything is compiled
        Ok(compile(snapshot, &nothing, None, &self.options, &fallback))
    }

    /// The objects that a process serves.
    pub(crate) fn of_served(
        snapshot: Snapshot,
        unreadable: Vec<Finding>,
        options: &Options,
    ) -> Self {
        Self {
            objects: Objects::Files(Box::new(snapshot)),
            unreadable,
            options: Options {
                explain_unserved: true,
                ..options.clone()
            },
            source: "the objects that this process serves".to_owned(),
            workload: None,
            flags: Vec::new(),
            values: Vec::new(),
            notes: Vec::new(),
            absent: Vec::new(),
        }
    }

    /// The input from files.
    pub(crate) fn of_files(contents: Contents, controller: Controller, source: String) -> Self {
        Self {
            objects: Objects::Files(Box::new(contents.snapshot)),
            unreadable: contents.findings,
            options: controller.options,
            source,
            workload: controller.workload,
            flags: controller.flags,
            values: Vec::new(),
            notes: controller.notes,
            absent: Vec::new(),
        }
    }
}

/// What is not checked when the objects of a kind are not there.
fn unchecked(kind: Kind) -> &'static str {
    match kind {
        Kind::Service => "backends are not checked",
        Kind::EndpointSlice | Kind::Endpoints => "endpoints are not checked",
        Kind::Secret => "certificates and passwords are not checked",
        Kind::CustomResourceDefinition => "the versions of the CRDs are not checked",
        Kind::Namespace => "listeners that select namespaces by labels have no routes",
        _ => "what refers to it is not checked",
    }
}
