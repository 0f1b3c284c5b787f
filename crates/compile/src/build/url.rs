//! Destinations given as URLs, for requests that the process itself sends.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use headgate_table::{
    Authorities, BackendProtocol, Balance, CallTarget, Endpoints, Slot, Upstream, UpstreamKey,
    UpstreamTls,
};

use super::service_port::{ServicePort, Transport};
use super::upstreams::UpstreamDraft;
use crate::Name;

/// The scheme, host and port of an http or https URL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UrlAddress {
    https: bool,
    /// Lower-case, without brackets.
    host: Arc<str>,
    port: u16,
}

impl UrlAddress {
    /// Splits a URL into its address and the rest: path and query, which may be empty.
    ///
    /// # Errors
    /// What is wrong with it, as a message.
    pub fn split(url: &str) -> Result<(Self, &str), String> {
        let (scheme, rest) = url
            .split_once("://")
            .ok_or("it must begin with http:// or https://")?;
        let https = match scheme {
            "http" => false,
            "https" => true,
            _ => {
                return Err(format!(
                    "its scheme is {scheme:?}, which must be http or https"
                ));
            }
        };
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, rest) = rest.split_at(end);
        let (host, port) = host_and_port(authority)?;
        if host.contains('$') {
            return Err("its host contains a variable, which must be a name or an address".into());
        }
        if host.is_empty() || host.contains("..") || host.contains(char::is_whitespace) {
            return Err(format!("{host:?} is not a host"));
        }
        let address = Self {
            https,
            host: host.to_ascii_lowercase().into(),
            port: port.unwrap_or(if https { 443 } else { 80 }),
        };
        Ok((address, rest))
    }

    /// The host, lower-case.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The same at another host.
    pub fn at(&self, host: &str) -> Self {
        Self {
            host: host.into(),
            ..self.clone()
        }
    }

    /// The Service port, if the host is the cluster name of a Service: `NAME.NAMESPACE.svc` or `….svc.cluster.local`.
    pub fn service(&self) -> Option<UpstreamDraft> {
        let host = self.host.strip_suffix('.').unwrap_or(&self.host);
        let host = host.strip_suffix(".cluster.local").unwrap_or(host);
        let (name, namespace) = host.strip_suffix(".svc")?.split_once('.')?;
        if namespace.contains('.') {
            return None;
        }
        let port = self.port.to_string().into();
        Some(UpstreamDraft {
            port: ServicePort::new(Name::new(namespace, name), port),
            transport: self.transport(),
        })
    }

    /// Where requests go. An upstream of a Service port must be acquired from the builder (see [`Self::service`]).
    pub fn target(&self) -> CallTarget {
        if let Some(draft) = self.service() {
            return CallTarget::Upstream(draft.key());
        }
        let transport = self.transport();
        let scheme = if self.https { "https" } else { "http" };
        let name: Arc<str> = format!("{scheme}://{}:{}", self.host, self.port).into();
        let endpoints = match self.host.parse::<IpAddr>() {
            Ok(address) => Endpoints::Addresses([SocketAddr::new(address, self.port)].into()),
            Err(_) => Endpoints::Name {
                host: self.host.clone(),
                port: self.port,
            },
        };
        CallTarget::Fixed(Arc::new(Upstream {
            key: UpstreamKey::new(name.clone()),
            name: name.clone(),
            log_name: name,
            protocol: transport.protocol(),
            tls: transport.tls().cloned(),
            endpoints,
            balance: Balance::RoundRobin,
            affinity: None,
            client_ip_affinity: None,
            resilience: Arc::default(),
            slot: Slot::default(),
        }))
    }

    /// With TLS, the name is sent and the certificate is not verified, as nginx does without further settings.
    fn transport(&self) -> Transport {
        if !self.https {
            return Transport::default();
        }
        let tls = UpstreamTls {
            id: format!("url#{}", self.host).into(),
            client: None,
            authorities: Authorities::default(),
            verify: false,
            alternatives: Arc::default(),
            verify_depth: 1,
            server_name: true,
            name: Some(self.host.clone()),
            tls12: true,
            tls13: true,
            ciphers: Arc::default(),
            slot: Slot::default(),
        };
        Transport::new(BackendProtocol::Https, Some(Arc::new(tls)))
    }
}

fn host_and_port(authority: &str) -> Result<(&str, Option<u16>), String> {
    let (host, port) = match authority.strip_prefix('[') {
        Some(v6) => {
            let (host, rest) = v6.split_once(']').ok_or("\"[\" without \"]\"")?;
            (host, rest.strip_prefix(':'))
        }
        None => match authority.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (authority, None),
        },
    };
    let Some(port) = port else {
        return Ok((host, None));
    };
    match port.parse() {
        Ok(number) if number > 0 => Ok((host, Some(number))),
        _ => Err(format!("{port:?} is not a port")),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    use super::*;

    #[test]
    fn urls_are_split_at_their_path() {
        for (url, host, key, rest) in [
            (
                "http://10.0.0.1/check?a=$b",
                "10.0.0.1",
                "http://10.0.0.1:80",
                "/check?a=$b",
            ),
            (
                "https://Auth.Example",
                "auth.example",
                "https://auth.example:443",
                "",
            ),
            ("http://[::1]:81/", "::1", "http://::1:81", "/"),
            ("http://a.b.svc:4180/x", "a.b.svc", "b/a/4180", "/x"),
            (
                "http://a.b.svc.cluster.local?x",
                "a.b.svc.cluster.local",
                "b/a/80",
                "?x",
            ),
            ("http://a.b.c.svc/", "a.b.c.svc", "http://a.b.c.svc:80", "/"),
        ] {
            let (address, left) = UrlAddress::split(url).unwrap();
            assert_eq!(address.host(), host, "{url}");
            assert_eq!(address.target().key().as_str(), key, "{url}");
            assert_eq!(left, rest, "{url}");
        }
    }

    #[test]
    fn invalid_urls_are_refused() {
        for url in [
            "",
            "auth",
            "//auth/",
            "ftp://auth/",
            "http://",
            "http:///x",
            "http://a..b/",
            "http://a:0/",
            "http://a:b/",
            "http://a:65536/",
            "http://$host/",
            "http://[::1/",
            "http://a b/",
        ] {
            assert!(UrlAddress::split(url).is_err(), "{url}");
        }
    }
}
