//! Whoever takes back what the dead had may die of it: the next one finishes.

use crate::crew::{Child, Crew, check, drain_all, layout};
use crate::jobs::Job;
use core::time::Duration;
use inos_sab::{Event, Wake};

/// Every one of the first and last steps of a recovery is a death, and of those between every so many: it looks at each
/// cell of the arena, one like the other.
const STRIDE: usize = 7;

/// A region in which a process has just died that had one of everything.
fn bereave(crew: &Crew) -> (u32, inos_sab::Handle) {
    let (producer, handle) = crew.before_reader();
    let mut listener = crew.region.switchboard().listen(Event::Host);
    let child = Child::start(&crew.fd, Job::Hoard, None);
    while listener.wait(Some(Duration::from_secs(5))) != Wake::Ready {}
    assert!(crew.region.arena().stats().owned >= 4);
    drop(producer);
    let id = child.id();
    child.kill();
    (id, handle)
}

fn settle(crew: &mut Crew, handle: inos_sab::Handle) {
    drop(crew.region.arena().claim_handle(handle));
    for slot in [Crew::slot(), Crew::child_slot()] {
        drop(crew.region.switchboard().take(slot));
    }
    let mut count = 0;
    drain_all(&mut crew.outbox, |frame| {
        count += 1;
        check(&frame);
    });
    assert_eq!(count, 1, "what was published came, what was only written did not");
    let mut inbox = crew.region.inbox_consumer().expect("the dead hold no roles");
    drain_all(&mut inbox, |frame| drop(frame));
    drop(inbox);
    crew.is_whole();
}

#[test]
fn recoverers_die_at_each_step() {
    let mut crew = Crew::new(&layout());
    let mut deaths = 0;
    let mut step = 0;
    loop {
        let (dead, handle) = bereave(&crew);
        let recoverer = Child::start(&crew.fd, Job::Recover, Some(step));
        let id = recoverer.id();
        let killed = recoverer.was_killed();
        let recovery = crew.region.recover().expect("a file proves deaths");
        assert!(recovery.peers.iter().all(|peer| [dead, id].contains(&peer.pid)), "{recovery:?}");
        settle(&mut crew, handle);
        crew.exchange(100, None);
        if !killed {
            break;
        }
        deaths += 1;
        step += if step < 60 { 1 } else { STRIDE as u64 };
    }
    assert!(deaths > 60, "{deaths}");
    println!("{deaths} recoverers killed in up to {step} steps");
}
