//! Rate quotas: one token bucket per (peer, purpose), with time as an argument.
//!
//! A bucket fills at a steady rate up to a burst, and every request takes from it. The table is
//! bounded: full buckets are forgotten (they are what a new peer gets), and when it is still too
//! full a newcomer is refused, so that a crowd of identities cannot grow it.

use std::{collections::HashMap, hash::Hash};

use tokio::time::Instant;

/// Fill rate and size of a bucket, in tokens.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rate {
    pub(super) per_second: u32,
    pub(super) burst: u32,
}

/// Token buckets by key.
#[derive(Debug)]
pub(super) struct Quotas<K> {
    rate: Rate,
    buckets_max: usize,
    buckets: HashMap<K, Bucket>,
}

#[derive(Debug)]
struct Bucket {
    /// May be negative after a debt.
    tokens: f64,
    filled_at: Instant,
}

impl<K: Eq + Hash> Quotas<K> {
    pub(super) fn new(rate: Rate, buckets_max: usize) -> Self {
        Self {
            rate,
            buckets_max,
            buckets: HashMap::new(),
        }
    }

    /// Takes `cost` tokens; `false` (and nothing is taken) if there are not enough.
    pub(super) fn take(&mut self, key: K, cost: u32, now: Instant) -> bool {
        let Some(bucket) = self.bucket(key, now) else {
            return false;
        };
        let enough = bucket.tokens >= f64::from(cost);
        if enough {
            bucket.tokens -= f64::from(cost);
        }
        enough
    }

    /// Takes `cost` tokens that are owed already, into the red if need be.
    pub(super) fn charge(&mut self, key: K, cost: u32, now: Instant) {
        if let Some(bucket) = self.bucket(key, now) {
            bucket.tokens -= f64::from(cost);
        }
    }

    fn bucket(&mut self, key: K, now: Instant) -> Option<&mut Bucket> {
        let full = f64::from(self.rate.burst);
        if !self.buckets.contains_key(&key) && self.buckets.len() >= self.buckets_max {
            self.forget_full(now);
            if self.buckets.len() >= self.buckets_max {
                return None;
            }
        }
        let rate = self.rate;
        let bucket = self.buckets.entry(key).or_insert(Bucket {
            tokens: full,
            filled_at: now,
        });
        bucket.fill(rate, now);
        Some(bucket)
    }

    /// Forgets the buckets that have filled up again.
    pub(super) fn forget_full(&mut self, now: Instant) {
        let rate = self.rate;
        self.buckets.retain(|_, bucket| {
            bucket.fill(rate, now);
            bucket.tokens < f64::from(rate.burst)
        });
    }
}

impl Bucket {
    fn fill(&mut self, rate: Rate, now: Instant) {
        let elapsed = now.saturating_duration_since(self.filled_at).as_secs_f64();
        self.tokens =
            (self.tokens + elapsed * f64::from(rate.per_second)).min(f64::from(rate.burst));
        self.filled_at = now;
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn quotas(buckets_max: usize) -> Quotas<u8> {
        Quotas::new(
            Rate {
                per_second: 2,
                burst: 4,
            },
            buckets_max,
        )
    }

    #[test]
    fn a_burst_is_served_and_then_the_rate() {
        let (mut quotas, now) = (quotas(8), Instant::now());
        assert!((0..4).all(|_| quotas.take(1, 1, now)));
        assert!(!quotas.take(1, 1, now), "the fifth at once is too many");
        assert!(quotas.take(2, 1, now), "another peer has its own bucket");
        let later = now + Duration::from_millis(500);
        assert!(quotas.take(1, 1, later), "half a second brings one token");
        assert!(!quotas.take(1, 1, later));
    }

    #[test]
    fn a_debt_is_worked_off() {
        let (mut quotas, now) = (quotas(8), Instant::now());
        quotas.charge(1, 6, now);
        assert!(!quotas.take(1, 1, now + Duration::from_secs(1)));
        assert!(quotas.take(1, 1, now + Duration::from_millis(1_500)));
    }

    #[test]
    fn a_crowd_cannot_grow_the_table() {
        let (mut quotas, now) = (quotas(2), Instant::now());
        assert!(quotas.take(1, 1, now));
        assert!(quotas.take(2, 1, now));
        assert!(
            !quotas.take(3, 1, now),
            "no room while others are being served"
        );
        assert!(
            quotas.take(3, 1, now + Duration::from_secs(1)),
            "full buckets make room"
        );
    }
}
