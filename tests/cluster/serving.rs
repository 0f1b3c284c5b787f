//! Objects come and go, and what is served follows.

use headgate_testkit::manifest::{self, Ingress};
use headgate_testkit::{Authority, Echo, Issued, Program, Request, Tls};

use super::support::{
    HOME, Kubectl, SETTINGS, SHOP, all_good, api, ask, backend, controller, ingress, load, publish,
    slice, until_answered_by, until_status, with,
};

#[test]
fn what_is_there_at_the_start_is_served() {
    let api = api();
    let web = Echo::start("web");
    publish(&api, &[web.address()]);
    let program = controller(&api, &[]);
    // Ready means complete: not one answer before was another.
    assert_eq!(ask(&program, "a.test").is(200).echo().name(), "web");
    ask(&program, "b.test").is(404);
}

#[test]
fn objects_are_served_in_whatever_order_they_come() {
    let api = api();
    let program = controller(&api, &[]);
    let web = Echo::start("web");
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
            api.create(objects[index].clone());
            let has_ingress = order[..=count].contains(&0);
            let status = match (count, has_ingress) {
                (2, _) => 200,
                (_, true) => 503,
                (_, false) => 404,
            };
            until_status(&program, &host, status);
        }
        api.delete("Ingress", SHOP, &name);
        until_status(&program, &host, 404);
    }
}

#[test]
fn endpoints_follow_their_slices() {
    let api = api();
    let (old, new) = (Echo::start("old"), Echo::start("new"));
    api.load([
        manifest::service("web"),
        slice("web", old.address()),
        ingress("web", "a.test", "web"),
    ]);
    let program = controller(&api, &[]);
    let load = load(&program);
    load.wait_for(20);
    for (echo, name) in [(&new, "new"), (&old, "old"), (&new, "new")] {
        api.replace(slice("web", echo.address()));
        until_answered_by(&program, "a.test", name);
    }
    all_good(load);
    api.modify("EndpointSlice", SHOP, "web", |slice| {
        slice["endpoints"][0]["conditions"]["ready"] = false.into();
    });
    until_status(&program, "a.test", 503);
    api.replace(slice("web", new.address()));
    until_status(&program, "a.test", 200);
    api.delete("Service", SHOP, "web");
    until_status(&program, "a.test", 503);
}

#[test]
fn a_certificate_appears_rotates_and_outlives_its_secret() {
    let api = api();
    let web = Echo::start("web");
    api.load(backend("web", &[web.address()]));
    let secure = Ingress::new("web")
        .tls(&["a.test"], "cert")
        .path("/", "web");
    api.create(secure.object());
    let program = controller(&api, &[]);
    let authority = Authority::new();
    let (first, second) = (authority.issue(&["a.test"]), authority.issue(&["a.test"]));
    let fallback = certificate(&program);
    assert!(fallback != first.der && fallback != second.der);

    api.create(manifest::tls_secret("cert", &first));
    until_certificate(&program, &first);
    api.replace(manifest::tls_secret("cert", &second));
    until_certificate(&program, &second);

    api.delete("Secret", SHOP, "cert");
    // A later change that is served shows that the deletion was seen too.
    api.create(ingress("later", "later.test", "web"));
    until_status(&program, "later.test", 200);
    assert_eq!(
        certificate(&program),
        second.der,
        "the last certificate stays"
    );
    api.create(manifest::tls_secret("cert", &first));
    until_certificate(&program, &first);
    let response = Request::get("/").over(&Tls::name("a.test"));
    assert_eq!(response.send(program.https()).is(200).echo().name(), "web");
}

#[test]
fn settings_take_effect_and_go() {
    let api = api();
    let web = Echo::start("web");
    publish(&api, &[web.address()]);
    let program = controller(&api, &[]);
    let marked = |program: &Program| {
        let response = ask(program, "a.test").is(200);
        response.echo().field("x-real-ip").map(str::to_owned)
    };
    let trusting =
        |trusted: &str| manifest::config_map(HOME, SETTINGS, &[("use-forwarded-headers", trusted)]);
    let real = |program: &Program| {
        let request = Request::get("/").field("X-Forwarded-For", "192.0.2.7");
        let response = request.send(program.http()).is(200);
        response.echo().field("x-real-ip").map(str::to_owned)
    };
    assert_eq!(marked(&program).as_deref(), Some("127.0.0.1"));
    for (settings, seen) in [
        (Some("true"), "192.0.2.7"),
        (Some("false"), "127.0.0.1"),
        (Some("true"), "192.0.2.7"),
        (None, "127.0.0.1"),
    ] {
        program.change(|| match settings {
            Some(trusted) => {
                api.replace(trusting(trusted));
            }
            None => {
                api.delete("ConfigMap", HOME, SETTINGS);
            }
        });
        assert_eq!(real(&program).as_deref(), Some(seen), "{settings:?}");
    }
}

#[test]
fn lists_after_compaction_remove_ghosts_and_nothing_flaps() {
    let mut api = api();
    let (web, other) = (Echo::start("web"), Echo::start("other"));
    publish(&api, &[web.address()]);
    api.load(backend("other", &[other.address()]));
    api.create(ingress("ghost", "ghost.test", "other"));
    let program = controller(&api, &[]);
    let load = load(&program);
    until_status(&program, "ghost.test", 200);

    api.stop();
    api.delete("Ingress", SHOP, "ghost");
    api.create(ingress("young", "young.test", "other"));
    api.delete("Service", SHOP, "other");
    api.create(manifest::service("other"));
    // Nobody can be told of these changes one by one any more.
    api.compact();
    api.resume();

    until_status(&program, "young.test", 200);
    until_status(&program, "ghost.test", 404);
    all_good(load);
    assert!(program.metric("headgate_watch_restarts_total", &[]) > 0.0);
}

#[test]
fn kubectl_creates_applies_patches_and_deletes() {
    let api = api();
    let Some(kubectl) = Kubectl::find(&api) else {
        return;
    };
    let (web, other) = (Echo::start("web"), Echo::start("other"));
    api.load(backend("other", &[other.address()]));
    let program = controller(&api, &[]);
    let mut objects = backend("web", &[web.address()]);
    objects.push(ingress("web", "a.test", "web"));
    kubectl.feed(&["create", "-f", "-"], &manifest::file(&objects));
    until_answered_by(&program, "a.test", "web");
    let load = load(&program);

    let moved = with(ingress("web", "a.test", "web"), |ingress| {
        ingress["spec"]["rules"][0]["http"]["paths"][0]["backend"]["service"]["name"] =
            "other".into();
    });
    kubectl.feed(&["apply", "-f", "-"], &manifest::file([&moved]));
    until_answered_by(&program, "a.test", "other");
    kubectl.feed(
        &["apply", "--server-side", "--force-conflicts", "-f", "-"],
        &manifest::file([&objects[2]]),
    );
    until_answered_by(&program, "a.test", "web");
    all_good(load);

    let prefix = "nginx.ingress.kubernetes.io";
    let patch = format!(
        r#"{{"metadata":{{"annotations":{{"{prefix}/permanent-redirect":"https://b.test"}}}}}}"#
    );
    kubectl.run(&[
        "-n",
        SHOP,
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
        SHOP,
        "annotate",
        "ingress",
        "web",
        &format!("{prefix}/permanent-redirect-"),
    ]);
    until_status(&program, "a.test", 200);
    let host = r#"[{"op":"replace","path":"/spec/rules/0/host","value":"b.test"}]"#;
    kubectl.run(&[
        "-n",
        SHOP,
        "patch",
        "ingress",
        "web",
        "--type=json",
        "-p",
        host,
    ]);
    until_status(&program, "b.test", 200);
    until_status(&program, "a.test", 404);
    kubectl.run(&["-n", SHOP, "delete", "ingress", "web"]);
    until_status(&program, "b.test", 404);
}

/// What a client sees at `a.test`.
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
