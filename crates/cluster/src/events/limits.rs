//! Limits of Events: by object as in client-go, and of Syncs in all.

use std::collections::HashMap;
use std::time::Duration;

use foldhash::fast::RandomState;
use headgate_compile::Name;
use tokio::time::Instant;

use super::notice::{EventContent, Reason};

/// Of Events on one object.
const OBJECT: Rate = Rate {
    burst: 25,
    every: Duration::from_secs(300),
};
/// Of Sync Events: a first list of very many Ingresses must not become as many Events.
const SYNC: Rate = Rate {
    burst: 200,
    every: Duration::from_millis(100),
};
/// Most buckets; at this number the full ones are dropped.
const MAX_OBJECTS: usize = 10_000;

#[derive(Clone, Copy)]
struct Rate {
    burst: u32,
    every: Duration,
}

/// A token bucket, as the time at which it will be full again.
#[derive(Clone, Copy)]
struct Bucket {
    full_at: Instant,
}

pub(super) struct Limits {
    objects: HashMap<(&'static str, Name), Bucket, RandomState>,
    sync: Bucket,
}

impl Limits {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            objects: HashMap::default(),
            sync: Bucket { full_at: now },
        }
    }

    pub(super) fn admit(&mut self, content: &EventContent, now: Instant) -> bool {
        if content.reason == Reason::Sync && !self.sync.take(SYNC, now) {
            return false;
        }
        if self.objects.len() >= MAX_OBJECTS {
            self.objects.retain(|_, bucket| bucket.full_at > now);
            if self.objects.len() >= MAX_OBJECTS {
                return false;
            }
        }
        let key = (content.regarding.kind, content.regarding.name.clone());
        let bucket = self.objects.entry(key);
        bucket.or_insert(Bucket { full_at: now }).take(OBJECT, now)
    }
}

impl Bucket {
    fn take(&mut self, rate: Rate, now: Instant) -> bool {
        let full_at = self.full_at.max(now) + rate.every;
        let fits = full_at - now <= rate.every * rate.burst;
        if fits {
            self.full_at = full_at;
        }
        fits
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_bucket_allows_its_burst_and_then_one_in_each_interval() {
        let start = Instant::now();
        let mut bucket = Bucket { full_at: start };
        let taken =
            |bucket: &mut Bucket, now| (0..100).filter(|_| bucket.take(OBJECT, now)).count();
        assert_eq!(taken(&mut bucket, start), 25);
        assert_eq!(taken(&mut bucket, start + Duration::from_secs(299)), 0);
        assert_eq!(taken(&mut bucket, start + Duration::from_secs(601)), 2);
        assert_eq!(taken(&mut bucket, start + Duration::from_secs(90_000)), 25);
    }
}
