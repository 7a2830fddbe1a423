//! Which life of a node is the present one. `docs/detector.md` has the rule and why it is sound.

use core::time::Duration;

/// Other lives that are remembered. More restarts than this while one frame is under way are absurd; one forgotten too
/// early is a life unheard of again.
const OTHER_LIVES: usize = 4;

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Lives {
    present: Option<Life>,
    /// Each differs from the present one and from each other, the latest to become known first.
    others: [Option<Other>; OTHER_LIVES],
    /// The last new heartbeat of any life that may be the present one.
    last: Option<(u64, u64)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Life {
    incarnation: u64,
    /// Greatest sequence heard.
    sequence: u64,
    /// The watcher's last beat when that was heard: its later beats were sent after this.
    heard_after: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Other {
    life: Life,
    standing: Standing,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Standing {
    /// Proved to be over.
    Over,
    /// The present life was heard since.
    Interrupted,
    /// It beats and the present life does not, since then.
    Beating(Duration),
}

/// What the watcher knows when it hears a heartbeat.
pub(crate) struct Hearing {
    pub(crate) now: Duration,
    /// Its own last beat.
    pub(crate) beat: u64,
    /// The beat of its own life that the heartbeat echoes: that was sent before the heartbeat.
    pub(crate) answers: Option<u64>,
    /// Whether the present life is suspected or unreachable.
    pub(crate) is_silent: bool,
    /// How long another life must beat alone to be believed without proof.
    pub(crate) patience: Duration,
}

impl Hearing {
    /// Whether the heartbeat was sent after `life` was last heard, and so after that life, if it is of another one.
    fn is_after(&self, life: &Life) -> bool {
        self.answers.is_some_and(|answered| answered > life.heard_after)
    }
}

/// What a heartbeat is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// New, of the present life.
    Present,
    /// New, of another life, which is the present one from now on.
    Another,
    /// Repeated, overtaken, or of a life that is over or not believed to be the present one.
    Stale,
}

impl Lives {
    /// Incarnation and sequence of the last new heartbeat, for the echo. Also of a life that is not believed yet: the
    /// echo helps the other side to prove itself.
    pub(crate) fn last(&self) -> Option<(u64, u64)> {
        self.last
    }

    pub(crate) fn hear(&mut self, incarnation: u64, sequence: u64, hearing: &Hearing) -> Verdict {
        let heard = Life { incarnation, sequence, heard_after: hearing.beat };
        let Some(present) = self.present.filter(|present| present.incarnation != incarnation) else {
            let known = self.present.map(|present| present.sequence);
            if known.is_some_and(|known| sequence <= known) {
                return Verdict::Stale;
            }
            self.settle(heard, hearing);
            return if known.is_some() { Verdict::Present } else { Verdict::Another };
        };
        let known =
            self.others.iter().position(|other| other.is_some_and(|other| other.life.incarnation == incarnation));
        let mut since = hearing.now;
        if let Some(Other { life, standing }) = known.and_then(|index| self.others[index]) {
            if standing == Standing::Over || sequence <= life.sequence {
                return Verdict::Stale;
            }
            if let Standing::Beating(start) = standing {
                since = start;
            }
        }
        let index = known.unwrap_or_else(|| {
            self.others.rotate_right(1);
            0
        });
        let beats_alone = hearing.now.saturating_sub(since) >= hearing.patience;
        if hearing.is_after(&present) || hearing.is_silent || beats_alone {
            self.others[index] = Some(Other { life: present, standing: Standing::Interrupted });
            self.settle(heard, hearing);
            return Verdict::Another;
        }
        self.others[index] = Some(Other { life: heard, standing: Standing::Beating(since) });
        self.last = Some((incarnation, sequence));
        Verdict::Stale
    }

    /// `present` is the present life, and was heard just now.
    fn settle(&mut self, present: Life, hearing: &Hearing) {
        self.last = Some((present.incarnation, present.sequence));
        self.present = Some(present);
        self.interrupt();
        for other in self.others.iter_mut().flatten().filter(|other| hearing.is_after(&other.life)) {
            other.standing = Standing::Over;
        }
    }

    /// What the others beat so far no longer counts.
    pub(crate) fn interrupt(&mut self) {
        for other in self.others.iter_mut().flatten().filter(|other| other.standing != Standing::Over) {
            other.standing = Standing::Interrupted;
        }
    }
}
