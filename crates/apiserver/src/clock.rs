//! The times in objects.

/// Now, to the second: `2026-01-02T03:04:05Z`.
pub(crate) fn now() -> String {
    after(0)
}

/// This many seconds from now.
pub(crate) fn after(seconds: i64) -> String {
    let then = jiff::Timestamp::now().as_second().saturating_add(seconds);
    jiff::Timestamp::from_second(then)
        .map(|time| time.to_string())
        .unwrap_or_default()
}

/// The age of a time, as kubectl prints it: `5s`, `12m`, `3h`, `4d`.
pub(crate) fn age(time: &str) -> String {
    let Ok(time) = time.parse::<jiff::Timestamp>() else {
        return "<unknown>".to_owned();
    };
    let seconds = jiff::Timestamp::now()
        .as_second()
        .saturating_sub(time.as_second())
        .max(0);
    match seconds {
        0..120 => format!("{seconds}s"),
        120..7200 => format!("{}m", seconds / 60),
        7200..172_800 => format!("{}h", seconds / 3600),
        _ => format!("{}d", seconds / 86_400),
    }
}
