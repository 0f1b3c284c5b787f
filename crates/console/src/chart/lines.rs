//! Values over time.

use maud::{Markup, Render, html};

use super::scale::{HEIGHT, STEP, area, end_of_axis, line};
use crate::format::{UNKNOWN, instant, minute};
use crate::model::{Point, Series};

/// A chart of lines over the same time.
pub(crate) struct Chart<'a> {
    /// What it shows, in words.
    pub(crate) title: &'a str,
    pub(crate) series: &'a Series,
    pub(crate) lines: &'a [Line],
    /// A value as text.
    pub(crate) text: fn(f64) -> String,
}

/// A line of a chart.
pub(crate) struct Line {
    pub(crate) name: &'static str,
    /// Number of its colour, 1 to 5.
    pub(crate) colour: u8,
    /// The area below it is coloured too.
    pub(crate) is_filled: bool,
    pub(crate) value: fn(&Point) -> Option<f64>,
}

impl Line {
    fn values(&self, series: &Series) -> Vec<Option<f64>> {
        let points = series.points.iter();
        let values = points.map(|point| (self.value)(point).filter(|value| value.is_finite()));
        values.collect()
    }
}

impl Chart<'_> {
    fn text(&self, value: Option<f64>) -> String {
        value.map_or_else(|| UNKNOWN.to_owned(), self.text)
    }

    /// The end of the time of a point.
    fn time(&self, at: usize) -> u64 {
        let later = (self.series.points.len() - 1 - at) as u64;
        let end = self.series.end_unix_seconds;
        end.saturating_sub(later * self.series.step_seconds)
    }

    fn hits(&self, values: &[Vec<Option<f64>>]) -> Markup {
        html! {
            @for at in 0..self.series.points.len() {
                rect.hit x=(at as f64 * STEP) y="0" width=(STEP) height=(HEIGHT) {
                    title {
                        (instant(self.time(at))) " UTC"
                        @for (line, values) in self.lines.iter().zip(values) {
                            "\n" (line.name) ": " (self.text(values[at]))
                        }
                    }
                }
            }
        }
    }
}

impl Render for Chart<'_> {
    fn render(&self) -> Markup {
        let count = self.series.points.len();
        if count == 0 {
            return html! { p.empty { "Nothing was measured yet." } };
        }
        let values: Vec<_> = self
            .lines
            .iter()
            .map(|line| line.values(self.series))
            .collect();
        let highest = values
            .iter()
            .flatten()
            .flatten()
            .copied()
            .fold(0.0, f64::max);
        let top = end_of_axis(highest);
        let width = count as f64 * STEP;
        let words = in_words(self, &values);
        html! {
            figure.plot {
                ul.legend {
                    @for (one, values) in self.lines.iter().zip(&values) {
                        li {
                            svg viewBox="0 0 10 10" aria-hidden="true" {
                                rect class=(format!("f{}", one.colour)) y="3.5" width="10" height="3" rx="1.5" {}
                            }
                            (one.name)
                            b { (self.text(values.last().copied().flatten())) }
                        }
                    }
                }
                div.y aria-hidden="true" {
                    span { (self.text(Some(top))) }
                    span { (self.text(Some(top / 2.0))) }
                    span { "0" }
                }
                svg.chart viewBox=(format!("0 0 {width} {HEIGHT}")) preserveAspectRatio="none" role="img" aria-label=(words) {
                    @for height in [0.0, HEIGHT / 2.0, HEIGHT] {
                        path.grid d=(format!("M0 {height}H{width}")) {}
                    }
                    @for (one, values) in self.lines.iter().zip(&values) {
                        @if one.is_filled {
                            path class=(format!("area f{}", one.colour)) d=(area(values, top)) {}
                        }
                        path class=(format!("line s{}", one.colour)) d=(line(values, top)) {}
                    }
                    (self.hits(&values))
                }
                div.x aria-hidden="true" {
                    @for at in [0, count / 4, count / 2, count * 3 / 4, count - 1] {
                        span { (minute(self.time(at))) }
                    }
                }
            }
        }
    }
}

fn in_words(chart: &Chart<'_>, values: &[Vec<Option<f64>>]) -> String {
    let lines = chart.lines.iter().zip(values).map(|(line, values)| {
        let highest = values.iter().flatten().copied().reduce(f64::max);
        let last = values.last().copied().flatten();
        let (last, highest) = (chart.text(last), chart.text(highest));
        format!("{}: now {last}, at most {highest}", line.name)
    });
    let lines: Vec<String> = lines.collect();
    format!("{}. {}", chart.title, lines.join("; "))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINES: [Line; 1] = [Line {
        name: "Requests",
        colour: 1,
        is_filled: true,
        value: |point| point.requests_per_second,
    }];

    fn chart(rates: &[Option<f64>]) -> String {
        let points = rates.iter().map(|rate| Point {
            requests_per_second: *rate,
            ..Point::default()
        });
        let series = Series {
            step_seconds: 10,
            end_unix_seconds: 1_796_000_000,
            points: points.collect(),
        };
        let chart = Chart {
            title: "Requests a second",
            series: &series,
            lines: &LINES,
            text: |value| format!("{value}/s"),
        };
        chart.render().into_string()
    }

    #[test]
    fn a_chart_says_what_it_shows() {
        let text = chart(&[Some(1.0), None, Some(3.0), Some(2.0)]);
        let words = "aria-label=\"Requests a second. Requests: now 2/s, at most 3/s\"";
        assert!(text.contains(words), "{text}");
        assert!(
            text.contains("<title>2026-11-30 00:53:20 UTC\nRequests: 2/s</title>"),
            "{text}"
        );
        assert!(
            text.contains("<span>4/s</span><span>2/s</span><span>0</span>"),
            "{text}"
        );
    }

    #[test]
    fn nothing_and_nonsense_are_drawn_too() {
        assert!(chart(&[]).contains("Nothing was measured yet."));
        for values in [
            &[None][..],
            &[Some(f64::NAN)],
            &[Some(-1.0)],
            &[Some(f64::INFINITY), Some(0.0)],
        ] {
            let text = chart(values);
            assert!(!text.contains("NaN") && !text.contains("inf"), "{text}");
        }
    }
}
