//! What is remembered of clients, so that a retry is not applied twice.

use alloc::{collections::BTreeMap, vec::Vec};

use crate::{
    Lsn, Machine, OpId,
    bytes::{Put, Reader},
};

/// Serials remembered per client.
pub(crate) const WINDOW: usize = 64;
/// Clients that are remembered after they were expired.
const MAX_EXPIRED: usize = 1024;

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Done<O> {
    pub(crate) serial: u64,
    /// Where it was applied; of one that was refused, where it stood.
    pub(crate) lsn: Lsn,
    /// `None`: it fell out of the history and was not taken in again. No repeat of it is applied.
    pub(crate) output: Option<O>,
}

/// What is left of a client that was expired.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Expired {
    /// The greatest that was known.
    serial: u64,
    /// The entry that expired it: the least is forgotten first.
    sequence: u64,
}

/// Part of the replicated state: a function of the applied entries and of nothing else.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Sessions<O> {
    /// Ascending serials, at most 64.
    clients: BTreeMap<u128, Vec<Done<O>>>,
    /// The last 1,024.
    expired: BTreeMap<u128, Expired>,
}

impl<O> Sessions<O> {
    pub(crate) const fn new() -> Self {
        Self { clients: BTreeMap::new(), expired: BTreeMap::new() }
    }

    pub(crate) fn done(&self, op: OpId) -> Option<&Done<O>> {
        let window = self.clients.get(&op.client)?;
        window.binary_search_by_key(&op.serial, |done| done.serial).ok().map(|index| &window[index])
    }

    /// Remembers a write that was applied or refused; the least of more than 64 serials is forgotten.
    ///
    /// The window holds the 64 greatest serials whatever the order of arrival, so the rule by which the primary
    /// refuses a serial (64 greater ones are known) gives the same answer before and after they are applied.
    pub(crate) fn insert(&mut self, client: u128, done: Done<O>) {
        let window = self.clients.entry(client).or_default();
        let at = window.partition_point(|other| other.serial < done.serial);
        if window.len() < WINDOW {
            window.insert(at, done);
        } else if let Some(slot) = at.checked_sub(1) {
            window[..at].rotate_left(1);
            window[slot] = done;
        }
    }

    /// How many known serials of the client are greater, at most 64.
    pub(crate) fn greater(&self, op: OpId) -> usize {
        let Some(window) = self.clients.get(&op.client) else { return 0 };
        window.len() - window.partition_point(|done| done.serial <= op.serial)
    }

    pub(crate) fn knows(&self, client: u128) -> bool {
        self.clients.contains_key(&client)
    }

    /// Whether the serial, if it is not in the window, may have been there.
    pub(crate) fn is_forgotten(&self, op: OpId) -> bool {
        self.was_expired(op) || self.greater(op) >= WINDOW
    }

    /// Whether the client was expired when this or a greater serial was known.
    pub(crate) fn was_expired(&self, op: OpId) -> bool {
        self.expired.get(&op.client).is_some_and(|expired| op.serial <= expired.serial)
    }

    /// Forgets the client but for its greatest serial. `sequence` is that of the entry that says so.
    pub(crate) fn expire(&mut self, client: u128, sequence: u64) {
        let Some(last) = self.clients.remove(&client).and_then(|mut window| window.pop()) else { return };
        let before = self.expired.remove(&client).map_or(0, |expired| expired.serial);
        if self.expired.len() == MAX_EXPIRED
            && let Some(oldest) =
                self.expired.iter().min_by_key(|(_, expired)| expired.sequence).map(|(&client, _)| client)
        {
            self.expired.remove(&oldest);
        }
        self.expired.insert(client, Expired { serial: last.serial.max(before), sequence });
    }

    /// Each client, and the place of the last of its writes.
    pub(crate) fn latest(&self) -> impl Iterator<Item = (u128, Lsn)> {
        let last = |window: &Vec<Done<O>>| window.iter().map(|done| done.lsn).max().unwrap_or_default();
        self.clients.iter().map(move |(&client, window)| (client, last(window)))
    }

    pub(crate) fn len(&self) -> usize {
        self.clients.len()
    }

    pub(crate) fn encode<M: Machine<Output = O>>(&self, out: &mut Vec<u8>) {
        out.put_count(self.clients.len());
        for (client, window) in &self.clients {
            out.put(&client.to_le_bytes());
            out.put_count(window.len());
            for done in window {
                out.put_u64(done.serial);
                out.put_lsn(done.lsn);
                out.push(u8::from(done.output.is_some()));
                let Some(output) = &done.output else { continue };
                let len_at = out.len();
                out.put_u64(0);
                M::encode_output(output, out);
                let len = super::log::len(out.len() - len_at - 8);
                out[len_at..len_at + 8].copy_from_slice(&len.to_le_bytes());
            }
        }
        out.put_count(self.expired.len());
        for (client, expired) in &self.expired {
            out.put(&client.to_le_bytes());
            out.put_u64(expired.serial);
            out.put_u64(expired.sequence);
        }
    }

    pub(crate) fn decode<M: Machine<Output = O>>(from: &mut Reader<'_>) -> Option<Self> {
        let mut clients: BTreeMap<u128, Vec<Done<O>>> = BTreeMap::new();
        for _ in 0..from.u32()? {
            let client = from.u128()?;
            let count = usize::try_from(from.u32()?).ok().filter(|count| (1..=WINDOW).contains(count))?;
            let mut window: Vec<Done<O>> = Vec::new();
            for _ in 0..count {
                let (serial, lsn) = (from.u64()?, from.lsn()?);
                let output = match from.u8()? {
                    0 => None,
                    1 => Some(M::decode_output(from.huge_bytes()?).ok()?),
                    _ => return None,
                };
                if window.last().is_some_and(|before| before.serial >= serial) {
                    return None;
                }
                window.push(Done { serial, lsn, output });
            }
            if clients.last_key_value().is_some_and(|(&before, _)| before >= client) {
                return None;
            }
            clients.insert(client, window);
        }
        let mut expired: BTreeMap<u128, Expired> = BTreeMap::new();
        for _ in 0..from.u32()? {
            let client = from.u128()?;
            let ascends = expired.last_key_value().is_none_or(|(&before, _)| before < client);
            if !ascends || expired.len() == MAX_EXPIRED {
                return None;
            }
            expired.insert(client, Expired { serial: from.u64()?, sequence: from.u64()? });
        }
        Some(Self { clients, expired })
    }
}
