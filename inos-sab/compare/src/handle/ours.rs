//! Blocks of the arena, by the rings.

use std::io;
use std::os::fd::OwnedFd;

use inos_sab::{Consumer, Crash, Flow, Frame, Layout, Patience, Producer, Region, Wake};

use super::{Courier, Payload, deliver_all};
use crate::process::{Start, Way};

/// Frames of the near end: nothing more will come.
const LAST: u16 = 0;
/// Frames of the near end that carry a payload, and of the far end that answer one.
const PAYLOAD: u16 = 1;

struct Ends {
    there: Producer<Crash>,
    back: Consumer<Crash>,
}

fn layout() -> Layout {
    Layout::compact(1 << 16, 16 << 20, 1 << 16).expect("powers of two")
}

/// Seconds per delivery.
pub(crate) fn turn(payload: Payload, deliveries: u64) -> io::Result<f64> {
    // SAFETY:
    // - the file has no name, and the far end, to whom alone we send it, attaches to it as below;
    // - it is started by `exec`.
    let region = unsafe { Region::<Crash>::create_memfd(c"inos-sab-compare", &layout()) }.map_err(io::Error::other)?;
    let file = region.backing_fd().ok_or(io::ErrorKind::Unsupported)?.try_clone_to_owned()?;
    let there = region.inbox_producer().map_err(io::Error::other)?;
    let mut ends = Ends { there, back: region.outbox_consumer().map_err(io::Error::other)? };
    ends.back.set_patience(Patience::Spin);
    let far = Start::new(Way::HandleRings)?.payload(payload).input(file).spawn()?;
    let seconds = deliver_all(&mut ends, payload, deliveries);
    ends.there.try_push(LAST, &[]).map_err(io::Error::other)?;
    far.join();
    Ok(seconds)
}

impl Courier for Ends {
    fn deliver(&mut self, number: u64, payload: Payload) -> u64 {
        let mut block = self.there.arena().alloc(payload.len).expect("the arena has room");
        payload.write(number, block.as_mut_slice());
        self.there.push_object(PAYLOAD, block).expect("the ring has room");
        let mut answer = None;
        loop {
            let taken = self.back.drain(1, |frame| {
                if let Frame::Inline { payload, .. } = frame {
                    answer = payload.bytes().first_chunk().map(|bytes| u64::from_le_bytes(*bytes));
                }
                Flow::Break
            });
            taken.expect("both ends keep to the protocol");
            match answer {
                Some(answer) => return answer,
                None => assert_eq!(self.back.wait(None), Wake::Ready, "the far end is there"),
            }
        }
    }
}

/// The far end.
pub(crate) fn serve(file: OwnedFd, payload: Payload) {
    // SAFETY:
    // - the near end made a region in this file, and both change it through regions only; it is sealed;
    // - nothing here forks.
    let region = unsafe { Region::<Crash>::attach_fd(file, &layout()) }.expect("the region of the near end");
    let mut requests = region.inbox_consumer().expect("a free role");
    let mut answers = region.outbox_producer().expect("a free role");
    requests.set_patience(Patience::Spin);
    let mut last = false;
    while !last {
        assert_eq!(requests.wait(None), Wake::Ready, "the near end says when it leaves");
        let taken = requests.drain(1, |frame| {
            match frame {
                Frame::Object { object, .. } => {
                    let answer = payload.answer(object.as_slice());
                    drop(object);
                    answers.try_push(PAYLOAD, &answer.to_le_bytes()).expect("the near end takes one at a time");
                }
                _ => last = true,
            }
            Flow::Break
        });
        taken.expect("both ends keep to the protocol");
    }
}
