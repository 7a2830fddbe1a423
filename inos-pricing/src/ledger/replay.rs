//! A ledger from its journal.

use super::ahead::{Sides, WINDOW};
use super::group::{BURNT, Group, LINKED, first_salt, read_group};
use super::record::{BURNT_BYTES, Kind, Record};
use super::{Ledger, Mode};
use crate::bytes::Reader;
use crate::{AccountId, AccountKind, Credits, Link, Millis, Operation, Remainder, Sequence, Transaction, TxId};

/// Why a journal cannot be replayed. The ledger has replayed what comes before the group at `offset`, and perhaps some of
/// it: it is of no more use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum JournalError {
    /// The bytes from here on are no whole commit group: torn, damaged, or something else.
    #[error("no commit group at offset {offset}")]
    NotAGroup {
        /// From the start of the journal.
        offset: usize,
    },
    /// The group is not the next one: one is lost, repeated or out of order.
    #[error("the group at offset {offset} begins with change {}, not {}", found.0, expected.0)]
    OutOfOrder {
        /// From the start of the journal.
        offset: usize,
        /// The change that comes next.
        expected: Sequence,
        /// The first change of the group.
        found: Sequence,
    },
    /// The group follows another group than the one before: two journals are mixed.
    #[error("the group at offset {offset} does not follow the one before")]
    WrongPredecessor {
        /// From the start of the journal.
        offset: usize,
    },
    /// The group is whole and cannot have been written after this state: a defect, or forgery.
    #[error("the group at offset {offset} cannot follow change {}", sequence.0)]
    Impossible {
        /// From the start of the journal.
        offset: usize,
        /// The last change that was replayed.
        sequence: Sequence,
    },
}

impl Ledger {
    /// Repeats what `journal` says: whole commit groups, the first of which begins with the change after
    /// [`sequence`](Self::sequence). Returns the sequence after the last change.
    ///
    /// The journal is trusted as far as its checksums go: [`audit`](Self::audit) afterwards tells whether somebody was
    /// overdrawn in it.
    ///
    /// Verdicts are those of the journal: the [`Limits`](crate::Limits) may differ from those of the ledger that wrote it.
    /// O(1) expected for a transfer.
    ///
    /// # Errors
    ///
    /// [`JournalError`]. The ledger is of no more use then; bytes never make it panic.
    pub fn replay(&mut self, journal: &[u8]) -> Result<Sequence, JournalError> {
        let mut offset = 0_usize;
        while let Some(rest) = journal.get(offset..).filter(|rest| !rest.is_empty()) {
            self.adopt(rest);
            let group = read_group(rest, self.salt).ok_or(JournalError::NotAGroup { offset })?;
            self.replay_group(&group, offset)?;
            offset = offset.saturating_add(group.len);
        }
        Ok(self.sequence)
    }

    /// Repeats one group, which is at `offset`.
    pub(crate) fn replay_group(&mut self, group: &Group<'_>, offset: usize) -> Result<(), JournalError> {
        let expected = Sequence(self.sequence.0.saturating_add(1));
        if group.header.first != expected {
            return Err(JournalError::OutOfOrder { offset, expected, found: group.header.first });
        }
        if group.header.previous != self.checksum {
            return Err(JournalError::WrongPredecessor { offset });
        }
        self.mode = Mode::Replay;
        let replayed = self.replay_changes(group);
        self.mode = Mode::Alone;
        replayed.ok_or(JournalError::Impossible { offset, sequence: self.sequence })?;
        self.checksum = group.checksum;
        self.synced = self.synced.max(group.header.synced);
        Ok(())
    }

    /// An empty ledger takes the salt of the journal that begins with `bytes`.
    pub(crate) fn adopt(&mut self, bytes: &[u8]) {
        if self.sequence == Sequence(0) {
            self.salt = first_salt(bytes).unwrap_or(self.salt);
            self.checksum = self.salt;
        }
    }

    /// What the checksums of its journal begin with.
    pub(crate) fn salt(&self) -> u64 {
        self.salt
    }

    /// The checksum of the last group.
    pub(crate) fn checksum(&self) -> u64 {
        self.checksum
    }

    fn replay_changes(&mut self, group: &Group<'_>) -> Option<()> {
        let header = &group.header;
        let now = header.clock;
        let marks = (header.watermark, header.refund_mark);
        if self.clock.is_some_and(|clock| now < clock)
            || now > TxId::MAX_TIME
            || header.last.0 > Sequence::MAX
            || header.synced > self.sequence
            || marks.0 < self.watermark
            || marks.1 < self.refund_mark
            || marks.0.max(marks.1) > now
        {
            return None;
        }
        if self.clock != Some(now) {
            self.set_clock(now, marks.0, marks.1);
        } else if marks != (self.watermark, self.refund_mark) {
            return None;
        }
        self.records.forget(self.watermark, self.refund_mark);
        if self.expire(now, header.expired) != header.expired {
            return None;
        }
        let mut reader = Reader(group.body);
        for record in 0..header.records as usize {
            if record % WINDOW == 0 {
                self.look_ahead(reader.0);
            }
            self.replay_record(now, &mut reader)?;
        }
        let padding = reader.0;
        let is_padding = padding.len() < 8 && padding.iter().all(|&byte| byte == 0);
        (is_padding && self.sequence == header.last).then_some(())
    }

    /// Brings what the next records will look up nearer to the processor, as [`Ahead`](super::Ahead) does.
    fn look_ahead(&self, mut records: &[u8]) {
        for _ in 0..WINDOW {
            let mut reader = Reader(records);
            let (Some(tag), Some(id)) = (reader.u8(), reader.u128()) else { return };
            let Some(len) = record_len(tag) else { return };
            self.records.touch(self.records.hash(TxId(id)));
            if let (1, Some(from), Some(to)) = (tag, reader.u32(), reader.u32()) {
                self.accounts.touch(from);
                self.accounts.touch(to);
            }
            records = records.get(len..).unwrap_or_default();
        }
    }

    fn replay_record(&mut self, now: Millis, reader: &mut Reader<'_>) -> Option<()> {
        let tag = reader.u8()?;
        let kind = Kind::of(tag & !(BURNT | LINKED))?;
        if tag & BURNT != 0 {
            let record = Record::from_burnt(kind, reader.array()?)?;
            let hash = self.unknown(record.id)?;
            self.change();
            self.remember(hash, record);
            return (tag & LINKED == 0).then_some(());
        }
        let (transaction, sides) = self.read_transaction(kind, tag, reader)?;
        super::check_content(&transaction.operation).ok()?;
        let hash = self.unknown(transaction.id)?;
        let effect = self.execute(now, &transaction.operation, sides).ok()?;
        self.record_applied(now, hash, &transaction, effect);
        Some(())
    }

    /// The hash of an id that is not known.
    fn unknown(&self, id: TxId) -> Option<u32> {
        let hash = self.records.hash(id);
        self.records.find(hash, id).is_none().then_some(hash)
    }

    /// A transaction, and the accounts that it names by their positions.
    fn read_transaction(&self, kind: Kind, tag: u8, reader: &mut Reader<'_>) -> Option<(Transaction, Sides)> {
        let id = TxId(reader.u128()?);
        let mut sides = (None, None);
        if let Kind::Transfer | Kind::Hold | Kind::OpenStream = kind {
            sides = (Some(reader.u32()?), Some(reader.u32()?));
        }
        let account = |position: Option<u32>| Some(self.accounts.list().get(position? as usize)?.id);
        let credits = |reader: &mut Reader<'_>| reader.u64().map(Credits);
        let named = |reader: &mut Reader<'_>| reader.u128().map(TxId);
        let operation = match kind {
            Kind::Open => {
                let account = AccountId(reader.u128()?);
                let kind = match reader.u8()? {
                    0 => AccountKind::Holder,
                    1 => AccountKind::Issuer,
                    _ => return None,
                };
                Operation::Open { account, kind }
            }
            Kind::Transfer => {
                Operation::Transfer { from: account(sides.0)?, to: account(sides.1)?, amount: credits(reader)? }
            }
            Kind::Hold => {
                let (from, to, amount) = (account(sides.0)?, account(sides.1)?, credits(reader)?);
                Operation::Hold { from, to, amount, deadline: Millis(reader.u64()?) }
            }
            Kind::Capture => {
                let (hold, amount) = (named(reader)?, credits(reader)?);
                let remainder = match reader.u8()? {
                    0 => Remainder::Release,
                    1 => Remainder::Keep,
                    _ => return None,
                };
                Operation::Capture { hold, amount, remainder }
            }
            Kind::Release => Operation::Release { hold: named(reader)? },
            Kind::Refund => Operation::Refund { original: named(reader)?, amount: credits(reader)? },
            Kind::OpenStream => {
                let (from, to) = (account(sides.0)?, account(sides.1)?);
                Operation::OpenStream { from, to, reserve: credits(reader)?, per_hour: credits(reader)? }
            }
            Kind::TopUp => Operation::TopUp { stream: named(reader)?, amount: credits(reader)? },
            Kind::SetRate => Operation::SetRate { stream: named(reader)?, per_hour: credits(reader)? },
            Kind::Settle => Operation::Settle { stream: named(reader)? },
            Kind::CloseStream => Operation::CloseStream { stream: named(reader)? },
        };
        let link = if tag & LINKED == 0 { Link::End } else { Link::Next };
        Some((Transaction { id, operation, link }, sides))
    }
}

/// The length of a record by its tag.
fn record_len(tag: u8) -> Option<usize> {
    if tag & BURNT != 0 {
        return BURNT_BYTES.checked_add(1);
    }
    Some(match Kind::of(tag & !LINKED)? {
        Kind::Transfer | Kind::Release | Kind::Settle | Kind::CloseStream => 33,
        Kind::Open => 34,
        Kind::Hold | Kind::Refund | Kind::OpenStream | Kind::TopUp | Kind::SetRate => 41,
        Kind::Capture => 42,
    })
}
