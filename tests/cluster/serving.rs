//! Changes of objects are served.

use headgate_testkit::manifest::{self, Ingress};
use headgate_testkit::{Authority, Issued, Program, Request, Tls};

use super::support::{
    assert_no_failures, backend, get, ingress, load, slice, until_served_by, until_status, with,
};
use super::testenv::{SETTINGS, TestEnv};

#[test]
fn existing_objects_are_served_when_ready() {
    let env = TestEnv::new();
    let web = env.start_echo("web");
    env.serve_web(&[web.address()]);
    let program = env.controller(&[]);
    // A ready replica serves all objects: the first response is the right one.
    assert_eq!(get(&program, "a.test").is(200).echo().name(), "web");
    get(&program, "b.test").is(404);
}

#[test]
fn objects_are_served_in_any_order_of_creation() {
    let env = TestEnv::new();
    let program = env.controller(&[]);
    let web = env.start_echo("web");
    let orders = [
        [0, 1, 2],
        [0, 2, 1],
        [1, 0, 2],
        [1, 2, 0],
        [2, 0, 1],
        [2, 1, 0],
    ];
    for (number, order) in orders.into_iter().enumerate() {
        let (name, host) = (format!("web-{number}"), format!("host-{number}.test"));
        let objects = [
            ingress(&name, &host, &name),
            manifest::service(&name),
            slice(&name, web.address()),
        ];
        for (count, index) in order.into_iter().enumerate() {
            env.create(objects[index].clone());
            let has_ingress = order[..=count].contains(&0);
            let status = match (count, has_ingress) {
                (2, _) => 200,
                (_, true) => 503,
                (_, false) => 404,
            };
            until_status(&program, &host, status);
        }
        env.delete("Ingress", &name);
        until_status(&program, &host, 404);
    }
}

#[test]
fn changes_of_endpoint_slices_are_served() {
    let env = TestEnv::new();
    let (old, new) = (env.start_echo("old"), env.start_echo("new"));
    env.load([
        manifest::service("web"),
        slice("web", old.address()),
        ingress("web", "a.test", "web"),
    ]);
    let program = env.controller(&[]);
    let load = load(&program);
    load.wait_for(20);
    for (echo, name) in [(&new, "new"), (&old, "old"), (&new, "new")] {
        env.replace(slice("web", echo.address()));
        until_served_by(&program, "a.test", name);
    }
    assert_no_failures(load);
    env.modify("EndpointSlice", "web", |slice| {
        slice["endpoints"][0]["conditions"]["ready"] = false.into();
    });
    until_status(&program, "a.test", 503);
    env.replace(slice("web", new.address()));
    until_status(&program, "a.test", 200);
    env.delete("Service", "web");
    until_status(&program, "a.test", 503);
}

#[test]
fn a_certificate_rotates_and_outlives_its_secret() {
    let env = TestEnv::new();
    let web = env.start_echo("web");
    env.load(backend("web", &[web.address()]));
    let secure = Ingress::new("web")
        .tls(&["a.test"], "cert")
        .path("/", "web");
    env.create(secure.object());
    let program = env.controller(&[]);
    let authority = Authority::new();
    let (first, second) = (authority.issue(&["a.test"]), authority.issue(&["a.test"]));
    let fallback = certificate(&program);
    assert!(fallback != first.der && fallback != second.der);

    env.create(manifest::tls_secret("cert", &first));
    until_certificate(&program, &first);
    env.replace(manifest::tls_secret("cert", &second));
    until_certificate(&program, &second);

    env.delete("Secret", "cert");
    // A later change that is served proves that the deletion was observed, too.
    env.create(ingress("later", "later.test", "web"));
    until_status(&program, "later.test", 200);
    assert_eq!(
        certificate(&program),
        second.der,
        "the last certificate stays"
    );
    env.create(manifest::tls_secret("cert", &first));
    until_certificate(&program, &first);
    let response = Request::get("/").over(&Tls::name("a.test"));
    assert_eq!(response.send(program.https()).is(200).echo().name(), "web");
}

#[test]
fn settings_take_effect_and_revert() {
    let env = TestEnv::new();
    let web = env.start_echo("web");
    env.serve_web(&[web.address()]);
    let program = env.controller(&[]);
    let use_forwarded = |enabled: &str| env.settings(&[("use-forwarded-headers", enabled)]);
    let real_ip = |program: &Program| {
        let request = Request::get("/").field("X-Forwarded-For", "192.0.2.7");
        let response = request.send(program.http()).is(200);
        response.echo().field("x-real-ip").map(str::to_owned)
    };
    assert_eq!(real_ip(&program).as_deref(), Some("127.0.0.1"));
    for (settings, expected) in [
        (Some("true"), "192.0.2.7"),
        (Some("false"), "127.0.0.1"),
        (Some("true"), "192.0.2.7"),
        (None, "127.0.0.1"),
    ] {
        program.change(|| match settings {
            Some(enabled) => {
                env.replace(use_forwarded(enabled));
            }
            None => {
                env.api
                    .delete("ConfigMap", &env.controller_namespace(), SETTINGS);
            }
        });
        assert_eq!(real_ip(&program).as_deref(), Some(expected), "{settings:?}");
    }
}

#[test]
fn a_relist_after_compaction_removes_deleted_objects_and_fails_no_request() {
    let mut env = TestEnv::new();
    let (web, other) = (env.start_echo("web"), env.start_echo("other"));
    env.serve_web(&[web.address()]);
    env.load(backend("other", &[other.address()]));
    env.create(ingress("ghost", "ghost.test", "other"));
    let program = env.controller(&[]);
    let load = load(&program);
    until_status(&program, "ghost.test", 200);

    env.api.stop();
    env.delete("Ingress", "ghost");
    env.create(ingress("young", "young.test", "other"));
    env.delete("Service", "other");
    env.create(manifest::service("other"));
    // The watches cannot resume from before these changes.
    env.api.compact();
    env.api.resume();

    until_status(&program, "young.test", 200);
    until_status(&program, "ghost.test", 404);
    assert_no_failures(load);
    assert!(program.metric("headgate_watch_restarts_total", &[]) > 0.0);
}

#[test]
fn kubectl_creates_applies_patches_and_deletes() {
    let env = TestEnv::new();
    let Some(kubectl) = env.kubectl() else {
        return;
    };
    let (web, other) = (env.start_echo("web"), env.start_echo("other"));
    let namespace = env.namespace();
    env.load(backend("other", &[other.address()]));
    let program = env.controller(&[]);
    let mut objects = backend("web", &[web.address()]);
    objects.push(ingress("web", "a.test", "web"));
    let objects: Vec<_> = objects
        .into_iter()
        .map(|object| env.localize(object))
        .collect();
    kubectl.run_with_input(&["create", "-f", "-"], &manifest::file(&objects));
    until_served_by(&program, "a.test", "web");
    let load = load(&program);

    let moved = with(objects[2].clone(), |ingress| {
        ingress["spec"]["rules"][0]["http"]["paths"][0]["backend"]["service"]["name"] =
            "other".into();
    });
    kubectl.run_with_input(&["apply", "-f", "-"], &manifest::file([&moved]));
    until_served_by(&program, "a.test", "other");
    kubectl.run_with_input(
        &["apply", "--server-side", "--force-conflicts", "-f", "-"],
        &manifest::file([&objects[2]]),
    );
    until_served_by(&program, "a.test", "web");
    assert_no_failures(load);

    let prefix = "nginx.ingress.kubernetes.io";
    let patch = format!(
        r#"{{"metadata":{{"annotations":{{"{prefix}/permanent-redirect":"https://b.test"}}}}}}"#
    );
    kubectl.run(&[
        "-n",
        &namespace,
        "patch",
        "ingress",
        "web",
        "--type=merge",
        "-p",
        &patch,
    ]);
    until_status(&program, "a.test", 301);
    kubectl.run(&[
        "-n",
        &namespace,
        "annotate",
        "ingress",
        "web",
        &format!("{prefix}/permanent-redirect-"),
    ]);
    until_status(&program, "a.test", 200);
    let host = r#"[{"op":"replace","path":"/spec/rules/0/host","value":"b.test"}]"#;
    kubectl.run(&[
        "-n",
        &namespace,
        "patch",
        "ingress",
        "web",
        "--type=json",
        "-p",
        host,
    ]);
    until_status(&program, "b.test", 200);
    until_status(&program, "a.test", 404);
    kubectl.run(&["-n", &namespace, "delete", "ingress", "web"]);
    until_status(&program, "b.test", 404);
}

/// The certificate of `a.test`.
fn certificate(program: &Program) -> Vec<u8> {
    let connection = headgate_testkit::Connection::open_tls(program.https(), &Tls::name("a.test"));
    connection.tls().certificate.clone()
}

#[track_caller]
fn until_certificate(program: &Program, issued: &Issued) {
    headgate_testkit::wait::until("the certificate", || {
        (certificate(program) == issued.der).then_some(())
    });
}
