//! Watching requests.

use super::*;
use crate::details::Details;

fn watched(name: &str) -> Details {
    Details {
        name: name.into(),
        is_watched: true,
        ..Details::default()
    }
}

/// Ends a request that is watched, with this target and status.
fn end(fixture: &Fixture, request: &Request, details: &Details, status: u16) {
    let mut seen = request.seen();
    (seen.details, seen.status) = (Some(details), status);
    fixture.telemetry.taps.offer(&seen);
}

#[tokio::test]
async fn requests_are_looked_at_only_while_somebody_watches() {
    let fixture = Fixture::new(&config());
    let now = Instant::now();
    assert!(!fixture.workers[0].watches(now));
    let tap = fixture.telemetry.tap(TapFilter::default()).unwrap();
    let looked_at = (0..1500).filter(|_| fixture.workers[0].watches(now));
    assert_eq!(looked_at.count(), 1000, "bounded by worker and second");
    assert!(fixture.workers[0].watches(now + Duration::from_secs(1)));
    drop(tap);
    assert!(!fixture.workers[1].watches(now));
}

#[tokio::test]
async fn queries_are_masked_unless_they_are_asked_for() {
    let fixture = Fixture::new(&config());
    let mut masked = fixture.telemetry.tap(TapFilter::default()).unwrap();
    let mut shown = fixture
        .telemetry
        .tap(TapFilter {
            show_query: true,
            ..TapFilter::default()
        })
        .unwrap();
    let request = Request {
        target: "/a?token=secret&flag&&x=".parse().unwrap(),
        ..Request::default()
    };
    end(&fixture, &request, &watched("www.example"), 200);
    let (first, lost) = masked.next().await.unwrap();
    assert_eq!((&*first.target, lost), ("/a?token=*&*&&x=*", 0));
    assert_eq!(first.authority, "www.example");
    assert_eq!(first.host.as_deref(), Some("shop.example"));
    let (first, _) = shown.next().await.unwrap();
    assert_eq!(first.target, "/a?token=secret&flag&&x=");
}

#[tokio::test]
async fn a_filter_selects_by_everything_that_is_set() {
    let fixture = Fixture::new(&config());
    let filter = TapFilter {
        host: "shop".to_owned(),
        path: "/a".to_owned(),
        status: Some(400..=499),
        clients: Some("127.0.0.0/8".parse().unwrap()),
        ..TapFilter::default()
    };
    let mut tap = fixture.telemetry.tap(filter.clone()).unwrap();
    let request = Request::default();
    end(&fixture, &request, &watched("shop.example"), 200);
    let other = Request {
        target: "/b".parse().unwrap(),
        ..Request::default()
    };
    end(&fixture, &other, &watched("shop.example"), 404);
    end(&fixture, &request, &watched("shop.example"), 404);
    let (only, lost) = tap.next().await.unwrap();
    assert_eq!((only.status, &*only.target, lost), (404, "/a?b=*", 0));
    let mut of_object = fixture
        .telemetry
        .tap(TapFilter {
            object: "web".to_owned(),
            ..TapFilter::default()
        })
        .unwrap();
    // Without a route, then with one.
    end(&fixture, &request, &watched("shop.example"), 404);
    let (route, mut seen) = (TestRoute::new("/a"), request.seen());
    seen.route = Some(route.labels());
    fixture.telemetry.taps.offer(&seen);
    let (found, _) = of_object.next().await.unwrap();
    assert_eq!(&*found.origin.unwrap().name, "web");
}

#[tokio::test]
async fn a_slow_reader_loses_requests_and_not_memory() {
    let fixture = Fixture::new(&config());
    let mut tap = fixture.telemetry.tap(TapFilter::default()).unwrap();
    let mut slow = fixture
        .telemetry
        .tap(TapFilter {
            rate: 10,
            ..TapFilter::default()
        })
        .unwrap();
    let request = Request::default();
    for second in 0..2 {
        let request = Request {
            end: request.end + Duration::from_secs(second),
            ..Request::default()
        };
        for _ in 0..300 {
            end(&fixture, &request, &watched("shop.example"), 200);
        }
    }
    // 200 of the first second, and what fits beside them into the queue.
    assert_eq!(tap.next().await.unwrap().1, 344);
    assert_eq!(slow.next().await.unwrap().1, 580);
    assert_eq!(slow.next().await.unwrap().1, 0, "they are told once");
}

#[test]
fn taps_are_bounded() {
    let fixture = Fixture::new(&config());
    let open: Vec<_> = (0..16)
        .map(|_| fixture.telemetry.tap(TapFilter::default()).unwrap())
        .collect();
    assert!(fixture.telemetry.tap(TapFilter::default()).is_err());
    drop(open);
    assert!(fixture.telemetry.tap(TapFilter::default()).is_ok());
}
