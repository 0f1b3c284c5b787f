//! The directives that are understood, as types.

use std::sync::Arc;
use std::time::Duration;

use headgate_table::{
    AddedField, AddressRule, Assigned, Condition, Expires, FieldTemplate, FixedResponse, InputEdit,
    OutputEdit, PathRewrite, Template, VariableMap,
};
use http::{HeaderName, HeaderValue};

/// A directive and its line.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Placed {
    pub(crate) line: u32,
    /// As written.
    pub(crate) name: &'static str,
    pub(crate) directive: Directive,
}

/// A directive.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Directive {
    /// `more_set_headers`, `more_clear_headers`
    Output(Vec<OutputEdit>),
    /// `more_set_input_headers`, `more_clear_input_headers`
    Input(Vec<InputEdit>),
    /// `add_header`
    Add(AddedField),
    /// `expires`
    Expires(Expires),
    /// `proxy_set_header`
    RequestField(HeaderName, FieldTemplate),
    /// `grpc_set_header`: the same for gRPC backends, for which the other has no effect.
    GrpcField(HeaderName, FieldTemplate),
    /// `proxy_hide_header`
    Hide(HeaderName),
    /// `proxy_pass_header`
    Pass(HeaderName),
    /// `default_type`
    DefaultType(HeaderValue),
    /// `return`
    Return(FixedResponse),
    /// `rewrite`
    Rewrite(PathRewrite),
    /// `set`
    Set(Assigned, Template),
    /// `break`
    Break,
    /// `if`
    If(Condition, Vec<Placed>),
    /// `location`
    Location(LocationPath, Vec<Placed>),
    /// `allow`, `deny`
    Address(AddressRule),
    /// How requests are forwarded.
    Forward(Forward),
    /// `gzip` and its parameters.
    Gzip(Gzip),
    /// `access_log`: on or off.
    AccessLog(bool),
    /// `map`
    Map(Arc<VariableMap>),
    /// `server` of ports that are not served.
    OtherPorts,
    /// Changes nothing here.
    Nothing,
}

/// How requests are forwarded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Forward {
    /// `proxy_connect_timeout`
    ConnectTimeout(Duration),
    /// `proxy_send_timeout`
    SendTimeout(Duration),
    /// `proxy_read_timeout`
    ReadTimeout(Duration),
    /// `proxy_buffering`
    BufferResponse(bool),
    /// `proxy_request_buffering`
    BufferRequest(bool),
    /// `proxy_buffer_size`, bytes.
    HeadLimit(u64),
    /// `client_max_body_size`, bytes; `None`: unlimited.
    BodyLimit(Option<u64>),
    /// `client_body_buffer_size`, bytes.
    BodyMemory(u64),
    /// `proxy_ssl_server_name`
    SendName(bool),
    /// `proxy_ssl_name`
    UpstreamName(String),
}

/// Compression.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Gzip {
    /// `gzip`
    On(bool),
    /// `gzip_types`
    Types(String),
    /// `gzip_min_length`, bytes.
    MinLength(u64),
    /// `gzip_comp_level`
    Level(u32),
}

/// The path of a `location`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum LocationPath {
    /// `= PATH`
    Exact(String),
    /// `PATH`, or `^~ PATH`, which precedes expressions.
    Prefix {
        path: String,
        before_expressions: bool,
    },
    /// `~ EXPRESSION` and `~* EXPRESSION`
    Expression(headgate_table::Pattern),
}
