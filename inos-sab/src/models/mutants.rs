//! Each ordering, fence and second look, taken away, makes a model fail.
//!
//! One line for each side of each [`Pair`] and each [`Check`] that the code uses, in this form: the integration test
//! `orderings` reads these lines, and the code, and fails where a line is missing.

use super::{arena, ring};
use crate::sync::order::Mutant::{self, Acquire, Check, Fence, Release};
use crate::sync::order::{self, Check as Look, Pair};

fn must_fail(name: &str, mutant: Mutant, model: fn()) {
    if matches!(mutant, Check(Look::BeforeSleep | Look::AfterAskedFence)) {
        return must_end(name, mutant, model);
    }
    let result = std::panic::catch_unwind(|| order::with_mutant(mutant, model));
    assert!(result.is_err(), "{mutant:?} goes unnoticed");
}

/// In a process of its own: the checker tells the sleeping thread of a deadlock, which ends the process.
fn must_end(name: &str, mutant: Mutant, model: fn()) {
    const ALONE: &str = "INOS_SAB_MUTANT_ALONE";
    if std::env::var_os(ALONE).is_some() {
        return order::with_mutant(mutant, model);
    }
    let mut this = std::process::Command::new(std::env::current_exe().expect("a test binary"));
    let test = alloc::format!("models::mutants::{name}");
    let output = this.args(["--nocapture", "--exact", &test]).env(ALONE, "1").output().expect("the test binary runs");
    assert!(!output.status.success(), "{mutant:?} goes unnoticed");
    assert!(std::string::String::from_utf8_lossy(&output.stderr).contains("deadlock"));
}

macro_rules! mutants {
    ($($name:ident: $mutant:expr => $module:ident::$model:ident;)*) => {
        $(
            #[test]
            fn $name() {
                must_fail(stringify!($name), $mutant, $module::$model);
            }
        )*
    };
}

mutants! {
    tail_without_release: Release(Pair::RingTail) => ring::ring_delivers_once_in_order;
    tail_without_acquire: Acquire(Pair::RingTail) => ring::ring_delivers_once_in_order;
    head_without_release: Release(Pair::RingHead) => ring::ring_delivers_once_in_order;
    head_without_acquire: Acquire(Pair::RingHead) => ring::ring_delivers_once_in_order;
    role_without_release: Release(Pair::Role) => ring::a_role_passes_on_its_cursor;
    role_without_acquire: Acquire(Pair::Role) => ring::a_role_passes_on_its_cursor;
    left_without_release: Release(Pair::Role) => ring::nothing_published_before_leaving_is_missed;
    left_without_acquire: Acquire(Pair::Role) => ring::nothing_published_before_leaving_is_missed;
    wake_without_fence: Fence(Pair::Wake) => ring::no_wake_is_lost;
    asked_wake_without_fence: Fence(Pair::Wake) => ring::no_wake_is_lost_where_fences_were_asked_for;
    asked_wake_without_a_second_look:
        Check(Look::AfterAskedFence) => ring::no_wake_is_lost_where_fences_were_asked_for;
    sleep_without_a_last_look: Check(Look::BeforeSleep) => ring::no_wake_is_lost;
    raise_without_release: Release(Pair::Bell) => ring::what_was_raised_is_there;
    raise_without_acquire: Acquire(Pair::Bell) => ring::what_was_raised_is_there;
    let_go_without_release: Release(Pair::LetGo) => arena::letting_go_shows_what_was_written;
    let_go_without_acquire: Acquire(Pair::LetGo) => arena::letting_go_shows_what_was_written;
    unpin_without_release: Release(Pair::Unpin) => arena::handle_has_one_taker;
    unpin_without_acquire: Acquire(Pair::Unpin) => arena::handle_has_one_taker;
    local_pin_without_release: Release(Pair::LocalPin) => arena::pins_of_a_process_are_counted_together;
    local_pin_without_acquire: Acquire(Pair::LocalPin) => arena::pins_of_a_process_are_counted_together;
    free_without_release: Release(Pair::Free) => arena::granules_have_one_owner;
    empty_without_acquire: Acquire(Pair::Empty) => arena::emptied_chunks_pass_their_bytes_on;
    chunk_without_release: Release(Pair::Chunk) => arena::runs_pass_their_bytes_on;
    chunk_without_acquire: Acquire(Pair::Chunk) => arena::runs_pass_their_bytes_on;
    take_without_fence: Fence(Pair::Take) => arena::chunks_are_not_emptied_under_a_block;
    take_without_fence_acquires_nothing: Fence(Pair::Take) => arena::granules_have_one_owner;
    retire_without_fence: Fence(Pair::Retire) => arena::chunks_are_not_emptied_under_a_block;
    chunk_not_looked_at_after_the_cell: Check(Look::ChunkAfterCell) => arena::chunks_are_not_emptied_under_a_block;
    cells_not_looked_at_after_the_chunk: Check(Look::CellsAfterChunk) => arena::chunks_are_not_emptied_under_a_later_block;
}

// Without a mutant, because the checker cannot notice:
// - exempt Release(Pair::Slot), Acquire(Pair::Slot): a block's bytes come with its cell (`LetGo`). What the slot adds is
//   that whoever sees the handle sees the cell let go, so that its compare-exchange does not fail on an older value; the
//   checker's compare-exchanges see the newest value anyway.
