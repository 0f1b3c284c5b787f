//! Shares of a whole.

use maud::{Markup, html};

/// A part of a bar: the number of its colour, 1 to 5, and its share from 0 to 1.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Part(pub(crate) u8, pub(crate) f64);

/// Shares beside each other. What the text beside it says, it does not say again.
pub(crate) fn bar(parts: &[Part]) -> Markup {
    let mut end = 0.0;
    let placed = parts.iter().map(|Part(colour, share)| {
        let width = share.clamp(0.0, 1.0) * 100.0;
        let start = end;
        end += width;
        (
            format!("f{colour}"),
            format!("{start:.2}"),
            format!("{width:.2}"),
        )
    });
    html! {
        svg.bars viewBox="0 0 100 8" preserveAspectRatio="none" aria-hidden="true" {
            rect.rest width="100" height="8" {}
            @for (class, start, width) in placed {
                rect class=(class) x=(start) width=(width) height="8" {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Part, bar};

    #[test]
    fn parts_lie_beside_each_other() {
        let text = bar(&[Part(1, 0.9), Part(2, 0.1)]).into_string();
        assert!(
            text.contains("<rect class=\"f2\" x=\"90.00\" width=\"10.00\" height=\"8\"></rect>"),
            "{text}"
        );
        assert!(!bar(&[Part(1, f64::NAN)]).into_string().contains("inf"));
    }
}
