//! The state of a ledger as bytes: its hash, a snapshot, a ledger from a snapshot, and what must hold of all of them.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use xxhash_rust::xxh3::{Xxh3, xxh3_128};

use super::account::{Account, Balance};
use super::flow::{Flow, Windows};
use super::record::{Named, RECORD_BYTES, Record, State};
use super::stream::Stream;
use super::{Ledger, Limits};
use crate::bytes::Reader;
use crate::{AccountId, AccountKind, Credits, Millis, Sequence, TxId};

/// What the state begins with: its name and version.
const STATE_MAGIC: &[u8; 20] = b"inos-pricing state 2";

/// What a snapshot begins with: "IPS" and the version. The salt, the checksum of the last group and the state follow.
const SNAPSHOT_MAGIC: [u8; 4] = *b"IPS\x01";

/// The counters of an account in a snapshot stay below this, so that no journal can make them overflow.
const COUNTER_LIMIT: u128 = 1 << 120;

/// Why a snapshot cannot be restored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SnapshotError {
    /// The bytes are no snapshot of this version.
    #[error("the bytes are no snapshot")]
    NotASnapshot,
    /// The bytes are cut off or damaged: the checksum at their end does not fit.
    #[error("the snapshot is damaged")]
    Damaged,
    /// The checksum fits, but no ledger has such a state: a defect, or forgery.
    #[error("the snapshot describes no possible state")]
    Impossible,
}

/// What [`Ledger::audit`] has counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Audit {
    /// The state that was audited.
    pub sequence: Sequence,
    /// What all accounts were debited, and credited, for good.
    pub posted: u128,
    /// What is on hold and in reserves.
    pub pending: u128,
    /// What issuers owe: the credits in circulation.
    pub issued: u128,
}

/// Which law a state breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Violation {
    /// Over all accounts, posted debits are not posted credits.
    #[error("{debits} credits were debited and {credits} credited")]
    Conservation {
        /// The sum of posted debits.
        debits: u128,
        /// The sum of posted credits.
        credits: u128,
    },
    /// What is pending on an account is not what its holds and streams set aside.
    #[error("what is pending on account {} is not what its holds and streams set aside", account.0)]
    Pending {
        /// The account.
        account: AccountId,
    },
    /// A holder is overdrawn.
    #[error("account {} is overdrawn", account.0)]
    Overdrawn {
        /// The account.
        account: AccountId,
    },
}

/// Where the bytes of a state go.
trait Sink {
    fn put(&mut self, bytes: &[u8]);
}

impl Sink for Xxh3 {
    fn put(&mut self, bytes: &[u8]) {
        self.update(bytes);
    }
}

impl Sink for Vec<u8> {
    fn put(&mut self, bytes: &[u8]) {
        self.extend_from_slice(bytes);
    }
}

impl Ledger {
    /// A 128-bit hash (XXH3) of everything that decides a later answer: clock and watermarks, sequence, accounts, ids,
    /// holds and streams, without limits and seed. Equal on every target after equal calls, and after a replay.
    ///
    /// It finds accidental differences, as between two replicas. It is no proof against someone who chooses the
    /// transactions. O(n log n) time, O(n) memory.
    #[must_use]
    pub fn state_hash(&self) -> u128 {
        let mut hasher = Xxh3::new();
        self.write_state(&mut hasher);
        hasher.digest128()
    }

    /// The whole state as bytes, for [`restore`](Self::restore): 81 bytes for each account and 72 for what it was paid
    /// lately, 92 for each id, 52 more for each open stream. O(n log n) time.
    #[must_use]
    pub fn snapshot(&self) -> Vec<u8> {
        let mut bytes = SNAPSHOT_MAGIC.to_vec();
        bytes.extend(self.salt.to_le_bytes());
        bytes.extend(self.checksum.to_le_bytes());
        self.write_state(&mut bytes);
        bytes.extend(xxh3_128(&bytes).to_le_bytes());
        bytes
    }

    /// The ledger that [`snapshot`](Self::snapshot) describes. The limits may be others than those of the ledger that
    /// wrote it; `seed` is as for [`new`](Self::new).
    ///
    /// # Errors
    ///
    /// [`SnapshotError`]; bytes never make it panic, and nothing is allocated that they do not back.
    pub fn restore(snapshot: &[u8], limits: Limits, seed: u128) -> Result<Self, SnapshotError> {
        let Some((covered, digest)) = snapshot.split_last_chunk::<16>() else {
            return Err(SnapshotError::NotASnapshot);
        };
        if !covered.starts_with(&SNAPSHOT_MAGIC) {
            return Err(SnapshotError::NotASnapshot);
        }
        if xxh3_128(covered) != u128::from_le_bytes(*digest) {
            return Err(SnapshotError::Damaged);
        }
        let mut ledger = Self::new(limits, seed);
        ledger.read_state(&mut Reader(covered)).ok_or(SnapshotError::Impossible)?;
        ledger.audit().map_err(|_| SnapshotError::Impossible)?;
        Ok(ledger)
    }

    /// Checks the identities of `docs/model.md`, section 5, on the state as it is. O(n).
    ///
    /// # Errors
    ///
    /// The first [`Violation`]: memory was damaged, or the ledger has a defect.
    pub fn audit(&self) -> Result<Audit, Violation> {
        let mut audit = Audit { sequence: self.sequence, posted: 0, pending: 0, issued: 0 };
        let mut credits = 0_u128;
        let mut pending = self.pending();
        for (slot, account) in (0_u32..).zip(self.accounts.list()) {
            let balance = &account.balance;
            let sums = (audit.posted.checked_add(balance.debits_posted), credits.checked_add(balance.credits_posted));
            let (Some(posted), Some(posted_credits)) = sums else {
                return Err(Violation::Conservation { debits: u128::MAX, credits: u128::MAX });
            };
            (audit.posted, credits) = (posted, posted_credits);
            let (debits_pending, credits_pending) = pending.remove(&slot).unwrap_or_default();
            if (debits_pending, credits_pending) != (balance.debits_pending, balance.credits_pending) {
                return Err(Violation::Pending { account: account.id });
            }
            audit.pending = audit.pending.saturating_add(debits_pending);
            let debits = balance.debits_posted.saturating_add(debits_pending);
            match balance.kind {
                AccountKind::Holder if debits > balance.credits_posted => {
                    return Err(Violation::Overdrawn { account: account.id });
                }
                AccountKind::Holder => {}
                AccountKind::Issuer => {
                    let owed = balance.debits_posted.saturating_sub(balance.credits_posted);
                    audit.issued = audit.issued.saturating_add(owed);
                }
            }
        }
        if audit.posted == credits { Ok(audit) } else { Err(Violation::Conservation { debits: audit.posted, credits }) }
    }

    /// What holds and streams set aside: debits and credits by account.
    fn pending(&self) -> BTreeMap<u32, (u128, u128)> {
        let mut pending: BTreeMap<u32, (u128, u128)> = BTreeMap::new();
        let mut add = |from: u32, to: u32, amount: Credits| {
            let amount = u128::from(amount.0);
            let debits = &mut pending.entry(from).or_default().0;
            *debits = debits.saturating_add(amount);
            let credits = &mut pending.entry(to).or_default().1;
            *credits = credits.saturating_add(amount);
        };
        for &slot in self.deadlines.values() {
            let record = self.records.at(slot);
            let (from, to) = record.sides();
            if let (Some(from), Some(to)) = (self.accounts.find(from), self.accounts.find(to)) {
                add(from, to, record.remaining);
            }
        }
        for stream in self.streams.values() {
            add(stream.from, stream.to, stream.reserve);
        }
        pending
    }

    /// The bytes of `docs/model.md`, section 8.
    fn write_state(&self, sink: &mut impl Sink) {
        let clock = self.clock.map_or(u64::MAX, |clock| clock.0); // above TxId::MAX_TIME, so no clock
        sink.put(STATE_MAGIC);
        for word in [self.sequence.0, clock, self.watermark.0, self.refund_mark.0] {
            sink.put(&word.to_le_bytes());
        }

        sink.put(&(self.accounts.list().len() as u64).to_le_bytes());
        for Account { id, balance, flow } in self.accounts.list() {
            let kind = match balance.kind {
                AccountKind::Holder => 0,
                AccountKind::Issuer => 1,
            };
            sink.put(&id.0.to_le_bytes());
            sink.put(&[kind]);
            for counter in
                [balance.debits_posted, balance.debits_pending, balance.credits_posted, balance.credits_pending]
            {
                sink.put(&counter.to_le_bytes());
            }
            for word in flow.to_words() {
                sink.put(&word.to_le_bytes());
            }
        }

        sink.put(&(self.records.len() as u64).to_le_bytes());
        for record in self.records.sorted() {
            sink.put(&record.to_bytes());
        }

        sink.put(&(self.streams.len() as u64).to_le_bytes());
        for (id, stream) in &self.streams {
            sink.put(&id.0.to_le_bytes());
            sink.put(&stream.from.to_le_bytes());
            sink.put(&stream.to.to_le_bytes());
            for word in [stream.per_hour.0, stream.reserve.0, stream.since.0] {
                sink.put(&word.to_le_bytes());
            }
            sink.put(&stream.carried.to_le_bytes());
        }
    }

    /// Fills an empty ledger; `None` if the bytes are those of no state.
    fn read_state(&mut self, reader: &mut Reader<'_>) -> Option<()> {
        reader.take(SNAPSHOT_MAGIC.len())?;
        (self.salt, self.checksum) = (reader.u64()?, reader.u64()?);
        if reader.take(STATE_MAGIC.len())? != STATE_MAGIC {
            return None;
        }
        let (sequence, clock) = (reader.u64()?, reader.u64()?);
        (self.watermark, self.refund_mark) = (Millis(reader.u64()?), Millis(reader.u64()?));
        // So that a journal has room after it.
        if sequence > Sequence::MAX / 2 {
            return None;
        }
        self.sequence = Sequence(sequence);
        let now = if clock == u64::MAX { Millis::ZERO } else { Millis(clock) };
        if now > TxId::MAX_TIME || self.watermark.max(self.refund_mark) > now {
            return None;
        }
        if clock != u64::MAX {
            self.clock = Some(now);
            self.windows = Windows::at(now);
        }
        for _ in 0..reader.u64()? {
            let account = read_account(reader)?;
            if account.flow.is_after(&self.windows) {
                return None;
            }
            self.accounts.restore(account)?;
        }
        self.read_records(reader, now)?;
        self.read_streams(reader, now)?;
        reader.0.is_empty().then_some(())
    }

    fn read_records(&mut self, reader: &mut Reader<'_>, now: Millis) -> Option<()> {
        let mut last = None;
        let mut streams = 0_usize;
        for _ in 0..reader.u64()? {
            let record = Record::from_bytes(reader.array::<RECORD_BYTES>()?)?;
            let is_later = record.settled > now || record.is_applied_after(self.sequence);
            if last.is_some_and(|last| last >= record.id) || is_later || !self.has_accounts(&record) {
                return None;
            }
            last = Some(record.id);
            let is_open = matches!(record.state, State::Open | State::StreamOpen);
            streams = streams.saturating_add(usize::from(record.state == State::StreamOpen));
            let mark = if record.is_refundable() { self.watermark.min(self.refund_mark) } else { self.watermark };
            if !is_open && record.kept_from() < mark {
                return None;
            }
            let hash = self.records.hash(record.id);
            self.remember(hash, record);
        }
        // Checked against the streams that follow.
        let mut ahead = Reader(reader.0);
        (ahead.u64()? == streams as u64).then_some(())
    }

    /// Whether the accounts that an applied record names are open.
    fn has_accounts(&self, record: &Record) -> bool {
        if !record.is_applied() {
            return true;
        }
        let count = self.accounts.list().len();
        match record.accounts() {
            Named::None => true,
            Named::Ids(from, to) => self.accounts.find(from).is_some() && self.accounts.find(to).is_some(),
            Named::Slots(from, to) => (from.max(to) as usize) < count,
        }
    }

    fn read_streams(&mut self, reader: &mut Reader<'_>, now: Millis) -> Option<()> {
        let mut last = None;
        for _ in 0..reader.u64()? {
            let id = TxId(reader.u128()?);
            let (from, to) = (reader.u32()?, reader.u32()?);
            let (per_hour, reserve) = (Credits(reader.u64()?), Credits(reader.u64()?));
            let (since, carried) = (Millis(reader.u64()?), reader.u32()?);
            let record = self.records.at(self.records.find(self.records.hash(id), id)?);
            let (payer, receiver) = record.sides();
            let is_of_record = record.state == State::StreamOpen
                && self.accounts.find(payer) == Some(from)
                && self.accounts.find(receiver) == Some(to);
            let is_possible = since <= now && carried < 3_600_000 && (carried == 0 || reserve > Credits::ZERO);
            if last.is_some_and(|last| last >= id) || !is_of_record || !is_possible {
                return None;
            }
            last = Some(id);
            self.streams.insert(id, Stream { from, to, per_hour, reserve, carried, since });
        }
        Some(())
    }
}

fn read_account(reader: &mut Reader<'_>) -> Option<Account> {
    let id = AccountId(reader.u128()?);
    let kind = match reader.u8()? {
        0 => AccountKind::Holder,
        1 => AccountKind::Issuer,
        _ => return None,
    };
    let mut counters = [0; 4];
    for counter in &mut counters {
        *counter = reader.u128().filter(|&counter| counter < COUNTER_LIMIT)?;
    }
    let [debits_posted, debits_pending, credits_posted, credits_pending] = counters;
    let mut words = [0; 9];
    for word in &mut words {
        *word = reader.u64()?;
    }
    let balance = Balance { kind, debits_posted, debits_pending, credits_posted, credits_pending };
    Some(Account { id, balance, flow: Flow::from_words(words) })
}
