//! Idle connections are looked at now and then, and dropped when they may not be used any more.

use std::future::poll_fn;
use std::net::SocketAddr;
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use headgate_table::{Endpoints, RoutingTable, Upstream, UpstreamKey};
use tokio::time::{Instant, sleep};

use super::super::Upstreams;
use super::super::resolve::Resolver;
use super::{Key, Pools};

/// Interval between sweeps of idle connections.
pub(super) const SWEEP: Duration = Duration::from_secs(5);

/// From the end of an idle connection to the sweep that it causes: an endpoint that stops ends all of its own at once.
const GATHER: Duration = Duration::from_millis(100);

impl Upstreams {
    /// Starts the task that sweeps the pools, unless it runs: now and then, and soon after the end of a connection that the last
    /// sweep has seen. So requests pay nothing for it. It ends with the worker.
    pub(super) fn ensure_sweeper(self: &Rc<Self>) {
        if self.pools.sweeping.replace(true) {
            return;
        }
        let upstreams = Rc::downgrade(self);
        tokio::task::spawn_local(async move {
            loop {
                woken_or(SWEEP).await;
                sleep(GATHER).await;
                let Some(upstreams) = upstreams.upgrade() else {
                    return;
                };
                let swept = poll_fn(|cx| {
                    upstreams.sweep_for(cx);
                    Poll::Ready(())
                });
                swept.await;
            }
        });
    }

    /// Drops connections that are too old, closed, or to an endpoint that is not in service any more.
    #[cfg(test)]
    pub(in super::super) fn sweep(&self) {
        self.sweep_for(&mut Context::from_waker(std::task::Waker::noop()));
    }

    /// The same. The task of `cx` is woken when a connection that stays ends.
    pub(in super::super) fn sweep_for(&self, cx: &mut Context<'_>) {
        let (table, resolver) = (self.table.get(), &self.environment.resolver);
        self.pools.sweep(&table, resolver, cx);
    }
}

impl Pools {
    fn sweep(&self, table: &RoutingTable, resolver: &Resolver, cx: &mut Context<'_>) {
        let (limits, now) = (&table.settings.pool, Instant::now());
        let serves = |id: &UpstreamKey, key: &Key| {
            table
                .upstream(id)
                .is_some_and(|upstream| in_service(upstream, key.address, resolver))
        };
        let mut idle = 0;
        self.http1.borrow_mut().retain(|key, kept| {
            kept.retain(|connection| {
                connection.is_within(limits, now)
                    && serves(&connection.upstream, key)
                    && connection.connection.poll_usable(cx)
            });
            idle += kept.len();
            !kept.is_empty()
        });
        self.idle.set(idle);
        self.http2.borrow_mut().retain(|key, kept| {
            kept.retain(|connection| {
                connection.is_usable(limits, now) && serves(&connection.upstream, key)
            });
            !kept.is_empty()
        });
    }
}

/// Whether `address` is an endpoint of `upstream`. A name that is not resolved any more has none.
fn in_service(upstream: &Upstream, address: SocketAddr, resolver: &Resolver) -> bool {
    match &upstream.endpoints {
        Endpoints::None(_) => false,
        Endpoints::Addresses(addresses) => addresses.contains(&address),
        Endpoints::Name { host, .. } => resolver
            .known(host)
            .is_some_and(|addresses| addresses.contains(&address.ip())),
    }
}

/// Ready when the task is woken by something else, or when `time` has passed.
async fn woken_or(time: Duration) {
    let mut sleep = pin!(sleep(time));
    let mut waiting = false;
    poll_fn(|cx| match sleep.as_mut().poll(cx) {
        Poll::Pending if !std::mem::replace(&mut waiting, true) => Poll::Pending,
        Poll::Pending | Poll::Ready(()) => Poll::Ready(()),
    })
    .await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_wait_ends_with_its_time_or_with_another_poll() {
        let start = Instant::now();
        woken_or(SWEEP).await;
        assert_eq!(start.elapsed(), SWEEP);
        let mut wait = pin!(woken_or(SWEEP));
        assert!(futures_util::poll!(&mut wait).is_pending());
        assert!(futures_util::poll!(&mut wait).is_ready());
        assert_eq!(start.elapsed(), SWEEP);
    }
}
