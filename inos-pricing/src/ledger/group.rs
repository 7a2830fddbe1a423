//! The commit group of `docs/journal.md`: written while a batch is answered, and read.

use alloc::vec::Vec;

use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::record::{BURNT_BYTES, Effect, Kind, RECORD_BYTES, Record};
use super::{Ledger, Stream};
use crate::bytes::Reader;
use crate::{AccountKind, Link, Millis, Operation, Remainder, Sequence, Transaction};

/// The first bytes of a group: "IPJ" and the version.
const MAGIC: [u8; 4] = *b"IPJ\x01";

/// The length of a header, its checksum included.
const HEADER_BYTES: usize = 80;

/// What the checksum of a header covers.
const CHECKED_BYTES: usize = 72;

/// The length of the checksum at the end of a group.
const TRAILER_BYTES: usize = 8;

/// Groups begin at multiples of this, counted from the start of their segment.
const ALIGN: usize = 8;

/// The bit of a tag that says that the transaction is linked to the next.
pub(super) const LINKED: u8 = 0x40;

/// The bit of a tag that says that the id was burnt.
pub(super) const BURNT: u8 = 0x80;

/// What a group says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) first: Sequence,
    pub(crate) last: Sequence,
    pub(crate) clock: Millis,
    pub(crate) watermark: Millis,
    pub(crate) refund_mark: Millis,
    pub(crate) synced: Sequence,
    /// The checksum of the group before.
    pub(crate) previous: u64,
    pub(crate) expired: u32,
    pub(crate) records: u32,
}

/// A group that is whole.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Group<'a> {
    pub(crate) header: Header,
    /// Records and padding.
    pub(super) body: &'a [u8],
    pub(crate) checksum: u64,
    /// Header and trailer included.
    pub(crate) len: usize,
}

/// The group at the start of `bytes`, or `None` if it is not whole.
///
/// `salt` is the ledger's: who chooses what is in a journal cannot choose bytes that look like a group. Only a header that
/// fits has more bytes hashed than its own.
pub(crate) fn read_group(bytes: &[u8], salt: u64) -> Option<Group<'_>> {
    let (header, len) = read_header(bytes)?;
    let (checked, rest) = bytes.split_at_checked(CHECKED_BYTES)?;
    if Reader(rest).u64()? != xxh3_64_with_seed(checked, salt) {
        return None;
    }
    let (covered, trailer) = bytes.get(..len)?.split_last_chunk::<TRAILER_BYTES>()?;
    let checksum = u64::from_le_bytes(*trailer);
    if xxh3_64_with_seed(covered, salt) != checksum {
        return None;
    }
    Some(Group { header, body: covered.get(HEADER_BYTES..)?, checksum, len })
}

/// What may be the header at the start of `bytes`, with the length of its group, by its form alone: nothing is compared
/// with a checksum.
pub(crate) fn read_header(bytes: &[u8]) -> Option<(Header, usize)> {
    let mut reader = Reader(bytes);
    if *reader.array::<4>()? != MAGIC {
        return None;
    }
    let len = usize::try_from(reader.u32()?).ok()?;
    if len % ALIGN != 0 || len < HEADER_BYTES.saturating_add(TRAILER_BYTES) {
        return None;
    }
    let header = Header {
        first: Sequence(reader.u64()?),
        last: Sequence(reader.u64()?),
        clock: Millis(reader.u64()?),
        watermark: Millis(reader.u64()?),
        refund_mark: Millis(reader.u64()?),
        synced: Sequence(reader.u64()?),
        previous: reader.u64()?,
        expired: reader.u32()?,
        records: reader.u32()?,
    };
    Some((header, len))
}

/// The salt of a ledger whose first group is at the start of `bytes`: what it says of the group before, as there is none.
pub(crate) fn first_salt(bytes: &[u8]) -> Option<u64> {
    let mut reader = Reader(bytes.get(56..)?);
    reader.u64()
}

impl Ledger {
    /// The header of the group that ends with the present state; the writer fills in the rest.
    pub(super) fn header(&self, clock: Millis) -> Header {
        Header {
            first: Sequence(0),
            last: self.sequence,
            clock,
            watermark: self.watermark,
            refund_mark: self.refund_mark,
            synced: self.synced,
            previous: self.checksum,
            expired: 0,
            records: 0,
        }
    }
}

/// Appends one group to a journal.
pub(super) struct Writer<'a> {
    journal: &'a mut Vec<u8>,
    /// Where the group begins.
    start: usize,
    /// The sequence before the group.
    before: Sequence,
    records: u32,
    pub(super) expired: u32,
}

impl<'a> Writer<'a> {
    pub(super) fn new(journal: &'a mut Vec<u8>, before: Sequence) -> Self {
        let start = journal.len();
        journal.extend([0; HEADER_BYTES]);
        Self { journal, start, before, records: 0, expired: 0 }
    }

    /// Where the group is now, for [`rewind`](Self::rewind).
    pub(super) fn mark(&self) -> (usize, u32) {
        (self.journal.len(), self.records)
    }

    /// Takes back all records since `mark`.
    pub(super) fn rewind(&mut self, mark: (usize, u32)) {
        self.journal.truncate(mark.0);
        self.records = mark.1;
    }

    /// Adds an applied transaction.
    pub(super) fn applied(&mut self, transaction: &Transaction, effect: Effect) {
        self.records = self.records.saturating_add(1);
        let link = match transaction.link {
            Link::End => 0,
            Link::Next => LINKED,
        };
        // The longest record of an operation, a tag and an id included, has 42 bytes.
        let mut record = Fixed { bytes: [0; 48], len: 0 };
        let sides = match effect {
            Effect::Moved(from, to) | Effect::Held(from, to) | Effect::Captured(from, to) => (from, to),
            Effect::Streaming(Stream { from, to, .. }) => (from, to),
            Effect::Done => (0, 0),
        };
        record.put([Kind::of_operation(&transaction.operation) as u8 | link]);
        record.put(transaction.id.0.to_le_bytes());
        match transaction.operation {
            Operation::Open { account, kind } => {
                record.put(account.0.to_le_bytes());
                record.put([u8::from(kind == AccountKind::Issuer)]);
            }
            Operation::Transfer { amount, .. } => {
                record.put_sides(sides);
                record.put(amount.0.to_le_bytes());
            }
            Operation::Hold { amount, deadline, .. } => {
                record.put_sides(sides);
                record.put(amount.0.to_le_bytes());
                record.put(deadline.0.to_le_bytes());
            }
            Operation::Capture { hold, amount, remainder } => {
                record.put(hold.0.to_le_bytes());
                record.put(amount.0.to_le_bytes());
                record.put([u8::from(remainder == Remainder::Keep)]);
            }
            Operation::Release { hold } => record.put(hold.0.to_le_bytes()),
            Operation::Refund { original, amount } => {
                record.put(original.0.to_le_bytes());
                record.put(amount.0.to_le_bytes());
            }
            Operation::OpenStream { reserve, per_hour, .. } => {
                record.put_sides(sides);
                record.put(reserve.0.to_le_bytes());
                record.put(per_hour.0.to_le_bytes());
            }
            Operation::TopUp { stream, amount } => {
                record.put(stream.0.to_le_bytes());
                record.put(amount.0.to_le_bytes());
            }
            Operation::SetRate { stream, per_hour } => {
                record.put(stream.0.to_le_bytes());
                record.put(per_hour.0.to_le_bytes());
            }
            Operation::Settle { stream } | Operation::CloseStream { stream } => record.put(stream.0.to_le_bytes()),
        }
        self.journal.extend_from_slice(&record.bytes[..record.len]);
    }

    /// Adds a rejection that burnt its id.
    pub(super) fn burnt(&mut self, record: &Record) {
        self.records = self.records.saturating_add(1);
        self.journal.push(BURNT | record.kind as u8);
        self.journal.extend_from_slice(&record.to_burnt());
    }

    /// Ends the group, or takes it back if nothing has changed, and answers the checksum of the last group.
    pub(super) fn finish(self, header: Header, previous: u64, salt: u64) -> u64 {
        let journal = self.journal;
        if header.last == self.before {
            journal.truncate(self.start);
            return previous;
        }
        let padding = journal.len().saturating_sub(self.start).wrapping_neg() % ALIGN;
        journal.extend(core::iter::repeat_n(0, padding));
        let len = journal.len().saturating_sub(self.start).saturating_add(TRAILER_BYTES);
        let len = u32::try_from(len).expect("a batch of at most MAX_BATCH transactions stays below 2^27 bytes");
        let mut head = Fixed { bytes: [0; HEADER_BYTES], len: 0 };
        head.put(MAGIC);
        head.put(len.to_le_bytes());
        let first = self.before.0.saturating_add(1);
        let Header { last, clock, watermark, refund_mark, synced, .. } = header;
        for word in [first, last.0, clock.0, watermark.0, refund_mark.0, synced.0, previous] {
            head.put(word.to_le_bytes());
        }
        head.put(self.expired.to_le_bytes());
        head.put(self.records.to_le_bytes());
        head.put(xxh3_64_with_seed(&head.bytes[..CHECKED_BYTES], salt).to_le_bytes());
        let group = &mut journal[self.start..];
        group[..HEADER_BYTES].copy_from_slice(&head.bytes);
        let checksum = xxh3_64_with_seed(group, salt);
        journal.extend(checksum.to_le_bytes());
        checksum
    }
}

/// Bytes of a bounded length, put together on the stack.
struct Fixed<const N: usize> {
    bytes: [u8; N],
    len: usize,
}

impl<const N: usize> Fixed<N> {
    fn put<const M: usize>(&mut self, bytes: [u8; M]) {
        let end = self.len.saturating_add(M);
        self.bytes[self.len..end].copy_from_slice(&bytes);
        self.len = end;
    }

    fn put_sides(&mut self, (from, to): (u32, u32)) {
        self.put(from.to_le_bytes());
        self.put(to.to_le_bytes());
    }
}

const _: () = assert!(RECORD_BYTES == BURNT_BYTES + 18, "a burnt record lacks remaining, settled, kind and state");
