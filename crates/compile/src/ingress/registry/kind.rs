//! The type of a value: which texts are valid and what they parse to.

use super::value::{self, MAX_BYTES, Value, ValueError};

/// A class of characters that a text may have. No class has line breaks or control bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// Letters, digits, `- . _ ~ / :`.
    Basic,
    /// Basic and the space.
    Space,
    /// Basic, comma and space.
    Extended,
    /// Basic and `^ $ [ ] ( ) { } * + ? | & = \`.
    Regex,
    /// Basic and `, ? & =`.
    Url,
    /// Extended, URL and `$`.
    UrlVariables,
    /// Basic and `$`: a path that may name capture groups.
    PathCapture,
    /// Letters, digits, `- _ $ { }`.
    Variables,
    /// Letters, digits, `- _`, comma and space.
    HeaderList,
    /// Letters, comma and space.
    Methods,
    /// Header list and `*`.
    ExposedHeaders,
    /// Letters, digits and `! : + - _ @ =`.
    Ciphers,
    /// Letters, digits, `. - _`.
    FileName,
    /// Letters, digits, `_ -`.
    Word,
    /// URL and `@`, `$`, `%`.
    ErrorPage,
    /// Visible ASCII and space without quotes, braces, `;` and `\`.
    Tokens,
    /// Letters, digits, comma and space.
    Times,
}

impl Class {
    /// Whether every byte of a non-empty text belongs to the class.
    pub(crate) fn admits(self, text: &str) -> bool {
        !text.is_empty() && text.bytes().all(|byte| self.has(byte))
    }

    fn has(self, byte: u8) -> bool {
        let alphanumeric = byte.is_ascii_alphanumeric();
        let basic = alphanumeric || b"-._~/:".contains(&byte);
        match self {
            Self::Basic => basic,
            Self::Space => basic || byte == b' ',
            Self::Extended => basic || b", ".contains(&byte),
            Self::Regex => basic || b"^$[](){}*+?|&=\\".contains(&byte),
            Self::Url => basic || b",?&=".contains(&byte),
            Self::UrlVariables => basic || b", ?&=$".contains(&byte),
            Self::PathCapture => basic || byte == b'$',
            Self::Variables => alphanumeric || b"-_${}".contains(&byte),
            Self::HeaderList => alphanumeric || b"-_, ".contains(&byte),
            Self::Methods => byte.is_ascii_alphabetic() || b", ".contains(&byte),
            Self::ExposedHeaders => alphanumeric || b"-_, *".contains(&byte),
            Self::Ciphers => alphanumeric || b"!:+-_@=".contains(&byte),
            Self::FileName => alphanumeric || b".-_".contains(&byte),
            Self::Word => alphanumeric || b"_-".contains(&byte),
            Self::ErrorPage => basic || b",?&=@$%".contains(&byte),
            Self::Tokens => {
                (byte.is_ascii_graphic() || byte == b' ') && !b"\"'{};\\".contains(&byte)
            }
            Self::Times => alphanumeric || b", ".contains(&byte),
        }
    }

    fn expected(self) -> &'static str {
        match self {
            Self::Basic => "text of letters, digits and - . _ ~ / :",
            Self::Space => "text of letters, digits, spaces and - . _ ~ / :",
            Self::Extended => "text of letters, digits, commas, spaces and - . _ ~ / :",
            Self::Regex => {
                "text or a regex of letters, digits and - . _ ~ / : ^ $ [ ] ( ) { } * + ? | & = \\"
            }
            Self::Url => "a URL of letters, digits and - . _ ~ / : , ? & =",
            Self::UrlVariables => "a URL of letters, digits, spaces and - . _ ~ / : , ? & = $",
            Self::PathCapture => "a path of letters, digits and - . _ ~ / : $",
            Self::Variables => "text and variables of letters, digits and - _ $ { }",
            Self::HeaderList => "a comma list of header names",
            Self::Methods => "a comma list of methods",
            Self::ExposedHeaders => "a comma list of header names, or *",
            Self::Ciphers => "an OpenSSL cipher list",
            Self::FileName => "a name of letters, digits and . - _",
            Self::Word => "a name of letters, digits and _ -",
            Self::ErrorPage => "a URL, a path or @name",
            Self::Tokens => "off, or two words",
            Self::Times => "a comma list of status codes and times such as 200 202 5m",
        }
    }
}

/// Whether the characters of texts are checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Validation {
    /// As in each entry.
    #[default]
    Full,
    /// `--enable-annotation-validation=false`: texts may have any characters except control bytes. Numbers, lists of networks
    /// and fixed words are still checked, as they must be parsed.
    TypesOnly,
}

/// The type of a value in the registries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `true` or `false` (and `1`, `t`, `T`, `TRUE`, `True`, … as in Go).
    Bool,
    /// `on` or `off`.
    OnOff,
    /// A whole number with an optional sign.
    Int,
    /// Digits and an optional unit `b`, `k`, `m` or `g`.
    Size,
    /// As `Size`; sizes with some units are ignored.
    SizeText,
    /// Numbers with units such as `1h30m`.
    Duration,
    /// Text of one class of characters.
    Chars(Class),
    /// As `Chars`, also with spaces.
    Spaced(Class),
    /// A path that begins with `/` and is not an absolute URL.
    AppRoot,
    /// One of these words, in this spelling.
    OneOf(&'static [&'static str]),
    /// One of these words, case-insensitive.
    AnyCaseOf(&'static [&'static str]),
    /// A comma list of networks; one invalid member makes it invalid.
    Cidrs,
    /// A comma list of status codes.
    Codes,
    /// A comma list of host names.
    ServerNames,
    /// A space list of conditions for a retry.
    NextUpstream,
    /// The name of a Service of the same namespace.
    Service,
    /// `CN=` and a regex.
    CommonName,
    /// A number of buffers and their size.
    Buffers,
    /// A comma list whose members are validated one by one where it is used.
    List,
    /// Any text, line breaks included.
    Raw,
}

impl Kind {
    /// Parses a text. Total: every text, of any length and bytes, is a value or an error.
    pub(crate) fn parse(self, text: &str, validation: Validation) -> Result<Value, ValueError> {
        if text.len() > MAX_BYTES {
            return Err(ValueError::too_long(text, self.expected()));
        }
        match self {
            Self::Bool => value::parse_bool(text).map(Value::Bool),
            Self::OnOff => value::parse_on_off(text).map(Value::Bool),
            Self::Int => value::parse_int(text).map(Value::Int),
            Self::Size => value::parse_size(text).map(Value::Size),
            Self::SizeText => value::parse_size_text(text).map(Value::SizeText),
            Self::Duration => value::parse_duration(text).map(Value::Duration),
            Self::Chars(class) => self.chars(text, text, class, validation),
            Self::Spaced(class) => self.chars(text, &text.replace(' ', ""), class, validation),
            Self::AppRoot => self.app_root(text, validation),
            Self::OneOf(words) => self.choice(text, words, |word, text| word == text),
            Self::AnyCaseOf(words) => self.choice(text, words, str::eq_ignore_ascii_case),
            Self::Cidrs => value::parse_cidrs(text).map(Value::Cidrs),
            Self::Codes => value::parse_codes(text).map(Value::Codes),
            Self::ServerNames => value::parse_server_names(text).map(Value::List),
            Self::NextUpstream => value::parse_next_upstream(text).map(Value::NextUpstream),
            Self::Service => self.when(text, value::is_service_name),
            Self::CommonName => {
                self.when(text, |text| text.starts_with("CN=") && !has_control(text))
            }
            Self::Buffers => value::parse_buffers(text).map(Value::Buffers),
            Self::List => Ok(Value::List(
                value::members(text).map(str::to_owned).collect(),
            )),
            Self::Raw => Ok(Value::Text(trim_lines(text))),
        }
    }

    /// A description of valid values, for messages and the documentation.
    pub fn expected(self) -> String {
        let fixed = match self {
            Self::Bool => "true or false",
            Self::OnOff => "on or off",
            Self::Int => "a whole number",
            Self::Size | Self::SizeText => "a size such as 512, 8k, 1m or 2g",
            Self::Duration => "a duration such as 30s, 10m or 1h",
            Self::Chars(class) | Self::Spaced(class) => class.expected(),
            Self::AppRoot => "a path that begins with /",
            Self::OneOf(words) | Self::AnyCaseOf(words) => return words.join(", "),
            Self::Cidrs => "a comma list of IP addresses or CIDRs",
            Self::Codes => "a comma list of status codes",
            Self::ServerNames => "a comma list of host names",
            Self::NextUpstream => "a list of conditions such as \"error timeout http_502\"",
            Self::Service => "the name of a Service",
            Self::CommonName => "CN= and a regex",
            Self::Buffers => "a number and a size such as \"4 8k\"",
            Self::List => "a comma list",
            Self::Raw => "text",
        };
        fixed.to_owned()
    }

    fn chars(
        self,
        text: &str,
        checked: &str,
        class: Class,
        validation: Validation,
    ) -> Result<Value, ValueError> {
        if has_control(text) {
            return Err(ValueError::control(text, self.expected()));
        }
        if validation == Validation::Full && !class.admits(checked) {
            return Err(ValueError::invalid(text, self.expected()));
        }
        Ok(Value::Text(text.trim().to_owned()))
    }

    fn app_root(self, text: &str, validation: Validation) -> Result<Value, ValueError> {
        let parsed = self.chars(text, text, Class::PathCapture, validation)?;
        match &parsed {
            Value::Text(path) if path.starts_with('/') => Ok(parsed),
            _ => Err(ValueError::invalid(text, self.expected())),
        }
    }

    fn choice(
        self,
        text: &str,
        words: &'static [&'static str],
        same: impl Fn(&str, &str) -> bool,
    ) -> Result<Value, ValueError> {
        let trimmed = text.trim();
        let at = words.iter().position(|word| same(word, trimmed));
        at.map(|at| Value::Word { words, at })
            .ok_or_else(|| ValueError::invalid(text, format!("one of {}", self.expected())))
    }

    fn when(self, text: &str, accept: impl Fn(&str) -> bool) -> Result<Value, ValueError> {
        let trimmed = text.trim();
        if accept(trimmed) {
            Ok(Value::Text(trimmed.to_owned()))
        } else {
            Err(ValueError::invalid(text, self.expected()))
        }
    }
}

fn has_control(text: &str) -> bool {
    text.chars().any(char::is_control)
}

/// Every line without the white space around it.
fn trim_lines(text: &str) -> String {
    text.lines().map(str::trim).collect::<Vec<_>>().join("\n")
}
