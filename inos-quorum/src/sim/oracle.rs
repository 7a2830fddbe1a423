//! What clients were told, and whether it was true.

use alloc::{collections::BTreeMap, format, vec::Vec};

use super::{
    Violation,
    check::Checker,
    linear::{self, Operation, Verdict},
    machine::{Applied, KEYS, List, Lists, Tail},
};
use crate::{Event, Group, LossReport, Lsn, OpId, Read, ReadId, ReceiptState, Resolution, Stage};

/// One write of a client.
#[derive(Clone, Debug)]
pub(super) struct Op {
    pub(super) key: u8,
    pub(super) ballast: u16,
    invoked: u64,
    /// First acknowledgement: when, and what it said.
    returned: Option<(u64, Tail)>,
    /// Where it stood each time it was acknowledged `Fast`. A repeat elsewhere may be acknowledged again.
    fast: Vec<Lsn>,
    committed: Option<Lsn>,
    /// Its writer was told that it was dropped and is not coming back.
    refused: bool,
    /// A member said that it was not merged, or how it was.
    accounted: bool,
    takes: u32,
    /// The last values that its writer had seen and handed on at the first take.
    seen: Vec<u64>,
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
    key: u8,
    invoked: u64,
    returned: u64,
    tail: Tail,
}

#[derive(Clone, Copy, Debug)]
struct PendingRead {
    key: u8,
    invoked: u64,
    /// Generation and epoch of the newest primary when it was asked.
    newest_primary: (u64, u64),
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
    broken_sessions: Vec<Lsn>,
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
fn writer(value: u64) -> OpId {
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
            returned: None,
            fast: Vec::new(),
            committed: None,
            refused: false,
            accounted: false,
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

    pub(super) fn asked_read(&mut self, node: usize, id: ReadId, key: u8, newest_primary: (u64, u64)) {
        let invoked = self.tick();
        self.pending_reads.insert((node, id), PendingRead { key, invoked, newest_primary });
    }

    pub(super) fn session_broke(&mut self, lsn: Lsn) {
        self.broken_sessions.push(lsn);
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
                self.op_mut(*id)?.accounted = true;
                Ok(Told::Nothing)
            }
            Event::Loss(report) => {
                self.losses.push(Loss { node, report: *report });
                if report.known_to < report.from {
                    return Err(Violation::new("loss reports name what was lost", format!("{report:?}")));
                }
                Ok(Told::Nothing)
            }
            Event::ReadReady { id, lsn } => {
                let Some(asked) = self.pending_reads.remove(&(node, *id)) else {
                    return Err(Violation::new("each read is answered once", format!("{id:?} by {node}")));
                };
                let PendingRead { key, invoked, newest_primary } = asked;
                if (group.generation().number, group.epoch()) < newest_primary {
                    let detail = format!("{asked:?} by {node} in epoch {}", group.epoch());
                    return Err(Violation::new("no deposed primary answers a read", detail));
                }
                let Ok((state, _)) = group.read(Read::Committed) else {
                    return Err(Violation::new("committed reads never fail", format!("{id:?} by {node} at {lsn:?}")));
                };
                let (returned, tail) = (self.tick(), state.tail(key));
                self.reads.push(ReadOp { key, invoked, returned, tail });
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
                match output {
                    Some(tail) if op.returned.is_none() => op.returned = Some((returned, tail)),
                    Some(_) => {}
                    None => return Err(Violation::new("acknowledgements carry the output", described())),
                }
                Ok(Told::Done(id))
            }
            Stage::Committed => {
                taken.end();
                self.committed += 1;
                let Some(tail) = output else {
                    return Err(Violation::new("acknowledgements carry the output", described()));
                };
                if checker.find(lsn, value(id)) != Some(tail) {
                    return Err(Violation::new("a committed receipt names its place in the history", described()));
                }
                let returned = self.tick();
                let op = self.op_mut(id)?;
                if op.committed.is_some_and(|before| before != lsn) {
                    return Err(Violation::new("a write is committed at one place", described()));
                }
                op.committed = Some(lsn);
                op.returned.get_or_insert((returned, tail));
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
        let op = self.op_mut(id)?;
        op.accounted = true;
        match resolution {
            Resolution::Merged(tail) => {
                if checker.find_value(value(id)).is_none_or(|(_, seen)| seen != *tail) {
                    return Err(Violation::new("a merged orphan is in the history", described()));
                }
                Ok(Told::Done(id))
            }
            Resolution::Contained => {
                if checker.find_value(value(id)).is_none() {
                    return Err(Violation::new("a contained orphan is in the history", described()));
                }
                Ok(Told::Unknown(id))
            }
            Resolution::Older | Resolution::Refused => {
                op.refused = true;
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
    pub(super) fn discarded(&mut self, id: OpId) -> Result<(), Violation> {
        self.op_mut(id)?.refused = true;
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

    /// After healing: everything that was said, against the history on which all members agree.
    pub(super) fn finish<const MERGES: bool>(
        &mut self,
        checker: &Checker,
        members: &[(usize, &Group<u64, Lists<MERGES>>)],
    ) -> Result<(), Violation> {
        if let Some((&(node, id), _)) = self.taken.iter().find(|(_, taken)| taken.finals == 0) {
            return Err(Violation::new("each write taken ends", format!("{id:?} at {node}")));
        }
        for applied in checker.values() {
            if self.op(writer(applied.value)).is_none_or(|op| op.key != applied.key || op.takes == 0) {
                return Err(Violation::new("the history holds what was written", format!("{applied:?}")));
            }
        }
        for (client, ops) in self.ops.iter().enumerate() {
            for (index, op) in ops.iter().enumerate() {
                let id = OpId { client: client as u128, serial: index as u64 + 1 };
                self.superseded(checker, id, op)?;
                let found = checker.find_value(value(id));
                if op.committed.is_some() && found.map(|(lsn, _)| lsn) != op.committed {
                    return Err(Violation::new("no committed write is lost", format!("{id:?} {op:?} {found:?}")));
                }
                if op.refused && found.is_some() {
                    return Err(Violation::new("a refused write has no effect", format!("{id:?} {op:?}")));
                }
                let lost = op.fast.iter().filter(|&&lsn| found.is_none_or(|(at, _)| at != lsn));
                for &lsn in lost {
                    self.lost += u64::from(found.is_none());
                    let mut reports = self.losses.iter().map(|loss| loss.report);
                    let reported = reports.any(|it| it.epoch == lsn.epoch && it.from <= lsn.sequence);
                    let answered = members.iter().all(|(_, group)| group.receipt_state(lsn) == ReceiptState::Lost);
                    if !(reported || op.accounted || answered || found.is_some()) {
                        return Err(Violation::new(
                            "each lost acknowledgement is accounted for",
                            format!("{id:?} {op:?}"),
                        ));
                    }
                }
                for &lsn in op.fast.iter().chain(&op.committed) {
                    let kept = found.is_some_and(|(at, _)| at == lsn);
                    let wrong = if kept { ReceiptState::Lost } else { ReceiptState::Held };
                    if let Some((node, _)) = members.iter().find(|(_, group)| group.receipt_state(lsn) == wrong) {
                        return Err(Violation::new(
                            "receipt_state is right",
                            format!("{id:?} {lsn:?} {wrong:?} by {node}"),
                        ));
                    }
                }
            }
        }
        self.all_is_told(checker, members)?;
        for &lsn in &self.broken_sessions {
            if checker.is_safe_mode() {
                return Err(Violation::new("no session breaks in a safe mode", format!("{lsn:?}")));
            }
        }
        if checker.is_safe_mode() { self.linearizable(checker) } else { Ok(()) }
    }

    /// What a writer had seen is not merged after its write.
    fn superseded(&self, checker: &Checker, id: OpId, op: &Op) -> Result<(), Violation> {
        let Some((place, _)) = checker.find_value(value(id)).filter(|_| op.takes == 1) else { return Ok(()) };
        // A repeat is another event, which the context need not cover.
        let once = |seen: u64| self.op(writer(seen)).is_some_and(|op| op.takes == 1);
        for &seen in op.seen.iter().filter(|&&seen| once(seen)) {
            let merged = checker.find_value(seen).map(|(lsn, _)| lsn).filter(|&lsn| checker.is_orphan(lsn));
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
        members: &[(usize, &Group<u64, Lists<MERGES>>)],
    ) -> Result<(), Violation> {
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
                let dealt_with = checker.find_value(value(id)).is_some() || self.op(id).is_some_and(|op| op.accounted);
                if !dealt_with {
                    let detail = format!("{id:?} by {node}");
                    return Err(Violation::new("what a living member dropped is dealt with", detail));
                }
            }
        }
        Ok(())
    }

    /// The operations on each key, explained one after the other.
    pub(super) fn linearizable(&mut self, checker: &Checker) -> Result<(), Violation> {
        for key in 0..KEYS {
            match self.verdict(checker, key) {
                Verdict::Linearizable { .. } => {}
                verdict => {
                    let detail = format!("key {key}: {verdict:?} of {:?}", self.history(checker, key));
                    return Err(Violation::new("the history is linearizable", detail));
                }
            }
        }
        Ok(())
    }

    pub(super) fn verdict(&mut self, checker: &Checker, key: u8) -> Verdict {
        linear::check::<List>(&self.history(checker, key), LINEAR_STEPS)
    }

    fn history(&mut self, checker: &Checker, key: u8) -> Vec<Operation<Option<u64>, Tail>> {
        let mut history = Vec::new();
        let mut unknown = Vec::new();
        for (client, ops) in self.ops.iter().enumerate() {
            for (index, op) in ops.iter().enumerate().filter(|(_, op)| op.key == key) {
                let value = value(OpId { client: client as u128, serial: index as u64 + 1 });
                let operation = Operation { invoked: op.invoked, returned: op.returned, input: Some(value) };
                // The read at the end sees all that ever takes effect: of what is not there and was not acknowledged,
                // nothing needs to be said, and leaving it out makes the search short.
                match (op.returned, checker.find_value(value)) {
                    (Some(_), _) => history.push(operation),
                    (None, Some((_, tail))) => unknown.push((tail.len, operation)),
                    (None, None) => {}
                }
            }
        }
        // In the order of the list: a good guess at when they took effect.
        unknown.sort_unstable_by_key(|(len, _)| *len);
        history.extend(unknown.into_iter().map(|(_, operation)| operation));
        for read in self.reads.iter().filter(|read| read.key == key) {
            history.push(Operation { invoked: read.invoked, returned: Some((read.returned, read.tail)), input: None });
        }
        let (invoked, returned) = (self.tick(), self.tick());
        history.push(Operation { invoked, returned: Some((returned, checker.tail(key))), input: None });
        history
    }
}
