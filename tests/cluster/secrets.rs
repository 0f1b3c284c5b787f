//! Nothing of a Secret appears in what a controller shows and writes to the API server.

use std::process::Command;

use headgate_testkit::Request;

use super::support::{BINARY, backend, get, stop, until_status};
use super::testenv::{TestEnv, until, until_leader};
use crate::leaks::Site;

/// Names of their Secrets and Ingresses, whose findings become Events.
const BROKEN: [&str; 4] = ["mismatch", "labels", "without", "wrong-client"];

#[test]
fn nothing_of_a_secret_reaches_the_api_server_or_the_log() {
    let env = TestEnv::new();
    let mut site = Site::new(&env.namespace());
    let web = env.start_echo("web");
    env.load(backend("web", &[web.address()]));
    env.load(std::mem::take(&mut site.objects));
    let ticket_key = site.ticket_key();
    env.create(env.settings(&[("ssl-session-ticket-key", ticket_key.as_str())]));
    let directory = tempfile::tempdir().unwrap();
    let key = directory.path().join("key");
    std::fs::write(&key, site.leaks.text("key of the cache")).unwrap();
    let cache = format!("--cache-dir={}", directory.path().join("cache").display());
    let key = format!("--cache-key-file={}", key.display());
    let flags = ["--v=5", "--election-ttl=3s", &cache, &key];
    let token = env.token("headgate", &flags);
    site.leaks.add("token", token.as_bytes());
    let program = env.controller(&flags);
    until_leader(&env, "headgate-0");
    until_status(&program, "without.test", 503);
    for name in BROKEN {
        until("an Event", || {
            let events = env.events();
            events
                .iter()
                .any(|event| event["type"] == "Warning" && event["involvedObject"]["name"] == name)
        });
    }
    let mut shown = vec![("a response".into(), get(&program, "plain.test").text())];
    for path in ["/metrics", "/debug/table", "/debug/findings"] {
        shown.push((path.into(), program.admin_get(path).text()));
    }
    let explain = "/debug/explain?url=https://good.test/";
    shown.push((
        explain.into(),
        Request::get(explain).send(program.admin()).text(),
    ));
    for kind in ["Event", "Ingress", "Lease", "IngressClass", "Service"] {
        shown.push((kind.into(), format!("{:?}", env.api.list(kind))));
    }
    shown.extend(commands(&env));
    stop(&program);
    shown.push(("log".into(), program.stderr().join("\n")));
    shown.push(("access log".into(), program.stdout().join("\n")));
    for (place, text) in &shown {
        site.leaks.assert_none(place, text);
    }
}

/// The output of commands that read the cluster.
fn commands(env: &TestEnv) -> Vec<(String, String)> {
    let kubeconfig = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(kubeconfig.path(), env.api.kubeconfig()).unwrap();
    let file = kubeconfig.path().to_str().unwrap();
    let class = format!("--controller-class={}", env.controller_class());
    let commands = [
        &["check", "--format=json"][..],
        &["explain", "https://mismatch.test/"],
    ];
    let run = |arguments: &&[&str]| {
        let mut command = Command::new(BINARY);
        command
            .args(*arguments)
            .args(["--kubeconfig", file, &class]);
        let output = command.output().unwrap();
        let text = [output.stdout, output.stderr].concat();
        (
            format!("{arguments:?}"),
            String::from_utf8_lossy(&text).into_owned(),
        )
    };
    commands.iter().map(run).collect()
}
