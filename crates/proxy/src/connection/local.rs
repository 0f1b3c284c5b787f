//! Starts the futures that hyper has for the streams of a client's HTTP/2 connection.

use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use super::streams::{Streams, Task};
use crate::running::{Running, Started};
use crate::worker::{CountPanic, Worker};

/// Starts futures, which [`LocalExecutor::running`] polls.
#[derive(Clone)]
pub(super) struct LocalExecutor {
    connection: Rc<Shared>,
    started: Started<Serving>,
}

struct Shared {
    worker: Rc<Worker>,
    streams: Rc<Streams>,
}

/// One stream, to the end of its response.
pub(super) struct Serving {
    connection: Rc<Shared>,
    task: Option<Task>,
    /// Boxed, because hyper's future is large and this moves.
    future: Pin<Box<dyn Future<Output = ()>>>,
}

impl LocalExecutor {
    /// `worker` counts panics; a stream that `streams` aborts is dropped, which resets it.
    pub(super) fn new(worker: Rc<Worker>, streams: Rc<Streams>) -> Self {
        Self {
            connection: Rc::new(Shared { worker, streams }),
            started: Started::default(),
        }
    }

    /// What this and its clones start.
    pub(super) fn running(&self) -> Running<Serving> {
        Running::new(self.started.clone())
    }
}

impl<F: Future<Output = ()> + 'static> hyper::rt::Executor<F> for LocalExecutor {
    /// hyper calls this for the future of a stream right after it has called the service for the stream's request.
    fn execute(&self, future: F) {
        self.started.push(Serving {
            connection: self.connection.clone(),
            task: self.connection.streams.newest(),
            future: Box::pin(future),
        });
    }
}

impl Future for Serving {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let Self {
            connection,
            task,
            future,
        } = &mut *self;
        if task.is_some_and(|task| connection.streams.poll_aborted(task, cx)) {
            return Poll::Ready(());
        }
        let _counted = CountPanic(connection.worker.clone());
        future.as_mut().poll(cx)
    }
}
