//! The chart's roles are sufficient and minimal: RBAC is enforced with each set of roles while the controller performs every
//! action that its flags enable.

use std::collections::BTreeSet;

use headgate_apiserver::{Options, UsedPermission};
use headgate_testkit::{Authority, Program, Request, Tls, manifest, wait};
use serde_json::{Value, json};

use super::admission::{self, ADMISSION};
use super::gateway_permissions;
use super::roles;
use super::status::{node, pod, until_addresses};
use super::support::{backend, ingress, stop, until_metric};
use super::testenv::{LEASE, TestEnv, namespace_object, real_cluster, until_leader};

/// A permission that a role grants.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Grant {
    /// Empty: all namespaces.
    namespace: String,
    group: String,
    resource: String,
    verb: String,
    /// Empty: any name.
    name: String,
}

impl Grant {
    fn covers(&self, used: &UsedPermission) -> bool {
        let is = |granted: &str, used: &str| granted.is_empty() || granted == used;
        self.group == used.group
            && self.resource == used.resource
            && self.verb == used.verb
            && is(&self.namespace, &used.namespace)
            && is(&self.name, &used.name)
    }
}

#[test]
fn the_roles_for_all_namespaces_are_sufficient_and_minimal() {
    check_roles(|_| Vec::new());
}

#[test]
fn the_roles_for_one_namespace_are_sufficient_and_minimal() {
    check_roles(|env| vec![format!("--watch-namespace={}", env.namespace())]);
}

#[test]
fn the_roles_for_selected_namespaces_are_sufficient_and_minimal() {
    check_roles(|_| vec!["--watch-namespace-selector=team=shop".to_owned()]);
}

#[test]
fn the_roles_for_node_addresses_are_sufficient_and_minimal() {
    check_roles(|_| vec!["--report-node-internal-ip-address=false".to_owned()]);
}

#[test]
fn the_roles_for_the_gateway_api_are_sufficient_and_minimal() {
    // Tests cannot share the CRDs of a real cluster.
    if real_cluster().is_none() {
        check_roles(|_| gateway_permissions::FLAGS.map(str::to_owned).to_vec());
    }
}

/// Runs controllers with these flags. [`TestEnv`] asserts that no request is denied.
fn check_roles(flags: impl Fn(&TestEnv) -> Vec<String>) {
    let mut unused: Option<BTreeSet<Grant>> = None;
    // With and without streaming lists: with them the controller never lists.
    for streaming_lists in [true, false] {
        let env = TestEnv::with(Options {
            streaming_lists,
            ..Options::default()
        });
        let run = Run {
            flags: flags(&env),
            env: &env,
        };
        run.execute();
        if env.is_real_cluster() {
            // Its streaming lists are not configurable here, and it reports no unused rules.
            return;
        }
        let used = run.used();
        let is_used = |grant: &Grant| used.iter().any(|used| grant.covers(used));
        let remaining = unused.unwrap_or_else(|| run.grants());
        unused = Some(
            remaining
                .into_iter()
                .filter(|grant| !is_used(grant))
                .collect(),
        );
    }
    let unused = unused.unwrap_or_default();
    assert!(unused.is_empty(), "granted and not used: {unused:#?}");
}

/// A run of controllers with some flags.
struct Run<'a> {
    env: &'a TestEnv,
    flags: Vec<String>,
}

impl Run<'_> {
    fn replica(&self, pod: &str) -> Program {
        let mut flags = self.flags.clone();
        flags.extend(admission::managed(self.env));
        flags.push("--election-ttl=3s".to_owned());
        let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
        let program = self.env.replica(pod, &flags);
        program.until_ready();
        program
    }

    /// Performs every action that the flags enable.
    fn execute(&self) {
        let env = self.env;
        env.replace(namespace_object(&env.namespace(), &json!({"team": "shop"})));
        env.create(admission::configuration(env));
        let address = self.addresses();
        let program = self.replica("headgate-0");
        // From here on the webhook reviews every Ingress.
        admission::until_bundle(env);
        admission::route(env, program.webhook());
        let web = env.start_echo("web");
        env.load(backend("web", &[web.address()]));
        let issued = Authority::new().issue(&["a.test"]);
        env.create(manifest::tls_secret("cert", &issued));
        let secure = manifest::Ingress::new("web");
        env.create(secure.tls(&["a.test"], "cert").path("/", "web").object());
        wait::until("TLS", || {
            let request = Request::get("/").over(&Tls::name("a.test"));
            let response = request.try_send(program.https()).ok()?;
            (response.status == 200).then_some(())
        });
        // Statuses are written, and cleared when the class of an Ingress changes.
        until_addresses(env, "web", &[address]);
        env.create(ingress("released", "released.test", "web"));
        until_addresses(env, "released", &[address]);
        env.modify("Ingress", "released", |ingress| {
            ingress["spec"]["ingressClassName"] = env.scoped("other").into();
        });
        until_addresses(env, "released", &[]);
        // Settings are read, and Events created and repeated.
        for hsts in ["false", "true", "false"] {
            program.change(|| {
                env.replace(env.settings(&[("hsts", hsts)]));
            });
        }
        for note in ["one", "two", "three"] {
            env.modify("Ingress", "web", |ingress| {
                ingress["metadata"]["annotations"]["example.com/note"] = note.into();
            });
        }
        for namespace in [env.namespace(), env.controller_namespace()] {
            env.api.wait_for_request(|request| {
                let is_event = request.verb == "patch" && request.resource == "events";
                is_event && request.namespace == namespace
            });
        }
        let same = ingress("same", "a.test", "web");
        env.send_ingress("POST", "", &same).is(400);
        if self.flags.iter().any(|flag| flag == "--enable-gateway-api") {
            gateway_permissions::exercise(env);
        }
        // The lease is recreated; the other replica acquires it when the first one releases it.
        env.api.delete("Lease", &env.controller_namespace(), LEASE);
        until_leader(env, "headgate-0");
        // An empty Secret is filled again.
        env.api
            .modify("Secret", &env.controller_namespace(), ADMISSION, |secret| {
                secret["data"] = json!({});
            });
        let second = self.replica("headgate-1");
        env.api
            .until("Secret", &env.controller_namespace(), ADMISSION, |secret| {
                secret["data"]["tls.crt"].is_string()
            });
        admission::route(env, second.webhook());
        stop(&program);
        until_leader(env, "headgate-1");
        // Only a replica that knows that it leads clears statuses when it stops: the lease is written before that.
        until_metric(
            &second,
            "nginx_ingress_controller_leader_election_status",
            &[],
            1.0,
        );
        env.api
            .delete("Pod", &env.controller_namespace(), "headgate-0");
        stop(&second);
        // The last one has cleared the statuses.
        until_addresses(env, "web", &[]);
        for program in [&program, &second] {
            let log = program.stderr();
            let denied = log.iter().find(|line| line.contains("forbidden"));
            assert_eq!(denied, None);
        }
    }

    /// Creates the objects that addresses are read from, and returns the address.
    fn addresses(&self) -> &'static str {
        let env = self.env;
        let address = "192.0.2.1";
        env.replace(env.publish_service(
            json!({"type": "LoadBalancer"}),
            json!({"loadBalancer": {"ingress": [{"ip": address}]}}),
        ));
        env.create(node("one", &[("ExternalIP", address)]));
        for name in ["headgate-0", "headgate-1"] {
            env.create(pod(env, name, "one", true));
        }
        address
    }

    /// Permissions that the account used.
    fn used(&self) -> Vec<UsedPermission> {
        let env = self.env;
        let user = env.user(&self.account());
        let used = env
            .api
            .used_permissions()
            .into_iter()
            .filter(|used| used.user == user);
        used.map(|used| UsedPermission {
            namespace: env.unscoped(&used.namespace),
            name: env.unscoped(&used.name),
            ..used
        })
        .collect()
    }

    fn account(&self) -> String {
        let flags: Vec<&str> = self.flags.iter().map(String::as_str).collect();
        roles::account("headgate", &flags)
    }

    /// Permissions that the account's roles grant.
    fn grants(&self) -> BTreeSet<Grant> {
        let env = self.env;
        let mut grants = BTreeSet::new();
        for kind in ["Role", "ClusterRole"] {
            for role in env.api.list(kind) {
                let metadata = &role["metadata"];
                let name = metadata["name"].as_str().unwrap();
                if !name.ends_with(&self.account()) {
                    continue;
                }
                let namespace = env.unscoped(metadata["namespace"].as_str().unwrap_or_default());
                for rule in role["rules"].as_array().into_iter().flatten() {
                    grants.extend(granted(env, rule, &namespace));
                }
            }
        }
        assert!(!grants.is_empty(), "{} has no roles", self.account());
        grants
    }
}

fn granted(env: &TestEnv, rule: &Value, namespace: &str) -> Vec<Grant> {
    let texts = |field: &str| -> Vec<String> {
        let texts = rule[field].as_array().into_iter().flatten();
        texts
            .map(|text| env.unscoped(text.as_str().unwrap()))
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
