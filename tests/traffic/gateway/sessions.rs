//! Session persistence of rules.

use std::collections::BTreeSet;

use headgate_testkit::{Echo, Response};
use serde_json::{Value, json};

use super::setup::{Cluster, Running, prefix, weighted};

/// Rules `/a` and `/b` with these sessions and weights, in a cluster that has `v1` and `v2`.
fn with_rules(cluster: &Cluster, session: &Value, weights: [u32; 2]) -> Cluster {
    let rule = |path: &str| {
        json!({
            "matches": [prefix(path)],
            "backendRefs": [weighted("v1", weights[0]), weighted("v2", weights[1])],
            "sessionPersistence": session,
        })
    };
    let rules = json!([rule("/a"), rule("/b")]);
    cluster.clone().route("r", rules)
}

/// The name and value of a cookie that a response sets, without its attributes.
fn cookie(response: &Response) -> Option<String> {
    let set = response.field("set-cookie")?;
    Some(set.split(';').next().unwrap().to_owned())
}

/// Who serves requests without a session, and what one of them gets.
fn new_clients(running: &Running) -> BTreeSet<String> {
    let names = (0..40).map(|_| running.send("/a").is(200).echo().name().to_owned());
    names.collect()
}

#[test]
fn a_client_with_a_cookie_stays_with_its_endpoint_also_without_a_weight() {
    let [v1, v2] = ["v1", "v2"].map(Echo::start);
    let session = json!({ "sessionName": "s", "absoluteTimeout": "1h", "cookieConfig": { "lifetimeType": "Permanent" } });
    let cluster = Cluster::simple(&[&v1, &v2]);
    let running = with_rules(&cluster, &session, [1, 1]).start();
    let first = running.send("/a").is(200);
    let attributes = first.field("set-cookie").unwrap();
    assert!(
        attributes.ends_with("; Path=/a; Max-Age=3600; HttpOnly"),
        "{attributes}"
    );
    let (own, cookie_of_first) = (first.echo().name().to_owned(), cookie(&first).unwrap());
    let request = format!("/a/more Cookie={cookie_of_first}");
    let address = if own == "v1" {
        v1.address()
    } else {
        v2.address()
    };
    assert!(!cookie_of_first.contains(&address.port().to_string()));
    for _ in 0..20 {
        let response = running.send(&request).is(200).has("set-cookie", None);
        assert_eq!(response.echo().name(), own);
    }
    assert_eq!(new_clients(&running).len(), 2);
    // Its backend gets no new clients any more.
    let weights = if own == "v1" { [0, 1] } else { [1, 0] };
    with_rules(&cluster, &session, weights).replace(&running);
    assert!(!new_clients(&running).contains(&own));
    for _ in 0..5 {
        assert_eq!(running.send(&request).is(200).echo().name(), own);
    }
    // Another rule does not know the session, nor does a client get to an endpoint by a token that it has made up.
    let other = running
        .send(&format!("/b Cookie={cookie_of_first}"))
        .is(200);
    assert!(cookie(&other).is_some());
    let forged = running
        .send("/a Cookie=s=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")
        .is(200);
    assert!(cookie(&forged).is_some());
}

#[test]
fn a_session_whose_endpoint_is_gone_begins_anew() {
    let [v1, v2] = ["v1", "v2"].map(Echo::start);
    let session = json!({ "type": "Header", "sessionName": "X-Session" });
    let cluster = Cluster::simple(&[&v1, &v2]);
    let running = with_rules(&cluster, &session, [1, 0]).start();
    let first = running.send("/a").is(200);
    let token = first.field("x-session").unwrap().to_owned();
    let request = format!("/a X-Session={token}");
    running.send(&request).is(200).has("x-session", None);
    let without = cluster.route("r", json!([{
        "matches": [prefix("/a")], "backendRefs": [weighted("v2", 1)], "sessionPersistence": session,
    }]));
    without.replace(&running);
    let response = running.send(&request).is(200);
    assert_eq!(response.echo().name(), "v2");
    let next = response.field("x-session").unwrap();
    assert_ne!(next, token);
    let again = running.send(&format!("/a X-Session={next}")).is(200);
    assert_eq!(again.has("x-session", None).echo().name(), "v2");
}
