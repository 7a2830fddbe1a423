//! Members, their network, their disks and their clocks, and what happens to them in which order.

use alloc::{
    collections::{BTreeSet, VecDeque},
    format,
    string::String,
    vec::Vec,
};
use core::time::Duration;

use super::{
    Coverage, Disk, DriftingClock, Network, Queue, Records, Rng, Violation,
    check::{Checker, Promise},
    client::Clients,
    force::{Hearer, Scene},
    machine::{Lists, Tail},
    oracle::Oracle,
    plan::Plan,
    trace::{Entry, Trace},
    watch::Watch,
};
use crate::{
    Actor, Boot, Committed, Event, Group, MessageError, Mode, NodeClass, PersistToken, Role, Storage,
    bugs::{Bug, has},
};

/// Something that is going to happen.
#[derive(Clone, Debug)]
pub(super) enum Happening {
    Deliver {
        from: usize,
        to: usize,
        frame: Vec<u8>,
    },
    Synced {
        node: usize,
        life: u64,
        token: PersistToken,
        record: u64,
    },
    /// A heartbeat of a detector.
    Beat {
        from: usize,
        to: usize,
        frame: Vec<u8>,
    },
    /// The node runs on after a pause.
    Resume {
        node: usize,
    },
    Crash {
        node: usize,
    },
    Restart {
        node: usize,
    },
    Fault,
    /// A client writes, or writes again.
    Client {
        client: usize,
    },
    Reader,
    /// All who believe to be primary are read from.
    Believers,
    /// The integrator looks after its group.
    Integrator,
}

pub(super) struct Node<const MERGES: bool> {
    /// `None` while stopped.
    pub(super) group: Option<Group<u64, Lists<MERGES>>>,
    /// Starts so far; also the incarnation of the present one.
    pub(super) life: u64,
    pub(super) clock: DriftingClock,
    pub(super) paused_until_us: u64,
    disk: Disk,
    /// What each record promises once it is durable, oldest first, by number.
    promises: VecDeque<(u64, Promise)>,
    /// The promise of the last record that was durable.
    kept: Promise,
    last_sync_us: u64,
    timer_us: u64,
    pub(super) watch: Option<Watch>,
    /// What the operating system keeps for a node that does not run.
    backlog: VecDeque<(usize, Vec<u8>)>,
    /// A founder that has never had a durable record may be founded again: it has promised nothing.
    founder: bool,
}

/// Frames that wait for a paused node; more are lost, as in a full socket buffer.
const BACKLOG_FRAMES: usize = 256;

/// Timeouts of one member at one instant before it is taken to spin.
const MAX_SPINS: u32 = 1_000;

pub(super) struct World<const MERGES: bool> {
    pub(super) seed: u64,
    pub(super) plan: Plan,
    pub(super) rng: Rng,
    pub(super) now_us: u64,
    pub(super) queue: Queue<Happening>,
    pub(super) nodes: Vec<Node<MERGES>>,
    pub(super) network: Network,
    pub(super) clients: Clients,
    pub(super) checker: Checker,
    pub(super) oracle: Oracle,
    pub(super) coverage: Coverage,
    pub(super) trace: Trace,
    /// A loss of the quorum.
    pub(super) scene: Option<Scene>,
    /// Nothing goes wrong any more.
    pub(super) healed: bool,
    /// Until then nobody writes or reads.
    pub(super) lull_until_us: u64,
    newest_primary: u64,
    pub(super) steps: u64,
    candidates: BTreeSet<(u64, usize)>,
    spins: (u64, u32),
    frames: Vec<Vec<u8>>,
    buffer: Vec<u8>,
    violation: Option<Violation>,
}

/// True time at the start: members must not take zero for something special.
pub(super) const START_US: u64 = 5_000_000;

impl<const MERGES: bool> World<MERGES> {
    pub(super) fn new(seed: u64, plan: Plan, rng: Rng) -> Self {
        let count = plan.founders + plan.spares + plan.ephemerals;
        let mut world = Self {
            seed,
            now_us: START_US,
            queue: Queue::new(),
            nodes: Vec::new(),
            network: Network::new(count, plan.weather),
            clients: Clients::new(plan.clients),
            checker: Checker::new(plan.config.mode, count),
            oracle: Oracle::default(),
            coverage: Coverage::default(),
            trace: Trace::default(),
            scene: None,
            healed: false,
            lull_until_us: 0,
            newest_primary: 0,
            steps: 0,
            candidates: BTreeSet::new(),
            spins: (0, 0),
            frames: Vec::new(),
            buffer: Vec::new(),
            violation: None,
            rng,
            plan,
        };
        for node in 0..count {
            world.nodes.push(Node {
                group: None,
                life: 0,
                clock: DriftingClock::new(START_US, Duration::ZERO, 0),
                paused_until_us: 0,
                disk: Disk::default(),
                promises: VecDeque::new(),
                kept: Promise::default(),
                last_sync_us: 0,
                timer_us: u64::MAX,
                watch: None,
                backlog: VecDeque::new(),
                founder: node < world.plan.founders,
            });
        }
        for node in 0..world.plan.founders {
            world.start(node);
        }
        world
    }

    pub(super) fn violated(&mut self, violation: Violation) {
        self.violation.get_or_insert(violation);
    }

    pub(super) fn check(&mut self, checked: Result<(), Violation>) {
        if let Err(violation) = checked {
            self.violated(violation);
        }
    }

    /// What went wrong, if something did.
    pub(super) fn outcome(&mut self) -> Result<(), Violation> {
        match self.violation.take() {
            Some(violation) => Err(Violation { at_us: self.now_us - START_US, ..violation }),
            None => Ok(()),
        }
    }

    pub(super) const fn is_violated(&self) -> bool {
        self.violation.is_some()
    }

    pub(super) fn take_log(&mut self) -> String {
        self.trace.take_log()
    }

    pub(super) fn at(&mut self, delay_us: u64, happening: Happening) {
        self.queue.put(self.now_us + delay_us, happening);
    }

    pub(super) fn run_for(&mut self, span_us: u64) {
        let _ = self.run_until(span_us, |_| false);
    }

    /// Runs until `done`; false when the time or a violation came first.
    pub(super) fn run_until(&mut self, span_us: u64, done: impl Fn(&Self) -> bool) -> bool {
        let end_us = self.now_us + span_us;
        while !self.is_violated() {
            if done(self) {
                return true;
            }
            if !self.step_before(end_us) {
                self.now_us = end_us;
                return false;
            }
        }
        false
    }

    fn step_before(&mut self, end_us: u64) -> bool {
        let mut timer = (u64::MAX, 0);
        for (index, node) in self.nodes.iter().enumerate() {
            let due_us = node.watch.as_ref().map_or(node.timer_us, |watch| node.timer_us.min(watch.timer_us));
            if due_us < timer.0 {
                timer = (due_us, index);
            }
        }
        let queued_us = self.queue.next_us().unwrap_or(u64::MAX);
        if timer.0.min(queued_us) > end_us {
            return false;
        }
        self.steps += 1;
        // What was put in the queue happens before what is due by a timer.
        if queued_us <= timer.0 {
            if let Some((at_us, happening)) = self.queue.take() {
                self.now_us = at_us;
                self.happen(happening);
            }
        } else {
            self.now_us = self.now_us.max(timer.0);
            let node = &self.nodes[timer.1];
            if node.timer_us <= timer.0 {
                self.timeout(timer.1);
            } else {
                self.watch_timeout(timer.1);
            }
        }
        true
    }

    pub(super) fn is_paused(&self, node: usize) -> bool {
        self.nodes[node].paused_until_us > self.now_us
    }

    /// Whether the node runs and hears.
    pub(super) fn is_up(&self, node: usize) -> bool {
        self.nodes[node].group.is_some() && !self.is_paused(node)
    }

    pub(super) fn local(&self, node: usize) -> Duration {
        self.nodes[node].clock.local(self.now_us)
    }

    fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::Deliver { from, to, frame } => {
                if self.nodes[to].group.is_none() {
                    self.frames.push(frame);
                } else if self.is_paused(to) {
                    let backlog = &mut self.nodes[to].backlog;
                    if backlog.len() < BACKLOG_FRAMES {
                        backlog.push_back((from, frame));
                    }
                } else {
                    self.deliver(from, to, frame);
                }
            }
            Happening::Synced { node, life, token, record } => self.synced(node, life, token, record),
            Happening::Beat { from, to, frame } => self.beat(from, to, &frame),
            Happening::Resume { node } => self.resume(node),
            Happening::Crash { node } => self.crash_for_a_while(node),
            Happening::Restart { node } if self.scene.as_ref().is_some_and(|scene| scene.keeps_down(node)) => {}
            Happening::Restart { node } => self.start(node),
            Happening::Fault => self.fault(),
            Happening::Client { client } => self.client(client),
            Happening::Reader => self.reader(),
            Happening::Believers => self.read_believers(),
            Happening::Integrator => self.integrator(),
        }
    }

    fn timeout(&mut self, node: usize) {
        let now_us = self.now_us;
        self.nodes[node].timer_us = u64::MAX;
        if self.is_paused(node) {
            return; // `resume` looks again
        }
        self.spins = if self.spins.0 == now_us { (now_us, self.spins.1 + 1) } else { (now_us, 0) };
        if self.spins.1 > MAX_SPINS {
            self.violated(Violation::new("deadlines lie ahead", format!("{node} spins")));
            return;
        }
        let local = self.local(node);
        if let Some(group) = &mut self.nodes[node].group {
            self.trace.note(now_us, node, Entry::Timeout, [0, 0], &[]);
            group.handle_timeout(local);
            self.settle(node);
        }
    }

    fn deliver(&mut self, from: usize, to: usize, frame: Vec<u8>) {
        let local = self.local(to);
        let Some(group) = &mut self.nodes[to].group else { return };
        self.trace.note(self.now_us, to, Entry::Deliver, [from as u64, frame.len() as u64], &frame);
        let hearer = Hearer::of(group);
        let answer = group.handle_message(local, from as u64, &frame);
        let checked = hearer.heard(&frame, answer, group);
        match answer {
            // Of another generation, or one has been met here.
            Ok(()) | Err(MessageError::Superseded { .. }) => {}
            // Every node here is one of the integrator's.
            Err(MessageError::NotMember { .. }) => group.introduce(from as u64),
            // The node has lost its memory: frames for the seat it had are not for the one it has.
            Err(MessageError::Misrouted) if group.seat().incarnation > 0 => {}
            Err(error) => {
                let detail = format!("{error} from {from} to {to}");
                self.violated(Violation::new("honest frames are heard", detail));
            }
        }
        self.check(checked);
        self.frames.push(frame);
        self.settle(to);
    }

    fn synced(&mut self, node: usize, life: u64, token: PersistToken, record: u64) {
        if self.nodes[node].life != life || self.nodes[node].group.is_none() {
            return;
        }
        self.sync_disk(node, record);
        if self.is_paused(node) {
            // The disk is done, but nobody is there to be told.
            let wait_us = self.nodes[node].paused_until_us - self.now_us;
            self.at(wait_us, Happening::Synced { node, life, token, record });
            return;
        }
        let local = self.local(node);
        if let Some(group) = &mut self.nodes[node].group {
            self.trace.note(self.now_us, node, Entry::Persisted, [record, 0], &[]);
            group.persisted(local, token);
            self.settle(node);
        }
    }

    fn sync_disk(&mut self, node: usize, record: u64) {
        let node = &mut self.nodes[node];
        node.disk.sync(record);
        while let Some(&(number, promise)) = node.promises.front()
            && number <= record
        {
            node.kept = promise;
            node.promises.pop_front();
        }
    }

    fn resume(&mut self, node: usize) {
        if self.nodes[node].group.is_none() || self.is_paused(node) {
            return;
        }
        self.set_timer(node);
        while let Some((from, frame)) = self.nodes[node].backlog.pop_front() {
            self.deliver(from, node, frame);
        }
        if self.nodes[node].watch.is_some() {
            self.watch_timeout(node);
        }
    }

    pub(super) fn pause(&mut self, node: usize, span_us: u64) {
        let until_us = self.now_us + span_us;
        self.nodes[node].paused_until_us = self.nodes[node].paused_until_us.max(until_us);
        self.at(span_us, Happening::Resume { node });
    }

    /// Drains the member, stores, sends and tells, and checks what it has become.
    pub(super) fn settle(&mut self, node: usize) {
        let (now_us, life) = (self.now_us, self.nodes[node].life);
        let Some(mut group) = self.nodes[node].group.take() else { return };
        let mut buffer = core::mem::take(&mut self.buffer);
        let mut written = None;
        while let Some(token) = group.poll_persist(&mut buffer) {
            self.trace.note(now_us, node, Entry::Persist, [token.replaces_all().into(), 0], &buffer);
            let before = if token.replaces_all() { Records::Replaced } else { Records::Kept };
            written = Some((token, self.nodes[node].disk.write(&buffer, before)));
        }
        if let Some((token, record)) = written {
            // The promise may be spread over the records of this drain: it holds when the last of them is durable.
            self.nodes[node].promises.push_back((record, Checker::promise(&group)));
            let (low_us, high_us) = self.plan.sync_us;
            let done_us = (now_us + self.rng.between(low_us, high_us)).max(self.nodes[node].last_sync_us);
            self.nodes[node].last_sync_us = done_us;
            self.queue.put(done_us, Happening::Synced { node, life, token, record });
        }
        while let Some(to) = group.poll_transmit(&mut buffer) {
            self.trace.note(now_us, node, Entry::Send, [to, buffer.len() as u64], &buffer);
            if !self.is_volatile() && Checker::promise(&group) != self.nodes[node].kept {
                let detail = format!("{node}: {:?}, durable {:?}", Checker::promise(&group), self.nodes[node].kept);
                self.violated(Violation::new("nothing leaves before its promise is durable", detail));
            }
            self.transmit(node, to, &buffer);
        }
        let checked = self.checker.step(now_us, node, &self.nodes[node].clock, &group);
        self.check(checked);
        while let Some(event) = group.poll_event() {
            self.trace.note_shown(now_us, node, Entry::Event, &event);
            self.event(node, &group, &event);
        }
        self.observe(node, &group);
        self.buffer = buffer;
        self.nodes[node].group = Some(group);
        self.set_timer(node);
    }

    fn set_timer(&mut self, node: usize) {
        let node = &mut self.nodes[node];
        let due = node.group.as_ref().and_then(Group::poll_timeout);
        node.timer_us = due.map_or(u64::MAX, |due| node.clock.true_us(due).max(self.now_us));
    }

    fn transmit(&mut self, from: usize, to: u64, frame: &[u8]) {
        if frame.len() > self.plan.config.max_frame {
            let detail = format!("{} bytes from {from} to {to}", frame.len());
            return self.violated(Violation::new("no frame exceeds max_frame", detail));
        }
        let Some(to) = usize::try_from(to).ok().filter(|&to| to < self.nodes.len()) else {
            return self.violated(Violation::new("frames go to nodes", format!("from {from} to {to}")));
        };
        for at_us in self.network.fate(&mut self.rng, self.now_us, from, to).into_iter().flatten() {
            let mut copy = self.frames.pop().unwrap_or_default();
            copy.clear();
            copy.extend_from_slice(frame);
            self.queue.put(at_us, Happening::Deliver { from, to, frame: copy });
        }
    }

    fn event(&mut self, node: usize, group: &Group<u64, Lists<MERGES>>, event: &Event<u64, Tail>) {
        match self.oracle.event(node, group, &self.checker, event) {
            Ok(told) => self.told(node, group, told),
            Err(violation) => self.violated(violation),
        }
        self.coverage.event(event);
        match event {
            Event::OrphansDropped { count } => self.checker.gave_up(node, *count),
            Event::Superseded { .. } => self.note_return(node),
            _ => {}
        }
        if let Event::Membership { configuration, committed } = event {
            self.coverage.joint_under_partition |=
                !configuration.outgoing.is_empty() && self.network.has_cuts(self.now_us);
            if *committed == Committed::Yes {
                let checked = self.checker.configuration(node, configuration);
                self.check(checked);
            }
        }
    }

    /// Coverage and what a new primary calls forth.
    fn observe(&mut self, node: usize, group: &Group<u64, Lists<MERGES>>) {
        self.coverage.counters(&group.counters());
        match group.role() {
            Role::Candidate => {
                let epoch = group.epoch();
                if self.candidates.insert((epoch, node)) {
                    let rivals = self.candidates.range((epoch, 0)..=(epoch, usize::MAX)).count();
                    self.coverage.contested_election |= rivals > 1;
                }
            }
            Role::Primary if group.poll_timeout().is_none() => self.coverage.silent_group = true,
            Role::Primary if self.newest_primary < group.epoch() => {
                self.newest_primary = group.epoch();
                self.at(1, Happening::Believers);
                self.strike_the_new_primary(node);
            }
            _ => {}
        }
    }

    /// Stops the node. Storage keeps what was synced and any prefix of the rest; nothing when `Memory::Lost`.
    pub(super) fn crash(&mut self, node: usize, memory: Memory) {
        let target = &mut self.nodes[node];
        if target.group.take().is_none() && memory == Memory::Kept {
            return;
        }
        (target.timer_us, target.paused_until_us) = (u64::MAX, 0);
        target.watch = None;
        target.backlog.clear();
        let lost = target.disk.crash(&mut self.rng);
        self.coverage.lost_persist |= lost > 0;
        if let Some(last) = target.disk.end().checked_sub(1) {
            self.sync_disk(node, last);
        }
        let target = &mut self.nodes[node];
        target.promises.clear();
        self.checker.crashed(node);
        if memory == Memory::Lost {
            self.coverage.amnesia = true;
            target.disk.destroy();
            target.founder &= has(Bug::SeatKeptAfterAmnesia);
            target.kept = Promise::default();
            self.checker.destroyed(node);
        }
        self.oracle.crashed(node);
        self.trace.note(self.now_us, node, Entry::Crash, [lost as u64, (memory == Memory::Lost).into()], &[]);
    }

    /// Starts a node that does not run.
    pub(super) fn start(&mut self, node: usize) {
        if self.nodes[node].group.is_some() {
            return;
        }
        let others: Vec<u64> = (0..self.nodes.len()).filter(|&other| other != node).map(|other| other as u64).collect();
        let founders = (0..self.plan.founders as u64).collect();
        let target = &mut self.nodes[node];
        target.life += 1;
        let boot = match (target.disk.is_empty(), target.founder) {
            (false, _) => Boot::Recover(target.disk.records()),
            (true, true) => Boot::Genesis(founders),
            (true, false) => {
                // What was never durable is as lost as what was destroyed.
                self.checker.destroyed(node);
                target.kept = Promise::default();
                Boot::Join(others)
            }
        };
        let me = Actor { node: node as u64, incarnation: target.life };
        let drift = self.plan.drift_per_million;
        let gain = i64::try_from(self.rng.between(0, 2 * drift)).unwrap_or(0) - i64::try_from(drift).unwrap_or(0);
        let local_start = Duration::from_micros(self.rng.below(1 << 33));
        target.clock = DriftingClock::new(self.now_us, local_start, gain);
        self.trace.note(self.now_us, node, Entry::Start, [me.incarnation, 0], &[]);
        let seed = self.rng.word();
        match Group::new(self.plan.config.clone(), me, seed, boot) {
            Ok(group) => {
                let checked = self.checker.started(node, me.incarnation, &group, target.kept);
                // All that it recovered is durable.
                target.kept = Checker::promise(&group);
                target.group = Some(group);
                target.timer_us = self.now_us;
                self.check(checked);
                self.begin_watch(node, me);
            }
            Err(error) => self.violated(Violation::new("members start", format!("{node}: {error}"))),
        }
    }

    /// The primary of the highest epoch among those that run and hear.
    pub(super) fn primary(&self) -> Option<usize> {
        (0..self.nodes.len())
            .filter(|&node| self.is_up(node))
            .filter_map(|node| Some((node, self.nodes[node].group.as_ref()?)))
            .filter(|(_, group)| group.role() == Role::Primary)
            .max_by_key(|(_, group)| (group.generation(), group.epoch()))
            .map(|(node, _)| node)
    }

    /// Whether losing this node's memory stays within what the mode promises to survive, and can be repaired.
    pub(super) fn may_destroy(&self, node: usize) -> bool {
        let mode = self.plan.config.mode;
        let Some(seat) = self.nodes[node].group.as_ref().map(Group::seat) else { return false };
        if self.scene.as_ref().is_some_and(|scene| scene.needs(node)) {
            return false;
        }
        self.checker.live_configurations().all(|all| {
            // A learner may be about to become a voter: nobody can tell yet that it has died.
            let voters_to_be = all.learners.iter().filter(|(_, class)| *class == NodeClass::Voter);
            let learners = || voters_to_be.clone().map(|(learner, _)| learner);
            [&all.voters, &all.outgoing].into_iter().filter(|voters| !voters.is_empty()).all(|voters| {
                let seats = || voters.iter().chain(learners());
                let gone = seats().filter(|&&other| other == seat || self.checker.is_destroyed(other)).count();
                !seats().any(|&other| other == seat) || gone <= survivable(mode, voters.len())
            })
        })
    }

    pub(super) fn is_volatile(&self) -> bool {
        self.plan.config.storage == Storage::Volatile
    }
}

/// How many of `n` voters may lose their memory at once: fewer than hold a committed write, and enough stay to elect a
/// primary and to commit the change that replaces them.
fn survivable(mode: Mode, n: usize) -> usize {
    let (write, elect) = (mode.write_quorum(n), mode.elect_quorum(n));
    (write - 1).min(n - elect).min(n - write)
}

/// What a crash leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Memory {
    Kept,
    Lost,
}
