//! Every atomic of the crate comes from here, so that the model checker can stand in for the processor.

pub(crate) mod bell;
pub(crate) mod futex;
pub(crate) mod hint;
pub(crate) mod order;

#[cfg(not(inos_loom))]
pub(crate) use core::sync::atomic::{AtomicU32, AtomicU64, Ordering, fence};
#[cfg(inos_loom)]
pub(crate) use loom::sync::atomic::{AtomicU32, AtomicU64, Ordering, fence};
