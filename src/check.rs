//! `headgate check`: what will happen to every Ingress, annotation, ConfigMap key, flag and chart value of a running
//! ingress-nginx.

mod build;
mod html;
mod json;
mod markdown;
mod report;
mod text;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::ValueEnum;
use serde_json::Value;

use self::report::Report;
use crate::input::{Input, Place, Progress};
use crate::output;

/// Exit code if something is not honoured.
const NOT_HONOURED: u8 = 1;
/// Exit code for an invalid command line and for input that cannot be read.
const UNREADABLE: u8 = 2;

/// The command line of `headgate check`.
#[derive(Debug, clap::Args)]
pub(crate) struct CheckArgs {
    #[command(flatten)]
    place: Place,
    /// Format of the report.
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
    /// Values file of the ingress-nginx chart; repeatable. In a cluster, the values of the Helm release are read.
    #[arg(long = "values", value_name = "FILE")]
    values: Vec<PathBuf>,
}

/// Format of the report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For a terminal.
    Text,
    /// For programs.
    Json,
    /// For a ticket or a pull request.
    Markdown,
    /// One page without external files.
    Html,
}

/// Runs the command. The exit code is 0 if everything is honoured, perhaps with differences; 1 if something is not supported or
/// an object has an error; 2 if the input cannot be read.
pub(crate) fn run(args: &CheckArgs) -> ExitCode {
    match report(args) {
        Ok(report) => {
            if let Err(error) = print(&report, args.format) {
                eprintln!("error: {error:#}");
                return ExitCode::from(UNREADABLE);
            }
            ExitCode::from(code(&report))
        }
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::from(UNREADABLE)
        }
    }
}

fn report(args: &CheckArgs) -> Result<Report> {
    let progress = Progress::start();
    let input = Input::read(&args.place, &args.values, &progress)?;
    progress.phase("compiling", None);
    let compiled = input.compile()?;
    let report = build::build(&input, &compiled, &progress);
    progress.end();
    // Freeing hundreds of thousands of objects one by one would only delay the end of the process.
    std::mem::forget((input, compiled));
    Ok(report)
}

/// The report about `input` as JSON.
///
/// # Errors
/// When no default certificate can be generated.
pub(crate) fn json_of(input: &Input) -> Result<Value> {
    let report = build::build(input, &input.compile()?, &Progress::hidden());
    Ok(json::value(&report))
}

fn code(report: &Report) -> u8 {
    if report.is_unreadable {
        UNREADABLE
    } else if report.is_honoured() {
        0
    } else {
        NOT_HONOURED
    }
}

fn print(report: &Report, format: Format) -> Result<()> {
    let text = match format {
        Format::Text => text::text(report),
        Format::Json => json::json(report),
        Format::Markdown => markdown::markdown(report),
        Format::Html => html::html(report),
    };
    output::print(&text)
}
