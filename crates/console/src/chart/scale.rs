//! From values to coordinates.

use std::fmt::Write as _;

/// The height of a chart in its own units.
pub(super) const HEIGHT: f64 = 100.0;
/// The width of one point.
pub(super) const STEP: f64 = 10.0;

/// The smallest of 1, 2, 4, 5 and 10 times a power of ten that is not below `value`: an end of an axis whose half is round too.
pub(super) fn end_of_axis(value: f64) -> f64 {
    if !value.is_finite() || value <= 0.0 {
        return 1.0;
    }
    let power = 10_f64.powf(value.log10().floor());
    let factors = [1.0, 2.0, 4.0, 5.0];
    let factor = factors.into_iter().find(|factor| value <= factor * power);
    factor.unwrap_or(10.0) * power
}

/// The path of a line through known values, with gaps where there are none.
pub(super) fn line(values: &[Option<f64>], top: f64) -> String {
    let mut out = String::new();
    for run in runs(values) {
        let command = |at: usize| if at == run.start { 'M' } else { 'L' };
        for at in run.clone() {
            // Writing to a string does not fail.
            let _ = write!(out, "{}{:.1} {:.2}", command(at), x(at), y(values, at, top));
        }
        if run.len() == 1 {
            // The ends of a line are round: without a length it is a point.
            out.push_str("h0");
        }
    }
    out
}

/// The area below that line.
pub(super) fn area(values: &[Option<f64>], top: f64) -> String {
    let mut out = String::new();
    for run in runs(values).filter(|run| run.len() > 1) {
        // Writing to a string does not fail.
        let _ = write!(out, "M{:.1} {HEIGHT}", x(run.start));
        for at in run.clone() {
            let _ = write!(out, "L{:.1} {:.2}", x(at), y(values, at, top));
        }
        let _ = write!(out, "V{HEIGHT}Z");
    }
    out
}

/// The middle of a point.
fn x(at: usize) -> f64 {
    (at as f64 + 0.5) * STEP
}

fn y(values: &[Option<f64>], at: usize, top: f64) -> f64 {
    let value = values.get(at).copied().flatten().unwrap_or_default();
    HEIGHT - (value / top).clamp(0.0, 1.0) * HEIGHT
}

/// Ranges of known values.
fn runs(values: &[Option<f64>]) -> impl Iterator<Item = std::ops::Range<usize>> {
    let mut from = 0;
    std::iter::from_fn(move || {
        let rest = values.get(from..)?;
        let start = from + rest.iter().position(Option::is_some)?;
        let length = values[start..].iter().position(Option::is_none);
        let end = length.map_or(values.len(), |length| start + length);
        from = end;
        Some(start..end)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axes_end_at_round_numbers() {
        let ends = [0.0, 0.03, 1.0, 3.0, 4.1, 7.0, 187.0, f64::NAN].map(end_of_axis);
        assert_eq!(ends, [1.0, 0.04, 1.0, 4.0, 5.0, 10.0, 200.0, 1.0]);
    }

    #[test]
    fn lines_have_gaps() {
        let values = [Some(0.0), Some(5.0), None, Some(10.0), None];
        assert_eq!(line(&values, 10.0), "M5.0 100.00L15.0 50.00M35.0 0.00h0");
        assert_eq!(area(&values, 10.0), "M5.0 100L5.0 100.00L15.0 50.00V100Z");
        assert_eq!(line(&[None, None], 10.0), "");
        assert_eq!(line(&[], 10.0), "");
    }
}
