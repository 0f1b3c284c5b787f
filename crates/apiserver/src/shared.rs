//! State shared by requests, watches and the test.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::net::SocketAddr;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};

use super::cluster::Cluster;
use super::faults::{Disturbance, Fault};
use super::lock;
use super::log::{Recorded, UsedPermission};
use super::options::Options;
use super::store::Store;
use super::stored::{Key, Stored};
use super::users::Users;
use super::webhook::PooledConnection;

/// Maximum of recorded requests.
const MAX_RECORDED: usize = 200_000;

pub(crate) struct Shared {
    pub(crate) options: Options,
    pub(crate) address: SocketAddr,
    /// The real cluster; `None`: the objects are in memory.
    pub(crate) cluster: Option<Cluster>,
    state: Mutex<State>,
    changed: Condvar,
    control: Mutex<Control>,
    activity: Condvar,
}

/// Objects, and disturbances of their watches.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) store: Store,
    pub(crate) disturbances: Vec<Disturbed>,
}

/// A disturbance, and its position between the changes.
#[derive(Clone, Debug)]
pub(crate) struct Disturbed {
    /// It takes effect after the changes up to this version.
    pub(crate) version: u64,
    /// Watches of this resource; `None`: all.
    pub(crate) resource: Option<String>,
    pub(crate) disturbance: Disturbance,
}

/// A watch that is open.
#[derive(Clone, Debug)]
pub(crate) struct Open {
    pub(crate) resource: String,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        to.debug_tuple("Shared").field(&self.address).finish()
    }
}

/// State besides the objects.
#[derive(Debug, Default)]
pub(crate) struct Control {
    pub(crate) users: Users,
    pub(crate) enforce: bool,
    pub(crate) faults: Vec<Fault>,
    /// Watches of older versions of the real cluster are refused.
    pub(crate) floor: u64,
    pub(crate) requests: VecDeque<Recorded>,
    pub(crate) used: BTreeSet<UsedPermission>,
    pub(crate) denied: Vec<Recorded>,
    pub(crate) watches: BTreeMap<u64, Open>,
    pub(crate) opened: u64,
    pub(crate) services: HashMap<(String, String, u16), SocketAddr>,
    /// Connections to webhooks, by address, server name and caBundle.
    pub(crate) pool: HashMap<(SocketAddr, String, String), PooledConnection>,
}

impl Shared {
    pub(crate) fn new(
        options: Options,
        address: SocketAddr,
        cluster: Option<Cluster>,
    ) -> Arc<Self> {
        Arc::new(Self {
            options,
            address,
            cluster,
            state: Mutex::new(State {
                store: Store::new(),
                disturbances: Vec::new(),
            }),
            changed: Condvar::new(),
            control: Mutex::new(Control::default()),
            activity: Condvar::new(),
        })
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    /// Signalled when an object changed; for use with [`Self::state`].
    pub(crate) fn changed(&self) -> &Condvar {
        &self.changed
    }

    pub(crate) fn control(&self) -> MutexGuard<'_, Control> {
        lock(&self.control)
    }

    /// Signalled when a request arrived, or a watch opened or ended; for use with [`Self::control`].
    pub(crate) fn activity(&self) -> &Condvar {
        &self.activity
    }

    /// The object with this key.
    pub(crate) fn find(&self, storage: usize, key: &Key) -> Option<Arc<Stored>> {
        self.state().store.get(storage, key).cloned()
    }

    /// Records a request.
    pub(crate) fn record(&self, request: Recorded) {
        let mut control = self.control();
        if control.requests.len() == MAX_RECORDED {
            control.requests.pop_front();
        }
        control.requests.push_back(request);
        drop(control);
        self.activity.notify_all();
    }

    /// Registers a watch, until the guard is dropped.
    pub(crate) fn open(self: &Arc<Self>, resource: String) -> Opened {
        let mut control = self.control();
        control.opened += 1;
        let id = control.opened;
        control.watches.insert(id, Open { resource });
        drop(control);
        self.activity.notify_all();
        Opened {
            shared: self.clone(),
            id,
        }
    }
}

/// Keeps a watch registered.
#[derive(Debug)]
pub(crate) struct Opened {
    shared: Arc<Shared>,
    id: u64,
}

impl Drop for Opened {
    fn drop(&mut self) {
        self.shared.control().watches.remove(&self.id);
        self.shared.activity.notify_all();
    }
}
