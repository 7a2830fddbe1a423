//! Work that is asked for in one ring and answered in the other; `docs/jobs.md` is the format.

mod client;
mod error;
mod input;
mod output;
mod pack;
mod runner;
mod wire;

pub use client::{Answer, Completion, JobClient, Request};
pub use error::{JobError, JobRunnerError, Message, UnpackError};
pub use input::Input;
pub use output::JobOutput;
pub use runner::{JobRunner, Next, Ran};

use crate::trust::{Threads, Trust};

/// The caller's number for a request; the answer carries it. The caller keeps those apart that are under way. Any number
/// will do except `u64::MAX`, which a participant record cannot note.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct JobId(pub u64);

/// Computes an answer to a request. Functions and closures of the same shape are jobs.
///
/// # Examples
///
/// ```
/// use inos_sab::{ComputeJob, Cooperative, Input, JobError, JobOutput};
///
/// /// Every byte, inverted: read where the caller wrote it, written where the caller will read it.
/// struct Invert;
///
/// impl<T: Cooperative> ComputeJob<T> for Invert {
///     fn execute(&self, input: Input<'_, T>, out: &mut JobOutput<'_, T>) -> Result<(), JobError> {
///         if input.is_empty() {
///             return Err(JobError::failed(1, "nothing to invert"));
///         }
///         out.set_len(input.len())?;
///         for (target, byte) in out.as_mut_slice().iter_mut().zip(input.bytes()) {
///             *target = !byte;
///         }
///         Ok(())
///     }
/// }
/// # use inos_sab::{JobRunner, Layout, Region, Threads};
/// # let region = Region::<Threads>::heap(&Layout::compact(1 << 12, 1 << 20, 1 << 16)?)?;
/// # JobRunner::new(region.inbox_consumer()?, region.outbox_producer()?)?.with(1, Invert);
/// # Ok::<(), Box<dyn core::error::Error>>(())
/// ```
pub trait ComputeJob<T: Trust = Threads> {
    /// Reads `input` and leaves the result in `out`.
    ///
    /// # Errors
    ///
    /// Whatever the caller is to be told instead of a result. What was written to `out` is then dropped.
    fn execute(&self, input: Input<'_, T>, out: &mut JobOutput<'_, T>) -> Result<(), JobError>;
}

impl<T, F> ComputeJob<T> for F
where
    T: Trust,
    F: Fn(Input<'_, T>, &mut JobOutput<'_, T>) -> Result<(), JobError>,
{
    fn execute(&self, input: Input<'_, T>, out: &mut JobOutput<'_, T>) -> Result<(), JobError> {
        self(input, out)
    }
}
