//! The group as a state machine for the checker, and the laws.

use alloc::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};
use core::time::Duration;

use inos_quorum::{
    Actor, Boot, Event, Group, Lsn, MessageError, Mode, OpId, PersistToken, Read, ReceiptState, Role, Stage, Storage,
};
use stateright::{Model, Property};

use crate::{machine::List, scenario::Scenario};

pub(crate) type Member = Group<u64, List>;

/// One node: what runs, and what storage holds.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Node {
    /// `None` while stopped.
    pub(crate) member: Option<Arc<Member>>,
    life: u64,
    /// Its clock: it moves on from one of its deadlines to the next, and is otherwise unrelated to the others.
    now: Duration,
    durable: Vec<Arc<Vec<u8>>>,
    /// Written and not synced.
    written: Vec<(PersistToken, Arc<Vec<u8>>)>,
}

/// What may still happen, so that there is an end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Budget {
    /// Deadlines of all members together.
    pub(crate) ticks: u8,
    pub(crate) writes: u8,
    pub(crate) crashes: u8,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct State {
    pub(crate) nodes: Vec<Node>,
    /// Frames under way, in no order. What is never delivered is lost.
    network: BTreeSet<(u8, u8, Arc<Vec<u8>>)>,
    pub(crate) left: Budget,
    primaries: BTreeMap<u64, Actor<u64>>,
    /// The history: what some member has shown as committed.
    pub(crate) history: Vec<(Lsn, u8)>,
    acknowledged: BTreeSet<(Lsn, u8)>,
    fast: BTreeSet<Lsn>,
    losses: BTreeSet<(u64, u64)>,
    pub(crate) truncated: bool,
    pub(crate) broken: Option<&'static str>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Action {
    Deliver {
        from: u8,
        to: u8,
        frame: Arc<Vec<u8>>,
    },
    /// The member's next deadline.
    Tick {
        node: u8,
    },
    /// Storage makes all that was written durable.
    Sync {
        node: u8,
    },
    Write {
        node: u8,
    },
    /// What was not synced is lost.
    Crash {
        node: u8,
    },
    Start {
        node: u8,
    },
}

impl Model for Scenario {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        vec![self.start()]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        if state.broken.is_some() {
            return;
        }
        for (from, to, frame) in &state.network {
            actions.push(Action::Deliver { from: *from, to: *to, frame: Arc::clone(frame) });
        }
        for (node, at) in (0_u8..).zip(&state.nodes) {
            let Some(member) = &at.member else {
                actions.push(Action::Start { node });
                continue;
            };
            if state.left.ticks > 0 && self.tickers.contains(&node) && member.poll_timeout().is_some() {
                actions.push(Action::Tick { node });
            }
            if !at.written.is_empty() {
                actions.push(Action::Sync { node });
            }
            if state.left.writes > 0 && member.role() == Role::Primary {
                actions.push(Action::Write { node });
            }
            if state.left.crashes > 0 && self.mortals.contains(&node) {
                actions.push(Action::Crash { node });
            }
        }
    }

    fn next_state(&self, last: &State, action: Action) -> Option<State> {
        let mut state = last.clone();
        let node = match &action {
            Action::Deliver { from, to, frame } => {
                state.network.remove(&(*from, *to, Arc::clone(frame)));
                state.deliver(*from, *to, frame)?;
                *to
            }
            Action::Tick { node } => {
                state.left.ticks -= 1;
                state.tick(*node);
                *node
            }
            Action::Sync { node } => {
                state.sync(*node);
                *node
            }
            Action::Write { node } => {
                state.left.writes -= 1;
                let serial = u64::from(self.budget.writes - state.left.writes);
                state.write(*node, serial);
                *node
            }
            Action::Crash { node } => {
                state.left.crashes -= 1;
                let at = &mut state.nodes[usize::from(*node)];
                at.member = None;
                at.written.clear();
                return Some(state);
            }
            Action::Start { node } => {
                state.restart(self, *node)?;
                *node
            }
        };
        state.settle(self, node);
        // A step that changes nothing but the network is the loss of a frame.
        Some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        let mut properties = vec![Property::always("no law is broken", |_, state: &State| state.broken.is_none())];
        properties.extend(self.reaches.iter().map(|reach| reach.property()));
        properties
    }
}

impl State {
    pub(crate) fn new(nodes: Vec<Node>, left: Budget) -> Self {
        Self {
            nodes,
            network: BTreeSet::new(),
            left,
            primaries: BTreeMap::new(),
            history: Vec::new(),
            acknowledged: BTreeSet::new(),
            fast: BTreeSet::new(),
            losses: BTreeSet::new(),
            truncated: false,
            broken: None,
        }
    }

    fn member(&mut self, node: u8) -> Option<&mut Member> {
        self.nodes[usize::from(node)].member.as_mut().map(Arc::make_mut)
    }

    /// `None` when nobody is there: the frame is lost, which is nothing new.
    pub(crate) fn deliver(&mut self, from: u8, to: u8, frame: &[u8]) -> Option<()> {
        let now = self.nodes[usize::from(to)].now;
        match self.member(to)?.handle_message(now, from.into(), frame) {
            Ok(()) => {}
            Err(MessageError::Restarted { .. }) => return None,
            Err(_) => self.broken = Some("honest frames are heard"),
        }
        Some(())
    }

    pub(crate) fn tick(&mut self, node: u8) {
        let at = &mut self.nodes[usize::from(node)];
        let Some(member) = at.member.as_mut().map(Arc::make_mut) else { return };
        at.now = at.now.max(member.poll_timeout().unwrap_or(at.now));
        member.handle_timeout(at.now);
    }

    pub(crate) fn sync(&mut self, node: u8) {
        let at = &mut self.nodes[usize::from(node)];
        let Some(member) = at.member.as_mut().map(Arc::make_mut) else { return };
        for (token, record) in core::mem::take(&mut at.written) {
            if token.replaces_all() {
                at.durable.clear();
            }
            at.durable.push(record);
            member.persisted(at.now, token);
        }
    }

    pub(crate) fn write(&mut self, node: u8, serial: u64) {
        let now = self.nodes[usize::from(node)].now;
        let value = u8::try_from(serial).unwrap_or(u8::MAX);
        if let Some(member) = self.member(node) {
            let _ = member.write(now, OpId { client: 1, serial }, value);
        }
    }

    fn restart(&mut self, scenario: &Scenario, node: u8) -> Option<()> {
        let at = &mut self.nodes[usize::from(node)];
        // A founder with nothing durable may be founded again; one of a volatile group is gone for good.
        let records: Vec<Vec<u8>> = at.durable.iter().map(|record| record.to_vec()).collect();
        let boot = match scenario.config.storage {
            Storage::Durable if records.is_empty() => Boot::Genesis(scenario.founders()),
            Storage::Durable => Boot::Recover(records),
            _ => return None,
        };
        at.life += 1;
        let me = Actor { node: node.into(), incarnation: at.life };
        let member = Member::new(scenario.config.clone(), me, 7, boot);
        match member {
            Ok(mut member) => {
                member.handle_timeout(at.now);
                at.member = Some(Arc::new(member));
            }
            Err(_) => self.broken = Some("a member recovers from what it stored"),
        }
        Some(())
    }

    /// Takes out what the member has to say, and looks at what has become of it.
    pub(crate) fn settle(&mut self, scenario: &Scenario, node: u8) {
        let at = &mut self.nodes[usize::from(node)];
        let Some(member) = at.member.as_mut().map(Arc::make_mut) else { return };
        let mut buffer = Vec::new();
        while let Some(token) = member.poll_persist(&mut buffer) {
            at.written.push((token, Arc::new(buffer.clone())));
        }
        while let Some(to) = member.poll_transmit(&mut buffer) {
            if let Ok(to) = u8::try_from(to)
                && usize::from(to) < scenario.voters
                && !scenario.cut.iter().any(|&(a, b)| (a, b) == (node, to) || (b, a) == (node, to))
            {
                self.network.insert((node, to, Arc::new(buffer.clone())));
            }
        }
        let mut events = Vec::new();
        while let Some(event) = member.poll_event() {
            events.push(event);
        }
        self.look(scenario, node);
        for event in events {
            self.event(scenario, &event);
        }
    }

    fn break_law(&mut self, holds: bool, law: &'static str) {
        if !holds {
            self.broken.get_or_insert(law);
        }
    }

    fn look(&mut self, scenario: &Scenario, node: u8) {
        let Some(member) = self.nodes[usize::from(node)].member.clone() else { return };
        if member.role() == Role::Primary {
            let seat = member.seat();
            let holder = *self.primaries.entry(member.epoch()).or_insert(seat);
            self.break_law(holder == seat, "one primary per epoch");
        }
        if let Ok((list, _)) = member.read(Read::Committed) {
            let both = list.applied.len().min(self.history.len());
            self.break_law(list.applied[..both] == self.history[..both], "members apply one history");
            self.history.extend_from_slice(&list.applied[both..]);
        }
        let inspect = member.inspect();
        for other in self.nodes.clone().iter().filter_map(|other| other.member.as_ref()) {
            let theirs = other.inspect();
            let last = member.last().sequence.min(other.last().sequence);
            let mut same = true;
            for sequence in (inspect.log_first.max(theirs.log_first)..=last).rev() {
                if inspect.epoch_at(sequence) == theirs.epoch_at(sequence) {
                    same = inspect.entry_hash(sequence) == theirs.entry_hash(sequence);
                } else {
                    self.break_law(same || sequence == last, "logs match");
                    let decided = sequence <= inspect.commit && sequence <= theirs.commit;
                    self.break_law(!decided, "what is committed never changes");
                }
                self.break_law(same, "logs match");
            }
        }
        self.truncated |= member.counters().orphans_kept > 0;
        if member.role() == Role::Primary && scenario.config.mode != Mode::Fast {
            // The newest primary has all that was committed in older epochs.
            let newest = self.primaries.last_key_value().is_some_and(|(epoch, _)| *epoch == member.epoch());
            let has =
                self.history.iter().filter(|_| newest).all(|(lsn, _)| {
                    lsn.sequence < inspect.log_first || inspect.epoch_at(lsn.sequence) == Some(lsn.epoch)
                });
            self.break_law(has, "a primary has all that was committed");
        }
    }

    fn event(&mut self, scenario: &Scenario, event: &Event<u64, ()>) {
        match event {
            Event::Receipt { id, stage: Stage::Committed, lsn, .. } => {
                let value = u8::try_from(id.serial).unwrap_or(u8::MAX);
                self.acknowledged.insert((*lsn, value));
                let there = self.history.contains(&(*lsn, value));
                self.break_law(there, "a committed receipt names its place in the history");
            }
            Event::Receipt { stage: Stage::Fast { .. }, lsn, .. } => {
                self.break_law(scenario.config.mode == Mode::Fast, "only Fast acknowledges early");
                self.fast.insert(*lsn);
            }
            Event::Loss(report) => {
                self.losses.insert((report.epoch, report.from));
            }
            _ => {}
        }
    }

    /// Some write acknowledged `Fast` is known to be lost to a member.
    pub(crate) fn has_lost(&self) -> bool {
        let lost = |lsn: &Lsn| {
            let mut members = self.nodes.iter().filter_map(|node| node.member.as_ref());
            members.any(|member| member.receipt_state(*lsn) == ReceiptState::Lost)
        };
        self.fast.iter().any(lost)
    }

    /// All frames under way arrive and all storage syncs, until nothing moves: how a scenario gets to where it begins.
    pub(crate) fn calm(&mut self, scenario: &Scenario) {
        loop {
            for node in (0_u8..).take(scenario.voters) {
                self.sync(node);
                self.settle(scenario, node);
            }
            let Some((from, to, frame)) = self.network.pop_first() else { return };
            let _ = self.deliver(from, to, &frame);
            self.settle(scenario, to);
        }
    }

    pub(crate) fn epochs_with_primary(&self) -> usize {
        self.primaries.len()
    }

    /// Epochs whose primaries are known to have committed a write of their own.
    pub(crate) fn acknowledged(&self) -> usize {
        self.acknowledged.len()
    }
}

impl Node {
    /// Time passes, and nothing happens.
    pub(crate) fn wait(&mut self, span: Duration) {
        self.now += span;
    }

    pub(crate) fn new(scenario: &Scenario, node: u8) -> Self {
        let me = Actor { node: node.into(), incarnation: 1 };
        let member = Member::new(scenario.config.clone(), me, 7, Boot::Genesis(scenario.founders()));
        let member = member.expect("the configurations of the scenarios are sound");
        Self {
            member: Some(Arc::new(member)),
            life: 1,
            now: Duration::from_secs(1),
            durable: Vec::new(),
            written: Vec::new(),
        }
    }
}
