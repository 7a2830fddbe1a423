//! Goal: whatever a hostile peer writes, and whenever, no call of ours panics, touches a byte outside of the region or
//! takes more than a bounded number of accesses.
//! Method: the region lies between two canaries in a larger block. An attacker writes random, plausible and extreme
//! words over every section, between calls (proptest, shrinking) and during them (another thread), while all parts of
//! the interface are used at random. With the feature `fail-points` each call's accesses to the region are counted; the
//! bound is a multiple of the words that the layout has. `INOS_SAB_SEEDS=10000` makes the sieges longer.

#[cfg(not(target_arch = "wasm32"))]
use crate::numbers;
use alloc::alloc::{alloc_zeroed, dealloc};
use alloc::sync::Arc;
use core::alloc::Layout as Request;
use core::ptr::NonNull;
#[cfg(not(target_arch = "wasm32"))]
use core::sync::atomic::AtomicBool;
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use core::time::Duration;
use inos_sab::{
    Arena, ArenaBox, ArenaRef, Consumer, Event, Flow, FlowControl, Frame, Handle, Hostile, Input, JobClient, JobOutput,
    JobRunner, Layout, Listener, Producer, Region, Slot, Switchboard,
};
use proptest::prelude::*;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

/// Bytes in front of the region and behind it.
const CANARY_BYTES: usize = 1 << 16;
const CANARY: u8 = 0xA5;

fn layout() -> Layout {
    Layout::compact(1 << 10, 1 << 16, 1 << 12).expect("a legal layout")
}

/// Memory with canaries on both sides.
struct Yard {
    block: NonNull<u8>,
    region_bytes: usize,
}

impl Yard {
    fn new(layout: &Layout) -> Self {
        let region_bytes = (layout.end() - layout.switchboard().offset) as usize;
        let request = Self::request(region_bytes);
        // SAFETY:
        // - the size is not zero.
        let block = NonNull::new(unsafe { alloc_zeroed(request) }).expect("memory");
        let yard = Self { block, region_bytes };
        for (start, len) in yard.canaries() {
            // SAFETY:
            // - in the block, and nothing else is there yet.
            unsafe { core::ptr::write_bytes(yard.at(start), CANARY, len) };
        }
        yard
    }

    fn request(region_bytes: usize) -> Request {
        Request::from_size_align(region_bytes + 2 * CANARY_BYTES, 4096).expect("a legal size")
    }

    fn canaries(&self) -> [(usize, usize); 2] {
        [(0, CANARY_BYTES), (CANARY_BYTES + self.region_bytes, CANARY_BYTES)]
    }

    fn at(&self, index: usize) -> *mut u8 {
        assert!(index <= self.region_bytes + 2 * CANARY_BYTES);
        // SAFETY:
        // - within the block.
        unsafe { self.block.as_ptr().add(index) }
    }

    fn start(&self) -> NonNull<u8> {
        NonNull::new(self.at(CANARY_BYTES)).expect("not null")
    }

    fn check(&self) {
        for (start, len) in self.canaries() {
            // SAFETY:
            // - in the block, initialised, and written by nobody but a defect of what is tested.
            let bytes = unsafe { core::slice::from_raw_parts(self.at(start), len) };
            assert!(bytes.iter().all(|&byte| byte == CANARY), "a byte outside of the region was written");
        }
    }

    /// The address of a word of `bytes` bytes.
    fn word(&self, word: usize, bytes: usize) -> *mut u8 {
        self.at(CANARY_BYTES + word % (self.region_bytes / bytes) * bytes)
    }
}

/// Where an attacker writes: words of the region, counted from the switchboard.
trait Target {
    fn load(&self, word: usize) -> u64;
    fn store(&self, word: usize, value: u64);
    fn store_half(&self, half: usize, value: u32);
}

impl Target for Yard {
    fn load(&self, word: usize) -> u64 {
        // SAFETY:
        // - within the region, aligned, and reached as atomics only. That some are of another width on the other side
        //   is what a peer in another language would do, too.
        unsafe { AtomicU64::from_ptr(self.word(word, 8).cast()) }.load(Ordering::Relaxed)
    }

    fn store(&self, word: usize, value: u64) {
        // SAFETY:
        // - as in `load`.
        unsafe { AtomicU64::from_ptr(self.word(word, 8).cast()) }.store(value, Ordering::Relaxed);
    }

    fn store_half(&self, half: usize, value: u32) {
        // SAFETY:
        // - as in `load`.
        unsafe { AtomicU32::from_ptr(self.word(half, 4).cast()) }.store(value, Ordering::Relaxed);
    }
}

/// A memory file, written by the kernel.
#[cfg(target_os = "linux")]
impl Target for std::fs::File {
    fn load(&self, word: usize) -> u64 {
        let mut bytes = [0; 8];
        let offset = u64::from(layout().switchboard().offset) + word as u64 * 8;
        let _ = std::os::unix::fs::FileExt::read_at(self, &mut bytes, offset);
        u64::from_le_bytes(bytes)
    }

    fn store(&self, word: usize, value: u64) {
        let offset = u64::from(layout().switchboard().offset) + word as u64 * 8;
        let _ = std::os::unix::fs::FileExt::write_at(self, &value.to_le_bytes(), offset);
    }

    fn store_half(&self, half: usize, value: u32) {
        let offset = u64::from(layout().switchboard().offset) + half as u64 * 4;
        let _ = std::os::unix::fs::FileExt::write_at(self, &value.to_le_bytes(), offset);
    }
}

// SAFETY:
// - the memory is reached through atomics, or by the one thread that checks it.
unsafe impl Send for Yard {}
// SAFETY:
// - as above.
unsafe impl Sync for Yard {}

impl Drop for Yard {
    fn drop(&mut self) {
        // SAFETY:
        // - from `alloc_zeroed` of the same request, freed once. Everything made from the region is gone: `Victim` drops
        //   in front of its yard.
        unsafe { dealloc(self.block.as_ptr(), Self::request(self.region_bytes)) };
    }
}

/// One write of the attacker, as numbers that shrink.
#[derive(Clone, Copy, Debug)]
struct Attack {
    /// Which section, which word of it.
    section: u8,
    index: u32,
    value: u64,
    how: u8,
}

impl Attack {
    #[cfg(not(target_arch = "wasm32"))]
    fn random(next: &mut impl FnMut() -> u64) -> Self {
        let numbers = next().to_le_bytes();
        let [section, how, a, b, c, d, ..] = numbers;
        Self { section, index: u32::from_le_bytes([a, b, c, d]), value: next(), how }
    }

    fn strike(self, target: &impl Target) {
        let layout = layout();
        // The first section is not in the memory.
        let sections = &layout.sections()[1..];
        let section = sections[usize::from(self.section) % sections.len()];
        let start = (section.offset - layout.switchboard().offset) as usize / 8;
        let words = (section.len as usize / 8).max(1);
        let word = start + self.index as usize % words;
        let half = word * 2 + usize::from(self.how >> 7);
        let small = self.value % 1024;
        let low = |value: u64| u32::try_from(value & u64::from(u32::MAX)).expect("32 bits");
        let far = low(self.value) as usize;
        let old = target.load(word);
        match self.how % 16 {
            0 | 1 => target.store(word, self.value),
            2 => target.store(word, small),
            3 => target.store(word, u64::MAX - small),
            4 => target.store(word, 0),
            5 => target.store(word, old ^ 1 << (self.value % 64)),
            6 => target.store(word, old.wrapping_add(small)),
            7 => target.store(word, old.wrapping_sub(small)),
            // What stands elsewhere is plausible here: a cell's state, a handle, a cursor.
            8 | 9 => target.store(word, target.load(start + far % words)),
            10 => target.store(word, target.load(far % (layout.end() - layout.switchboard().offset) as usize / 8)),
            11 => target.store(word, old & !0xF | self.value & 0xF),
            12 => target.store_half(half, low(self.value)),
            13 => target.store_half(half, low(small)),
            14 => target.store_half(half, u32::MAX - low(small)),
            _ => target.store_half(half, low(self.value >> 32) & 3),
        }
    }
}

/// Every part of the interface in use.
struct Victim {
    region: Region<Hostile>,
    producers: [Option<Producer<Hostile>>; 2],
    consumers: [Option<Consumer<Hostile>>; 2],
    client: Option<JobClient<Hostile>>,
    runner: Option<JobRunner<Hostile>>,
    arena: Arena<Hostile>,
    blocks: Vec<ArenaBox<Hostile>>,
    pins: Vec<ArenaRef<Hostile>>,
    handles: Vec<Handle>,
    board: Switchboard<Hostile>,
    listeners: Vec<Listener>,
    flows: [FlowControl; 2],
    most_steps: u64,
    /// Keeps the memory; dropped after everything above.
    _memory: Option<Arc<Yard>>,
}

fn job(mut input: Input<'_, Hostile>, out: &mut JobOutput<'_, Hostile>) -> Result<(), inos_sab::JobError> {
    let first = input.copied().first().copied().unwrap_or(0);
    if let Some(handle) = Handle::from_bits(u64::from(first) << 44 | 1) {
        let _ = input.arena().resolve(handle).map(|pin| pin.len());
    }
    input.read_at(0, &mut vec![0; input.len() as usize])?;
    out.set_len(u32::from(first) * 8)?;
    out.append(&[first; 100])?;
    out.write_at(0, &[1])?;
    Ok(())
}

impl Victim {
    fn in_yard(yard: &Arc<Yard>) -> Self {
        // SAFETY:
        // - `start` is the region's part of the yard, which outlives the region: the victim holds both, the yard last;
        // - it is reached through this region, and by an attacker.
        let region = unsafe { Region::create_raw(yard.start(), yard.region_bytes, &layout()) };
        Self::new(region.expect("zeroed memory"), Some(Arc::clone(yard)))
    }

    fn new(region: Region<Hostile>, memory: Option<Arc<Yard>>) -> Self {
        let arena = region.arena();
        let board = region.switchboard();
        let mut listeners: Vec<_> = Event::ALL.iter().map(|event| board.listen(*event)).collect();
        listeners.extend((0..15).filter_map(Slot::new).map(|slot| board.listen_slot(slot)));
        let flows = [region.inbox_flow(), region.outbox_flow()];
        let mut victim = Self {
            producers: [None, None],
            consumers: [None, None],
            client: None,
            runner: None,
            arena,
            blocks: vec![],
            pins: vec![],
            handles: vec![],
            board,
            listeners,
            flows,
            most_steps: 0,
            _memory: memory,
            region,
        };
        victim.take_roles(false);
        victim
    }

    /// Lets all ring ends go and takes them again, for jobs or as they are.
    fn take_roles(&mut self, jobs: bool) {
        self.producers = [None, None];
        self.consumers = [None, None];
        self.client = None;
        self.runner = None;
        let region = &self.region;
        let ends =
            (region.inbox_producer(), region.inbox_consumer(), region.outbox_producer(), region.outbox_consumer());
        let (inbox_producer, inbox_consumer, outbox_producer, outbox_consumer) =
            (ends.0.ok(), ends.1.ok(), ends.2.ok(), ends.3.ok());
        if jobs {
            if let (Some(producer), Some(consumer)) = (inbox_producer, outbox_consumer) {
                self.client = JobClient::new(producer, consumer).ok();
            }
            if let (Some(consumer), Some(producer)) = (inbox_consumer, outbox_producer) {
                self.runner = JobRunner::new(consumer, producer).ok().map(|runner| runner.with(1, job));
            }
        } else {
            self.producers = [inbox_producer, outbox_producer];
            self.consumers = [inbox_consumer, outbox_consumer];
        }
    }

    /// One call of ours, chosen by numbers.
    fn act(&mut self, action: u8, number: u64) {
        let before = steps();
        self.call(action, number);
        let taken = steps() - before;
        self.most_steps = self.most_steps.max(taken);
        assert!(taken <= max_steps(), "action {action} took {taken} accesses");
        // Keep to ourselves a bounded number of things.
        self.blocks.truncate(20);
        self.pins.truncate(20);
        if self.handles.len() > 40 {
            self.handles.drain(..20);
        }
    }

    fn call(&mut self, action: u8, number: u64) {
        let [a, b, c, d, ..] = number.to_le_bytes();
        let side = usize::from(a & 1);
        let len = u32::from(u16::from_le_bytes([b, c])) % 5000;
        let bytes = vec![d; len as usize % 200];
        let kind = u16::from(d % 3);
        let slot = Slot::new(d % 15).expect("below 15");
        let handle = match self.handles.get(usize::from(b) % self.handles.len().max(1)) {
            Some(handle) if a & 2 == 0 => *handle,
            _ => Handle::from_bits(number | 1).expect("not zero"),
        };
        match action % 24 {
            0 => {
                let _ = self.producers[side].as_mut().map(|producer| producer.try_push(kind, &bytes));
            }
            1 => {
                if let (Some(producer), Some(block)) = (&mut self.producers[side], self.blocks.pop())
                    && let Err(rejected) = producer.push_object(kind, block)
                {
                    self.blocks.push(rejected.value);
                }
            }
            2 => {
                if let Some(Ok(mut claim)) =
                    self.producers[side].as_mut().map(|producer| producer.claim(kind, len % 150))
                {
                    let _ = claim.write_at(u32::from(d), &bytes);
                    if a & 2 == 0 {
                        claim.abort();
                    } else {
                        claim.commit();
                    }
                }
            }
            3 => {
                if let Some(producer) = &mut self.producers[side] {
                    let mut batch = producer.batch();
                    for _ in 0..d % 8 {
                        let _ = batch.push(kind, &bytes);
                    }
                    if let Some(block) = self.blocks.pop() {
                        let _ = batch.push_object(kind, block);
                    }
                    batch.publish();
                }
            }
            4..=6 => self.drain(side, usize::from(d % 16)),
            7 => {
                let _ = self.consumers[side].as_mut().map(|consumer| consumer.peek());
            }
            8..=10 => {
                if let Ok(mut block) = self.arena.alloc(if a & 6 == 6 { len * 8 } else { len }) {
                    let _ = block.write_at(u32::from(d), &bytes);
                    let _ = block.read_at(u32::from(c), &mut vec![0; usize::from(d)]);
                    self.handles.push(block.handle());
                    self.blocks.push(block);
                }
            }
            11 | 12 => drop(self.blocks.pop()),
            13 => {
                if let Some(block) = self.blocks.pop() {
                    self.handles.push(block.into_handle());
                }
            }
            14 => {
                if let Ok(pin) = self.arena.resolve(handle) {
                    let _ = pin.read_at(0, &mut vec![0; pin.len() as usize]);
                    let _ = pin.read_at(pin.len() / 2, &mut [0; 3]);
                    self.pins.push(pin);
                }
            }
            15 => self.blocks.extend(self.arena.claim_handle(handle)),
            16 => drop(self.pins.pop()),
            17 => {
                if let Some(block) = self.blocks.pop() {
                    match self.board.publish(slot, kind, block) {
                        Ok(old) => self.blocks.extend(old),
                        Err(rejected) => self.blocks.push(rejected.value),
                    }
                }
            }
            18 => {
                if let Some((_, block)) = self.board.take(slot) {
                    let _ = block.read_at(0, &mut vec![0; block.len() as usize]);
                    self.blocks.push(block);
                }
            }
            19 => {
                self.board.raise(Event::ALL[usize::from(d % 3)]);
                for listener in &mut self.listeners {
                    listener.poll();
                }
            }
            20 => {
                let timeout = Some(Duration::from_micros(u64::from(d % 4) * 20));
                if let Some(producer) = &mut self.producers[side] {
                    let _ = producer.pressure();
                    let _ = producer.wait_room(len % 150, timeout);
                    let _ = producer.wait_low(timeout);
                }
                let _ = self.consumers[side].as_mut().map(|consumer| consumer.wait(timeout));
                let _ = self.listeners[usize::from(c) % 18].wait(timeout);
            }
            21 => {
                let flow = &self.flows[side];
                assert!(flow.bytes() <= u64::from(self.region.layout().ring_bytes()));
                let _ = (flow.count(), flow.pressure(), flow.watermarks());
                assert!(self.arena.largest_free() <= self.arena.max_block_len());
                let _ = (self.arena.free_chunks(), self.region.state());
                self.region.beat();
                let _ = (self.region.peers(), self.region.recover());
            }
            22 => self.take_roles(a & 2 != 0),
            _ => self.work(kind, &bytes, len),
        }
    }

    fn drain(&mut self, side: usize, max: usize) {
        let Some(consumer) = &mut self.consumers[side] else { return };
        let blocks = &mut self.blocks;
        let _ = consumer.drain(max, |frame| {
            match frame {
                Frame::Inline { payload, .. } => {
                    let _ = payload.copy_to(0, &mut vec![0; payload.len() as usize]);
                }
                Frame::Gone { .. } => {}
                Frame::Object { object, .. } => {
                    let _ = object.read_at(0, &mut vec![0; object.len() as usize]);
                    blocks.push(object);
                }
            }
            Flow::Continue
        });
    }

    fn work(&mut self, kind: u16, bytes: &[u8], len: u32) {
        if let Some(client) = &mut self.client {
            let _ = client.submit(kind, bytes);
            if let Ok(mut request) = client.request(len) {
                let _ = request.write_at(0, bytes);
                let _ = client.send(kind, request);
            }
        }
        if let Some(runner) = &mut self.runner {
            let _ = runner.run_once(4);
        }
        if let Some(client) = &mut self.client
            && let Ok(Some(completion)) = client.next_completion()
            && let Ok(answer) = completion.outcome
        {
            let _ = answer.read_at(0, &mut vec![0; answer.len() as usize]);
            let _ = answer.unpack(&mut vec![], 1 << 16);
        }
    }
}

#[cfg(feature = "fail-points")]
fn steps() -> u64 {
    inos_sab::fail_points::steps()
}

#[cfg(not(feature = "fail-points"))]
fn steps() -> u64 {
    0
}

/// The longest actions read the largest block twice, search all of the arena's metadata a few times, or both. What is
/// seen is a tenth of it.
fn max_steps() -> u64 {
    let layout = layout();
    let words = u64::from(layout.end() - layout.switchboard().offset) / 8;
    4 * words
}

fn attacks() -> impl Strategy<Value = Attack> {
    (any::<u8>(), any::<u32>(), any::<u64>(), any::<u8>()).prop_map(|(section, index, value, how)| Attack {
        section,
        index,
        value,
        how,
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 300, ..ProptestConfig::default() })]

    /// Between calls.
    #[test]
    fn between_calls(script in prop::collection::vec((any::<u8>(), any::<u64>(), prop::option::weighted(0.5, attacks())), 1..150)) {
        let yard = Arc::new(Yard::new(&layout()));
        let mut victim = Victim::in_yard(&yard);
        for (action, number, attack) in script {
            if let Some(attack) = attack {
                attack.strike(&*yard);
            }
            victim.act(action, number);
        }
        drop(victim);
        yard.check();
    }

    /// A region of which any words are random, attached to, and used if that succeeds.
    #[test]
    fn attaching_to_anything(script in prop::collection::vec(attacks(), 0..20), number in any::<u32>()) {
        let yard = Arc::new(Yard::new(&layout()));
        let victim = Victim::in_yard(&yard);
        for attack in script {
            attack.strike(&*yard);
        }
        // SAFETY:
        // - as for the victim's; this region is dropped in front of the yard.
        let region: Result<Region<Hostile>, _> = unsafe { Region::attach_raw(yard.start(), yard.region_bytes, &layout()) };
        if let Ok(region) = region {
            let _ = region.outbox_producer().map(|mut producer| producer.try_push(1, b"hello"));
            let _ = region.arena().alloc(number % 70_000).map(|mut block| block.write_at(0, b"hello"));
        }
        drop(victim);
        yard.check();
    }
}

/// During calls: an attacker on another thread, for as long as the victim takes for its calls. Returns the most accesses
/// of a call.
#[cfg(not(target_arch = "wasm32"))]
fn siege(seed: u64, mut victim: Victim, target: Arc<impl Target + Send + Sync + 'static>) -> u64 {
    let over = Arc::new(AtomicBool::new(false));
    let attacker = std::thread::spawn({
        let over = Arc::clone(&over);
        move || {
            let mut next = numbers(!seed);
            // Sometimes a storm, sometimes a word now and then: what is broken everywhere is soon refused everywhere.
            let pause = [0, 10, 1000, 20_000][usize::try_from(seed % 4).expect("small")];
            while !over.load(Ordering::Relaxed) {
                Attack::random(&mut next).strike(&*target);
                for _ in 0..pause {
                    core::hint::spin_loop();
                }
            }
        }
    });
    let mut next = numbers(seed);
    let outcome = std::panic::catch_unwind(core::panic::AssertUnwindSafe(move || {
        for _ in 0..400 {
            victim.act(next().to_le_bytes()[0], next());
        }
        victim.most_steps
    }));
    over.store(true, Ordering::Relaxed);
    attacker.join().expect("the attacker does not panic");
    match outcome {
        Ok(steps) => steps,
        Err(panic) => {
            eprintln!("seed {seed}");
            std::panic::resume_unwind(panic)
        }
    }
}

#[cfg(not(target_arch = "wasm32"))]
fn seeds() -> core::ops::Range<u64> {
    0..std::env::var("INOS_SAB_SEEDS").ok().and_then(|count| count.parse().ok()).unwrap_or(200)
}

#[cfg(not(target_arch = "wasm32"))]
#[test]
fn during_calls() {
    let mut most_steps = 0;
    for seed in seeds() {
        let yard = Arc::new(Yard::new(&layout()));
        most_steps = most_steps.max(siege(seed, Victim::in_yard(&yard), Arc::clone(&yard)));
        yard.check();
    }
    println!("most accesses of a call: {most_steps}, allowed: {}", max_steps());
}

/// With participants: a lie about who is there makes us recover nobody's things, and ends.
#[cfg(target_os = "linux")]
#[test]
fn during_calls_on_a_memory_file() {
    let mut most_steps = 0;
    for seed in seeds() {
        let region = Region::<Hostile>::create_memfd(c"hostile", &layout()).unwrap();
        let file = region.backing_fd().unwrap().try_clone_to_owned().unwrap();
        let target = Arc::new(std::fs::File::from(file));
        most_steps = most_steps.max(siege(seed, Victim::new(region, None), target));
    }
    println!("most accesses of a call: {most_steps}, allowed: {}", max_steps());
}
