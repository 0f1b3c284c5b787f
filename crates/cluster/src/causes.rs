//! Errors as one line of a log.

use std::error::Error;

/// The error with what caused it, outermost first. What the API server answered is told in its own words.
pub(crate) fn causes(error: &(dyn Error + 'static)) -> String {
    let mut text = String::new();
    let mut next = Some(error);
    while let Some(error) = next {
        if !text.is_empty() {
            text.push_str(": ");
        }
        if let Some(kube::Error::Api(status)) = cause(error) {
            let message = if status.message.is_empty() {
                &status.reason
            } else {
                &status.message
            };
            text.push_str(&format!("{message} ({})", status.code));
            return text;
        }
        text.push_str(&error.to_string());
        next = error.source();
    }
    text
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
