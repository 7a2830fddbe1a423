//! Cases `handle-*`: a payload from one process to another, and eight bytes back.

pub(crate) mod iceoryx2;
pub(crate) mod ours;
pub(crate) mod socket;

use core::hint::black_box;

use crate::Effort;
use crate::contest::{Contestant, Parts, Role, compete};
use crate::payload::{self, Touch};
use crate::report::{Row, Unit};

/// What is sent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Payload {
    pub(crate) len: u32,
    pub(crate) touch: Touch,
}

impl Payload {
    /// Writes the payload with this number.
    fn write(self, number: u64, bytes: &mut [u8]) {
        if self.touch == Touch::Touch {
            payload::write(number, bytes);
        }
    }

    /// What the far end answers.
    fn answer(self, bytes: &[u8]) -> u64 {
        match self.touch {
            Touch::Touch => payload::sum(bytes),
            Touch::NoTouch => bytes.len() as u64,
        }
    }

    fn expected_answer(self, number: u64) -> u64 {
        match self.touch {
            Touch::Touch => payload::expected_sum(number, self.len as usize),
            Touch::NoTouch => u64::from(self.len),
        }
    }
}

/// The near end.
trait Courier {
    /// Sends the payload with this number and waits for the answer.
    fn deliver(&mut self, number: u64, payload: Payload) -> u64;
}

/// Deliveries before those that count: every page has been used by both processes.
const WARM_UP: u64 = 20;

/// Seconds per delivery.
fn deliver_all(courier: &mut impl Courier, payload: Payload, deliveries: u64) -> f64 {
    let mut deliver = |number| {
        let answer = courier.deliver(number, payload);
        assert_eq!(answer, payload.expected_answer(number), "the payload arrived, and whole");
    };
    (0..WARM_UP).for_each(&mut deliver);
    let mut parts = Parts::start(deliveries);
    for number in 0..deliveries {
        deliver(number);
        parts.reached(number + 1);
    }
    parts.median()
}

/// One thread copies the payload to memory that it used before.
fn memcpy<'a>(len: usize, deliveries: u64) -> Contestant<'a> {
    // Some processors copy slowly to an address that is, modulo a page, just behind the source: half a page it is.
    const HALF_PAGE: usize = 2048;
    let (source, mut target) = (vec![1_u8; len], vec![2_u8; len + HALF_PAGE]);
    Contestant::new("memcpy", Role::Limit, move || {
        let mut parts = Parts::start(deliveries);
        for number in 0..deliveries {
            target[HALF_PAGE..].copy_from_slice(black_box(&source));
            black_box(&mut target);
            parts.reached(number + 1);
        }
        parts.median()
    })
}

/// One thread writes the payload and sums it: the touching alone.
fn touching<'a>(payload: Payload, deliveries: u64) -> Contestant<'a> {
    let mut bytes = vec![1_u8; payload.len as usize];
    Contestant::new("writing and summing alone, on one processor", Role::Aside, move || {
        let mut parts = Parts::start(deliveries);
        for number in 0..deliveries {
            payload.write(number, black_box(&mut bytes));
            black_box(payload.answer(black_box(&bytes)));
            parts.reached(number + 1);
        }
        parts.median()
    })
}

/// Payloads of `len` bytes.
pub(crate) fn run(case: &'static str, len: u32, touch: Touch, effort: Effort) -> Row {
    let payload = Payload { len, touch };
    let deliveries = effort.units(if len > 1 << 20 { 50 } else { 200 });
    let mut contestants = vec![
        Contestant::new("ours", Role::Ours, move || ours::turn(payload, deliveries).expect("processes")),
        Contestant::new("iceoryx2", Role::Peer, move || iceoryx2::turn(payload, deliveries).expect("processes")),
        Contestant::new("unix-socket", Role::Peer, move || socket::turn(payload, deliveries).expect("processes")),
        memcpy(len as usize, deliveries),
    ];
    let what = match touch {
        Touch::Touch => {
            contestants.push(touching(payload, deliveries));
            "written by the sender and summed by the receiver"
        }
        Touch::NoTouch => "neither written nor read, but by the socket, which copies them",
    };
    let notes = vec![
        format!("two processes, payloads of {} KiB, {what}, and eight bytes back", len >> 10),
        "taking and freeing the memory is inside; ours and iceoryx2 spin, the socket sleeps".into(),
    ];
    Row::new(case, Unit::MICROSECONDS, &compete(&mut contestants, effort.rounds), &[], notes)
}
