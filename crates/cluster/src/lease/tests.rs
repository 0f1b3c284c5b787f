#![allow(clippy::unwrap_used, reason = "a test fails by it")]

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use headgate_compile::Name;
use http::Method;
use serde_json::json;
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};

use super::{Elector, Leadership, LeaseMetrics, LeaseOptions};
use crate::fake::{Failure, Fake};

const LEASE: &str = "/apis/coordination.k8s.io/v1/namespaces/ingress/leases/leader";
const TTL: Duration = Duration::from_secs(30);

struct Replica {
    leadership: watch::Receiver<Leadership>,
    metrics: LeaseMetrics,
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
    /// While set, every request of this replica hangs.
    cut_off: Arc<AtomicBool>,
}

impl Replica {
    fn start(fake: &Fake, identity: &str) -> Self {
        let options = LeaseOptions {
            lease: Name::new("ingress", "leader"),
            identity: identity.into(),
            ttl: TTL,
        };
        let metrics = LeaseMetrics::new("leader", &HashMap::new()).unwrap();
        let cut_off = Arc::new(AtomicBool::new(false));
        let client = fake.client_behind(cut_off.clone());
        let elector = Elector::new(client, options, metrics.clone());
        let leadership = elector.leadership();
        let (stop, stopped) = oneshot::channel();
        let task = tokio::spawn(elector.run(async {
            drop(stopped.await);
        }));
        Self {
            leadership,
            metrics,
            stop,
            task,
            cut_off,
        }
    }

    async fn leads(&mut self) {
        let leads = |leadership: &Leadership| matches!(leadership, Leadership::Leader(_));
        timeout(TTL * 3, self.leadership.wait_for(leads))
            .await
            .unwrap()
            .unwrap();
    }

    async fn follows(&mut self) {
        let follows = |leadership: &Leadership| matches!(leadership, Leadership::Follower(_));
        timeout(TTL * 3, self.leadership.wait_for(follows))
            .await
            .unwrap()
            .unwrap();
    }

    fn is_leader(&self) -> bool {
        self.leadership.borrow().leader(Instant::now()).is_some()
    }

    async fn stop(self) {
        self.stop.send(()).unwrap();
        self.task.await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn one_leads_and_the_other_follows_it() {
    let fake = Fake::default();
    let mut one = Replica::start(&fake, "one");
    one.leads().await;
    let mut two = Replica::start(&fake, "two");
    let knows = |leadership: &Leadership| leadership.holder() == Some("one");
    two.leadership.wait_for(knows).await.unwrap();
    tokio::time::sleep(TTL * 10).await;
    assert!(one.is_leader() && !two.is_leader());
    assert_eq!((one.metrics.leads(), two.metrics.leads()), (1, 0));
    let lease = fake.get(LEASE).unwrap();
    assert_eq!(lease["spec"]["holderIdentity"], "one");
    assert_eq!(lease["spec"]["leaseDurationSeconds"], 30);
    assert_eq!(lease["spec"]["leaseTransitions"], 0);
}

#[tokio::test(start_paused = true)]
async fn a_released_lease_is_acquired_before_it_would_expire() {
    let fake = Fake::default();
    let mut one = Replica::start(&fake, "one");
    one.leads().await;
    let mut two = Replica::start(&fake, "two");
    tokio::time::sleep(TTL).await;
    one.stop().await;
    assert_eq!(fake.get(LEASE).unwrap()["spec"]["holderIdentity"], "");
    let begun = Instant::now();
    two.leads().await;
    assert!(begun.elapsed() <= TTL / 2, "{:?}", begun.elapsed());
    assert_eq!(fake.get(LEASE).unwrap()["spec"]["leaseTransitions"], 1);
}

#[tokio::test(start_paused = true)]
async fn another_replica_leads_when_the_claim_of_a_killed_leader_expires() {
    let fake = Fake::default();
    let mut one = Replica::start(&fake, "one");
    one.leads().await;
    let mut two = Replica::start(&fake, "two");
    tokio::time::sleep(TTL).await;
    one.task.abort();
    let begun = Instant::now();
    two.leads().await;
    let took = begun.elapsed();
    assert!(took >= TTL * 3 / 4 && took <= TTL * 3 / 2, "{took:?}");
    let token = one.leadership.borrow().leader(Instant::now()).cloned();
    assert!(
        token.is_none(),
        "the killed leader's token is still current"
    );
}

#[tokio::test(start_paused = true)]
async fn a_leader_that_is_cut_off_stops_before_another_may_start() {
    let fake = Fake::default();
    let mut one = Replica::start(&fake, "one");
    one.leads().await;
    let token = one
        .leadership
        .borrow()
        .leader(Instant::now())
        .cloned()
        .unwrap();
    let mut two = Replica::start(&fake, "two");
    tokio::time::sleep(TTL * 2).await;
    assert!(token.is_current(Instant::now()), "renewed all the while");
    one.cut_off.store(true, Ordering::SeqCst);
    one.follows().await;
    assert!(!token.is_current(Instant::now()));
    assert!(!two.is_leader(), "no replica leads for a while");
    two.leads().await;
    one.cut_off.store(false, Ordering::SeqCst);
    tokio::time::sleep(TTL * 3).await;
    assert!(
        two.is_leader() && !one.is_leader(),
        "it does not take the lease back"
    );
    assert_eq!(one.metrics.leads(), 0);
}

#[tokio::test(start_paused = true)]
async fn leadership_survives_short_failures_of_the_api_server() {
    let fake = Fake::default();
    let mut one = Replica::start(&fake, "one");
    one.leads().await;
    fake.fail_if(|_| Some(Failure::Status(500)));
    tokio::time::sleep(TTL / 3).await;
    assert!(one.is_leader(), "one failed renewal");
    fake.heal();
    tokio::time::sleep(TTL).await;
    assert!(one.is_leader());
    fake.fail_if(|_| Some(Failure::Status(500)));
    one.follows().await;
    fake.heal();
    one.leads().await;
    assert_eq!(
        fake.get(LEASE).unwrap()["spec"]["leaseTransitions"],
        0,
        "it held the lease all the time"
    );
}

#[tokio::test(start_paused = true)]
async fn the_leader_creates_a_deleted_lease_again() {
    let fake = Fake::default();
    let mut one = Replica::start(&fake, "one");
    one.leads().await;
    fake.remove(LEASE);
    tokio::time::sleep(TTL / 2).await;
    assert!(one.is_leader());
    assert_eq!(fake.get(LEASE).unwrap()["spec"]["holderIdentity"], "one");
}

#[tokio::test(start_paused = true)]
async fn a_leader_stops_when_another_client_takes_the_lease() {
    let fake = Fake::default();
    let mut one = Replica::start(&fake, "one");
    one.leads().await;
    fake.modify(LEASE, |lease| {
        lease["spec"]["holderIdentity"] = "other".into()
    });
    one.follows().await;
    assert_eq!(fake.get(LEASE).unwrap()["spec"]["holderIdentity"], "other");
}

#[tokio::test(start_paused = true)]
async fn times_in_the_record_are_not_compared_with_the_local_clock() {
    for times in ["2001-01-01T00:00:00.000000Z", "2099-01-01T00:00:00.000000Z"] {
        let fake = Fake::default();
        fake.put(LEASE, json!({"apiVersion": "coordination.k8s.io/v1", "kind": "Lease",
            "metadata": {"namespace": "ingress", "name": "leader", "labels": {"kept": "yes"}},
            "spec": {"holderIdentity": "ingress-nginx-1", "leaseDurationSeconds": 30, "leaseTransitions": 7,
                "acquireTime": times, "renewTime": times}}));
        let begun = Instant::now();
        let mut one = Replica::start(&fake, "one");
        one.leads().await;
        let took = begun.elapsed();
        assert!(took >= TTL && took < TTL * 3 / 2, "{took:?}");
        let lease = fake.get(LEASE).unwrap();
        assert_eq!(lease["spec"]["leaseTransitions"], 8);
        assert_eq!(lease["metadata"]["labels"]["kept"], "yes");
    }
}

#[tokio::test(start_paused = true)]
async fn a_change_of_metadata_is_not_a_renewal_and_does_not_end_leadership() {
    let fake = Fake::default();
    let mut one = Replica::start(&fake, "one");
    one.leads().await;
    fake.modify(LEASE, |lease| {
        lease["metadata"]["labels"] = json!({"by": "kubectl"})
    });
    tokio::time::sleep(TTL / 2).await;
    assert!(one.is_leader());
    one.task.abort();
    let mut two = Replica::start(&fake, "two");
    let begun = Instant::now();
    for count in 0..10 {
        tokio::time::sleep(TTL / 10).await;
        fake.modify(LEASE, |lease| {
            lease["metadata"]["labels"] = json!({"count": count.to_string()})
        });
    }
    two.leads().await;
    assert!(begun.elapsed() < TTL * 3 / 2, "{:?}", begun.elapsed());
}

#[tokio::test(start_paused = true)]
async fn of_two_replicas_that_start_together_one_leads() {
    let fake = Fake::default();
    let one = Replica::start(&fake, "one");
    let two = Replica::start(&fake, "two");
    for _ in 0..200 {
        tokio::time::sleep(TTL / 50).await;
        assert!(!(one.is_leader() && two.is_leader()));
    }
    assert!(one.is_leader() || two.is_leader());
}

#[tokio::test(start_paused = true)]
async fn a_renewal_is_one_request() {
    let fake = Fake::default();
    let mut one = Replica::start(&fake, "one");
    one.leads().await;
    fake.take_requests();
    tokio::time::sleep(TTL).await;
    let requests = fake.take_requests();
    let count = requests.len();
    assert!((3..=5).contains(&count), "{count}");
    assert!(requests.iter().all(|one| one.method == Method::PUT));
}
