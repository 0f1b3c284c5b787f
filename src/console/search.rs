//! Words that rows are searched for.

/// The words of a search.
pub(super) struct Words(Vec<String>);

impl Words {
    pub(super) fn of(query: &str) -> Self {
        let words = query.split_whitespace();
        Self(words.map(str::to_ascii_lowercase).collect())
    }

    /// Whether each word is in one of the texts, ignoring the case of ASCII letters.
    pub(super) fn are_in<'t>(&self, texts: impl Iterator<Item = &'t str> + Clone) -> bool {
        let is_in = |word: &String| texts.clone().any(|text| contains(text, word));
        self.0.iter().all(is_in)
    }
}

/// Whether `text` contains `word`, which is in lower case.
fn contains(text: &str, word: &str) -> bool {
    let mut windows = text.as_bytes().windows(word.len());
    windows.any(|window| window.eq_ignore_ascii_case(word.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_word_is_in_some_text() {
        let texts = ["Shop.example", "/Cart"];
        let found = |query| Words::of(query).are_in(texts.into_iter());
        assert!(found(""));
        assert!(found("shop cart"));
        assert!(found(" SHOP  /c "));
        assert!(!found("shop other"));
        assert!(!found("example/cart"));
    }
}
