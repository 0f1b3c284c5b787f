//! Errors as one line of a log.

use std::error::Error;

/// The error with what caused it, outermost first, each once: some say what their cause says. What the API server
/// responds is quoted.
pub(crate) fn causes(error: &(dyn Error + 'static)) -> String {
    let mut text = String::new();
    let mut next = Some(error);
    while let Some(error) = next {
        let answer = answer(error);
        let message = answer.clone().unwrap_or_else(|| error.to_string());
        if !text.contains(&message) {
            if !text.is_empty() {
                text.push_str(": ");
            }
            text.push_str(&message);
        }
        if answer.is_some() {
            break;
        }
        next = error.source();
    }
    text
}

/// What the API server said, if that is the error.
fn answer(error: &(dyn Error + 'static)) -> Option<String> {
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
    fn what_was_said_is_not_said_again() {
        let error = Repeating(std::io::Error::other("connection refused"));
        assert_eq!(causes(&error), "client error: connection refused");
    }

    #[test]
    fn what_the_server_said_is_told_once_and_in_its_words() {
        let status = kube::core::Status::failure("secrets \"cert\" is forbidden", "Forbidden");
        let error = Outer(Box::new(kube::Error::Api(Box::new(status.with_code(403)))));
        assert_eq!(
            causes(&error),
            "reading Secret shop/cert: secrets \"cert\" is forbidden (403)"
        );
    }
}
