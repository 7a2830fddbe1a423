//! From inbox to outbox.

use super::error::{JobError, JobRunnerError};
use super::input::{Input, Source};
use super::output::{JobOutput, Packing, seal};
use super::wire::{HEADER_BYTES, Header, REFUSAL_BYTES, Refusal};
use super::{ComputeJob, JobId};
use crate::arena::ArenaBox;
use crate::error::PushError;
use crate::region::Shared;
use crate::ring::{Consumer, Flow, Frame, Kind, Producer};
use crate::sync::bell::{Patience, Wake};
use crate::trust::{Threads, Trust};
use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::time::Duration;

/// Takes requests from one ring, lets jobs write their results into arena blocks, and publishes those in another ring.
///
/// One request at a time, in order. A request is answered whatever happens to it: with its result, with the job's error,
/// or with the reason why none could run. While the outbox has no room for an answer the runner takes nothing, so a
/// caller that does not read its answers slows its own requests down and loses none. The caller's side is
/// [`JobClient`](super::JobClient); the bytes are in `docs/jobs.md`.
///
/// A request is released from the inbox after its answer is published. If this process is killed in between, the next
/// runner gets it again; see [`answer_died`](Self::answer_died). An attachment of a region notes one request at a time. Two
/// runners of one attachment, which read its two rings, would overwrite each other's note: let the second one attach for
/// itself.
///
/// # Examples
///
/// ```
/// use inos_sab::{Input, JobClient, JobError, JobOutput, JobRunner, Layout, Region, Threads};
///
/// let region = Region::<Threads>::heap(&Layout::compact(1 << 12, 1 << 20, 1 << 16)?)?;
/// let mut client = JobClient::new(region.inbox_producer()?, region.outbox_consumer()?)?;
/// let mut runner = JobRunner::new(region.inbox_consumer()?, region.outbox_producer()?)?
///     .with(1, |input: Input<'_>, out: &mut JobOutput<'_>| {
///         out.append(input.bytes())?;
///         out.as_mut_slice().reverse();
///         Ok(())
///     });
///
/// let first = client.submit(1, b"stressed")?;
/// let second = client.submit(9, b"nobody knows this kind")?;
/// runner.run_once(usize::MAX)?;
///
/// let answer = client.next_completion()?.ok_or("answered above")?;
/// assert_eq!((answer.id, answer.outcome?.as_slice()), (first, &b"desserts"[..]));
/// let answer = client.next_completion()?.ok_or("answered above")?;
/// assert_eq!((answer.id, answer.outcome.unwrap_err()), (second, JobError::UnknownKind { kind: 9 }));
/// # Ok::<(), Box<dyn core::error::Error>>(())
/// ```
pub struct JobRunner<T: Trust = Threads> {
    /// The requests' region, for the note in the participant record.
    shared: Arc<Shared>,
    consumer: Consumer<T>,
    answers: Answers<T>,
    jobs: BTreeMap<Kind, Box<dyn ComputeJob<T> + Send>>,
    /// Where hostile inputs are copied to.
    buffer: Vec<u8>,
    max_output: u32,
    /// The request whose runner died. Each is released before the next is taken, so only the first can come again.
    died: Option<JobId>,
}

/// What a [`JobRunner::run_once`] did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ran {
    /// Requests that were taken and answered.
    pub answered: usize,
    /// Of those, answered with an error.
    pub failed: usize,
    /// Frames that are no requests: shorter than a header, or without their block. Nobody can be answered.
    pub dropped: usize,
    /// Why it ended.
    pub next: Next,
}

/// Why a [`JobRunner::run_once`] ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// The inbox is empty.
    Idle,
    /// As many frames were taken as were allowed.
    More,
    /// The outbox may have no room for the next answer.
    OutboxFull,
}

impl<T: Trust> JobRunner<T> {
    /// A runner without jobs.
    ///
    /// # Errors
    ///
    /// [`JobRunnerError::RingTooSmall`] if a frame of the outbox cannot carry the header of an answer.
    pub fn new(inbox: Consumer<T>, outbox: Producer<T>) -> Result<Self, JobRunnerError> {
        let max = outbox.max_inline_len();
        if max < HEADER_BYTES {
            return Err(JobRunnerError::RingTooSmall { needed: HEADER_BYTES, max });
        }
        Ok(Self {
            shared: inbox.shared(),
            consumer: inbox,
            answers: Answers {
                producer: outbox,
                waiting: None,
                #[cfg(feature = "lz4")]
                packer: None,
            },
            jobs: BTreeMap::new(),
            buffer: Vec::new(),
            max_output: u32::MAX,
            died: None,
        })
    }

    /// Requests of `kind` go to `job`, in place of any job that had the kind.
    #[must_use]
    pub fn with(mut self, kind: Kind, job: impl ComputeJob<T> + Send + 'static) -> Self {
        self.jobs.insert(kind, Box::new(job));
        self
    }

    /// Results have at most `len` bytes; a job that wants more gets [`JobError::TooLarge`]. Without this, the largest
    /// block of the arena is the limit.
    #[must_use]
    pub fn max_output(mut self, len: u32) -> Self {
        self.max_output = len;
        self
    }

    /// Results of more than `len` bytes are packed with LZ4 if the caller said that it can unpack, and if that makes
    /// them shorter. Costs a private buffer as long as the longest result, among hostile parties two.
    #[cfg(feature = "lz4")]
    #[must_use]
    pub fn pack_above(mut self, len: u32) -> Self {
        self.answers.packer = Some(super::pack::Packer::new(len));
        self
    }

    /// Takes and answers up to `max` frames that are there. Does not wait. Takes nothing for which the outbox has no room.
    ///
    /// # Errors
    ///
    /// [`JobRunnerError`]; everything taken before is answered or kept. What [`Ran`] would have counted is lost.
    pub fn run_once(&mut self, max: usize) -> Result<Ran, JobRunnerError> {
        let mut ran = Ran { answered: 0, failed: 0, dropped: 0, next: Next::More };
        for _ in 0..max {
            self.answers.flush()?;
            if !self.answers.has_room()? {
                ran.next = Next::OutboxFull;
                break;
            }
            match self.take_one()? {
                None => {
                    ran.next = Next::Idle;
                    break;
                }
                Some(Taken::Result) => ran.answered += 1,
                Some(Taken::Refusal) => {
                    ran.answered += 1;
                    ran.failed += 1;
                }
                Some(Taken::NoRequest) => ran.dropped += 1,
            }
        }
        Ok(ran)
    }

    /// Runs and waits in turn until a wait ends without anything to do: [`Wake::Closed`] when the caller has left the
    /// inbox and everything is answered, whichever of its ends it drops first, [`Wake::TimedOut`] or [`Wake::Spurious`]
    /// after a wait of at most `timeout`, for the inbox or for room in the outbox, [`Wake::CannotBlock`] where threads
    /// cannot sleep. Each wait has the whole timeout.
    ///
    /// # Errors
    ///
    /// As [`run_once`](Self::run_once). [`JobRunnerError::Closed`] when the reader of the answers has left and a request or
    /// an answer is still here, or the writer of the requests is: another reader may come, and `run` be called again.
    pub fn run(&mut self, timeout: Option<Duration>) -> Result<Wake, JobRunnerError> {
        loop {
            let ran = match self.run_once(usize::MAX) {
                Err(JobRunnerError::Closed) => return self.left(),
                ran => ran?,
            };
            let wake = match ran.next {
                Next::More => continue,
                Next::Idle => self.consumer.wait(timeout),
                Next::OutboxFull => match self.answers.wait(timeout) {
                    Wake::Closed => return self.left(),
                    wake => wake,
                },
            };
            // What is corrupt, the next `run_once` says.
            if !matches!(wake, Wake::Ready | Wake::Corrupt) {
                return Ok(wake);
            }
        }
    }

    /// The reader of the answers has left: as it should if it wants none any more.
    fn left(&mut self) -> Result<Wake, JobRunnerError> {
        let done = self.answers.waiting.is_none() && self.consumer.wait(Some(Duration::ZERO)) == Wake::Closed;
        if done { Ok(Wake::Closed) } else { Err(JobRunnerError::Closed) }
    }

    /// How [`run`](Self::run) passes the time.
    pub fn set_patience(&mut self, patience: Patience) {
        self.consumer.set_patience(patience);
        self.answers.producer.set_patience(patience);
    }

    /// Says which request ran when the last runner's process died: [`Peer::job`](crate::Peer::job) of what
    /// [`Region::recover`](crate::Region::recover) found. If it comes again, it is what comes next, and is
    /// answered with [`JobError::RunnerDied`] instead of being run, as it may be what killed the runner. If something
    /// else comes next, it had been answered. To be called by the runner that takes over, before it runs.
    pub fn answer_died(&mut self, id: JobId) {
        self.died = Some(id);
    }

    /// Takes one frame and answers it. One at a time: a request is released when it is answered, and no later.
    fn take_one(&mut self) -> Result<Option<Taken>, JobRunnerError> {
        let Self { shared, consumer, answers, jobs, buffer, max_output, died } = self;
        let mut taken = None;
        let drained = consumer.drain(1, |frame| {
            let (kind, source) = match frame {
                Frame::Inline { kind, payload } => (kind, Source::Inline(payload)),
                Frame::Object { kind, object } => (kind, Source::Block(object)),
                Frame::Gone { .. } => {
                    taken = Some(Taken::NoRequest);
                    return Flow::Continue;
                }
            };
            let died = died.take();
            taken = Some(match source.header() {
                None => Taken::NoRequest,
                Some(header) => {
                    let request = Incoming { kind, header, source: &source };
                    let outcome = if died == Some(header.id) {
                        Err(JobError::RunnerDied)
                    } else {
                        shared.note_job(Some(header.id.0));
                        request.execute(jobs, answers, buffer, *max_output)
                    };
                    answers.answer(request, outcome)
                }
            });
            Flow::Continue
        });
        // After the release: until then the request can come again.
        shared.note_job(None);
        drained?;
        Ok(taken)
    }
}

impl<T: Trust> fmt::Debug for JobRunner<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kinds = self.jobs.keys();
        f.debug_struct("JobRunner").field("kinds", &kinds).field("answers", &self.answers).finish_non_exhaustive()
    }
}

/// What became of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Taken {
    Result,
    Refusal,
    NoRequest,
}

/// A request and the snapshot of its header.
#[derive(Debug)]
struct Incoming<'a, T: Trust> {
    kind: Kind,
    header: Header,
    source: &'a Source<'a, T>,
}

/// A result's block and its length; `None` for an empty one.
type Outcome<T> = Result<Option<(ArenaBox<T>, u32)>, JobError>;

impl<T: Trust> Incoming<'_, T> {
    fn execute(
        &self,
        jobs: &BTreeMap<Kind, Box<dyn ComputeJob<T> + Send>>,
        answers: &Answers<T>,
        buffer: &mut Vec<u8>,
        max_output: u32,
    ) -> Outcome<T> {
        let Header { id, len, .. } = self.header;
        if !self.header.is_request_of(self.source.len()) {
            return Err(JobError::Malformed);
        }
        let kind = self.kind;
        let job = jobs.get(&kind).ok_or(JobError::UnknownKind { kind })?;
        let arena = answers.producer.arena();
        let mut output = JobOutput::new(arena, max_output);
        let input = Input { source: self.source, arena, buffer, id, kind, len };
        contained(|| job.execute(input, &mut output))?;
        Ok(output.finish())
    }
}

/// Runs `job`; a panic is an error where panics unwind. What the job's own state is like after a panic is the job's
/// concern; the output is dropped, and the runner keeps nothing that a job could have left half done.
fn contained(job: impl FnOnce() -> Result<(), JobError>) -> Result<(), JobError> {
    #[cfg(all(feature = "std", panic = "unwind"))]
    {
        use core::panic::AssertUnwindSafe;
        use std::panic::catch_unwind;

        catch_unwind(AssertUnwindSafe(job)).unwrap_or_else(|panic| {
            let text = match panic.downcast_ref::<&'static str>() {
                Some(text) => text,
                None => panic.downcast_ref::<alloc::string::String>().map_or("", |text| text.as_str()),
            };
            let message = super::Message::new(text);
            // The payload is the job's own type: its drop may panic again, and what that throws is not dropped.
            if let Err(again) = catch_unwind(AssertUnwindSafe(move || drop(panic))) {
                core::mem::forget(again);
            }
            Err(JobError::Panicked { message })
        })
    }
    #[cfg(not(all(feature = "std", panic = "unwind")))]
    job()
}

/// The way to the caller.
struct Answers<T: Trust> {
    producer: Producer<T>,
    /// Finished, and refused by the outbox: its reader left while the job ran. Kept for the next reader.
    waiting: Option<(Kind, Finished<T>)>,
    #[cfg(feature = "lz4")]
    packer: Option<super::pack::Packer>,
}

/// A finished answer.
#[derive(Debug)]
enum Finished<T: Trust> {
    Block(ArenaBox<T>),
    Inline(Refusal),
}

impl<T: Trust> Answers<T> {
    /// Finishes an answer and publishes it. Called when none waits and there is room.
    fn answer(&mut self, request: Incoming<'_, T>, outcome: Outcome<T>) -> Taken {
        let Incoming { kind, header, .. } = request;
        let outcome = outcome.and_then(|result| match result {
            None => Ok(Finished::Inline(Refusal::empty_result(header.id))),
            Some((block, len)) => self.finish(block, len, header).map(Finished::Block),
        });
        let taken = match outcome {
            Ok(finished) => {
                self.waiting = Some((kind, finished));
                Taken::Result
            }
            Err(error) => {
                self.refuse(header.id, kind, &error);
                Taken::Refusal
            }
        };
        // If it cannot be published, the next call says why.
        let _ = self.flush();
        taken
    }

    fn refuse(&mut self, id: JobId, kind: Kind, error: &JobError) {
        let refusal = Refusal::new(id, error, self.producer.max_inline_len());
        self.waiting = Some((kind, Finished::Inline(refusal)));
    }

    #[cfg(feature = "lz4")]
    fn finish(&mut self, mut block: ArenaBox<T>, mut len: u32, header: Header) -> Result<ArenaBox<T>, JobError> {
        let mut packing = Packing::Plain;
        let accepted = header.flags & super::wire::FLAG_ACCEPTS_LZ4 != 0;
        let packed = self.packer.as_mut().filter(|_| accepted).and_then(|packer| packer.pack(&block, len));
        if let Some(packed) = packed {
            // Without a block for it the result travels as it is. The length is below `len`, so it fits.
            let packed_len = u32::try_from(packed.len()).unwrap_or(len);
            if let Ok(mut smaller) = self.producer.arena().alloc(HEADER_BYTES + packed_len) {
                smaller.write_at(HEADER_BYTES, packed)?;
                (block, len, packing) = (smaller, packed_len, Packing::Lz4);
            }
        }
        seal(&mut block, header.id, len, packing)?;
        Ok(block)
    }

    #[cfg(not(feature = "lz4"))]
    #[expect(clippy::unused_self, reason = "with the feature it has a packer")]
    fn finish(&mut self, mut block: ArenaBox<T>, len: u32, header: Header) -> Result<ArenaBox<T>, JobError> {
        seal(&mut block, header.id, len, Packing::Plain)?;
        Ok(block)
    }

    /// Publishes what waits.
    fn flush(&mut self) -> Result<(), JobRunnerError> {
        let Some((kind, finished)) = self.waiting.take() else { return Ok(()) };
        let (finished, reason) = match finished {
            Finished::Block(block) => match self.producer.push_object(kind, block) {
                Ok(_) => return Ok(()),
                Err(rejected) => (Finished::Block(rejected.value), rejected.reason),
            },
            Finished::Inline(refusal) => match self.producer.try_push(kind, refusal.as_bytes()) {
                Ok(_) => return Ok(()),
                Err(reason) => (Finished::Inline(refusal), reason),
            },
        };
        self.waiting = Some((kind, finished));
        Err(reason.into())
    }

    /// Whether any answer fits: the longest refusal does.
    fn has_room(&mut self) -> Result<bool, JobRunnerError> {
        match self.producer.claim(0, self.longest()) {
            Ok(claim) => claim.abort(),
            Err(PushError::Full { .. }) => return Ok(false),
            Err(reason) => return Err(reason.into()),
        }
        Ok(true)
    }

    /// Sleeps until any answer fits.
    fn wait(&mut self, timeout: Option<Duration>) -> Wake {
        self.producer.wait_room(self.longest(), timeout)
    }

    fn longest(&self) -> u32 {
        u32::try_from(REFUSAL_BYTES).unwrap_or(u32::MAX).min(self.producer.max_inline_len())
    }
}

impl<T: Trust> fmt::Debug for Answers<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Answers").field("waiting", &self.waiting).finish_non_exhaustive()
    }
}
