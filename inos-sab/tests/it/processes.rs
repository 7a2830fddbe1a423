//! Goal: processes share a region; one that is killed at any moment, or stopped, harms nobody.
//!
//! Method: children of this program, as in `tests/kill` but without fail points: killed from outside at random moments,
//! and stopped in the middle of what they do. The arena has to be empty and in one piece after each death, and 10,000
//! further messages have to be intact.

#![allow(dead_code, reason = "shared with tests/kill, which uses all of it")]

#[path = "../kill/crew.rs"]
mod crew;
#[path = "../kill/jobs.rs"]
mod jobs;
#[path = "../kill/random.rs"]
mod random;

use core::time::Duration;
use crew::{Child, Crew, check, drain_all, layout};
use inos_sab::{Liveness, RegionError};
use jobs::{Job, LAST_KIND};

const CHILD: &str = "processes::child";
const RANDOM_KILLS: u32 = 12;

mod births {
    pub(super) fn create(_: std::os::fd::OwnedFd, _: &dyn Fn()) {}
}

/// Does what the environment asks for; as a test of its own it does nothing.
#[test]
fn child() {
    crew::child(|_| {});
}

/// A writer that is stopped, wherever, is stalled: it keeps its role, its blocks and its unfinished frame, and goes on
/// as if nothing had been.
#[test]
fn stopped_peers_keep_everything() {
    let mut crew = Crew::new(&layout());
    let mut consumer = crew.before_writer();
    let child = Child::start(&crew.fd, Job::WriteOn, None);
    let mut last = LAST_KIND;
    let mut read = |count: u32| {
        let mut got = 0;
        loop {
            drain_all(&mut consumer, |frame| {
                assert_eq!(frame.kind(), last % LAST_KIND + 1);
                last = frame.kind();
                got += 1;
                check(&frame);
            });
            if got >= count {
                return;
            }
        }
    };
    for round in 0..20 {
        read(100 + round);
        child.stop();
        // Frees the blocks that it had sent, so that nothing changes from here on.
        read(0);
        let arena = crew.region.arena();
        let before = arena.check();
        let liveness = || {
            let recovery = crew.region.recover().expect("a file proves deaths");
            assert_eq!((recovery.blocks_freed, recovery.peers.len()), (0, 1));
            recovery.peers[0].liveness
        };
        liveness();
        assert_eq!((liveness(), liveness()), (Liveness::Stalled, Liveness::Stalled));
        assert_eq!(arena.check(), before);
        assert_eq!(crew.region.inbox_producer().err(), Some(RegionError::RoleHeld));
        child.resume();
    }
    read(1000);
    let id = child.id();
    child.kill();
    crew.recover(id);
    read(0);
    drain_all(&mut consumer, |frame| check(&frame));
    crew.after_writer(&mut consumer, true);
    crew.is_whole();
}

/// Sixteen take part, the next one is refused, and the place of a dead one serves again, also before it is recovered.
#[test]
fn sixteen_processes_take_part() {
    let crew = Crew::new(&layout());
    let mut others: Vec<_> = (0..15).map(|_| Child::start(&crew.fd, Job::Idle, None)).collect();
    let peers = || crew.region.peers().expect("peers");
    while peers().len() < 15 {
        std::thread::sleep(Duration::from_millis(1));
    }
    let attach = || crew::attach(&crew.fd, &layout());
    assert_eq!(attach().err(), Some(RegionError::Crowded { places: 16 }));
    assert!(peers().iter().all(|peer| peer.liveness != Liveness::Dead));
    let dead = others.pop().expect("fifteen");
    let place = peers().into_iter().find(|peer| peer.pid == dead.id()).expect("it takes part").id;
    dead.kill();
    let heir = attach().expect("a place");
    assert_eq!(heir.id(), place);
    let dead = others.pop().expect("fourteen");
    let id = dead.id();
    dead.kill();
    crew.recover(id);
    assert_eq!(peers().len(), 14);
    crew.is_whole();
}
