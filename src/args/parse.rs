//! Values of flags. An error says what is expected; clap adds the flag and the value.

use std::net::{IpAddr, Ipv4Addr};
use std::ops::RangeInclusive;
use std::time::Duration;

use headgate_compile::{LabelSelector, Name};

use super::HostPort;

/// As `strconv.ParseBool` of Go.
pub(crate) fn switch(text: &str) -> Result<bool, String> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false),
        _ => Err("expected true or false".to_owned()),
    }
}

pub(crate) fn port(text: &str) -> Result<u64, String> {
    let port: Result<u16, _> = text.parse();
    port.map(u64::from)
        .map_err(|_| "expected a port, a whole number from 0 to 65535".to_owned())
}

pub(crate) fn port_range(text: &str) -> Result<Option<RangeInclusive<u16>>, String> {
    if text.is_empty() || text == "none" {
        return Ok(None);
    }
    let range = text.split_once('-').and_then(|(first, last)| {
        let range = first.parse().ok()?..=last.parse().ok()?;
        (*range.start() > 0 && !range.is_empty()).then_some(range)
    });
    let wrong =
        || "expected two ports, the lower one first, such as 20000-27999, or none".to_owned();
    range.map(Some).ok_or_else(wrong)
}

pub(crate) fn count(text: &str, least: u64) -> Result<u64, String> {
    let number = text.parse().ok().filter(|number| *number >= least);
    number.ok_or_else(|| format!("expected a whole number, at least {least}"))
}

pub(crate) fn decimal(text: &str) -> Result<f64, String> {
    let number = text
        .parse()
        .ok()
        .filter(|number: &f64| number.is_finite() && *number >= 0.0);
    number.ok_or_else(|| "expected a number, such as 0.3".to_owned())
}

/// Bounds of buckets. A last one that is infinite may be written, and is always there.
pub(crate) fn ascending(text: &str) -> Result<Vec<f64>, String> {
    let text = text.trim_start_matches('[').trim_end_matches(']');
    let mut parts: Vec<&str> = text.split(',').map(str::trim).collect();
    parts.pop_if(|last| last.parse() == Ok(f64::INFINITY));
    let numbers: Result<Vec<_>, _> = parts.into_iter().map(decimal).collect();
    match numbers {
        Ok(numbers) if is_ascending(&numbers) => Ok(numbers),
        _ => Err("expected ascending numbers separated by commas, such as 0.1,0.5,1".to_owned()),
    }
}

pub(crate) fn is_ascending(numbers: &[f64]) -> bool {
    numbers.is_sorted_by(|left, right| left < right)
}

/// The members of a list, separated by commas.
pub(crate) fn list(text: &str) -> Vec<String> {
    let members = text.split(',').map(str::trim);
    members
        .filter(|member| !member.is_empty())
        .map(str::to_owned)
        .collect()
}

/// As `time.ParseDuration` of Go, without signs.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || "expected a duration, such as 30s, 500ms or 1h30m".to_owned();
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    let mut seconds = 0.0;
    let mut rest = text;
    loop {
        let digits = rest
            .find(|c: char| !c.is_ascii_digit() && c != '.')
            .ok_or_else(wrong)?;
        let (number, after) = rest.split_at(digits);
        let unit_end = after
            .find(|c: char| c.is_ascii_digit() || c == '.')
            .unwrap_or(after.len());
        let (unit, after) = after.split_at(unit_end);
        let number: f64 = number.parse().map_err(|_| wrong())?;
        seconds += number * unit_seconds(unit).ok_or_else(wrong)?;
        if after.is_empty() {
            return Duration::try_from_secs_f64(seconds).map_err(|_| wrong());
        }
        rest = after;
    }
}

fn unit_seconds(unit: &str) -> Option<f64> {
    Some(match unit {
        "ns" => 1e-9,
        "us" | "µs" | "μs" => 1e-6,
        "ms" => 1e-3,
        "s" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        _ => return None,
    })
}

pub(crate) fn object(text: &str) -> Result<Option<Name>, String> {
    if text.is_empty() {
        return Ok(None);
    }
    match text.split_once('/') {
        Some((namespace, name))
            if !namespace.is_empty() && !name.is_empty() && !name.contains('/') =>
        {
            Ok(Some(Name::new(namespace, name)))
        }
        _ => Err("expected namespace/name".to_owned()),
    }
}

pub(crate) fn address(text: &str) -> Result<IpAddr, String> {
    let bare = text
        .strip_prefix('[')
        .and_then(|text| text.strip_suffix(']'))
        .unwrap_or(text);
    bare.parse()
        .map_err(|_| "expected an IP address, such as 127.0.0.1 or ::1".to_owned())
}

pub(crate) fn host(text: &str) -> Result<Option<IpAddr>, String> {
    match text {
        "" => Ok(None),
        "localhost" => Ok(Some(Ipv4Addr::LOCALHOST.into())),
        _ => address(text)
            .map(Some)
            .map_err(|message| format!("{message}, or localhost")),
    }
}

pub(crate) fn host_port(text: &str) -> Result<Option<HostPort>, String> {
    if text.is_empty() {
        return Ok(None);
    }
    let wrong = || "expected host:port or :port, the host an IP address or localhost".to_owned();
    let (name, number) = text.rsplit_once(':').ok_or_else(wrong)?;
    let number = u16::try_from(port(number).map_err(|_| wrong())?).map_err(|_| wrong())?;
    let name = name
        .strip_prefix('[')
        .and_then(|name| name.strip_suffix(']'))
        .unwrap_or(name);
    Ok(Some(HostPort {
        host: host(name).map_err(|_| wrong())?,
        port: number,
    }))
}

/// A label selector in the syntax of the API server.
pub(crate) fn selector(text: &str) -> Result<(), String> {
    match text.parse::<LabelSelector>() {
        Ok(_) => Ok(()),
        Err(error) => Err(error.to_string()),
    }
}

pub(crate) fn dns_name(text: &str) -> Result<(), String> {
    let label = |label: &str| {
        let edges = !label.starts_with('-') && !label.ends_with('-');
        let within = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        edges && (1..=63).contains(&label.len()) && label.bytes().all(within)
    };
    let is_valid = text.len() <= 253 && text.split('.').all(label);
    if is_valid {
        Ok(())
    } else {
        Err("expected a DNS name in lower case, such as nginx.ingress.kubernetes.io".to_owned())
    }
}

pub(crate) fn path(text: &str) -> Result<(), String> {
    let is_valid = text.starts_with('/') && text.bytes().all(|byte| byte.is_ascii_graphic());
    if is_valid {
        Ok(())
    } else {
        Err("expected a path that begins with /".to_owned())
    }
}
