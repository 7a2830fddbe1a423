//! What must hold after every step, checked from what changed in it; and once in a while from everything.

mod generation;

use alloc::{collections::BTreeMap, format, vec::Vec};

use super::{
    DriftingClock, Violation,
    branch::{Branch, BranchId, Branches, CommittedEntry},
    machine::Lists,
};
use crate::{Actor, Configuration, Generation, Group, Inspect, Lsn, Mode, NodeClass, OpId, Read, Role, majority};

/// What is remembered of a seat, running or not.
#[derive(Clone, Debug)]
struct Watched {
    seat: Actor<u64>,
    life: u64,
    /// That of its log.
    branch: BranchId,
    /// It has seen a later generation, or another one of the same number.
    has_stopped: bool,
    /// The end of its log when it did, or when it was back from storage.
    stopped_at: u64,
    /// Epochs of the entries of its log.
    mirror: Vec<u64>,
    /// The last entry that it holds as its storage demands.
    held: Lsn,
    /// By epoch: the last entry that it ever held.
    once_held: BTreeMap<u64, u64>,
    last: Lsn,
    epoch: u64,
    voted: Option<Actor<u64>>,
    commit: u64,
    applied: u64,
    /// How much of its committed state has been compared.
    compared: usize,
    configuration: Configuration<u64>,
    primary_in: Option<u64>,
    lease_until_us: u64,
    /// Whose majority the lease rests on: of before or after the step that got it.
    lease_of: [Configuration<u64>; 2],
    /// Until when it votes for nobody.
    loyal_until_us: u64,
    runs: bool,
}

impl Watched {
    /// What the log holds now. With the first entry of an epoch come all before it.
    fn hold(&mut self, inspect: &Inspect<'_, u64>) {
        let mut at = inspect.held;
        self.held = at;
        loop {
            let is_known = self.once_held.contains_key(&at.epoch);
            let once = self.once_held.entry(at.epoch).or_insert(0);
            *once = at.sequence.max(*once);
            let before = (inspect.log_first..at.sequence).rev().map(|sequence| (sequence, inspect.epoch_at(sequence)));
            let Some((sequence, Some(epoch))) =
                before.filter(|_| !is_known).find(|&(_, epoch)| epoch != Some(at.epoch))
            else {
                return;
            };
            at = Lsn { epoch, sequence };
        }
    }
}

/// A promise that a record made durable.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Promise {
    pub(super) generation: Generation,
    pub(super) epoch: u64,
    pub(super) voted: Option<Actor<u64>>,
}

/// What an entry is: its hash, the epoch of the entry before, and the write that it brings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Known {
    hash: u64,
    before: u64,
    write: Option<OpId>,
    is_orphan: bool,
}

/// A write that a member dropped from its log.
#[derive(Clone, Copy, Debug)]
struct Dropped {
    by: Actor<u64>,
    id: OpId,
    /// What storage never had, a crash may take from the log and from the orphans alike.
    was_held: bool,
}

/// A member of an older generation that came back: what it had, and a survivor lacked.
#[derive(Clone, Debug)]
struct Returned {
    seat: Actor<u64>,
    /// The branch that is to deal with it.
    to: BranchId,
    writes: Vec<OpId>,
    /// It told that so many were too many to keep, or are not in memory any more.
    dropped: u64,
    /// It ran until it had handed over everything.
    is_done: bool,
}

impl Watched {
    fn has_lease(&self, now_us: u64, branch: BranchId) -> bool {
        self.runs && self.branch == branch && self.lease_until_us > now_us
    }
}

#[derive(Clone, Debug)]
pub(super) struct Checker {
    mode: Mode,
    /// The present seat of each node.
    seats: Vec<Option<Watched>>,
    /// Seats whose nodes lost their memory: what they held counts as once held.
    past: Vec<Watched>,
    /// Entries by the branch of their epoch, epoch and sequence.
    entries: BTreeMap<(BranchId, Lsn), Known>,
    primaries: BTreeMap<(BranchId, u64), (Actor<u64>, u64)>,
    branches: Branches,
    returned: Vec<Returned>,
    /// Writes that members dropped from their logs.
    dropped: Vec<Dropped>,
    steps: u64,
}

/// Steps between two looks at everything.
const FULL_SCAN_STEPS: u64 = 1_000;

type Checked = Result<(), Violation>;

impl Checker {
    pub(super) fn new(mode: Mode, nodes: usize) -> Self {
        Self {
            mode,
            seats: (0..nodes).map(|_| None).collect(),
            past: Vec::new(),
            entries: BTreeMap::new(),
            primaries: BTreeMap::new(),
            branches: Branches::new(),
            returned: Vec::new(),
            dropped: Vec::new(),
            steps: 0,
        }
    }

    pub(super) const fn is_safe_mode(&self) -> bool {
        !matches!(self.mode, Mode::Fast)
    }

    pub(super) const fn branches(&self) -> &Branches {
        &self.branches
    }

    /// The branch of the log of the node's present member.
    pub(super) fn branch_of(&self, node: usize) -> BranchId {
        self.seats[node].as_ref().map_or(0, |watched| watched.branch)
    }

    pub(super) fn branch_at(&self, node: usize) -> &Branch {
        self.branches.get(self.branch_of(node))
    }

    /// Whether the entry brought in a write that had been dropped before.
    pub(super) fn is_orphan(&self, branch: BranchId, lsn: Lsn) -> bool {
        self.known(branch, lsn).is_some_and(|known| known.is_orphan)
    }

    /// Whether a member of the class, other than the primary, has ever held the entry of the primary's epoch.
    pub(super) fn was_held(&self, primary: Actor<u64>, by: &Configuration<u64>, class: NodeClass, lsn: Lsn) -> bool {
        let mut all = self.seats.iter().flatten().chain(&self.past);
        all.any(|watched| {
            watched.seat != primary
                && by.class(watched.seat) == Some(class)
                && watched.once_held.get(&lsn.epoch).is_some_and(|&once| once >= lsn.sequence)
        })
    }

    /// Values in all histories.
    pub(super) fn commits(&self) -> usize {
        self.branches.ids().map(|id| self.branches.get(id).values().count()).sum()
    }

    /// The writes that the member dropped from its log.
    pub(super) fn dropped_by(&self, seat: Actor<u64>) -> impl Iterator<Item = OpId> {
        self.dropped.iter().filter(move |dropped| dropped.by == seat).map(|dropped| dropped.id)
    }

    pub(super) fn epochs_with_primary(&self) -> usize {
        self.primaries.len()
    }

    /// What the member now promises.
    pub(super) fn promise<const MERGES: bool>(group: &Group<u64, Lists<MERGES>>) -> Promise {
        let inspect = group.inspect();
        Promise { generation: group.generation(), epoch: inspect.epoch, voted: inspect.voted_for }
    }

    /// A member started: with a new seat, or in the one it had, of which storage kept `promise`.
    pub(super) fn started<const MERGES: bool>(
        &mut self,
        node: usize,
        life: u64,
        group: &Group<u64, Lists<MERGES>>,
        promise: Promise,
    ) -> Checked {
        let (seat, inspect) = (group.seat(), group.inspect());
        let mut watched = Watched {
            seat,
            life,
            branch: self.branches.of(group.generation()).unwrap_or(0),
            has_stopped: group.role() == Role::Superseded,
            stopped_at: group.last().sequence,
            mirror: Vec::new(),
            held: Lsn::default(),
            once_held: BTreeMap::new(),
            last: Lsn::default(),
            epoch: inspect.epoch,
            voted: inspect.voted_for,
            commit: 0,
            applied: 0,
            compared: 0,
            configuration: group.configuration().clone(),
            primary_in: None,
            lease_until_us: 0,
            lease_of: Default::default(),
            loyal_until_us: u64::MAX,
            runs: true,
        };
        if (group.generation(), inspect.epoch) < (promise.generation, promise.epoch)
            || (inspect.epoch == promise.epoch && promise.voted.is_some() && inspect.voted_for != promise.voted)
        {
            let detail = format!("{promise:?} of {seat:?}, now {} {:?}", inspect.epoch, inspect.voted_for);
            return Err(Violation::new("a recovered member keeps its promises", detail));
        }
        if let Some(before) = self.seats[node].take() {
            if before.seat == seat {
                let Lsn { epoch, sequence } = before.held;
                // Epoch 0: it held that entry, and had forgotten it.
                let known = epoch > 0 && sequence >= inspect.log_first;
                let lost = known && inspect.epoch_at(sequence) != Some(epoch);
                if lost || sequence > group.last().sequence {
                    let detail = format!("{:?} of {seat:?}, now {:?}", before.held, group.last());
                    return Err(Violation::new("a recovered member has what it held", detail));
                }
                watched.branch = self.rejoin(&watched, &before, group)?;
                watched.mirror = before.mirror;
                watched.held = before.held;
                watched.once_held = before.once_held;
                // What was never durable is lost, not dropped.
                let kept = agreement(&watched.mirror, group);
                watched.mirror.truncate(kept);
            } else {
                self.past.push(before);
            }
        }
        self.seats[node] = Some(watched);
        Ok(())
    }

    /// The member stopped; what it held stays counted.
    pub(super) fn crashed(&mut self, node: usize) {
        if let Some(watched) = &mut self.seats[node] {
            watched.runs = false;
            watched.lease_until_us = 0;
            watched.loyal_until_us = u64::MAX;
            let seat = watched.seat;
            self.dropped.retain(|dropped| dropped.by != seat || dropped.was_held);
        }
    }

    /// The node's memory is gone, and its seat is empty for ever.
    pub(super) fn destroyed(&mut self, node: usize) {
        self.past.extend(self.seats[node].take());
    }

    /// After a step of `node`, whose clock is `clock`.
    pub(super) fn step<const MERGES: bool>(
        &mut self,
        now_us: u64,
        node: usize,
        clock: &DriftingClock,
        group: &Group<u64, Lists<MERGES>>,
    ) -> Checked {
        self.steps += 1;
        let Some(mut watched) = self.seats[node].take() else { return Ok(()) };
        let checked = self
            .generation(&mut watched, group)
            .and_then(|()| self.monotone(&mut watched, group))
            .and_then(|()| self.log(&mut watched, group))
            .and_then(|()| self.commit(&mut watched, group))
            .and_then(|()| self.applied(&mut watched, group))
            .and_then(|()| self.leadership(now_us, node, clock, &mut watched, group))
            .and_then(|()| self.loyalty(now_us, clock, &mut watched, group));
        if watched.configuration != *group.configuration() {
            watched.configuration.clone_from(group.configuration());
        }
        let checked = match checked {
            Ok(()) if self.steps.is_multiple_of(FULL_SCAN_STEPS) => self.scan(&watched, group),
            other => other,
        };
        self.seats[node] = Some(watched);
        checked
    }

    fn monotone<const MERGES: bool>(&self, watched: &mut Watched, group: &Group<u64, Lists<MERGES>>) -> Checked {
        let inspect = group.inspect();
        let voted_twice =
            inspect.epoch == watched.epoch && watched.voted.is_some() && inspect.voted_for != watched.voted;
        if inspect.epoch < watched.epoch
            || voted_twice
            || inspect.commit < watched.commit
            || inspect.applied < watched.applied
        {
            let detail = format!("{watched:?} now {inspect:?}");
            return Err(Violation::new("epoch, vote, commit and applied only grow", detail));
        }
        (watched.epoch, watched.voted, watched.applied) = (inspect.epoch, inspect.voted_for, inspect.applied);
        Ok(())
    }

    /// Log matching: an entry has one content and one predecessor, in whichever log it stands.
    fn log<const MERGES: bool>(&mut self, watched: &mut Watched, group: &Group<u64, Lists<MERGES>>) -> Checked {
        let (inspect, last) = (group.inspect(), group.last());
        if watched.held != inspect.held {
            watched.hold(&inspect);
        }
        if last == watched.last {
            return Ok(());
        }
        watched.last = last;
        let first = inspect.log_first;
        self.truncate(watched, agreement(&watched.mirror, group));
        // A snapshot took the place of the log, unless both agree where it ends (and so all the way before).
        let base = watched.mirror.get(index(first).wrapping_sub(2)).copied();
        if first > 1 && base != inspect.epoch_at(first - 1) {
            self.truncate(watched, index(watched.commit));
        }
        // What a snapshot stands for was committed.
        while (watched.mirror.len() as u64) + 1 < first {
            let committed = &self.branches.get(watched.branch).committed;
            let known = committed.get(watched.mirror.len()).map(|&CommittedEntry { epoch, .. }| epoch);
            // A lone voter without storage writes, commits and forgets in one step.
            let own = (group.role() == Role::Primary && first <= inspect.commit + 1).then(|| group.epoch());
            let Some(epoch) = known.or(own) else {
                let detail = format!("{:?} begins at {first}", watched.seat);
                return Err(Violation::new("snapshots hold what was committed", detail));
            };
            watched.mirror.push(epoch);
        }
        while (watched.mirror.len() as u64) < last.sequence {
            let sequence = watched.mirror.len() as u64 + 1;
            let before = watched.mirror.last().copied().unwrap_or(0);
            let (Some(epoch), Some(hash)) = (inspect.epoch_at(sequence), inspect.entry_hash(sequence)) else {
                let detail = format!("{:?} lacks {sequence} of {first} to {last:?}", watched.seat);
                return Err(Violation::new("logs have no gaps", detail));
            };
            let lsn = Lsn { epoch, sequence };
            let here =
                Known { hash, before, write: inspect.write_at(sequence), is_orphan: inspect.is_orphan_at(sequence) };
            let place = (self.branches.owner(watched.branch, epoch), lsn);
            let known = *self.entries.entry(place).or_insert(here);
            if known != here || before > epoch {
                let detail = format!("{lsn:?} {here:?} at {:?}, elsewhere {known:?}", watched.seat);
                return Err(Violation::new("logs match", detail));
            }
            watched.mirror.push(epoch);
        }
        Ok(())
    }

    fn known(&self, branch: BranchId, lsn: Lsn) -> Option<&Known> {
        self.entries.get(&(self.branches.owner(branch, lsn.epoch), lsn))
    }

    fn truncate(&mut self, watched: &mut Watched, keep: usize) {
        for (at, &epoch) in watched.mirror.iter().enumerate().skip(keep) {
            let lsn = Lsn { epoch, sequence: at as u64 + 1 };
            let write = self.known(watched.branch, lsn).and_then(|known| known.write);
            let was_held = watched.once_held.get(&epoch).is_some_and(|&once| once >= lsn.sequence);
            self.dropped.extend(write.map(|id| Dropped { by: watched.seat, id, was_held }));
        }
        watched.mirror.truncate(keep);
    }

    /// Committed entries never change, and the write quorum holds them.
    fn commit<const MERGES: bool>(&mut self, watched: &mut Watched, group: &Group<u64, Lists<MERGES>>) -> Checked {
        let inspect = group.inspect();
        let configuration = group.configuration();
        if inspect.commit > watched.commit {
            let committed = &mut self.branches.get_mut(watched.branch).committed;
            for sequence in watched.commit + 1..=inspect.commit {
                let at = index(sequence) - 1;
                let Some(&epoch) = watched.mirror.get(at) else {
                    let detail = format!("{:?} committed {sequence} of {:?}", watched.seat, group.last());
                    return Err(Violation::new("what is committed is in the log", detail));
                };
                let hash = inspect.entry_hash(sequence);
                match committed.get_mut(at) {
                    Some(known) => {
                        if known.epoch != epoch || (known.hash.is_some() && hash.is_some() && known.hash != hash) {
                            let detail = format!("{sequence}: {known:?}, {:?} has epoch {epoch}", watched.seat);
                            return Err(Violation::new("what is committed never changes", detail));
                        }
                        known.hash = known.hash.or(hash);
                    }
                    None => committed.push(CommittedEntry { epoch, hash, by: group.epoch() }),
                }
            }
            let newest = inspect.commit == committed.len() as u64;
            watched.commit = inspect.commit;
            if newest && group.role() == Role::Primary {
                let lsn = Lsn { epoch: watched.mirror[index(inspect.commit) - 1], sequence: inspect.commit };
                // Even where it does no harm yet (Ongaro and Ousterhout 2014, figure 8).
                if lsn.epoch != group.epoch() {
                    let detail = format!("{lsn:?} by the primary of {}", group.epoch());
                    return Err(Violation::new("a primary commits through an entry of its own epoch", detail));
                }
                // A step that commits a joint configuration appends the new one, which then rules.
                let held = [&watched.configuration, configuration].into_iter().any(|by| self.is_held(watched, by, lsn));
                if !held {
                    let detail = format!("{lsn:?} of {configuration:?}, says {:?}", watched.seat);
                    return Err(Violation::new("what is committed is held by a write quorum", detail));
                }
            }
        }
        Ok(())
    }

    fn is_held(&self, watched: &Watched, by: &Configuration<u64>, lsn: Lsn) -> bool {
        [&by.voters, &by.outgoing].into_iter().filter(|voters| !voters.is_empty()).all(|voters| {
            let holders = voters.iter().filter(|&&seat| self.holds(watched, seat, lsn)).count();
            holders >= self.mode.write_quorum(voters.len())
        })
    }

    /// Whether the seat holds the entry, or held it when it lost its memory, or before another generation stopped it.
    fn holds(&self, stepped: &Watched, seat: Actor<u64>, lsn: Lsn) -> bool {
        let present = core::iter::once(stepped).chain(self.seats.iter().flatten());
        let mut all = present.chain(&self.past);
        all.find(|watched| watched.seat == seat).is_some_and(|watched| {
            let once = watched.once_held.get(&lsn.epoch).is_some_and(|&once| once >= lsn.sequence);
            let in_log = watched.mirror.get(index(lsn.sequence) - 1) == Some(&lsn.epoch);
            // Storage has what a survivor went on with, be the new generation durable or not.
            let has_gone_on = watched.branch != stepped.branch && once;
            in_log && (watched.held.sequence >= lsn.sequence || has_gone_on) || watched.has_stopped && once
        })
    }

    /// All committed states are prefixes of one history, in which no write stands twice.
    fn applied<const MERGES: bool>(&mut self, watched: &mut Watched, group: &Group<u64, Lists<MERGES>>) -> Checked {
        let Ok((state, _)) = group.read(Read::Committed) else {
            return Err(Violation::new("committed reads never fail", format!("{:?}", watched.seat)));
        };
        let applied = state.applied();
        if applied.len() < watched.compared {
            return Err(Violation::new("committed states only grow", format!("{:?}", watched.seat)));
        }
        for (place, &value) in applied.iter().enumerate().skip(watched.compared) {
            self.claim(watched, value)?;
            self.branches.get_mut(watched.branch).append(watched.seat, place, value)?;
        }
        watched.compared = applied.len();
        Ok(())
    }

    /// One primary per epoch, which has all that was committed; one valid lease.
    fn leadership<const MERGES: bool>(
        &mut self,
        now_us: u64,
        node: usize,
        clock: &DriftingClock,
        watched: &mut Watched,
        group: &Group<u64, Lists<MERGES>>,
    ) -> Checked {
        if group.role() != Role::Primary {
            (watched.primary_in, watched.lease_until_us) = (None, 0);
            return Ok(());
        }
        let epoch = group.epoch();
        let number = group.configuration().number;
        // Force waits for nothing.
        let by_force = self.branches.get(watched.branch).root.as_ref().is_some_and(|root| root.number == number);
        if group.inspect().changes > 1 && watched.configuration.number < number && !by_force {
            let detail = format!("{:?} begins {:?}", watched.seat, group.configuration());
            return Err(Violation::new("a change waits for the one before", detail));
        }
        if watched.primary_in != Some(epoch) {
            watched.primary_in = Some(epoch);
            let claim = (watched.seat, watched.life);
            let holder = *self.primaries.entry((watched.branch, epoch)).or_insert(claim);
            if holder != claim {
                let detail = format!("{holder:?} and {claim:?} in epoch {epoch}");
                return Err(Violation::new("one primary per epoch", detail));
            }
            let branch = self.branches.get_mut(watched.branch);
            branch.newest_primary = branch.newest_primary.max(epoch);
            // One that learns late that it had won is no later primary.
            let branch = watched.branch;
            let mut leases = self.seats.iter().flatten().filter(|seat| seat.has_lease(now_us, branch));
            if let Some(held) = leases.find(|seat| seat.primary_in.is_some_and(|before| before < epoch)) {
                let detail = format!("{claim:?} in epoch {epoch} at {now_us}, {held:?}");
                return Err(Violation::new("nobody is elected while a lease lasts", detail));
            }
            // A candidate may learn late that it had won, when a later primary has already committed more.
            let committed = &self.branches.get(watched.branch).committed;
            let before = committed.iter().rposition(|entry| entry.by < epoch);
            if let Some(last) = before
                && watched.mirror.get(last) != Some(&committed[last].epoch)
            {
                let detail = format!("{claim:?} of epoch {epoch} lacks {}", last + 1);
                return Err(Violation::new("a primary has all that was committed", detail));
            }
        }
        let until = group.inspect().lease_until;
        let until_us = until.filter(|&until| until > clock.local(now_us)).map_or(0, |until| clock.true_us(until));
        if until_us > watched.lease_until_us {
            watched.lease_of[0].clone_from(&watched.configuration);
            watched.lease_of[1].clone_from(group.configuration());
        }
        watched.lease_until_us = until_us;
        if watched.lease_until_us > now_us {
            let mut others = self.seats.iter().enumerate().filter_map(|(other, seat)| Some((other, seat.as_ref()?)));
            let held = others.find(|(other, seat)| *other != node && seat.has_lease(now_us, watched.branch));
            if let Some((_, other)) = held {
                let detail = format!(
                    "{:?} until {}, {:?} until {}, at {now_us}",
                    watched.seat, watched.lease_until_us, other.seat, other.lease_until_us
                );
                return Err(Violation::new("one read lease at a time", detail));
            }
        }
        Ok(())
    }

    /// A lease rests on a majority of voters none of whom votes before it ends, be it in another seat's favour or after
    /// a restart. Whoever has gone over to another generation, or has heard of one, votes no more in this one.
    fn loyalty<const MERGES: bool>(
        &self,
        now_us: u64,
        clock: &DriftingClock,
        watched: &mut Watched,
        group: &Group<u64, Lists<MERGES>>,
    ) -> Checked {
        watched.loyal_until_us = group.inspect().loyal_until.map_or(u64::MAX, |until| clock.true_us(until));
        let watched = &*watched;
        let holders = self.seats.iter().flatten().chain([watched]);
        for holder in holders.filter(|holder| holder.runs && holder.lease_until_us > now_us) {
            let is_bound = |seat: &&Actor<u64>| {
                let present = self.seats.iter().flatten().chain([watched]);
                let present = present.into_iter().find(|it| it.seat == **seat);
                let voter = present.filter(|it| it.branch == holder.branch && !it.has_stopped);
                let loyal_until_us = voter.map(|it| it.loyal_until_us);
                // A seat whose memory is gone votes no more.
                **seat == holder.seat || loyal_until_us.is_none_or(|until_us| until_us >= holder.lease_until_us)
            };
            let rests = |of: &Configuration<u64>| {
                let all = [&of.voters, &of.outgoing];
                let mut all = all.into_iter().filter(|voters| !voters.is_empty());
                all.all(|voters| voters.iter().filter(is_bound).count() >= majority(voters.len()))
            };
            if !holder.lease_of.iter().any(rests) {
                return Err(Violation::new("a lease rests on a loyal majority", format!("{holder:?} at {now_us}")));
            }
        }
        Ok(())
    }

    /// A configuration of which a member says that it is committed.
    pub(super) fn configuration(&mut self, node: usize, configuration: &Configuration<u64>) -> Checked {
        let branch = self.branch_of(node);
        for [first, second] in self.branches.get_mut(branch).configure(configuration)? {
            if !self.intersect(&first, &second) || !self.intersect(&second, &first) {
                let detail = format!("{first:?} then {second:?}");
                return Err(Violation::new("quorums of neighbouring configurations intersect", detail));
            }
        }
        Ok(())
    }

    /// Whether each write quorum of `first` shares a seat with each electorate of `second`, by trying all.
    fn intersect(&self, first: &Configuration<u64>, second: &Configuration<u64>) -> bool {
        let mut all: Vec<Actor<u64>> =
            [&first.voters, &first.outgoing, &second.voters, &second.outgoing].into_iter().flatten().copied().collect();
        all.sort_unstable();
        all.dedup();
        (0..1_u32 << all.len().min(20)).all(|chosen| {
            let count = |voters: &[Actor<u64>], wanted: bool| {
                let is_chosen =
                    |seat: &&Actor<u64>| all.binary_search(seat).is_ok_and(|at| (chosen >> at & 1 == 1) == wanted);
                voters.iter().filter(is_chosen).count()
            };
            let writes = [&first.voters, &first.outgoing]
                .into_iter()
                .all(|voters| voters.is_empty() || count(voters, true) >= self.mode.write_quorum(voters.len()));
            let elects = [&second.voters, &second.outgoing]
                .into_iter()
                .all(|voters| voters.is_empty() || count(voters, false) >= self.mode.elect_quorum(voters.len()));
            !(writes && elects)
        })
    }

    /// Everything that is remembered of the member, against all that it has.
    fn scan<const MERGES: bool>(&self, watched: &Watched, group: &Group<u64, Lists<MERGES>>) -> Checked {
        let inspect = group.inspect();
        for sequence in inspect.log_first..=group.last().sequence {
            let epoch = inspect.epoch_at(sequence);
            let at = index(sequence) - 1;
            let known = epoch.and_then(|epoch| self.known(watched.branch, Lsn { epoch, sequence }));
            let committed = self.branches.get(watched.branch).committed.get(at).filter(|_| sequence <= inspect.commit);
            let same = known.map(|known| known.hash) == inspect.entry_hash(sequence)
                && watched.mirror.get(at).copied() == epoch
                && committed.is_none_or(|known| Some(known.epoch) == epoch);
            if !same {
                let detail = format!("{sequence} of {:?}: epoch {epoch:?}, known {known:?}", watched.seat);
                return Err(Violation::new("logs change only where a step changed them", detail));
            }
        }
        if let Ok((state, _)) = group.read(Read::Committed) {
            let history = self.branches.get(watched.branch).values();
            let differs = state.applied().iter().zip(history).position(|(mine, known)| *mine != known);
            if let Some(place) = differs {
                let detail = format!("place {place} at {:?}", watched.seat);
                return Err(Violation::new("members apply one history", detail));
            }
        }
        Ok(())
    }

    /// Configurations that could decide something: those that running members use, and those that stopped ones used.
    pub(super) fn live_configurations(&self) -> impl Iterator<Item = &Configuration<u64>> {
        self.seats.iter().flatten().map(|watched| &watched.configuration)
    }

    /// Seats whose memory is gone.
    pub(super) fn destroyed_seats(&self) -> impl Iterator<Item = Actor<u64>> {
        self.past.iter().map(|watched| watched.seat)
    }

    /// Whether the seat's memory is gone.
    pub(super) fn is_destroyed(&self, seat: Actor<u64>) -> bool {
        self.past.iter().any(|watched| watched.seat == seat)
    }
}

/// How far a remembered log is still that of the member.
fn agreement<const MERGES: bool>(mirror: &[u64], group: &Group<u64, Lists<MERGES>>) -> usize {
    let inspect = group.inspect();
    let mut kept = mirror.len().min(index(group.last().sequence));
    while kept as u64 >= inspect.log_first && kept > 0 && Some(mirror[kept - 1]) != inspect.epoch_at(kept as u64) {
        kept -= 1;
    }
    kept
}

/// Logs of simulations fit into memory.
fn index(sequence: u64) -> usize {
    usize::try_from(sequence).unwrap_or(usize::MAX)
}
