//! Verifies passwords against their stored hashes (behaviour.md 1.6).
//!
//! Hashes are made to be slow, so they are verified by threads of their own, few of them, with a bounded queue. Results are
//! kept for some minutes under a keyed hash of what the client sent, so that a request of a known client costs that hash and
//! one look-up; concurrent requests with the same credentials wait for one verification. The password itself is kept only
//! until it is verified.

mod des_crypt;
mod hash;
mod md5_crypt;
mod results;

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::Instant;

use headgate_table::{BasicUsers, Credentials, PasswordHash, Users};
use parking_lot::Mutex;
use tokio::sync::watch;
use zeroize::Zeroizing;

pub(crate) use self::hash::equal;
use self::results::Results;
use crate::keyed_hash::{Digest, HashKey};

/// Verifications that may wait; beyond, requests get 503. With bcrypt of cost 10 the last one waits for about two seconds.
const QUEUE: usize = 64;
/// Parts of the results, so that workers rarely wait for each other.
const SHARDS: usize = 16;

/// A keyed hash of a client's credentials and of the users that they are checked against.
pub(crate) type Key = Digest;

/// The verifier of a process.
pub(crate) struct Passwords {
    /// Random for each process: results cannot be predicted or compared with others.
    key: HashKey,
    shards: Arc<Shards>,
    /// To the threads, which start with the first slow verification.
    queue: OnceLock<Option<SyncSender<Job>>>,
    threads: usize,
}

/// A user name and a password.
pub(crate) struct Login {
    pub(crate) user: Vec<u8>,
    pub(crate) password: Zeroizing<Vec<u8>>,
}

/// The outcome of a verification.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The password is that of the user.
    Granted,
    /// It is not, or there is no such user.
    Refused,
    /// Too many verifications wait.
    Overloaded,
}

type Shards = [Mutex<Shard>; SHARDS];

#[derive(Default)]
struct Shard {
    results: Results,
    /// Verifications that wait or run. A closed channel without a value: it was given up.
    pending: foldhash::HashMap<Key, watch::Receiver<Option<bool>>>,
}

/// A verification for the threads.
struct Job {
    key: Key,
    credentials: Arc<Credentials>,
    login: Login,
    done: watch::Sender<Option<bool>>,
}

impl Passwords {
    /// A verifier for a process with `workers` threads that serve requests.
    pub(crate) fn new(workers: usize) -> Self {
        Self {
            key: HashKey::random(),
            shards: Arc::default(),
            queue: OnceLock::new(),
            threads: workers.div_ceil(2),
        }
    }

    /// The keyed hash of `parts`, each preceded by its length.
    pub(crate) fn key(&self, parts: &[&[u8]]) -> Key {
        self.key.hash(parts)
    }

    /// The result of a former verification.
    pub(crate) fn known(&self, key: &Key, now: Instant) -> Option<bool> {
        self.shard(key).lock().results.get(key, now)
    }

    /// Verifies `login`; `key` stands for it and the users of `credentials`.
    pub(crate) async fn verify(
        &self,
        key: Key,
        credentials: &Arc<Credentials>,
        login: Login,
    ) -> Verdict {
        let Users::Basic(users) = &credentials.users else {
            return Verdict::Refused;
        };
        let Some(hash) = hash_for(users, &login) else {
            return Verdict::Refused;
        };
        if !hash.format.is_slow() {
            return Verdict::of(is_right(users, &login));
        }
        let pending = self.pending(key, credentials, login);
        let Some(mut pending) = pending else {
            return Verdict::Overloaded;
        };
        match pending.wait_for(Option::is_some).await {
            Ok(granted) => Verdict::of(*granted == Some(true)),
            Err(_closed) => Verdict::Overloaded,
        }
    }

    /// The running verification of the same credentials, or a new one; `None` if too many wait.
    fn pending(
        &self,
        key: Key,
        credentials: &Arc<Credentials>,
        login: Login,
    ) -> Option<watch::Receiver<Option<bool>>> {
        let mut shard = self.shard(&key).lock();
        if let Some(pending) = shard.pending.get(&key) {
            return Some(pending.clone());
        }
        let (done, pending) = watch::channel(None);
        let job = Job {
            key,
            credentials: credentials.clone(),
            login,
            done,
        };
        let queue = self.queue.get_or_init(|| self.start());
        queue.as_ref()?.try_send(job).ok()?;
        shard.pending.insert(key, pending.clone());
        Some(pending)
    }

    /// Starts the threads; `None` if the system refuses one.
    fn start(&self) -> Option<SyncSender<Job>> {
        let (sender, receiver) = sync_channel(QUEUE);
        let receiver = Arc::new(Mutex::new(receiver));
        for _ in 0..self.threads {
            let (receiver, shards) = (receiver.clone(), self.shards.clone());
            let thread = thread::Builder::new().name("passwords".to_owned());
            if let Err(error) = thread.spawn(move || work(&receiver, &shards)) {
                tracing::error!(%error, "cannot start a thread that verifies passwords");
                return None;
            }
        }
        Some(sender)
    }

    fn shard(&self, key: &Key) -> &Mutex<Shard> {
        shard(&self.shards, key)
    }
}

impl Verdict {
    fn of(granted: bool) -> Self {
        if granted {
            Self::Granted
        } else {
            Self::Refused
        }
    }
}

fn shard<'s>(shards: &'s Shards, key: &Key) -> &'s Mutex<Shard> {
    &shards[usize::from(key[0]) % SHARDS]
}

/// Verifies until the verifier is dropped.
fn work(receiver: &Mutex<Receiver<Job>>, shards: &Shards) {
    loop {
        let job = receiver.lock().recv();
        let Ok(job) = job else { return };
        run(job, shards);
    }
}

fn run(job: Job, shards: &Shards) {
    let Job {
        key,
        credentials,
        login,
        done,
    } = job;
    let granted = match &credentials.users {
        Users::Basic(users) => is_right(users, &login),
        Users::Digest(_) => false,
    };
    let mut shard = shard(shards, &key).lock();
    shard.results.insert(key, granted, Instant::now());
    shard.pending.remove(&key);
    drop(shard);
    done.send_replace(Some(granted));
}

/// The hash to verify: that of the user, or of another one if there is no such user.
fn hash_for<'u>(users: &'u BasicUsers, login: &Login) -> Option<&'u PasswordHash> {
    let own = users.hashes.get(login.user.as_slice());
    own.or(users.slowest.as_ref())
}

/// Whether the password is that of the user. An unknown user takes as long as a known one.
fn is_right(users: &BasicUsers, login: &Login) -> bool {
    let known = users.hashes.contains_key(login.user.as_slice());
    let hash = hash_for(users, login);
    let matches = hash.is_some_and(|hash| hash::matches(hash, &login.password));
    known && matches
}

#[cfg(test)]
mod tests;
