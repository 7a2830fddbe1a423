//! Goal: what the state says of an orphan is true when its bounds are reached, and it keeps to them. Method: entries
//! applied one by one, without a group around them.

#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use alloc::{vec, vec::Vec};

use super::{Applied, MEMORY, State};
use crate::{
    Actor, Dot, Generation, Lsn, Machine, OpId, Orphan, Policy, Resolution, Undecodable, VectorClock,
    bytes::Reader,
    group::{
        Log,
        entry::{Body, Change, Raw, put_entry},
        membership::Configuration,
    },
};

/// Counts what it was given.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
struct Count(u8);

impl Machine for Count {
    type Delta = ();
    type Output = u8;
    const POLICY: Policy = Policy::Crdt;
    fn encode((): &(), _: &mut Vec<u8>) {}
    fn decode(_: &[u8]) -> Result<(), Undecodable> {
        Ok(())
    }
    fn encode_output(output: &u8, out: &mut Vec<u8>) {
        out.push(*output);
    }
    fn decode_output(bytes: &[u8]) -> Result<u8, Undecodable> {
        bytes.try_into().map(u8::from_le_bytes).map_err(|_| Undecodable)
    }
    fn apply(&mut self, _: Lsn, (): &()) -> u8 {
        self.0 = self.0.wrapping_add(1);
        self.0
    }
    fn snapshot(&self, out: &mut Vec<u8>) {
        out.push(self.0);
    }
    fn restore(bytes: &[u8]) -> Result<Self, Undecodable> {
        Self::decode_output(bytes).map(Self)
    }
    fn reconcile(&mut self, lsn: Lsn, _: &Orphan<'_, ()>) -> Option<u8> {
        Some(self.apply(lsn, &()))
    }
}

fn actor(node: u64, incarnation: u64) -> Actor<u64> {
    Actor { node, incarnation }
}

/// Nodes 1, 2 and 3 vote, and 1 is primary of the first epoch.
struct Driver {
    state: State<u64, Count>,
    counter: u64,
}

impl Driver {
    fn new() -> Self {
        let voters = vec![actor(1, 0), actor(2, 0), actor(3, 0)];
        let configuration = Configuration { number: 1, voters, outgoing: Vec::new(), learners: Vec::new() };
        let mut driver = Self { state: State::new(configuration), counter: 0 };
        let (generation, previous) = (Generation::default(), Lsn::default());
        driver.apply(&Body::EpochStart { author: actor(1, 1), generation, previous });
        driver
    }

    fn apply(&mut self, body: &Body<'_, u64>) -> Applied<u64, u8> {
        let mut bytes = Vec::new();
        put_entry(&mut bytes, 1, body.kind(), |out| body.write(out));
        let entry = Raw::read(&mut Reader(&bytes)).expect("written a moment ago");
        self.state.apply(&entry, &Log::new(Lsn::default())).expect("sound")
    }

    fn write(&mut self, op: OpId, context: &VectorClock<u64>) {
        let mut extra = Vec::new();
        context.encode(&mut extra);
        self.counter += 1;
        let change = Change { op, read: 0, extra: &extra, delta: &[] };
        let applied = self.apply(&Body::Write { counter: self.counter, change });
        assert!(matches!(applied, Applied::Write { .. }));
    }

    fn orphan(&mut self, op: OpId, dot: Dot<u64>) -> Resolution<u8> {
        let change = Change { op, read: 0, extra: &[], delta: &[] };
        let origin = Lsn { epoch: 1, sequence: 1 };
        match self.apply(&Body::Orphan { dot, origin, change }) {
            Applied::Orphan { resolution, .. } => resolution,
            _ => unreachable!("an orphan was applied"),
        }
    }

    fn known(&self) -> usize {
        self.state.known.len()
    }

    /// The bytes say it all.
    fn reopen(&mut self) {
        let mut bytes = Vec::new();
        self.state.encode(&mut bytes);
        self.state = State::decode(&bytes).expect("written a moment ago");
    }
}

#[test]
fn a_range_that_was_given_up_is_not_told_as_contained() {
    let mut driver = Driver::new();
    let other = actor(2, 1);
    // Each second write of the other came as an orphan: 1,025 ranges are missing, and the first is given up.
    for client in 1..=1025_u64 {
        let op = OpId { client: client.into(), serial: 1 };
        let told = driver.orphan(op, Dot { actor: other, counter: 2 * client });
        assert!(matches!(told, Resolution::Merged(_)));
    }
    driver.reopen();
    let op = OpId { client: 2000, serial: 1 };
    assert_eq!(driver.orphan(op, Dot { actor: other, counter: 1 }), Resolution::Forgotten);
    assert!(matches!(driver.orphan(op, Dot { actor: other, counter: 3 }), Resolution::Merged(_)), "a hole still kept");
    assert_eq!(driver.orphan(op, Dot { actor: other, counter: 3 }), Resolution::Contained);
}

#[test]
fn what_was_discarded_is_remembered_with_the_session() {
    let mut driver = Driver::new();
    let (op, other) = (OpId { client: 5, serial: 1 }, actor(2, 1));
    let mut context = VectorClock::new();
    context.increment(other);
    driver.write(OpId { client: 6, serial: 1 }, &context);
    assert_eq!(driver.orphan(op, Dot { actor: other, counter: 1 }), Resolution::Older);
    driver.reopen();
    // A copy that stood elsewhere, of which no writer has read.
    assert_eq!(driver.orphan(op, Dot { actor: actor(3, 1), counter: 1 }), Resolution::Refused);
    driver.counter += 1;
    let change = Change { op, read: 0, extra: &[], delta: &[] };
    let repeat = driver.apply(&Body::Write { counter: driver.counter, change });
    assert!(matches!(repeat, Applied::Discarded { op: told } if told == op));
    assert_eq!(driver.state.machine, Count(1));
    driver.apply(&Body::Expire(op.client));
    driver.reopen();
    assert_eq!(driver.orphan(op, Dot { actor: actor(3, 1), counter: 2 }), Resolution::Forgotten);
    let later = OpId { serial: 2, ..op };
    assert!(matches!(driver.orphan(later, Dot { actor: actor(3, 1), counter: 3 }), Resolution::Merged(_)));
}

#[test]
fn of_those_whom_clocks_name_the_nearest_are_remembered() {
    let mut driver = Driver::new();
    let mut serial = 0;
    let mut read = |driver: &mut Driver, actor| {
        let mut context = VectorClock::new();
        context.increment(actor);
        serial += 1;
        driver.write(OpId { client: 1, serial }, &context);
    };
    let late =
        |driver: &mut Driver, serial, actor| driver.orphan(OpId { client: 9, serial }, Dot { actor, counter: 1 });
    // Of a node that only another generation may know.
    read(&mut driver, actor(7, 1));
    assert_eq!(late(&mut driver, 1, actor(7, 1)), Resolution::Older);
    assert_eq!(driver.known(), 1);
    driver.apply(&Body::Retire(actor(7, 1)));
    read(&mut driver, actor(7, 1));
    assert_eq!(driver.known(), 0, "no clock of an old session brings it back");
    for incarnation in 1..=1500 {
        read(&mut driver, actor(8, incarnation));
    }
    assert_eq!(driver.known(), MEMORY);
    // A life of a member takes the place of one that this history has nothing to do with.
    read(&mut driver, actor(2, 77));
    assert_eq!(driver.known(), MEMORY);
    assert_eq!(late(&mut driver, 2, actor(2, 77)), Resolution::Older);
    assert_eq!(late(&mut driver, 3, actor(8, 2)), Resolution::Older);
    assert!(matches!(late(&mut driver, 4, actor(8, 1)), Resolution::Merged(_)), "it gave way");
    assert!(matches!(late(&mut driver, 5, actor(8, 1500)), Resolution::Merged(_)), "it was not taken over");
    for incarnation in 1..=1500 {
        read(&mut driver, actor(3, 1000 + incarnation));
    }
    assert_eq!(driver.known(), MEMORY + 2, "those with a write come on top");
    assert!(matches!(late(&mut driver, 6, actor(8, 900)), Resolution::Merged(_)));
}

#[test]
fn what_is_refused_supersedes_nothing() {
    let mut driver = Driver::new();
    let [first, second] = [actor(2, 1), actor(3, 1)];
    let of = |client| OpId { client, serial: 1 };
    // All that the second wrote is older than what the history has.
    let mut context = VectorClock::new();
    context.increment(second);
    context.increment(second);
    driver.write(of(1), &context);
    // Its orphan, and a repeat of that, bring what their writer had read.
    let mut extra = Vec::new();
    let mut context = VectorClock::new();
    context.increment(first);
    context.encode(&mut extra);
    let change = Change { op: of(2), read: 0, extra: &extra, delta: &[] };
    let body = Body::Orphan { dot: Dot { actor: second, counter: 1 }, origin: Lsn { epoch: 1, sequence: 1 }, change };
    assert!(matches!(driver.apply(&body), Applied::Orphan { resolution: Resolution::Older, .. }));
    driver.counter += 1;
    let repeat = driver.apply(&Body::Write { counter: driver.counter, change });
    assert!(matches!(repeat, Applied::Discarded { .. }));
    let told = driver.orphan(of(3), Dot { actor: first, counter: 1 });
    assert!(matches!(told, Resolution::Merged(_)), "nothing in the history has read it: {told:?}");
}
