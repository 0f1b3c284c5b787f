#![allow(clippy::unwrap_used, reason = "a failure is the test's result")]

use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::api::networking::v1::Ingress;
use serde_json::json;
use tempfile::TempDir;

use super::*;

/// A private key, which must not be on disk in clear text.
const PRIVATE: &str = "cHJpdmF0ZSBrZXkgb2YgdGhlIHNob3A=";

fn stored(count: usize) -> Stored {
    let ingress = |index: usize| {
        serde_json::from_value::<Ingress>(json!({
            "metadata": {"name": format!("web-{index}"), "namespace": "shop"},
            "spec": {"rules": [{"host": format!("{index}.example")}]},
        }))
        .unwrap()
    };
    let secret: Secret = serde_json::from_value(json!({
        "metadata": {"name": "cert", "namespace": "shop"},
        "data": {"tls.key": PRIVATE},
    }))
    .unwrap();
    let mut objects: Vec<Object> = (0..count).map(|index| ingress(index).into()).collect();
    objects.push(secret.into());
    Stored {
        objects,
        environment: Environment {
            classes_readable: false,
            zone: Some("zone-a".into()),
        },
        age: Duration::ZERO,
    }
}

struct CacheDirectory {
    root: TempDir,
}

impl CacheDirectory {
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        std::fs::write(root.path().join("key"), [7; 32]).unwrap();
        std::fs::write(root.path().join("other-key"), [8; 32]).unwrap();
        Self { root }
    }

    fn options(&self, key: Option<&str>, server: &str) -> CacheOptions {
        let key = key.map(|name| self.root.path().join(name));
        let directory = self.root.path().join("deep/cache");
        CacheOptions::open(directory, key.as_deref(), server).unwrap()
    }

    fn file(&self) -> PathBuf {
        self.root.path().join("deep/cache/objects")
    }
}

fn refusal(options: &CacheOptions) -> String {
    options.read().unwrap_err().to_string()
}

#[test]
fn content_written_is_read_back() {
    for key in [None, Some("key")] {
        let directory = CacheDirectory::new();
        let options = directory.options(key, "https://127.0.0.1:1");
        assert!(options.read().unwrap().is_none());
        // Up to many frames.
        for count in [0, 1, 3000] {
            options.write(&stored(count)).unwrap();
            let read = options.read().unwrap().unwrap();
            assert!(
                read.objects == stored(count).objects && read.environment == stored(0).environment
            );
        }
    }
}

#[test]
fn an_encrypted_file_shows_no_content_and_only_its_owner_may_read_it() {
    use std::os::unix::fs::PermissionsExt as _;
    let directory = CacheDirectory::new();
    directory
        .options(Some("key"), "a")
        .write(&stored(10))
        .unwrap();
    let content = std::fs::read(directory.file()).unwrap();
    let text = String::from_utf8_lossy(&content);
    assert!(!text.contains(PRIVATE) && !text.contains("example"));
    let mode = std::fs::metadata(directory.file())
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
    let names = std::fs::read_dir(directory.root.path().join("deep/cache")).unwrap();
    assert_eq!(names.count(), 1, "no temporary file is left");
}

#[test]
fn a_file_of_another_key_cluster_or_protection_is_refused() {
    let directory = CacheDirectory::new();
    let sealed = directory.options(Some("key"), "a");
    sealed.write(&stored(1)).unwrap();
    assert!(refusal(&directory.options(Some("other-key"), "a")).contains("another key"));
    assert!(refusal(&directory.options(None, "a")).contains("no key"));
    assert!(refusal(&directory.options(Some("key"), "b")).contains("another cluster"));
    directory.options(None, "a").write(&stored(1)).unwrap();
    assert!(refusal(&sealed).contains("not encrypted"));
    let mut content = std::fs::read(directory.file()).unwrap();
    content[MAGIC.len() - 2] = b'9';
    std::fs::write(directory.file(), content).unwrap();
    assert!(refusal(&directory.options(None, "a")).contains("another version"));
}

#[test]
fn a_truncated_or_changed_file_is_refused() {
    for key in [None, Some("key")] {
        let directory = CacheDirectory::new();
        let options = directory.options(key, "a");
        options.write(&stored(600)).unwrap();
        let good = std::fs::read(directory.file()).unwrap();
        assert!(good.len() > 64 << 10, "more than one frame");
        for at in (MAGIC.len()..good.len())
            .step_by(997)
            .chain([good.len() - 1])
        {
            std::fs::write(directory.file(), &good[..at]).unwrap();
            assert!(options.read().is_err(), "cut at {at}");
            let mut changed = good.clone();
            changed[at] ^= 1;
            std::fs::write(directory.file(), changed).unwrap();
            assert!(options.read().is_err(), "changed at {at}");
        }
        let mut longer = good;
        longer.push(0);
        std::fs::write(directory.file(), longer).unwrap();
        assert!(options.read().is_err());
    }
}
