//! The replicated state: a function of the committed entries and of nothing else.

#[cfg(test)]
mod tests;

use alloc::{
    collections::{BTreeSet, VecDeque},
    vec::Vec,
};

use super::{
    MAX_SEQUENCE,
    entry::{Body, Change, Raw},
    log::{Boundary, Log},
    membership::{Configuration, Generation, MAX_PARTINGS, Parting, put_partings, read_partings},
    session::{Done, Sessions},
};
use crate::{
    Actor, Dot, Id, Lsn, Machine, OpId, Orphan, Policy, ReceiptState, Resolution, VectorClock,
    bugs::{Bug, has},
    bytes::{Put, Reader},
    clock::{Dots, Inserted},
};

/// Boundaries of epochs, retired actors, and actors known from writers alone, that are remembered.
const MEMORY: usize = 1024;
/// Former members that are remembered.
pub(crate) const MAX_FORMER: usize = 64;

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct State<N, M: Machine> {
    pub(crate) machine: M,
    pub(crate) applied: Lsn,
    pub(crate) sessions: Sessions<M::Output>,
    /// The dots of all writes and orphans that the history has dealt with.
    pub(crate) dots: Dots<N>,
    /// What writers had read besides the history before their writes.
    known: VectorClock<N>,
    /// The last 1,024, ascending.
    boundaries: VecDeque<Boundary<N>>,
    pub(crate) configuration: Configuration<N>,
    /// Of the last epoch.
    pub(crate) generation: Generation,
    /// The last 1,024, in the order of retirement.
    retired: VecDeque<Actor<N>>,
    /// Seats that were taken out of the group, the last 64.
    former: VecDeque<Actor<N>>,
    /// Where later generations began, the last 16.
    partings: VecDeque<Parting>,
}

/// The actors that are known although they have no write in the history.
struct Strangers<N> {
    count: usize,
    /// Those of them that the history has nothing to do with.
    far: BTreeSet<Actor<N>>,
}

/// What an entry came to.
pub(crate) enum Applied<N, O> {
    Nothing,
    /// `lsn` is that of the first application of the operation.
    Write {
        op: OpId,
        lsn: Lsn,
        output: O,
    },
    /// A repeat of a write that fell out of the history and was not taken in again: not applied.
    Discarded {
        op: OpId,
    },
    Orphan {
        op: OpId,
        dot: Dot<N>,
        origin: Lsn,
        resolution: Resolution<O>,
        /// The history has dealt with the dot before, and all members have told what became of it.
        is_old: bool,
    },
    EpochStart,
    Configuration,
}

impl<N: Id, M: Machine> State<N, M> {
    pub(crate) fn new(configuration: Configuration<N>) -> Self {
        Self {
            machine: M::default(),
            applied: Lsn::default(),
            sessions: Sessions::new(),
            dots: Dots::new(),
            known: VectorClock::new(),
            boundaries: VecDeque::new(),
            configuration,
            generation: Generation::default(),
            retired: VecDeque::new(),
            former: VecDeque::new(),
            partings: VecDeque::new(),
        }
    }

    pub(crate) fn is_retired(&self, actor: Actor<N>) -> bool {
        self.retired.contains(&actor)
    }

    /// Seats that were taken out of the group, oldest first.
    pub(crate) fn former(&self) -> impl Iterator<Item = Actor<N>> {
        self.former.iter().copied()
    }

    pub(crate) fn is_former(&self, seat: Actor<N>) -> bool {
        self.former.contains(&seat)
    }

    /// Where the generations of this history began, ascending.
    pub(crate) const fn partings(&self) -> &VecDeque<Parting> {
        &self.partings
    }

    fn reseat(&mut self, configuration: Configuration<N>) {
        let before = core::mem::replace(&mut self.configuration, configuration);
        let configuration = &self.configuration;
        self.former.retain(|&seat| configuration.class(seat).is_none());
        for seat in before.seats() {
            if configuration.class(seat).is_none() {
                if self.former.len() == MAX_FORMER {
                    self.former.pop_front();
                }
                self.former.push_back(seat);
            }
        }
    }

    fn begin_generation(&mut self, generation: Generation, after: Lsn) {
        if generation.number > self.generation.number {
            if self.partings.len() == MAX_PARTINGS {
                self.partings.pop_front();
            }
            self.partings.push_back(Parting { generation, after });
        }
        self.generation = generation;
    }

    /// Who wrote an epoch whose beginning is applied and not forgotten.
    pub(crate) fn author(&self, epoch: u64) -> Option<Actor<N>> {
        let index = self.boundaries.binary_search_by_key(&epoch, |boundary| boundary.epoch).ok()?;
        Some(self.boundaries[index].author)
    }

    /// The last entry of an epoch before the present one; 0 when it is unknown.
    pub(crate) fn end_of(&self, epoch: u64) -> u64 {
        let next = self.boundaries.partition_point(|boundary| boundary.epoch <= epoch);
        let own = next.checked_sub(1).is_some_and(|index| self.boundaries[index].epoch == epoch);
        if own { self.end_of_or_before(epoch) } else { 0 }
    }

    /// The last entry before the epochs after this one, whether or not this one is in the history.
    pub(crate) fn end_of_or_before(&self, epoch: u64) -> u64 {
        let next = self.boundaries.partition_point(|boundary| boundary.epoch <= epoch);
        self.boundaries.get(next).map_or(self.applied.sequence, |boundary| boundary.first - 1)
    }

    /// Up to where what a primary of the epoch had read is part of this history: as far as its log is. When none of its
    /// entries is here, it had read nothing but what was committed before. Of that all is here, in older epochs, if the
    /// next epoch here is of the same generation: an electorate of it has voted. It is not if force made that epoch: the
    /// log of which a survivor made the history may lack it, and have something else there that was never committed; nor
    /// if there is no later one: it is of another generation. 0 then, and when the epoch may be forgotten.
    fn parting(&self, epoch: u64) -> u64 {
        let next = self.boundaries.partition_point(|boundary| boundary.epoch <= epoch);
        let Some(before) = next.checked_sub(1).map(|index| self.boundaries[index].epoch) else { return 0 };
        let is_followed = self.boundaries.get(next).is_some_and(|next| !self.may_be_forced(next.first));
        let is_followed = is_followed || has(Bug::ReadAcrossGenerations);
        if before == epoch || is_followed { self.end_of_or_before(epoch) } else { 0 }
    }

    /// Whether a generation began with the entry, or may have begun there and be forgotten.
    fn may_be_forced(&self, first: u64) -> bool {
        let is_known = self.partings.iter().any(|parting| parting.after.sequence + 1 == first);
        let is_full = self.partings.len() == MAX_PARTINGS;
        is_known || is_full && self.partings.front().is_some_and(|oldest| first <= oldest.after.sequence)
    }

    /// The last applied entry that the actor wrote; 0 when it wrote none that is remembered.
    pub(crate) fn last_of(&self, actor: Actor<N>) -> u64 {
        let last = self.boundaries.iter().rev().find(|boundary| boundary.author == actor);
        last.map_or(0, |boundary| self.end_of(boundary.epoch))
    }

    pub(crate) fn receipt_state(&self, lsn: Lsn) -> ReceiptState {
        // The epoch in whose stretch the sequence lies.
        let next = self.boundaries.partition_point(|boundary| boundary.first <= lsn.sequence);
        let holder = next.checked_sub(1).map(|index| self.boundaries[index].epoch);
        if lsn.sequence <= self.applied.sequence {
            return match holder {
                Some(epoch) if epoch == lsn.epoch => ReceiptState::Held,
                Some(_) => ReceiptState::Lost,
                // Older than what is remembered; a later epoch cannot have written there.
                None if self.boundaries.front().is_some_and(|oldest| lsn.epoch >= oldest.epoch) => ReceiptState::Lost,
                None => ReceiptState::Unknown,
            };
        }
        if self.boundaries.back().is_some_and(|newest| newest.epoch > lsn.epoch) {
            return ReceiptState::Lost;
        }
        ReceiptState::Unknown
    }

    /// Applies the entry that follows. `None` when it is damaged: entries are checked before they enter a log.
    pub(crate) fn apply(&mut self, entry: &Raw<'_>, log: &Log<N>) -> Option<Applied<N, M::Output>> {
        let lsn = Lsn { epoch: entry.epoch, sequence: self.applied.sequence + 1 };
        self.applied = lsn;
        Some(match entry.body::<N>()? {
            Body::EpochStart { author, generation, previous } => {
                self.begin_generation(generation, previous);
                if self.boundaries.len() == MEMORY {
                    self.boundaries.pop_front();
                }
                self.boundaries.push_back(Boundary { epoch: entry.epoch, first: lsn.sequence, author });
                Applied::EpochStart
            }
            Body::Write { counter, change } => {
                let actor = self.author(entry.epoch).or_else(|| log.author(entry.epoch))?;
                self.see(Dot { actor, counter });
                let applied = self.write(lsn, &change)?;
                // What is not in the history supersedes nothing.
                if !matches!(applied, Applied::Discarded { .. }) {
                    self.hear(&change)?;
                }
                applied
            }
            Body::Orphan { dot, origin, change } => {
                let is_old = self.dots.contains(dot);
                let resolution = self.adopt(lsn, dot, origin, &change)?;
                Applied::Orphan { op: change.op, dot, origin, resolution, is_old }
            }
            Body::Configuration(configuration) => {
                self.reseat(configuration);
                Applied::Configuration
            }
            Body::Retire(actor) => {
                self.dots.forget(actor);
                self.known.remove(actor);
                if self.retired.len() == MEMORY {
                    self.retired.pop_front();
                }
                self.retired.push_back(actor);
                Applied::Nothing
            }
            Body::Expire(client) => {
                self.sessions.expire(client, lsn.sequence);
                Applied::Nothing
            }
        })
    }

    fn see(&mut self, dot: Dot<N>) {
        // A range that is given up counts as dealt with: its orphans are let go, never applied twice.
        let (Inserted::New | Inserted::Known | Inserted::GaveUp { .. }) = self.dots.insert(dot);
    }

    /// What the writer of a change that is in the history had read. Of retired lives nothing is learned: their orphans are
    /// superseded in any case.
    fn hear(&mut self, change: &Change<'_>) -> Option<()> {
        if change.extra.is_empty() {
            return Some(());
        }
        let clock = VectorClock::<N>::from_bytes(change.extra).ok()?;
        // Clocks may be long.
        let mut strangers = None;
        for dot in clock.dots() {
            if self.is_retired(dot.actor) {
                continue;
            }
            let is_known = self.known.counter(dot.actor) > 0 || self.dots.clock().counter(dot.actor) > 0;
            if !is_known {
                let strangers = strangers.get_or_insert_with(|| self.strangers());
                if !self.makes_room_for(dot.actor, strangers) {
                    continue;
                }
            }
            self.known.observe(dot);
        }
        Some(())
    }

    fn strangers(&self) -> Strangers<N> {
        let seen = self.dots.clock();
        let all = || self.known.dots().map(|dot| dot.actor).filter(|&actor| seen.counter(actor) == 0);
        Strangers { count: all().count(), far: all().filter(|&actor| !self.has_to_do_with(actor)).collect() }
    }

    /// Of actors without a write in this history 1,024 are heard of: any, since who wrote what may still come as an orphan
    /// may be known to another generation alone. Those that this history has to do with come first.
    fn makes_room_for(&mut self, actor: Actor<N>, strangers: &mut Strangers<N>) -> bool {
        let is_near = self.has_to_do_with(actor);
        if strangers.count < MEMORY {
            strangers.count += 1;
            if !is_near {
                strangers.far.insert(actor);
            }
            return true;
        }
        let least = if is_near { strangers.far.pop_first() } else { None };
        if let Some(least) = least {
            self.known.remove(least);
        }
        least.is_some()
    }

    /// Whether the actor is a life of a member or of a former one, or wrote an epoch of this history.
    fn has_to_do_with(&self, actor: Actor<N>) -> bool {
        self.configuration.seats().into_iter().chain(self.former()).any(|seat| seat.node == actor.node)
            || self.boundaries.iter().any(|boundary| boundary.author == actor)
    }

    fn write(&mut self, lsn: Lsn, change: &Change<'_>) -> Option<Applied<N, M::Output>> {
        let op = change.op;
        if let Some(done) = self.sessions.done(op).filter(|_| !has(Bug::RetryAppliedTwice)) {
            return Some(match done.output.clone() {
                Some(output) => Applied::Write { op, lsn: done.lsn, output },
                None => Applied::Discarded { op },
            });
        }
        let output = self.machine.apply(lsn, &M::decode(change.delta).ok()?);
        if !has(Bug::RetryAppliedTwice) || self.sessions.done(op).is_none() {
            self.sessions.insert(op.client, Done { serial: op.serial, lsn, output: Some(output.clone()) });
        }
        Some(Applied::Write { op, lsn, output })
    }

    /// Judges a write that was dropped elsewhere: only one that is new and concurrent reaches the machine. The session
    /// remembers the others, so that what their writers are told stays true.
    fn adopt(&mut self, lsn: Lsn, dot: Dot<N>, origin: Lsn, change: &Change<'_>) -> Option<Resolution<M::Output>> {
        let op = change.op;
        let done = self.sessions.done(op).map(|done| done.output.is_some());
        // A dot may be known without its write: its range was given up, or its write is forgotten.
        let forgotten = self.sessions.is_forgotten(op) || self.dots.contains(dot);
        let known = self.known.covers(dot) && !has(Bug::ContextIgnored);
        let older = known || self.retired.contains(&dot.actor);
        self.see(dot);
        match done {
            Some(true) => {
                self.hear(change)?;
                return Some(Resolution::Contained);
            }
            // Of another copy of it the writer was told that it is not in the history, and will not be.
            Some(false) => return Some(Resolution::Refused),
            None if forgotten => return Some(Resolution::Forgotten),
            None => {}
        }
        let delta = M::decode(change.delta).ok()?;
        let read = change.read.min(self.parting(origin.epoch));
        let output = if older || M::POLICY == Policy::Reject {
            None
        } else {
            self.machine.reconcile(lsn, &Orphan { lsn: origin, read, delta: &delta })
        };
        if output.is_some() {
            self.hear(change)?;
        }
        let place = if output.is_some() { lsn } else { origin };
        self.sessions.insert(op.client, Done { serial: op.serial, lsn: place, output: output.clone() });
        Some(match output {
            Some(output) => Resolution::Merged(output),
            None if older => Resolution::Older,
            None => Resolution::Refused,
        })
    }

    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        out.put_lsn(self.applied);
        self.configuration.encode(out);
        out.put_u64(self.generation.number);
        out.put_u64(self.generation.nonce);
        out.put_count(self.boundaries.len());
        for boundary in &self.boundaries {
            out.put_u64(boundary.epoch);
            out.put_u64(boundary.first);
            out.put_actor(&boundary.author);
        }
        out.put_count(self.retired.len());
        self.retired.iter().for_each(|actor| out.put_actor(actor));
        out.put_count(self.former.len());
        self.former.iter().for_each(|seat| out.put_actor(seat));
        put_partings(out, &self.partings);
        self.dots.encode(out);
        self.known.encode(out);
        self.sessions.encode::<M>(out);
        self.machine.snapshot(out);
    }

    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let mut from = Reader(bytes);
        let applied = from.lsn().filter(|applied| applied.sequence <= MAX_SEQUENCE)?;
        let configuration = Configuration::decode(&mut from)?;
        let generation = Generation { number: from.u64()?, nonce: from.u64()? };
        let mut boundaries: VecDeque<Boundary<N>> = VecDeque::new();
        for _ in 0..count(&mut from)? {
            let boundary = Boundary { epoch: from.u64()?, first: from.u64()?, author: from.actor()? };
            let follows = boundaries.back().is_none_or(|b| b.epoch < boundary.epoch && b.first < boundary.first);
            if !follows || boundary.first > applied.sequence || boundary.first == 0 {
                return None;
            }
            boundaries.push_back(boundary);
        }
        // Every entry belongs to an epoch whose start is before it.
        if boundaries.back().map_or(0, |newest| newest.epoch) != applied.epoch {
            return None;
        }
        let mut retired = VecDeque::new();
        for _ in 0..count(&mut from)? {
            retired.push_back(from.actor()?);
        }
        let count = from.u32().filter(|&count| usize::try_from(count).is_ok_and(|count| count <= MAX_FORMER))?;
        let former = (0..count).map(|_| from.actor()).collect::<Option<_>>()?;
        let partings = read_partings(&mut from)?.into();
        let dots = Dots::decode(&mut from)?;
        let known = VectorClock::decode(&mut from).ok()?;
        let sessions = Sessions::decode::<M>(&mut from)?;
        let machine = M::restore(from.rest()).ok()?;
        Some(Self {
            machine,
            applied,
            sessions,
            dots,
            known,
            boundaries,
            configuration,
            generation,
            retired,
            former,
            partings,
        })
    }
}

fn count(from: &mut Reader<'_>) -> Option<u32> {
    from.u32().filter(|&count| usize::try_from(count).is_ok_and(|count| count <= MEMORY))
}
