//! What a member knows of, and owes to, another one.

use core::time::Duration;

use super::wire::{Mismatch, Verdict};

/// How entries are sent to a follower.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Flow {
    /// Where the logs agree is unknown: one frame, then wait.
    Probe,
    /// The probe is out. The next heartbeat repeats it.
    Probing,
    /// The logs agree: frames follow each other without waiting.
    Stream,
}

/// Where this member's request for a vote stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Ask {
    Nothing,
    Due,
    Sent,
    Granted,
}

/// At most one frame of each kind is owed to a member: the latest. So nothing queues up, whatever the load.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Peer<N> {
    pub(crate) node: N,
    pub(crate) incarnation: Option<u64>,

    /// The epoch asked about, and the answer.
    pub(crate) owed_pre_vote: Option<(u64, Verdict)>,
    pub(crate) owed_vote: Option<Verdict>,
    pub(crate) owed_append: Option<Option<Mismatch>>,
    pub(crate) ask: Ask,

    /// When it last answered this primary.
    pub(crate) heard_at: Duration,
    /// The next entry to send.
    pub(crate) next: u64,
    /// The last entry it holds as storage demands, and which agrees with ours.
    pub(crate) matched: u64,
    pub(crate) flow: Flow,
    /// A frame is owed even without entries.
    pub(crate) beat: bool,
    /// The last round it echoed.
    pub(crate) round: u64,
    /// The round whose echo is being timed, and when it was sent.
    timed: Option<(u64, Duration)>,
    /// Smoothed round-trip time, storage included, in microseconds. Unknown is slowest.
    pub(crate) round_trip_us: u64,
}

impl<N> Peer<N> {
    pub(crate) const fn new(node: N) -> Self {
        Self {
            node,
            incarnation: None,
            owed_pre_vote: None,
            owed_vote: None,
            owed_append: None,
            ask: Ask::Nothing,
            heard_at: Duration::ZERO,
            next: 1,
            matched: 0,
            flow: Flow::Probe,
            beat: false,
            round: 0,
            timed: None,
            round_trip_us: u64::MAX,
        }
    }

    /// A new epoch: what was owed and asked in the old one is void.
    pub(crate) fn forget_epoch(&mut self) {
        self.owed_pre_vote = None;
        self.owed_vote = None;
        self.owed_append = None;
        self.ask = Ask::Nothing;
    }

    /// This member became primary; `next` is its first entry.
    pub(crate) fn lead(&mut self, next: u64, now: Duration) {
        self.heard_at = now;
        self.next = next;
        self.matched = 0;
        self.flow = Flow::Probe;
        self.beat = true;
        self.round = 0;
        self.timed = None;
    }

    pub(crate) fn round_sent(&mut self, round: u64, now: Duration) {
        if self.timed.is_none() {
            self.timed = Some((round, now));
        }
    }

    pub(crate) fn round_echoed(&mut self, round: u64, now: Duration) {
        self.heard_at = now;
        self.round = self.round.max(round);
        if let Some((timed, sent_at)) = self.timed
            && round >= timed
        {
            self.timed = None;
            let sample_us = u64::try_from(now.saturating_sub(sent_at).as_micros()).unwrap_or(u64::MAX - 1);
            // The gain of 1/8 is that of TCP (RFC 6298).
            self.round_trip_us = match self.round_trip_us {
                u64::MAX => sample_us,
                smoothed => smoothed - smoothed / 8 + sample_us / 8,
            };
        }
    }

    /// The follower holds everything up to `matched`. True when that is news.
    pub(crate) fn holds(&mut self, matched: u64) -> bool {
        self.next = self.next.max(matched + 1);
        let news = matched > self.matched;
        if news {
            self.matched = matched;
            self.flow = Flow::Stream;
        }
        news
    }
}
