//! The known name that a misspelt one resembles.

/// Most edits between a name and what it resembles; a transposition is one edit.
const MAX_EDITS: usize = 2;
/// Shorter names resemble too many others.
const MIN_LENGTH: usize = 5;

/// The known name nearest to `name`, if there is one within two edits. Case and the separators `_` and `.` do not count.
pub(crate) fn nearest(
    name: &str,
    known: impl Iterator<Item = &'static str>,
) -> Option<&'static str> {
    let name = name.to_ascii_lowercase().replace(['_', '.'], "-");
    if name.len() < MIN_LENGTH {
        return None;
    }
    // The cost of a comparison is bounded before it is made: thousands of objects may have the same unknown name.
    let similar = known
        .filter(|known| known.len().abs_diff(name.len()) <= MAX_EDITS)
        .filter(|known| differing_bytes(name.as_bytes(), known.as_bytes()) <= 2 * MAX_EDITS);
    let distances = similar.map(|known| (strsim::osa_distance(&name, known), known));
    let nearest = distances.min()?;
    (nearest.0 <= MAX_EDITS).then_some(nearest.1)
}

/// How many bytes of each are not in the other, wherever they stand; at least some of them. An edit changes two at most.
fn differing_bytes(one: &[u8], other: &[u8]) -> usize {
    let mut surplus = [0_isize; 32];
    one.iter()
        .for_each(|byte| surplus[usize::from(byte % 32)] += 1);
    other
        .iter()
        .for_each(|byte| surplus[usize::from(byte % 32)] -= 1);
    surplus.iter().map(|count| count.unsigned_abs()).sum()
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn typing_errors_are_recognized_and_other_names_are_not() {
        let known = ["rewrite-target", "auth-url", "limit-rps", "limit-rpm"];
        let nearest = |name| nearest(name, known.into_iter());
        assert_eq!(nearest("rewrite-traget"), Some("rewrite-target"));
        assert_eq!(nearest("Rewrite_Target"), Some("rewrite-target"));
        assert_eq!(nearest("auth-ulr"), Some("auth-url"));
        assert_eq!(nearest("limitrpm"), Some("limit-rpm"));
        for other in ["", "auth", "team", "rewrite", "limit-connections", "é"] {
            assert_eq!(nearest(other), None, "{other}");
        }
        let long = "a".repeat(1 << 20);
        assert_eq!(super::nearest(&long, known.into_iter()), None);
    }
}
