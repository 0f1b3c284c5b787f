//! What the chart's roles allow is enough and no more: each case of them is enforced while everything is done that its flags
//! ask for.

use std::collections::BTreeSet;

use headgate_apiserver::{Options, Use};
use headgate_testkit::{Authority, Program, Request, Tls, manifest, wait};
use serde_json::{Value, json};

use super::admission::{self, ADMISSION};
use super::place::{LEASE, Place, namespace_object, until_leader};
use super::rights;
use super::status::{node, pod, until_addresses};
use super::support::{backend, ingress, stop};

/// A permission that a role grants.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Grant {
    /// Empty: in all namespaces.
    namespace: String,
    group: String,
    resource: String,
    verb: String,
    /// Empty: of any name.
    name: String,
}

impl Grant {
    fn covers(&self, used: &Use) -> bool {
        let is = |granted: &str, used: &str| granted.is_empty() || granted == used;
        self.group == used.group
            && self.resource == used.resource
            && self.verb == used.verb
            && is(&self.namespace, &used.namespace)
            && is(&self.name, &used.name)
    }
}

#[test]
fn the_rights_everywhere_are_enough_and_no_more() {
    enough_and_no_more(|_| Vec::new());
}

#[test]
fn the_rights_in_one_namespace_are_enough_and_no_more() {
    enough_and_no_more(|place| vec![format!("--watch-namespace={}", place.shop())]);
}

#[test]
fn the_rights_in_selected_namespaces_are_enough_and_no_more() {
    enough_and_no_more(|_| vec!["--watch-namespace-selector=team=shop".to_owned()]);
}

#[test]
fn the_rights_to_tell_addresses_of_nodes_are_enough_and_no_more() {
    enough_and_no_more(|_| vec!["--report-node-internal-ip-address=false".to_owned()]);
}

/// Lives with these flags. That nothing is denied, the place itself asserts.
fn enough_and_no_more(flags: impl Fn(&Place) -> Vec<String>) {
    let mut unused: Option<BTreeSet<Grant>> = None;
    // With and without streaming lists: with them nothing is ever listed.
    for streaming_lists in [true, false] {
        let place = Place::with(Options {
            streaming_lists,
            ..Options::default()
        });
        let lived = Lived {
            flags: flags(&place),
            place: &place,
        };
        lived.live();
        if place.is_given() {
            // It has streaming lists or not.
            return;
        }
        let used = lived.used();
        let is_used = |grant: &Grant| used.iter().any(|used| grant.covers(used));
        let still = unused.unwrap_or_else(|| lived.grants());
        unused = Some(still.into_iter().filter(|grant| !is_used(grant)).collect());
    }
    let unused = unused.unwrap_or_default();
    assert!(unused.is_empty(), "granted in vain: {unused:#?}");
}

/// A life with some flags.
struct Lived<'a> {
    place: &'a Place,
    flags: Vec<String>,
}

impl Lived<'_> {
    fn replica(&self, pod: &str) -> Program {
        let mut flags = self.flags.clone();
        flags.extend(admission::managed(self.place));
        flags.push("--election-ttl=3s".to_owned());
        let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
        let program = self.place.replica(pod, &flags);
        program.until_ready();
        program
    }

    /// Everything that the flags ask for happens.
    fn live(&self) {
        let place = self.place;
        place.replace(namespace_object(&place.shop(), &json!({"team": "shop"})));
        place.create(admission::configuration(place));
        let told = self.addresses();
        let program = self.replica("headgate-0");
        // From now on the webhook is asked about every Ingress.
        admission::until_bundle(place);
        admission::route(place, admission::webhook(&program));
        let web = place.echo("web");
        place.load(backend("web", &[web.address()]));
        let issued = Authority::new().issue(&["a.test"]);
        place.create(manifest::tls_secret("cert", &issued));
        let secure = manifest::Ingress::new("web");
        place.create(secure.tls(&["a.test"], "cert").path("/", "web").object());
        wait::until("TLS", || {
            let request = Request::get("/").over(&Tls::name("a.test"));
            let answer = request.try_send(program.https()).ok()?;
            (answer.status == 200).then_some(())
        });
        // Statuses are written, and withdrawn from who leaves.
        until_addresses(place, "web", &[told]);
        place.create(ingress("leaving", "leaving.test", "web"));
        until_addresses(place, "leaving", &[told]);
        place.modify("Ingress", "leaving", |ingress| {
            ingress["spec"]["ingressClassName"] = place.named("other").into();
        });
        until_addresses(place, "leaving", &[]);
        // Settings are read, and Events told once and again.
        program.change(|| {
            place.replace(place.settings(&[("hsts", "false")]));
        });
        for note in ["one", "two", "three"] {
            place.modify("Ingress", "web", |ingress| {
                ingress["metadata"]["annotations"]["example.com/note"] = note.into();
            });
        }
        place
            .api
            .wait_for_request(|request| request.verb == "patch" && request.resource == "events");
        let same = ingress("same", "a.test", "web");
        place.ask("POST", "", &same).is(400);
        // The lease is made again; another replica takes it over when the first one gives it back.
        place.api.delete("Lease", &place.home(), LEASE);
        until_leader(place, "headgate-0");
        // A Secret that holds nothing of use is filled again.
        place
            .api
            .modify("Secret", &place.home(), ADMISSION, |secret| {
                secret["data"] = json!({});
            });
        let second = self.replica("headgate-1");
        place
            .api
            .until("Secret", &place.home(), ADMISSION, |secret| {
                secret["data"]["tls.crt"].is_string()
            });
        admission::route(place, admission::webhook(&second));
        stop(&program);
        until_leader(place, "headgate-1");
        place.api.delete("Pod", &place.home(), "headgate-0");
        stop(&second);
        // The last one has cleared the statuses.
        until_addresses(place, "web", &[]);
        for program in [&program, &second] {
            let told = program.stderr();
            let denied = told.iter().find(|line| line.contains("forbidden"));
            assert_eq!(denied, None);
        }
    }

    /// Makes what addresses are read from; the address.
    fn addresses(&self) -> &'static str {
        let place = self.place;
        let told = "192.0.2.1";
        place.replace(place.entry(
            json!({"type": "LoadBalancer"}),
            json!({"loadBalancer": {"ingress": [{"ip": told}]}}),
        ));
        place.create(node("one", &[("ExternalIP", told)]));
        for name in ["headgate-0", "headgate-1"] {
            place.create(pod(place, name, "one", true));
        }
        told
    }

    /// Permissions that the account used.
    fn used(&self) -> Vec<Use> {
        let place = self.place;
        let user = place.user(&self.account());
        let used = place
            .api
            .used()
            .into_iter()
            .filter(|used| used.user == user);
        used.map(|used| Use {
            namespace: place.plain(&used.namespace),
            name: place.plain(&used.name),
            ..used
        })
        .collect()
    }

    fn account(&self) -> String {
        let flags: Vec<&str> = self.flags.iter().map(String::as_str).collect();
        rights::account("headgate", &flags)
    }

    /// What the account's roles grant.
    fn grants(&self) -> BTreeSet<Grant> {
        let place = self.place;
        let mut grants = BTreeSet::new();
        for kind in ["Role", "ClusterRole"] {
            for role in place.api.list(kind) {
                let metadata = &role["metadata"];
                let name = metadata["name"].as_str().unwrap();
                if !name.ends_with(&self.account()) {
                    continue;
                }
                let namespace = place.plain(metadata["namespace"].as_str().unwrap_or_default());
                for rule in role["rules"].as_array().into_iter().flatten() {
                    grants.extend(granted(place, rule, &namespace));
                }
            }
        }
        assert!(!grants.is_empty(), "{} has no roles", self.account());
        grants
    }
}

fn granted(place: &Place, rule: &Value, namespace: &str) -> Vec<Grant> {
    let texts = |field: &str| -> Vec<String> {
        let texts = rule[field].as_array().into_iter().flatten();
        texts
            .map(|text| place.plain(text.as_str().unwrap()))
            .collect()
    };
    let mut names = texts("resourceNames");
    if names.is_empty() {
        names.push(String::new());
    }
    let mut grants = Vec::new();
    for group in texts("apiGroups") {
        for resource in texts("resources") {
            for verb in texts("verbs") {
                for name in &names {
                    grants.push(Grant {
                        namespace: namespace.to_owned(),
                        group: group.clone(),
                        resource: resource.clone(),
                        verb: verb.clone(),
                        name: name.clone(),
                    });
                }
            }
        }
    }
    grants
}
