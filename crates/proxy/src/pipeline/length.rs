//! Sizes of heads as HTTP/1 writes them, for the log and metrics. A head of HTTP/2, which is compressed, counts as much.

use http::header::{CONTENT_LENGTH, DATE};
use http::request::Parts;
use http::{HeaderMap, Response};
use http_body::Body;

/// `: ` and the end of a line.
const FIELD: usize = ": \r\n".len();

/// Bytes of the head of a request. Optional whitespace is unknown here and not counted.
pub(super) fn of_request(head: &Parts) -> u64 {
    const REQUEST_LINE: usize = "  HTTP/1.1\r\n\r\n".len();
    let target = head
        .uri
        .path_and_query()
        .map_or(1, |target| target.as_str().len());
    (head.method.as_str().len() + target + REQUEST_LINE + fields(&head.headers)) as u64
}

/// Bytes of the head of a response, with the fields that are added when it is written.
pub(super) fn of_response<B: Body>(response: &Response<B>) -> u64 {
    const STATUS_LINE: usize = "HTTP/1.1 200 \r\n\r\n".len();
    const DATE_FIELD: usize = "date: Thu, 01 Jan 1970 00:00:00 GMT\r\n".len();
    const CHUNKED: usize = "transfer-encoding: chunked\r\n".len();
    let status = response.status();
    let headers = response.headers();
    let reason = status.canonical_reason().map_or(0, str::len);
    let date = match headers.contains_key(DATE) {
        true => 0,
        false => DATE_FIELD,
    };
    let has_length = headers.contains_key(CONTENT_LENGTH);
    let body = match response.body().size_hint().exact() {
        _ if has_length || status.is_informational() => 0,
        Some(length) => CONTENT_LENGTH.as_str().len() + FIELD + digits(length),
        None => CHUNKED,
    };
    (STATUS_LINE + reason + date + body + fields(headers)) as u64
}

fn fields(headers: &HeaderMap) -> usize {
    headers
        .iter()
        .map(|(name, value)| name.as_str().len() + value.len() + FIELD)
        .sum()
}

fn digits(number: u64) -> usize {
    number.checked_ilog10().map_or(1, |log| log as usize + 1)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]
    use http::Request;
    use http_body_util::{Empty, Full};

    use super::*;

    #[test]
    fn a_request_counts_its_line_and_fields() {
        let sent = "GET /a?b=c HTTP/1.1\r\nhost: a.example\r\nx: y\r\n\r\n";
        let request = Request::get("/a?b=c").header("host", "a.example");
        let (head, ()) = request.header("x", "y").body(()).unwrap().into_parts();
        assert_eq!(of_request(&head), sent.len() as u64);
    }

    #[test]
    fn a_response_counts_what_is_added_to_it() {
        let date = "date: Sun, 06 Nov 1994 08:49:37 GMT\r\n";
        let written = format!("HTTP/1.1 404 Not Found\r\nx: y\r\n{date}content-length: 10\r\n\r\n");
        let full = Response::builder().status(404).header("x", "y");
        let full = full.body(Full::<bytes::Bytes>::from("0123456789")).unwrap();
        assert_eq!(of_response(&full), written.len() as u64);
        let stated = Response::builder()
            .status(404)
            .header("x", "y")
            .header("date", "Sun, 06 Nov 1994 08:49:37 GMT")
            .header("content-length", "10");
        let stated = stated.body(Empty::<&[u8]>::new()).unwrap();
        assert_eq!(of_response(&stated), written.len() as u64);
    }
}
