//! Restarts while the API server is unreachable.

use std::path::Path;
use std::time::Duration;

use headgate_apiserver::{ApiServer, Effect, Fault};
use headgate_cluster::{CacheOptions, WatchOptions};
use headgate_compile::{Kind, Origin};
use tempfile::TempDir;

use crate::world::{World, changed, ingress, options, secret, secured, service};

fn with_cache(api: &ApiServer, directory: &TempDir, key: Option<&Path>) -> WatchOptions {
    let cache = CacheOptions::open(directory.path().join("cache"), key, &api.url());
    WatchOptions {
        cache: Some(cache.unwrap()),
        ..options()
    }
}

fn key(directory: &TempDir) -> std::path::PathBuf {
    let file = directory.path().join("key");
    std::fs::write(&file, [3; 32]).unwrap();
    file
}

fn fill(api: &ApiServer) {
    api.create(secured("web", "cert"));
    api.create(ingress("doomed", "web"));
    api.create(service("shop", "web"));
    api.create(secret("shop", "cert"));
}

/// Runs once and writes the cache.
fn run_once(api: &ApiServer, options: WatchOptions) {
    let mut world = World::ready(api, options);
    let World { runtime, watch, .. } = &mut world;
    runtime.block_on(watch.save());
}

#[test]
fn a_restart_serves_the_cache_and_then_the_difference() {
    for sealed in [false, true] {
        let directory = tempfile::tempdir().unwrap();
        let file = key(&directory);
        let key = sealed.then_some(&*file);
        let mut api = ApiServer::start();
        fill(&api);
        run_once(&api, with_cache(&api, &directory, key));
        api.stop();
        let mut world = World::with(&api, with_cache(&api, &directory, key));
        let batch = world.batch();
        assert_eq!(batch.origin, Origin::Cached);
        assert!(world.has(Kind::Ingress, "shop", "web") && world.has(Kind::Service, "shop", "web"));
        assert_eq!(
            world.has(Kind::Secret, "shop", "cert"),
            sealed,
            "Secrets are encrypted or left out"
        );
        assert_eq!(world.metric("headgate_snapshot_stale", ""), 1.0);
        assert!(world.is_quiet());
        api.delete("Ingress", "shop", "doomed");
        api.create(ingress("new", "web"));
        api.resume();
        let batch = world.batch();
        assert_eq!(batch.origin, Origin::Live);
        // The new one, the deleted one, and the Secret if it was not cached.
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
fn the_cache_is_not_used_while_the_api_server_responds() {
    let directory = tempfile::tempdir().unwrap();
    let api = ApiServer::start();
    fill(&api);
    run_once(&api, with_cache(&api, &directory, None));
    api.delete("Ingress", "shop", "doomed");
    let mut world = World::with(&api, with_cache(&api, &directory, None));
    assert_eq!(world.batch().origin, Origin::Live);
    assert!(!world.has(Kind::Ingress, "shop", "doomed"));
}

#[test]
fn the_cache_is_used_when_the_api_server_is_slow() {
    let directory = tempfile::tempdir().unwrap();
    let api = ApiServer::start();
    fill(&api);
    run_once(&api, with_cache(&api, &directory, None));
    api.inject(Fault::new(Effect::Hang).resource("services"));
    let mut options = with_cache(&api, &directory, None);
    options.timing.cache_after = Duration::from_millis(200);
    options.timing.response_timeout = Duration::from_secs(60);
    let mut world = World::with(&api, options);
    assert_eq!(world.batch().origin, Origin::Cached);
    assert!(world.has(Kind::Service, "shop", "web"));
}

#[test]
fn an_invalid_cache_is_ignored() {
    let directory = tempfile::tempdir().unwrap();
    let file = key(&directory);
    let mut api = ApiServer::start();
    fill(&api);
    run_once(&api, with_cache(&api, &directory, Some(&file)));
    api.stop();
    // Encrypted, without a key.
    let mut world = World::with(&api, with_cache(&api, &directory, None));
    assert!(world.is_quiet());
    let cache = directory.path().join("cache/objects");
    let content = std::fs::read(&cache).unwrap();
    std::fs::write(&cache, &content[..content.len() / 2]).unwrap();
    let mut world = World::with(&api, with_cache(&api, &directory, Some(&file)));
    assert!(world.is_quiet());
    api.resume();
    assert_eq!(world.batch().origin, Origin::Live);
}

#[test]
fn the_cache_is_written_while_running_too() {
    let directory = tempfile::tempdir().unwrap();
    let mut api = ApiServer::start();
    fill(&api);
    let mut options = with_cache(&api, &directory, None);
    options.timing.save = Duration::from_millis(20);
    let mut world = World::ready(&api, options);
    let file = directory.path().join("cache/objects");
    let text = || std::fs::read(&file).map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    world.work_until("the cache", || text().is_ok());
    api.create(ingress("later", "web"));
    world.work_until("the later Ingress", || {
        text().unwrap().contains("later.example")
    });
    assert!(!text().unwrap().contains("a2V5"), "no private key");
    world.until_metric("headgate_cache_writes_total", "success", 2.0);
    // While the API server is unreachable, the cache is not overwritten.
    api.stop();
    drop(world);
    let before = text().unwrap();
    let mut options = with_cache(&api, &directory, None);
    options.timing.save = Duration::from_millis(20);
    let mut world = World::with(&api, options);
    assert_eq!(world.batch().origin, Origin::Cached);
    assert!(world.is_quiet());
    assert_eq!(text().unwrap(), before);
}
