//! Cases `roundtrip-*`: eight bytes there, and eight bytes back.

use std::thread;

use inos_sab::Patience;

use crate::Effort;
use crate::contest::{Apart, Contestant, Role, compete};
use crate::link::{self, Link};
use crate::machine::{End, take_place};
use crate::process::{self, Job, Way};
use crate::report::{Row, Unit};

/// One turn between two threads: seconds per round trip.
fn between_threads(near: &mut impl Link, far: &mut (impl Link + Send), trips: u64) -> f64 {
    thread::scope(|scope| {
        scope.spawn(|| {
            take_place(End::Far);
            link::serve(far);
        });
        link::bounce(near, link::WARM_UP);
        let seconds = link::bounce(near, trips);
        link::stop(near);
        seconds
    })
}

fn contestant<'a, L: Link + Send + 'a>(
    name: &'static str,
    role: Role,
    (near, far): (L, L),
    trips: u64,
) -> Contestant<'a> {
    let mut ends = (Apart(near), Apart(far));
    Contestant::new(name, role, move || {
        // All of `ends`: fields that are named alone would be captured without their alignment.
        let (near, far) = &mut ends;
        between_threads(&mut near.0, &mut far.0, trips)
    })
}

/// Two threads that never sleep.
pub(crate) fn spin(case: &'static str, effort: Effort) -> Row {
    let trips = effort.units(20_000);
    let mut contestants = [
        contestant("ours", Role::Ours, link::ours::threads(Patience::Spin), trips),
        contestant("rtrb", Role::Peer, link::rtrb::threads(), trips),
        contestant("crossbeam", Role::Peer, link::crossbeam::threads(), trips),
        contestant("pingpong", Role::Limit, link::ping_pong::threads(), trips),
    ];
    let notes = vec!["two threads, 8 bytes each way, nobody sleeps; the peers send a u64, ours a frame".into()];
    Row::new(case, Unit::NANOSECONDS, &compete(&mut contestants, effort.rounds), &[], notes)
}

/// A contestant that lives in two processes, started anew for each turn.
fn processes<'a>(name: &'static str, role: Role, way: Way, job: Job) -> Contestant<'a> {
    Contestant::new(name, role, move || process::turn(way, job).expect("processes can be started"))
}

/// Two processes that never sleep.
pub(crate) fn spin_process(case: &'static str, effort: Effort) -> Row {
    let job = Job::Bounce(effort.units(20_000));
    let mut contestants = [
        processes("ours", Role::Ours, Way::RingsSpin, job),
        processes("iceoryx2", Role::Peer, Way::IceoryxSpin, job),
        processes("pingpong", Role::Limit, Way::PingPong, job),
    ];
    let notes = vec![
        "two processes, 8 bytes each way, nobody sleeps; ours with trust level Crash".into(),
        "rtrb and crossbeam do not leave their process".into(),
    ];
    let absent = ["rtrb", "crossbeam"];
    Row::new(case, Unit::NANOSECONDS, &compete(&mut contestants, effort.rounds), &absent, notes)
}

/// How ends of ours that may sleep go about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sleep {
    /// After some microseconds of looking.
    Late,
    /// At once.
    AtOnce,
}

impl Sleep {
    fn way(self) -> Way {
        match self {
            Self::Late => Way::RingsWait,
            Self::AtOnce => Way::RingsPark,
        }
    }

    fn note(self) -> String {
        match self {
            Self::Late => "two processes, 8 bytes each way; ours with the default wait: looks for about 20 us, then \
                           sleeps; the others sleep in the kernel at once"
                .into(),
            Self::AtOnce => "two processes, 8 bytes each way; everybody sleeps in the kernel at once".into(),
        }
    }
}

const ICEORYX_NOTE: &str = "iceoryx2: publish and notify, wait for the event and receive";

/// Two processes that sleep while they wait.
pub(crate) fn block_process(case: &'static str, sleep: Sleep, effort: Effort) -> Row {
    let job = Job::Bounce(effort.units(500));
    let mut contestants = [
        processes("ours", Role::Ours, sleep.way(), job),
        processes("unix-socket", Role::Peer, Way::UnixSocket, job),
        processes("pipe", Role::Peer, Way::Pipe, job),
        processes("iceoryx2", Role::Peer, Way::IceoryxEvent, job),
        processes("pingpong", Role::Limit, Way::PingPong, job),
    ];
    let notes = vec![sleep.note(), ICEORYX_NOTE.into()];
    Row::new(case, Unit::MICROSECONDS, &compete(&mut contestants, effort.rounds), &[], notes)
}

/// What both processes compute for a message per millisecond.
pub(crate) fn cpu_process(case: &'static str, sleep: Sleep, effort: Effort) -> Row {
    let ticks = effort.units(150);
    let job = Job::Tick(ticks);
    let timer = move || {
        let before = link::process_cpu_nanoseconds();
        link::tick(ticks, |_| {});
        (link::process_cpu_nanoseconds() - before) as f64 / 1e9 / ticks as f64
    };
    let mut contestants = [
        processes("ours", Role::Ours, sleep.way(), job),
        processes("unix-socket", Role::Peer, Way::UnixSocket, job),
        processes("pipe", Role::Peer, Way::Pipe, job),
        processes("iceoryx2", Role::Peer, Way::IceoryxEvent, job),
        Contestant::new("timer", Role::Limit, timer),
    ];
    let notes = vec![
        "processor time of both processes for a round trip, one of which begins each millisecond".into(),
        sleep.note(),
        ICEORYX_NOTE.into(),
        "timer: the sleep between two messages alone".into(),
    ];
    Row::new(case, Unit::MICROSECONDS, &compete(&mut contestants, effort.rounds), &[], notes)
}

#[cfg(test)]
mod tests {
    //! Every link answers each request with its answer: `bounce` compares them.

    use inos_sab::Patience;

    use super::between_threads;
    use crate::link::{self, Link};

    fn check<L: Link + Send>((mut near, mut far): (L, L)) {
        for _ in 0..2 {
            assert!(between_threads(&mut near, &mut far, 300) > 0.0);
        }
    }

    #[test]
    fn every_request_is_answered() {
        check(link::ours::threads(Patience::Spin));
        check(link::ours::threads(Patience::SpinThenPark));
        check(link::ours::threads(Patience::Park));
        check(link::rtrb::threads());
        check(link::crossbeam::threads());
        check(link::ping_pong::threads());
    }

    /// Answers with what it was asked.
    struct Parrot(u64);

    impl Link for Parrot {
        fn send(&mut self, number: u64) {
            self.0 = number;
        }

        fn receive(&mut self) -> u64 {
            self.0
        }
    }

    #[test]
    #[should_panic(expected = "the answer to this request")]
    fn a_wrong_answer_is_noticed() {
        link::bounce(&mut Parrot(0), 1);
    }

    #[test]
    fn the_far_end_tells_its_time_and_stops() {
        let (mut near, mut far) = link::ours::threads(Patience::SpinThenPark);
        std::thread::scope(|scope| {
            scope.spawn(|| link::serve(&mut far));
            let before = link::cpu_seconds(&mut near);
            link::bounce(&mut near, 1000);
            assert!(link::cpu_seconds(&mut near) > before, "a thousand round trips take time");
            link::stop(&mut near);
        });
    }
}
