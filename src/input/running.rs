//! The running ingress-nginx: which of several, and its flags.

use headgate_compile::{Judgement, Name, Verdict, Workload};

use crate::args::{FLAGS, Flag, Flags, Kind};
use crate::output;

/// The flags of a workload.
#[derive(Default)]
pub(super) struct Running {
    pub(super) flags: Flags,
    /// In the order of the arguments.
    pub(super) verdicts: Vec<Judgement>,
}

/// The workload named on the command line, else the first one by namespace and name.
pub(super) fn choose(
    workloads: Vec<Workload>,
    named: Option<&Name>,
    notes: &mut Vec<String>,
) -> Option<Workload> {
    let count = workloads.len();
    let mut wanted = workloads
        .iter()
        .filter(|workload| named.is_none_or(|name| workload.name == *name));
    let chosen = wanted.next().cloned();
    match (&chosen, named) {
        (None, Some(name)) => notes.push(format!(
            "there is no ingress-nginx {name}: its flags are not checked"
        )),
        (None, None) => notes.push(
            "no Deployment or DaemonSet of ingress-nginx was found: the flags have their defaults"
                .to_owned(),
        ),
        (Some(chosen), None) if count > 1 => {
            let others = workloads.iter().filter(|workload| *workload != chosen);
            let others: Vec<String> = others.map(|other| other.name.to_string()).collect();
            notes.push(format!(
                "there are several ingress-nginx: checked is {}; see --workload for {}",
                chosen.name,
                others.join(", ")
            ));
        }
        (Some(_), _) => {}
    }
    chosen
}

/// The flags in the arguments of a workload.
pub(super) fn flags(workload: &Workload) -> Running {
    let mut running = Running::default();
    let mut words = workload.arguments.iter().map(String::as_str).peekable();
    while let Some(word) = words.next() {
        let Some(name) = word.strip_prefix('-') else {
            continue;
        };
        let name = name.strip_prefix('-').unwrap_or(name);
        let (name, value) = match name.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (name, None),
        };
        let Some(flag) = find(name) else {
            running.verdicts.push(unknown(name));
            continue;
        };
        let value = match value {
            Some(value) => value,
            // As in Go, the value of a switch follows `=`.
            None if flag.kind == Kind::Switch => "true",
            None => words
                .next_if(|next| !next.starts_with('-'))
                .unwrap_or_default(),
        };
        running.add(flag, value);
    }
    running
}

fn find(name: &str) -> Option<&'static Flag> {
    FLAGS.iter().find(|flag| flag.name == name)
}

fn unknown(name: &str) -> Judgement {
    let reason = "unknown flag: the controller does not start with it; delete it";
    let name = format!("--{}", output::plain(name));
    Judgement::new(name, Verdict::NotSupported, reason)
}

/// The verdict about the flag `name` with this value; an empty one gives the bare flag.
pub(super) fn verdict(name: &str, value: &str) -> Judgement {
    let Some(flag) = find(name) else {
        return unknown(name);
    };
    let value = if value.is_empty() && flag.kind == Kind::Switch {
        "true"
    } else {
        value
    };
    let mut running = Running::default();
    running.add(flag, value);
    running.verdicts.pop().unwrap_or_else(|| unknown(name))
}

impl Running {
    fn add(&mut self, flag: &'static Flag, value: &str) {
        let verdict = match self.flags.give(flag, value) {
            Ok(()) => flag.verdict(value),
            Err(expected) => {
                let reason = format!("the controller does not start with this value: {expected}");
                Judgement::new(flag.name, Verdict::NotSupported, reason)
            }
        };
        let dashes = if flag.name.len() == 1 { "-" } else { "--" };
        self.verdicts.push(Judgement {
            name: format!("{dashes}{}", flag.name).into(),
            ..verdict
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn workload(arguments: &[&str]) -> Workload {
        Workload {
            name: Name::new("edge", "edge"),
            kind: "Deployment",
            image: String::new(),
            arguments: arguments.iter().map(|word| (*word).to_owned()).collect(),
            release: None,
        }
    }

    #[test]
    fn every_form_of_a_flag_is_read() {
        let running = flags(&workload(&[
            "--ingress-class=edge",
            "--configmap",
            "edge/settings",
            "-v=2",
            "--watch-ingress-without-class",
            "--http-port=x",
            "--no-such-flag",
        ]));
        assert_eq!(running.flags.text("ingress-class"), "edge");
        assert_eq!(
            running.flags.object("configmap"),
            Some(Name::new("edge", "settings"))
        );
        assert_eq!(running.flags.number("v"), 2);
        assert!(running.flags.switch("watch-ingress-without-class"));
        let verdicts: Vec<_> = running
            .verdicts
            .iter()
            .map(|one| (&*one.name, one.verdict))
            .collect();
        assert_eq!(
            verdicts,
            [
                ("--ingress-class", Verdict::Honoured),
                ("--configmap", Verdict::Honoured),
                ("-v", Verdict::Honoured),
                ("--watch-ingress-without-class", Verdict::Honoured),
                ("--http-port", Verdict::NotSupported),
                ("--no-such-flag", Verdict::NotSupported),
            ]
        );
    }
}
