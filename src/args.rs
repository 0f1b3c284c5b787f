//! The command line as typed; [`config`](crate::config) decides what it means.
//!
//! Flags have the names, defaults and forms of ingress-nginx, so that the arguments of an existing Deployment work
//! unchanged: `--flag value` and `--flag=value`, switches also bare and as `--flag=false`, `-v=2`; the last of several
//! wins. All of them are in one table ([`FLAGS`]), which the parser, the help and the documentation share.

mod docs;
mod flag;
mod flags;
mod parse;
mod table;
#[cfg(test)]
mod tests;

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::LazyLock;

use clap::error::ErrorKind;
use clap::{CommandFactory, Parser, Subcommand};

use crate::check::CheckArgs;
use crate::config::{Config, Preset, System};
use crate::convert::ConvertArgs;
use crate::echo::EchoArgs;
use crate::explain::ExplainArgs;
use crate::stop::StopArgs;
use crate::top::TopArgs;

pub(crate) use docs::flags_markdown;
pub(crate) use flag::{Flag, HostPort, Kind, Value};
pub(crate) use flags::Flags;
pub(crate) use parse::{duration, is_ascending};
pub(crate) use table::FLAGS;

/// The commit that the program was built from, which the build of the image sets.
pub(crate) const COMMIT: Option<&str> = option_env!("HEADGATE_BUILD");

static VERSION: LazyLock<String> = LazyLock::new(|| {
    let commit = COMMIT.map(|commit| format!(" ({commit})"));
    env!("CARGO_PKG_VERSION").to_owned() + &commit.unwrap_or_default()
});

/// A Layer-7 ingress controller that takes the objects, annotations, settings and flags of ingress-nginx unchanged.
#[derive(Debug, Parser)]
#[command(name = "headgate", version = VERSION.as_str(), propagate_version = true)]
struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve the Ingresses of a cluster. The API server is that of --kubeconfig or --apiserver-host, else of the Pod's
    /// cluster, else of $KUBECONFIG.
    Controller(ControllerArgs),
    /// Serve the Ingresses in files and directories, and watch them for changes. Needs no cluster.
    Serve(ServeArgs),
    /// Serve built-in examples with built-in backends on high ports of this machine, and print commands to try.
    Demo(DemoArgs),
    /// Say what will happen to the Ingresses, annotations, settings and flags of a running ingress-nginx. Only reads.
    Check(Box<CheckArgs>),
    /// Print the Ingresses of a running ingress-nginx as objects of the Gateway API with HeadgatePolicies. Only reads.
    Convert(Box<ConvertArgs>),
    /// Say which object, rule, policy, Service and endpoint would serve a request, and why. Only reads.
    Explain(Box<ExplainArgs>),
    /// Show the traffic of a running process in a terminal, from its console. Only reads.
    Top(Box<TopArgs>),
    /// Run a backend that responds with the request that it received, as JSON.
    Echo(EchoArgs),
    /// Stop the replicas of an installation and wait until they have ended, so that the last one can clear the statuses of
    /// Ingresses before its permissions are deleted.
    Stop(StopArgs),
    /// Print all flags with defaults, help and effect, as Markdown.
    Flags,
    /// Print all metrics with type, labels and help, as Markdown.
    Metrics,
    /// Print all variables of log formats and templates, as Markdown.
    Variables,
}

#[derive(Debug, clap::Args)]
struct ServeArgs {
    /// Files and directories with Kubernetes objects: `*.yaml`, `*.yml` and `*.json`, in directories at any depth. Of an
    /// object that is defined twice, the last definition counts.
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
    #[command(flatten)]
    flags: Flags,
}

#[derive(Debug, clap::Args)]
struct ControllerArgs {
    #[command(flatten)]
    flags: Flags,
}

#[derive(Debug, clap::Args)]
struct DemoArgs {
    /// Send no requests: by default the demo sends itself a few each second, so that there is something to see.
    #[arg(long)]
    no_traffic: bool,
    #[command(flatten)]
    flags: Flags,
}

/// A command with its configuration.
pub(crate) enum Invocation {
    /// `headgate controller`
    Controller(Box<Config>),
    /// `headgate serve`
    Serve(Box<Config>, Vec<PathBuf>),
    /// `headgate demo`; whether it sends itself requests
    Demo(Box<Config>, bool),
    /// `headgate check`
    Check(Box<CheckArgs>),
    /// `headgate convert`
    Convert(Box<ConvertArgs>),
    /// `headgate explain`
    Explain(Box<ExplainArgs>),
    /// `headgate top`
    Top(Box<TopArgs>),
    /// `headgate echo`
    Echo(EchoArgs),
    /// `headgate stop`
    Stop(StopArgs),
    /// `headgate flags`
    Flags,
    /// `headgate metrics`
    Metrics,
    /// `headgate variables`
    Variables,
}

/// Parses the command line of this process. Exits with 2 and a message if it is invalid, with 0 for help and version.
pub(crate) fn invocation() -> Invocation {
    try_invocation(std::env::args_os(), &System::read()).unwrap_or_else(|error| error.exit())
}

fn try_invocation(
    args: impl IntoIterator<Item = OsString>,
    system: &System,
) -> Result<Invocation, clap::Error> {
    let Args { command } = Args::try_parse_from(args)?;
    Ok(match command {
        Command::Controller(ControllerArgs { flags }) => {
            Invocation::Controller(config(&flags, Preset::Controller, system)?)
        }
        Command::Serve(ServeArgs { paths, flags }) => {
            Invocation::Serve(config(&flags, Preset::Serve, system)?, paths)
        }
        Command::Demo(DemoArgs { no_traffic, flags }) => {
            Invocation::Demo(config(&flags, Preset::Demo, system)?, !no_traffic)
        }
        Command::Check(check) => Invocation::Check(check),
        Command::Convert(convert) => Invocation::Convert(convert),
        Command::Explain(explain) => Invocation::Explain(explain),
        Command::Top(top) => Invocation::Top(top),
        Command::Echo(echo) => Invocation::Echo(echo),
        Command::Stop(stop) => Invocation::Stop(stop),
        Command::Flags => Invocation::Flags,
        Command::Metrics => Invocation::Metrics,
        Command::Variables => Invocation::Variables,
    })
}

fn config(flags: &Flags, preset: Preset, system: &System) -> Result<Box<Config>, clap::Error> {
    let config = Config::new(flags, preset, system).map_err(|conflict| {
        Args::command().error(ErrorKind::ArgumentConflict, conflict.to_string())
    })?;
    Ok(Box::new(config))
}
