//! Goal: a slot conflates without losing a block, and an event is heard once for any number of raises.
//! Method: scripts, also with epochs that start just before they wrap.

use crate::{region, small};
use core::time::Duration;
use inos_sab::{Event, Layout, PushError, SLOT_COUNT, Slot, State, Wake};
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

#[test]
fn a_slot_holds_the_newest_and_hands_the_older_back() {
    let region = small();
    let (board, arena) = (region.switchboard(), region.arena());
    for index in 0..15 {
        let slot = Slot::new(index).unwrap();
        assert!(board.publish(slot, 1, arena.alloc(10).unwrap()).unwrap().is_none());
        let previous = board.publish(slot, 2, arena.alloc(20).unwrap()).unwrap().unwrap();
        assert_eq!(previous.len(), 10);
        drop(previous);
        let (kind, block) = board.take(slot).unwrap();
        assert_eq!((kind, block.len()), (2, 20));
        assert!(board.take(slot).is_none());
    }
    assert_eq!(arena.largest_free(), arena.max_block_len());
    assert!(Slot::new(u8::try_from(SLOT_COUNT).unwrap()).is_none());
    let foreign = small().arena().alloc(1).unwrap();
    assert_eq!(board.publish(Slot::new(0).unwrap(), 1, foreign).unwrap_err().reason, PushError::ForeignBlock);
    assert_eq!(region.state(), State::Ready);
}

/// A predecessor compared epochs with `>` and went deaf at the wrap.
#[test]
fn raises_are_heard_over_the_wrap_of_the_epoch() {
    let layout = Layout::compact(64, 3 * 512, 512).unwrap().with_start(u64::MAX - 40);
    let region = region(layout);
    let (board, slot) = (region.switchboard(), Slot::new(14).unwrap());
    let mut listener = board.listen_slot(slot);
    for _ in 0..100 {
        assert!(!listener.poll());
        drop(board.publish(slot, 1, region.arena().alloc(1).unwrap()).unwrap());
        assert!(listener.poll());
    }
    for event in Event::ALL {
        let mut listener = board.listen(event);
        for _ in 0..100 {
            assert!(!listener.poll());
            board.raise(event);
            assert_eq!(listener.wait(None), Wake::Ready);
            assert!(matches!(listener.wait(Some(Duration::ZERO)), Wake::TimedOut | Wake::CannotBlock));
        }
        board.raise(event);
        board.raise(event);
        assert!(listener.poll() && !listener.poll());
    }
}

/// Words of one event, slot or ring do not stir another.
#[test]
fn events_and_slots_are_apart() {
    let region = small();
    let board = region.switchboard();
    let mut events = Event::ALL.map(|event| board.listen(event));
    let mut slots: Vec<_> = (0..15).map(|index| board.listen_slot(Slot::new(index).unwrap())).collect();
    board.publish(Slot::new(4).unwrap(), 0, region.arena().alloc(1).unwrap()).unwrap();
    board.raise(Event::Module);
    assert_eq!(events.each_mut().map(|listener| listener.poll()), [false, true, false]);
    for (index, listener) in slots.iter_mut().enumerate() {
        assert_eq!(listener.poll(), index == 4);
    }
}
