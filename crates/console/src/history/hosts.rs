//! The hosts, and their requests in the current minute.

use std::sync::Arc;

use super::counts::Counts;
use super::ring::Kept;

/// By how many entries the lists grow: twice as much at a time would waste memory.
const GROWTH: usize = 1024;

/// The hosts that had requests within the last hour.
#[derive(Default)]
pub(super) struct Hosts {
    /// By number; a number without a name is free.
    list: Vec<Host>,
    /// Numbers by name.
    sorted: Vec<u32>,
    free: Vec<u32>,
}

struct Host {
    name: Option<Arc<str>>,
    /// Of the current minute.
    counts: Counts,
    /// Minutes since the last request.
    idle: u32,
}

impl Hosts {
    /// The number of a host, which it gets at its first sample.
    pub(super) fn intern(&mut self, name: &Arc<str>) -> u32 {
        let place = match self.find(name) {
            Ok(place) => return self.sorted.get(place).copied().unwrap_or_default(),
            Err(place) => place,
        };
        let host = Host {
            name: Some(name.clone()),
            counts: Counts::default(),
            idle: 0,
        };
        let number = match self.free.pop() {
            Some(number) => {
                if let Some(free) = self.list.get_mut(number as usize) {
                    *free = host;
                }
                number
            }
            None => {
                if self.list.len() == self.list.capacity() {
                    self.list.reserve_exact(GROWTH);
                    self.sorted.reserve_exact(GROWTH);
                }
                self.list.push(host);
                self.list.len() as u32 - 1
            }
        };
        self.sorted.insert(place, number);
        number
    }

    /// Whether no sample had a host.
    pub(super) fn are_unknown(&self) -> bool {
        self.list.is_empty()
    }

    /// The key of a host; `None`: it has had no requests.
    pub(super) fn key(&self, name: &str) -> Option<u64> {
        let place = self.find(name).ok()?;
        self.sorted.get(place).map(|number| u64::from(*number))
    }

    /// Adds requests of the current minute.
    pub(super) fn add(&mut self, number: u32, counts: &Counts) {
        if let Some(host) = self.list.get_mut(number as usize) {
            host.counts.add(counts);
        }
    }

    /// Ends the current minute: returns the requests of the hosts that had any, the busiest first. Hosts without requests for
    /// more than `most` minutes are forgotten.
    pub(super) fn end_minute(&mut self, most: u32) -> Vec<Kept> {
        let active = self.list.iter().filter(|host| !host.counts.is_zero());
        let mut busiest = Vec::with_capacity(active.count());
        for (number, host) in self.list.iter_mut().enumerate() {
            let counts = std::mem::take(&mut host.counts);
            if counts.is_zero() {
                host.idle = host.idle.saturating_add(1);
                continue;
            }
            host.idle = 0;
            busiest.push(Kept {
                key: number as u64,
                part: 0,
                counts,
            });
        }
        let Self { list, sorted, free } = self;
        sorted.retain(|number| {
            let Some(host) = list.get_mut(*number as usize) else {
                return false;
            };
            if host.idle > most {
                host.name = None;
                free.push(*number);
            }
            host.idle <= most
        });
        busiest.sort_by_cached_key(|kept: &Kept| std::cmp::Reverse(kept.counts.requests()));
        busiest
    }

    fn find(&self, name: &str) -> Result<usize, usize> {
        let name_of = |number: &u32| {
            let host = self.list.get(*number as usize);
            host.and_then(|host| host.name.as_deref()).unwrap_or("")
        };
        self.sorted
            .binary_search_by(|number| name_of(number).cmp(name))
    }
}
