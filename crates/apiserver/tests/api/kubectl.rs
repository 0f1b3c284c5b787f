//! The real kubectl, where it is installed.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use headgate_apiserver::{ApiServer, Options};
use serde_json::json;

/// kubectl with its own configuration.
struct Kubectl {
    directory: tempfile::TempDir,
}

impl Kubectl {
    /// `None`, with a message, if it is not installed.
    fn find(api: &ApiServer) -> Option<Self> {
        let found = Command::new("kubectl")
            .arg("version")
            .arg("--client")
            .output();
        if found.is_err() {
            println!("skipped: there is no kubectl");
            return None;
        }
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("config"), api.kubeconfig()).unwrap();
        Some(Self { directory })
    }

    fn command(&self, arguments: &str) -> Command {
        let mut command = Command::new("kubectl");
        command
            .args(arguments.split(' '))
            .env("KUBECONFIG", self.directory.path().join("config"))
            .env("HOME", self.directory.path())
            .env_remove("HTTP_PROXY")
            .env_remove("HTTPS_PROXY");
        command
    }

    /// Its output; it must succeed.
    #[track_caller]
    fn run(&self, arguments: &str) -> String {
        let output = self.command(arguments).output().unwrap();
        assert!(output.status.success(), "kubectl {arguments}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// Its error output; it must fail.
    #[track_caller]
    fn fail(&self, arguments: &str) -> String {
        let output = self.command(arguments).output().unwrap();
        assert!(!output.status.success(), "kubectl {arguments}: {output:?}");
        String::from_utf8(output.stderr).unwrap()
    }

    /// A file to name in arguments.
    fn file(&self, text: &str) -> String {
        let file = self.directory.path().join("objects.yaml");
        std::fs::write(&file, text).unwrap();
        file.to_str().unwrap().to_owned()
    }
}

fn manifest(host: &str, port: u16) -> String {
    format!(
        "
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {{name: web, namespace: shop, labels: {{app: web}}}}
spec:
  ingressClassName: nginx
  rules: [{{host: {host}, http: {{paths: [{{path: /, pathType: Prefix, backend: {{service: {{name: web, port: {{number: 80}}}}}}}}]}}}}]
---
apiVersion: v1
kind: Service
metadata: {{name: web, namespace: shop}}
spec: {{ports: [{{port: 80, name: http}}, {{port: {port}, name: more}}]}}
"
    )
}

#[test]
fn kubectl_applies_changes_and_deletes() {
    let api = ApiServer::start();
    let Some(kubectl) = Kubectl::find(&api) else {
        return;
    };
    let file = kubectl.file(&manifest("a.test", 81));
    let output = kubectl.run(&format!("apply -f {file}"));
    assert_eq!(
        output,
        "ingress.networking.k8s.io/web created\nservice/web created\n"
    );
    kubectl.file(&manifest("b.test", 82));
    let output = kubectl.run(&format!("apply -f {file}"));
    assert_eq!(
        output,
        "ingress.networking.k8s.io/web configured\nservice/web configured\n"
    );
    let service = api.get("Service", "shop", "web").unwrap();
    let ports: Vec<_> = service["spec"]["ports"]
        .as_array()
        .unwrap()
        .iter()
        .map(|port| port["port"].clone())
        .collect();
    assert_eq!(ports, [80, 82]);
    let output = kubectl.run(&format!("apply -f {file}"));
    assert!(
        output.contains("ingress.networking.k8s.io/web unchanged"),
        "{output}"
    );

    kubectl.run("label -n shop ingress web colour=red");
    kubectl.run("annotate -n shop ingress web note=text");
    kubectl.run(
        "patch -n shop svc web --type=json -p [{\"op\":\"remove\",\"path\":\"/spec/ports/1\"}]",
    );
    assert_eq!(
        kubectl.run("get svc web -n shop -o jsonpath={.spec.ports[*].port}"),
        "80"
    );
    let table = kubectl.run("get ing -A");
    assert!(
        table.contains("NAMESPACE") && table.contains("b.test"),
        "{table}"
    );
    assert!(
        kubectl
            .run("get ing -n shop web -o yaml")
            .contains("colour: red")
    );
    kubectl.run(&format!("delete -f {file} --timeout=10s"));
    assert!(kubectl.fail("get ing -n shop web").contains("NotFound"));
    assert!(api.list("Ingress").is_empty() && api.list("Service").is_empty());
}

#[test]
fn kubectl_applies_server_side_and_shows_conflicts() {
    let api = ApiServer::start();
    let Some(kubectl) = Kubectl::find(&api) else {
        return;
    };
    let file = kubectl.file(&manifest("a.test", 81));
    kubectl.run(&format!("apply --server-side -f {file}"));
    kubectl.file(&manifest("b.test", 81));
    let refused = kubectl.fail(&format!(
        "apply --server-side --field-manager=other -f {file}"
    ));
    assert!(
        refused.contains("conflict with \"kubectl\": .spec.rules"),
        "{refused}"
    );
    kubectl.run(&format!(
        "apply --server-side --field-manager=other --force-conflicts -f {file}"
    ));
    assert_eq!(
        api.get("Ingress", "shop", "web").unwrap()["spec"]["rules"][0]["host"],
        "b.test"
    );
    let invalid = kubectl.file(&manifest("not_a_host", 81));
    assert!(
        kubectl
            .fail(&format!("replace -f {invalid}"))
            .contains("is invalid: spec.rules[0].host")
    );
}

#[test]
fn kubectl_creates_and_reviews_access() {
    // kubectl sends its token only over TLS.
    let api = ApiServer::start_with(Options {
        tls: true,
        ..Options::default()
    });
    let Some(kubectl) = Kubectl::find(&api) else {
        return;
    };
    kubectl.run("create namespace shop");
    kubectl.run("create configmap -n shop settings --from-literal=a=b");
    assert_eq!(
        api.get("ConfigMap", "shop", "settings").unwrap()["data"]["a"],
        "b"
    );
    kubectl.run("create secret generic -n shop credentials --from-literal=a=b");
    assert_eq!(
        api.get("Secret", "shop", "credentials").unwrap()["data"]["a"],
        "Yg=="
    );
    kubectl.run("create serviceaccount -n shop bob");
    let token = kubectl.run("create token -n shop bob");
    assert!(token.starts_with("shop.bob."), "{token}");
    assert_eq!(
        kubectl.run("auth can-i delete ingresses.networking.k8s.io"),
        "yes\n"
    );
    let who = kubectl.run("auth whoami");
    assert!(who.contains("system:admin"), "{who}");
    api.enforce_rbac(true);
    let output = kubectl.fail("--as=system:serviceaccount:shop:bob get ing -n shop");
    assert!(output.contains("cannot list resource \"ingresses\" in API group \"networking.k8s.io\" in the namespace \"shop\""), "{output}");
}

#[test]
fn kubectl_watches_and_waits() {
    let api = ApiServer::start_with(Options {
        play_workloads: true,
        tls: true,
        ..Options::default()
    });
    let Some(kubectl) = Kubectl::find(&api) else {
        return;
    };
    let mut child = kubectl
        .command("get configmaps -n default --watch-only -o name")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    api.wait_for_watches("configmaps", 1);
    api.create(json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "one"}}));
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap())
        .read_line(&mut line)
        .unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(line, "configmap/one\n");

    let file = kubectl.file(
        "
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: web, image: web, ports: [{containerPort: 80}]}]}
",
    );
    kubectl.run(&format!("create -f {file}"));
    kubectl.run("rollout status deployment/web --timeout=10s");
    kubectl.run("scale deployment web --replicas=3");
    kubectl.run("wait deployment/web --for=condition=Available --timeout=10s");
    kubectl.run("wait deployment/web --for=jsonpath={.status.availableReplicas}=3 --timeout=10s");
}
