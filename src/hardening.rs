//! What the process gives up at its start: its memory holds private keys and passwords. A sandbox may forbid some of it, which is
//! no reason not to serve; the messages are for a warning.

use std::io;

use rlimit::Resource;
use rustix::process::{DumpableBehavior, set_dumpable_behavior};
use rustix::thread::set_no_new_privs;

/// Turns off core dumps, and the reading of this process's memory and environment by others of its user.
///
/// The limit prevents core files, but not dumps into a pipe (`kernel.core_pattern` with `|`), for which the process must not be
/// dumpable. It still reads its own files in `/proc/self`.
///
/// # Errors
/// The system refuses it, as a message.
pub(crate) fn hide_memory() -> Result<(), String> {
    set_dumpable_behavior(DumpableBehavior::NotDumpable)
        .map_err(io::Error::from)
        .and_then(|()| rlimit::setrlimit(Resource::CORE, 0, 0))
        .map_err(|error| format!("cannot turn off core dumps: {error}"))
}

/// Gives up to gain privileges by running a program. Threads that exist keep them, so this comes first. Capabilities of the
/// program's own file, such as to bind ports below 1024, were gained when it was started, and stay.
///
/// # Errors
/// The system refuses it, as a message.
pub(crate) fn give_up_new_privileges() -> Result<(), String> {
    set_no_new_privs(true).map_err(|error| {
        let error = io::Error::from(error);
        format!("cannot give up new privileges: {error}")
    })
}
