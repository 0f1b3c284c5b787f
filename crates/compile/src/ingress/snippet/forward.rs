//! Directives about how requests are forwarded, logged and compressed.

use super::directive::{Directive, Forward, Gzip};
use super::values::{shown, size, switch, time};

/// The directive `name` with its only argument.
pub(super) fn forward(name: &str, arguments: &[String]) -> Result<Directive, String> {
    let value = only(arguments)?;
    let forward = match name {
        "proxy_connect_timeout" => Forward::ConnectTimeout(time(value)?),
        "proxy_send_timeout" => Forward::SendTimeout(time(value)?),
        "proxy_read_timeout" => Forward::ReadTimeout(time(value)?),
        "proxy_buffering" => Forward::BufferResponse(switch(value)?),
        "proxy_request_buffering" => Forward::BufferRequest(switch(value)?),
        "proxy_buffer_size" => match size(value)? {
            0 => return Err("a size of zero is not usable".to_owned()),
            bytes => Forward::HeadLimit(bytes),
        },
        "client_max_body_size" => Forward::BodyLimit(Some(size(value)?).filter(|size| *size > 0)),
        "client_body_buffer_size" => Forward::BodyMemory(size(value)?),
        "proxy_ssl_server_name" => Forward::SendName(switch(value)?),
        _ if value.contains('$') => {
            return Err("variables are not supported; write the name".to_owned());
        }
        _ => Forward::UpstreamName(value.to_owned()),
    };
    Ok(Directive::Forward(forward))
}

/// `proxy_ssl_verify`: there is nothing to switch off, and nothing to verify with.
pub(super) fn verify(arguments: &[String]) -> Result<Directive, String> {
    if switch(only(arguments)?)? {
        const NEEDS: &str = "backends are verified only with the annotations proxy-ssl-secret and proxy-ssl-verify: \"on\"";
        return Err(NEEDS.to_owned());
    }
    Ok(Directive::Nothing)
}

/// `proxy_http_version 1.1`, which is the default.
pub(super) fn http_version(arguments: &[String]) -> Result<Directive, String> {
    match only(arguments)? {
        "1.1" => Ok(Directive::Nothing),
        _ => Err("the annotation proxy-http-version sets it".to_owned()),
    }
}

/// `gzip` and its parameters.
pub(super) fn gzip(name: &str, arguments: &[String]) -> Result<Directive, String> {
    let gzip = match name {
        "gzip" => Gzip::On(switch(only(arguments)?)?),
        "gzip_types" if !arguments.is_empty() => Gzip::Types(arguments.join(" ")),
        "gzip_min_length" => Gzip::MinLength(size(only(arguments)?)?),
        _ => {
            let text = only(arguments)?;
            let level = text.parse().ok().filter(|level| (1..=9).contains(level));
            let level = level.ok_or_else(|| format!("\"{}\" is not from 1 to 9", shown(text)));
            Gzip::Level(level?)
        }
    };
    Ok(Directive::Gzip(gzip))
}

/// `access_log off`; a file is not written to.
pub(super) fn access_log(arguments: &[String]) -> Result<Directive, String> {
    match arguments {
        [word] if word == "off" => Ok(Directive::AccessLog(false)),
        _ => Err("only \"off\" is supported; ConfigMap keys configure the log".to_owned()),
    }
}

/// `auth_basic off`: there is none but that of annotations, beside which nginx refuses it.
pub(super) fn no_password(arguments: &[String]) -> Result<Directive, String> {
    match arguments {
        [word] if word == "off" => Ok(Directive::Nothing),
        _ => {
            Err("only \"off\" is supported; auth-type and auth-secret ask for passwords".to_owned())
        }
    }
}

fn only(arguments: &[String]) -> Result<&str, String> {
    match arguments {
        [value] => Ok(value),
        _ => Err("expected one value".to_owned()),
    }
}
