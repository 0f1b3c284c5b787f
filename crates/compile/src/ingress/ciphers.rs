//! OpenSSL cipher lists, as far as the TLS library has the suites (behaviour.md 4.4).

use crate::ingress::registry::excerpt;

/// A suite of TLS 1.2 and the words of a list that select it.
struct Suite {
    name: &'static str,
    words: &'static [&'static str],
}

/// In the order in which OpenSSL adds the suites that a word selects.
const SUITES: [Suite; 6] = [
    Suite {
        name: "ECDHE-ECDSA-AES256-GCM-SHA384",
        words: &["ECDSA", "aECDSA", "AES", "AESGCM", "AES256"],
    },
    Suite {
        name: "ECDHE-RSA-AES256-GCM-SHA384",
        words: &["RSA", "aRSA", "AES", "AESGCM", "AES256"],
    },
    Suite {
        name: "ECDHE-ECDSA-CHACHA20-POLY1305",
        words: &["ECDSA", "aECDSA", "CHACHA20"],
    },
    Suite {
        name: "ECDHE-RSA-CHACHA20-POLY1305",
        words: &["RSA", "aRSA", "CHACHA20"],
    },
    Suite {
        name: "ECDHE-ECDSA-AES128-GCM-SHA256",
        words: &["ECDSA", "aECDSA", "AES", "AESGCM", "AES128"],
    },
    Suite {
        name: "ECDHE-RSA-AES128-GCM-SHA256",
        words: &["RSA", "aRSA", "AES", "AESGCM", "AES128"],
    },
];

/// Words that select every suite that the library has.
const ALL: &[&str] = &[
    "ALL", "DEFAULT", "HIGH", "TLSv1.2", "ECDHE", "EECDH", "kECDHE", "kEECDH",
];

/// The suites of a cipher list.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Ciphers {
    /// OpenSSL names, in order.
    pub(crate) names: Vec<String>,
    /// Members of the list that select no suite here.
    pub(crate) unsupported: Vec<String>,
}

impl Ciphers {
    /// Reads a list such as `ECDHE-RSA-AES128-GCM-SHA256:HIGH:!aNULL`.
    pub(crate) fn parse(text: &str) -> Self {
        let mut unsupported = Vec::new();
        let mut banned: Vec<&'static str> = Vec::new();
        let mut chosen: Vec<&'static str> = Vec::new();
        for member in text
            .split([':', ',', ' '])
            .filter(|member| !member.is_empty())
        {
            if member.starts_with('@') {
                continue; // no suite here is weak
            }
            let term = member.trim_start_matches(['!', '-', '+']);
            let selected: Vec<&'static str> = selected(term);
            match member.as_bytes().first() {
                Some(b'!') => {
                    chosen.retain(|name| !selected.contains(name));
                    banned.extend(selected);
                }
                Some(b'-') => chosen.retain(|name| !selected.contains(name)),
                Some(b'+') => {
                    let (mut last, mut first): (Vec<_>, Vec<_>) = chosen
                        .iter()
                        .copied()
                        .partition(|name| selected.contains(name));
                    first.append(&mut last);
                    chosen = first;
                }
                _ if selected.is_empty() => unsupported.push(member.to_owned()),
                _ => {
                    for name in selected {
                        if !chosen.contains(&name) && !banned.contains(&name) {
                            chosen.push(name);
                        }
                    }
                }
            }
        }
        Self {
            names: chosen.into_iter().map(str::to_owned).collect(),
            unsupported,
        }
    }

    /// What the list names and is not offered, for a finding.
    pub(crate) fn problem(&self) -> Option<String> {
        const OFFERED: &str = "TLS 1.2 has only ECDHE with AES-GCM or CHACHA20-POLY1305 here";
        if self.names.is_empty() {
            return Some(format!("it selects no suite; all are offered: {OFFERED}"));
        }
        let unsupported = excerpt(&self.unsupported.join(", "));
        (!unsupported.is_empty()).then(|| format!("{unsupported}: not offered; {OFFERED}"))
    }
}

/// The suites that all words of `term` select, such as `ECDHE+AESGCM`.
fn selected(term: &str) -> Vec<&'static str> {
    let has = |suite: &Suite, word: &str| {
        suite.name.eq_ignore_ascii_case(word) || suite.words.contains(&word) || ALL.contains(&word)
    };
    let suites = SUITES.iter();
    let suites = suites.filter(|suite| term.split('+').all(|word| has(suite, word)));
    suites.map(|suite| suite.name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(text: &str) -> String {
        Ciphers::parse(text).names.join(" ")
    }

    #[test]
    fn names_keep_their_order() {
        let list = "ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-CHACHA20-POLY1305";
        assert_eq!(names(list), list.replace(':', " "));
    }

    #[test]
    fn words_select_exclude_and_move_suites() {
        for (list, expected) in [
            (
                "ECDHE+CHACHA20",
                "ECDHE-ECDSA-CHACHA20-POLY1305 ECDHE-RSA-CHACHA20-POLY1305",
            ),
            ("ECDHE+aRSA+AES128", "ECDHE-RSA-AES128-GCM-SHA256"),
            (
                "HIGH:!aRSA:!CHACHA20:!AES256",
                "ECDHE-ECDSA-AES128-GCM-SHA256",
            ),
            ("!ECDSA:AES128:ECDSA", "ECDHE-RSA-AES128-GCM-SHA256"),
            (
                "AES128:-ECDSA:ECDSA+AES128",
                "ECDHE-RSA-AES128-GCM-SHA256 ECDHE-ECDSA-AES128-GCM-SHA256",
            ),
            (
                "AES128:+ECDSA:@STRENGTH",
                "ECDHE-RSA-AES128-GCM-SHA256 ECDHE-ECDSA-AES128-GCM-SHA256",
            ),
            ("", ""),
        ] {
            assert_eq!(names(list), expected, "{list}");
        }
    }

    #[test]
    fn what_the_library_lacks_is_named() {
        let list =
            Ciphers::parse("AES128-SHA:ECDHE-RSA-AES128-GCM-SHA256:DHE-RSA-AES128-SHA:!aNULL");
        assert_eq!(list.unsupported, ["AES128-SHA", "DHE-RSA-AES128-SHA"]);
        assert!(
            list.problem()
                .unwrap_or_default()
                .starts_with("AES128-SHA, DHE-RSA-AES128-SHA: not offered")
        );
        assert!(Ciphers::parse("RC4").problem().is_some());
        assert_eq!(Ciphers::parse("ECDHE:!aNULL:!MD5").problem(), None);
    }
}
