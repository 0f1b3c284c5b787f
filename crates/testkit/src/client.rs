//! HTTP and TLS clients.

pub mod http1;
pub mod http2;
pub mod request;
pub mod response;
pub mod tls;

pub(crate) mod framing;
