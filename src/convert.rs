//! `headgate convert`: Ingresses with their annotations as objects of the Gateway API with HeadgatePolicies.

mod yaml;

use std::process::ExitCode;

use anyhow::Result;
use clap::ValueEnum;
use headgate_compile::{Conversion, GatewayTarget, Name, Remark, Severity, convert};
use serde_json::{Value, json};

use crate::input::{Input, Place, Progress};
use crate::output;

/// Exit code if something is lost.
const LOST: u8 = 1;
/// Exit code for an invalid command line and for input that cannot be read.
const UNREADABLE: u8 = 2;

/// The command line of `headgate convert`.
#[derive(Debug, clap::Args)]
pub(crate) struct ConvertArgs {
    #[command(flatten)]
    place: Place,
    /// Name of the Gateway.
    #[arg(long, value_name = "NAME", default_value = "headgate")]
    gateway: String,
    /// Namespace of the Gateway.
    #[arg(long, value_name = "NAMESPACE", default_value = "default")]
    gateway_namespace: String,
    /// GatewayClass of the Gateway.
    #[arg(long, value_name = "NAME", default_value = "headgate")]
    gateway_class: String,
    /// Format of the output.
    #[arg(long, value_enum, default_value = "yaml")]
    format: Format,
}

/// Format of the output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// Documents for kubectl, after comments with what is lost.
    Yaml,
    /// One object with the objects and what is lost.
    Json,
}

/// Runs the command. The exit code is 0 if the objects serve the same, 1 if something is lost, which is also written to
/// standard error, and 2 if the input cannot be read.
pub(crate) fn run(args: &ConvertArgs) -> ExitCode {
    match converted(args) {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::from(UNREADABLE)
        }
    }
}

fn converted(args: &ConvertArgs) -> Result<u8> {
    let progress = Progress::start();
    let input = Input::read(&args.place, &[], &progress)?;
    progress.phase("compiling", None);
    let compiled = input.compile()?;
    progress.end();
    let target = GatewayTarget {
        name: Name::new(&args.gateway_namespace, &args.gateway),
        class: args.gateway_class.clone(),
    };
    let snapshot = input.objects.snapshot();
    let conversion = convert(&compiled, snapshot, &input.options, &target);
    let unreadable = input.unreadable.iter();
    let unreadable: Vec<String> = unreadable
        .filter(|finding| finding.severity == Severity::Error)
        .map(ToString::to_string)
        .collect();
    for line in &unreadable {
        eprintln!("not read: {}", output::plain(line));
    }
    let lost = conversion.remarks.iter().filter(|remark| remark.lost);
    for remark in lost.clone() {
        eprintln!("lost: {}", line(remark));
    }
    output::print(&match args.format {
        Format::Yaml => documents(&conversion),
        Format::Json => format!("{:#}\n", as_json(&conversion)),
    })?;
    Ok(match (unreadable.is_empty(), lost.count()) {
        (false, _) => UNREADABLE,
        (true, 0) => 0,
        (true, _) => LOST,
    })
}

/// `Ingress shop/web: limit-rps: what`, on one line.
fn line(remark: &Remark) -> String {
    let field = match remark.field.as_str() {
        "" => String::new(),
        field => format!("{field}: "),
    };
    let text = format!("{}: {field}{}", remark.object, remark.message);
    output::plain(&text).into_owned()
}

fn documents(conversion: &Conversion) -> String {
    let mut text = String::new();
    for remark in &conversion.remarks {
        let kind = if remark.lost { "Lost" } else { "Note" };
        text.push_str(&format!("# {kind}: {}\n", line(remark)));
    }
    for object in &conversion.objects {
        text.push_str("---\n");
        yaml::write(object, 0, &mut text);
    }
    text
}

fn as_json(conversion: &Conversion) -> Value {
    let remark = |remark: &Remark| {
        json!({
            "object": remark.object, "field": remark.field, "message": remark.message,
            "lost": remark.lost,
        })
    };
    let remarks: Vec<Value> = conversion.remarks.iter().map(remark).collect();
    json!({ "objects": conversion.objects, "remarks": output::plain_json(&remarks.into()) })
}
