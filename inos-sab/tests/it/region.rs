//! Goal: a region is made and attached to over every kind of memory, what does not fit is refused before anything is
//! touched, and participants are told apart, dead or alive.
//!
//! Method: two attachments in one process are two participants with two mappings, as two processes have. Files are cut,
//! words of the superblock are changed, seals are left out. Memory is also raw, with other bytes around it.

#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use core::ptr::NonNull;
use inos_sab::{Crash, Hostile, Layout, Region, RegionError, State, Threads, Trust};

fn small() -> Layout {
    Layout::compact(1 << 10, 1 << 20, 1 << 16).expect("a legal layout")
}

/// Zeroed memory that starts at a multiple of 128, of which the region gets all but the first and last 128 bytes.
struct Raw {
    words: Vec<[u64; 16]>,
    skip: usize,
    len: usize,
}

impl Raw {
    fn new(layout: &Layout) -> Self {
        let len = (layout.end() - layout.switchboard().offset) as usize;
        let words = vec![[0_u64; 16]; len / 128 + 4];
        let skip = words.as_ptr().cast::<u8>().align_offset(128) + 128;
        Self { words, skip, len }
    }

    fn start(&mut self) -> NonNull<u8> {
        NonNull::new(self.words.as_mut_ptr().cast::<u8>().wrapping_add(self.skip)).expect("not null")
    }

    fn set(&mut self, offset: u32, value: u8) {
        // SAFETY:
        // - within the vector; no region is in use meanwhile.
        unsafe { self.start().as_ptr().wrapping_add(offset as usize).write(value) };
    }
}

fn raw<T: Trust>(memory: &mut Raw, layout: &Layout) -> Result<(Region<T>, Region<T>), RegionError> {
    let (start, len) = (memory.start(), memory.len);
    // SAFETY:
    // - `start` is valid for `len` bytes, which every caller keeps longer than the regions;
    // - the bytes are zero, reached through these regions only, and nobody else makes one there.
    let first = unsafe { Region::<T>::create_raw(start, len, layout) }?;
    // SAFETY:
    // - as above; both attachments have the same level.
    let second = unsafe { Region::<T>::attach_raw(start, len, layout) }?;
    Ok((first, second))
}

#[test]
fn raw_memory_is_shared_by_its_attachments() {
    fn exchange<T: Trust>() {
        let layout = small();
        let mut memory = Raw::new(&layout);
        let (one, two) = raw::<T>(&mut memory, &layout).expect("a region");
        assert_eq!(one.state(), State::Ready);
        let mut producer = one.inbox_producer().expect("free");
        assert_eq!(two.inbox_producer().err(), Some(RegionError::RoleHeld));
        let mut consumer = two.inbox_consumer().expect("free");
        producer.try_push(1, b"hello").expect("room");
        assert!(consumer.peek().expect("a frame").is_some());
    }
    exchange::<Threads>();
    exchange::<Crash>();
    exchange::<Hostile>();
}

#[test]
fn raw_memory_that_does_not_fit_is_refused() {
    let layout = small();
    let mut memory = Raw::new(&layout);
    let (start, len) = (memory.start(), memory.len);
    let create = |start: NonNull<u8>, len| {
        // SAFETY:
        // - within `memory`, which outlives the call, and is not used otherwise meanwhile.
        unsafe { Region::<Crash>::create_raw(start, len, &layout) }.map(drop)
    };
    let attach = |layout: &Layout| {
        // SAFETY:
        // - as above.
        unsafe { Region::<Crash>::attach_raw(start, len, layout) }.map(drop)
    };
    assert_eq!(attach(&layout), Err(RegionError::NotReady));
    let needed = len as u64;
    assert_eq!(create(start, len - 1), Err(RegionError::TooShort { found: needed - 1, needed }));
    // SAFETY:
    // - one byte further is within the memory.
    let odd = unsafe { start.add(1) };
    assert_eq!(create(odd, len), Err(RegionError::Misaligned { align: 128 }));
    create(start, len).expect("a region");
    attach(&layout).expect("attached");
    let other = Layout::compact(1 << 9, 1 << 20, 1 << 16).expect("a legal layout");
    assert!(matches!(attach(&other), Err(RegionError::Mismatch { .. } | RegionError::TooShort { .. })));
    memory.set(layout.unassigned().offset + 9, 1);
    assert_eq!(attach(&layout), Err(RegionError::Unassigned { offset: layout.unassigned().offset + 8 }));
    memory.set(layout.unassigned().offset + 9, 0);
    for (at, word) in [(0, "magic"), (8, "format"), (16, "layout hash"), (24, "region bytes")] {
        let offset = layout.superblock().offset + at;
        // SAFETY:
        // - within the memory, which nobody uses meanwhile.
        let before = unsafe { memory.start().as_ptr().wrapping_add(offset as usize).read() };
        memory.set(offset, !before);
        let error = attach(&layout);
        assert!(matches!(error, Err(RegionError::Mismatch { word: named, .. }) if named == word), "{error:?}");
        memory.set(offset, before);
    }
    memory.set(layout.switchboard().offset + 0x0C, 2);
    assert_eq!(attach(&layout), Err(RegionError::Poisoned));
}

#[test]
fn raw_memory_has_sixteen_places() {
    let layout = small();
    let mut memory = Raw::new(&layout);
    let (one, two) = raw::<Hostile>(&mut memory, &layout).expect("a region");
    let (start, len) = (memory.start(), memory.len);
    let attach = || {
        // SAFETY:
        // - within `memory`, which outlives the regions.
        unsafe { Region::<Hostile>::attach_raw(start, len, &layout) }
    };
    let others: Vec<_> = (2..16).map(|_| attach().expect("a place")).collect();
    assert_eq!(attach().err(), Some(RegionError::Crowded { places: 16 }));
    let mut ids: Vec<_> = others.iter().chain([&one, &two]).map(|region| region.id().index()).collect();
    ids.sort_unstable();
    assert!(ids.into_iter().eq(0..16));
    drop(two);
    assert_eq!(attach().expect("a place").id().index(), 1);
}

#[cfg(target_os = "linux")]
mod files {
    use super::{Crash, Hostile, Layout, Region, RegionError, small};
    use crate::{again, attached, memory_file};
    use inos_sab::{JobId, Liveness, Slot};
    use std::path::Path;

    fn create_file(path: &Path, layout: &Layout) -> Result<Region<Crash>, RegionError> {
        // SAFETY:
        // - only the test below opens the file, and changes it when it has no region any more;
        // - no process of the tests forks without `exec`.
        unsafe { Region::<Crash>::create_file(path, layout) }
    }

    fn open_file(path: &Path, layout: &Layout) -> Result<Region<Crash>, RegionError> {
        // SAFETY:
        // - as above; what the file holds then are zeros;
        // - the file is of this run.
        unsafe { Region::<Crash>::open_file(path, layout) }
    }

    #[test]
    fn memory_files_are_shared() {
        let layout = small();
        let one = memory_file(&layout);
        let two = attached(one.backing_fd().expect("a file"), &layout).expect("attached");
        let mut producer = one.inbox_producer().expect("free");
        let mut consumer = two.inbox_consumer().expect("free");
        let mut block = one.arena().alloc(5000).expect("room");
        block.as_mut_slice().fill(7);
        producer.push_object(3, block).expect("room");
        let taken = consumer.drain(9, |frame| {
            let inos_sab::Frame::Object { object, .. } = frame else { panic!("an object was sent") };
            assert!(object.as_slice().iter().all(|byte| *byte == 7));
            inos_sab::Flow::Continue
        });
        assert_eq!(taken, Ok(1));
        assert_eq!((one.id().index(), two.id().index()), (0, 1));
    }

    #[test]
    fn standard_layout_maps() {
        let one = Region::<Hostile>::create_memfd(c"test", &Layout::STANDARD).expect("a region");
        let file = again(one.backing_fd().expect("a file"));
        let two = Region::<Hostile>::attach_fd(file, &Layout::STANDARD).expect("attached");
        let mut block = one.arena().alloc(1 << 20).expect("room");
        block.write_at(77, b"word by word").expect("in range");
        let handle = block.into_handle();
        let mut bytes = [0; 12];
        two.arena().resolve(handle).expect("there").read_at(77, &mut bytes).expect("in range");
        assert_eq!(&bytes, b"word by word");
    }

    #[test]
    fn files_that_do_not_fit_are_refused() {
        let layout = small();
        let folder = std::env::temp_dir().join(format!("inos-sab-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("a folder");
        let path = folder.join("region");
        let one = create_file(&path, &layout).expect("a region");
        assert!(matches!(create_file(&path, &layout).err(), Some(RegionError::System { call: "linkat", .. })));
        let two = open_file(&path, &layout).expect("attached");
        assert_eq!(two.peers().expect("peers").len(), 1);
        let open = || std::fs::File::options().read(true).write(true).open(&path).expect("a file").into();
        // A file can be cut short later: not for peers that may do so.
        assert_eq!(Region::<Hostile>::attach_fd(open(), &layout).err(), Some(RegionError::Unsealed));
        drop((one, two));
        // What was in the file outlives its participants.
        assert!(open_file(&path, &layout).is_ok());
        let needed = u64::from(layout.end());
        std::fs::File::from(open()).set_len(needed - 1).expect("cut");
        assert_eq!(open_file(&path, &layout).err(), Some(RegionError::TooShort { found: needed - 1, needed }));
        std::fs::write(&path, vec![0; layout.end() as usize]).expect("zeros");
        assert_eq!(open_file(&path, &layout).err(), Some(RegionError::NotReady));
        std::fs::remove_dir_all(&folder).expect("removed");
    }

    #[test]
    fn leaving_gives_the_place_back() {
        let layout = small();
        let one = memory_file(&layout);
        let attach = || attached(one.backing_fd().expect("a file"), &layout);
        let others: Vec<_> = (1..16).map(|_| attach().expect("a place")).collect();
        assert_eq!(attach().err(), Some(RegionError::Crowded { places: 16 }));
        assert_eq!(one.peers().expect("peers").len(), 15);
        drop(others);
        assert!(one.peers().expect("peers").is_empty());
        assert_eq!(attach().expect("a place").id().index(), 1);
    }

    /// Whoever joins in the place of a dead participant does not execute what that one did.
    #[test]
    fn a_dead_participants_request_is_not_its_successors() {
        use std::os::unix::fs::FileExt;
        let layout = small();
        let one = memory_file(&layout);
        let file = std::fs::File::from(again(one.backing_fd().expect("a file")));
        for id in 1..16 {
            // "Joined", and nobody holds the lock; executing request 7.
            let record = u64::from(layout.participants().offset) + 512 * id;
            file.write_all_at(&1_u32.to_le_bytes(), record).expect("written");
            file.write_all_at(&8_u64.to_le_bytes(), record + 0x100).expect("written");
        }
        let dead = one.peers().expect("peers")[0];
        assert_eq!((dead.liveness, dead.job), (Liveness::Dead, Some(JobId(7))));
        let two = attached(&file, &layout).expect("a dead participant's place");
        let peer = one.peers().expect("peers").into_iter().find(|peer| peer.id == two.id()).expect("there");
        assert_eq!((peer.liveness, peer.job), (Liveness::Alive, None));
    }

    /// A look at the peers is in nobody's way: a recovery at the same time finds the dead.
    #[test]
    fn looking_does_not_hide_the_dead() {
        use core::sync::atomic::{AtomicBool, Ordering};
        use std::os::unix::fs::FileExt;
        let layout = small();
        let one = memory_file(&layout);
        let file = std::fs::File::from(again(one.backing_fd().expect("a file")));
        let two = attached(&file, &layout).expect("attached");
        let over = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !over.load(Ordering::Relaxed) {
                    two.peers().expect("peers");
                }
            });
            let missed = (0..500).filter(|_| {
                // "Joined", and nobody holds the lock.
                let record = u64::from(layout.participants().offset) + 512 * 9;
                file.write_all_at(&1_u32.to_le_bytes(), record).expect("written");
                let found = one.recover().expect("looked").peers;
                !found.iter().any(|peer| (peer.id.index(), peer.liveness) == (9, Liveness::Dead))
            });
            let missed = missed.count();
            over.store(true, Ordering::Relaxed);
            assert_eq!(missed, 0);
        });
    }

    #[test]
    fn a_check_finds_what_does_not_fit() {
        use std::os::unix::fs::FileExt;
        let layout = small();
        let one = Region::<Hostile>::create_memfd(c"test", &layout).expect("a region");
        let file = std::fs::File::from(again(one.backing_fd().expect("a file")));
        let mut inbox = one.inbox_producer().expect("free");
        let mut reader = one.inbox_consumer().expect("free");
        let block = || one.arena().alloc(300).expect("room");
        inbox.push_object(1, block()).expect("room");
        inbox.try_push(2, b"inline").expect("room");
        drop(one.switchboard().publish(Slot::new(3).expect("a slot"), 9, block()).expect("ours"));
        let _held = block();
        let check = one.check();
        assert!(check.is_clean(), "{check:?}");
        assert_eq!((check.inbox_frames, check.outbox_frames, check.carriers), (Some(2), Some(0), 3));
        assert_eq!((check.arena.in_flight, check.arena.owned), (2, 1));

        // Tail and head, each at the same place behind the start of the cursors of its ring.
        let (tail, head) = (u64::from(layout.inbox_cursors().offset), u64::from(layout.inbox_cursors().offset) + 0x80);
        let mut was = [0; 8];
        file.read_exact_at(&mut was, tail).expect("read");
        // Both frames are skipped, and the slot is emptied by nobody: one block is carried by nothing.
        file.write_all_at(&was, head).expect("written");
        let check = one.check();
        assert!(!check.is_clean() && check.arena.is_clean(), "{check:?}");
        assert_eq!((check.inbox_frames, check.carriers), (Some(0), 1));
        // A head in front of the tail.
        file.write_all_at(&[0; 8], tail).expect("written");
        let check = one.check();
        assert_eq!((check.inbox_frames, check.outbox_frames, check.is_clean()), (None, Some(0), false));
        // As it was.
        file.write_all_at(&was, tail).expect("written");
        file.write_all_at(&[0; 8], head).expect("written");
        assert_eq!(reader.drain(9, |_| inos_sab::Flow::Continue), Ok(2));
        assert!(one.check().is_clean());
    }

    #[test]
    fn a_peer_that_does_not_move_is_stalled_and_keeps_everything() {
        let layout = small();
        let one = memory_file(&layout);
        let two = attached(one.backing_fd().expect("a file"), &layout).expect("attached");
        let _producer = two.inbox_producer().expect("free");
        let liveness = || one.recover().expect("looked").peers[0].liveness;
        two.beat();
        assert_eq!(liveness(), Liveness::Alive);
        assert_eq!(liveness(), Liveness::Stalled);
        assert_eq!(one.inbox_producer().err(), Some(RegionError::RoleHeld));
        two.beat();
        assert_eq!(liveness(), Liveness::Alive);
    }
}
