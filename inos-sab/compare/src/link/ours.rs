//! Frames of eight bytes through inbox and outbox.

use std::os::fd::OwnedFd;

use inos_sab::{Consumer, Crash, Flow, Frame, Layout, Patience, Producer, Region, Threads, Trust, Wake};

use super::Link;

pub(crate) struct Rings<T: Trust> {
    there: Producer<T>,
    back: Consumer<T>,
}

/// Both ends, for two threads.
pub(crate) fn threads(patience: Patience) -> (Rings<Threads>, Rings<Threads>) {
    let region = Region::<Threads>::heap(&layout()).expect("memory");
    (near_end(&region, patience), far_end(&region, patience))
}

/// The near end and a descriptor for the far one, for two processes.
pub(crate) fn near(patience: Patience) -> (Rings<Crash>, OwnedFd) {
    // SAFETY:
    // - the file has no name, and the far end, to whom alone we send it, attaches to it as below;
    // - it is started by `exec`.
    let region = unsafe { Region::<Crash>::create_memfd(c"inos-sab-compare", &layout()) }.expect("memory files");
    let file = region.backing_fd().map(|file| file.try_clone_to_owned());
    (near_end(&region, patience), file.expect("a memory file is behind it").expect("a free descriptor"))
}

pub(crate) fn far(file: OwnedFd, patience: Patience) -> Rings<Crash> {
    // SAFETY:
    // - the near end made a region in this file, and both change it through regions only; it is sealed;
    // - nothing here forks.
    let region = unsafe { Region::<Crash>::attach_fd(file, &layout()) }.expect("the region of the near end");
    far_end(&region, patience)
}

fn near_end<T: Trust>(region: &Region<T>, patience: Patience) -> Rings<T> {
    let mut back = region.outbox_consumer().expect("a free role");
    back.set_patience(patience);
    Rings { there: region.inbox_producer().expect("a free role"), back }
}

fn far_end<T: Trust>(region: &Region<T>, patience: Patience) -> Rings<T> {
    let mut back = region.inbox_consumer().expect("a free role");
    back.set_patience(patience);
    Rings { there: region.outbox_producer().expect("a free role"), back }
}

fn layout() -> Layout {
    Layout::compact(1 << 16, 1 << 20, 1 << 16).expect("powers of two")
}

impl<T: Trust> Link for Rings<T> {
    fn send(&mut self, number: u64) {
        self.there.try_push(1, &number.to_le_bytes()).expect("the other end has taken the last one");
    }

    fn receive(&mut self) -> u64 {
        let mut number = None;
        loop {
            let taken = self.back.drain(1, |frame| {
                let mut bytes = [0; 8];
                if let Frame::Inline { payload, .. } = frame {
                    payload.copy_to(0, &mut bytes).expect("every frame has eight bytes");
                    number = Some(u64::from_le_bytes(bytes));
                }
                Flow::Break
            });
            taken.expect("both ends keep to the protocol");
            match number {
                Some(number) => return number,
                None => assert_eq!(self.back.wait(None), Wake::Ready, "the other end is there"),
            }
        }
    }
}
