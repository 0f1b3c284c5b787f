//! Network namespaces: each is like a machine with its own ports 80 and 443, and none has access to the outside.
//!
//! `ip` creates them, which needs root; [`NetworkNamespace::new`] returns `None` without it.

use std::fs::File;
use std::os::fd::AsFd as _;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

/// Makes names unique in this process.
static COUNT: AtomicU32 = AtomicU32::new(0);

/// A network namespace with its loopback interface up. Clones share it; it is deleted when the last clone is dropped and no
/// thread or process is left in it.
#[derive(Clone, Debug)]
pub struct NetworkNamespace {
    created: Arc<Created>,
}

#[derive(Debug)]
struct Created {
    name: String,
}

impl NetworkNamespace {
    /// Creates a namespace; `None` without the permission.
    pub fn new() -> Option<Self> {
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("headgate-{}-{number}", std::process::id());
        if !try_ip(&["netns", "add", &name]) {
            return None;
        }
        let namespace = Self {
            created: Arc::new(Created { name }),
        };
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

    /// Connects two namespaces by a virtual cable with these addresses at its ends, such as `10.0.1.1/24`.
    ///
    /// # Panics
    /// When it cannot.
    pub fn link(&self, address: &str, other: &Self, other_address: &str) {
        cable((Some(self), address), (other, other_address));
    }

    /// Connects the machine itself to the namespace by a virtual cable with these addresses at its ends. The cable is deleted
    /// with the namespace.
    ///
    /// # Panics
    /// When it cannot.
    pub fn attach(&self, machine_address: &str, address: &str) {
        cable((None, machine_address), (self, address));
    }

    /// Adds a route to an address via another.
    ///
    /// # Panics
    /// When it cannot.
    pub fn route(&self, address: &str, via: &str) {
        self.ip(&["route", "add", address, "via", via]);
    }

    /// Calls `run` in the namespace, on a new thread; the threads and processes that it starts are in the namespace as well.
    ///
    /// # Panics
    /// When the namespace cannot be entered, or `run` panics.
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
        let path = format!("/run/netns/{}", self.created.name);
        let file = File::open(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
        move_into_link_name_space(file.as_fd(), Some(LinkNameSpaceType::Network))
            .unwrap_or_else(|error| panic!("{path} cannot be entered: {error}"));
    }

    fn ip(&self, arguments: &[&str]) {
        ip(Some(self), arguments);
    }
}

impl Drop for Created {
    fn drop(&mut self) {
        // Nothing depends on the deletion.
        try_ip(&["netns", "delete", &self.name]);
    }
}

/// Connects a namespace, or the machine itself (`None`), to another namespace. Each end has an address.
fn cable(
    (near, near_address): (Option<&NetworkNamespace>, &str),
    (far, far_address): (&NetworkNamespace, &str),
) {
    let number = COUNT.fetch_add(1, Ordering::Relaxed);
    // All processes share the names of devices, which have 15 bytes at most.
    let device = |end: &str| format!("{end}{}-{number}", std::process::id() % 1_000_000);
    let (near_end, far_end) = (device("hg"), device("hf"));
    let peer = [
        "type",
        "veth",
        "peer",
        "name",
        &far_end,
        "netns",
        &far.created.name,
    ];
    ip(near, &[&["link", "add", &near_end][..], &peer].concat());
    for (namespace, device, address) in [
        (near, &near_end, near_address),
        (Some(far), &far_end, far_address),
    ] {
        ip(namespace, &["address", "add", address, "dev", device]);
        ip(namespace, &["link", "set", device, "up"]);
    }
}

/// Runs `ip` in a namespace, or (`None`) in that of this process.
fn ip(namespace: Option<&NetworkNamespace>, arguments: &[&str]) {
    let mut all = Vec::new();
    if let Some(namespace) = namespace {
        all.extend(["-n", &namespace.created.name]);
    }
    all.extend(arguments);
    assert!(try_ip(&all), "ip {all:?} failed");
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
