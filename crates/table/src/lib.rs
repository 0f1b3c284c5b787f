//! The routing table that the data plane serves from. It does not know the source of its routes.
//!
//! Its vocabulary is listeners, hosts, routes, splits, policies and upstreams; it names no kind of object, so that any source
//! can compile to it. A table is immutable: a change makes a new one that shares every unchanged part with the old one
//! ([`SharedMap`]), and [`Publisher`] swaps it in atomically.
//!
//! This crate has no I/O, clock or randomness: lookups are functions of the table and the request. Run-time state (limiter
//! buckets, balancer scores, counters) is kept in a [`Slot`], which compilation carries over from one table to the next.

#![deny(clippy::disallowed_methods)] // no clock, no randomness: see .clippy.toml

mod address;
mod block_list;
mod by_name;
mod call_target;
mod certificate;
mod clients;
mod compression;
mod conditions;
mod endpoint_address;
mod field_edits;
mod host;
mod host_script;
mod hosts;
mod listener;
mod path_edit;
mod path_index;
mod pattern;
mod policy;
mod publish;
mod render;
mod resilience;
mod route;
mod settings;
mod shared_map;
mod slot;
mod split;
mod status_set;
mod stream;
mod sync;
mod table;
mod template;
mod tracing;
mod transport;
mod upstream;
mod variable_map;

#[cfg(test)]
mod testing;

pub use address::IpSet;
pub use block_list::{BlockList, BlockedTexts};
pub use by_name::ByName;
pub use call_target::CallTarget;
pub use certificate::{Certificate, Issue, PrivateBytes};
pub use clients::{
    ClientDemand, ClientRules, ClientTrust, HostClients, ListenerClients, RefusedClients,
};
pub use compression::{Coder, Coding, Compression, MediaTypes};
pub use conditions::{ConditionInput, Conditions, TextMatch};
pub use endpoint_address::may_be_endpoint;
pub use field_edits::{FieldEdit, FieldEdits};
pub use host::{AppRoot, CATCH_ALL, Host, HostBehaviour, HostCiphers, HostTls, RegexName};
pub use host_script::{HostLocation, HostScript, LocationMatch};
pub use hosts::VirtualHosts;
pub use listener::{
    Certificates, Listener, NoHosts, Plain, PublicPorts, SharedCertificates, Socket, SocketKind,
    Terminate, TlsRoute, TlsSocket,
};
pub use path_edit::PathEdit;
pub use path_index::{Candidate, PathIndex, PathMatch, Tried};
pub use pattern::{Captures, Pattern, PatternError, PatternKind, Undecided};
pub use policy::{
    AccessRules, AddedField, AddressRule, AfterRewrite, Assigned, AuthCache, Authentication,
    Authorization, AuthorizationProtocol, BasicUsers, CacheRule, Condition, ConnectionHeader, Cors,
    CorsRules, Credentials, DigestUsers, ErrorPages, Expires, ExpiresTime, ExternalAuth, FastCgi,
    FetchCors, FieldChoice, FixedResponse, Forwarding, HashFormat, HttpVersion, HttpsRedirect,
    InputEdit, Level, Limits, Location, Mirror, MirrorPath, OriginPattern, Origins, OutputEdit,
    PasswordHash, PathRewrite, Policy, Redirect, ReplaceRule, ResponseRate, Retry, RetryOn,
    Satisfy, Script, Session, SessionCarrier, Share, SignIn, Step, UrlParts, Users, ValueTest,
};
pub use publish::{LocalTable, Publisher, TableReader, publisher};
pub use render::{conditions_text, json, route_facts, text};
pub use resilience::{HealthCheck, Outliers, Resilience, RetryBudget, RetryRate};
pub use route::{Closed, Origin, PathKind, PatternRewrite, Rewrite, Route, RouteRule, Target};
pub use settings::{
    AccessLogSettings, ClientLimits, DEFAULT_CIPHERS, ForwardedTrust, Hsts, KeyExchange, LogEscape,
    LogFormat, PoolSettings, Settings, TlsSettings,
};
pub use shared_map::SharedMap;
pub use slot::Slot;
pub use split::{
    Alternative, Alternatives, Arm, Backend, BackendFilters, HeaderTest, Pick, Rule, RuleInput,
    RuleTest, Split, Unavailable,
};
pub use status_set::StatusSet;
pub use stream::{StreamRoute, StreamSettings, UdpListener};
pub use table::RoutingTable;
pub use template::{
    ClientVariable, FieldTemplate, GeoVariable, Phase, Piece, Reads, StreamFormat, StreamPiece,
    StreamVariable, Template, TemplateError, TlsVariable, TraceVariable, UpstreamVariable,
    Variable, variables_markdown,
};
pub use tracing::{Collector, RootSampler, Sampler, Tracing, TracingSettings};
pub use transport::{AlternativeName, Authorities, BackendProtocol, UpstreamTls};
pub use upstream::{
    Affinity, AffinityMode, Balance, Endpoints, NoEndpoints, SameSite, Upstream, UpstreamKey,
};
pub use variable_map::{VariableMap, VariableMapBuilder, VariableMaps};
