//! Responses together with what was sent for them, so that messages quote both.

use std::{fmt, io};

use serde_json::Value;

use super::framing::{self, Framed};

/// A response together with what was sent for it.
#[derive(Clone)]
pub struct Response {
    /// `HTTP/1.1` or `HTTP/1.0`.
    pub version: String,
    /// The status.
    pub status: u16,
    /// Fields in order, with the case of their names.
    pub fields: Vec<(String, String)>,
    /// The body, decoded from its framing.
    pub body: Vec<u8>,
    /// Fields after a chunked body.
    pub trailers: Vec<(String, String)>,
    /// Whether the body is complete by its framing; `false`: the connection ended early.
    pub complete: bool,
    /// Interim responses before this one.
    pub interim: Vec<u16>,
    /// What was sent before it, for messages.
    pub sent: String,
}

impl Response {
    pub(super) fn from_framed(framed: Framed, sent: &str) -> io::Result<Self> {
        let head = &framed.head;
        Ok(Self {
            version: head.split(' ').next().unwrap_or_default().to_owned(),
            status: framing::status(head)?,
            fields: framing::fields(head),
            body: framed.body,
            trailers: framed.trailers,
            complete: framed.complete,
            interim: framed.interim,
            sent: sent.to_owned(),
        })
    }

    /// The first field of that name.
    pub fn field(&self, name: &str) -> Option<&str> {
        self.fields
            .iter()
            .find(|(field, _)| field.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    /// All fields of that name, in order.
    pub fn all(&self, name: &str) -> Vec<&str> {
        self.fields
            .iter()
            .filter(|(field, _)| field.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
            .collect()
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// Asserts the status.
    ///
    /// # Panics
    /// When it differs; the message shows what was sent and received.
    #[track_caller]
    pub fn is(self, status: u16) -> Self {
        assert!(self.status == status, "expected {status}\n{self:?}");
        self
    }

    /// Asserts that a field has this value (`None`: is absent).
    ///
    /// # Panics
    /// When it differs; the message shows what was sent and received.
    #[track_caller]
    pub fn has<'a>(self, name: &str, value: impl Into<Option<&'a str>>) -> Self {
        let value = value.into();
        assert!(
            self.field(name) == value,
            "expected field {name} to be {value:?}\n{self:?}"
        );
        self
    }

    /// The request that an [`Echo`](crate::Echo) upstream received.
    ///
    /// # Panics
    /// When this is not a response of an echo upstream.
    #[track_caller]
    pub fn echo(&self) -> Echoed {
        match serde_json::from_slice(&self.body) {
            Ok(value) if self.status == 200 => Echoed {
                value,
                context: format!("{self:?}"),
            },
            _ => panic!("this is not a response of an echo upstream\n{self:?}"),
        }
    }
}

impl fmt::Debug for Response {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "sent:\n{}", shortened(&self.sent))?;
        writeln!(f, "received:\n{} {}", self.version, self.status)?;
        for (name, value) in &self.fields {
            writeln!(f, "{name}: {value}")?;
        }
        let end = if self.complete { "" } else { " [cut short]" };
        write!(f, "\n{}{end}", shortened(&self.text()))
    }
}

fn shortened(text: &str) -> String {
    const MAX_LENGTH: usize = 2000;
    if text.chars().nth(MAX_LENGTH).is_none() {
        return text.to_owned();
    }
    let start: String = text.chars().take(MAX_LENGTH).collect();
    format!("{start}… ({} bytes)", text.len())
}

/// The request that an echo upstream received.
#[derive(Clone, Debug)]
pub struct Echoed {
    value: Value,
    context: String,
}

impl Echoed {
    /// The upstream's name.
    pub fn name(&self) -> &str {
        self.text("name")
    }

    /// The method.
    pub fn method(&self) -> &str {
        self.text("method")
    }

    /// The request target.
    pub fn target(&self) -> &str {
        self.text("target")
    }

    /// The protocol, such as `HTTP/1.1`.
    pub fn version(&self) -> &str {
        self.text("version")
    }

    /// The body.
    pub fn body(&self) -> &str {
        self.text("body")
    }

    /// A fact of the upstream's handshake: `serverName`, `protocol`, or `client`, its certificate in hexadecimal.
    pub fn tls(&self, fact: &str) -> Option<&str> {
        self.value["tls"][fact].as_str()
    }

    /// All values of a field, in order.
    pub fn all(&self, name: &str) -> Vec<&str> {
        let values = self.value["fields"][name.to_ascii_lowercase()].as_array();
        values
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect()
    }

    /// The value of a field that must not be repeated.
    ///
    /// # Panics
    /// When it is repeated.
    #[track_caller]
    pub fn field(&self, name: &str) -> Option<&str> {
        match self.all(name)[..] {
            [] => None,
            [value] => Some(value),
            _ => panic!(
                "the upstream received {name} more than once\n{}",
                self.context
            ),
        }
    }

    /// Asserts that a field has this value (`None`: is absent).
    ///
    /// # Panics
    /// When it differs.
    #[track_caller]
    pub fn has<'a>(&self, name: &str, value: impl Into<Option<&'a str>>) -> &Self {
        let (value, received) = (value.into(), self.field(name));
        assert!(
            received == value,
            "expected the upstream to receive {name} {value:?}, it received {received:?}\n{}",
            self.context
        );
        self
    }

    fn text(&self, key: &str) -> &str {
        self.value[key].as_str().unwrap_or_default()
    }
}
