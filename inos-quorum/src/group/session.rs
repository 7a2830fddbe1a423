//! What is remembered of clients, so that a retry is not applied twice.

use alloc::collections::BTreeMap;

use crate::{Lsn, OpId};

/// Serials remembered per client.
pub(crate) const WINDOW: usize = 64;

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Done<O> {
    pub(crate) lsn: Lsn,
    pub(crate) output: O,
}

/// Part of the replicated state: a function of the applied entries and of nothing else.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Sessions<O> {
    clients: BTreeMap<u128, BTreeMap<u64, Done<O>>>,
}

impl<O> Sessions<O> {
    pub(crate) const fn new() -> Self {
        Self { clients: BTreeMap::new() }
    }

    pub(crate) fn done(&self, op: OpId) -> Option<&Done<O>> {
        self.clients.get(&op.client)?.get(&op.serial)
    }

    /// Remembers an applied write; the least of more than 64 serials is forgotten.
    ///
    /// The window holds the 64 greatest serials whatever the order of arrival, so the rule by which the primary
    /// refuses a serial (64 greater ones are known) gives the same answer before and after they are applied.
    pub(crate) fn insert(&mut self, op: OpId, done: Done<O>) {
        let window = self.clients.entry(op.client).or_default();
        window.insert(op.serial, done);
        if window.len() > WINDOW {
            window.pop_first();
        }
    }

    /// How many applied serials of the client are greater, at most 64.
    pub(crate) fn greater(&self, op: OpId) -> usize {
        self.clients.get(&op.client).map_or(0, |window| window.keys().filter(|&&serial| serial > op.serial).count())
    }

    pub(crate) fn knows(&self, client: u128) -> bool {
        self.clients.contains_key(&client)
    }

    pub(crate) fn len(&self) -> usize {
        self.clients.len()
    }
}
