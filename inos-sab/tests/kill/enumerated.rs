//! Death in front of each access in turn.

use crate::crew::{Child, Crew, FURTHER, layout};
use crate::jobs::{Job, READERS, WRITERS};

/// Each of the two tests kills at least so many.
const KILLS: u32 = 900;

/// Kills at step 0, 1, 2... of a job until it has no more steps.
fn at_each_step(job: Job, mut round: impl FnMut(Job, u64) -> bool) -> u64 {
    let steps = (0..).find(|step| !round(job, *step)).unwrap_or(0);
    assert!(steps > 3, "{job:?} has {steps} steps");
    steps
}

#[test]
fn writers_die_at_each_step() {
    let mut crew = Crew::new(&layout());
    let mut enumerated = 0;
    // Again, until there were enough: the ring is elsewhere then.
    while crew.writers_killed < KILLS {
        enumerated = 0;
        for job in WRITERS {
            enumerated += at_each_step(job, |job, step| {
                let mut consumer = crew.before_writer();
                let child = Child::start(&crew.fd, job, Some(step));
                let id = child.id();
                let killed = child.was_killed();
                crew.recover(id);
                let sent = crew.after_writer(&mut consumer, killed);
                assert!(killed || sent > 0 || matches!(job, Job::Alloc | Job::Squeeze | Job::Publish), "{job:?}");
                crew.exchange(FURTHER, Some(&mut consumer));
                crew.is_whole();
                killed
            });
        }
    }
    crew.report(&format!("at each of {enumerated} steps"));
}

#[test]
fn readers_die_at_each_step() {
    let mut crew = Crew::new(&layout());
    let mut enumerated = 0;
    while crew.readers_killed < KILLS {
        enumerated = 0;
        for job in READERS {
            enumerated += at_each_step(job, |job, step| {
                let (producer, handle) = crew.before_reader();
                let child = Child::start(&crew.fd, job, Some(step));
                let id = child.id();
                let killed = child.was_killed();
                crew.recover(id);
                crew.after_reader(handle, killed);
                drop(producer);
                crew.exchange(FURTHER, None);
                crew.is_whole();
                killed
            });
        }
    }
    crew.report(&format!("at each of {enumerated} steps"));
}
