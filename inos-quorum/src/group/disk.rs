//! What a member must not forget, as records for the integrator's storage. `docs/protocol.md` gives the layout.

use alloc::{collections::VecDeque, vec::Vec};

use super::{
    entry::Raw,
    log::{Log, len},
    membership::Generation,
    orphans::{Kept, Orphans},
    wire::{put_mode, read_mode},
};
use crate::{
    Actor, ConfigError, GroupId, Id, Lsn, Mode, PersistToken,
    bytes::{Put, Reader, Sealed, seal, unseal},
};

const MAGIC: [u8; 2] = *b"IR";
const VERSION: u8 = 4;
const SNAPSHOT: u8 = 0;
const HARD_STATE: u8 = 1;
const TRUNCATE: u8 = 2;
const APPEND: u8 = 3;
const ORPHANS: u8 = 4;

/// What a vote stands on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct HardState<N> {
    pub(crate) epoch: u64,
    /// The seat voted for in this epoch.
    pub(crate) vote: Option<Actor<N>>,
    pub(crate) generation: Generation,
    /// Another generation of this number exists: this member leads and follows nobody any more.
    pub(crate) conflict: bool,
}

/// What a record is made from.
pub(crate) struct Source<'a, N> {
    pub(crate) group: GroupId,
    pub(crate) mode: Mode,
    pub(crate) seat: Actor<N>,
    /// Incarnation of the life that writes.
    pub(crate) life: u64,
    pub(crate) hard: &'a HardState<N>,
    pub(crate) log: &'a Log<N>,
    pub(crate) orphans: &'a mut Orphans<N>,
    pub(crate) applied: Lsn,
    /// Writes the committed state.
    pub(crate) state: &'a dyn Fn(&mut Vec<u8>),
}

/// What was handed out for storage, and what storage has confirmed.
///
/// Records form one sequence; storage may lose a suffix of it in a crash, never a part from the middle. An entry is
/// durable when the record that brought it is, and no truncation handed out later cuts it off.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Disk {
    /// Records handed out, ever.
    polled: u64,
    /// Of them durable.
    durable_records: u64,
    snapshot_is_due: bool,
    hard_is_due: bool,
    /// Records up to and including the one with the latest hard state.
    hard_records: u64,
    truncate: Option<u64>,
    /// The last entry handed out.
    tail: u64,
    durable_entry: u64,
    /// Records not yet durable: up to and including it, and the last entry that then is.
    appends: VecDeque<(u64, u64)>,
    /// Bytes of records since the last snapshot, and of that.
    bytes_since: u64,
    snapshot_bytes: u64,
}

impl Disk {
    /// Of a fresh member: its first record is a snapshot.
    pub(crate) const fn new() -> Self {
        Self {
            polled: 0,
            durable_records: 0,
            snapshot_is_due: true,
            hard_is_due: false,
            hard_records: 0,
            truncate: None,
            tail: 0,
            durable_entry: 0,
            appends: VecDeque::new(),
            bytes_since: 0,
            snapshot_bytes: 0,
        }
    }

    pub(crate) const fn hard_changed(&mut self) {
        self.hard_is_due = true;
    }

    /// Whether the hard state that the member acts on is durable.
    pub(crate) const fn hard_is_durable(&self) -> bool {
        !self.hard_is_due && !self.snapshot_is_due && self.hard_records <= self.durable_records
    }

    pub(crate) const fn durable_entry(&self) -> u64 {
        self.durable_entry
    }

    pub(crate) const fn tail(&self) -> u64 {
        self.tail
    }

    /// The log was cut off after `keep`.
    pub(crate) fn truncated(&mut self, keep: u64) {
        if keep < self.tail {
            self.truncate = Some(self.truncate.map_or(keep, |earlier| earlier.min(keep)));
            self.tail = keep;
        }
        self.durable_entry = self.durable_entry.min(keep);
        for (_, last) in &mut self.appends {
            *last = (*last).min(keep);
        }
    }

    /// The log began anew behind a snapshot: nothing of it is stored until the snapshot is. Frames wait for the record
    /// as for one of the hard state: what they tell of the log rests on it.
    pub(crate) fn checkpoint(&mut self) {
        self.snapshot_is_due = true;
        self.hard_is_due = true;
        self.truncate = None;
        self.tail = 0;
        self.durable_entry = 0;
        self.appends.clear();
    }

    pub(crate) fn persisted(&mut self, token: PersistToken) {
        // A token never given out proves nothing.
        let records = token.ordinal.saturating_add(1).min(self.polled);
        self.durable_records = self.durable_records.max(records);
        while let Some(&(records, last)) = self.appends.front() {
            if records > self.durable_records {
                break;
            }
            self.durable_entry = self.durable_entry.max(last);
            self.appends.pop_front();
        }
    }

    /// Writes the next record into `out`. Entries are split so that a record stays near `max_bytes`.
    pub(crate) fn poll<N: Id>(
        &mut self,
        source: &mut Source<'_, N>,
        checkpoint_bytes: u64,
        max_bytes: usize,
        out: &mut Vec<u8>,
    ) -> Option<PersistToken> {
        out.clear();
        let ordinal = self.polled;
        let last = source.log.last().sequence;
        let mut open = |kind| {
            out.put(&MAGIC);
            out.put(&[VERSION, kind]);
            out.put_u64(ordinal);
        };
        let full = self.bytes_since > checkpoint_bytes && self.bytes_since > self.snapshot_bytes;
        let replaces_all = self.snapshot_is_due || full;
        if replaces_all {
            // A checkpoint that brings no new hard state holds no frame back.
            if core::mem::take(&mut self.hard_is_due) || ordinal == 0 {
                self.hard_records = ordinal + 1;
            }
            self.snapshot_is_due = false;
            self.truncate = None;
            open(SNAPSHOT);
            out.put(&source.group.0.to_le_bytes());
            put_mode(out, source.mode);
            out.put_actor(&source.seat);
            out.put_u64(source.life);
            put_hard(out, source.hard);
            out.put_lsn(source.applied);
            put_counted(out, source.state);
            put_counted(out, |out| out.put(source.log.slice(source.applied.sequence, last)));
            source.orphans.encode_all(out);
            self.tail = last;
            self.appends.push_back((ordinal + 1, last));
        } else if self.hard_is_due {
            self.hard_is_due = false;
            self.hard_records = ordinal + 1;
            open(HARD_STATE);
            out.put_u64(source.life);
            put_hard(out, source.hard);
        } else if source.orphans.has_unrecorded() {
            open(ORPHANS);
            source.orphans.encode_unrecorded(out);
        } else if let Some(keep) = self.truncate.take() {
            open(TRUNCATE);
            out.put_u64(keep);
        } else if self.tail < last {
            open(APPEND);
            out.put_u64(self.tail + 1);
            let room = len(max_bytes);
            let end = source.log.run(self.tail, room).max(self.tail + 1);
            out.put(source.log.slice(self.tail, end));
            self.tail = end;
            self.appends.push_back((ordinal + 1, end));
        } else {
            return None;
        }
        seal(out);
        if replaces_all {
            (self.bytes_since, self.snapshot_bytes) = (0, len(out.len()));
        } else {
            self.bytes_since += len(out.len());
        }
        self.polled += 1;
        Some(PersistToken { ordinal, replaces_all })
    }
}

fn put_hard<N: Id>(out: &mut Vec<u8>, hard: &HardState<N>) {
    out.put_u64(hard.epoch);
    out.put_u64(hard.generation.number);
    out.put_u64(hard.generation.nonce);
    out.push(u8::from(hard.vote.is_some()));
    if let Some(vote) = &hard.vote {
        out.put_actor(vote);
    }
    out.push(u8::from(hard.conflict));
}

fn read_hard<N: Id>(from: &mut Reader<'_>) -> Option<HardState<N>> {
    let epoch = from.u64()?;
    let generation = Generation { number: from.u64()?, nonce: from.u64()? };
    let vote = match from.u8()? {
        0 => None,
        1 => Some(from.actor()?),
        _ => return None,
    };
    let conflict = match from.u8()? {
        0 => false,
        1 => true,
        _ => return None,
    };
    Some(HardState { epoch, vote, generation, conflict })
}

/// A length of eight bytes, then what `write` writes.
fn put_counted(out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    let at = out.len();
    out.put_u64(0);
    write(out);
    let count = len(out.len() - at - 8);
    out[at..at + 8].copy_from_slice(&count.to_le_bytes());
}

pub(crate) struct Recovered<N> {
    pub(crate) disk: Disk,
    pub(crate) seat: Actor<N>,
    /// Incarnation of the last life.
    pub(crate) life: u64,
    pub(crate) hard: HardState<N>,
    pub(crate) state: Vec<u8>,
    /// The last entry applied to the state.
    pub(crate) base: Lsn,
    /// The entries after it, as bytes.
    pub(crate) entries: Vec<u8>,
    pub(crate) orphans: Vec<Kept<N>>,
}

/// Where entries end and of which epochs they are, while records are replayed.
struct Tail {
    bytes: Vec<u8>,
    ends: Vec<(usize, u64)>,
}

impl Tail {
    fn append(&mut self, floor: u64, mut from: Reader<'_>) -> Option<()> {
        while !from.0.is_empty() {
            let entry = Raw::read(&mut from)?;
            if self.ends.last().map_or(floor, |&(_, epoch)| epoch) > entry.epoch {
                return None;
            }
            self.bytes.put(entry.bytes);
            self.ends.push((self.bytes.len(), entry.epoch));
        }
        Some(())
    }

    fn truncate(&mut self, keep: usize) {
        self.ends.truncate(keep);
        self.bytes.truncate(self.ends.last().map_or(0, |&(end, _)| end));
    }
}

/// Reads back what [`Disk::poll`] wrote, from the last record that replaces all before it.
pub(crate) fn recover<N: Id>(
    group: GroupId,
    mode: Mode,
    node: N,
    records: &[Vec<u8>],
) -> Result<Recovered<N>, ConfigError> {
    let mut found: Option<(Recovered<N>, Tail)> = None;
    let mut expected = None;
    for (index, record) in records.iter().enumerate() {
        let fault = || ConfigError::Record { index };
        let (ordinal, kind, mut body) = open_record(record).ok_or_else(fault)?;
        if expected.is_some_and(|expected| expected != ordinal) || ordinal == u64::MAX {
            return Err(fault());
        }
        expected = Some(ordinal + 1);
        if kind == SNAPSHOT {
            let claimed = GroupId(body.u128().ok_or_else(fault)?);
            if claimed != group {
                return Err(ConfigError::OtherGroup { found: claimed });
            }
            let claimed = read_mode(&mut body).ok_or_else(fault)?;
            if claimed != mode {
                return Err(ConfigError::OtherMode { found: claimed });
            }
            let seat: Actor<N> = body.actor().ok_or_else(fault)?;
            if seat.node != node {
                return Err(ConfigError::NotMember);
            }
            found = Some(read_snapshot(seat, body, ordinal, len(record.len())).ok_or_else(fault)?);
            continue;
        }
        let (recovered, tail) = found.as_mut().ok_or_else(fault)?;
        match kind {
            HARD_STATE => {
                recovered.life = body.u64().ok_or_else(fault)?;
                let hard: HardState<N> = read_hard(&mut body).ok_or_else(fault)?;
                let before = &recovered.hard;
                if (hard.generation.number, hard.epoch) < (before.generation.number, before.epoch) {
                    return Err(fault());
                }
                recovered.hard = hard;
            }
            ORPHANS => recovered.orphans.extend(Orphans::decode(&mut body).ok_or_else(fault)?),
            TRUNCATE => {
                let keep = body.u64().and_then(|keep| keep.checked_sub(recovered.base.sequence)).ok_or_else(fault)?;
                let keep = usize::try_from(keep).ok().filter(|&keep| keep <= tail.ends.len()).ok_or_else(fault)?;
                tail.truncate(keep);
            }
            APPEND => {
                let next = recovered.base.sequence.checked_add(len(tail.ends.len()) + 1);
                if body.u64() != next {
                    return Err(fault());
                }
                tail.append(recovered.base.epoch, Reader(body.rest())).ok_or_else(fault)?;
            }
            _ => return Err(fault()),
        }
        body.end().ok_or_else(fault)?;
        recovered.disk.bytes_since += len(record.len());
    }
    let (mut recovered, tail) = found.ok_or(ConfigError::Record { index: 0 })?;
    // The hard state is always handed out before entries of its epoch.
    if tail.ends.last().map_or(recovered.base.epoch, |&(_, epoch)| epoch) > recovered.hard.epoch {
        return Err(ConfigError::Record { index: records.len() });
    }
    let last = recovered.base.sequence + len(tail.ends.len());
    recovered.disk.polled = expected.unwrap_or(0);
    recovered.disk.durable_records = recovered.disk.polled;
    // Nothing is heard of this life before its incarnation is durable.
    recovered.disk.hard_is_due = true;
    recovered.disk.tail = last;
    recovered.disk.durable_entry = last;
    recovered.entries = tail.bytes;
    Ok(recovered)
}

fn open_record(record: &[u8]) -> Option<(u64, u8, Reader<'_>)> {
    let (body, sealed) = unseal(record)?;
    let mut reader = Reader(body);
    let intact = sealed == Sealed::Intact && reader.take(2)? == MAGIC && reader.u8()? == VERSION;
    let kind = reader.u8()?;
    let ordinal = reader.u64()?;
    intact.then_some((ordinal, kind, reader))
}

fn read_snapshot<N: Id>(
    seat: Actor<N>,
    mut body: Reader<'_>,
    ordinal: u64,
    bytes: u64,
) -> Option<(Recovered<N>, Tail)> {
    let life = body.u64()?;
    let hard = read_hard(&mut body)?;
    let base = body.lsn()?;
    let state = body.huge_bytes()?.to_vec();
    let mut tail = Tail { bytes: Vec::new(), ends: Vec::new() };
    tail.append(base.epoch, Reader(body.huge_bytes()?))?;
    base.sequence.checked_add(len(tail.ends.len()))?;
    let orphans = Orphans::decode(&mut body)?;
    body.end()?;
    let disk = Disk { snapshot_is_due: false, snapshot_bytes: bytes, hard_records: ordinal + 1, ..Disk::new() };
    Some((Recovered { disk, seat, life, hard, state, base, entries: Vec::new(), orphans }, tail))
}
