//! Failure detection, one per node and shared by all groups on it. `docs/detector.md` has the protocol and the reasons.

mod config;
mod event;
mod lives;
mod peer;
mod window;
mod wire;

use alloc::{
    collections::{BTreeMap, BTreeSet},
    vec::Vec,
};
use core::time::Duration;

pub use self::{
    config::{DetectorConfig, DetectorConfigError, Thresholds},
    event::{DetectorCounters, DetectorEvent, WatchError},
    wire::HeartbeatError,
};
use self::{
    peer::{Freshness, Heard, Peer, Sampling},
    wire::Heartbeat,
};
use crate::{Actor, Id};

/// Beats of every other node that fit the longest time without accusations after a gap.
const FENCE_INTERVALS: u32 = 5;
/// Later times count as this one, so that adding a timer never overflows.
const LAST_TIME: Duration = Duration::from_secs(u64::MAX / 2);

/// What a node thinks of another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PeerState {
    /// It was heard lately, or has announced that it will be silent.
    Alive {
        /// Its life, as it says. Another number than before: it stopped and started again, or, rarely, the number before
        /// was that of a late frame.
        incarnation: u64,
    },
    /// Silent for longer than is usual. Reason to prefer others, never to replace it.
    Suspected,
    /// Silent for so long that its place may be given to another.
    Unreachable,
}

/// No accusations until the awaited nodes have answered, or until `until`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Fence<N> {
    /// The first beat after the gap.
    sequence: u64,
    until: Duration,
    awaited: BTreeSet<N>,
    answered: usize,
}

/// The failure detector of one node: heartbeats and time in, heartbeats and changes of [`PeerState`] out.
///
/// One serves all groups of the node, with the same [`Actor`] as they were started with: hand each change to every
/// group that has the node, and a group that starts later what [`state`](Self::state) says of its nodes, as changes are
/// told once. Two nodes that share a group must watch each other, both of them.
///
/// `now` is the time since an epoch the caller chooses; a value below an earlier one counts as that one. After every
/// input, drain [`poll_transmit`](Self::poll_transmit) and [`poll_event`](Self::poll_event) until `None`, then wait for
/// the next input or for [`poll_timeout`](Self::poll_timeout). Hand in the frames that have waited before
/// [`handle_timeout`](Self::handle_timeout), or they count as silence. An input much later than the deadline means that
/// this node slept: then it accuses nobody for a while ([`DetectorEvent::Fenced`]).
///
/// Memory per watched node: about 330 bytes, with phi accrual 256 more. Every input but a gap is O(log nodes).
///
/// ```
/// use core::time::Duration;
/// use inos_quorum::{Actor, Detector, DetectorConfig, DetectorEvent, PeerState};
///
/// let ms = Duration::from_millis;
/// let [mut left, mut right] = [(1_u32, 70), (2, 80)].map(|(node, incarnation)| {
///     Detector::new(DetectorConfig::default(), Actor { node, incarnation }).unwrap()
/// });
/// left.watch(ms(0), 2)?;
/// right.watch(ms(0), 1)?;
///
/// let mut frame = Vec::new();
/// right.handle_timeout(ms(0));
/// assert_eq!(right.poll_transmit(&mut frame), Some(1));
/// left.handle_message(ms(10), 2, &frame)?;
/// let alive = PeerState::Alive { incarnation: 80 };
/// assert_eq!(left.poll_event(), Some(DetectorEvent::Peer { node: 2, state: alive }));
///
/// // The right node dies. The left one beats on, and suspects it after a second of silence.
/// while left.state(2) == Some(alive) {
///     let now = left.poll_timeout().unwrap();
///     left.handle_timeout(now);
///     while left.poll_transmit(&mut frame).is_some() {}
/// }
/// assert_eq!(left.poll_event(), Some(DetectorEvent::Peer { node: 2, state: PeerState::Suspected }));
/// assert_eq!(left.poll_timeout(), Some(ms(1200))); // its next beat
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Detector<N> {
    config: DetectorConfig,
    me: Actor<N>,
    now: Duration,
    /// Number of the last beat.
    sequence: u64,
    /// The next beat; `None` while nobody is watched.
    beat_at: Option<Duration>,
    /// The end of this node's announced silence.
    quiet_until: Duration,
    fence: Option<Fence<N>>,
    peers: BTreeMap<N, Peer>,
    /// When silence changes a state next, each node at most once.
    deadlines: BTreeSet<(Duration, N)>,
    /// Whom the last beat has not yet gone to.
    owed: BTreeSet<N>,
    /// Whose state may differ from the one told.
    changed: BTreeSet<N>,
    untold_gap: Option<Duration>,
    /// Answered and awaited.
    untold_resume: Option<(usize, usize)>,
    counters: DetectorCounters,
}

impl<N: Id> Detector<N> {
    /// The detector of `me`, which watches nobody yet.
    ///
    /// # Errors
    ///
    /// [`DetectorConfigError`] says what does not fit.
    pub fn new(config: DetectorConfig, me: Actor<N>) -> Result<Self, DetectorConfigError> {
        config.check()?;
        Ok(Self {
            config,
            me,
            now: Duration::ZERO,
            sequence: 0,
            beat_at: None,
            quiet_until: Duration::ZERO,
            fence: None,
            peers: BTreeMap::new(),
            deadlines: BTreeSet::new(),
            owed: BTreeSet::new(),
            changed: BTreeSet::new(),
            untold_gap: None,
            untold_resume: None,
            counters: DetectorCounters::default(),
        })
    }

    /// Begins to watch `node`, whose silence counts from now; no change if it is watched already, for another group that
    /// has it too. Calls are not counted.
    ///
    /// # Errors
    ///
    /// [`WatchError`]: the node is not watched.
    pub fn watch(&mut self, now: Duration, node: N) -> Result<(), WatchError> {
        self.advance(now);
        if node == self.me.node {
            return Err(WatchError::OwnNode);
        }
        if self.peers.contains_key(&node) {
            return Ok(());
        }
        if self.peers.len() >= self.config.max_nodes {
            return Err(WatchError::Full { max: self.config.max_nodes });
        }
        self.peers.insert(node, Peer::new(self.now));
        self.schedule(node);
        self.beat_at.get_or_insert(self.now);
        Ok(())
    }

    /// Forgets `node`, as when the last group shared with it is gone. Its changes not yet polled are not told.
    pub fn unwatch(&mut self, node: N) {
        let Some(peer) = self.peers.remove(&node) else { return };
        if let Some(deadline) = peer.deadline {
            self.deadlines.remove(&(deadline, node));
        }
        self.owed.remove(&node);
        self.changed.remove(&node);
        if let Some(fence) = &mut self.fence
            && fence.awaited.remove(&node)
            && fence.awaited.is_empty()
            && fence.answered > 0
        {
            self.resume();
        }
        if self.peers.is_empty() {
            self.beat_at = None;
        }
    }

    /// Takes a frame that the transport received from `from`, whom the transport has authenticated.
    ///
    /// # Errors
    ///
    /// [`HeartbeatError`]: the frame was refused and nothing but [`DetectorCounters::refused`] changed. Loss,
    /// duplication and reordering are no errors.
    pub fn handle_message(&mut self, now: Duration, from: N, frame: &[u8]) -> Result<(), HeartbeatError> {
        self.advance(now);
        let result = self.receive(from, frame);
        match result {
            Ok(Freshness::New) => self.counters.accepted += 1,
            Ok(Freshness::Stale) => self.counters.stale += 1,
            Err(_) => self.counters.refused += 1,
        }
        result.map(|_| ())
    }

    fn receive(&mut self, from: N, frame: &[u8]) -> Result<Freshness, HeartbeatError> {
        let peer = self.peers.get_mut(&from).ok_or(HeartbeatError::NotWatched)?;
        let heartbeat = Heartbeat::read(self.me, frame)?;
        let sampling = if self.fence.is_none() { Sampling::Allowed } else { Sampling::Suspended };
        // An echo of a former life of this node, or of a beat that never was, answers nothing.
        let answers = heartbeat
            .echo
            .filter(|&(incarnation, sequence)| incarnation == self.me.incarnation && sequence <= self.sequence)
            .map(|(_, sequence)| sequence);
        let heard = Heard { now: self.now, beat: self.sequence, answers, sampling };
        if peer.hear(&heartbeat, heard, &self.config) == Freshness::Stale {
            return Ok(Freshness::Stale);
        }
        self.changed.insert(from);
        self.schedule(from);
        self.count_answer(from, answers);
        Ok(Freshness::New)
    }

    /// An answer to a beat after the gap proves that this node is heard and hears.
    fn count_answer(&mut self, from: N, answers: Option<u64>) {
        let Some(fence) = &mut self.fence else { return };
        if answers.is_some_and(|answered| answered >= fence.sequence) && fence.awaited.remove(&from) {
            fence.answered += 1;
            if fence.awaited.is_empty() {
                self.resume();
            }
        }
    }

    /// Does what is due. Calling it early or twice is harmless.
    pub fn handle_timeout(&mut self, now: Duration) {
        self.advance(now);
        if let Some(due) = self.beat_at.filter(|&due| due <= self.now) {
            self.beat();
            let next = due.saturating_add(self.config.interval);
            // After a delay the pace starts anew: heartbeats are not caught up.
            self.beat_at = Some(if next > self.now { next } else { self.now.saturating_add(self.config.interval) });
        }
        if self.fence.as_ref().is_some_and(|fence| fence.until <= self.now) {
            self.resume();
        }
        if self.fence.is_none() {
            self.accuse();
        }
    }

    /// This node will be silent until `until`, as a browser tab in the background is; at most
    /// [`DetectorConfig::max_quiet`] from now. A heartbeat that says so is due to everybody at once. Watchers count its
    /// silence from then on, or from their own `max_quiet`, whichever is first. A time not after `now` ends it early.
    pub fn going_quiet(&mut self, now: Duration, until: Duration) {
        self.advance(now);
        self.quiet_until = until.min(self.now.saturating_add(self.config.max_quiet));
        if !self.peers.is_empty() {
            self.beat();
            self.beat_at = Some(self.now.saturating_add(self.config.interval));
        }
    }

    /// The next heartbeat to send, written to `out` (which is cleared first), and whom to send it to. It is written
    /// from the present state; one not polled before the next beat is replaced by that.
    pub fn poll_transmit(&mut self, out: &mut Vec<u8>) -> Option<N> {
        let to = self.owed.pop_first()?;
        let echo = self.peers.get(&to).and_then(|peer| peer.lives.last());
        let quiet = self.quiet_until.saturating_sub(self.now);
        let quiet_us = u64::try_from(quiet.as_micros()).unwrap_or(u64::MAX);
        Heartbeat { incarnation: self.me.incarnation, sequence: self.sequence, echo, quiet_us }.write(to, out);
        Some(to)
    }

    /// The next change: gaps first, then nodes in the order of their ids. What changed several times since the last
    /// poll is told once, as it is now.
    pub fn poll_event(&mut self) -> Option<DetectorEvent<N>> {
        if let Some(gap) = self.untold_gap.take() {
            return Some(DetectorEvent::Fenced { gap });
        }
        if let Some((answered, awaited)) = self.untold_resume.take() {
            return Some(DetectorEvent::Resumed { answered, awaited });
        }
        while let Some(node) = self.changed.pop_first() {
            if let Some(peer) = self.peers.get_mut(&node)
                && peer.told != peer.state
                && let Some(state) = peer.state
            {
                peer.told = Some(state);
                return Some(DetectorEvent::Peer { node, state });
            }
        }
        None
    }

    /// When to call [`handle_timeout`](Self::handle_timeout), on the clock of `now`. `None` while nobody is watched and no
    /// fence stands.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Duration> {
        let silence = match &self.fence {
            Some(fence) => Some(fence.until),
            None => self.deadlines.first().map(|&(deadline, _)| deadline),
        };
        [self.beat_at, silence].into_iter().flatten().min()
    }

    /// What this node thinks of `node`. `None`: it is not watched, or was not heard yet and not yet silent for long.
    #[must_use]
    pub fn state(&self, node: N) -> Option<PeerState> {
        self.peers.get(&node)?.state
    }

    /// The silence after which `node` is suspected, as of now; constant with fixed thresholds. `None`: not watched.
    ///
    /// O(1); with phi accrual it looks at 64 samples.
    #[must_use]
    pub fn timeout_for(&self, node: N) -> Option<Duration> {
        self.peers.get(&node).map(|peer| peer.timeout(&self.config))
    }

    /// Whether this node slept and has not yet proved that it hears again.
    #[must_use]
    pub fn is_fenced(&self) -> bool {
        self.fence.is_some()
    }

    /// What happened so far.
    #[must_use]
    pub fn counters(&self) -> DetectorCounters {
        self.counters
    }

    fn advance(&mut self, now: Duration) {
        // A deadline can have passed before it was asked for, as when a fence ends early.
        let asked = self.poll_timeout().map(|deadline| deadline.max(self.now));
        self.now = now.clamp(self.now, LAST_TIME);
        if let Some(late) = asked.and_then(|asked| self.now.checked_sub(asked))
            && late > self.config.allowed_lateness()
        {
            self.fence(late);
        }
    }

    /// This node slept.
    fn fence(&mut self, gap: Duration) {
        let now = self.now;
        let awaited = self.peers.iter().filter(|(_, peer)| peer.is_expected(now)).map(|(&node, _)| node).collect();
        self.fence = Some(Fence {
            sequence: self.sequence + 1,
            until: now.saturating_add(self.config.interval.saturating_mul(FENCE_INTERVALS)),
            awaited,
            answered: 0,
        });
        self.deadlines.clear();
        for (&node, peer) in &mut self.peers {
            peer.forgive(now);
            peer.deadline = peer.next_deadline(&self.config);
            self.deadlines.extend(peer.deadline.map(|deadline| (deadline, node)));
        }
        self.beat_at = self.beat_at.map(|_| now);
        self.untold_gap = Some(gap);
        self.untold_resume = None;
        self.counters.gaps += 1;
    }

    fn resume(&mut self) {
        if let Some(Fence { awaited, answered, .. }) = self.fence.take() {
            self.untold_resume = Some((answered, answered + awaited.len()));
        }
    }

    fn beat(&mut self) {
        self.sequence += 1;
        self.owed.extend(self.peers.keys());
    }

    fn accuse(&mut self) {
        while let Some(&(deadline, node)) = self.deadlines.first()
            && deadline <= self.now
        {
            self.deadlines.pop_first();
            if let Some(peer) = self.peers.get_mut(&node) {
                peer.deadline = None;
                peer.worsen();
                self.changed.insert(node);
                self.schedule(node);
            }
        }
    }

    /// Enters the deadline of `node` anew.
    fn schedule(&mut self, node: N) {
        let Some(peer) = self.peers.get_mut(&node) else { return };
        if let Some(deadline) = peer.deadline.take() {
            self.deadlines.remove(&(deadline, node));
        }
        peer.deadline = peer.next_deadline(&self.config);
        self.deadlines.extend(peer.deadline.map(|deadline| (deadline, node)));
    }
}
