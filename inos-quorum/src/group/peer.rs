//! What a member knows of, and owes to, another one.

use alloc::vec::Vec;
use core::time::Duration;

use super::{
    parcel::Parcel,
    wire::{Mismatch, Verdict, What},
};
use crate::{Actor, Dot, Lsn, NodeClass};

/// How entries are sent to a follower.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Flow {
    /// Where the logs agree is unknown: one frame, then wait.
    Probe,
    /// The probe is out. The next heartbeat repeats it.
    Probing,
    /// The logs agree: frames follow each other without waiting.
    Stream,
    /// Something larger than a frame is under way.
    Parcel(Parcel),
}

/// Where this member's request for a vote stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Ask {
    Nothing,
    Due,
    Sent,
    Granted,
}

/// What it is to the group, in the latest configuration here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Standing {
    Voter,
    Learner(NodeClass),
    /// No member: introduced by the integrator, or a member of before.
    Contact,
}

/// At most one frame of each kind is owed to a member: the latest. So nothing queues up, whatever the load.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Peer<N> {
    pub(crate) seat: Actor<N>,
    pub(crate) standing: Standing,
    pub(crate) life: Option<u64>,

    /// The epoch asked about, and the answer.
    pub(crate) owed_pre_vote: Option<(u64, Verdict)>,
    pub(crate) owed_vote: Option<Verdict>,
    pub(crate) owed_append: Option<Option<Mismatch>>,
    pub(crate) owed_part: Option<(What, Lsn, u64)>,
    /// As its primary: by its last answer it has orphans to hand over.
    pub(crate) keeps_orphans: bool,
    /// As its follower: orphans are due to it.
    pub(crate) owes_orphans: bool,
    /// An orphan larger than a frame is on its way to it.
    pub(crate) orphan: Option<Parcel>,
    /// Where the last such one stood that it has received.
    pub(crate) long_orphan_after: Lsn,
    /// Acknowledgements of orphans that it handed over, and that the history has dealt with.
    pub(crate) owed_acks: Vec<Dot<N>>,
    pub(crate) owes_notice: bool,
    /// As one of an older generation that has stopped: who is primary of the later one, and where the histories part.
    pub(crate) owes_question: bool,
    /// It belonged to an older generation and may hold orphans of it.
    pub(crate) is_former: bool,
    /// It is of a later generation and takes the orphans of this one.
    pub(crate) is_heir: bool,
    pub(crate) owes_elect: bool,
    pub(crate) ask: Ask,
    /// The greatest `fast` it told in the present canvass.
    pub(crate) fast: Lsn,

    /// When it last answered this primary with something new, or became a member.
    pub(crate) heard_at: Duration,
    /// The next entry to send.
    pub(crate) next: u64,
    /// The last entry it holds as storage demands, and which agrees with ours.
    pub(crate) matched: u64,
    pub(crate) flow: Flow,
    /// The round in which the last stream broke off. Until a later one is echoed, answers may be to frames of that stream,
    /// and say nothing of the probe.
    pub(crate) streamed_to: u64,
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
    pub(crate) const fn new(seat: Actor<N>, standing: Standing) -> Self {
        Self {
            seat,
            standing,
            life: None,
            owed_pre_vote: None,
            owed_vote: None,
            owed_append: None,
            owed_part: None,
            keeps_orphans: false,
            owes_orphans: false,
            orphan: None,
            long_orphan_after: Lsn { epoch: 0, sequence: 0 },
            owed_acks: Vec::new(),
            owes_notice: false,
            owes_question: false,
            is_former: false,
            is_heir: false,
            owes_elect: false,
            ask: Ask::Nothing,
            fast: Lsn { epoch: 0, sequence: 0 },
            heard_at: Duration::ZERO,
            next: 1,
            matched: 0,
            flow: Flow::Probe,
            streamed_to: 0,
            beat: false,
            round: 0,
            timed: None,
            round_trip_us: u64::MAX,
        }
    }

    pub(crate) fn is_member(&self) -> bool {
        self.standing != Standing::Contact
    }

    /// Whether its acknowledgement may make a receipt `Fast`, and as what.
    pub(crate) const fn fast_class(&self) -> Option<NodeClass> {
        match self.standing {
            Standing::Voter => Some(NodeClass::Voter),
            Standing::Learner(NodeClass::Ephemeral) => Some(NodeClass::Ephemeral),
            Standing::Learner(NodeClass::Voter) | Standing::Contact => None,
        }
    }

    /// A new epoch: what was owed and asked in the old one is void.
    pub(crate) fn forget_epoch(&mut self) {
        self.owed_pre_vote = None;
        self.owed_vote = None;
        self.owed_append = None;
        self.owed_part = None;
        self.owes_orphans = false;
        self.owes_question = false;
        self.orphan = None;
        self.owes_elect = false;
        self.ask = Ask::Nothing;
    }

    /// This member became primary; `next` is its first entry.
    pub(crate) fn lead(&mut self, next: u64, now: Duration) {
        self.heard_at = now;
        self.next = next;
        self.matched = 0;
        self.flow = Flow::Probe;
        self.streamed_to = 0;
        self.beat = self.is_member();
        self.round = 0;
        self.keeps_orphans = false;
        self.timed = None;
    }

    pub(crate) fn round_sent(&mut self, round: u64, now: Duration) {
        if self.timed.is_none() {
            self.timed = Some((round, now));
        }
    }

    pub(crate) fn round_echoed(&mut self, round: u64, now: Duration) {
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
            if !matches!(self.flow, Flow::Parcel(parcel) if parcel.id.sequence > matched) {
                self.flow = Flow::Stream;
            }
        }
        news
    }
}
