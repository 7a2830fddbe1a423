//! Death while a region or a place in it comes into being.

use crate::crew::{Child, Crew, attach, layout};
use crate::jobs::Job;
use core::ptr::NonNull;
use inos_sab::{Crash, Region, RegionError, fail_points};
use rustix::fs::MemfdFlags;
use rustix::mm::{MapFlags, ProtFlags};
use std::os::fd::OwnedFd;

/// The child's side: makes a region in the file.
pub(crate) fn create(fd: OwnedFd, arm: &dyn Fn()) {
    let layout = layout();
    let (start, len) = (layout.switchboard().offset, layout.end() - layout.switchboard().offset);
    // SAFETY:
    // - a new mapping at an address of the kernel's choice.
    let mapped = unsafe {
        let access = ProtFlags::READ | ProtFlags::WRITE;
        rustix::mm::mmap(core::ptr::null_mut(), len as usize, access, MapFlags::SHARED, &fd, u64::from(start))
    };
    let bytes = NonNull::new(mapped.expect("mapped").cast::<u8>()).expect("not null");
    arm();
    // SAFETY:
    // - `len` bytes, mapped until the process ends; until it is ready nobody else uses them.
    let region = unsafe { Region::<Crash>::create_raw(bytes, len as usize, &layout) };
    fail_points::disarm();
    core::mem::forget(region.expect("a region"));
}

/// A region whose maker died is not ready, and can be made anew; then it is one.
#[test]
fn makers_die_at_each_step() {
    let layout = layout();
    // It first looks at all words that belong to nobody, one like the other.
    let looks = u64::from(layout.unassigned().len / 8);
    let steps = (looks - 2..).find(|step| {
        let file = rustix::fs::memfd_create("birth", MemfdFlags::empty()).expect("a file");
        rustix::fs::ftruncate(&file, u64::from(layout.end())).expect("room");
        let attach = || attach(&file, &layout);
        assert_eq!(attach().err(), Some(RegionError::NotReady));
        if !Child::start(&file, Job::Create, Some(*step)).was_killed() {
            assert!(attach().is_ok());
            return true;
        }
        match attach() {
            // Killed behind the last store, by which it says that it is ready: joining.
            Ok(region) => assert_eq!(region.arena().largest_free(), region.arena().max_block_len()),
            Err(error) => {
                assert_eq!(error, RegionError::NotReady);
                assert!(!Child::start(&file, Job::Create, None).was_killed());
                assert!(attach().is_ok());
            }
        }
        false
    });
    println!("makers killed at each of the last {} steps", steps.unwrap_or(0) - looks);
}

/// Whoever dies while it attaches, takes a role or leaves, leaves nothing behind, and its place serves the next.
#[test]
fn newcomers_die_at_each_step() {
    let crew = Crew::new(&layout());
    let before = fail_points::steps();
    let other = attach(&crew.fd, &layout()).expect("attached");
    let attaching = fail_points::steps() - before;
    drop(other);
    let mut killed = 0;
    // It first looks at all words that belong to nobody, one like the other.
    for step in (0..4).chain(attaching.saturating_sub(60)..) {
        let child = Child::start(&crew.fd, Job::Attach, Some(step));
        let id = child.id();
        let died = child.was_killed();
        crew.recover(id);
        drop(crew.region.outbox_producer().expect("the dead hold no roles"));
        if !died {
            break;
        }
        killed += 1;
    }
    crew.is_whole();
    assert!(killed > 60, "{killed}");
    println!("{killed} newcomers killed");
}
