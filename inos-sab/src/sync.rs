//! Every atomic of the crate comes from here, so that the model checker can stand in for the processor.

pub(crate) mod barrier;
pub(crate) mod bell;
#[cfg(inos_loom)]
pub(crate) mod die;
pub(crate) mod futex;
pub(crate) mod hint;
pub(crate) mod order;
pub(crate) mod step;

#[cfg(not(any(inos_loom, feature = "fail-points")))]
pub(crate) use core::sync::atomic::{AtomicU32, AtomicU64};
#[cfg(not(inos_loom))]
pub(crate) use core::sync::atomic::{Ordering, fence};
#[cfg(inos_loom)]
pub(crate) use die::{AtomicU32, AtomicU64, Ordering, fence};
#[cfg(all(feature = "fail-points", not(inos_loom)))]
pub(crate) use step::{AtomicU32, AtomicU64};
