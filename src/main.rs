//! Headgate: a Layer-7 ingress controller for Kubernetes. This package is the wiring only; `crates/README.md` has the map.

mod admin;
mod app;
mod args;
mod check;
mod config;
mod console;
mod control_metrics;
mod controller;
mod convert;
mod default_certificate;
mod demo;
mod docs;
mod echo;
mod examples;
mod explain;
mod hardening;
mod input;
mod log;
mod output;
mod reconciler;
mod serve;
mod stop;
mod top;

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use headgate_manifest::{Source, SourceOptions};

use crate::args::Invocation;
use crate::config::Config;

/// Every worker allocates for every request; mimalloc needs half the time of the allocator of glibc.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Exit code for an invalid command line, including its paths.
const USAGE: u8 = 2;

fn main() -> ExitCode {
    let invocation = args::invocation();
    harden(&invocation);
    let result = match invocation {
        Invocation::Controller(config) => {
            start_log(&config);
            match config.cluster {
                Some(cluster) => block_on(controller::run(config.serving, cluster)),
                None => Ok(()),
            }
        }
        Invocation::Serve(config, paths) => return serve(*config, paths),
        Invocation::Demo(config, has_traffic) => {
            start_log(&config);
            block_on(demo::run(config.serving, has_traffic))
        }
        Invocation::Check(args) => return check::run(&args),
        Invocation::Convert(args) => return convert::run(&args),
        Invocation::Explain(args) => return explain::run(&args),
        Invocation::Echo(args) => block_on(echo::run(args)),
        Invocation::Stop(args) => block_on(stop::run(args)),
        Invocation::Top(args) => block_on(top::run(*args)),
        Invocation::Flags => page(&docs::flags_markdown()),
        Invocation::Metrics => page(&docs::metrics_markdown()),
        Invocation::Variables => page(&docs::variables_markdown()),
    };
    exit_code(result)
}

/// Before any thread starts: threads inherit it.
fn harden(invocation: &Invocation) {
    let mut results = vec![hardening::hide_memory()];
    // Other commands may run a plugin of a kubeconfig for credentials, which may be installed with privileges.
    if let Invocation::Controller(_) | Invocation::Serve(..) | Invocation::Demo(..) = invocation {
        results.push(hardening::give_up_new_privileges());
    }
    for problem in results.into_iter().filter_map(Result::err) {
        eprintln!("warning: {problem}");
    }
}

/// Prints a page of the documentation.
fn page(text: &str) -> Result<()> {
    std::io::stdout()
        .write_all(text.as_bytes())
        .context("writing to standard output")
}

fn serve(config: Config, paths: Vec<PathBuf>) -> ExitCode {
    match Source::open(paths, SourceOptions::default()) {
        Ok(source) => {
            start_log(&config);
            exit_code(block_on(serve::run(config.serving, source)))
        }
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::from(USAGE)
        }
    }
}

/// The runtime of the main thread runs the source and the reconciler; the data plane and the admin port have their own.
fn block_on(future: impl Future<Output = Result<()>>) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("starting the runtime")?;
    let result = runtime.block_on(future);
    // Does not wait for a file that is being read.
    runtime.shutdown_background();
    result
}

fn exit_code(result: Result<()>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn start_log(config: &Config) {
    log::start(config.log_level);
    if let Some(warning) = config.warning() {
        tracing::warn!("{warning}");
    }
}
