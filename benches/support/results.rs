//! The runs of a bench over series and sizes, each in a process of its own, and their results.

use std::io::{self, Write as _};
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use super::series::{Cluster, Series};

const SIZES: [usize; 6] = [10, 100, 1_000, 10_000, 20_000, 100_000];
/// Most with `--quick`.
const QUICK: usize = 1_000;

/// Arguments of the command line.
pub(crate) struct Arguments {
    series: Vec<Series>,
    most: usize,
    quick: bool,
    json: Option<String>,
    /// Measure this size alone, and print the result as JSON.
    one: Option<usize>,
}

impl Arguments {
    fn read() -> Self {
        let mut read = Self {
            series: Vec::new(),
            most: usize::MAX,
            quick: false,
            json: None,
            one: None,
        };
        let mut arguments = std::env::args().skip(1);
        while let Some(argument) = arguments.next() {
            let mut value = || arguments.next().expect("the option takes a value");
            match argument.as_str() {
                "--quick" => read.quick = true,
                "--most" => read.most = value().parse().expect("--most takes a size"),
                "--one" => read.one = Some(value().parse().expect("--one takes a size")),
                "--json" => read.json = Some(value()),
                // cargo adds this.
                "--bench" => {}
                name => {
                    let mut all = Series::ALL.into_iter();
                    let found = all.find(|series| series.name() == name);
                    let names = Series::ALL.map(Series::name).join(", ");
                    let found = found.unwrap_or_else(|| panic!("no series {name}: {names}"));
                    read.series.push(found);
                }
            }
        }
        if read.series.is_empty() {
            read.series = Series::ALL.into();
        }
        if read.quick {
            read.most = read.most.min(QUICK);
        }
        read
    }

    /// How many samples to take of what has `many`.
    pub(crate) fn samples(&self, many: usize) -> usize {
        if self.quick { many.div_ceil(10) } else { many }
    }
}

/// Measures every size of every series, prints a table of `columns`, and writes everything to the file of `--json`.
pub(crate) fn run(bench: &str, columns: &[&str], measure: impl Fn(Cluster, &Arguments) -> Value) {
    let arguments = Arguments::read();
    if let (Some(size), [series]) = (arguments.one, &arguments.series[..]) {
        let cluster = Cluster {
            series: *series,
            size,
        };
        println!("{}", measure(cluster, &arguments));
        return;
    }
    let mut all = json!({});
    for series in &arguments.series {
        println!("\n| {} | {} |", series.name(), columns.join(" | "));
        println!("|---{}|", "|---".repeat(columns.len()));
        for size in SIZES.into_iter().filter(|size| *size <= arguments.most) {
            let result = in_a_child(*series, size, arguments.quick);
            let cell = |column: &&str| cell(result[*column].as_f64().unwrap_or(f64::NAN));
            let cells: Vec<String> = columns.iter().map(cell).collect();
            println!("| {size} | {} |", cells.join(" | "));
            io::stdout().flush().expect("a standard output");
            all[series.name()][size.to_string()] = result;
        }
    }
    if let Some(file) = &arguments.json {
        let text = format!("{:#}\n", json!({ bench: all }));
        std::fs::write(file, text).unwrap_or_else(|error| panic!("{file}: {error}"));
    }
}

fn in_a_child(series: Series, size: usize, quick: bool) -> Value {
    let program = std::env::current_exe().expect("the path of this program");
    let mut command = Command::new(program);
    command.args([series.name(), "--one", &size.to_string()]);
    command.args(quick.then_some("--quick"));
    let output = command.stderr(Stdio::inherit()).output();
    let output = output.expect("this program starts");
    assert!(
        output.status.success(),
        "{} of {size} failed",
        series.name()
    );
    serde_json::from_slice(&output.stdout).expect("a result")
}

/// Three digits that count.
fn cell(value: f64) -> String {
    match value.abs() {
        0.0..10.0 => format!("{value:.2}"),
        10.0..100.0 => format!("{value:.1}"),
        _ => format!("{value:.0}"),
    }
}
