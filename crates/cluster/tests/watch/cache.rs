//! Restarts with the API server away.

use std::path::Path;
use std::time::Duration;

use headgate_apiserver::{ApiServer, Effect, Fault};
use headgate_cluster::{CacheOptions, WatchOptions};
use headgate_compile::{Kind, Origin};
use tempfile::TempDir;

use crate::world::{World, changed, ingress, options, secret, secured, service};

fn with_cache(api: &ApiServer, folder: &TempDir, key: Option<&Path>) -> WatchOptions {
    let cache = CacheOptions::open(folder.path().join("cache"), key, &api.url());
    WatchOptions {
        cache: Some(cache.unwrap()),
        ..options()
    }
}

fn key(folder: &TempDir) -> std::path::PathBuf {
    let file = folder.path().join("key");
    std::fs::write(&file, [3; 32]).unwrap();
    file
}

fn fill(api: &ApiServer) {
    api.create(secured("web", "cert"));
    api.create(ingress("doomed", "web"));
    api.create(service("shop", "web"));
    api.create(secret("shop", "cert"));
}

/// Runs once, and leaves what is known.
fn run_once(api: &ApiServer, options: WatchOptions) {
    let mut world = World::ready(api, options);
    let World { runtime, watch, .. } = &mut world;
    runtime.block_on(watch.save());
}

#[test]
fn a_restart_serves_the_cache_and_then_the_difference() {
    for sealed in [false, true] {
        let folder = tempfile::tempdir().unwrap();
        let file = key(&folder);
        let key = sealed.then_some(&*file);
        let mut api = ApiServer::start();
        fill(&api);
        run_once(&api, with_cache(&api, &folder, key));
        api.stop();
        let mut world = World::with(&api, with_cache(&api, &folder, key));
        let batch = world.batch();
        assert_eq!(batch.origin, Origin::Cached);
        assert!(world.has(Kind::Ingress, "shop", "web") && world.has(Kind::Service, "shop", "web"));
        assert_eq!(
            world.has(Kind::Secret, "shop", "cert"),
            sealed,
            "keys are sealed or not there"
        );
        assert_eq!(world.metric("headgate_snapshot_stale", ""), 1.0);
        assert!(world.is_quiet());
        api.delete("Ingress", "shop", "doomed");
        api.create(ingress("new", "web"));
        api.resume();
        let batch = world.batch();
        assert_eq!(batch.origin, Origin::Live);
        // The new one, the deleted one, and the Secret if it was not there.
        let expected = 2 + usize::from(!sealed);
        assert_eq!(changed(&batch).len(), expected, "{:?}", batch.changes);
        assert!(
            world.has(Kind::Ingress, "shop", "new") && !world.has(Kind::Ingress, "shop", "doomed")
        );
        assert!(world.has(Kind::Secret, "shop", "cert"));
        assert_eq!(world.metric("headgate_snapshot_stale", ""), 0.0);
    }
}

#[test]
fn a_server_that_answers_makes_the_cache_useless() {
    let folder = tempfile::tempdir().unwrap();
    let api = ApiServer::start();
    fill(&api);
    run_once(&api, with_cache(&api, &folder, None));
    api.delete("Ingress", "shop", "doomed");
    let mut world = World::with(&api, with_cache(&api, &folder, None));
    assert_eq!(world.batch().origin, Origin::Live);
    assert!(!world.has(Kind::Ingress, "shop", "doomed"));
}

#[test]
fn a_server_that_is_slow_is_waited_for_for_a_while() {
    let folder = tempfile::tempdir().unwrap();
    let api = ApiServer::start();
    fill(&api);
    run_once(&api, with_cache(&api, &folder, None));
    api.inject(Fault::new(Effect::Hang).resource("services"));
    let mut options = with_cache(&api, &folder, None);
    options.timing.cached = Duration::from_millis(200);
    options.timing.patience = Duration::from_secs(60);
    let mut world = World::with(&api, options);
    assert_eq!(world.batch().origin, Origin::Cached);
    assert!(world.has(Kind::Service, "shop", "web"));
}

#[test]
fn what_is_no_cache_is_as_if_there_were_none() {
    let folder = tempfile::tempdir().unwrap();
    let file = key(&folder);
    let mut api = ApiServer::start();
    fill(&api);
    run_once(&api, with_cache(&api, &folder, Some(&file)));
    api.stop();
    // Sealed, and there is no key.
    let mut world = World::with(&api, with_cache(&api, &folder, None));
    assert!(world.is_quiet());
    let cache = folder.path().join("cache/objects");
    let content = std::fs::read(&cache).unwrap();
    std::fs::write(&cache, &content[..content.len() / 2]).unwrap();
    let mut world = World::with(&api, with_cache(&api, &folder, Some(&file)));
    assert!(world.is_quiet());
    api.resume();
    assert_eq!(world.batch().origin, Origin::Live);
}

#[test]
fn it_is_written_while_running_too() {
    let folder = tempfile::tempdir().unwrap();
    let mut api = ApiServer::start();
    fill(&api);
    let mut options = with_cache(&api, &folder, None);
    options.timing.save = Duration::from_millis(20);
    let mut world = World::ready(&api, options);
    let file = folder.path().join("cache/objects");
    let text = || std::fs::read(&file).map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    world.work_until("the cache", || text().is_ok());
    api.create(ingress("later", "web"));
    world.work_until("what came later", || {
        text().unwrap().contains("later.example")
    });
    assert!(!text().unwrap().contains("a2V5"), "no private key");
    world.until_metric("headgate_cache_writes_total", "success", 2.0);
    // The server goes; what is known is left, and a stale cache never overwrites a good one.
    api.stop();
    drop(world);
    let before = text().unwrap();
    let mut options = with_cache(&api, &folder, None);
    options.timing.save = Duration::from_millis(20);
    let mut world = World::with(&api, options);
    assert_eq!(world.batch().origin, Origin::Cached);
    assert!(world.is_quiet());
    assert_eq!(text().unwrap(), before);
}
