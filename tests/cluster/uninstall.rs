//! `headgate stop`, which the chart runs before a release is deleted.

use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};
use tempfile::TempDir;

use super::status::{pod, until_addresses};
use super::support::{BINARY, ingress, stop};
use super::testenv::{TestEnv, until_in_controller_namespace};

const NAME: &str = "headgate-controller";

/// A workload whose Pods are those of [`pod`].
fn workload(env: &TestEnv, kind: &str) -> Value {
    let labels = json!({"app": "headgate"});
    json!({"apiVersion": "apps/v1", "kind": kind,
        "metadata": {"namespace": env.controller_namespace(), "name": NAME},
        "spec": {
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {
                "nodeSelector": {"kubernetes.io/os": "linux"},
                "containers": [{"name": "controller", "image": "headgate"}]}}}})
}

/// The command with the permissions of the chart's hook.
struct Hook {
    directory: TempDir,
    namespace: String,
}

impl Hook {
    fn new(env: &TestEnv, resource: &str) -> Self {
        let namespace = env.controller_namespace();
        let rules = json!([
            {"apiGroups": ["apps"], "resources": [resource], "resourceNames": [NAME], "verbs": ["patch"]},
            {"apiGroups": [""], "resources": ["pods"], "verbs": ["list"]}]);
        let version = "rbac.authorization.k8s.io/v1";
        let metadata = json!({"namespace": namespace, "name": "uninstall"});
        env.replace(
            json!({"apiVersion": version, "kind": "Role", "metadata": metadata, "rules": rules}),
        );
        env.replace(json!({"apiVersion": version, "kind": "RoleBinding", "metadata": metadata,
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "uninstall"},
            "subjects": [{"kind": "ServiceAccount", "namespace": namespace, "name": "uninstall"}]}));
        let token = env.api.service_account(&namespace, "uninstall");
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(
            directory.path().join("config"),
            env.api.kubeconfig_for(&token),
        )
        .unwrap();
        Self {
            directory,
            namespace,
        }
    }

    fn command(&self, workload: &str, timeout: &str) -> Command {
        let mut command = Command::new(BINARY);
        command
            .args(["stop", workload, "--timeout", timeout, "--namespace"])
            .arg(&self.namespace)
            .arg("--kubeconfig")
            .arg(self.directory.path().join("config"))
            .stderr(Stdio::piped());
        command
    }
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn replicas_are_stopped_and_clear_the_statuses_before_their_permissions_are_deleted() {
    for (kind, resource) in [
        ("Deployment", "deployments/scale"),
        ("DaemonSet", "daemonsets"),
    ] {
        let env = TestEnv::new();
        env.create(pod(&env, "headgate-0", "one", true));
        env.create(workload(&env, kind));
        env.create(ingress("web", "a.test", "web"));
        let program = env.controller(&["--publish-status-address=192.0.2.1"]);
        until_addresses(&env, "web", &["192.0.2.1"]);
        let hook = Hook::new(&env, resource);
        let name = format!("{}/{NAME}", kind.to_lowercase());
        let child = hook.command(&name, "2m").spawn().unwrap();
        until_in_controller_namespace(&env, kind, NAME, |workload| {
            let spec = &workload["spec"];
            let selector = spec["template"]["spec"]["nodeSelector"]
                .as_object()
                .unwrap();
            spec["replicas"] == 0 || selector.len() == 2
        });
        // As the kubelet does.
        stop(&program);
        env.api
            .delete("Pod", &env.controller_namespace(), "headgate-0");
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{kind}: {}", text(&output));
        until_addresses(&env, "web", &[]);
    }
}

#[test]
fn a_missing_workload_is_stopped_and_pods_that_are_left_are_a_failure() {
    let env = TestEnv::new();
    let hook = Hook::new(&env, "deployments/scale");
    let workload_name = format!("deployment/{NAME}");
    let output = hook.command(&workload_name, "1m").output().unwrap();
    assert!(output.status.success(), "{}", text(&output));

    env.create(pod(&env, "headgate-0", "one", true));
    env.create(workload(&env, "Deployment"));
    let output = hook.command(&workload_name, "1s").output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let expected = format!("Pods of Deployment {}/{NAME} are left", hook.namespace);
    assert!(text(&output).contains(&expected), "{}", text(&output));

    let output = hook.command("replicaset/x", "1s").output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(
        text(&output).contains("deployment/NAME"),
        "{}",
        text(&output)
    );
}
