//! `Date` of responses.

use std::cell::RefCell;
use std::io::Write;
use std::time::{SystemTime, UNIX_EPOCH};

/// The last text of this thread, with its second since 1970.
#[derive(Default)]
struct Text {
    second: u64,
    text: Vec<u8>,
}

thread_local!(static LAST: RefCell<Text> = RefCell::default());

/// Appends the time in the form of RFC 9110 section 5.6.7.
pub(super) fn write(out: &mut Vec<u8>) {
    let now = SystemTime::now();
    let second = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    LAST.with_borrow_mut(|last| {
        if last.second != second || last.text.is_empty() {
            last.second = second;
            last.text.clear();
            // Writing to memory does not fail.
            let _ = write!(last.text, "{}", httpdate::HttpDate::from(now));
        }
        out.extend_from_slice(&last.text);
    });
}
