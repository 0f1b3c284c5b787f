//! Runs what hyper spawns for HTTP/2 on the worker's own thread.

use std::future::poll_fn;
use std::rc::Rc;
use std::task::Poll;

use super::streams::Streams;
use crate::worker::Worker;

/// Spawns onto the thread it is used on.
#[derive(Clone)]
pub(super) struct LocalExecutor {
    worker: Rc<Worker>,
    streams: Rc<Streams>,
}

impl LocalExecutor {
    /// Panics in what it runs are counted by `worker`; a stream that `streams` cuts is dropped, which resets it.
    pub(super) fn new(worker: Rc<Worker>, streams: Rc<Streams>) -> Self {
        Self { worker, streams }
    }
}

impl<F: Future + 'static> hyper::rt::Executor<F> for LocalExecutor {
    /// hyper calls the service for a request and then, at once, this for the task that serves its stream.
    fn execute(&self, future: F) {
        let counted = CountPanic(self.worker.clone());
        let streams = self.streams.clone();
        let task = streams.newest();
        tokio::task::spawn_local(async move {
            let _counted = counted;
            let mut future = std::pin::pin!(future);
            poll_fn(|cx| {
                if task.is_some_and(|task| streams.poll_cut(task, cx)) {
                    return Poll::Ready(());
                }
                future.as_mut().poll(cx).map(drop)
            })
            .await;
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
