//! `headgate explain`: which object, rule, policy, Service and endpoint would serve a request, which candidates lost, and why.
//! The decisions are those of the data plane ([`headgate_proxy::explain`]); this adds the objects that they come from.

pub(crate) mod json;
mod provenance;
mod remote;
mod text;
mod url;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::process::ExitCode;

use anyhow::Result;
use clap::ValueEnum;
use headgate_compile::Severity;
use headgate_proxy::ExplainRequest;
use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use serde_json::Value;

pub(crate) use self::url::RequestUrl;
use crate::input::{Input, Place, Progress};
use crate::output;

/// Exit code for an invalid command line and for input that cannot be read.
const UNREADABLE: u8 = 2;
/// The client, if none is named.
const CLIENT: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// The command line of `headgate explain`.
#[derive(Debug, clap::Args)]
pub(crate) struct ExplainArgs {
    /// URL of the request, such as https://shop.example/cart; without a scheme, http. tcp://HOST:PORT and udp://HOST:PORT are
    /// ports of TCP and UDP services.
    #[arg(value_name = "URL", value_parser = RequestUrl::argument())]
    url: RequestUrl,
    #[command(flatten)]
    place: Place,
    /// Method of the request.
    #[arg(long, short = 'X', value_name = "METHOD", default_value = "GET")]
    method: Method,
    /// Header field of the request, `Name: value`; repeatable.
    #[arg(long = "header", short = 'H', value_name = "FIELD", value_parser = field)]
    headers: Vec<(HeaderName, HeaderValue)>,
    /// Address of the client.
    #[arg(long = "from", value_name = "ADDRESS", default_value_t = CLIENT)]
    from: IpAddr,
    /// Ask a running instance: the address of its admin port. No PATH is read then.
    #[arg(long, value_name = "ADDRESS", conflicts_with = "paths")]
    admin: Option<SocketAddr>,
    /// Format of the output.
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
}

/// Format of the output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For a terminal.
    Text,
    /// For programs.
    Json,
}

/// Parses `Name: value`.
pub(crate) fn field(text: &str) -> Result<(HeaderName, HeaderValue), String> {
    let expected = || "expected a field such as \"X-Canary: always\"".to_owned();
    let (name, value) = text.split_once(':').ok_or_else(expected)?;
    let name = HeaderName::from_bytes(name.trim().as_bytes()).map_err(|_| expected())?;
    let value = HeaderValue::from_str(value.trim()).map_err(|_| expected())?;
    Ok((name, value))
}

/// Runs the command. The exit code is 0 if the request is explained, 2 otherwise.
pub(crate) fn run(args: &ExplainArgs) -> ExitCode {
    let printed = explained(args).and_then(|explained| print(&explained, args.format));
    match printed {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::from(UNREADABLE)
        }
    }
}

fn explained(args: &ExplainArgs) -> Result<Value> {
    if let Some(admin) = args.admin {
        return remote::ask(admin, args);
    }
    let progress = Progress::start();
    let input = Input::read(&args.place, &[], &progress)?;
    progress.phase("compiling", None);
    let compiled = input.compile()?;
    progress.end();
    let request = args.request(input.options.endpoints.loopback);
    let explanation = headgate_proxy::explain(compiled.table(), &request)?;
    let state = (input.objects.snapshot(), &compiled, &input.options);
    let objects = json::Objects::of(state, (&request, &explanation));
    let mut explained = json::explained(
        (&request, &explanation),
        compiled.table().generation,
        &objects,
        compiled.findings().iter(),
    );
    let unreadable = input.unreadable.iter();
    let unreadable = unreadable.filter(|finding| finding.severity == Severity::Error);
    let unreadable = unreadable.map(|finding| format!("not read: {finding}"));
    let notes = input.notes.iter().cloned().chain(unreadable);
    explained["notes"] = notes.collect();
    // Freeing everything would only delay the end of the process.
    std::mem::forget((input, compiled));
    Ok(explained)
}

impl ExplainArgs {
    fn request(&self, loopback: bool) -> ExplainRequest {
        ExplainRequest {
            method: self.method.clone(),
            url: self.url.url.clone(),
            headers: self.fields(),
            client: self.from,
            loopback,
            names: None,
            verifies_passwords: true,
        }
    }

    /// The fields of the request. `Authorization` replaces the user information of the URL.
    fn fields(&self) -> HeaderMap {
        let mut fields: HeaderMap = self.headers.iter().cloned().collect();
        if let Some(authorization) = &self.url.authorization {
            let entry = fields.entry(AUTHORIZATION);
            entry.or_insert_with(|| authorization.clone());
        }
        fields
    }
}

fn print(explained: &Value, format: Format) -> Result<()> {
    let text = match format {
        Format::Text => text::text(&output::plain_json(explained)),
        Format::Json => format!("{explained:#}\n"),
    };
    output::print(&text)
}
