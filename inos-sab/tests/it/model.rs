//! Goal: whatever two parties do with rings, slots, blocks, pins and jobs, each message and block is where a simple model
//! says, holds what was written, and afterwards all of it is free as one piece.
//! Method: random scripts (proptest) against queues and lists, among threads, and between two attachments of a memory
//! file. Every block and message is filled with a tag of its own, checked wherever it is seen.

use alloc::collections::VecDeque;
use inos_sab::{
    AllocError, Arena, ArenaBox, ArenaRef, Consumer, Cooperative, Flow, Frame, Handle, Input, JobClient, JobError,
    JobId, JobOutput, JobRunner, Kind, Layout, Producer, PushError, Region, Slot, Stale, Switchboard, Threads,
};
use proptest::prelude::*;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

/// Rings of 1 KiB, sixteen chunks of 4 KiB less metadata.
fn layout() -> Layout {
    Layout::compact(1 << 10, 1 << 16, 1 << 12).expect("a legal layout")
}

/// What a message or block holds: `len` bytes of `tag`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Content {
    tag: u8,
    len: u32,
}

impl Content {
    fn bytes(self) -> Vec<u8> {
        vec![self.tag; self.len as usize]
    }

    fn check(self, bytes: &[u8]) {
        assert!(bytes.len() == self.len as usize && bytes.iter().all(|byte| *byte == self.tag), "{self:?}");
    }
}

/// A frame that was sent and not yet taken.
#[derive(Clone, Copy, Debug)]
struct Sent {
    kind: Kind,
    content: Content,
    is_object: bool,
}

/// A block that nobody owns.
struct Detached<T: Cooperative> {
    handle: Handle,
    content: Content,
    pins: Vec<ArenaRef<T>>,
}

/// One of the two parties: what it owns.
struct Party<T: Cooperative> {
    arena: Arena<T>,
    board: Switchboard<T>,
    blocks: Vec<(Content, ArenaBox<T>)>,
}

/// The ends of the rings, for frames or for jobs.
enum Ends<T: Cooperative> {
    /// Per ring: its writer and reader. The first party writes the inbox.
    Frames(Box<[(Producer<T>, Consumer<T>); 2]>),
    Jobs(Box<(JobClient<T>, JobRunner<T>)>),
}

struct World<T: Cooperative> {
    regions: [Region<T>; 2],
    parties: [Party<T>; 2],
    ends: Ends<T>,
    // From here on, the model.
    sent: [VecDeque<Sent>; 2],
    slots: [Option<(Kind, Content)>; 15],
    detached: Vec<Detached<T>>,
    requests: VecDeque<(JobId, Content)>,
    answered: usize,
    tag: u8,
}

fn pick<V>(list: &[V], number: u32) -> Option<usize> {
    if list.is_empty() { None } else { Some(number as usize % list.len()) }
}

/// Results one byte longer than their inputs, of the next tag; kind 2 fails.
fn job<T: Cooperative>(input: Input<'_, T>, out: &mut JobOutput<'_, T>) -> Result<(), JobError> {
    let tag = input.bytes().first().copied().unwrap_or(0);
    Content { tag, len: input.len() }.check(input.bytes());
    if input.kind() == 2 {
        out.append(&[0; 300])?;
        return Err(JobError::failed(u32::from(tag), "kind 2"));
    }
    out.set_len(input.len() + 1)?;
    out.as_mut_slice().fill(tag.wrapping_add(1));
    Ok(())
}

impl<T: Cooperative> World<T> {
    fn new(regions: [Region<T>; 2], jobs: bool) -> Self {
        let [first, second] = &regions;
        let inbox = (first.inbox_producer().expect("free"), second.inbox_consumer().expect("free"));
        let outbox = (second.outbox_producer().expect("free"), first.outbox_consumer().expect("free"));
        let ends = if jobs {
            let client = JobClient::new(inbox.0, outbox.1).expect("room for headers");
            let runner = JobRunner::new(inbox.1, outbox.0).expect("room for headers");
            Ends::Jobs(Box::new((client, runner.with(1, job).with(2, job))))
        } else {
            Ends::Frames(Box::new([inbox, outbox]))
        };
        let party = |region: &Region<T>| Party { arena: region.arena(), board: region.switchboard(), blocks: vec![] };
        Self {
            parties: [party(first), party(second)],
            regions,
            ends,
            sent: [VecDeque::new(), VecDeque::new()],
            slots: [None; 15],
            detached: vec![],
            requests: VecDeque::new(),
            answered: 0,
            tag: 0,
        }
    }

    fn content(&mut self, len: u32) -> Content {
        self.tag = self.tag.wrapping_add(1);
        Content { tag: self.tag, len }
    }

    fn act(&mut self, action: u8, number: u32) {
        let side = (number & 1) as usize;
        let rest = number >> 1;
        match action % 14 {
            0..=2 => self.send_or_submit(side, rest),
            3 | 4 => self.take_or_run(side, rest),
            5 | 6 => self.alloc(side, rest % 5000),
            7 => self.alloc(side, rest % 70_000),
            8 => {
                if let Some(index) = pick(&self.parties[side].blocks, rest) {
                    let (content, block) = self.parties[side].blocks.swap_remove(index);
                    content.check(block.as_slice());
                }
            }
            9 => {
                if let Some(index) = pick(&self.parties[side].blocks, rest) {
                    let (content, block) = self.parties[side].blocks.swap_remove(index);
                    let handle = block.into_handle();
                    self.detached.push(Detached { handle, content, pins: vec![] });
                }
            }
            10 => self.pin(side, rest),
            11 => self.claim(side, rest),
            12 => self.publish(side, rest),
            _ => self.take_slot(side, rest),
        }
        self.check_counts();
    }

    fn check_counts(&self) {
        if let Ends::Frames(_) = self.ends {
            let flows = [self.regions[1].inbox_flow(), self.regions[0].outbox_flow()];
            for (flow, sent) in flows.iter().zip(&self.sent) {
                assert_eq!(flow.count(), sent.len() as u64);
            }
        }
    }

    fn send_or_submit(&mut self, side: usize, number: u32) {
        let kind = 1 + u16::from(number.is_multiple_of(3));
        let len = number / 3 % 112;
        let content = self.content(len);
        match &mut self.ends {
            Ends::Frames(rings) => {
                let (producer, _) = &mut rings[side];
                let blocks = &mut self.parties[side].blocks;
                let queue = &mut self.sent[side];
                if number % 5 < 2 && !blocks.is_empty() {
                    let (content, block) = blocks.swap_remove(number as usize % blocks.len());
                    match producer.push_object(kind, block) {
                        Ok(_) => queue.push_back(Sent { kind, content, is_object: true }),
                        Err(rejected) => {
                            assert!(matches!(rejected.reason, PushError::Full { .. }) && !queue.is_empty());
                            blocks.push((content, rejected.value));
                        }
                    }
                    return;
                }
                let outcome = if number % 5 == 2 {
                    producer.claim(kind, len).map(|mut claim| {
                        claim.write_at(0, &content.bytes()).expect("in range");
                        if number % 25 == 2 {
                            return claim.abort();
                        }
                        claim.commit();
                        queue.push_back(Sent { kind, content, is_object: false });
                    })
                } else {
                    producer.try_push(kind, &content.bytes()).map(|_| {
                        queue.push_back(Sent { kind, content, is_object: false });
                    })
                };
                if let Err(error) = outcome {
                    assert!(matches!(error, PushError::Full { .. }) && !queue.is_empty(), "{error}");
                }
            }
            Ends::Jobs(ends) => {
                let client = &mut ends.0;
                let sent = if number.is_multiple_of(2) {
                    client.submit(kind, &content.bytes()).ok()
                } else {
                    let content = Content { len: number / 2 % 3000, ..content };
                    let Ok(mut request) = client.request(content.len) else { return };
                    request.as_mut_slice().fill(content.tag);
                    let id = client.send(kind, request).ok();
                    self.requests.extend(id.map(|id| (id, content)));
                    return;
                };
                self.requests.extend(sent.map(|id| (id, content)));
            }
        }
    }

    fn take_or_run(&mut self, side: usize, number: u32) {
        match &mut self.ends {
            Ends::Frames(rings) => {
                let (_, consumer) = &mut rings[side];
                let queue = &mut self.sent[side];
                let blocks = &mut self.parties[1 - side].blocks;
                let max = number as usize % 6;
                let expected = max.min(queue.len());
                let taken = consumer.drain(max, |frame| {
                    let sent = queue.pop_front().expect("the model has it too");
                    assert_eq!(frame.kind(), sent.kind);
                    match frame {
                        Frame::Inline { payload, .. } => {
                            assert!(!sent.is_object);
                            sent.content.check(payload.bytes());
                        }
                        Frame::Object { object, .. } => {
                            assert!(sent.is_object);
                            sent.content.check(object.as_slice());
                            blocks.push((sent.content, object));
                        }
                        Frame::Gone { reason, .. } => panic!("{reason}"),
                    }
                    Flow::Continue
                });
                assert_eq!(taken.expect("a sound ring"), expected);
            }
            Ends::Jobs(ends) => {
                let (client, runner) = &mut **ends;
                if side == 0 {
                    let ran = runner.run_once(number as usize % 4).expect("a reader");
                    assert_eq!(ran.dropped, 0);
                    self.answered += ran.answered;
                    return;
                }
                let completion = client.next_completion().expect("a sound ring");
                assert_eq!(completion.is_some(), self.answered > 0);
                let Some(completion) = completion else { return };
                self.answered -= 1;
                let (id, content) = self.requests.pop_front().expect("a request for each answer");
                assert_eq!(completion.id, id);
                let tag = if content.len == 0 { 0 } else { content.tag };
                match completion.outcome {
                    Ok(answer) => {
                        assert_eq!(completion.kind, 1);
                        Content { tag: tag.wrapping_add(1), len: content.len + 1 }.check(answer.as_slice());
                    }
                    Err(JobError::Exhausted { requested, largest_free }) => assert!(largest_free < requested),
                    Err(error) => {
                        assert_eq!((completion.kind, error), (2, JobError::failed(u32::from(tag), "kind 2")));
                    }
                }
            }
        }
    }

    fn alloc(&mut self, side: usize, len: u32) {
        let content = self.content(len);
        let party = &mut self.parties[side];
        match party.arena.alloc(len) {
            Ok(mut block) => {
                assert_eq!(block.len(), len);
                block.as_mut_slice().fill(content.tag);
                party.blocks.push((content, block));
            }
            Err(AllocError::Exhausted { requested, largest_free }) => assert!(largest_free < requested.max(1)),
            Err(error) => assert!(len > party.arena.max_block_len(), "{error}"),
        }
    }

    fn pin(&mut self, side: usize, number: u32) {
        let Some(index) = pick(&self.detached, number) else { return };
        let detached = &mut self.detached[index];
        if number.is_multiple_of(3) {
            detached.pins.pop();
            return;
        }
        let pin = self.parties[side].arena.resolve(detached.handle).expect("nobody owns it");
        detached.content.check(pin.as_slice());
        detached.pins.push(pin);
    }

    fn claim(&mut self, side: usize, number: u32) {
        let Some(index) = pick(&self.detached, number) else { return };
        let handle = self.detached[index].handle;
        match self.parties[side].arena.claim_handle(handle) {
            Ok(block) => {
                let Detached { content, pins, .. } = self.detached.swap_remove(index);
                assert!(pins.is_empty());
                content.check(block.as_slice());
                assert!(matches!(self.parties[1 - side].arena.resolve(handle), Err(Stale::Owned)));
                self.parties[side].blocks.push((content, block));
            }
            Err(error) => assert!(!self.detached[index].pins.is_empty(), "{error}"),
        }
    }

    fn publish(&mut self, side: usize, number: u32) {
        let index = slot_of(side, number);
        let slot = Slot::new(index).expect("below 15");
        let party = &mut self.parties[side];
        let Some(block) = pick(&party.blocks, number) else { return };
        let (content, block) = party.blocks.swap_remove(block);
        let kind = u16::from(content.tag);
        let old = party.board.publish(slot, kind, block).expect("its own slot");
        let expected = self.slots[usize::from(index)].replace((kind, content));
        match (old, expected) {
            (None, None) => {}
            (Some(block), Some((_, content))) => {
                content.check(block.as_slice());
                party.blocks.push((content, block));
            }
            (old, expected) => panic!("{old:?} where {expected:?} was"),
        }
    }

    fn take_slot(&mut self, side: usize, number: u32) {
        let index = slot_of((number & 1) as usize, number >> 1);
        let taken = self.parties[side].board.take(Slot::new(index).expect("below 15"));
        match (taken, self.slots[usize::from(index)].take()) {
            (None, None) => {}
            (Some((kind, block)), Some((expected, content))) => {
                assert_eq!(kind, expected);
                content.check(block.as_slice());
                self.parties[side].blocks.push((content, block));
            }
            (taken, expected) => panic!("{taken:?} where {expected:?} was"),
        }
    }

    /// Everything is taken, let go and free again, as one block.
    fn end(mut self) {
        for side in [0, 1] {
            for number in 0..64 {
                self.take_slot(side, number);
            }
        }
        assert!(self.slots.iter().all(Option::is_none));
        for detached in &mut self.detached {
            detached.pins.clear();
        }
        while !self.detached.is_empty() {
            self.claim(0, 0);
        }
        for party in &mut self.parties {
            for (content, block) in party.blocks.drain(..) {
                content.check(block.as_slice());
            }
        }
        // Eleven is five frames of the inbox, or a completion; ten of the outbox, or a few requests that are run.
        while !self.requests.is_empty() || !self.sent.iter().all(VecDeque::is_empty) {
            self.take_or_run(0, 5);
            self.take_or_run(0, 3);
            self.take_or_run(1, 5);
            self.parties.iter_mut().for_each(|party| party.blocks.clear());
        }
        self.check_counts();
        let arena = &self.parties[1].arena;
        let max = arena.max_block_len();
        assert_eq!(arena.largest_free(), max);
        assert_eq!(arena.alloc(max).expect("all of it").len(), max);
    }
}

/// Each party publishes in slots of its own.
fn slot_of(side: usize, number: u32) -> u8 {
    u8::try_from(number % 7 * 2).expect("small") + u8::from(side == 1)
}

fn run<T: Cooperative>(regions: [Region<T>; 2], jobs: bool, script: Vec<(u8, u32)>) {
    let mut world = World::new(regions, jobs);
    for (action, number) in script {
        world.act(action, number);
    }
    world.end();
}

fn scripts() -> impl Strategy<Value = Vec<(u8, u32)>> {
    prop::collection::vec(any::<(u8, u32)>(), 1..400)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 600, ..ProptestConfig::default() })]

    #[test]
    fn among_threads(script in scripts(), jobs in any::<bool>(), start in prop::sample::select(vec![0, u64::MAX - 400])) {
        let region = Region::<Threads>::heap(&layout().with_start(start)).unwrap();
        run([region.clone(), region], jobs, script);
    }
}

#[cfg(target_os = "linux")]
proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn between_attachments(script in scripts(), jobs in any::<bool>()) {
        let first = crate::memory_file(&layout());
        let second = crate::attached(first.backing_fd().unwrap(), &layout()).unwrap();
        run([first, second], jobs, script);
    }
}
