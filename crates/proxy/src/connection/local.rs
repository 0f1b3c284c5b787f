//! Runs what hyper spawns for HTTP/2 on the worker's own thread.

use std::rc::Rc;

use crate::worker::Worker;

/// Spawns onto the thread it is used on.
#[derive(Clone)]
pub(super) struct LocalExecutor {
    worker: Rc<Worker>,
}

impl LocalExecutor {
    /// Panics in what it runs are counted by `worker`.
    pub(super) fn new(worker: Rc<Worker>) -> Self {
        Self { worker }
    }
}

impl<F: Future + 'static> hyper::rt::Executor<F> for LocalExecutor {
    fn execute(&self, future: F) {
        let counted = CountPanic(self.worker.clone());
        tokio::task::spawn_local(async move {
            let _counted = counted;
            future.await;
        });
    }
}

/// Counts a panic that unwinds through its owner. The runtime catches it: other tasks go on.
pub(crate) struct CountPanic(pub(crate) Rc<Worker>);

impl Drop for CountPanic {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.telemetry.panicked();
        }
    }
}
