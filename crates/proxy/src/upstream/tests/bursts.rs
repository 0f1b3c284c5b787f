//! Bursts of requests to an endpoint without connections, and more endpoints than the pool has room for.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Wake};
use std::time::Duration;

use futures_util::future::join_all;
use headgate_table::{BackendProtocol, PoolSettings, Settings};
use http_body_util::Full;
use hyper_util::rt::TokioIo;
use tokio::time::Instant;

use super::*;
use crate::upstream::dials::Turn;
use crate::upstream::pool::Key;
use crate::upstream::testing::Local;
use crate::upstream::{CallError, CallOptions};

fn key(world: &World, http2: bool) -> Key {
    let forwarding = forwarding();
    let options = CallOptions::of(&forwarding, &world.upstream, false);
    let headgate_table::Endpoints::Addresses(addresses) = &world.upstream.endpoints else {
        panic!("there are addresses");
    };
    Key {
        address: addresses[0],
        http2,
        tls: None,
        buffer: options.buffer(),
    }
}

#[tokio::test]
async fn a_burst_shares_the_connections_that_it_opens() {
    local(async {
        let endpoint = Endpoint::responding(OK).await;
        let world = World::new(upstream(&[endpoint.address]), forwarding());
        let responses = join_all((0..300).map(|_| world.get())).await;
        assert!(responses.iter().all(|response| response.ends_with("ok")));
        let opened = endpoint.connections.get();
        assert!(opened <= 200, "{opened} connections for 300 requests");
        assert_eq!(world.upstreams.pools.dials.len(), 0);
    })
    .await;
}

#[tokio::test]
async fn requests_that_last_get_as_many_connections_as_they_are() {
    local(async {
        let endpoint = Endpoint::silent().await;
        let world = World::new(upstream(&[endpoint.address]), forwarding());
        let clients: Vec<_> = (0..100)
            .map(|_| {
                let world = world.clone();
                tokio::task::spawn_local(async move { world.get().await })
            })
            .collect();
        while endpoint.requests.borrow().len() < 100 {
            tokio::task::yield_now().await;
        }
        assert_eq!(endpoint.connections.get(), 100);
        clients.iter().for_each(|client| client.abort());
    })
    .await;
}

#[tokio::test]
async fn a_request_waits_for_its_turn_or_for_a_connection_that_is_given_back() {
    local(async {
        let endpoint = Endpoint::responding(OK).await;
        let world = World::new(upstream(&[endpoint.address]), forwarding());
        let key = key(&world, false);
        let slot = || world.upstreams.slot(&key);
        let mut slots: Vec<_> = std::iter::from_fn(|| slot().ok()).take(1000).collect();
        assert_eq!(slots.len(), 32);
        let bound = Duration::from_secs(5);
        let [Err(first), Err(gone), Err(second), Err(third)] = [(); 4].map(|()| slot()) else {
            panic!("no more at once");
        };
        drop(gone);
        slots.pop();
        let Turn::Open(first) = first.turn(bound).await else {
            panic!("its turn");
        };
        drop(first);
        let Turn::Open(slot_of_second) = second.turn(bound).await else {
            panic!("its turn, after one that waits no longer");
        };
        slots.push(slot_of_second);
        // A connection of another request, which had it before all these.
        let lease = lease(&world).await;
        while endpoint.connections.get() < 1 {
            tokio::task::yield_now().await;
        }
        lease.give_back(&world.upstreams, Instant::now());
        assert_eq!(world.idle(), 0, "it is not kept");
        let Turn::Use(lease) = third.turn(bound).await else {
            panic!("a connection that was given back");
        };
        assert_eq!(endpoint.connections.get(), 1);
        lease.give_back(&world.upstreams, Instant::now());
        assert_eq!(world.idle(), 1, "no request waits any more");
        drop(slots);
        assert_eq!(world.upstreams.pools.dials.len(), 0);
    })
    .await;
}

/// The connection of a request that is done.
async fn lease(world: &Rc<World>) -> crate::upstream::pool::Lease {
    // A connection without a turn, as requests have that keep none.
    let dial = crate::upstream::connect::Dial {
        key: key(world, false),
        upstream: world.upstream.key.clone(),
        tls: None,
        fastcgi: None,
        timeout: Duration::from_secs(5),
    };
    let connected = world.upstreams.connect(dial).await;
    connected.unwrap_or_else(|failed| panic!("{}", failed.error))
}

#[tokio::test(start_paused = true)]
async fn patience_ends() {
    local(async {
        let world = World::new(upstream(&["10.0.0.1:80".parse().unwrap()]), forwarding());
        for (http2, bound, expected) in [
            (false, 5000, 100),
            (false, 100, 50),
            (true, 5000, 1000),
            (true, 1000, 500),
        ] {
            let key = key(&world, http2);
            let slot = || world.upstreams.slot(&key);
            let slots: Vec<_> = std::iter::from_fn(|| slot().ok()).take(1000).collect();
            let Err(waiter) = slot() else {
                panic!("no more at once");
            };
            let start = Instant::now();
            let turn = waiter.turn(Duration::from_millis(bound)).await;
            assert!(matches!(turn, Turn::Open(_)));
            assert_eq!(start.elapsed().as_millis(), expected);
            drop((turn, slots));
            assert_eq!(world.upstreams.pools.dials.len(), 0);
        }
    })
    .await;
}

#[tokio::test]
async fn a_connection_of_http2_serves_those_that_wait_for_it() {
    local(async {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let connections = Rc::new(Cell::new(0));
        let counter = connections.clone();
        tokio::task::spawn_local(async move {
            while let Ok((stream, _)) = listener.accept().await {
                counter.set(counter.get() + 1);
                let service = hyper::service::service_fn(async |_| {
                    let body = Full::new(bytes::Bytes::from_static(b"ok"));
                    Ok::<_, std::convert::Infallible>(http::Response::new(body))
                });
                tokio::task::spawn_local(async move {
                    let _ = hyper::server::conn::http2::Builder::new(Local)
                        .serve_connection(TokioIo::new(stream), service)
                        .await;
                });
            }
        });
        let mut upstream = upstream(&[address]);
        upstream.protocol = BackendProtocol::Grpc;
        let world = World::new(upstream, forwarding());
        let responses = join_all((0..250).map(|_| world.get())).await;
        let ok = responses
            .iter()
            .filter(|response| response.starts_with("HTTP/1.1 200"));
        assert_eq!(ok.count(), 250);
        // One for each hundred, and now and then another.
        assert!(connections.get() <= 6, "{}", connections.get());
        assert_eq!(world.upstreams.pools.dials.len(), 0);
    })
    .await;
}

#[tokio::test]
async fn each_request_of_a_burst_fails_by_itself() {
    local(async {
        for protocol in [BackendProtocol::Http, BackendProtocol::Grpc] {
            let mut dead = upstream(&[unused_address().await]);
            dead.protocol = protocol;
            let world = World::new(dead, forwarding());
            join_all((0..100).map(|_| world.get())).await;
            assert_eq!(*world.failures.borrow(), [CallError::Connect; 100]);
            assert_eq!(world.upstreams.pools.dials.len(), 0);
        }
    })
    .await;
}

#[tokio::test]
async fn connections_are_used_again_also_with_more_endpoints_than_the_pool_has_room_for() {
    local(async {
        let endpoints = join_all((0..12).map(|_| Endpoint::responding(OK))).await;
        let addresses: Vec<_> = endpoints.iter().map(|endpoint| endpoint.address).collect();
        let settings = Settings {
            pool: PoolSettings {
                idle: 4,
                ..PoolSettings::default()
            },
            ..Settings::default()
        };
        let world = World::with(upstream(&addresses), forwarding(), settings, true);
        for _ in 0..120 {
            assert!(world.get().await.ends_with("ok"));
            assert!(world.idle() <= 4);
        }
        let opened: usize = endpoints
            .iter()
            .map(|endpoint| endpoint.connections.get())
            .sum();
        // Four of twelve are kept: 12 connections, and 8 for each of the nine rounds after the first.
        assert!(opened < 110, "{opened} connections for 120 requests");
    })
    .await;
}

#[derive(Default)]
struct Flag(AtomicBool);

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[tokio::test]
async fn the_end_of_an_idle_connection_wakes_the_sweeper() {
    local(async {
        let close = Rc::new(tokio::sync::Notify::new());
        let closing = close.clone();
        let endpoint = Endpoint::start(move |_, mut conversation| {
            let closing = closing.clone();
            async move {
                for _ in 0..2 {
                    conversation.request().await;
                    conversation.respond(OK).await;
                }
                closing.notified().await;
            }
        })
        .await;
        let world = World::new(upstream(&[endpoint.address]), forwarding());
        world.get().await;
        let flag = Arc::new(Flag::default());
        let waker = flag.clone().into();
        world.upstreams.sweep_for(&mut Context::from_waker(&waker));
        world.get().await;
        assert!(!flag.0.load(Ordering::Relaxed), "a request is no reason");
        world.upstreams.sweep_for(&mut Context::from_waker(&waker));
        close.notify_one();
        while !flag.0.load(Ordering::Relaxed) {
            tokio::task::yield_now().await;
        }
        world.upstreams.sweep();
        assert_eq!(world.idle(), 0);
    })
    .await;
}
