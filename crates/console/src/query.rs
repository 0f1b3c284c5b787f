//! Parameters of links and forms.

use percent_encoding::percent_decode_str;

use crate::Failed;
use crate::model::{MAX_LIMIT, Search};

/// Parameters that are not read yet. What is left at the end is an error: a misspelt filter must not show everything.
pub(crate) struct Query {
    pairs: Vec<(String, String)>,
    known: Vec<&'static str>,
}

impl Query {
    /// The parameters of `application/x-www-form-urlencoded` text.
    pub(crate) fn parse(text: &str) -> Self {
        let pairs = text.split('&').filter(|pair| !pair.is_empty());
        let pairs = pairs.map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let plain = |text: &str| Self::decoded(&text.replace('+', " "));
            (plain(name), plain(value))
        });
        Self {
            pairs: pairs.collect(),
            known: Vec::new(),
        }
    }

    /// All values of a parameter.
    pub(crate) fn all(&mut self, name: &'static str) -> Vec<String> {
        self.known.push(name);
        let taken = self.pairs.extract_if(.., |(one, _)| one == name);
        taken.map(|(_, value)| value).collect()
    }

    /// The value of a parameter without the spaces around it; empty without it.
    ///
    /// # Errors
    /// [`Failed::Invalid`] if there are several.
    pub(crate) fn text(&mut self, name: &'static str) -> Result<String, Failed> {
        let mut values = self.all(name);
        match values.len() {
            0 => Ok(String::new()),
            1 => Ok(values.remove(0).trim().to_owned()),
            several => Err(Failed::Invalid(format!(
                "{name}: {several} values; give one"
            ))),
        }
    }

    /// The same, `None` when it is empty.
    pub(crate) fn optional(&mut self, name: &'static str) -> Result<Option<String>, Failed> {
        let text = self.text(name)?;
        Ok((!text.is_empty()).then_some(text))
    }

    /// A whole number, or `default`.
    pub(crate) fn number(&mut self, name: &'static str, default: usize) -> Result<usize, Failed> {
        match self.text(name)?.as_str() {
            "" => Ok(default),
            text => text.parse().map_err(|_| {
                Failed::Invalid(format!(
                    "{name}: {text:?} is no whole number, such as {default}"
                ))
            }),
        }
    }

    /// One of several words; the first without the parameter.
    pub(crate) fn choice<T: Copy>(
        &mut self,
        name: &'static str,
        choices: &[(&str, T)],
    ) -> Result<T, Failed> {
        let text = self.text(name)?;
        let mut found = choices.iter().filter(|(word, _)| *word == text);
        match (found.next(), choices.first()) {
            (Some((_, choice)), _) => Ok(*choice),
            (None, Some((_, first))) if text.is_empty() => Ok(*first),
            _ => {
                let words: Vec<&str> = choices.iter().map(|(word, _)| *word).collect();
                let words = words.join(", ");
                let words = words.trim_start_matches(", ");
                Err(Failed::Invalid(format!(
                    "{name}: {text:?} is none of: {words}"
                )))
            }
        }
    }

    /// The words to look for, and the part of the list.
    pub(crate) fn search(&mut self) -> Result<Search, Failed> {
        let defaults = Search::default();
        let limit = self.number("limit", defaults.limit)?;
        if !(1..=MAX_LIMIT).contains(&limit) {
            return Err(Failed::Invalid(format!(
                "limit: {limit} is not between 1 and {MAX_LIMIT}"
            )));
        }
        Ok(Search {
            q: self.text("q")?,
            offset: self.number("offset", 0)?,
            limit,
        })
    }

    /// Percent-encoded text as it was meant.
    pub(crate) fn decoded(text: &str) -> String {
        percent_decode_str(text).decode_utf8_lossy().into_owned()
    }

    /// Nothing may be left.
    pub(crate) fn end(self) -> Result<(), Failed> {
        let Some((name, _)) = self.pairs.first() else {
            return Ok(());
        };
        Err(Failed::Invalid(match self.known.join(", ") {
            known if known.is_empty() => format!("{name:?}: there are no parameters here"),
            known => format!("{name:?}: no such parameter; there are: {known}"),
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::Query;

    #[test]
    fn parameters_are_decoded() {
        let mut query = Query::parse("q=a+b%26&header=A%3A+1&header=B%3A+2&flag&&x=%ff");
        assert_eq!(query.text("q").unwrap(), "a b&");
        assert_eq!(query.all("header"), ["A: 1", "B: 2"]);
        assert_eq!(query.text("flag").unwrap(), "");
        assert_eq!(query.text("x").unwrap(), "\u{fffd}");
        query.end().unwrap();
    }

    #[test]
    fn what_is_wrong_is_named() {
        let error = |query: &str| {
            let mut query = Query::parse(query);
            let read = query.search().and_then(|_| {
                query.choice("sort", &[("host", 0), ("errors", 1)])?;
                query.end()
            });
            read.unwrap_err().to_string()
        };
        assert_eq!(
            error("limit=many"),
            "limit: \"many\" is no whole number, such as 50"
        );
        assert_eq!(error("limit=501"), "limit: 501 is not between 1 and 500");
        assert_eq!(
            error("offset=-1"),
            "offset: \"-1\" is no whole number, such as 0"
        );
        assert_eq!(error("q=a&q=b"), "q: 2 values; give one");
        assert_eq!(
            error("sort=size"),
            "sort: \"size\" is none of: host, errors"
        );
        let unknown = "\"hst\": no such parameter; there are: limit, q, offset, sort";
        assert_eq!(error("hst=a"), unknown);
    }
}
