//! A ledger from what a store holds: `docs/journal.md`, section 4.

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use crate::ledger::{Group, read_group, read_header};
use crate::{JournalError, JournalStore, Ledger, Limits, Listing, Part, Sequence, Tail, Violation};

/// What opening a ledger found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Recovery {
    /// The state that was recovered.
    pub sequence: Sequence,
    /// The snapshot that it began with; `None` for none.
    pub snapshot: Option<Sequence>,
    /// Newer snapshots that were damaged.
    pub damaged_snapshots: u32,
    /// Commit groups that were replayed on top of it.
    pub replayed_groups: u64,
    /// Bytes at the end that were no whole commit group, or came after such: they are dropped.
    pub dropped_bytes: u64,
    /// Up to here the journal itself says that it was synced: by its groups and snapshots.
    pub last_known_synced: Sequence,
}

/// Why a ledger cannot be opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError<E: core::error::Error + 'static> {
    /// The store failed. Try again when it is well.
    #[error("the store failed")]
    Store(#[source] E),
    /// What the store holds is not a ledger that lost nothing. It is left as it is.
    #[error("the journal is corrupt")]
    Corrupt(#[source] Corruption),
}

/// What is wrong with a journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Corruption {
    /// All snapshots are damaged, and the journal does not begin with the first change.
    #[error("no snapshot is whole, and the journal does not begin with the first change")]
    NoStart,
    /// A snapshot is damaged. An opening would begin with an older one.
    #[error("the snapshot of change {} is damaged", sequence.0)]
    Snapshot {
        /// Its last change.
        sequence: Sequence,
    },
    /// There is damage before what is known to have been synced.
    #[error("segment {segment} is damaged at offset {offset}, before what was synced")]
    Damaged {
        /// The segment.
        segment: u64,
        /// Where the damage begins.
        offset: usize,
    },
    /// A group is not the next one: one is lost, repeated or out of order.
    #[error("segment {segment} has change {} at offset {offset}, where {} is next", found.0, expected.0)]
    OutOfOrder {
        /// The segment.
        segment: u64,
        /// Of the group.
        offset: usize,
        /// The change that comes next.
        expected: Sequence,
        /// The first change of the group.
        found: Sequence,
    },
    /// A group is whole and in its place, and follows another group, or cannot be replayed: a defect, or forgery.
    #[error("the group at offset {offset} of segment {segment} cannot follow the one before")]
    Impossible {
        /// The segment.
        segment: u64,
        /// Of the group.
        offset: usize,
    },
    /// All of it fits, and the state that it leads to breaks a law of ledgers: a defect, or forgery.
    #[error("the state breaks a law")]
    Violation(#[source] Violation),
    /// The journal ends before what a snapshot or the caller knows to be durable.
    #[error("the journal ends with change {}, and {} is known to be durable", recovered.0, known.0)]
    Short {
        /// The last change that there is.
        recovered: Sequence,
        /// What there must be.
        known: Sequence,
    },
}

/// Where reading begins.
pub(super) struct Start {
    ledger: Ledger,
    snapshot: Option<Sequence>,
    /// Snapshots that were tried before it.
    damaged: Vec<Sequence>,
}

/// The last two snapshots, the newest first: with the journal since the older one they are what is kept.
fn kept(listing: &Listing) -> impl DoubleEndedIterator<Item = &Sequence> {
    listing.snapshots.iter().rev().take(2)
}

/// The ledger of the newest snapshot that is whole, or an empty one.
pub(super) fn restore_newest<S: JournalStore>(
    store: &mut S,
    listing: &Listing,
    limits: Limits,
    seed: u128,
) -> Result<Start, OpenError<S::Error>> {
    restore(store, listing.snapshots.iter().rev(), limits, seed)
}

/// The ledger of the oldest snapshot that is kept, or an empty one if there is none. The other one is looked at, too.
///
/// # Errors
///
/// The store's, and the sequence of the first snapshot that is damaged.
pub(super) fn restore_oldest<S: JournalStore>(
    store: &mut S,
    listing: &Listing,
    limits: Limits,
    seed: u128,
) -> Result<Start, OpenError<S::Error>> {
    for sequence in kept(listing).take(1) {
        let start = restore(store, core::iter::once(sequence), limits, seed)?;
        if start.snapshot.is_none() {
            return Err(OpenError::Corrupt(Corruption::Snapshot { sequence: *sequence }));
        }
    }
    let start = restore(store, kept(listing).rev().take(1), limits, seed)?;
    match start.damaged[..] {
        [] => Ok(start),
        [sequence, ..] => Err(OpenError::Corrupt(Corruption::Snapshot { sequence })),
    }
}

fn restore<'a, S: JournalStore>(
    store: &mut S,
    snapshots: impl Iterator<Item = &'a Sequence>,
    limits: Limits,
    seed: u128,
) -> Result<Start, OpenError<S::Error>> {
    let mut damaged = Vec::new();
    for &sequence in snapshots {
        let bytes = store.read(Part::Snapshot(sequence)).map_err(OpenError::Store)?;
        match Ledger::restore(&bytes, limits, seed) {
            Ok(ledger) if ledger.sequence() == sequence => {
                return Ok(Start { ledger, snapshot: Some(sequence), damaged });
            }
            _ => damaged.push(sequence),
        }
    }
    Ok(Start { ledger: Ledger::new(limits, seed), snapshot: None, damaged })
}

/// What was read.
pub(super) struct Read {
    pub(super) ledger: Ledger,
    /// The groups that are not known to have been synced, in order.
    pub(super) unsynced: Vec<Vec<u8>>,
    /// Each snapshot that is not known to be damaged, with the first segment that has a group after it.
    pub(super) snapshots: Vec<(Sequence, Option<u64>)>,
    pub(super) recovery: Recovery,
}

/// Reads all segments, checks that their groups follow each other, and replays those after the snapshot.
pub(super) fn read<S: JournalStore>(
    store: &mut S,
    listing: &Listing,
    start: Start,
    tail: Tail,
) -> Result<Read, OpenError<S::Error>> {
    let Start { ledger, snapshot, damaged } = start;
    let known = listing.snapshots.last().copied().unwrap_or_default();
    let whole = listing.snapshots.iter().filter(|sequence| !damaged.contains(sequence));
    let mut reader = Reader {
        ledger,
        end: None,
        waiting: VecDeque::new(),
        mark: Sequence(0),
        kept: kept(listing).nth(1).copied().unwrap_or_default(),
        snapshots: whole.map(|&sequence| (sequence, None)).collect(),
        replayed: 0,
        dropped: 0,
        damaged: None,
    };
    for &segment in &listing.segments {
        let bytes = store.read(Part::Segment(segment)).map_err(OpenError::Store)?;
        reader.segment(segment, &bytes).map_err(OpenError::Corrupt)?;
    }
    let end = reader.end.map_or(Sequence(0), |(last, _)| last);
    let known_by_caller = match tail {
        Tail::Trust => Sequence(0),
        Tail::AtLeast(sequence) => sequence,
    };
    // A damaged snapshot proves by its name that the journal was synced so far.
    let least = known.max(known_by_caller);
    if end < least {
        return Err(OpenError::Corrupt(Corruption::Short { recovered: end, known: least }));
    }
    if let Some((last, corruption)) = reader.damaged
        && end < last
    {
        return Err(OpenError::Corrupt(corruption));
    }
    let mut unsynced = Vec::new();
    while let Some(group) = reader.waiting.pop_front() {
        reader.replay(&group).map_err(OpenError::Corrupt)?;
        unsynced.push(group.bytes);
    }
    let sequence = reader.ledger.sequence();
    if sequence != end {
        return Err(OpenError::Corrupt(Corruption::NoStart));
    }
    reader.ledger.audit().map_err(|violation| OpenError::Corrupt(Corruption::Violation(violation)))?;
    let recovery = Recovery {
        sequence,
        snapshot,
        damaged_snapshots: u32::try_from(damaged.len()).unwrap_or(u32::MAX),
        replayed_groups: reader.replayed,
        dropped_bytes: reader.dropped,
        last_known_synced: reader.mark.max(known),
    };
    Ok(Read { ledger: reader.ledger, unsynced, snapshots: reader.snapshots, recovery })
}

/// A group that a later segment may still replace.
struct Waiting {
    first: Sequence,
    last: Sequence,
    previous: u64,
    checksum: u64,
    segment: u64,
    offset: usize,
    bytes: Vec<u8>,
}

struct Reader {
    ledger: Ledger,
    /// The last change and the checksum of the last group that was read; `None` before the first.
    end: Option<(Sequence, u64)>,
    /// Groups that are not known to be synced.
    waiting: VecDeque<Waiting>,
    /// Up to here groups say that the journal was synced.
    mark: Sequence,
    /// The older of the last two snapshots: the journal since is kept. 0 if there are not two.
    kept: Sequence,
    snapshots: Vec<(Sequence, Option<u64>)>,
    replayed: u64,
    /// Bytes after the last whole group.
    dropped: u64,
    /// A copy is damaged that had been synced: what was written after it must be there, up to this change.
    damaged: Option<(Sequence, Corruption)>,
}

impl Reader {
    fn segment(&mut self, segment: u64, bytes: &[u8]) -> Result<(), Corruption> {
        let mut offset = 0_usize;
        // A segment may begin with copies of what waits.
        let mut next = self.waiting.front().map_or(self.next(), |waiting| waiting.first);
        while let Some(rest) = bytes.get(offset..).filter(|rest| !rest.is_empty()) {
            if self.end.is_none() {
                self.ledger.adopt(rest);
            }
            let Some(group) = read_group(rest, self.ledger.salt()) else {
                return self.torn(segment, offset, next, rest);
            };
            self.group(segment, offset, &group, rest.get(..group.len).unwrap_or(rest))?;
            next = Sequence(group.header.last.0.saturating_add(1));
            offset = offset.saturating_add(group.len);
        }
        Ok(())
    }

    /// The change that comes after all that were read.
    fn next(&self) -> Sequence {
        self.end.map_or(Sequence(1), |(last, _)| Sequence(last.0.saturating_add(1)))
    }

    /// Bytes that are no group, where `next` was or is a copy of it. They are the end of the segment unless a later group
    /// in it says that what should be there was synced.
    fn torn(&mut self, segment: u64, offset: usize, next: Sequence, rest: &[u8]) -> Result<(), Corruption> {
        let damaged = Corruption::Damaged { segment, offset };
        if self.end.is_none() && self.ledger.sequence() == Sequence(0) {
            // Without the first group nothing can be verified, since the salt is in it. Headers tell by their form.
            let headers = (0..rest.len()).step_by(8).filter_map(|at| Some((at, read_header(rest.get(at..)?)?.0)));
            for (at, header) in headers {
                if header.synced >= header.first || header.first > header.last {
                    continue;
                }
                if at == 0 && header.first > next {
                    return Err(Corruption::NoStart);
                }
                if header.synced >= next {
                    return Err(damaged);
                }
            }
        }
        let salt = self.ledger.salt();
        for group in later_groups(rest, salt).filter(|group| group.header.synced >= next) {
            if group.header.synced >= self.next() {
                return Err(damaged);
            }
            // Copies are damaged and nothing else, or this group would not be the next. A segment that a snapshot began
            // has no copies.
            if group.header.first <= self.next() {
                self.damaged = Some((group.header.last, damaged));
            }
        }
        self.dropped = rest.len() as u64;
        Ok(())
    }

    fn group(&mut self, segment: u64, offset: usize, group: &Group<'_>, bytes: &[u8]) -> Result<(), Corruption> {
        let header = &group.header;
        self.skip_dropped(header.first);
        let (last, checksum) = match self.end {
            Some(end) => end,
            // What came before was dropped with an older snapshot, or this is the first of all.
            None => (self.kept.min(Sequence(header.first.0.saturating_sub(1))), header.previous),
        };
        let expected = Sequence(last.0.saturating_add(1));
        let out_of_order = Corruption::OutOfOrder { segment, offset, expected, found: header.first };
        let impossible = Corruption::Impossible { segment, offset };
        if header.last < header.first || header.synced >= header.first {
            return Err(impossible);
        }
        if header.first > expected {
            return Err(out_of_order);
        }
        if header.first < expected {
            // A copy, or what an opening wrote in place of groups that it could not read.
            let at = self.waiting.partition_point(|waiting| waiting.first < header.first);
            let known = self.waiting.get(at).filter(|known| known.first == header.first && known.segment < segment);
            let known = known.ok_or(out_of_order)?;
            if known.checksum == group.checksum {
                // Whoever copied it has reported what was torn.
                self.dropped = 0;
                return Ok(());
            }
            if known.previous != header.previous {
                return Err(impossible);
            }
            self.waiting.truncate(at);
        } else if header.previous != checksum {
            return Err(impossible);
        }
        self.dropped = 0;
        self.end = Some((header.last, group.checksum));
        for (snapshot, first) in &mut self.snapshots {
            if *snapshot < header.last {
                first.get_or_insert(segment);
            }
        }
        self.waiting.push_back(Waiting {
            first: header.first,
            last: header.last,
            previous: header.previous,
            checksum: group.checksum,
            segment,
            offset,
            bytes: bytes.to_vec(),
        });
        self.mark = self.mark.max(header.synced);
        while let Some(group) = self.waiting.pop_front_if(|waiting| waiting.last <= self.mark) {
            self.replay(&group)?;
        }
        Ok(())
    }

    /// Segments before the last two snapshots are not needed. Dropping them may have been cut short, or undone by a crash,
    /// so what is there of them need not be without gaps.
    fn skip_dropped(&mut self, first: Sequence) {
        let is_gap = self.end.is_some_and(|(last, _)| last < self.kept && last.0.saturating_add(1) < first.0);
        if is_gap && first.0 <= self.kept.0.saturating_add(1) {
            self.end = None;
            self.waiting.clear();
        }
    }

    /// Replays a group, or checks that the snapshot was taken after it.
    fn replay(&mut self, waiting: &Waiting) -> Result<(), Corruption> {
        let impossible = Corruption::Impossible { segment: waiting.segment, offset: waiting.offset };
        let sequence = self.ledger.sequence();
        if waiting.last <= sequence {
            let fits = waiting.last < sequence || waiting.checksum == self.ledger.checksum();
            return if fits { Ok(()) } else { Err(impossible) };
        }
        let group = read_group(&waiting.bytes, self.ledger.salt()).ok_or(impossible)?;
        self.replayed = self.replayed.saturating_add(1);
        match self.ledger.replay_group(&group, waiting.offset) {
            Ok(()) => Ok(()),
            // The first group of all that are there, and the snapshot before it is not.
            Err(JournalError::OutOfOrder { .. }) => Err(Corruption::NoStart),
            Err(_) => Err(impossible),
        }
    }
}

/// The whole groups after the start of bytes that do not begin with one.
fn later_groups(bytes: &[u8], salt: u64) -> impl Iterator<Item = Group<'_>> {
    let mut offset = 8_usize;
    core::iter::from_fn(move || {
        while let Some(rest) = bytes.get(offset..).filter(|rest| !rest.is_empty()) {
            if let Some(group) = read_group(rest, salt) {
                offset = offset.saturating_add(group.len);
                return Some(group);
            }
            offset = offset.saturating_add(8);
        }
        None
    })
}
