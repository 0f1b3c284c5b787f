//! Requests as they end.

use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::UNIX_EPOCH;

use headgate_console::model::{TapEvent, TapFilter, TapMessage};
use headgate_console::{Failed, Reply, TapReader};
use headgate_proxy::{TapReceiver, TappedRequest};
use ipnet::IpNet;

use super::index::Index;
use super::{Console, not_yet};

pub(super) fn tap(console: &Console, filter: &TapFilter) -> Result<Box<dyn TapReader>, Failed> {
    let live = console.live.get().ok_or_else(not_yet)?;
    let (_, index) = console.index().ok_or_else(not_yet)?;
    let receiver = live.telemetry.tap(parsed(filter)?);
    let receiver = receiver.map_err(|error| Failed::Unavailable(error.to_string()))?;
    Ok(Box::new(Reader { receiver, index }))
}

/// A tap of the data plane.
struct Reader {
    receiver: TapReceiver,
    /// For the ids of routes, which stay the same from table to table.
    index: Arc<Index>,
}

impl TapReader for Reader {
    fn next(&mut self) -> Reply<'_, Option<TapMessage>> {
        Box::pin(async {
            let (request, lost) = self.receiver.next().await?;
            let event = event(&request, &self.index);
            Some(TapMessage { lost, event })
        })
    }
}

fn event(request: &TappedRequest, index: &Index) -> TapEvent {
    let text = |text: Option<&Arc<str>>| text.map_or_else(String::new, ToString::to_string);
    let origin = request
        .origin
        .as_deref()
        .filter(|origin| !origin.kind.is_empty());
    let host = request.host.as_deref();
    let route = host.zip(request.route);
    let route = route.and_then(|(host, number)| index.numbered(host, number));
    let end = request.end.duration_since(UNIX_EPOCH).unwrap_or_default();
    TapEvent {
        end_unix_seconds: end.as_secs_f64(),
        duration_seconds: request.duration.as_secs_f64(),
        client: request.client.to_string(),
        method: request.method.clone(),
        scheme: if request.https { "https" } else { "http" }.to_owned(),
        authority: request.authority.clone(),
        target: request.target.clone(),
        version: request.version.to_owned(),
        status: request.status,
        request_bytes: request.request_bytes,
        response_bytes: request.response_bytes,
        host: text(request.host.as_ref()),
        route: route.map(|route| route.id()),
        object: origin.map_or_else(String::new, |origin| {
            format!("{} {}/{}", origin.kind, origin.namespace, origin.name)
        }),
        path: text(request.path.as_ref()),
        service: origin.map_or_else(String::new, |origin| origin.service.to_string()),
        canary: text(request.canary.as_ref()),
        endpoint: request
            .endpoint
            .map_or_else(String::new, |endpoint| endpoint.to_string()),
        attempts: request.attempts,
        endpoint_seconds: request.endpoint_time.map(|time| time.as_secs_f64()),
        reason: request.reason.to_owned(),
        request_id: request.request_id.clone(),
    }
}

fn parsed(filter: &TapFilter) -> Result<headgate_proxy::TapFilter, Failed> {
    let ingress = filter.ingress.trim();
    let (namespace, object) = ingress.split_once('/').unwrap_or(("", ingress));
    Ok(headgate_proxy::TapFilter {
        host: filter.host.trim().to_ascii_lowercase(),
        path: filter.path.trim().to_owned(),
        status: status(filter.status.trim())?,
        clients: clients(filter.client.trim())?,
        namespace: namespace.to_owned(),
        object: object.to_owned(),
        route: None,
        show_query: filter.show_query,
        rate: filter.rate,
    })
}

fn status(text: &str) -> Result<Option<RangeInclusive<u16>>, Failed> {
    if text.is_empty() {
        return Ok(None);
    }
    let wrong = || {
        let expected = "expected a status such as 404 or a class such as 5xx";
        Failed::Invalid(format!("status: {text}: {expected}"))
    };
    let class = text.strip_suffix("xx").or_else(|| text.strip_suffix("XX"));
    let range = match class {
        Some(class) => {
            let class: u16 = class.parse().map_err(|_| wrong())?;
            let first = class.checked_mul(100).ok_or_else(wrong)?;
            first..=first.saturating_add(99)
        }
        None => {
            let status: u16 = text.parse().map_err(|_| wrong())?;
            status..=status
        }
    };
    match (100..=599).contains(range.start()) {
        true => Ok(Some(range)),
        false => Err(wrong()),
    }
}

fn clients(text: &str) -> Result<Option<IpNet>, Failed> {
    if text.is_empty() {
        return Ok(None);
    }
    let address = text.parse().map(|address: std::net::IpAddr| address.into());
    let clients = address.or_else(|_| text.parse::<IpNet>());
    clients.map(Some).map_err(|_| {
        let expected = "expected an IP address or a network such as 10.0.0.0/8";
        Failed::Invalid(format!("client: {text}: {expected}"))
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    use super::*;

    #[test]
    fn filters_are_read_strictly() {
        let filter = TapFilter {
            host: " Shop.Example ".to_owned(),
            status: "5xx".to_owned(),
            client: "192.0.2.1".to_owned(),
            ingress: "shop/web".to_owned(),
            ..TapFilter::default()
        };
        let read = parsed(&filter).unwrap();
        assert_eq!(read.host, "shop.example");
        assert_eq!(read.status, Some(500..=599));
        assert_eq!(read.clients.unwrap().to_string(), "192.0.2.1/32");
        assert_eq!((&*read.namespace, &*read.object), ("shop", "web"));
        assert_eq!(status("404").unwrap(), Some(404..=404));
        for wrong in ["abc", "6xx", "99", "700xx", "-1", "x", "xx"] {
            assert!(status(wrong).is_err(), "{wrong}");
        }
        assert!(clients("10.0.0.0/8").is_ok());
        assert!(clients("shop").is_err());
    }
}
