//! Records for storage: what is not yet handed out, what is not yet durable, and how a log is read back.

use alloc::{collections::VecDeque, vec::Vec};

use super::log::{Entry, Log};
use crate::{
    ConfigError, GroupId, Id, PersistToken,
    bytes::{Put, Reader, Sealed, seal, unseal},
};

const MAGIC: [u8; 2] = *b"IR";
const VERSION: u8 = 1;
const KIND_GENESIS: u8 = 1;
const KIND_HARD_STATE: u8 = 2;
const KIND_TRUNCATE: u8 = 3;
const KIND_APPEND: u8 = 4;

/// What must never be forgotten between two starts, besides the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct HardState<N> {
    pub(crate) epoch: u64,
    pub(crate) voted_for: Option<N>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Due {
    Yes,
    No,
}

/// Nothing is queued: each record is written from the present state when it is polled, so what was overtaken before
/// it was handed out is never written.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Disk {
    genesis: Due,
    hard: Due,
    /// The entries after this one have to be cut off in storage.
    truncate: Option<u64>,
    /// The last entry in the records handed out.
    tail: u64,
    /// Records handed out.
    polled: u64,
    /// Records known to be durable: all below this number.
    durable_records: u64,
    /// The hard state is in the records below this number.
    hard_records: u64,
    /// Records below the first number hold the entries up to the second.
    appends: VecDeque<(u64, u64)>,
    /// The last entry known to be durable.
    durable_entry: u64,
}

impl Disk {
    pub(crate) const fn new() -> Self {
        Self {
            genesis: Due::Yes,
            hard: Due::No,
            truncate: None,
            tail: 0,
            polled: 0,
            durable_records: 0,
            hard_records: 0,
            appends: VecDeque::new(),
            durable_entry: 0,
        }
    }

    fn recovered(records: u64, last: u64) -> Self {
        Self {
            genesis: Due::No,
            tail: last,
            polled: records,
            durable_records: records,
            durable_entry: last,
            ..Self::new()
        }
    }

    pub(crate) fn hard_changed(&mut self) {
        self.hard = Due::Yes;
    }

    /// Whether the hard state that the member acts on is durable.
    pub(crate) fn hard_is_durable(&self) -> bool {
        self.hard == Due::No && self.hard_records <= self.durable_records
    }

    pub(crate) fn durable_entry(&self) -> u64 {
        self.durable_entry
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

    pub(crate) fn persisted(&mut self, token: PersistToken) {
        // A token never given out proves nothing.
        let records = token.0.saturating_add(1).min(self.polled);
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
    pub(crate) fn poll<N: Id, D>(
        &mut self,
        header: Header<'_, N>,
        hard: &HardState<N>,
        log: &Log<D>,
        max_bytes: usize,
        out: &mut Vec<u8>,
    ) -> Option<PersistToken> {
        out.clear();
        let ordinal = self.polled;
        let mut open = |kind| {
            out.put(&MAGIC);
            out.put(&[VERSION, kind]);
            out.put(&ordinal.to_le_bytes());
        };
        if self.genesis == Due::Yes {
            self.genesis = Due::No;
            open(KIND_GENESIS);
            out.put(&header.group.0.to_le_bytes());
            out.put_id(&header.me);
            out.push(u8::try_from(header.voters.len()).expect("at most 15 voters"));
            for voter in header.voters {
                out.put_id(voter);
            }
        } else if self.hard == Due::Yes {
            self.hard = Due::No;
            self.hard_records = ordinal + 1;
            open(KIND_HARD_STATE);
            out.put(&hard.epoch.to_le_bytes());
            match &hard.voted_for {
                None => out.push(0),
                Some(node) => out.put_id(node),
            }
        } else if let Some(keep) = self.truncate.take() {
            open(KIND_TRUNCATE);
            out.put(&keep.to_le_bytes());
        } else if self.tail < log.last().sequence {
            open(KIND_APPEND);
            out.put(&(self.tail + 1).to_le_bytes());
            while let Some(entry) = log.entry(self.tail + 1) {
                entry.encode(out);
                self.tail += 1;
                if out.len() >= max_bytes {
                    break;
                }
            }
            self.appends.push_back((ordinal + 1, self.tail));
        } else {
            return None;
        }
        seal(out);
        self.polled += 1;
        Some(PersistToken(ordinal))
    }
}

/// What the first record says.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Header<'a, N> {
    pub(crate) group: GroupId,
    pub(crate) me: N,
    pub(crate) voters: &'a [N],
}

pub(crate) struct Recovered<N> {
    pub(crate) disk: Disk,
    pub(crate) voters: Vec<N>,
    pub(crate) hard: HardState<N>,
    pub(crate) entries: Vec<Entry>,
}

/// Reads back what [`Disk::poll`] wrote.
pub(crate) fn recover<N: Id>(group: GroupId, me: N, records: &[Vec<u8>]) -> Result<Recovered<N>, ConfigError> {
    let mut voters = Vec::new();
    let mut hard = HardState { epoch: 0, voted_for: None };
    let mut entries: Vec<Entry> = Vec::new();
    for (index, record) in records.iter().enumerate() {
        let fault = || ConfigError::Record { index };
        let (kind, mut body) = open_record(record, index).ok_or_else(fault)?;
        if (kind == KIND_GENESIS) != (index == 0) {
            return Err(fault());
        }
        match kind {
            KIND_GENESIS => {
                let found = GroupId(body.u128().ok_or_else(fault)?);
                if found != group {
                    return Err(ConfigError::OtherGroup { found });
                }
                if body.id_bytes().and_then(N::read_id).ok_or_else(fault)? != me {
                    return Err(ConfigError::NotVoter);
                }
                for _ in 0..body.u8().ok_or_else(fault)? {
                    voters.push(body.id_bytes().and_then(N::read_id).ok_or_else(fault)?);
                }
                body.end().ok_or_else(fault)?;
            }
            KIND_HARD_STATE => hard = read_hard_state(body).filter(|new| new.epoch >= hard.epoch).ok_or_else(fault)?,
            KIND_TRUNCATE => {
                let keep = body.u64().and_then(|keep| usize::try_from(keep).ok()).ok_or_else(fault)?;
                body.end().filter(|()| keep < entries.len()).ok_or_else(fault)?;
                entries.truncate(keep);
            }
            KIND_APPEND => read_entries(body, &mut entries).ok_or_else(fault)?,
            _ => return Err(fault()),
        }
    }
    if records.is_empty() {
        return Err(ConfigError::Record { index: 0 });
    }
    let count = |len: usize| u64::try_from(len).unwrap_or(u64::MAX);
    let disk = Disk::recovered(count(records.len()), count(entries.len()));
    // The hard state is always handed out before entries of its epoch.
    if entries.last().is_some_and(|last| last.epoch > hard.epoch) {
        return Err(ConfigError::Record { index: records.len() });
    }
    Ok(Recovered { disk, voters, hard, entries })
}

fn open_record(record: &[u8], index: usize) -> Option<(u8, Reader<'_>)> {
    let (body, sealed) = unseal(record)?;
    let mut reader = Reader(body);
    let intact = sealed == Sealed::Intact && reader.take(2)? == MAGIC && reader.u8()? == VERSION;
    let kind = reader.u8()?;
    let in_place = usize::try_from(reader.u64()?).ok()? == index;
    (intact && in_place).then_some((kind, reader))
}

fn read_hard_state<N: Id>(mut body: Reader<'_>) -> Option<HardState<N>> {
    let epoch = body.u64()?;
    let id = body.id_bytes()?;
    let voted_for = if id.is_empty() { None } else { Some(N::read_id(id)?) };
    body.end()?;
    Some(HardState { epoch, voted_for })
}

fn read_entries(mut body: Reader<'_>, entries: &mut Vec<Entry>) -> Option<()> {
    if usize::try_from(body.u64()?).ok()? != entries.len() + 1 {
        return None;
    }
    while !body.0.is_empty() {
        let entry = Entry::decode(&mut body)?;
        if entries.last().is_some_and(|last| last.epoch > entry.epoch) {
            return None;
        }
        entries.push(entry);
    }
    Some(())
}
