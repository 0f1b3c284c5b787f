//! Runs the tasks that hyper spawns for HTTP/2 on the worker's own thread.

use std::future::poll_fn;
use std::rc::Rc;
use std::task::Poll;

use super::streams::Streams;
use crate::worker::{CountPanic, Worker};

/// Spawns onto the thread it is used on.
#[derive(Clone)]
pub(super) struct LocalExecutor {
    worker: Rc<Worker>,
    streams: Rc<Streams>,
}

impl LocalExecutor {
    /// `worker` counts panics of the tasks; a stream that `streams` aborts is dropped, which resets it.
    pub(super) fn new(worker: Rc<Worker>, streams: Rc<Streams>) -> Self {
        Self { worker, streams }
    }
}

impl<F: Future + 'static> hyper::rt::Executor<F> for LocalExecutor {
    /// hyper calls this for the task of a stream right after it has called the service for the stream's request.
    fn execute(&self, future: F) {
        let counted = CountPanic(self.worker.clone());
        let streams = self.streams.clone();
        let task = streams.newest();
        tokio::task::spawn_local(async move {
            let _counted = counted;
            let mut future = std::pin::pin!(future);
            poll_fn(|cx| {
                if task.is_some_and(|task| streams.poll_aborted(task, cx)) {
                    return Poll::Ready(());
                }
                future.as_mut().poll(cx).map(drop)
            })
            .await;
        });
    }
}
