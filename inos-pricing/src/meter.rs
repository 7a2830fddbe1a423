//! Usage billed over time: whole credits now, the rest of a credit carried to the next charge.

mod bytes;

use core::cmp::Ordering;

use xxhash_rust::xxh3::xxh3_128;

pub use self::bytes::DecodeMeterError;
use crate::quote::{BaseParts, DENOMINATOR, checked_factor};
use crate::{Bytes, Credits, Millis, Plan, PriceError, Quantity, Rates, Replicas, TxId, Usage};

/// The name of a [`Meter`], from which the ids of its charges derive. No two meters that charge through one ledger have
/// the same.
///
/// The integrator draws it at random and keeps it from those who may submit transactions: who knows it can use up the id of
/// a charge before the meter does, and the hash behind [`Meter::charge_id`] does not withstand a search for collisions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct MeterId(pub u128);

/// What was used in the interval that [`Meter::accrue`] settles, as for one replica: the plan multiplies it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Reading {
    /// Bytes kept during all of the interval. At most [`Usage::MAX_STORED`].
    pub stored: Bytes,
    /// Processor time used in the interval, not since the start. At most [`Usage::MAX_CPU`].
    pub cpu: Millis,
    /// Bytes moved in the interval, not since the start. At most [`Usage::MAX_MOVED`].
    pub moved: Bytes,
}

/// What [`Meter::close`] does with the last part of a credit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "snake_case"))]
pub enum Close {
    /// Charges nothing: the meter never charged more than was used.
    #[default]
    Forgive,
    /// Charges a credit above one half, and at exactly one half if that makes the sum of all charges even.
    HalfEven,
    /// Charges a credit for any part of one: the meter never charged less than was used.
    Ceil,
}

/// Charges for usage as time passes, without rounding: each charge is whole credits, and the rest of a credit is part
/// of the next one.
///
/// - **Partition law.** The sum of the charges, and what is carried, depend on what was used, never on how often it
///   was accrued: 3,600 one-second slices cost exactly what one hour costs. The three dimensions share one
///   [`DENOMINATOR`], and so do all rates, plans and numbers of replicas: a change of any of them needs no rounding.
/// - **Lifetime error.** After any number of accruals the sum of the charges is at most the exact price, and less than
///   one credit below it.
/// - **Exactly once.** The id of a charge derives from the meter and the end of its interval, and the meter keeps its
///   last charge, so a charge that may have been lost is submitted again under the same id.
///
/// # Billing a resource
///
/// Whenever a second has passed, and just before bytes, rates, plan or replicas change:
///
/// 1. [`accrue`](Self::accrue) up to now;
/// 2. store [`to_bytes`](Self::to_bytes) durably;
/// 3. unless the charge is zero, submit it under [`charge_id`](Self::charge_id) until the ledger has answered.
///
/// After a crash, load the meter and begin at step 3 with [`charge`](Self::charge). After a crash before step 2 it is
/// as it was before the accrual, and nothing was submitted. Whoever submits before storing must repeat the very same
/// accrual: one with a later `until` has another id, and charges the interval twice.
///
/// The meter keeps its last charge only: what is unanswered at the next accrual is kept, id and credits, by the caller.
/// An id has the time of the end of its interval, so the ledger takes a charge from
/// [`Limits::max_ahead`](crate::Limits::max_ahead) before that time to [`Limits::retention`](crate::Limits::retention)
/// after it.
///
/// ```
/// use inos_pricing::{Bytes, Close, Credits, Meter, MeterId, Millis, Rates, Reading, Replicas, TierPlan};
///
/// # fn main() -> Result<(), Box<dyn core::error::Error>> {
/// let start = Millis(1_700_000_000_000);
/// let rates = Rates { storage: 20, ..Rates::default() };
/// let reading = Reading { stored: Bytes::GB, ..Reading::default() };
/// let mut meter = Meter::new(MeterId(7), start);
///
/// let mut charged = 0;
/// for second in 1..=3_600 {
///     let now = Millis(start.0 + second * Millis::SECOND.0);
///     let credits = meter.accrue(now, &rates, &TierPlan, &reading, Replicas(5))?;
///     let stored = meter.to_bytes();
///     if credits > Credits::ZERO {
///         // Submit `credits` under `meter.charge_id()`.
///         charged += credits.0;
///     }
///     // A crash here loses nothing.
///     meter = Meter::from_bytes(&stored)?;
///     assert_eq!(meter.charge(), credits);
/// }
/// assert_eq!(charged, 100); // what the hour costs
/// assert_eq!(meter.close(Close::Ceil), Credits::ZERO); // to the last part
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Meter {
    id: MeterId,
    settled_until: Millis,
    /// Below [`DENOMINATOR`].
    remainder_parts: u128,
    charge: Credits,
    kind: Kind,
    parity: Parity,
}

/// What the last charge is for. A close has no interval of its own, so the time alone would give it the id of the
/// accrual before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Accrual = 0,
    Close = 1,
}

/// Of the sum of all charges: half-even needs to know no more of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Parity {
    Even = 0,
    Odd = 1,
}

impl Meter {
    /// A meter that charges from `start` on.
    #[must_use]
    pub const fn new(id: MeterId, start: Millis) -> Self {
        Self {
            id,
            settled_until: start,
            remainder_parts: 0,
            charge: Credits::ZERO,
            kind: Kind::Accrual,
            parity: Parity::Even,
        }
    }

    /// The name it was made with.
    #[must_use]
    pub const fn id(&self) -> MeterId {
        self.id
    }

    /// The end of the last interval that was accrued: everything before it is charged or carried.
    #[must_use]
    pub const fn settled_until(&self) -> Millis {
        self.settled_until
    }

    /// What was used and is not charged yet, in parts of a credit: less than [`DENOMINATOR`].
    #[must_use]
    pub const fn remainder_parts(&self) -> u128 {
        self.remainder_parts
    }

    /// The last charge: what the [`accrue`](Self::accrue) or [`close`](Self::close) returned that last changed the
    /// meter. Zero needs no transaction, and a ledger takes none.
    #[must_use]
    pub const fn charge(&self) -> Credits {
        self.charge
    }

    /// The id of the transaction for the last charge.
    ///
    /// Its time is [`settled_until`](Self::settled_until), at most [`TxId::MAX_TIME`]; its low 80 bits are those of the
    /// XXH3-128 of the meter's id (16 bytes, little-endian), `settled_until` (8 bytes) and 0 for an accrual, 1 for a
    /// close. Equal states have equal ids. Among k charges that end in the same millisecond, two share an id with a
    /// probability below k^2 / 2^81; charges that end in different milliseconds before [`TxId::MAX_TIME`] never do.
    ///
    /// ```
    /// use inos_pricing::{Meter, MeterId, Millis};
    ///
    /// let id = |meter, start| Meter::new(MeterId(meter), Millis(start)).charge_id();
    /// assert_eq!(id(1, 5_000), id(1, 5_000));
    /// assert_ne!(id(1, 5_000), id(2, 5_000));
    /// assert_eq!(id(1, 5_000).time(), Millis(5_000));
    /// ```
    #[must_use]
    pub fn charge_id(&self) -> TxId {
        let mut named = [0; 25];
        named[..16].copy_from_slice(&self.id.0.to_le_bytes());
        named[16..24].copy_from_slice(&self.settled_until.0.to_le_bytes());
        named[24] = self.kind as u8;
        let time = self.settled_until.min(TxId::MAX_TIME);
        let unique = xxh3_128(&named) & ((1 << 80) - 1);
        TxId(u128::from(time.0) << 80 | unique)
    }

    /// Settles the interval from [`settled_until`](Self::settled_until) to `until`, and returns the whole credits to
    /// charge for it; the rest of a credit is carried.
    ///
    /// Rates, plan, `replicas` and [`Reading::stored`] are those of the whole interval: accrue just before one of them
    /// changes. With `until <= settled_until` it returns zero, changes nothing and looks at nothing else; the processor
    /// time and the bytes moved of such a reading are not charged, and belong into the next one. O(1), one 128-bit
    /// division, no allocation.
    ///
    /// ```
    /// use inos_pricing::{
    ///     Bytes, Credits, Meter, MeterId, Millis, PriceError, Quantity, Rates, Reading, Replicas, TierPlan, Usage,
    /// };
    ///
    /// # fn main() -> Result<(), PriceError> {
    /// let rates = Rates { storage: 1, compute: 1, bandwidth: 1 };
    /// let mut meter = Meter::new(MeterId(7), Millis(0));
    /// // Three halves of a credit.
    /// let reading = Reading { stored: Bytes(500_000_000), cpu: Millis(500), moved: Bytes(500_000_000) };
    /// assert_eq!(meter.accrue(Millis::HOUR, &rates, &TierPlan, &reading, Replicas(1))?, Credits(1));
    /// // Again: nothing.
    /// assert_eq!(meter.accrue(Millis::HOUR, &rates, &TierPlan, &reading, Replicas(1))?, Credits(0));
    ///
    /// // Too long for one call: nothing is lost, the interval is accrued in steps.
    /// let idle = Reading { stored: Bytes::MB, ..Reading::default() };
    /// let now = Millis(1 << 37);
    /// let error = meter.accrue(now, &rates, &TierPlan, &idle, Replicas(1)).unwrap_err();
    /// assert!(matches!(error, PriceError::Overflow { quantity: Quantity::Held, .. }));
    /// while meter.settled_until() < now {
    ///     let step = meter.settled_until().checked_add(Usage::MAX_HELD).map_or(now, |step| step.min(now));
    ///     meter.accrue(step, &rates, &TierPlan, &idle, Replicas(1))?;
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// The meter is unchanged.
    ///
    /// - [`PriceError::ReplicasOutOfRange`] outside 1..=700, and whatever the plan returns.
    /// - [`PriceError::Overflow`] when a rate, the reading or the factor is above its limit, the interval longer than
    ///   [`Usage::MAX_HELD`], or the charge above 2^64 - 1.
    pub fn accrue<P: Plan + ?Sized>(
        &mut self,
        until: Millis,
        rates: &Rates,
        plan: &P,
        reading: &Reading,
        replicas: Replicas,
    ) -> Result<Credits, PriceError> {
        let Some(held) = until.0.checked_sub(self.settled_until.0).filter(|&held| held > 0) else {
            return Ok(Credits::ZERO);
        };
        let usage = Usage { stored: reading.stored, held: Millis(held), cpu: reading.cpu, moved: reading.moved };
        let base = BaseParts::new(rates, &usage)?;
        let factor = checked_factor(plan, replicas)?;
        let parts = base.parts_with(factor, self.remainder_parts);
        let credits = parts / DENOMINATOR;
        let credits = u64::try_from(credits).map(Credits).map_err(|_| PriceError::Overflow {
            quantity: Quantity::Total,
            value: credits,
            limit: u128::from(u64::MAX),
        })?;

        self.settled_until = until;
        self.book(Kind::Accrual, credits, parts % DENOMINATOR);
        Ok(credits)
    }

    /// Ends a bill: charges what is carried, less than one credit, as `close` says, and carries nothing any more.
    ///
    /// Accrue up to the end and submit that charge first. The closing credit is a charge with an id of its own, stored
    /// and submitted like any other. With nothing carried it returns zero and changes nothing, so closing twice is
    /// closing once. The meter can go on from [`settled_until`](Self::settled_until); the lifetime error is then that
    /// of each bill.
    ///
    /// ```
    /// use inos_pricing::{Close, Credits, Meter, MeterId, Millis, Rates, Reading, Replicas, TierPlan};
    ///
    /// # fn main() -> Result<(), inos_pricing::PriceError> {
    /// let rates = Rates { compute: 1, ..Rates::default() };
    /// let reading = Reading { cpu: Millis(1_001), ..Reading::default() };
    /// let mut meter = Meter::new(MeterId(7), Millis(0));
    /// assert_eq!(meter.accrue(Millis(2_000), &rates, &TierPlan, &reading, Replicas(1))?, Credits(1));
    /// let accrual = meter.charge_id();
    ///
    /// assert_eq!(meter.clone().close(Close::Forgive), Credits(0));
    /// assert_eq!(meter.close(Close::Ceil), Credits(1));
    /// assert_ne!(meter.charge_id(), accrual);
    /// # Ok(())
    /// # }
    /// ```
    pub fn close(&mut self, close: Close) -> Credits {
        if self.remainder_parts == 0 {
            return Credits::ZERO;
        }
        let up = match close {
            Close::Forgive => false,
            Close::HalfEven => match self.remainder_parts.cmp(&(DENOMINATOR / 2)) {
                Ordering::Less => false,
                Ordering::Equal => self.parity == Parity::Odd,
                Ordering::Greater => true,
            },
            Close::Ceil => true,
        };
        let credits = Credits(u64::from(up));
        self.book(Kind::Close, credits, 0);
        credits
    }

    fn book(&mut self, kind: Kind, credits: Credits, remainder_parts: u128) {
        self.remainder_parts = remainder_parts;
        self.charge = credits;
        self.kind = kind;
        self.parity = match (self.parity, credits.0 % 2) {
            (parity, 0) => parity,
            (Parity::Even, _) => Parity::Odd,
            (Parity::Odd, _) => Parity::Even,
        };
    }
}
