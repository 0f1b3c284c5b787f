//! The type of a flag: name, values, default, help, and where it has an effect.

use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::time::Duration;

use headgate_compile::{Judgement, Name, Verdict};

use super::parse;
use crate::config::Preset;

/// One flag.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Flag {
    /// Without the dashes.
    pub(crate) name: &'static str,
    /// The values it takes.
    pub(crate) kind: Kind,
    /// Value when it is not given, as typed; empty: none.
    pub(crate) default: &'static str,
    /// Help in one line.
    pub(crate) meaning: &'static str,
    pub(crate) support: Support,
    /// What differs from ingress-nginx while it is honoured; empty: nothing.
    pub(crate) difference: &'static str,
}

/// Where a flag has an effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Support {
    /// Everywhere.
    Yes,
    /// Only in `controller`: it concerns the API server.
    Cluster,
    /// Nowhere, for this reason; nothing is missing.
    Never(&'static str),
    /// Nowhere, although something was expected of it: what happens instead.
    Missing(&'static str),
}

/// Type of the values of a flag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// On or off.
    Switch,
    /// A port; 0: any free port.
    Port,
    /// Ports from the first to the last, as `20000-27999`; empty or `none`: none.
    PortRange,
    /// A whole number not below this.
    Count(u64),
    /// A number with or without a fraction, not negative.
    Decimal,
    /// Ascending numbers separated by commas; repeatable.
    Decimals,
    /// Texts separated by commas; repeatable.
    List,
    /// A duration as Go writes it: `1h30m`, `500ms`.
    Duration,
    /// Any text.
    Text,
    /// An object as `namespace/name`; empty: none.
    Object,
    /// An IP address; repeatable.
    Addresses,
    /// An IP address or `localhost`; empty: all addresses.
    Host,
    /// `host:port` or `:port`; empty: none.
    HostPort,
    /// A label selector; empty: none.
    Selector,
    /// A DNS name.
    DnsName,
    /// A path that begins with `/`.
    Path,
}

/// A parsed value.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs, reason = "the variants of Kind have the docs")]
pub(crate) enum Value {
    Switch(bool),
    Number(u64),
    Duration(Duration),
    Text(String),
    Decimals(Vec<f64>),
    List(Vec<String>),
    Object(Option<Name>),
    PortRange(Option<RangeInclusive<u16>>),
    Address(Option<IpAddr>),
    HostPort(Option<HostPort>),
}

/// Where to listen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct HostPort {
    /// `None`: all addresses.
    pub(crate) host: Option<IpAddr>,
    /// 0: any free port.
    pub(crate) port: u16,
}

impl Kind {
    /// Parses a value.
    ///
    /// # Errors
    /// What is expected.
    pub(crate) fn parse(self, text: &str) -> Result<Value, String> {
        match self {
            Self::Switch => parse::switch(text).map(Value::Switch),
            Self::Port => parse::port(text).map(Value::Number),
            Self::PortRange => parse::port_range(text).map(Value::PortRange),
            Self::Count(least) => parse::count(text, least).map(Value::Number),
            Self::Decimal => parse::decimal(text).map(|_| Value::Text(text.to_owned())),
            Self::Decimals => parse::ascending(text).map(Value::Decimals),
            Self::List => Ok(Value::List(parse::list(text))),
            Self::Duration => parse::duration(text).map(Value::Duration),
            Self::Text => Ok(Value::Text(text.to_owned())),
            Self::Object => parse::object(text).map(Value::Object),
            Self::Addresses => parse::address(text).map(|address| Value::Address(Some(address))),
            Self::Host => parse::host(text).map(Value::Address),
            Self::HostPort => parse::host_port(text).map(Value::HostPort),
            Self::Selector => parse::selector(text).map(|()| Value::Text(text.to_owned())),
            Self::DnsName => parse::dns_name(text).map(|()| Value::Text(text.to_owned())),
            Self::Path => parse::path(text).map(|()| Value::Text(text.to_owned())),
        }
    }

    /// Placeholder in the help.
    pub(crate) fn value_name(self) -> &'static str {
        match self {
            Self::Switch => "true|false",
            Self::Port => "PORT",
            Self::PortRange => "FIRST-LAST",
            Self::Count(_) | Self::Decimal => "NUMBER",
            Self::Decimals => "NUMBERS",
            Self::List => "NAMES",
            Self::Duration => "DURATION",
            Self::Text => "TEXT",
            Self::Object => "NAMESPACE/NAME",
            Self::Addresses => "ADDRESS",
            Self::Host => "HOST",
            Self::HostPort => "HOST:PORT",
            Self::Selector => "LABELS",
            Self::DnsName => "NAME",
            Self::Path => "PATH",
        }
    }
}

impl Flag {
    /// Honoured, but not always as in ingress-nginx.
    pub(super) const fn differs(mut self, difference: &'static str) -> Self {
        self.difference = difference;
        self
    }

    /// The verdict about the flag of a running ingress-nginx with this value.
    pub(crate) fn verdict(&'static self, value: &str) -> Judgement {
        let is_default = self.kind.parse(value) == self.kind.parse(self.default);
        match self.support {
            _ if is_default => Judgement::honoured(self.name),
            Support::Never(reason) => Judgement::new(self.name, Verdict::NoEffect, reason),
            Support::Missing(reason) => Judgement::new(self.name, Verdict::NotSupported, reason),
            Support::Yes | Support::Cluster if self.difference.is_empty() => {
                Judgement::honoured(self.name)
            }
            Support::Yes | Support::Cluster => {
                Judgement::new(self.name, Verdict::Differs, self.difference)
            }
        }
    }

    /// Why it has no effect in a command; `None`: it has one.
    pub(crate) fn without_effect(&self, preset: Preset) -> Option<&'static str> {
        match self.support {
            Support::Yes => None,
            Support::Cluster if preset == Preset::Controller => None,
            Support::Cluster => Some("there is no API server"),
            Support::Never(reason) | Support::Missing(reason) => Some(reason),
        }
    }
}
