//! Errors as one line of a log.

use std::error::Error;

/// The error and its causes, outermost first, each once: some repeat the message of their cause. A response of the API
/// server is reduced to its message and code.
pub(crate) fn causes(error: &(dyn Error + 'static)) -> String {
    let mut text = String::new();
    let mut next = Some(error);
    while let Some(error) = next {
        let response = response(error);
        let message = response.clone().unwrap_or_else(|| error.to_string());
        if !text.contains(&message) {
            if !text.is_empty() {
                text.push_str(": ");
            }
            text.push_str(&message);
        }
        if response.is_some() {
            break;
        }
        next = error.source();
    }
    text
}

/// Message and code of the API server's response, if the error is one.
fn response(error: &(dyn Error + 'static)) -> Option<String> {
    let kube::Error::Api(status) = cause(error)? else {
        return None;
    };
    let message = if status.message.is_empty() {
        &status.reason
    } else {
        &status.message
    };
    Some(format!("{message} ({})", status.code))
}

fn cause<'e>(error: &'e (dyn Error + 'static)) -> Option<&'e kube::Error> {
    let boxed = || {
        error
            .downcast_ref::<Box<kube::Error>>()
            .map(|error| &**error)
    };
    error.downcast_ref::<kube::Error>().or_else(boxed)
}

#[cfg(test)]
mod tests {
    use super::causes;

    #[derive(Debug, thiserror::Error)]
    #[error("reading Secret shop/cert")]
    struct Outer(#[source] Box<kube::Error>);

    #[derive(Debug, thiserror::Error)]
    #[error("client error: {0}")]
    struct Repeating(#[source] std::io::Error);

    #[test]
    fn a_repeated_message_is_shown_once() {
        let error = Repeating(std::io::Error::other("connection refused"));
        assert_eq!(causes(&error), "client error: connection refused");
    }

    #[test]
    fn a_response_of_the_api_server_is_quoted_once() {
        let status = kube::core::Status::failure("secrets \"cert\" is forbidden", "Forbidden");
        let error = Outer(Box::new(kube::Error::Api(Box::new(status.with_code(403)))));
        assert_eq!(
            causes(&error),
            "reading Secret shop/cert: secrets \"cert\" is forbidden (403)"
        );
    }
}
