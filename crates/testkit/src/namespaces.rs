//! Network namespaces: several machines with ports 80 and 443 of their own, none of which reaches the outside.
//!
//! They are made with `ip`, which takes root; [`Namespace::new`] says whether that is possible.

use std::fs::File;
use std::os::fd::AsFd as _;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

/// Tells those of one process apart.
static COUNT: AtomicU32 = AtomicU32::new(0);

/// A network namespace with its loopback interface up. Dropping it removes it, when nobody is in it any more.
#[derive(Debug)]
pub struct Namespace {
    name: String,
}

impl Namespace {
    /// A new one; `None` where that is not possible.
    pub fn new() -> Option<Self> {
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("headgate-{}-{number}", std::process::id());
        if !try_ip(&["netns", "add", &name]) {
            return None;
        }
        let namespace = Self { name };
        namespace.ip(&["link", "set", "lo", "up"]);
        Some(namespace)
    }

    /// Adds an address to the loopback interface, such as `10.0.0.1/32`.
    ///
    /// # Panics
    /// When it cannot.
    pub fn add_address(&self, address: &str) {
        self.ip(&["address", "add", address, "dev", "lo"]);
    }

    /// Joins two by a cable with these addresses at its ends, such as `10.0.1.1/24`.
    ///
    /// # Panics
    /// When it cannot.
    pub fn link(&self, here: &str, other: &Self, there: &str) {
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let (near, far) = (format!("near{number}"), format!("far{number}"));
        self.ip(&[
            "link",
            "add",
            &near,
            "type",
            "veth",
            "peer",
            "name",
            &far,
            "netns",
            &other.name,
        ]);
        for (namespace, device, address) in [(self, &near, here), (other, &far, there)] {
            namespace.ip(&["address", "add", address, "dev", device]);
            namespace.ip(&["link", "set", device, "up"]);
        }
    }

    /// Reaches an address by way of another.
    ///
    /// # Panics
    /// When that cannot be set.
    pub fn route(&self, address: &str, via: &str) {
        self.ip(&["route", "add", address, "via", via]);
    }

    /// Runs something in it, on a thread of its own: threads and processes that it starts are in it as well.
    ///
    /// # Panics
    /// When it cannot be entered, or `run` panics.
    pub fn run<T: Send>(&self, run: impl FnOnce() -> T + Send) -> T {
        std::thread::scope(|scope| {
            let inside = scope.spawn(|| {
                self.enter();
                run()
            });
            match inside.join() {
                Ok(result) => result,
                Err(panic) => std::panic::resume_unwind(panic),
            }
        })
    }

    fn enter(&self) {
        let path = format!("/run/netns/{}", self.name);
        let file = File::open(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
        move_into_link_name_space(file.as_fd(), Some(LinkNameSpaceType::Network))
            .unwrap_or_else(|error| panic!("{path} cannot be entered: {error}"));
    }

    fn ip(&self, arguments: &[&str]) {
        let mut all = vec!["-n", &self.name];
        all.extend(arguments);
        assert!(try_ip(&all), "ip {all:?} failed");
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        // What is left goes with the machine.
        try_ip(&["netns", "delete", &self.name]);
    }
}

fn try_ip(arguments: &[&str]) -> bool {
    let status = Command::new("ip")
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    status.is_ok_and(|status| status.success())
}
