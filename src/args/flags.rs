//! The flags of one command line, parsed by the table.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Arg, ArgAction, ArgMatches, Command, FromArgMatches};
use headgate_compile::Name;

use super::{FLAGS, Flag, HostPort, Kind, Value};
use crate::config::Preset;

/// Heading in the help for flags that are accepted without effect.
const WITHOUT_EFFECT: &str = "Flags of ingress-nginx without effect";
/// Heading in the help for flags that need an API server.
const CLUSTER: &str = "Flags for clusters";

/// The flags that were given; getters fall back to the defaults of the table.
#[derive(Clone, Debug, Default)]
pub(crate) struct Flags {
    given: BTreeMap<&'static str, Vec<Value>>,
}

/// Getters by kind. A name that is not in the table, or is of another kind, reads as zero; tests rule that out.
impl Flags {
    /// Whether a flag was given.
    pub(crate) fn is_given(&self, name: &str) -> bool {
        self.given.contains_key(name)
    }

    /// Flags that were given, in the order of the table.
    pub(crate) fn given(&self) -> impl Iterator<Item = &'static Flag> {
        FLAGS.iter().filter(|flag| self.is_given(flag.name))
    }

    pub(crate) fn switch(&self, name: &str) -> bool {
        matches!(self.value(name), Some(Value::Switch(true)))
    }

    pub(crate) fn number(&self, name: &str) -> u64 {
        if let Some(Value::Number(number)) = self.value(name) {
            number
        } else {
            0
        }
    }

    pub(crate) fn port(&self, name: &str) -> u16 {
        u16::try_from(self.number(name)).unwrap_or_default()
    }

    /// A range of ports; `None`: empty.
    pub(crate) fn port_range(&self, name: &str) -> Option<RangeInclusive<u16>> {
        if let Some(Value::PortRange(range)) = self.value(name) {
            range
        } else {
            None
        }
    }

    pub(crate) fn duration(&self, name: &str) -> Duration {
        if let Some(Value::Duration(duration)) = self.value(name) {
            duration
        } else {
            Duration::ZERO
        }
    }

    /// A path; `None`: not given or empty.
    pub(crate) fn file(&self, name: &str) -> Option<PathBuf> {
        Some(self.text(name))
            .filter(|path| !path.is_empty())
            .map(PathBuf::from)
    }

    /// A number that counts seconds.
    pub(crate) fn seconds(&self, name: &str) -> Duration {
        Duration::from_secs(self.number(name))
    }

    /// A text; empty: none.
    pub(crate) fn text(&self, name: &str) -> String {
        if let Some(Value::Text(text)) = self.value(name) {
            text
        } else {
            String::new()
        }
    }

    pub(crate) fn object(&self, name: &str) -> Option<Name> {
        if let Some(Value::Object(object)) = self.value(name) {
            object
        } else {
            None
        }
    }

    /// An address; `None`: all addresses.
    pub(crate) fn address(&self, name: &str) -> Option<IpAddr> {
        if let Some(Value::Address(address)) = self.value(name) {
            address
        } else {
            None
        }
    }

    /// An address to listen on; `None`: not at all.
    pub(crate) fn host_port(&self, name: &str) -> Option<HostPort> {
        if let Some(Value::HostPort(address)) = self.value(name) {
            address
        } else {
            None
        }
    }

    /// All addresses of a repeatable flag.
    pub(crate) fn addresses(&self, name: &str) -> Vec<IpAddr> {
        let given = self.given.get(name).into_iter().flatten();
        given
            .filter_map(|value| {
                if let Value::Address(address) = value {
                    *address
                } else {
                    None
                }
            })
            .collect()
    }

    /// Gives a flag one more value, as typed.
    ///
    /// # Errors
    /// What is expected.
    pub(crate) fn give(&mut self, flag: &'static Flag, text: &str) -> Result<(), String> {
        let value = flag.kind.parse(text)?;
        self.given.entry(flag.name).or_default().push(value);
        Ok(())
    }

    /// These flags, and those of `others` that are not among them.
    #[must_use]
    pub(crate) fn over(mut self, others: Self) -> Self {
        for (name, values) in others.given {
            self.given.entry(name).or_insert(values);
        }
        self
    }

    /// The numbers of a repeatable flag.
    pub(crate) fn decimals(&self, name: &str) -> Vec<f64> {
        let values = self.values(name).into_iter();
        values
            .flat_map(|value| match value {
                Value::Decimals(numbers) => numbers,
                _ => Vec::new(),
            })
            .collect()
    }

    /// The texts of a repeatable flag.
    pub(crate) fn list(&self, name: &str) -> Vec<String> {
        let values = self.values(name).into_iter();
        values
            .flat_map(|value| match value {
                Value::List(texts) => texts,
                _ => Vec::new(),
            })
            .collect()
    }

    /// All values of a repeatable flag, else its default.
    fn values(&self, name: &str) -> Vec<Value> {
        let given = self.given.get(name).cloned();
        given.unwrap_or_else(|| self.value(name).into_iter().collect())
    }

    fn value(&self, name: &str) -> Option<Value> {
        if let Some(value) = self.given.get(name).and_then(|values| values.last()) {
            return Some(value.clone());
        }
        let flag = FLAGS.iter().find(|flag| flag.name == name)?;
        flag.kind.parse(flag.default).ok()
    }
}

impl clap::Args for Flags {
    fn augment_args(command: Command) -> Command {
        let command = command.args_override_self(true);
        FLAGS
            .iter()
            .filter(|flag| flag.name != "version")
            .fold(command, |command, flag| command.arg(argument(flag)))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for Flags {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let mut flags = Self::default();
        flags.update_from_arg_matches(matches)?;
        Ok(flags)
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        for flag in FLAGS {
            if let Ok(Some(values)) = matches.try_get_many::<Value>(flag.name) {
                self.given.insert(flag.name, values.cloned().collect());
            }
        }
        Ok(())
    }
}

fn argument(flag: &'static Flag) -> Arg {
    let parser = move |text: &str| flag.kind.parse(text);
    let argument = Arg::new(flag.name)
        .long(flag.name)
        .help(help(flag))
        .value_parser(parser);
    let argument = argument.value_name(flag.kind.value_name());
    let argument = match flag.kind {
        // As in Go, the value of a switch follows `=`, never a space.
        Kind::Switch => argument
            .num_args(0..=1)
            .require_equals(true)
            .default_missing_value("true"),
        Kind::Addresses => argument.action(ArgAction::Append).value_delimiter(','),
        Kind::Decimals | Kind::List => argument.action(ArgAction::Append),
        _ => argument,
    };
    let argument = if flag.name == "v" {
        argument.short('v')
    } else {
        argument
    };
    if flag.without_effect(Preset::Controller).is_some() {
        argument.help_heading(WITHOUT_EFFECT)
    } else if flag.without_effect(Preset::Serve).is_some() {
        argument.help_heading(CLUSTER)
    } else {
        argument
    }
}

fn help(flag: &Flag) -> String {
    let default = if flag.default.is_empty() {
        String::new()
    } else {
        format!(" [default: {}]", flag.default)
    };
    format!("{}{default}", flag.meaning)
}
