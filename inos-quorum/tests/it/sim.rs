//! A whole group in one thread: seeded network, seeded disks, a virtual clock, and invariants after every step.
//!
//! The network drops, duplicates, delays (and so reorders), and cuts links in one or both directions; members pause,
//! and crash with the loss of any records not yet synced. After every step the member concerned is checked:
//!
//! - at most one primary per epoch, over all lives of all members;
//! - what members apply are prefixes of one history, in which no write stands twice;
//! - a committed receipt names an entry of that history, with the output the history gives it;
//! - each write taken gets at most one final receipt, and nothing after it;
//! - a released `read_index` shows all that was acknowledged before it was asked.
//!
//! A history only grows, so an acknowledged write that was lost shows as a member that contradicts it, or as a healed
//! group that does not reach its end.

use alloc::collections::{BTreeMap, BTreeSet};
use core::time::Duration;

use inos_quorum::{
    Actor, Boot, Config, Event, Group, GroupId, Lsn, Machine, Mode, OpId, PersistToken, Read, ReadId, Role, Stage,
    Storage, Undecodable, WriteError,
};

/// SplitMix64.
#[derive(Clone, Debug)]
pub(crate) struct Rng(pub(crate) u64);

impl Rng {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    pub(crate) fn chance(&mut self, per_thousand: u64) -> bool {
        self.below(1000) < per_thousand
    }

    pub(crate) fn index(&mut self, len: usize) -> usize {
        usize::try_from(self.below(len as u64)).expect("below len")
    }

    fn pick<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.index(choices.len())]
    }

    fn micros(&mut self, low: u64, high: u64) -> Duration {
        Duration::from_micros(low + self.below(high - low + 1))
    }
}

/// Keeps every write it was given; answers with how many those are.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Ledger {
    pub(crate) applied: Vec<(Lsn, u64)>,
}

/// A value and some ballast, so that frames fill up.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Delta {
    pub(crate) value: u64,
    pub(crate) ballast: usize,
}

impl Delta {
    pub(crate) fn small(value: u64) -> Self {
        Self { value, ballast: 0 }
    }
}

impl Machine for Ledger {
    type Delta = Delta;
    type Output = u64;

    fn encode(delta: &Delta, out: &mut Vec<u8>) {
        out.extend_from_slice(&delta.value.to_le_bytes());
        out.resize(out.len() + delta.ballast, 0xda);
    }

    fn decode(bytes: &[u8]) -> Result<Delta, Undecodable> {
        let (value, ballast) = bytes.split_first_chunk().ok_or(Undecodable)?;
        let intact = ballast.iter().all(|&byte| byte == 0xda);
        if intact { Ok(Delta { value: u64::from_le_bytes(*value), ballast: ballast.len() }) } else { Err(Undecodable) }
    }

    fn apply(&mut self, lsn: Lsn, delta: &Delta) -> u64 {
        self.applied.push((lsn, delta.value));
        self.applied.len() as u64
    }
}

pub(crate) type Member = Group<u64, Ledger>;

/// How hostile a run is.
#[derive(Clone, Debug)]
pub(crate) struct Weather {
    pub(crate) drop_per_thousand: u64,
    pub(crate) repeat_per_thousand: u64,
    pub(crate) delay_us: (u64, u64),
    /// Now and then a frame takes this long.
    pub(crate) straggle_us: u64,
    pub(crate) sync_us: (u64, u64),
    /// Mean time between two faults, in microseconds; 0 for none.
    pub(crate) fault_every_us: u64,
    /// How often a new primary is struck down at once.
    pub(crate) regicide_per_thousand: u64,
    /// Writes so large that a small frame holds only one.
    pub(crate) heavy: bool,
}

impl Weather {
    pub(crate) const LAN: Self = Self {
        drop_per_thousand: 0,
        repeat_per_thousand: 0,
        delay_us: (200, 600),
        straggle_us: 1000,
        sync_us: (100, 500),
        fault_every_us: 0,
        regicide_per_thousand: 0,
        heavy: false,
    };

    fn draw(rng: &mut Rng) -> Self {
        Self {
            drop_per_thousand: rng.pick(&[0, 10, 100, 250]),
            repeat_per_thousand: rng.pick(&[0, 20, 200]),
            delay_us: rng.pick(&[(200, 600), (100, 20_000), (5_000, 60_000)]),
            straggle_us: rng.pick(&[1000, 100_000, 600_000]),
            sync_us: rng.pick(&[(10, 20), (100, 2_000), (1_000, 60_000), (20_000, 400_000)]),
            fault_every_us: rng.pick(&[80_000, 250_000, 700_000]),
            regicide_per_thousand: rng.pick(&[0, 400, 900]),
            heavy: rng.chance(300),
        }
    }
}

#[derive(Clone, Debug)]
enum Happening {
    Deliver { from: usize, to: usize, frame: Vec<u8> },
    Timer { node: usize },
    Synced { node: usize, life: u64, token: PersistToken, records: usize },
    Crash { node: usize },
    Restart { node: usize },
    Mend { from: usize, to: usize },
    Fault,
    Client,
}

struct Node {
    /// `None` while crashed.
    group: Option<Member>,
    life: u64,
    records: Vec<Vec<u8>>,
    synced: usize,
    paused_until: Duration,
    timer_at: Duration,
    /// How much of this life's history has been compared.
    checked: usize,
    last: Lsn,
}

/// What a run came across; a run that meets none of it proves little.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) committed: u64,
    pub(crate) epochs_with_primary: u64,
    pub(crate) epochs_without: u64,
    pub(crate) lost_records: u64,
    pub(crate) truncations: u64,
    pub(crate) unknown: u64,
    pub(crate) repeats_answered: u64,
    pub(crate) local_only: u64,
    pub(crate) reads: u64,
    pub(crate) steps: u64,
}

#[derive(Clone, Copy)]
struct Taken {
    lsn: Lsn,
    settled: bool,
}

pub(crate) struct World {
    pub(crate) seed: u64,
    rng: Rng,
    pub(crate) now: Duration,
    config: Config,
    weather: Weather,
    queue: BTreeMap<(Duration, u64), Happening>,
    tie: u64,
    nodes: Vec<Node>,
    /// `cut[from][to]`: nothing passes.
    cut: Vec<Vec<bool>>,
    faults: bool,
    next_serial: Vec<u64>,
    /// The one history.
    pub(crate) history: Vec<(Lsn, u64)>,
    values: BTreeSet<u64>,
    primaries: BTreeMap<u64, (usize, u64)>,
    /// Writes waiting for a final receipt, by member, life and write.
    taken: BTreeMap<(usize, u64, OpId), Taken>,
    acknowledged: u64,
    pub(crate) last_ack: Option<(Duration, OpId)>,
    reads: BTreeMap<(usize, u64, ReadId), u64>,
    pub(crate) seen: Seen,
    pub(crate) trace: u64,
}

const CLIENTS: usize = 3;

pub(crate) fn config(elect_ms: u64) -> Config {
    Config {
        elect_min: Duration::from_millis(elect_ms),
        heartbeat: Duration::from_millis(elect_ms / 10),
        ..Config::new(GroupId(0x1905), Mode::Majority)
    }
}

impl World {
    /// A group of `voters` members that has just been founded.
    pub(crate) fn new(seed: u64, voters: usize, config: Config, weather: Weather) -> Self {
        let mut world = Self {
            seed,
            rng: Rng(seed),
            now: Duration::from_secs(5),
            config,
            weather,
            queue: BTreeMap::new(),
            tie: 0,
            nodes: Vec::new(),
            cut: vec![vec![false; voters]; voters],
            faults: false,
            next_serial: vec![1; CLIENTS],
            history: Vec::new(),
            values: BTreeSet::new(),
            primaries: BTreeMap::new(),
            taken: BTreeMap::new(),
            acknowledged: 0,
            last_ack: None,
            reads: BTreeMap::new(),
            seen: Seen::default(),
            trace: 0xcbf2_9ce4_8422_2325,
        };
        for node in 0..voters {
            let group = Member::new(
                world.config.clone(),
                Actor { node: node as u64, incarnation: 1 },
                seed,
                Boot::Genesis((0..voters as u64).collect()),
            )
            .expect("a sound configuration");
            world.nodes.push(Node {
                group: Some(group),
                life: 1,
                records: Vec::new(),
                synced: 0,
                paused_until: Duration::ZERO,
                timer_at: world.now,
                checked: 0,
                last: Lsn::default(),
            });
            world.at(world.now, Happening::Timer { node });
        }
        world
    }

    /// A run drawn wholly from its seed: ten seconds of faults, then everything is mended, and the group has to catch
    /// up and commit.
    pub(crate) fn run_chaos(seed: u64) -> Self {
        let mut rng = Rng(seed ^ 0x5eed);
        let voters = rng.pick(&[3, 4, 5, 5, 5]);
        let mut config = config(200);
        // Small frames split batches, so that entries of two epochs travel apart.
        config.max_frame = rng.pick(&[1024, 4096, 2 << 20]);
        config.max_inflight_bytes = rng.pick(&[600, 4 << 20]);
        let mut world = Self::new(seed, voters, config, Weather::draw(&mut rng));
        world.faults = true;
        world.at(world.now, Happening::Client);
        world.at(world.now + Duration::from_millis(300), Happening::Fault);
        world.run_for(Duration::from_secs(10));
        world.heal();
        world.run_for(Duration::from_secs(3));
        world.check_recovered();
        world
    }

    fn at(&mut self, time: Duration, happening: Happening) {
        self.tie += 1;
        self.queue.insert((time, self.tie), happening);
    }

    pub(crate) fn run_for(&mut self, span: Duration) {
        let end = self.now + span;
        while self.step_before(end) {}
        self.now = end;
    }

    /// Runs until `done`; false when `limit` passed first.
    pub(crate) fn run_until(&mut self, limit: Duration, done: impl Fn(&Self) -> bool) -> bool {
        let end = self.now + limit;
        while !done(self) {
            if !self.step_before(end) {
                return false;
            }
        }
        true
    }

    fn step_before(&mut self, end: Duration) -> bool {
        match self.queue.first_key_value() {
            Some((&(time, _), _)) if time <= end => {}
            _ => return false,
        }
        let ((time, _), happening) = self.queue.pop_first().expect("looked at just now");
        self.now = time;
        self.step(happening);
        true
    }

    fn step(&mut self, happening: Happening) {
        let now = self.now;
        let node = match &happening {
            Happening::Deliver { to, .. } => Some(*to),
            Happening::Timer { node } | Happening::Synced { node, .. } => Some(*node),
            _ => None,
        };
        if let Some(node) = node
            && self.nodes[node].paused_until > now
        {
            if matches!(happening, Happening::Timer { .. }) {
                self.nodes[node].timer_at = self.nodes[node].paused_until;
            }
            self.at(self.nodes[node].paused_until, happening);
            return;
        }
        match happening {
            Happening::Deliver { from, to, frame } => {
                if let Some(group) = &mut self.nodes[to].group {
                    if let Err(error) = group.handle_message(now, from as u64, &frame) {
                        panic!("seed {}: an honest frame was refused: {error}", self.seed);
                    }
                    self.note(&[1, from as u64, to as u64]);
                    self.note_bytes(&frame);
                    self.settle(to);
                }
            }
            Happening::Timer { node } => {
                if self.nodes[node].timer_at == now
                    && let Some(group) = &mut self.nodes[node].group
                {
                    group.handle_timeout(now);
                    self.note(&[2, node as u64]);
                    self.settle(node);
                }
            }
            Happening::Synced { node, life, token, records } => {
                let target = &mut self.nodes[node];
                if target.life == life
                    && let Some(group) = &mut target.group
                {
                    target.synced = target.synced.max(records);
                    group.persisted(now, token);
                    self.note(&[3, node as u64]);
                    self.settle(node);
                }
            }
            Happening::Crash { node } => self.crash_for_a_while(node),
            Happening::Restart { node } => self.restart(node),
            Happening::Mend { from, to } => self.cut[from][to] = false,
            Happening::Fault => self.fault(),
            Happening::Client => self.client(),
        }
    }

    /// Drains the member and checks the invariants.
    fn settle(&mut self, node: usize) {
        self.seen.steps += 1;
        let mut buffer = Vec::new();
        let life = self.nodes[node].life;
        while let Some(token) = self.group(node).poll_persist(&mut buffer) {
            self.note_bytes(&buffer);
            self.nodes[node].records.push(buffer.clone());
            let records = self.nodes[node].records.len();
            let (low, high) = self.weather.sync_us;
            let delay = self.rng.micros(low, high);
            self.at(self.now + delay, Happening::Synced { node, life, token, records });
        }
        while let Some(to) = self.group(node).poll_transmit(&mut buffer) {
            assert!(buffer.len() <= self.config.max_frame, "seed {}: a frame exceeds its limit", self.seed);
            self.send(node, usize::try_from(to).expect("small ids"), &buffer);
        }
        while let Some(event) = self.group(node).poll_event() {
            self.check_event(node, event);
        }
        self.check(node);
        let due = self.group(node).poll_timeout().expect("a member always has a deadline").max(self.now);
        if self.nodes[node].timer_at != due || due == self.now {
            self.nodes[node].timer_at = due;
            self.at(due, Happening::Timer { node });
        }
    }

    fn group(&mut self, node: usize) -> &mut Member {
        self.nodes[node].group.as_mut().expect("only members that run are asked")
    }

    fn send(&mut self, from: usize, to: usize, frame: &[u8]) {
        if self.cut[from][to] || self.rng.chance(self.weather.drop_per_thousand) {
            return;
        }
        let copies = 1 + u64::from(self.rng.chance(self.weather.repeat_per_thousand));
        for _ in 0..copies {
            let (low, high) = self.weather.delay_us;
            let high = if self.rng.chance(20) { self.weather.straggle_us.max(high) } else { high };
            let delay = self.rng.micros(low, high);
            self.at(self.now + delay, Happening::Deliver { from, to, frame: frame.to_vec() });
        }
    }

    fn check(&mut self, node: usize) {
        let seed = self.seed;
        let mut new_primary = false;
        let Node { group, life, checked, last, .. } = &mut self.nodes[node];
        let group = group.as_ref().expect("only members that run are checked");
        if group.role() == Role::Primary {
            let claim = (node, *life);
            let epoch = group.epoch();
            new_primary = !self.primaries.contains_key(&epoch);
            let holder = *self.primaries.entry(epoch).or_insert(claim);
            assert_eq!(holder, claim, "seed {seed}: two primaries in epoch {epoch}");
        }
        if group.last().sequence < last.sequence
            || (group.last().sequence == last.sequence && group.last().epoch != last.epoch)
        {
            self.seen.truncations += 1;
        }
        *last = group.last();
        let (ledger, _) = group.read(Read::Local);
        for (index, &(lsn, value)) in ledger.applied.iter().enumerate().skip(*checked) {
            match self.history.get(index) {
                Some(&known) => {
                    assert_eq!(known, (lsn, value), "seed {seed}: member {node} applied another history");
                }
                None => {
                    assert!(self.values.insert(value), "seed {seed}: {value:#x} was applied twice");
                    self.history.push((lsn, value));
                }
            }
        }
        *checked = ledger.applied.len();
        if new_primary && self.faults && self.rng.chance(self.weather.regicide_per_thousand) {
            self.strike_the_new_primary(node);
        }
    }

    fn check_event(&mut self, node: usize, event: Event<u64, u64>) {
        // The history has to know what the receipts speak of.
        self.check(node);
        let (seed, life) = (self.seed, self.nodes[node].life);
        match event {
            Event::Receipt { id, stage, lsn, output } => {
                self.note(&[4, stage as u64, id.serial, lsn.epoch, lsn.sequence]);
                let taken = self.taken.get_mut(&(node, life, id)).expect("a receipt is for a write");
                assert_eq!(taken.lsn, lsn, "seed {seed}: the place of a write changed");
                assert_eq!(output.is_some(), stage == Stage::Committed);
                if stage == Stage::LocalOnly {
                    assert!(!taken.settled, "seed {seed}: news after the final receipt");
                    self.seen.local_only += 1;
                    return;
                }
                assert!(!taken.settled, "seed {seed}: a second final receipt");
                taken.settled = true;
                if let Some(place) = output {
                    let index = usize::try_from(place - 1).expect("small");
                    assert_eq!(self.history.get(index), Some(&(lsn, value(id))), "seed {seed}: a false receipt");
                    self.acknowledged = self.acknowledged.max(place);
                    self.last_ack = Some((self.now, id));
                    self.seen.committed += 1;
                } else {
                    self.seen.unknown += 1;
                }
            }
            Event::ReadReady { id, lsn } => {
                let due = self.reads.remove(&(node, life, id)).expect("a read is released once");
                let (ledger, applied) = self.group(node).read(Read::Local);
                assert!(ledger.applied.len() as u64 >= due, "seed {seed}: a stale read");
                assert_eq!(applied, lsn);
                self.seen.reads += 1;
            }
            Event::ReadLost { id } => {
                self.reads.remove(&(node, life, id)).expect("a read is lost once");
            }
            _ => {}
        }
    }

    /// One write, or a repeat of an earlier one, and now and then a read.
    fn client(&mut self) {
        let slot = self.rng.index(CLIENTS);
        let next = self.next_serial[slot];
        let serial = if next > 1 && self.rng.chance(250) {
            next - 1 - self.rng.below((next - 1).min(20))
        } else {
            self.next_serial[slot] += 1;
            next
        };
        let ballast = if self.weather.heavy { 700 } else { self.rng.index(500) };
        // Half the clients ask anybody, the others the member they think is primary.
        let node = match self.primary() {
            Some(primary) if self.rng.chance(500) => primary,
            _ => self.rng.index(self.nodes.len()),
        };
        let id = OpId { client: slot as u128, serial };
        self.write(node, id, ballast);
        // Whoever believes to be primary is asked to read: one of them may be wrong.
        for node in 0..self.nodes.len() {
            if self.nodes[node].group.as_ref().is_some_and(|group| group.role() == Role::Primary) {
                self.read(node);
            }
        }
        if self.faults {
            let pause = self.rng.micros(1_000, 40_000);
            self.at(self.now + pause, Happening::Client);
        }
    }

    /// Offers a write to a member; true when it was taken.
    pub(crate) fn write(&mut self, node: usize, id: OpId, ballast: usize) -> bool {
        let now = self.now;
        if self.nodes[node].paused_until > now {
            return false;
        }
        let Some(group) = &mut self.nodes[node].group else { return false };
        let delta = Delta { value: value(id), ballast };
        let outcome = group.write(now, id, delta.clone());
        let taken = match outcome {
            Ok(lsn) => {
                let life = self.nodes[node].life;
                let before = self.taken.insert((node, life, id), Taken { lsn, settled: false });
                self.seen.repeats_answered += u64::from(before.is_some());
                true
            }
            Err(
                WriteError::NotPrimary { delta: back, .. }
                | WriteError::Full { delta: back, .. }
                | WriteError::TooOld { delta: back, .. },
            ) => {
                assert_eq!(back, delta, "seed {}: another delta came back", self.seed);
                false
            }
            Err(other) => panic!("seed {}: {other}", self.seed),
        };
        self.settle(node);
        taken
    }

    fn read(&mut self, node: usize) {
        let (now, due) = (self.now, self.acknowledged);
        if self.nodes[node].paused_until > now {
            return;
        }
        let life = self.nodes[node].life;
        let Some(group) = &mut self.nodes[node].group else { return };
        if let Ok(id) = group.read_index(now) {
            self.reads.insert((node, life, id), due);
        }
        self.settle(node);
    }

    fn fault(&mut self) {
        if !self.faults {
            return;
        }
        let nodes = self.nodes.len();
        match self.rng.below(6) {
            0 | 1 => {
                // The primary is the most interesting victim.
                let victim = match self.primary() {
                    Some(primary) if self.rng.chance(600) => primary,
                    _ => self.rng.index(nodes),
                };
                self.crash_for_a_while(victim);
            }
            2 => {
                let until = self.now + self.rng.micros(50_000, 1_500_000);
                let side: Vec<bool> = (0..nodes).map(|_| self.rng.chance(500)).collect();
                for from in 0..nodes {
                    for to in 0..nodes {
                        if side[from] != side[to] {
                            self.cut_until(from, to, until);
                        }
                    }
                }
            }
            3 | 4 => {
                let until = self.now + self.rng.micros(50_000, 1_500_000);
                let victim = self.rng.index(nodes);
                let outward = self.rng.chance(500);
                for other in 0..nodes {
                    if other != victim && self.rng.chance(800) {
                        let (from, to) = if outward { (victim, other) } else { (other, victim) };
                        self.cut_until(from, to, until);
                    }
                }
            }
            _ => {
                let victim = self.rng.index(nodes);
                self.nodes[victim].paused_until = self.now + self.rng.micros(20_000, 1_500_000);
            }
        }
        let pause = self.rng.micros(1, 2 * self.weather.fault_every_us);
        self.at(self.now + pause, Happening::Fault);
    }

    fn crash_for_a_while(&mut self, node: usize) {
        if !self.faults {
            return;
        }
        self.crash(node);
        let longest = self.rng.pick(&[20_000, 300_000, 900_000]);
        let down = self.rng.micros(1_000, longest);
        self.at(self.now + down, Happening::Restart { node });
    }

    /// The first moments of a primary are the most delicate ones: old entries are there, its own first one is not yet.
    fn strike_the_new_primary(&mut self, node: usize) {
        let nodes = self.nodes.len();
        match self.rng.below(5) {
            0 | 1 => {
                let soon = self.rng.micros(0, 4 * self.weather.delay_us.1);
                self.at(self.now + soon, Happening::Crash { node });
            }
            2 => {
                // Nobody hears of it any more, and the lights go out for all who voted.
                let until = self.now + self.rng.micros(500_000, 1_500_000);
                for other in (0..nodes).filter(|&other| other != node) {
                    self.cut_until(node, other, until);
                    self.at(self.now, Happening::Crash { node: other });
                }
            }
            3 => {
                let until = self.now + self.rng.micros(100_000, 1_000_000);
                let spared = self.rng.index(nodes);
                for to in (0..nodes).filter(|&to| to != spared) {
                    self.cut_until(node, to, until);
                }
            }
            _ => {}
        }
    }

    fn cut_until(&mut self, from: usize, to: usize, until: Duration) {
        self.cut[from][to] = true;
        self.at(until, Happening::Mend { from, to });
    }

    /// Stops a member; storage keeps what was synced and any prefix of the rest.
    pub(crate) fn crash(&mut self, node: usize) {
        let target = &mut self.nodes[node];
        if target.group.take().is_none() {
            return;
        }
        let unsynced = target.records.len() - target.synced;
        let survive = target.synced + self.rng.index(unsynced + 1);
        self.seen.lost_records += (target.records.len() - survive) as u64;
        target.records.truncate(survive);
        target.synced = survive;
        self.note(&[5, node as u64, survive as u64]);
    }

    fn restart(&mut self, node: usize) {
        let voters = self.nodes.len() as u64;
        let target = &mut self.nodes[node];
        if target.group.is_some() {
            return;
        }
        target.life += 1;
        target.checked = 0;
        target.last = Lsn::default();
        target.paused_until = Duration::ZERO;
        let me = Actor { node: node as u64, incarnation: target.life };
        // Before its first record is durable a member has promised nothing, and may be founded anew.
        let boot = match target.records.len() {
            0 => Boot::Genesis((0..voters).collect()),
            _ => Boot::Recover(target.records.clone()),
        };
        let group = Member::new(self.config.clone(), me, self.seed, boot);
        target.group = Some(group.unwrap_or_else(|error| panic!("seed {}: {error}", self.seed)));
        target.timer_at = self.now;
        self.at(self.now, Happening::Timer { node });
    }

    fn heal(&mut self) {
        self.faults = false;
        self.weather = Weather::LAN;
        self.cut.iter_mut().flatten().for_each(|cut| *cut = false);
        for node in 0..self.nodes.len() {
            self.nodes[node].paused_until = self.now;
            self.restart(node);
        }
    }

    /// A healed group takes and commits a write, and all members reach the end of the history.
    fn check_recovered(&mut self) {
        let seed = self.seed;
        let before = self.history.len();
        let id = OpId { client: 99, serial: 1 };
        let primary = self.primary().unwrap_or_else(|| panic!("seed {seed}: no primary after healing"));
        assert!(self.write(primary, id, 0), "seed {seed}: the healed primary refuses a write");
        self.run_for(Duration::from_secs(1));
        assert!(self.history.len() > before, "seed {seed}: no progress after healing");
        assert_eq!(self.last_ack.map(|(_, id)| id), Some(id), "seed {seed}: no receipt after healing");
        for node in 0..self.nodes.len() {
            let (ledger, _) = self.group(node).read(Read::Local);
            let applied = ledger.applied.len();
            assert_eq!(applied, self.history.len(), "seed {seed}: member {node} did not catch up");
        }
        let highest = self.nodes.iter().filter_map(|node| node.group.as_ref()).map(Member::epoch).max().unwrap_or(0);
        self.seen.epochs_with_primary = self.primaries.len() as u64;
        self.seen.epochs_without = highest - self.seen.epochs_with_primary;
    }

    /// The primary of the highest epoch, as far as members know.
    pub(crate) fn primary(&self) -> Option<usize> {
        let running = self.nodes.iter().enumerate().filter_map(|(index, node)| Some((index, node.group.as_ref()?)));
        running
            .filter(|(_, group)| group.role() == Role::Primary)
            .max_by_key(|(_, group)| group.epoch())
            .map(|(i, _)| i)
    }

    fn note(&mut self, words: &[u64]) {
        let micros = u64::try_from(self.now.as_micros()).expect("a short run");
        for word in [micros].iter().chain(words) {
            self.note_bytes(&word.to_le_bytes());
        }
    }

    /// FNV-1a, written out here so that the trace depends on nothing else.
    fn note_bytes(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.trace = (self.trace ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }
}

pub(crate) fn value(id: OpId) -> u64 {
    u64::try_from(id.client).expect("small") << 32 | id.serial
}

/// A volatile configuration, for tests that play the network themselves.
pub(crate) fn volatile() -> Config {
    Config { storage: Storage::Volatile, ..config(1000) }
}
