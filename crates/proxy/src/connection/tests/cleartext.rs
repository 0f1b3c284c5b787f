//! The first bytes of connections without TLS: PROXY headers and the choice of protocol.

use headgate_table::IpSet;
use tokio::time::Instant;

use super::*;

fn proxied(trusted: &str) -> Settings {
    let mut settings = Settings::default();
    settings.forwarded.proxy_protocol = true;
    settings.forwarded.trusted = IpSet::new([trusted.parse().unwrap()]);
    settings
}

const V1: &str = "PROXY TCP4 203.0.113.9 192.0.2.1 5000 80\r\n";

#[tokio::test(start_paused = true)]
async fn a_proxy_header_names_the_client_of_a_trusted_sender() {
    locally(async {
        let request = format!("{V1}{}", get("/facts"));
        let trusted = Fixture::new(proxied("127.0.0.0/8"))
            .exchange(HTTP, &request)
            .await;
        assert!(
            trusted.ends_with("HTTP/1.1 - - 203.0.113.9:5000 #1"),
            "{trusted}"
        );
        let untrusted = Fixture::new(proxied("10.0.0.0/8"))
            .exchange(HTTP, &request)
            .await;
        assert!(untrusted.ends_with("HTTP/1.1 - - - #1"), "{untrusted}");

        let v2 = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xcb\0\x71\x09\xc0\0\x02\x01\x13\x88\0\x50";
        let request = [&v2[..], get("/facts").as_bytes()].concat();
        let text = Fixture::new(proxied("127.0.0.0/8"))
            .exchange(HTTP, &request)
            .await;
        assert!(text.ends_with("HTTP/1.1 - - 203.0.113.9:5000 #1"), "{text}");
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_proxy_header_is_required_if_and_only_if_configured() {
    locally(async {
        let fixture = Fixture::new(proxied("0.0.0.0/0"));
        let begin = Instant::now();
        assert_eq!(fixture.exchange(HTTP, get("/facts")).await, "");
        assert_eq!(begin.elapsed().as_secs(), 0);
        assert_eq!(fixture.exchange(HTTP, &V1[..20]).await, "");
        assert_eq!(begin.elapsed().as_secs(), 5, "its own deadline");
        let text = Fixture::new(Settings::default())
            .exchange(HTTP, format!("{V1}{}", get("/")))
            .await;
        assert_eq!(statuses(&text), [400]);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn http2_is_detected_by_its_preface() {
    locally(async {
        // An empty SETTINGS frame follows; an HTTP/2 server sends its own SETTINGS first.
        let hello = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
        let settings_frame = |bytes: &[u8]| bytes.len() > 9 && bytes[3..5] == [4, 0];
        for size in [1, 3, hello.len()] {
            let mut client = Fixture::new(Settings::default()).connect(HTTP);
            for piece in hello.chunks(size) {
                client.write_all(piece).await.unwrap();
                tokio::task::yield_now().await;
            }
            let mut bytes = [0; 32];
            let n = client.read(&mut bytes).await.unwrap();
            assert!(settings_frame(&bytes[..n]), "in pieces of {size}");
        }

        let begin = Instant::now();
        assert_eq!(
            Fixture::new(Settings::default())
                .exchange(HTTP, "PRI * HT")
                .await,
            ""
        );
        assert_eq!(begin.elapsed().as_secs(), 10, "half a preface");
        assert_eq!(
            statuses(
                &Fixture::new(Settings::default())
                    .exchange(HTTP, get("/x"))
                    .await
            ),
            [200]
        );
        let almost = "PRI * HTTP/1.1\r\nHost: a.example\r\n\r\n";
        assert_eq!(
            statuses(
                &Fixture::new(Settings::default())
                    .exchange(HTTP, almost)
                    .await
            )
            .len(),
            1
        );

        let without = Settings {
            http2: false,
            ..Settings::default()
        };
        let mut client = Fixture::new(without).connect(HTTP);
        client.write_all(hello).await.unwrap();
        let mut bytes = Vec::new();
        client.read_to_end(&mut bytes).await.unwrap();
        assert!(!settings_frame(&bytes), "HTTP/2 is off");
    })
    .await;
}

#[tokio::test]
async fn permits_are_returned() {
    locally(async {
        let fixture = Fixture::new(Settings::default());
        let process = &fixture.context.process;
        let (first, second) = (process.permit(0, 2), process.permit(0, 2));
        assert!(first.is_some() && second.is_some() && process.permit(0, 2).is_none());
        drop(first);
        assert!(process.permit(0, 2).is_some());
    })
    .await;
}
