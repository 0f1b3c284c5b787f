//! Sessions and retries of requests to Services: XBackendTrafficPolicies.

use std::time::Duration;

use headgate_table::{RetryRate, UpstreamKey};

use super::*;
use crate::gateway::ParentStatus;

impl Cluster {
    fn traffic(&mut self, name: &str, services: &[&str], spec: Value) {
        let targets = services.iter();
        let targets: Vec<Value> = targets
            .map(|name| json!({ "group": "", "kind": "Service", "name": name }))
            .collect();
        let mut spec = spec;
        spec["targetRefs"] = targets.into();
        self.apply(json!({
            "kind": "XBackendTrafficPolicy",
            "metadata": { "name": name, "namespace": "infra", "generation": 7 },
            "spec": spec,
        }));
    }

    /// Each ancestor with its conditions.
    fn traffic_status(&self, name: &str) -> Vec<String> {
        let object = ObjectRef {
            kind: Kind::BackendTrafficPolicy,
            name: Name::new("infra", name),
        };
        let statuses = self.compiled.as_ref().unwrap().gateway_statuses();
        let Some(status) = statuses.get(&object) else {
            return Vec::new();
        };
        assert_eq!(status.generation, 7);
        let StatusBody::Policy { ancestors } = &status.body else {
            unreachable!("{status:?}");
        };
        let shown = |one: &ParentStatus| format!("{} {}", one.parent.name, shown(&one.conditions));
        ancestors.iter().map(shown).collect()
    }

    /// The bound on the retries to port 8080 of a Service.
    fn retry_rate(&self, service: &str) -> Option<RetryRate> {
        let table = &self.compiled.as_ref().unwrap().table();
        let key = format!("infra/{service}/8080 gateway");
        table
            .upstream(&UpstreamKey::new(key))
            .unwrap()
            .resilience
            .retry_rate
    }
}

fn cluster() -> Cluster {
    let mut cluster = Cluster::new();
    cluster.gateway(
        "same",
        json!({ "listeners": [{ "name": "http", "port": 8080, "protocol": "HTTP" }] }),
    );
    cluster.route(
        "r",
        json!({ "parentRefs": [{ "name": "same" }], "rules": [
            { "matches": [{ "path": { "value": "/own" } }], "backendRefs": [backend("v1")],
              "sessionPersistence": { "sessionName": "own" } },
            { "matches": [{ "path": { "value": "/both" } }], "backendRefs": [backend("v2"), backend("v1")] },
            { "matches": [{ "path": { "value": "/" } }], "backendRefs": [backend("v2")] },
        ] }),
    );
    cluster
}

fn session(name: &str) -> Value {
    json!({ "sessionPersistence": { "sessionName": name } })
}

#[test]
fn a_policy_has_sessions_for_rules_without_one() {
    let mut cluster = cluster();
    let sessions = |cluster: &mut Cluster| {
        let shown = cluster.compile();
        let lines = shown.lines().filter(|line| line.contains("prefix"));
        let session = |line: &str| Some(line.split_once("session by cookie ")?.1.to_owned());
        let sessions: Vec<Option<String>> = lines.map(session).collect();
        sessions
    };
    let some = |name: &str| Some(format!("{name}]"));
    assert_eq!(sessions(&mut cluster), [None, some("own"), None]);
    cluster.traffic("a", &["v1"], session("a"));
    assert_eq!(sessions(&mut cluster), [some("a"), some("own"), None]);
    // The older one applies.
    cluster.traffic("b", &["v1", "v2"], session("b"));
    assert_eq!(sessions(&mut cluster), [some("b"), some("own"), some("b")]);
    assert_eq!(cluster.traffic_status("a"), ["same Accepted"]);
    assert_eq!(cluster.traffic_status("b"), ["same Accepted"]);
    cluster.traffic("b", &["v1"], session("b"));
    assert_eq!(sessions(&mut cluster), [some("a"), some("own"), None]);
    assert_eq!(cluster.traffic_status("b"), ["same Accepted=Conflicted"]);
    cluster.delete(Kind::BackendTrafficPolicy, "infra/a");
    assert_eq!(sessions(&mut cluster), [some("b"), some("own"), None]);
    assert_eq!(cluster.traffic_status("b"), ["same Accepted"]);
    // No route reaches it.
    cluster.traffic("b", &["v3", "gone"], session("b"));
    assert_eq!(sessions(&mut cluster), [None, some("own"), None]);
    assert!(cluster.traffic_status("b").is_empty());
}

#[test]
fn a_policy_bounds_retries() {
    let mut cluster = cluster();
    cluster.compile();
    assert_eq!(cluster.retry_rate("v1"), None);
    cluster.traffic("a", &["v1"], json!({ "retryConstraint": {} }));
    cluster.compile();
    let second = Duration::from_secs(1);
    let defaults = RetryRate {
        percent: 20,
        interval: 10 * second,
        minimum: 10,
        per: second,
    };
    assert_eq!(cluster.retry_rate("v1"), Some(defaults));
    assert_eq!(cluster.retry_rate("v2"), None);
    cluster.traffic(
        "a",
        &["v1"],
        json!({ "retryConstraint": {
            "budget": { "percent": 0, "interval": "1m" }, "minRetryRate": { "count": 5, "interval": "500ms" },
        } }),
    );
    cluster.compile();
    let own = RetryRate {
        percent: 0,
        interval: 60 * second,
        minimum: 5,
        per: second / 2,
    };
    assert_eq!(cluster.retry_rate("v1"), Some(own));
    cluster.delete(Kind::BackendTrafficPolicy, "infra/a");
    cluster.compile();
    assert_eq!(cluster.retry_rate("v1"), None);
}

#[test]
fn a_policy_that_cannot_be_applied_has_no_effect() {
    let mut cluster = cluster();
    for spec in [
        json!({ "retryConstraint": { "budget": { "percent": 101 } } }),
        json!({ "retryConstraint": { "budget": { "interval": "500ms" } } }),
        json!({ "retryConstraint": { "budget": { "interval": "soon" } } }),
        json!({ "retryConstraint": { "minRetryRate": { "count": 0 } } }),
        json!({ "retryConstraint": { "minRetryRate": { "interval": "0s" } } }),
        json!({ "retryConstraint": {}, "sessionPersistence": { "type": "Other" } }),
    ] {
        cluster.traffic("a", &["v1"], spec.clone());
        let shown = cluster.compile();
        assert!(!shown.contains("closed"), "{shown}");
        assert_eq!(cluster.retry_rate("v1"), None, "{spec}");
        assert_eq!(
            cluster.traffic_status("a"),
            ["same Accepted=Invalid"],
            "{spec}"
        );
    }
}
