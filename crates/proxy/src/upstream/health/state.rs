//! What is known of an endpoint, for diagnosis.

use std::fmt;
use std::time::Duration;

/// What is known of an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndpointState {
    /// It gets requests: it has not failed, or a success has followed.
    Sound,
    /// It gets requests, and has failed this many in a row.
    Failing(u32),
    /// It gets requests, this share of what it would get, percent, and all of that after this time: a slow start.
    Starting(u8, Duration),
    /// It could not be connected to, and is left out for this time; after that one request at a time tries it.
    Unreachable(Duration),
    /// It has failed this many requests in a row, and is ejected for this time; after that one request at a time tries it.
    Ejected(u32, Duration),
    /// Its health checks have failed: it is left out until they pass.
    Unhealthy,
}

impl EndpointState {
    /// For programs.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Sound => "sound",
            Self::Failing(_) => "failing",
            Self::Starting(..) => "starting",
            Self::Unreachable(_) => "unreachable",
            Self::Ejected(..) => "ejected",
            Self::Unhealthy => "unhealthy",
        }
    }

    /// Consecutive failures, where they decide.
    pub fn failures(&self) -> Option<u32> {
        match self {
            Self::Failing(failures) | Self::Ejected(failures, _) => Some(*failures),
            Self::Sound | Self::Starting(..) | Self::Unreachable(_) | Self::Unhealthy => None,
        }
    }

    /// The share of what it would get otherwise, percent; `None`: it gets nothing.
    pub fn share(&self) -> Option<u8> {
        match self {
            Self::Sound | Self::Failing(_) => Some(100),
            Self::Starting(share, _) => Some(*share),
            Self::Unreachable(_) | Self::Ejected(..) | Self::Unhealthy => None,
        }
    }

    /// How long it is left out; zero: it is due for a trial.
    pub fn left_out(&self) -> Option<Duration> {
        match self {
            Self::Unreachable(time) | Self::Ejected(_, time) => Some(*time),
            Self::Sound | Self::Failing(_) | Self::Starting(..) | Self::Unhealthy => None,
        }
    }
}

impl fmt::Display for EndpointState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let until = |time: &Duration| match time.as_secs_f32().ceil() {
            0.0 => "until a request has tried it".to_owned(),
            seconds => format!("for {seconds} s"),
        };
        let in_a_row = |failures: &u32| match failures {
            1 => "1 failure".to_owned(),
            failures => format!("{failures} failures in a row"),
        };
        match self {
            Self::Sound => f.write_str("sound"),
            Self::Failing(failures) => f.write_str(&in_a_row(failures)),
            Self::Starting(share, time) => {
                let seconds = time.as_secs_f32().ceil();
                write!(
                    f,
                    "starting: gets {share} % of its share, all of it in {seconds} s"
                )
            }
            Self::Unreachable(time) => {
                write!(f, "cannot be connected to, left out {}", until(time))
            }
            Self::Ejected(failures, time) => {
                write!(f, "{}, ejected {}", in_a_row(failures), until(time))
            }
            Self::Unhealthy => f.write_str("left out until its health checks pass"),
        }
    }
}
