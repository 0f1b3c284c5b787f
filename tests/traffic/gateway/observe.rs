//! What metrics, the access log and `/debug/table` say of routes.

use headgate_testkit::{Echo, wait};
use serde_json::{Value, json};

use super::setup::{Cluster, prefix, weighted};

const REQUESTS: &str = "nginx_ingress_controller_requests";

#[test]
fn log_and_metrics_name_the_route_and_the_backend_that_serves() {
    let [v1, v2, v3] = ["v1", "v2", "v3"].map(Echo::start);
    let split = [weighted("v1", 0), weighted("v2", 1), weighted("v3", 1)];
    let rules = json!([{ "name": "split", "matches": [prefix("/split")], "backendRefs": split }]);
    let format = "$namespace/$ingress_name $service_name:$service_port $proxy_upstream_name \
        [$proxy_alternative_upstream_name] $request_uri";
    let running = Cluster::simple(&[&v1, &v2, &v3])
        .settings(&[("log-format-upstream", format)])
        .route("web", rules)
        .start();
    let mut served = [0.0, 0.0];
    for number in 0..24 {
        let path = format!("/split/{number}");
        let response = running.send(&path).is(200);
        let is_other = response.echo().name() == "v3";
        served[usize::from(is_other)] += 1.0;
        let end = format!(" {path}");
        let line = running
            .program
            .until_access_log(&path, |line| line.ends_with(&end));
        // The first Service with a weight is that of the rule, as that of a path is; the others are as its canaries.
        let upstream = match is_other {
            true => "shop-v3-80 [shop-v3-80]",
            false => "shop-v2-80 []",
        };
        assert_eq!(line, format!("shop/web v2:80 {upstream} {path}"));
    }
    let counted = |canary: &str| {
        let canary = format!("canary=\"{canary}\"");
        let route = [
            r#"namespace="shop""#,
            r#"ingress="web""#,
            r#"service="v2""#,
            r#"path="/split""#,
        ];
        let labels: Vec<&str> = route.into_iter().chain([&*canary]).collect();
        running.program.metric(REQUESTS, &labels)
    };
    wait::until("all requests", || {
        ([counted(""), counted("shop-v3-80")] == served).then_some(())
    });
    assert!(served.iter().all(|share| *share > 0.0), "{served:?}");
}

#[test]
fn the_table_names_routes_and_rules() {
    let v1 = Echo::start("v1");
    let rules = json!([
        { "matches": [prefix("/a")], "backendRefs": [weighted("v1", 1)] },
        { "name": "named", "matches": [prefix("/b")], "backendRefs": [weighted("v1", 1)] },
    ]);
    let running = Cluster::simple(&[&v1]).route("web", rules).start();
    let table = running.program.table();
    let hosts = table["hosts"].as_array().unwrap().iter();
    let routes = hosts.flat_map(|host| host["routes"].as_array().into_iter().flatten());
    let of_route = routes.filter(|route| route["object"] == "HTTPRoute");
    let shown: Vec<[&Value; 5]> = of_route
        .map(|route| ["path", "namespace", "name", "rule", "service"].map(|field| &route[field]))
        .collect();
    let expected = json!([
        ["/a", "shop", "web", "spec.rules[0]", "v1"],
        ["/b", "shop", "web", "spec.rules[1] (named)", "v1"],
    ]);
    assert_eq!(json!(shown), expected, "{table:#}");
}
