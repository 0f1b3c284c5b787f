//! What the installed role allows is enough and no more: the rules of `charts/manifests/headgate.yaml` are enforced while
//! everything is done that the arguments there ask for.

use std::collections::BTreeSet;

use headgate_testkit::kubernetes::{Options, Use};
use headgate_testkit::{ApiServer, Authority, Echo, Program, Request, manifest, wait};
use serde_json::{Value, json};

use super::support::{BINARY, SHOP, backend, ingress, until_status};

/// Where the manifest puts everything.
const NAMESPACE: &str = "headgate";
const ACCOUNT: &str = "system:serviceaccount:headgate:headgate";
const LEASE: &str = "headgate-leader";
const ADMISSION: &str = "headgate-admission";

/// A permission that the manifest grants.
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
fn the_role_is_enough_and_no_more() {
    let mut used = BTreeSet::new();
    // With and without streaming lists: with them nothing is ever listed.
    for streaming_lists in [true, false] {
        let api = ApiServer::start_with(Options {
            streaming_lists,
            ..Options::default()
        });
        let before = install(&api);
        live(&api);
        let ours = api.used().into_iter().filter(|used| used.user == ACCOUNT);
        used.extend(ours);
        assert_eq!(before, grants(&api), "the rules are the installed ones");
        let grants = grants(&api);
        let denied: Vec<&Use> = used
            .iter()
            .filter(|used| !grants.iter().any(|grant| grant.covers(used)))
            .collect();
        assert!(denied.is_empty(), "not granted: {denied:#?}");
    }
    let api = ApiServer::start();
    let unused: Vec<Grant> = install(&api)
        .into_iter()
        .filter(|grant| !used.iter().any(|used| grant.covers(used)))
        .collect();
    assert!(unused.is_empty(), "granted in vain: {unused:#?}");
}

fn text() -> String {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/charts/manifests/headgate.yaml"
    );
    std::fs::read_to_string(path).unwrap()
}

/// Installs the manifest, with what a cluster would add; what it grants.
fn install(api: &ApiServer) -> BTreeSet<Grant> {
    api.apply_yaml(&text());
    api.modify("Service", NAMESPACE, "headgate-controller", |service| {
        service["status"] = json!({"loadBalancer": {"ingress": [{"ip": "192.0.2.1"}]}});
    });
    let deployment = deployment(api);
    for name in ["headgate-0", "headgate-1"] {
        api.create(json!({"apiVersion": "v1", "kind": "Pod",
            "metadata": {"namespace": NAMESPACE, "name": name,
                "labels": deployment["spec"]["template"]["metadata"]["labels"]},
            "spec": deployment["spec"]["template"]["spec"],
            "status": {"phase": "Running"}}));
    }
    api.enforce_rbac(true);
    grants(api)
}

fn deployment(api: &ApiServer) -> Value {
    api.get("Deployment", NAMESPACE, "headgate-controller")
        .unwrap()
}

/// A replica with the arguments of the manifest, but for its ports.
fn replica(api: &ApiServer, pod: &str) -> Program {
    let deployment = deployment(api);
    let arguments = &deployment["spec"]["template"]["spec"]["containers"][0]["args"];
    let mut arguments: Vec<String> = arguments.as_array().unwrap()[1..]
        .iter()
        .map(|argument| {
            argument
                .as_str()
                .unwrap()
                .replace("$(POD_NAMESPACE)", NAMESPACE)
        })
        .collect();
    let further = [
        "--validating-webhook=127.0.0.1:0",
        "--shutdown-grace-period=0",
        "--election-ttl=3s",
    ];
    arguments.extend(further.map(str::to_owned));
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let token = api.service_account(NAMESPACE, "headgate");
    let pod = (NAMESPACE, pod);
    let program = Program::controller(
        BINARY.as_ref(),
        &api.kubeconfig_for(&token),
        pod,
        &arguments,
    );
    program.until_ready();
    program
}

/// Everything that the arguments ask for happens.
fn live(api: &ApiServer) {
    let web = Echo::start("web");
    let program = replica(api, "headgate-0");
    api.load(backend("web", &[web.address()]));
    let issued = Authority::new().issue(&["a.test"]);
    api.create(manifest::tls_secret("cert", &issued));
    let secure = manifest::Ingress::new("web")
        .tls(&["a.test"], "cert")
        .path("/", "web");
    api.create(secure.object());
    let tls = headgate_testkit::Tls::name("a.test");
    wait::until("TLS", || {
        let answer = Request::get("/")
            .over(&tls)
            .try_send(program.https())
            .ok()?;
        (answer.status == 200).then_some(())
    });
    // Statuses are written, and withdrawn from who leaves.
    until_told(api, "web", true);
    api.create(ingress("leaving", "leaving.test", "web"));
    until_told(api, "leaving", true);
    api.modify("Ingress", SHOP, "leaving", |ingress| {
        ingress["spec"]["ingressClassName"] = "other".into()
    });
    until_told(api, "leaving", false);
    // Settings are read, and Events told once and again.
    api.modify("ConfigMap", NAMESPACE, "headgate-controller", |map| {
        map["data"] = json!({"hsts": "false"})
    });
    for note in ["one", "two", "three"] {
        api.modify("Ingress", SHOP, "web", |ingress| {
            ingress["metadata"]["annotations"]["example.com/note"] = note.into();
        });
    }
    asked_for(api, "patch", "events");
    admission(api, &program);
    // The lease is made again; another replica takes it over when the first one gives it back.
    api.delete("Lease", NAMESPACE, LEASE);
    until_leader(api, "headgate-0");
    // A Secret that holds nothing of use is filled again.
    api.modify("Secret", NAMESPACE, ADMISSION, |secret| {
        secret["data"] = json!({});
    });
    let second = replica(api, "headgate-1");
    api.until("Secret", NAMESPACE, ADMISSION, |secret| {
        secret["data"]["tls.crt"].is_string()
    });
    stop(&program);
    until_leader(api, "headgate-1");
    api.delete("Pod", NAMESPACE, "headgate-0");
    stop(&second);
    // The last one has cleared the statuses.
    until_told(api, "web", false);
    for program in [&program, &second] {
        let denied = program
            .stderr()
            .into_iter()
            .find(|line| line.contains("forbidden"));
        assert_eq!(denied, None);
    }
}

/// The webhook has its certificate, told the configuration, and answers.
fn admission(api: &ApiServer, program: &Program) {
    api.until(
        "ValidatingWebhookConfiguration",
        "",
        ADMISSION,
        |configuration| configuration["webhooks"][0]["clientConfig"]["caBundle"].is_string(),
    );
    api.route_service(
        NAMESPACE,
        "headgate-controller-admission",
        443,
        super::admission::webhook(program),
    );
    let path = format!("/apis/networking.k8s.io/v1/namespaces/{SHOP}/ingresses");
    let same = ingress("same", "a.test", "web");
    let request = Request::post(&path, same.to_string()).field("Content-Type", "application/json");
    let user: Value = serde_json::from_str(&api.kubeconfig()).unwrap();
    let token = user["users"][0]["user"]["token"].as_str().unwrap();
    let request = request.field("Authorization", &format!("Bearer {token}"));
    request.send(api.address()).is(400);
    until_status(program, "a.test", 308);
}

#[track_caller]
fn until_told(api: &ApiServer, name: &str, told: bool) {
    api.until("Ingress", SHOP, name, |ingress| {
        let entries = ingress["status"]["loadBalancer"]["ingress"].as_array();
        entries.is_some_and(|entries| !entries.is_empty()) == told
    });
}

#[track_caller]
fn until_leader(api: &ApiServer, pod: &str) {
    api.until("Lease", NAMESPACE, LEASE, |lease| {
        lease["spec"]["holderIdentity"] == pod
    });
}

fn asked_for(api: &ApiServer, verb: &str, resource: &str) {
    api.wait_for_request(|request| {
        request.user == ACCOUNT && request.verb == verb && request.resource == resource
    });
}

fn stop(program: &Program) {
    program.terminate();
    assert!(program.wait().success());
}

/// What the roles of the manifest grant to the account.
fn grants(api: &ApiServer) -> BTreeSet<Grant> {
    let mut grants = BTreeSet::new();
    for kind in ["Role", "ClusterRole"] {
        for role in api.list(kind) {
            let namespace = role["metadata"]["namespace"].as_str().unwrap_or_default();
            for rule in role["rules"].as_array().into_iter().flatten() {
                grants.extend(granted(rule, namespace));
            }
        }
    }
    grants
}

fn granted(rule: &Value, namespace: &str) -> Vec<Grant> {
    let texts = |field: &str| -> Vec<String> {
        let texts = rule[field].as_array().into_iter().flatten();
        texts
            .map(|text| text.as_str().unwrap().to_owned())
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
