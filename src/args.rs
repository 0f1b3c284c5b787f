//! The command line as typed. What it means is decided in [`config`](crate::config).
//!
//! Flags have the names, defaults and forms of ingress-nginx's, so that an existing Deployment's arguments work as they
//! are: `--flag value` and `--flag=value`, switches also bare and as `--flag=false`, `-v=2`, the last of several
//! winning. They all stand in one table ([`FLAGS`]), from which the parser, the help and the documentation are made.

mod docs;
mod flag;
mod flags;
mod parse;
mod table;
#[cfg(test)]
mod tests;

use std::ffi::OsString;
use std::path::PathBuf;

use clap::error::ErrorKind;
use clap::{CommandFactory, Parser, Subcommand};

use crate::config::{Config, Preset, System};
use crate::echo::EchoArgs;

pub(crate) use docs::flags_markdown;
pub(crate) use flag::{Flag, HostPort, Kind, Value};
pub(crate) use flags::Flags;
pub(crate) use table::FLAGS;

/// A Layer-7 ingress controller that takes ingress-nginx's objects, annotations, settings and flags as they are.
#[derive(Debug, Parser)]
#[command(name = "headgate", version, propagate_version = true)]
struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Watch a Kubernetes API server and serve its Ingresses: by --kubeconfig or --apiserver-host, else as a Pod of the
    /// cluster, else by $KUBECONFIG.
    Controller(ControllerArgs),
    /// Serve the objects in files and folders, which are watched for changes. Needs no cluster.
    Serve(ServeArgs),
    /// Serve built-in examples in front of built-in backends, on high ports of this machine, with lines to try.
    Demo(DemoArgs),
    /// Run a backend that answers with what it received, as JSON.
    Echo(EchoArgs),
    /// Print all flags, what they mean and which are honoured, as Markdown.
    Flags,
}

#[derive(Debug, clap::Args)]
struct ServeArgs {
    /// Files and folders with Kubernetes objects: `*.yaml`, `*.yml` and `*.json`, in folders at any depth. An object
    /// defined twice is served as defined last.
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
    #[command(flatten)]
    flags: Flags,
}

/// What the command line asks for.
pub(crate) enum Invocation {
    /// `headgate controller`
    Controller(Box<Config>),
    /// `headgate serve`
    Serve(Box<Config>, Vec<PathBuf>),
    /// `headgate demo`
    Demo(Box<Config>),
    /// `headgate echo`
    Echo(EchoArgs),
    /// `headgate flags`
    Flags,
}

/// The command line of this process. With one that is wrong, says what is and what would be right, and exits with 2;
/// prints help and version when asked to, and exits with 0.
pub(crate) fn invocation() -> Invocation {
    try_invocation(std::env::args_os(), &System::read()).unwrap_or_else(|error| error.exit())
}

/// What a command line asks for.
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
        Command::Demo(DemoArgs { flags }) => {
            Invocation::Demo(config(&flags, Preset::Demo, system)?)
        }
        Command::Echo(echo) => Invocation::Echo(echo),
        Command::Flags => Invocation::Flags,
    })
}

fn config(flags: &Flags, preset: Preset, system: &System) -> Result<Box<Config>, clap::Error> {
    let config = Config::new(flags, preset, system).map_err(|conflict| {
        Args::command().error(ErrorKind::ArgumentConflict, conflict.to_string())
    })?;
    Ok(Box::new(config))
}
