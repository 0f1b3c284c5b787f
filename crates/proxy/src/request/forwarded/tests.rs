//! The client of a request in all settings.
#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]
use super::*;

const HTTP: ConnectionInfo = ConnectionInfo {
    peer: SocketAddr::new(IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 1)), 5000),
    proxied_port: None,
    scheme: Scheme::Http,
    port: 80,
    https_port: 443,
};

fn headers(lines: &[(&'static str, &'static str)]) -> HeaderMap {
    lines
        .iter()
        .map(|(name, value)| {
            (
                HeaderName::from_static(name),
                HeaderValue::from_static(value),
            )
        })
        .collect()
}

fn show(client: &ClientInfo) -> String {
    let host = client
        .host
        .as_ref()
        .map_or("-", |host| host.to_str().unwrap());
    let sent = client.sent.as_deref().cloned().unwrap_or_default();
    let text = |before: &str, value: Option<HeaderValue>| {
        value.map_or_else(String::new, |value| {
            format!(" {before} {}", value.to_str().unwrap())
        })
    };
    format!(
        "{} {}://{}:{}{}{}",
        client.address,
        client.scheme.as_str(),
        host,
        client.port,
        text("as", sent.scheme),
        text("port", sent.port),
    )
}

fn trust(nets: &[&str]) -> ForwardedTrust {
    let trusted = nets
        .iter()
        .map(|net| net.parse::<ipnet::IpNet>().unwrap())
        .collect();
    ForwardedTrust {
        trusted,
        ..ForwardedTrust::default()
    }
}

#[test]
fn nothing_is_trusted_by_default() {
    let spoofed = headers(&[
        ("x-forwarded-for", "6.6.6.6"),
        ("x-forwarded-proto", "https"),
        ("x-forwarded-port", "444"),
        ("x-forwarded-host", "evil.test"),
    ]);
    let host = HeaderValue::from_static("a.test:80");
    let client = HTTP.client(&ForwardedTrust::default(), &spoofed, Some(&host));
    assert_eq!(show(&client), "10.0.0.1 http://a.test:80:80");
}

#[test]
fn forwarded_headers_when_used() {
    let trust = ForwardedTrust {
        use_forwarded_headers: true,
        ..ForwardedTrust::default()
    };
    let host = HeaderValue::from_static("a.test");
    for (lines, expected) in [
        (
            &[
                ("x-forwarded-for", "6.6.6.6"),
                ("x-forwarded-proto", "HTTPS, http"),
                ("x-forwarded-port", "444"),
                ("x-forwarded-host", "b.test:1, c.test"),
            ][..],
            "6.6.6.6 https://b.test:1:444 as HTTPS, http",
        ),
        (
            &[
                ("x-forwarded-proto", "gopher"),
                ("x-forwarded-port", "x"),
                ("x-forwarded-host", "a/b"),
            ],
            "10.0.0.1 http://a.test:80 as gopher port x",
        ),
        (
            &[
                ("x-forwarded-proto", "https"),
                ("x-forwarded-proto", "http"),
                ("x-forwarded-port", ""),
            ],
            "10.0.0.1 https://a.test:80 as https, http port ",
        ),
        (
            &[("x-forwarded-proto", "https"), ("x-forwarded-port", "444")],
            "10.0.0.1 https://a.test:444",
        ),
        (&[("x-forwarded-port", "443")], "10.0.0.1 http://a.test:443"),
    ] {
        assert_eq!(
            show(&HTTP.client(&trust, &headers(lines), Some(&host))),
            expected
        );
    }
}

#[test]
fn real_ip_changes_the_address_alone() {
    let trust = ForwardedTrust {
        real_ip: true,
        ..ForwardedTrust::default()
    };
    let lines = headers(&[
        ("x-forwarded-for", "6.6.6.6"),
        ("x-forwarded-proto", "https"),
        ("x-forwarded-host", "b"),
    ]);
    assert_eq!(
        show(&HTTP.client(&trust, &lines, None)),
        "6.6.6.6 http://-:80"
    );
}

#[test]
fn ports_and_schemes() {
    let none = ForwardedTrust::default();
    let https = ConnectionInfo {
        scheme: Scheme::Https,
        port: 8443,
        https_port: 8443,
        ..HTTP
    };
    let any_port = ConnectionInfo {
        scheme: Scheme::Https,
        port: 34567,
        https_port: 0,
        ..HTTP
    };
    let custom_http = ConnectionInfo { port: 8080, ..HTTP };
    let proxied_tls = ConnectionInfo {
        proxied_port: Some(443),
        ..HTTP
    };
    let proxied_plain = ConnectionInfo {
        proxied_port: Some(1234),
        ..HTTP
    };
    for (connection, expected) in [
        (https, "10.0.0.1 https://-:443"),
        (any_port, "10.0.0.1 https://-:443"),
        (custom_http, "10.0.0.1 http://-:8080"),
        (proxied_tls, "10.0.0.1 https://-:443"),
        (proxied_plain, "10.0.0.1 http://-:1234"),
    ] {
        assert_eq!(
            show(&connection.client(&none, &HeaderMap::new(), None)),
            expected
        );
    }
    let trust = ForwardedTrust {
        use_forwarded_headers: true,
        ..ForwardedTrust::default()
    };
    let plain = headers(&[("x-forwarded-proto", "http")]);
    assert_eq!(
        proxied_tls.client(&trust, &plain, None).scheme,
        Scheme::Https,
        "port 443 of a PROXY header overrides the scheme"
    );
}

#[test]
fn the_client_is_the_rightmost_untrusted() {
    let inside = trust(&["10.0.0.0/8"]);
    let all = trust(&["0.0.0.0/0"]);
    let none = trust(&["192.168.0.0/16"]);
    let cases: &[(&ForwardedTrust, &[&'static str], &str)] = &[
        (&inside, &[], "10.0.0.1"),
        (&inside, &["6.6.6.6"], "6.6.6.6"),
        (&inside, &["1.1.1.1, 6.6.6.6, 10.2.2.2"], "6.6.6.6"),
        (&inside, &["1.1.1.1", "6.6.6.6, 10.2.2.2"], "6.6.6.6"),
        (&inside, &["10.3.3.3, 10.2.2.2"], "10.3.3.3"),
        (&all, &["1.1.1.1, 6.6.6.6, 10.2.2.2"], "1.1.1.1"),
        (&none, &["6.6.6.6"], "10.0.0.1"),
        (&inside, &["1.1.1.1, unknown, 10.2.2.2"], "10.2.2.2"),
        (&inside, &["6.6.6.6:1234"], "6.6.6.6"),
        (&inside, &["[2001:db8::1]:443"], "2001:db8::1"),
        (&inside, &["[2001:db8::1]"], "10.0.0.1"),
        (&inside, &["2001:db8::1"], "2001:db8::1"),
        (&inside, &["::ffff:6.6.6.6"], "6.6.6.6"),
        (&inside, &["6.6.6.6,"], "6.6.6.6"),
    ];
    for (trust, lines, expected) in cases {
        let mut map = HeaderMap::new();
        for line in *lines {
            map.append("x-forwarded-for", HeaderValue::from_static(line));
        }
        let trust = ForwardedTrust {
            real_ip: true,
            ..(*trust).clone()
        };
        assert_eq!(
            HTTP.client(&trust, &map, None).address.to_string(),
            *expected,
            "{lines:?}"
        );
    }
}

#[test]
fn after_a_proxy_header_only_use_forwarded_headers_overrides_the_client() {
    let lines = headers(&[("x-forwarded-for", "6.6.6.6")]);
    let base = ForwardedTrust {
        proxy_protocol: true,
        real_ip: true,
        ..ForwardedTrust::default()
    };
    assert_eq!(
        HTTP.client(&base, &lines, None).address.to_string(),
        "10.0.0.1"
    );
    let both = ForwardedTrust {
        use_forwarded_headers: true,
        ..base
    };
    assert_eq!(
        HTTP.client(&both, &lines, None).address.to_string(),
        "6.6.6.6"
    );
}

#[test]
fn a_mapped_peer_is_ipv4() {
    let connection = ConnectionInfo {
        peer: "[::ffff:10.0.0.9]:1".parse().unwrap(),
        ..HTTP
    };
    assert_eq!(
        connection
            .client(&ForwardedTrust::default(), &HeaderMap::new(), None)
            .address
            .to_string(),
        "10.0.0.9"
    );
}

#[test]
fn lists_over_several_lines_are_one() {
    let name = HeaderName::from_static("x-forwarded-for");
    let mut map = HeaderMap::new();
    assert_eq!(listed(&map, &name), None);
    map.append(&name, HeaderValue::from_static("a, b"));
    assert_eq!(listed(&map, &name).unwrap(), "a, b");
    map.append(&name, HeaderValue::from_static("c"));
    assert_eq!(listed(&map, &name).unwrap(), "a, b, c");
}

/// Each line is a field, or a network that is trusted.
fn is_a_client(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let mut fields = HeaderMap::new();
    let mut nets = Vec::new();
    for line in text.lines() {
        match line.split_once(": ") {
            Some((name, value)) => {
                let name = HeaderName::try_from(name);
                let value = HeaderValue::try_from(value);
                if let (Ok(name), Ok(value)) = (name, value) {
                    fields.append(name, value);
                }
            }
            None if line.parse::<ipnet::IpNet>().is_ok() => nets.push(line),
            None => {}
        }
    }
    let host = HeaderValue::from_static("a.test");
    for use_forwarded_headers in [false, true] {
        let trust = ForwardedTrust {
            use_forwarded_headers,
            ..trust(&nets)
        };
        let client = HTTP.client(&trust, &fields, Some(&host));
        let peer = HTTP.peer.ip();
        let list = listed(&fields, &trust.for_header);
        let list = list.as_ref().map_or(&b""[..], HeaderValue::as_bytes);
        let is_listed = list.split(|byte| *byte == b',').any(|entry| {
            address(entry.trim_ascii())
                .is_some_and(|address| address.to_canonical() == client.address)
        });
        assert!(client.address == peer || (use_forwarded_headers && is_listed));
        assert_eq!(client.address, client.address.to_canonical());
        assert!(Authority::parse(client.host.unwrap().as_bytes()).is_some());
        assert_ne!(client.port, 0);
        if !use_forwarded_headers {
            assert_eq!((client.scheme, client.port), (Scheme::Http, 80));
        }
    }
}

#[test]
fn fuzz_forwarded() {
    headgate_fuzz::check("forwarded", is_a_client);
}
