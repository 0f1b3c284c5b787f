//! The part of a request before its body.

use bytes::Bytes;

use super::record::{self, Sent};

/// The parameters of a request.
#[derive(Clone, Debug, Default)]
pub(crate) struct Params(Vec<u8>);

/// A request but for its body. It can be sent any number of times.
#[derive(Clone, Debug)]
pub(in crate::upstream) struct Request {
    /// The records before the body.
    pub(super) records: Bytes,
    /// Length of the body, bytes.
    pub(super) length: u64,
    /// The response has no body, whatever the application sends: the method is HEAD.
    pub(super) bodiless: bool,
    /// Largest head of the response, bytes.
    pub(super) head_limit: usize,
}

impl Params {
    /// Adds a parameter. One of the same name before it stays: applications take the last.
    pub(crate) fn add(&mut self, name: &[u8], value: &[u8]) {
        record::pair(name, value, &mut self.0);
    }

    /// The request with these parameters and a body of `length` bytes.
    pub(in crate::upstream) fn request(
        &self,
        length: u64,
        bodiless: bool,
        head_limit: usize,
    ) -> Request {
        let mut records = Vec::with_capacity(self.0.len() + 64);
        record::begin(&mut records);
        record::stream(Sent::Params, &self.0, &mut records);
        record::end(Sent::Params, &mut records);
        Request {
            records: records.into(),
            length,
            bodiless,
            head_limit,
        }
    }

    /// Names and values in their order, for tests.
    #[cfg(test)]
    pub(crate) fn list(&self) -> Vec<(String, String)> {
        super::tests::pairs(&self.0)
    }
}
