//! Steps of a fixed number and size, each with the busiest of what happened in it.

use std::collections::VecDeque;

use super::counts::{BUCKETS, Counts};

/// Bits of the mask behind the buckets.
const CLIENT_ERRORS: u16 = 1 << BUCKETS;
const SERVER_ERRORS: u16 = 1 << (BUCKETS + 1);
const PART: u16 = 1 << (BUCKETS + 2);

/// What is kept of a route or host in one step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Kept {
    /// The route or host.
    pub(super) key: u64,
    /// A part of it; 0 is the usual one.
    pub(super) part: u32,
    pub(super) counts: Counts,
}

/// The last steps, oldest first.
pub(super) struct Ring {
    steps: VecDeque<Step>,
    /// Most steps.
    most: usize,
    /// Most bytes of a step.
    bytes: usize,
}

/// Records by ascending keys: the distance from the key before, a mask of the numbers that are not 0, and these numbers.
pub(super) struct Step {
    records: Box<[u8]>,
    /// Nothing was left out.
    is_complete: bool,
}

impl Ring {
    pub(super) fn new(most: usize, bytes: usize) -> Self {
        Self {
            steps: VecDeque::with_capacity(most),
            most,
            bytes,
        }
    }

    /// Adds a step with as many of `busiest` as fit, in their order.
    pub(super) fn push(&mut self, busiest: impl Iterator<Item = Kept>) {
        if self.steps.len() >= self.most {
            self.steps.pop_front();
        }
        self.steps.push_back(Step::of(busiest, self.bytes));
    }

    /// Oldest first.
    pub(super) fn steps(&self) -> impl Iterator<Item = &Step> {
        self.steps.iter()
    }
}

impl Step {
    fn of(mut busiest: impl Iterator<Item = Kept>, bytes: usize) -> Self {
        let mut kept = Vec::new();
        let mut used = 0;
        let mut is_complete = true;
        for one in busiest.by_ref() {
            // The distance between keys is not known yet; by its size, a key is at most this.
            used += size(one.key.min(1 << 14)) + body_size(&one);
            if used > bytes {
                is_complete = false;
                break;
            }
            kept.push(one);
        }
        kept.sort_unstable_by_key(|one| (one.key, one.part));
        let mut records = Vec::with_capacity(used.min(bytes));
        let mut last = 0;
        let mut fitting = 0;
        for one in &kept {
            let start = records.len();
            write(&mut records, one.key - last);
            write_body(&mut records, one);
            if records.len() > bytes {
                records.truncate(start);
                break;
            }
            last = one.key;
            fitting += 1;
        }
        Self {
            records: records.into(),
            is_complete: is_complete && fitting == kept.len(),
        }
    }

    /// Whether nothing was left out.
    pub(super) fn is_complete(&self) -> bool {
        self.is_complete
    }

    /// All records, by ascending keys.
    pub(super) fn iter(&self) -> impl Iterator<Item = Kept> {
        let mut rest = &*self.records;
        let mut key = 0;
        std::iter::from_fn(move || {
            let kept = read_record(&mut rest, key)?;
            key = kept.key;
            Some(kept)
        })
    }

    /// The sum of the records that are `wanted`; `None`: there is none, and it may have been left out.
    pub(super) fn sum(&self, wanted: impl Fn(&Kept) -> bool) -> Option<Counts> {
        let mut any = false;
        let mut sum = Counts::default();
        for kept in self.iter().filter(wanted) {
            any = true;
            sum.add(&kept.counts);
        }
        (any || self.is_complete).then_some(sum)
    }
}

fn numbers(kept: &Kept) -> (u16, impl Iterator<Item = u32>) {
    let bit = |number: u32, bit: u16| if number > 0 { bit } else { 0 };
    let counts = &kept.counts;
    let times = counts.times.iter().enumerate();
    let mask = times.fold(0, |mask, (index, count)| mask | bit(*count, 1 << index));
    let mask = mask
        | bit(counts.client_errors, CLIENT_ERRORS)
        | bit(counts.server_errors, SERVER_ERRORS)
        | bit(kept.part, PART);
    let numbers = counts.times.into_iter();
    let numbers = numbers.chain([counts.client_errors, counts.server_errors, kept.part]);
    (mask, numbers.filter(|number| *number > 0))
}

fn body_size(kept: &Kept) -> usize {
    let (_, numbers) = numbers(kept);
    2 + numbers.map(|number| size(number.into())).sum::<usize>()
}

fn write_body(out: &mut Vec<u8>, kept: &Kept) {
    let (mask, numbers) = numbers(kept);
    out.extend_from_slice(&mask.to_le_bytes());
    numbers.for_each(|number| write(out, number.into()));
}

fn read_record(rest: &mut &[u8], last: u64) -> Option<Kept> {
    let key = last + read(rest)?;
    let (mask, after) = rest.split_first_chunk::<2>()?;
    *rest = after;
    let mask = u16::from_le_bytes(*mask);
    let mut number = |bit: u16| -> Option<u32> {
        if mask & bit == 0 {
            return Some(0);
        }
        u32::try_from(read(rest)?).ok()
    };
    let mut counts = Counts::default();
    for (index, count) in counts.times.iter_mut().enumerate() {
        *count = number(1 << index)?;
    }
    counts.client_errors = number(CLIENT_ERRORS)?;
    counts.server_errors = number(SERVER_ERRORS)?;
    Some(Kept {
        key,
        part: number(PART)?,
        counts,
    })
}

/// Seven bits a byte, the lowest first.
fn write(out: &mut Vec<u8>, mut number: u64) {
    while number > 0x7f {
        out.push(0x80 | (number & 0x7f) as u8);
        number >>= 7;
    }
    out.push(number as u8);
}

fn size(number: u64) -> usize {
    let bits = 64 - (number | 1).leading_zeros() as usize;
    bits.div_ceil(7)
}

fn read(rest: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let (byte, after) = rest.split_first()?;
        *rest = after;
        number |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}
