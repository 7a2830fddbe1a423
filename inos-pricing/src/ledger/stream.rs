//! Payment by the hour out of a reserve.

use crate::{AccountId, Credits, Millis};

/// Parts of a credit in which a stream counts: a millisecond at one credit per hour.
const PARTS: u128 = 3_600_000;

/// An open stream. What it owes follows from this and the time alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stream {
    pub(super) from: u32,
    pub(super) to: u32,
    pub(super) per_hour: Credits,
    /// What is set aside and not paid.
    pub(super) reserve: Credits,
    /// Owed since before `since`, in parts of a credit: less than one.
    pub(super) carried: u32,
    /// Settled up to this time; of a dry stream, when it ran dry.
    pub(super) since: Millis,
}

impl Stream {
    /// What is owed at `now`: whole credits, the parts that are left, and when that was reached. At most the reserve.
    fn owed(&self, now: Millis) -> (Credits, u32, Millis) {
        let elapsed = u128::from(now.0.saturating_sub(self.since.0));
        // Below 2^22 + 2^64 x 2^64.
        let parts = u128::from(self.per_hour.0).saturating_mul(elapsed).saturating_add(u128::from(self.carried));
        let whole = u64::try_from(parts / PARTS).unwrap_or(u64::MAX);
        if whole < self.reserve.0 {
            let left = u32::try_from(parts % PARTS).expect("less than 3,600,000 parts");
            return (Credits(whole), left, now.max(self.since));
        }
        (self.reserve, 0, self.dry_at().unwrap_or(self.since))
    }

    /// When the reserve is used up: the first millisecond at which all of it is owed. `None` for a stream that rests.
    fn dry_at(&self) -> Option<Millis> {
        if self.reserve == Credits::ZERO {
            return Some(self.since);
        }
        let missing = u128::from(self.reserve.0).saturating_mul(PARTS).saturating_sub(u128::from(self.carried));
        // Rounded up: after fewer milliseconds something is left.
        let per_hour = u128::from(self.per_hour.0);
        let after = missing.saturating_add(per_hour.saturating_sub(1)).checked_div(per_hour)?;
        Some(Millis(self.since.0.saturating_add(u64::try_from(after).unwrap_or(u64::MAX))))
    }

    /// Takes what is owed at `now` out of the reserve, and answers it.
    pub(super) fn settle(&mut self, now: Millis) -> Credits {
        let (owed, carried, since) = self.owed(now);
        self.reserve = Credits(self.reserve.0.saturating_sub(owed.0));
        (self.carried, self.since) = (carried, since);
        owed
    }
}

/// Whether a stream pays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StreamStatus {
    /// It pays, up to this time if nobody tops it up; `None` while its rate is zero.
    Paid {
        /// When the reserve is used up.
        until: Option<Millis>,
    },
    /// Its reserve is used up: what it pays for is not paid since this time.
    Unpaid {
        /// When the reserve was used up.
        since: Millis,
    },
}

/// An open stream, as [`Ledger::stream`](crate::Ledger::stream) shows it.
///
/// With `p` credits per hour since `t`, it owes `floor(p x (now - t) / 3,600,000 + carried)` credits, at most the
/// reserve. Settling moves what is owed and changes no later answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamView {
    /// Pays.
    pub from: AccountId,
    /// Receives.
    pub to: AccountId,
    /// Credits per hour.
    pub per_hour: Credits,
    pub(super) stream: Stream,
}

impl StreamView {
    /// What is set aside when it is settled at `now`.
    #[must_use]
    pub fn reserve(&self, now: Millis) -> Credits {
        let mut stream = self.stream;
        stream.settle(now);
        stream.reserve
    }

    /// The whole credits that it owes at `now` and has not paid yet.
    #[must_use]
    pub fn owed(&self, now: Millis) -> Credits {
        self.stream.owed(now).0
    }

    /// Whether it pays at `now`. Exact to the millisecond.
    #[must_use]
    pub fn status(&self, now: Millis) -> StreamStatus {
        match self.stream.dry_at() {
            Some(since) if since <= now => StreamStatus::Unpaid { since },
            until => StreamStatus::Paid { until },
        }
    }
}
