//! What is remembered of clients, so that a retry is not applied twice.

use alloc::{collections::BTreeMap, vec::Vec};

use crate::{
    Lsn, Machine, OpId,
    bytes::{Put, Reader},
};

/// Serials remembered per client.
pub(crate) const WINDOW: usize = 64;

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Done<O> {
    pub(crate) serial: u64,
    pub(crate) lsn: Lsn,
    pub(crate) output: O,
}

/// Part of the replicated state: a function of the applied entries and of nothing else.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Sessions<O> {
    /// Ascending serials, at most 64.
    clients: BTreeMap<u128, Vec<Done<O>>>,
}

impl<O> Sessions<O> {
    pub(crate) const fn new() -> Self {
        Self { clients: BTreeMap::new() }
    }

    pub(crate) fn done(&self, op: OpId) -> Option<&Done<O>> {
        let window = self.clients.get(&op.client)?;
        window.binary_search_by_key(&op.serial, |done| done.serial).ok().map(|index| &window[index])
    }

    /// Remembers an applied write; the least of more than 64 serials is forgotten.
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

    /// How many applied serials of the client are greater, at most 64.
    pub(crate) fn greater(&self, op: OpId) -> usize {
        let Some(window) = self.clients.get(&op.client) else { return 0 };
        window.len() - window.partition_point(|done| done.serial <= op.serial)
    }

    pub(crate) fn knows(&self, client: u128) -> bool {
        self.clients.contains_key(&client)
    }

    pub(crate) fn expire(&mut self, client: u128) {
        self.clients.remove(&client);
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
                let len_at = out.len();
                out.put_u64(0);
                M::encode_output(&done.output, out);
                let len = super::log::len(out.len() - len_at - 8);
                out[len_at..len_at + 8].copy_from_slice(&len.to_le_bytes());
            }
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
                let output = M::decode_output(from.huge_bytes()?).ok()?;
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
        Some(Self { clients })
    }
}
