//! Where directives may be written, as in nginx.

use std::fmt;

/// A block of nginx's configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// `location`: that of a route.
    Location,
    /// `if` in a location.
    LocationIf,
    /// `server`: a host.
    Server,
    /// `if` in a server.
    ServerIf,
    /// `location` in the text of a server.
    OwnLocation,
    /// `http`: every host.
    Http,
}

impl Place {
    /// The place of what is in `if` here.
    pub(super) fn inside_if(self) -> Option<Self> {
        match self {
            Self::Location | Self::OwnLocation => Some(Self::LocationIf),
            Self::Server => Some(Self::ServerIf),
            Self::LocationIf | Self::ServerIf | Self::Http => None,
        }
    }

    /// Whether directives that `if` may not hold are allowed.
    pub(super) fn is_block(self) -> bool {
        !matches!(self, Self::LocationIf | Self::ServerIf)
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Location | Self::OwnLocation => "a location",
            Self::LocationIf => "\"if\" in a location",
            Self::Server => "a server",
            Self::ServerIf => "\"if\" in a server",
            Self::Http => "http",
        })
    }
}
