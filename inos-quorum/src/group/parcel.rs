//! What is larger than a frame travels in parts: snapshots and long entries to followers, long orphans to the primary.

use alloc::{collections::BTreeMap, vec::Vec};
use core::time::Duration;

use super::{
    Group, Office,
    log::len,
    peer::{Flow, Peer},
    wire::{Message, PART_OVERHEAD, What},
};
use crate::{
    Actor, Event, Id, Lsn, Machine, MessageError,
    bytes::{Put, Reader, seal},
};

/// A parcel being sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Parcel {
    pub(crate) what: What,
    /// Snapshot and entry: the last entry it brings. Orphan: where it stood.
    pub(crate) id: Lsn,
    /// Bytes that have arrived.
    acked: u64,
    next: u64,
}

impl Parcel {
    pub(crate) const fn new(what: What, id: Lsn) -> Self {
        Self { what, id, acked: 0, next: 0 }
    }

    /// Parts may have been lost.
    pub(crate) const fn again(&mut self) {
        self.next = self.acked;
    }

    /// Whether the next part may leave: one even of an empty window, so that the receiver says what it has.
    const fn is_open(&self, total: u64, window: u64) -> bool {
        self.next < total && self.next - self.acked < window
    }
}

/// A parcel being received.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Incoming<N> {
    from: Actor<N>,
    what: What,
    id: Lsn,
    total: u64,
    bytes: Vec<u8>,
    /// Parts that came before those ahead of them: at most `max_inflight_bytes`, by offset.
    early: BTreeMap<u64, Vec<u8>>,
    /// What these cost.
    waiting: u64,
    touched_at: Duration,
}

impl<N> Incoming<N> {
    /// Takes a part in, whatever the order; bytes that are there already are passed over.
    fn take(&mut self, offset: u64, bytes: &[u8], room: u64) {
        let have = len(self.bytes.len());
        if offset > have {
            let cost = |part: &[u8]| len(part.len()) + PART_COST;
            // It may come again with another length.
            let others = self.waiting - self.early.get(&offset).map_or(0, |part| cost(part));
            let waiting = others + cost(bytes);
            if waiting <= room {
                self.early.insert(offset, bytes.to_vec());
                self.waiting = waiting;
            }
            return;
        }
        self.append(offset, bytes);
        while let Some(part) = self.early.first_entry()
            && *part.key() <= len(self.bytes.len())
        {
            let (offset, bytes) = part.remove_entry();
            self.waiting -= len(bytes.len()) + PART_COST;
            self.append(offset, &bytes);
        }
    }

    fn append(&mut self, offset: u64, bytes: &[u8]) {
        let known = usize::try_from(len(self.bytes.len()).saturating_sub(offset)).unwrap_or(usize::MAX);
        self.bytes.put(bytes.get(known..).unwrap_or(&[]));
    }
}

/// What keeping a part costs besides its bytes, about: empty ones are not free.
const PART_COST: u64 = 64;

/// A sender that is silent for so many heartbeats loses its place.
const PATIENCE: u32 = 10;

impl<N: Id, M: Machine> Group<N, M> {
    /// The two halves of a parcel's bytes; `None` when it is not there any more.
    fn parcel_bytes(&self, parcel: &Parcel) -> Option<(PrefixBytes, &[u8])> {
        match parcel.what {
            What::Snapshot => {
                let (_, bytes) = self.snapshot.as_ref().filter(|(lsn, _)| *lsn == parcel.id)?;
                Some((PrefixBytes::default(), bytes))
            }
            What::Entry => {
                let sequence = parcel.id.sequence;
                let epoch = self.log.epoch_at(sequence.checked_sub(1)?)?;
                let entry = self.log.entry(sequence)?;
                Some((PrefixBytes::of(Lsn { epoch, sequence: sequence - 1 }), entry.bytes))
            }
            What::Orphan => {
                let kept =
                    self.orphans.iter().find(|kept| super::orphan::origin::<N>(&kept.payload) == Some(parcel.id));
                Some((PrefixBytes::default(), &kept?.payload))
            }
        }
    }

    fn parcel_total(&self, parcel: &Parcel) -> Option<u64> {
        self.parcel_bytes(parcel).map(|(prefix, bytes)| len(prefix.as_slice().len()) + len(bytes.len()))
    }

    /// A later snapshot took its place.
    pub(super) fn parcel_is_gone(&self, parcel: &Parcel) -> bool {
        self.parcel_bytes(parcel).is_none()
    }

    pub(super) fn parcel_is_due(&self, parcel: &Parcel) -> bool {
        let fits = |&total: &u64| total <= len(self.config.max_reassembly);
        self.parcel_total(parcel)
            .filter(fits)
            .is_some_and(|total| parcel.is_open(total, self.config.max_inflight_bytes))
    }

    /// Begins to send an entry or a snapshot to a follower.
    pub(super) fn start_parcel(&mut self, index: usize, what: What) {
        let id = match what {
            What::Entry => {
                let sequence = self.peers[index].next;
                Lsn { epoch: self.log.epoch_at(sequence).unwrap_or(0), sequence }
            }
            _ => self.take_snapshot(),
        };
        self.peers[index].flow = Flow::Parcel(Parcel::new(what, id));
    }

    /// The committed state as bytes, shared by all that need it.
    fn take_snapshot(&mut self) -> Lsn {
        if let Some((lsn, _)) = &self.snapshot
            && self.snapshot_is_in_use()
            && lsn.sequence >= self.log.base().sequence
        {
            return *lsn;
        }
        let mut bytes = Vec::new();
        self.state.encode(&mut bytes);
        let (len, max) = (bytes.len(), self.config.max_reassembly);
        if len > max {
            self.events.push_back(Event::StateTooLong { len, max });
        } else {
            self.counters.snapshots_sent += 1;
        }
        self.snapshot = Some((self.state.applied, bytes));
        self.snapshot_at = self.now;
        self.state.applied
    }

    /// Writes the next part of what is under way to a peer.
    pub(super) fn write_part(&mut self, index: usize, mut parcel: Parcel, out: &mut Vec<u8>) -> Parcel {
        let Some((prefix, bytes)) = self.parcel_bytes(&parcel) else { return parcel };
        let prefix = prefix.as_slice();
        let total = len(prefix.len()) + len(bytes.len());
        let room = len(self.config.max_frame - PART_OVERHEAD);
        let end = (parcel.next + room).min(total);
        let message = Message::Part { what: parcel.what, id: parcel.id, total, offset: parcel.next, bytes: &[] };
        let to = self.peers[index].seat;
        self.envelope.open(to, self.hard.epoch, self.configuration().number, &message, out);
        let range = |at: u64| usize::try_from(at).expect("offsets lie within the parcel");
        let (from, to) = (range(parcel.next), range(end));
        let split = prefix.len();
        out.put(&prefix[from.min(split)..to.min(split)]);
        out.put(&bytes[from.saturating_sub(split)..to.saturating_sub(split)]);
        seal(out);
        parcel.next = end;
        parcel
    }

    pub(super) fn on_part(&mut self, peer: usize, epoch: u64, message: &Message<'_, N>) -> Result<(), MessageError> {
        let Message::Part { what, id, total, offset, bytes } = *message else { return Err(MessageError::Malformed) };
        if total > len(self.config.max_reassembly) {
            let len = usize::try_from(total).unwrap_or(usize::MAX);
            return Err(MessageError::TooLong { len, max: self.config.max_reassembly });
        }
        if what == What::Orphan {
            if self.office != Office::Primary {
                self.owe_notice_to_stranger(peer);
                return Ok(());
            }
        } else {
            if epoch < self.hard.epoch {
                self.peers[peer].owed_append = Some(None);
                return Ok(());
            }
            self.check_rival(peer, epoch)?;
        }
        let from = self.peers[peer].seat;
        let same = |incoming: &Incoming<N>| {
            incoming.from == from && incoming.what == what && incoming.id == id && incoming.total == total
        };
        if !self.incoming.as_ref().is_some_and(same) {
            let patience = self.config.heartbeat * PATIENCE;
            let busy = |other: &Incoming<N>| other.from != from && self.now < other.touched_at + patience;
            if what == What::Orphan && self.incoming.as_ref().is_some_and(busy) {
                return Ok(());
            }
            self.incoming = Some(Incoming {
                from,
                what,
                id,
                total,
                bytes: Vec::new(),
                early: BTreeMap::new(),
                waiting: 0,
                touched_at: self.now,
            });
        }
        let Some(incoming) = &mut self.incoming else { return Ok(()) };
        incoming.touched_at = self.now;
        incoming.take(offset, bytes, self.config.max_inflight_bytes);
        let have = len(incoming.bytes.len());
        if have < total {
            if what != What::Orphan {
                self.follow(epoch, peer);
            }
            self.peers[peer].owed_part = Some((what, id, have));
            return Ok(());
        }
        // What it brings is checked before the sender is followed. What was refused once is so again: it is forgotten.
        let Some(Incoming { bytes, .. }) = self.incoming.take() else { return Ok(()) };
        match what {
            What::Snapshot => {
                let state = self.check_snapshot(epoch, id, &bytes)?;
                self.follow(epoch, peer);
                self.peers[peer].owed_append = Some(None);
                if let Some(state) = state {
                    self.install(id, state);
                }
            }
            What::Entry => {
                let mut reader = Reader(&bytes);
                let prev = reader.lsn().ok_or(MessageError::Malformed)?;
                let message = Message::Append {
                    prev,
                    commit: 0,
                    round: 0,
                    fast: 0,
                    quiet: false,
                    count: 1,
                    entries: reader.rest(),
                };
                self.on_append(peer, epoch, &message)?;
            }
            What::Orphan => self.take_orphan(peer, &bytes)?,
        }
        self.peers[peer].owed_part = Some((what, id, have));
        Ok(())
    }

    pub(super) fn on_part_reply(&mut self, peer: usize, what: What, id: Lsn, have: u64) {
        let slot = &self.peers[peer];
        let sent = match (what, &slot.flow, &slot.orphan) {
            (What::Orphan, _, Some(parcel)) | (What::Snapshot | What::Entry, Flow::Parcel(parcel), _) => *parcel,
            _ => return,
        };
        if (sent.what, sent.id) != (what, id) {
            return;
        }
        let total = self.parcel_total(&sent).unwrap_or(0);
        let now = self.now;
        let slot = &mut self.peers[peer];
        slot.heard_at = now;
        let moved = Parcel { acked: have.min(total), next: sent.next.max(have.min(total)), ..sent };
        let done = have >= total;
        match what {
            What::Orphan => {
                slot.orphan = Some(moved);
                if done {
                    slot.long_orphan_after = id;
                    // The next one at once; those before it wait for the heartbeat.
                    self.peers[peer].orphan = self.next_long_orphan(id).filter(|next| next.id > id);
                }
            }
            _ if done => {
                slot.next = id.sequence + 1;
                // Its answer tells whether it took it in.
                slot.flow = Flow::Probing;
            }
            _ => slot.flow = Flow::Parcel(moved),
        }
        self.drop_unused_snapshot();
    }

    /// Whether a member that answers is being sent the snapshot.
    fn snapshot_is_in_use(&self) -> bool {
        let gets = |peer: &Peer<N>| matches!(peer.flow, Flow::Parcel(parcel) if parcel.what == What::Snapshot);
        let mut gets = self.peers.iter().filter(|peer| gets(peer) && peer.is_member());
        self.office == Office::Primary && gets.any(|peer| !self.is_unreachable(peer))
    }

    /// Who is silent for long, or no member any more, gets another one if it comes back. One that is too long to be sent
    /// is made anew in a while: the state may have become smaller.
    pub(super) fn drop_unused_snapshot(&mut self) {
        let Some((lsn, bytes)) = &self.snapshot else { return };
        let has_changed = *lsn != self.state.applied && self.now >= self.snapshot_at + self.config.unreachable;
        let is_vain = bytes.len() > self.config.max_reassembly && has_changed;
        if is_vain || !self.snapshot_is_in_use() {
            self.snapshot = None;
        }
    }
}

/// The place before a long entry, which goes ahead of it.
#[derive(Clone, Copy, Default)]
struct PrefixBytes {
    bytes: [u8; 16],
    is_there: bool,
}

impl PrefixBytes {
    fn of(lsn: Lsn) -> Self {
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&lsn.epoch.to_le_bytes());
        bytes[8..].copy_from_slice(&lsn.sequence.to_le_bytes());
        Self { bytes, is_there: true }
    }

    const fn as_slice(&self) -> &[u8] {
        if self.is_there { &self.bytes } else { &[] }
    }
}
