//! What a client may send.

/// Bounds on what is read of a client.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Longest request line, bytes without its end.
    pub request_line: usize,
    /// Longest field, bytes without the end of its line.
    pub field: usize,
    /// Largest head, bytes with all ends of lines and the empty lines before it.
    pub head: usize,
    /// Most fields of a head, and most trailers.
    pub fields: usize,
    /// About as many bytes are read ahead, and buffered of a response that the client does not read.
    pub buffer: usize,
}

/// What is wrong with a head that is HTTP/1. The response is for the user of the connection, which reads nothing more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Ambiguous or malformed framing, or not exactly one `Host`.
    Malformed,
    /// A transfer coding other than `chunked`.
    UnknownCoding,
    /// The request line is too long.
    LineTooLong,
    /// A field, their number or the whole head is too large.
    HeadTooLarge,
}
