//! Response buffering (`proxy-buffering: "on"`): an endpoint is free as soon as it has sent its response, however slowly
//! the client reads.
//!
//! A task reads what the endpoint sends: into memory first, then into a file until the client has caught up. The client
//! gets memory before the file, which is the order in which they were filled.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker, ready};

use bytes::Bytes;
use http_body::{Frame, SizeHint};
use tokio::task::{AbortHandle, JoinHandle};

use super::response_body::{BodyError, Direct};
use super::spool::{Disk, Spool};

/// Bytes held in memory.
const MEMORY: usize = 64 << 10;

/// The client's end of a body that is read ahead.
pub(super) struct ReadAhead {
    shared: Rc<RefCell<Shared>>,
    hint: SizeHint,
    taken: u64,
    read: Option<JoinHandle<io::Result<Bytes>>>,
    pump: AbortHandle,
}

#[derive(Default)]
struct Shared {
    memory: VecDeque<Frame<Bytes>>,
    held: usize,
    spool: Option<Spool>,
    /// Offsets in the file of the next bytes to write and to read.
    written: u64,
    read: u64,
    end: Option<Result<(), BodyError>>,
    client: Option<Waker>,
    pump: Option<Waker>,
}

impl ReadAhead {
    /// Starts reading `direct`. The endpoint must wait while `file_limit` bytes are in the file, as with nginx's
    /// `proxy_max_temp_file_size`; if that is zero, or the file cannot be written, while memory is full.
    pub(super) fn new(direct: Direct, file_limit: u64, disk: Disk) -> Self {
        let shared = Rc::<RefCell<Shared>>::default();
        let hint = direct.size_hint();
        let pump = pump(direct, shared.clone(), (file_limit, disk));
        let pump = tokio::task::spawn_local(pump).abort_handle();
        Self {
            shared,
            hint,
            taken: 0,
            read: None,
            pump,
        }
    }

    /// The next frame for the client.
    pub(super) fn poll_next(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        if let Some(read) = &mut self.read {
            let result = ready!(Pin::new(read).poll(cx));
            self.read = None;
            return Poll::Ready(Some(self.taken_from_file(
                result.unwrap_or_else(|error| Err(io::Error::other(error))),
            )));
        }
        let mut shared = self.shared.borrow_mut();
        if let Some(frame) = shared.memory.pop_front() {
            let length = frame.data_ref().map_or(0, Bytes::len);
            shared.held -= length;
            self.taken += length as u64;
            wake(&mut shared.pump);
            return Poll::Ready(Some(Ok(frame)));
        }
        if shared.read < shared.written
            && let Some(spool) = &shared.spool
        {
            let left = shared.written - shared.read;
            self.read = Some(spool.read_at(shared.read, left.min(MEMORY as u64)));
            drop(shared);
            return self.poll_next(cx);
        }
        match &mut shared.end {
            Some(Ok(())) => Poll::Ready(None),
            Some(end) => Poll::Ready(std::mem::replace(end, Ok(())).err().map(Err)),
            None => {
                shared.client = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }

    /// Whether the client has read everything.
    pub(super) fn is_end(&self) -> bool {
        let shared = self.shared.borrow();
        matches!(shared.end, Some(Ok(())))
            && shared.memory.is_empty()
            && shared.read == shared.written
    }

    /// How much is left, if the endpoint announced a length.
    pub(super) fn size_hint(&self) -> SizeHint {
        self.hint.exact().map_or_else(SizeHint::new, |all| {
            SizeHint::with_exact(all.saturating_sub(self.taken))
        })
    }

    fn taken_from_file(&mut self, result: io::Result<Bytes>) -> Result<Frame<Bytes>, BodyError> {
        let bytes = result.map_err(BodyError::Spool)?;
        let mut shared = self.shared.borrow_mut();
        shared.read += bytes.len() as u64;
        self.taken += bytes.len() as u64;
        wake(&mut shared.pump);
        Ok(Frame::data(bytes))
    }
}

impl Drop for ReadAhead {
    fn drop(&mut self) {
        self.pump.abort();
    }
}

/// Reads the body to its end.
async fn pump(mut direct: Direct, shared: Rc<RefCell<Shared>>, file: (u64, Disk)) {
    let result = fill(&mut direct, &shared, &file).await;
    let mut shared = shared.borrow_mut();
    shared.end = Some(result);
    wake(&mut shared.client);
}

async fn fill(
    direct: &mut Direct,
    shared: &RefCell<Shared>,
    file: &(u64, Disk),
) -> Result<(), BodyError> {
    while !direct.is_end() {
        let Some(frame) = poll_fn(|cx| direct.poll_next(cx)).await else {
            break;
        };
        match frame?.into_data() {
            Ok(bytes) => store(bytes, shared, file).await,
            // Trailers come last: they wait until the client has read the file.
            Err(trailers) => {
                room(shared, |shared| shared.read == shared.written).await;
                push(shared, trailers);
            }
        }
    }
    Ok(())
}

async fn store(bytes: Bytes, shared: &RefCell<Shared>, (file_limit, disk): &(u64, Disk)) {
    let fits_in_memory = |shared: &Shared| shared.read == shared.written && shared.held < MEMORY;
    if *file_limit > 0 && !fits_in_memory(&shared.borrow()) {
        room(shared, |shared| shared.written - shared.read < *file_limit).await;
        match write(bytes.clone(), shared, disk).await {
            Ok(()) => return,
            Err(error) => disk.warn(&error),
        }
    }
    room(shared, fits_in_memory).await;
    push(shared, Frame::data(bytes));
}

/// Writes to the file what follows the rest of it.
async fn write(bytes: Bytes, shared: &RefCell<Shared>, disk: &Disk) -> io::Result<()> {
    let length = bytes.len() as u64;
    let spool = shared.borrow().spool.clone();
    let spool = match spool {
        Some(spool) => spool,
        None => Spool::create(disk.clone()).await?,
    };
    let offset = {
        let mut shared = shared.borrow_mut();
        // The client has read everything, so the file is overwritten from its start.
        if shared.read == shared.written {
            (shared.read, shared.written) = (0, 0);
        }
        shared.spool = Some(spool.clone());
        shared.written
    };
    spool.write_at(vec![bytes], offset).await?;
    let mut shared = shared.borrow_mut();
    shared.written = offset + length;
    wake(&mut shared.client);
    Ok(())
}

fn push(shared: &RefCell<Shared>, frame: Frame<Bytes>) {
    let mut shared = shared.borrow_mut();
    shared.held += frame.data_ref().map_or(0, Bytes::len);
    shared.memory.push_back(frame);
    wake(&mut shared.client);
}

/// Waits until `free` holds.
async fn room(shared: &RefCell<Shared>, free: impl Fn(&Shared) -> bool) {
    poll_fn(|cx| {
        let mut shared = shared.borrow_mut();
        if free(&shared) {
            return Poll::Ready(());
        }
        shared.pump = Some(cx.waker().clone());
        Poll::Pending
    })
    .await;
}

fn wake(waker: &mut Option<Waker>) {
    if let Some(waker) = waker.take() {
        waker.wake();
    }
}
