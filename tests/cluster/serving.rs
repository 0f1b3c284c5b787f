//! Objects come and go, and what is served follows.

use headgate_testkit::manifest::{self, Ingress};
use headgate_testkit::{Authority, Issued, Program, Request, Tls};

use super::place::{Place, SETTINGS};
use super::support::{
    all_good, ask, backend, ingress, load, slice, until_answered_by, until_status, with,
};

#[test]
fn what_is_there_at_the_start_is_served() {
    let place = Place::new();
    let web = place.echo("web");
    place.publish(&[web.address()]);
    let program = place.controller(&[]);
    // Ready means complete: not one answer before was another.
    assert_eq!(ask(&program, "a.test").is(200).echo().name(), "web");
    ask(&program, "b.test").is(404);
}

#[test]
fn objects_are_served_in_whatever_order_they_come() {
    let place = Place::new();
    let program = place.controller(&[]);
    let web = place.echo("web");
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
            place.create(objects[index].clone());
            let has_ingress = order[..=count].contains(&0);
            let status = match (count, has_ingress) {
                (2, _) => 200,
                (_, true) => 503,
                (_, false) => 404,
            };
            until_status(&program, &host, status);
        }
        place.delete("Ingress", &name);
        until_status(&program, &host, 404);
    }
}

#[test]
fn endpoints_follow_their_slices() {
    let place = Place::new();
    let (old, new) = (place.echo("old"), place.echo("new"));
    place.load([
        manifest::service("web"),
        slice("web", old.address()),
        ingress("web", "a.test", "web"),
    ]);
    let program = place.controller(&[]);
    let load = load(&program);
    load.wait_for(20);
    for (echo, name) in [(&new, "new"), (&old, "old"), (&new, "new")] {
        place.replace(slice("web", echo.address()));
        until_answered_by(&program, "a.test", name);
    }
    all_good(load);
    place.modify("EndpointSlice", "web", |slice| {
        slice["endpoints"][0]["conditions"]["ready"] = false.into();
    });
    until_status(&program, "a.test", 503);
    place.replace(slice("web", new.address()));
    until_status(&program, "a.test", 200);
    place.delete("Service", "web");
    until_status(&program, "a.test", 503);
}

#[test]
fn a_certificate_appears_rotates_and_outlives_its_secret() {
    let place = Place::new();
    let web = place.echo("web");
    place.load(backend("web", &[web.address()]));
    let secure = Ingress::new("web")
        .tls(&["a.test"], "cert")
        .path("/", "web");
    place.create(secure.object());
    let program = place.controller(&[]);
    let authority = Authority::new();
    let (first, second) = (authority.issue(&["a.test"]), authority.issue(&["a.test"]));
    let fallback = certificate(&program);
    assert!(fallback != first.der && fallback != second.der);

    place.create(manifest::tls_secret("cert", &first));
    until_certificate(&program, &first);
    place.replace(manifest::tls_secret("cert", &second));
    until_certificate(&program, &second);

    place.delete("Secret", "cert");
    // A later change that is served shows that the deletion was seen too.
    place.create(ingress("later", "later.test", "web"));
    until_status(&program, "later.test", 200);
    assert_eq!(
        certificate(&program),
        second.der,
        "the last certificate stays"
    );
    place.create(manifest::tls_secret("cert", &first));
    until_certificate(&program, &first);
    let response = Request::get("/").over(&Tls::name("a.test"));
    assert_eq!(response.send(program.https()).is(200).echo().name(), "web");
}

#[test]
fn settings_take_effect_and_go() {
    let place = Place::new();
    let web = place.echo("web");
    place.publish(&[web.address()]);
    let program = place.controller(&[]);
    let marked = |program: &Program| {
        let response = ask(program, "a.test").is(200);
        response.echo().field("x-real-ip").map(str::to_owned)
    };
    let trusting = |trusted: &str| place.settings(&[("use-forwarded-headers", trusted)]);
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
                place.replace(trusting(trusted));
            }
            None => {
                place.api.delete("ConfigMap", &place.home(), SETTINGS);
            }
        });
        assert_eq!(real(&program).as_deref(), Some(seen), "{settings:?}");
    }
}

#[test]
fn lists_after_compaction_remove_ghosts_and_nothing_flaps() {
    let mut place = Place::new();
    let (web, other) = (place.echo("web"), place.echo("other"));
    place.publish(&[web.address()]);
    place.load(backend("other", &[other.address()]));
    place.create(ingress("ghost", "ghost.test", "other"));
    let program = place.controller(&[]);
    let load = load(&program);
    until_status(&program, "ghost.test", 200);

    place.api.stop();
    place.delete("Ingress", "ghost");
    place.create(ingress("young", "young.test", "other"));
    place.delete("Service", "other");
    place.create(manifest::service("other"));
    // Nobody can be told of these changes one by one any more.
    place.api.compact();
    place.api.resume();

    until_status(&program, "young.test", 200);
    until_status(&program, "ghost.test", 404);
    all_good(load);
    assert!(program.metric("headgate_watch_restarts_total", &[]) > 0.0);
}

#[test]
fn kubectl_creates_applies_patches_and_deletes() {
    let place = Place::new();
    let Some(kubectl) = place.kubectl() else {
        return;
    };
    let (web, other) = (place.echo("web"), place.echo("other"));
    let shop = place.shop();
    place.load(backend("other", &[other.address()]));
    let program = place.controller(&[]);
    let mut objects = backend("web", &[web.address()]);
    objects.push(ingress("web", "a.test", "web"));
    let objects: Vec<_> = objects
        .into_iter()
        .map(|object| place.own(object))
        .collect();
    kubectl.feed(&["create", "-f", "-"], &manifest::file(&objects));
    until_answered_by(&program, "a.test", "web");
    let load = load(&program);

    let moved = with(objects[2].clone(), |ingress| {
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
        &shop,
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
        &shop,
        "annotate",
        "ingress",
        "web",
        &format!("{prefix}/permanent-redirect-"),
    ]);
    until_status(&program, "a.test", 200);
    let host = r#"[{"op":"replace","path":"/spec/rules/0/host","value":"b.test"}]"#;
    kubectl.run(&[
        "-n",
        &shop,
        "patch",
        "ingress",
        "web",
        "--type=json",
        "-p",
        host,
    ]);
    until_status(&program, "b.test", 200);
    until_status(&program, "a.test", 404);
    kubectl.run(&["-n", &shop, "delete", "ingress", "web"]);
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
