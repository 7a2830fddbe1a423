//! Children that work in a region, and what must hold after one has died.

use super::CHILD;
use super::jobs::{self, Job};
use core::time::Duration;
use inos_sab::{Consumer, Crash, Flow, Frame, Layout, Liveness, Producer, Region, RegionError, Slot};
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, ExitStatus, Stdio};

/// Messages exchanged after each death.
pub(crate) const FURTHER: u32 = 10_000;

/// Rings of 1 KiB, so that they wrap often; 8 KiB chunks, so that blocks of some kilobytes are runs.
pub(crate) fn layout() -> Layout {
    Layout::compact(1 << 10, 1 << 17, 1 << 13).expect("a legal layout")
}

/// A process of its own. Ends with this value at the latest.
pub(crate) struct Child(std::process::Child);

impl Child {
    /// Starts this program again as the test `child`, with the region's file as `fd`, to do `job`, and to die in front
    /// of access `step` of it.
    pub(crate) fn start(fd: &OwnedFd, job: Job, step: Option<u64>) -> Self {
        let mut command = Command::new(std::env::current_exe().expect("a program"));
        command.args([CHILD, "--exact", "--nocapture", "--test-threads=1"]);
        command.env("INOS_SAB_FD", fd.as_raw_fd().to_string()).env("INOS_SAB_JOB", job.name());
        if let Some(step) = step {
            command.env("INOS_SAB_STEP", step.to_string());
        }
        Self(command.stdin(Stdio::null()).stdout(Stdio::null()).spawn().expect("a process"))
    }

    /// Kills it, whatever it is doing, and waits for its end.
    pub(crate) fn kill(mut self) -> ExitStatus {
        self.0.kill().expect("ours to kill");
        self.0.wait().expect("ours to wait for")
    }

    /// Waits for its end. Whether it was killed, or came to the end of its job.
    pub(crate) fn was_killed(mut self) -> bool {
        let status = self.0.wait().expect("ours to wait for");
        assert!(status.success() || status.signal() == Some(libc::SIGKILL), "{status}");
        !status.success()
    }

    pub(crate) fn id(&self) -> u32 {
        self.0.id()
    }

    #[allow(dead_code, reason = "only tests/it stops processes")]
    fn signal(&self, signal: i32) {
        let id = i32::try_from(self.0.id()).expect("a process number");
        // SAFETY:
        // - no memory is passed; the process is our child and has not been waited for, so the number is still its.
        assert_eq!(unsafe { libc::kill(id, signal) }, 0);
    }

    /// Stops it, and returns when it has stopped.
    #[allow(dead_code, reason = "only tests/it stops processes")]
    pub(crate) fn stop(&self) {
        self.signal(libc::SIGSTOP);
        let state = || std::fs::read_to_string(format!("/proc/{}/stat", self.0.id())).expect("a process");
        while !state().contains(") T ") {
            std::thread::sleep(Duration::from_micros(100));
        }
    }

    #[allow(dead_code, reason = "only tests/it stops processes")]
    pub(crate) fn resume(&self) {
        self.signal(libc::SIGCONT);
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        // Fails if it has ended.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The child's side: attaches and works. `arm` prepares the death.
pub(crate) fn child(arm: impl Fn(Option<u64>)) {
    let Ok(job) = std::env::var("INOS_SAB_JOB") else { return };
    let number = |name| std::env::var(name).ok().and_then(|value| value.parse::<u64>().ok());
    let fd = number("INOS_SAB_FD").and_then(|fd| i32::try_from(fd).ok()).expect("a descriptor");
    // SAFETY:
    // - the parent left this descriptor open for us, and nothing else here knows of it.
    let fd = unsafe { OwnedFd::from_raw_fd(fd) };
    let step = number("INOS_SAB_STEP");
    Job::named(&job).expect("a job").work(fd, &|| arm(step));
}

/// Attaches to the region behind a descriptor.
pub(crate) fn attach(file: impl AsFd, layout: &Layout) -> Result<Region<Crash>, RegionError> {
    let file = file.as_fd().try_clone_to_owned().expect("a descriptor");
    // SAFETY:
    // - the file was empty when this program made it, and it and its children have changed it through regions only;
    // - nobody cuts it short, and children are started by `exec`.
    unsafe { Region::<Crash>::attach_fd(file, layout) }
}

/// A region that outlives its workers.
pub(crate) struct Crew {
    pub(crate) region: Region<Crash>,
    /// Its file; children inherit this descriptor.
    pub(crate) fd: OwnedFd,
    /// The other direction's reader; ours, and alive.
    pub(crate) outbox: Consumer<Crash>,
    pub(crate) writers_killed: u32,
    pub(crate) readers_killed: u32,
    messages: u64,
}

impl Crew {
    pub(crate) fn new(layout: &Layout) -> Self {
        // SAFETY:
        // - this program and its children change the file through regions only;
        // - children are started by `exec`.
        let region = unsafe { Region::<Crash>::create_memfd(c"crew", layout) }.expect("a region");
        // A copy made by `dup` is inherited; the region's own is not.
        let fd = rustix::io::dup(region.backing_fd().expect("a file")).expect("a descriptor");
        let outbox = region.outbox_consumer().expect("free");
        Self { region, fd, outbox, writers_killed: 0, readers_killed: 0, messages: 0 }
    }

    /// In which the parent publishes.
    pub(crate) fn slot() -> Slot {
        Slot::new(3).expect("a slot")
    }

    /// In which children publish.
    pub(crate) fn child_slot() -> Slot {
        Slot::new(5).expect("a slot")
    }

    /// What a writer finds: nothing. The reader is ours and lives.
    pub(crate) fn before_writer(&self) -> Consumer<Crash> {
        self.region.inbox_consumer().expect("free")
    }

    /// What a reader finds: frames 1 to 6 in the inbox, of which two are objects; a block in a slot; and as first frame
    /// the handle of a block that anybody may pin or claim. The writer is ours and lives.
    pub(crate) fn before_reader(&self) -> (Producer<Crash>, inos_sab::Handle) {
        let mut producer = self.region.inbox_producer().expect("free");
        // A ring that its reader has left takes no frames.
        let consumer = self.region.inbox_consumer().expect("free");
        let arena = self.region.arena();
        let handle = jobs::block(&arena, 77, 300).into_handle();
        producer.try_push(1, &handle.to_bits().to_le_bytes()).expect("room");
        for kind in 2..=6 {
            match kind {
                3 => drop(producer.push_object(kind, jobs::block(&arena, kind, 700)).expect("room")),
                5 => drop(producer.push_object(kind, jobs::block(&arena, kind, 20_000)).expect("room")),
                _ => drop(producer.try_push(kind, &jobs::body(kind, 40)).expect("room")),
            }
        }
        drop(self.region.switchboard().publish(Self::slot(), 9, jobs::block(&arena, 9, 500)).expect("ours"));
        drop(consumer);
        (producer, handle)
    }

    /// A worker has died: finds that out, and takes back what it had.
    pub(crate) fn recover(&self, dead: u32) {
        let recovery = self.region.recover().expect("a file proves deaths");
        let found: Vec<_> = recovery.peers.iter().filter(|peer| peer.pid == dead).collect();
        assert!(found.iter().all(|peer| peer.liveness == Liveness::Dead), "{found:?}");
        // It may have died in front of joining.
        assert!(found.len() <= 1, "{found:?}");
        let again = self.region.recover().expect("a file proves deaths");
        assert!(again.peers.iter().all(|peer| peer.pid != dead) && again.blocks_freed == 0, "{again:?}");
    }

    /// Takes what a dead writer left. Frames are whole and in order from the first; so are those of the outbox, and
    /// blocks in slots.
    pub(crate) fn after_writer(&mut self, consumer: &mut Consumer<Crash>, killed: bool) -> u16 {
        let arena = self.region.arena();
        let mut count = 0;
        drain_all(consumer, |frame| {
            count += 1;
            assert_eq!(frame.kind(), count);
            match jobs::said(&frame) {
                // The writer claimed and freed it, or died with it, or nobody has it.
                Some(handle) => drop(arena.claim_handle(handle)),
                None => check(&frame),
            }
        });
        self.writers_killed += u32::from(killed);
        self.after_both();
        count
    }

    /// Takes what a dead reader left: frames in order to the last, objects whole unless it had taken them.
    pub(crate) fn after_reader(&mut self, handle: inos_sab::Handle, killed: bool) {
        let region = self.region.clone();
        let mut consumer = region.inbox_consumer().expect("the dead hold no roles");
        let mut last = None;
        drain_all(&mut consumer, |frame| {
            assert!(last.is_none_or(|last| last + 1 == frame.kind()));
            last = Some(frame.kind());
            if frame.kind() != 1 {
                check(&frame);
            }
        });
        assert!(last.is_none_or(|last| last == 6), "{last:?}");
        // The child claimed and freed it, or died with it, or nobody has it.
        drop(region.arena().claim_handle(handle));
        self.readers_killed += u32::from(killed);
        drop(consumer);
        self.after_both();
    }

    fn after_both(&mut self) {
        drain_all(&mut self.outbox, |frame| check(&frame));
        for slot in (0..15).filter_map(Slot::new) {
            if let Some((kind, block)) = self.region.switchboard().take(slot) {
                jobs::check_block(kind, &block);
            }
        }
        self.is_whole();
    }

    /// Nothing is in the arena, all of it is in one piece, and every granule can be given once.
    pub(crate) fn is_whole(&self) {
        let arena = self.region.arena();
        let stats = arena.stats();
        assert_eq!((stats.blocks, stats.changing_chunks), (0, 0), "{stats:?}");
        let check = arena.check();
        assert!(check.is_clean(), "{check:?}");
        let max = arena.max_block_len();
        assert_eq!(arena.largest_free(), max);
        drop(arena.alloc(max).expect("all of it"));
        let smallest: Vec<_> = core::iter::from_fn(|| arena.alloc(1).ok()).collect();
        assert_eq!(smallest.len(), (max / inos_sab::GRANULE_BYTES) as usize);
        drop(smallest);
        drop(arena.alloc(max).expect("all of it"));
    }

    /// Sends messages through the inbox to ourselves, `through` being the end that we hold.
    pub(crate) fn exchange(&mut self, count: u32, through: Option<&mut Consumer<Crash>>) {
        let region = self.region.clone();
        let mut producer = region.inbox_producer().expect("the dead hold no roles");
        let mut own = None;
        let consumer = match through {
            Some(consumer) => consumer,
            None => own.insert(region.inbox_consumer().expect("the dead hold no roles")),
        };
        let arena = region.arena();
        let (mut sent, mut got) = (0, 0);
        while got < count {
            for _ in 0..8.min(count - sent) {
                sent += 1;
                let kind = u16::try_from(sent % 60_000).expect("small");
                if sent % 64 == 0 {
                    producer.push_object(kind, jobs::block(&arena, kind, 900)).expect("room");
                } else {
                    producer.try_push(kind, &jobs::body(kind, 24)).expect("room");
                }
            }
            drain_all(consumer, |frame| {
                got += 1;
                assert_eq!(u32::from(frame.kind()), got % 60_000);
                check(&frame);
            });
        }
        assert_eq!(region.inbox_flow().count(), 0);
        self.messages += u64::from(count);
    }

    #[expect(clippy::print_stdout, reason = "how many were killed depends on how many steps there are")]
    pub(crate) fn report(&self, what: &str) {
        let Self { writers_killed, readers_killed, messages, .. } = self;
        println!(
            "{what}: {writers_killed} writers and {readers_killed} readers killed; {messages} messages afterwards"
        );
    }
}

/// Takes everything there is.
pub(crate) fn drain_all(consumer: &mut Consumer<Crash>, mut take: impl FnMut(Frame<'_, Crash>)) {
    loop {
        let taken = consumer.drain(usize::MAX, |frame| {
            take(frame);
            Flow::Continue
        });
        if taken.expect("an intact ring") == 0 {
            return;
        }
    }
}

/// A frame is as it was written.
pub(crate) fn check(frame: &Frame<'_, Crash>) {
    match frame {
        Frame::Inline { kind, payload } => jobs::check_body(*kind, payload.bytes()),
        Frame::Object { kind, object } => jobs::check_block(*kind, object),
        _ => {}
    }
}
