//! Settings of TCP and UDP sessions.

use std::num::NonZeroU32;
use std::sync::Arc;

use headgate_table::{StreamFormat, StreamSettings, TemplateError};

use super::logs::{
    DISABLE_ACCESS_LOG, DISABLE_STREAM_ACCESS_LOG, LOG_FORMAT_STREAM, STREAM_FORMAT, format_text,
};
use super::read::Source;
use super::upstream::{
    PROXY_STREAM_NEXT_UPSTREAM, PROXY_STREAM_NEXT_UPSTREAM_TIMEOUT,
    PROXY_STREAM_NEXT_UPSTREAM_TRIES, PROXY_STREAM_RESPONSES, PROXY_STREAM_TIMEOUT,
};

pub(super) fn read(source: &mut Source<'_>) -> StreamSettings {
    let mut idle_timeout = source.get(&PROXY_STREAM_TIMEOUT);
    if idle_timeout.is_zero() {
        source.reject(&PROXY_STREAM_TIMEOUT, "no session would last");
        idle_timeout = StreamSettings::default().idle_timeout;
    }
    let tries = source.count(&PROXY_STREAM_NEXT_UPSTREAM_TRIES);
    let tries_timeout = source.get(&PROXY_STREAM_NEXT_UPSTREAM_TIMEOUT);
    StreamSettings {
        idle_timeout,
        tries: if source.get(&PROXY_STREAM_NEXT_UPSTREAM) {
            NonZeroU32::new(tries)
        } else {
            Some(NonZeroU32::MIN)
        },
        tries_timeout: Some(tries_timeout).filter(|timeout| !timeout.is_zero()),
        responses: source.count(&PROXY_STREAM_RESPONSES),
        log: !source.get(&DISABLE_ACCESS_LOG) && !source.get(&DISABLE_STREAM_ACCESS_LOG),
        format: format(source),
    }
}

/// The format of lines; `None`: the default one.
fn format(source: &mut Source<'_>) -> Option<Arc<StreamFormat>> {
    let text = source.text(&LOG_FORMAT_STREAM);
    if text.is_empty() || text == STREAM_FORMAT {
        return None;
    }
    let text = format_text(source, &LOG_FORMAT_STREAM);
    let (format, problems) = StreamFormat::parse(&text);
    for problem in problems {
        let consequence = match problem {
            TemplateError::Unknown(_) => "of TCP and UDP sessions; written as -",
            _ => "; written as it is",
        };
        source.warn(
            &LOG_FORMAT_STREAM,
            &format!("{problem} {consequence}").replace(" ;", ";"),
        );
    }
    Some(Arc::new(format))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::time::Duration;

    use super::*;
    use crate::ingress::settings::{LogTarget, Settings};

    fn parse(pairs: &[(&str, &str)]) -> (Settings, Vec<String>) {
        let data: BTreeMap<String, String> = pairs
            .iter()
            .map(|(key, text)| ((*key).to_owned(), (*text).to_owned()))
            .collect();
        let (settings, problems) = Settings::parse(&data);
        let problems = problems.into_iter();
        let problems = problems.map(|problem| format!("{}: {}", problem.field, problem.message));
        (settings, problems.collect())
    }

    #[test]
    fn retries_have_an_end_or_none() {
        let tries = |pairs: &[(&str, &str)]| {
            let streams = parse(pairs).0.data_plane.streams;
            (
                streams.tries.map_or(0, NonZeroU32::get),
                streams.tries_timeout,
            )
        };
        let ten_minutes = Some(Duration::from_secs(600));
        assert_eq!(tries(&[]), (3, ten_minutes));
        assert_eq!(
            tries(&[("proxy-stream-next-upstream", "false")]),
            (1, ten_minutes)
        );
        assert_eq!(
            tries(&[("proxy-stream-next-upstream-tries", "0")]),
            (0, ten_minutes)
        );
        assert_eq!(
            tries(&[("proxy-stream-next-upstream-timeout", "0s")]),
            (3, None)
        );
    }

    #[test]
    fn sessions_last_and_unknown_variables_are_named() {
        let (settings, problems) = parse(&[
            ("proxy-stream-timeout", "0s"),
            ("log-format-stream", "$status $request"),
        ]);
        assert_eq!(
            settings.data_plane.streams.idle_timeout,
            Duration::from_secs(600)
        );
        assert_eq!(
            problems,
            [
                "proxy-stream-timeout: no session would last; ignored, the default applies",
                "log-format-stream: there is no variable $request of TCP and UDP sessions; written as -"
            ]
        );
    }

    #[test]
    fn the_log_has_a_path_of_its_own() {
        let target = |pairs: &[(&str, &str)]| parse(pairs).0.access_log.stream_target;
        assert_eq!(target(&[]), LogTarget::Stdout);
        assert_eq!(
            target(&[("access-log-path", "/a")]),
            LogTarget::File("/a".into())
        );
        let both = [("access-log-path", "/a"), ("stream-access-log-path", "/b")];
        assert_eq!(target(&both), LogTarget::File("/b".into()));
        // As in ingress-nginx, syslog gets only the log of HTTP.
        let syslog = [("enable-syslog", "true"), ("syslog-host", "logs")];
        assert_eq!(target(&syslog), LogTarget::Stdout);
        for key in ["disable-access-log", "disable-stream-access-log"] {
            assert!(!parse(&[(key, "true")]).0.data_plane.streams.log, "{key}");
        }
        assert!(
            parse(&[("disable-http-access-log", "true")])
                .0
                .data_plane
                .streams
                .log
        );
    }
}
