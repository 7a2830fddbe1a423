//! What clients were told, and whether it was true.

use alloc::{collections::BTreeMap, format, vec::Vec};

use super::{
    Violation,
    branch::BranchId,
    check::Checker,
    linear::{self, Operation, Verdict},
    machine::{Applied, KEYS, List, Lists, Tail},
};
use crate::{Event, Group, LossReport, Lsn, OpId, Read, ReadId, ReceiptState, Resolution, Role, Stage};

/// When an acknowledgement came, and what it said.
#[derive(Clone, Copy, Debug)]
struct Answer {
    branch: BranchId,
    at: u64,
    lsn: Lsn,
    tail: Tail,
}

/// One write of a client.
#[derive(Clone, Debug)]
pub(super) struct Op {
    pub(super) key: u8,
    pub(super) ballast: u16,
    invoked: u64,
    /// The first acknowledgement in each branch.
    returned: Vec<Answer>,
    /// Where it stood each time it was acknowledged `Fast`. A repeat elsewhere may be acknowledged again.
    fast: Vec<Lsn>,
    /// Where it was acknowledged as committed: one place for each branch.
    committed: Vec<(BranchId, Lsn)>,
    /// Branches whose members told their writer that it was dropped and is not coming back.
    refused: Vec<BranchId>,
    /// Branches in which a member said that it was not merged, or how it was, and when.
    accounted: Vec<(BranchId, u64)>,
    takes: u32,
    /// The last values that its writer had seen and handed on at the first take.
    seen: Vec<u64>,
}

impl Op {
    fn answer(&mut self, answer: Answer) {
        if self.returned.iter().all(|before| before.branch != answer.branch) {
            self.returned.push(answer);
        }
    }
}

/// A write that a member has taken and not yet ended.
#[derive(Clone, Copy, Debug, Default)]
struct Taken {
    takes: u32,
    finals: u32,
    /// Where it stands, and when it came there.
    lsn: Lsn,
    made_us: u64,
    /// Since its last end: where it stood when it was acknowledged `Fast`, and when it was called local.
    fast: Option<Lsn>,
    local: Option<Lsn>,
}

impl Taken {
    const fn end(&mut self) {
        self.finals += 1;
        (self.fast, self.local) = (None, None);
    }
}

#[derive(Clone, Debug)]
struct ReadOp {
    branch: BranchId,
    key: u8,
    invoked: u64,
    returned: u64,
    tail: Tail,
}

#[derive(Clone, Copy, Debug)]
struct PendingRead {
    key: u8,
    invoked: u64,
    branch: BranchId,
    /// The epoch of the newest primary of the branch when it was asked.
    newest_primary: u64,
}

/// A loss that a member reported.
#[derive(Clone, Copy, Debug)]
struct Loss {
    node: usize,
    report: LossReport,
}

/// A write acknowledged `Fast` that its primary does not know to be committed.
#[derive(Clone, Copy, Debug)]
struct AtRisk {
    sequence: u64,
    made_us: u64,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Oracle {
    /// `ops[client][serial - 1]`.
    ops: Vec<Vec<Op>>,
    taken: BTreeMap<(usize, OpId), Taken>,
    pending_reads: BTreeMap<(usize, ReadId), PendingRead>,
    reads: Vec<ReadOp>,
    at_risk: BTreeMap<(usize, u64), Vec<AtRisk>>,
    losses: Vec<Loss>,
    /// What running members have acknowledged `Fast` since they started.
    fast_by: BTreeMap<usize, Vec<Lsn>>,
    tick: u64,
    pub(super) committed: u64,
    pub(super) fast: u64,
    pub(super) local_only: u64,
    pub(super) unknown: u64,
    pub(super) orphaned: u64,
    pub(super) lost: u64,
}

/// What an event means for the client that asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Told {
    Nothing,
    /// The write is acknowledged.
    Done(OpId),
    /// Ask again, elsewhere.
    Unknown(OpId),
    /// It is not coming back.
    Refused(OpId),
    /// Nobody knows any more.
    Forgotten(OpId),
}

/// Steps of the linearizability checker per key. A list of 250 values takes about a thousand.
const LINEAR_STEPS: usize = 400_000;

/// What the write appends: unique, as long as clients have small numbers, which those of the simulator have.
pub(super) fn value(id: OpId) -> u64 {
    u64::try_from(id.client).unwrap_or(u64::MAX) << 32 | id.serial
}

/// The write that appends the value.
pub(super) fn writer(value: u64) -> OpId {
    OpId { client: u128::from(value >> 32), serial: value & 0xffff_ffff }
}

impl Oracle {
    pub(super) fn tick(&mut self) -> u64 {
        self.tick += 1;
        self.tick
    }

    /// The client starts a new write.
    pub(super) fn invoke(&mut self, client: usize, key: u8, ballast: u16) -> OpId {
        let invoked = self.tick();
        if self.ops.len() <= client {
            self.ops.resize(client + 1, Vec::new());
        }
        let ops = &mut self.ops[client];
        ops.push(Op {
            key,
            ballast,
            invoked,
            returned: Vec::new(),
            fast: Vec::new(),
            committed: Vec::new(),
            refused: Vec::new(),
            accounted: Vec::new(),
            takes: 0,
            seen: Vec::new(),
        });
        OpId { client: client as u128, serial: ops.len() as u64 }
    }

    pub(super) fn op(&self, id: OpId) -> Option<&Op> {
        let client = usize::try_from(id.client).ok()?;
        self.ops.get(client)?.get(usize::try_from(id.serial.checked_sub(1)?).ok()?)
    }

    fn op_mut(&mut self, id: OpId) -> Result<&mut Op, Violation> {
        let place =
            usize::try_from(id.client).ok().zip(id.serial.checked_sub(1).and_then(|it| usize::try_from(it).ok()));
        place
            .and_then(|(client, index)| self.ops.get_mut(client)?.get_mut(index))
            .ok_or_else(|| Violation::new("events speak of writes that were made", format!("{id:?}")))
    }

    /// A member took the write.
    pub(super) fn took(
        &mut self,
        node: usize,
        id: OpId,
        lsn: Lsn,
        made_us: u64,
        seen: &[Applied],
    ) -> Result<(), Violation> {
        let op = self.op_mut(id)?;
        if op.takes == 0 {
            op.seen.extend(seen.iter().map(|applied| applied.value));
        }
        op.takes += 1;
        let taken = self.taken.entry((node, id)).or_default();
        if taken.lsn != lsn {
            (taken.lsn, taken.made_us) = (lsn, made_us);
        }
        taken.takes += 1;
        Ok(())
    }

    /// Whether the member still owes an end.
    pub(super) fn is_open(&self, node: usize, id: OpId) -> bool {
        self.taken.get(&(node, id)).is_some_and(|taken| taken.finals < taken.takes)
    }

    pub(super) fn asked_read(&mut self, node: usize, id: ReadId, key: u8, checker: &Checker) {
        let invoked = self.tick();
        let (branch, newest_primary) = (checker.branch_of(node), checker.branch_at(node).newest_primary);
        self.pending_reads.insert((node, id), PendingRead { key, invoked, branch, newest_primary });
    }

    /// The member stopped, and with it all it was about to say.
    pub(super) fn crashed(&mut self, node: usize) {
        self.taken.retain(|&(other, _), _| other != node);
        self.pending_reads.retain(|&(other, _), _| other != node);
        self.at_risk.retain(|&(other, _), _| other != node);
        self.fast_by.remove(&node);
    }

    /// What a member said.
    pub(super) fn event<const MERGES: bool>(
        &mut self,
        node: usize,
        group: &Group<u64, Lists<MERGES>>,
        checker: &Checker,
        event: &Event<u64, Tail>,
    ) -> Result<Told, Violation> {
        match event {
            Event::Receipt { id, stage, lsn, output } => self.receipt(node, group, checker, *id, *stage, *lsn, *output),
            Event::Orphaned { id, lsn, resolution } => self.orphaned(node, checker, *id, *lsn, resolution),
            Event::Discarded { id, .. } => {
                let told = (checker.branch_of(node), self.tick);
                self.op_mut(*id)?.accounted.push(told);
                Ok(Told::Nothing)
            }
            Event::Loss(report) => {
                self.losses.push(Loss { node, report: *report });
                // Nobody knows what only the lost had: all that a survivor lacks may be missing.
                let by_force = checker.branch_at(node).root.as_ref().map(|root| {
                    let known_to = root.log.len() as u64;
                    LossReport { epoch: root.log.last().copied().unwrap_or(0), from: known_to + 1, known_to }
                });
                if report.known_to < report.from && Some(*report) != by_force {
                    return Err(Violation::new("loss reports name what was lost", format!("{report:?}")));
                }
                Ok(Told::Nothing)
            }
            Event::ReadReady { id, lsn } => {
                let Some(asked) = self.pending_reads.remove(&(node, *id)) else {
                    return Err(Violation::new("each read is answered once", format!("{id:?} by {node}")));
                };
                let PendingRead { key, invoked, branch, newest_primary } = asked;
                if group.role() == Role::Superseded || branch != checker.branch_of(node) {
                    let detail = format!("{asked:?} by {node} of {:?}", group.generation());
                    return Err(Violation::new("who has stopped acknowledges nothing", detail));
                }
                if group.epoch() < newest_primary {
                    let detail = format!("{asked:?} by {node} in epoch {}", group.epoch());
                    return Err(Violation::new("no deposed primary answers a read", detail));
                }
                let Ok((state, _)) = group.read(Read::Committed) else {
                    return Err(Violation::new("committed reads never fail", format!("{id:?} by {node} at {lsn:?}")));
                };
                let (returned, tail) = (self.tick(), state.tail(key));
                self.reads.push(ReadOp { branch, key, invoked, returned, tail });
                Ok(Told::Nothing)
            }
            Event::ReadLost { id } => match self.pending_reads.remove(&(node, *id)) {
                Some(_) => Ok(Told::Nothing),
                None => Err(Violation::new("each read is answered once", format!("{id:?} by {node}"))),
            },
            _ => Ok(Told::Nothing),
        }
    }

    #[expect(clippy::too_many_arguments, reason = "the fields of one event, and what it is compared with")]
    fn receipt<const MERGES: bool>(
        &mut self,
        node: usize,
        group: &Group<u64, Lists<MERGES>>,
        checker: &Checker,
        id: OpId,
        stage: Stage,
        lsn: Lsn,
        output: Option<Tail>,
    ) -> Result<Told, Violation> {
        let described = || format!("{id:?} {stage:?} at {lsn:?} by {node}");
        let Some(taken) = self.taken.get_mut(&(node, id)) else {
            return Err(Violation::new("receipts are for writes that the member took", described()));
        };
        if taken.finals >= taken.takes {
            return Err(Violation::new("nothing follows the end of a write", described()));
        }
        let made_us = taken.made_us;
        let branch = checker.branch_of(node);
        if group.role() == Role::Superseded && matches!(stage, Stage::Fast { .. } | Stage::Committed) {
            return Err(Violation::new("who has stopped acknowledges nothing", described()));
        }
        match stage {
            Stage::LocalOnly => {
                if taken.fast == Some(lsn) || taken.local == Some(lsn) {
                    return Err(Violation::new("local is said once, and never after an acknowledgement", described()));
                }
                taken.local = Some(lsn);
                self.local_only += 1;
                Ok(Told::Nothing)
            }
            Stage::Unknown => {
                taken.end();
                self.unknown += 1;
                Ok(Told::Unknown(id))
            }
            Stage::Fast { by } => {
                taken.fast = Some(lsn);
                self.fast += 1;
                if checker.is_safe_mode() {
                    return Err(Violation::new("only Fast acknowledges early", described()));
                }
                self.exposure(node, lsn, made_us, group)?;
                if !checker.was_held(group.seat(), group.configuration(), by, lsn) {
                    return Err(Violation::new("a receipt says who holds the write", described()));
                }
                let returned = self.tick();
                self.fast_by.entry(node).or_default().push(lsn);
                let op = self.op_mut(id)?;
                op.fast.push(lsn);
                let Some(tail) = output else {
                    return Err(Violation::new("acknowledgements carry the output", described()));
                };
                op.answer(Answer { branch, at: returned, lsn, tail });
                Ok(Told::Done(id))
            }
            Stage::Committed => {
                taken.end();
                self.committed += 1;
                let Some(tail) = output else {
                    return Err(Violation::new("acknowledgements carry the output", described()));
                };
                if checker.branch_at(node).find(lsn, value(id)) != Some(tail) {
                    return Err(Violation::new("a committed receipt names its place in the history", described()));
                }
                let returned = self.tick();
                let op = self.op_mut(id)?;
                match op.committed.iter().find(|(other, _)| *other == branch) {
                    Some((_, before)) if *before != lsn => {
                        return Err(Violation::new("a write is committed at one place", described()));
                    }
                    Some(_) => {}
                    None => op.committed.push((branch, lsn)),
                }
                op.answer(Answer { branch, at: returned, lsn, tail });
                Ok(Told::Done(id))
            }
        }
    }

    fn orphaned(
        &mut self,
        node: usize,
        checker: &Checker,
        id: OpId,
        lsn: Lsn,
        resolution: &Resolution<Tail>,
    ) -> Result<Told, Violation> {
        self.orphaned += 1;
        let described = || format!("{id:?} {resolution:?} at {lsn:?} by {node}");
        match self.taken.get_mut(&(node, id)) {
            Some(taken) if taken.finals < taken.takes => taken.end(),
            _ => return Err(Violation::new("orphans are told once, to the writer that is waiting", described())),
        }
        let (branch, history) = (checker.branch_of(node), checker.branch_at(node));
        let told = (branch, self.tick);
        let op = self.op_mut(id)?;
        op.accounted.push(told);
        match resolution {
            Resolution::Merged(tail) => {
                if history.find_value(value(id)).is_none_or(|(_, seen)| seen != *tail) {
                    return Err(Violation::new("a merged orphan is in the history", described()));
                }
                Ok(Told::Done(id))
            }
            Resolution::Contained => {
                if history.find_value(value(id)).is_none() {
                    return Err(Violation::new("a contained orphan is in the history", described()));
                }
                Ok(Told::Unknown(id))
            }
            Resolution::Older | Resolution::Refused => {
                op.refused.push(branch);
                Ok(Told::Refused(id))
            }
            Resolution::Forgotten => {
                // Clients that write are not expired here, and no run has a thousand holes.
                let written =
                    usize::try_from(id.client).ok().and_then(|client| self.ops.get(client)).map_or(0, Vec::len);
                if (written as u64).saturating_sub(id.serial) < 64 {
                    return Err(Violation::new("what is forgotten is old", described()));
                }
                Ok(Told::Forgotten(id))
            }
        }
    }

    /// A primary said that the write was discarded.
    pub(super) fn discarded(&mut self, node: usize, checker: &Checker, id: OpId) -> Result<(), Violation> {
        self.op_mut(id)?.refused.push(checker.branch_of(node));
        Ok(())
    }

    /// All writes at risk were made within one exposure, by the clock of their primary.
    fn exposure<const MERGES: bool>(
        &mut self,
        node: usize,
        lsn: Lsn,
        made_us: u64,
        group: &Group<u64, Lists<MERGES>>,
    ) -> Result<(), Violation> {
        let committed = group.committed().sequence;
        let at_risk = self.at_risk.entry((node, lsn.epoch)).or_default();
        at_risk.retain(|risk| risk.sequence > committed);
        if lsn.sequence > committed {
            at_risk.push(AtRisk { sequence: lsn.sequence, made_us });
        }
        let times = at_risk.iter().map(|risk| risk.made_us);
        let span_us = times.clone().max().unwrap_or(0) - times.min().unwrap_or(0);
        let config = group.config();
        if u128::from(span_us) > config.exposure.as_micros() || at_risk.len() as u64 > config.exposure_writes {
            let detail = format!("{} writes over {span_us} us at {lsn:?} by {node}", at_risk.len());
            return Err(Violation::new("writes at risk were made within one exposure", detail));
        }
        Ok(())
    }

    /// After healing: everything that was said, against the history on which all members agree, which is that of
    /// `branch`.
    pub(super) fn finish<const MERGES: bool>(
        &mut self,
        checker: &Checker,
        branch: BranchId,
        members: &[(usize, &Group<u64, Lists<MERGES>>)],
    ) -> Result<(), Violation> {
        if let Some((&(node, id), _)) = self.taken.iter().find(|(_, taken)| taken.finals == 0) {
            return Err(Violation::new("each write taken ends", format!("{id:?} at {node}")));
        }
        let history = checker.branches().get(branch);
        for applied in history.values() {
            if self.op(writer(applied.value)).is_none_or(|op| op.key != applied.key || op.takes == 0) {
                return Err(Violation::new("the history holds what was written", format!("{applied:?}")));
            }
        }
        for (client, ops) in self.ops.iter().enumerate() {
            for (index, op) in ops.iter().enumerate() {
                let id = OpId { client: client as u128, serial: index as u64 + 1 };
                self.superseded(checker, branch, id, op)?;
                let found = history.find_value(value(id));
                if op.refused.contains(&branch) && found.is_some() {
                    return Err(Violation::new("a refused write has no effect", format!("{id:?} {op:?}")));
                }
                let gone = |lsn: Lsn| found.is_none_or(|(at, _)| at != lsn);
                let answered = |lsn| members.iter().all(|(_, group)| group.receipt_state(lsn) == ReceiptState::Lost);
                for &(by, lsn) in op.committed.iter().filter(|&&(_, lsn)| gone(lsn)) {
                    // What a survivor had stays, whoever acknowledged it, and when.
                    if checker.branches().is_taken_over(by, branch, lsn) != Some(false) {
                        return Err(Violation::new("no committed write is lost", format!("{id:?} {op:?} {found:?}")));
                    }
                    self.lost += u64::from(found.is_none());
                    if !answered(lsn) {
                        let detail = format!("{id:?} {op:?} {found:?}");
                        return Err(Violation::new("what force has lost is answered for", detail));
                    }
                }
                for &lsn in op.fast.iter().filter(|&&lsn| gone(lsn)) {
                    self.lost += u64::from(found.is_none());
                    let mut reports = self.losses.iter().map(|loss| loss.report);
                    let reported = reports.any(|it| it.epoch == lsn.epoch && it.from <= lsn.sequence);
                    if !(reported || !op.accounted.is_empty() || answered(lsn) || found.is_some()) {
                        return Err(Violation::new(
                            "each lost acknowledgement is accounted for",
                            format!("{id:?} {op:?}"),
                        ));
                    }
                }
                for &lsn in op.fast.iter().chain(op.committed.iter().map(|(_, lsn)| lsn)) {
                    let wrong = if gone(lsn) { ReceiptState::Held } else { ReceiptState::Lost };
                    if let Some((node, _)) = members.iter().find(|(_, group)| group.receipt_state(lsn) == wrong) {
                        return Err(Violation::new(
                            "receipt_state is right",
                            format!("{id:?} {lsn:?} {wrong:?} by {node}"),
                        ));
                    }
                }
            }
        }
        self.all_is_told(checker, branch, members)?;
        self.all_is_handed_over(checker, branch)?;
        if checker.is_safe_mode() { self.linearizable(checker) } else { Ok(()) }
    }

    /// What a writer had seen is not merged after its write.
    fn superseded(&self, checker: &Checker, branch: BranchId, id: OpId, op: &Op) -> Result<(), Violation> {
        let history = checker.branches().get(branch);
        let Some((place, _)) = history.find_value(value(id)).filter(|_| op.takes == 1) else { return Ok(()) };
        // A repeat is another event, which the context need not cover.
        let once = |seen: u64| self.op(writer(seen)).is_some_and(|op| op.takes == 1);
        for &seen in op.seen.iter().filter(|&&seen| once(seen)) {
            let merged = history.find_value(seen).map(|(lsn, _)| lsn).filter(|&lsn| checker.is_orphan(branch, lsn));
            if let Some(lsn) = merged.filter(|lsn| lsn.sequence > place.sequence) {
                let detail = format!("{:?} merged at {lsn:?}, {id:?} at {place:?}", writer(seen));
                return Err(Violation::new("what a write supersedes is not merged after it", detail));
            }
        }
        Ok(())
    }

    /// Whoever acknowledged what was lost reported it, and nothing that a member dropped is left without an end.
    fn all_is_told<const MERGES: bool>(
        &self,
        checker: &Checker,
        branch: BranchId,
        members: &[(usize, &Group<u64, Lists<MERGES>>)],
    ) -> Result<(), Violation> {
        let history = checker.branches().get(branch);
        for &(node, group) in members {
            let given = self.fast_by.get(&node).into_iter().flatten();
            for &lsn in given.filter(|&&lsn| group.receipt_state(lsn) == ReceiptState::Lost) {
                let covers = |it: &LossReport| it.epoch == lsn.epoch && (it.from..=it.known_to).contains(&lsn.sequence);
                if !self.losses.iter().any(|loss| loss.node == node && covers(&loss.report)) {
                    let detail = format!("{lsn:?} by {node}");
                    return Err(Violation::new("whoever acknowledged a lost write reports it", detail));
                }
            }
            for id in checker.dropped_by(group.seat()) {
                let dealt_with =
                    history.find_value(value(id)).is_some() || self.op(id).is_some_and(|op| !op.accounted.is_empty());
                if !dealt_with {
                    let detail = format!("{id:?} by {node}");
                    return Err(Violation::new("what a living member dropped is dealt with", detail));
                }
            }
        }
        Ok(())
    }

    /// What a member of an older generation had, a survivor lacked, and the member has handed over, is in the history or
    /// was given up by name, here or before the survivor went on; what it gave up unnamed it has counted.
    fn all_is_handed_over(&self, checker: &Checker, branch: BranchId) -> Result<(), Violation> {
        let history = checker.branches().get(branch);
        for (seat, writes, dropped) in checker.handovers(branch) {
            let is_missing = |id: &&OpId| {
                let is_known = |&(from, tick): &(BranchId, u64)| checker.branches().precedes(from, branch, tick);
                let accounted = self.op(**id).is_some_and(|op| op.accounted.iter().any(is_known));
                !accounted && history.find_value(value(**id)).is_none()
            };
            let mut missing: Vec<&OpId> = writes.iter().filter(is_missing).collect();
            missing.sort_unstable();
            missing.dedup();
            if missing.len() as u64 > dropped {
                let detail = format!("{seat:?} had {missing:?}, and told of {dropped} given up");
                return Err(Violation::new("what comes back is handed over", detail));
            }
        }
        Ok(())
    }

    /// In each branch the operations on each key, explained one after the other.
    pub(super) fn linearizable(&mut self, checker: &Checker) -> Result<(), Violation> {
        let lived = checker.branches().ids().filter(|&branch| checker.branches().get(branch).has_lived());
        for (branch, key) in lived.flat_map(|branch| (0..KEYS).map(move |key| (branch, key))) {
            match self.verdict(checker, branch, key) {
                Verdict::Linearizable { .. } => {}
                verdict => {
                    let history = self.history(checker, branch, key);
                    let detail = format!("branch {branch}, key {key}: {verdict:?} of {history:?}");
                    return Err(Violation::new("the history is linearizable", detail));
                }
            }
        }
        Ok(())
    }

    pub(super) fn verdict(&mut self, checker: &Checker, branch: BranchId, key: u8) -> Verdict {
        linear::check::<List>(&self.history(checker, branch, key), LINEAR_STEPS)
    }

    /// What happened to the key in the branch, and in those that it comes from as far as their survivors had it.
    fn history(&mut self, checker: &Checker, branch: BranchId, key: u8) -> Vec<Operation<Option<u64>, Tail>> {
        let branches = checker.branches();
        let mut history = Vec::new();
        let mut unknown = Vec::new();
        for (client, ops) in self.ops.iter().enumerate() {
            for (index, op) in ops.iter().enumerate().filter(|(_, op)| op.key == key) {
                let value = value(OpId { client: client as u128, serial: index as u64 + 1 });
                let is_here = |it: &&Answer| {
                    it.branch == branch || branches.is_taken_over(it.branch, branch, it.lsn) == Some(true)
                };
                let returned = op.returned.iter().find(is_here).map(|it| (it.at, it.tail));
                let operation = Operation { invoked: op.invoked, returned, input: Some(value) };
                // The read at the end sees all that ever takes effect: of what is not there and was not acknowledged,
                // nothing needs to be said, and leaving it out makes the search short.
                match (returned, branches.get(branch).find_value(value)) {
                    (Some(_), _) => history.push(operation),
                    (None, Some((_, tail))) => unknown.push((tail.len, operation)),
                    (None, None) => {}
                }
            }
        }
        // In the order of the list: a good guess at when they took effect.
        unknown.sort_unstable_by_key(|(len, _)| *len);
        history.extend(unknown.into_iter().map(|(_, operation)| operation));
        let is_here = |read: &&ReadOp| {
            read.branch == branch || branches.binds(read.branch, branch, key, read.tail, read.returned)
        };
        for read in self.reads.iter().filter(|read| read.key == key).filter(is_here) {
            history.push(Operation { invoked: read.invoked, returned: Some((read.returned, read.tail)), input: None });
        }
        let (invoked, returned) = (self.tick(), self.tick());
        history.push(Operation { invoked, returned: Some((returned, branches.get(branch).tail(key))), input: None });
        history
    }
}
