//! HTTP/1.1 towards an endpoint, and in [`server`] towards a client: one connection, one request at a time, and no HTTP/2.
//!
//! A [`Connection`] has no task, no channel and no clock. The task of the request polls it: it writes the head and the body of
//! the request, reads those of the response, and says whether it can serve another request. Deadlines, pools and retries are
//! for its user.
//!
//! It reads as strictly as hyper, and in these cases more strictly (`tests/differential.rs` compares both):
//!
//! - A response has at most one `Content-Length`, of digits, or one `Transfer-Encoding`, which is `chunked`, and not both (RFC
//!   9112 section 6.3).
//! - Blanks and leading zeros of a chunk's size count as extensions, which are bounded.
//! - A connection is not kept after a response of HTTP/1.0, as in nginx.
//!
//! Where writing fails, a response that the endpoint has sent before is still read, which hyper may lose.

mod chunked;
mod connection;
mod error;
mod input;
mod io;
mod left;
mod output;
mod request;
mod response;
mod sending;
pub mod server;

pub use connection::Connection;
pub use error::Error;
pub use io::{Coded, Fill, Io, NextPipe, Pipe, Piped, Socket, Transfer, Unpiped, refuses_pipes};
pub use request::RequestHead;
pub use response::ResponseHead;
