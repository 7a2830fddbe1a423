//! The workers and the two queues between them and the thread that owns the encoder.

use super::Workers;
use super::job::{Done, Job};
use super::stripe::{BATCH_BYTES, Stripe};
use crate::Config;
use crate::encoder::{Packed, Shard, ShardMemory, Tools, Work};
use alloc::collections::VecDeque;
use alloc::vec::Vec;
use bytes::Bytes;
use core::fmt;
use crossbeam_channel::{Receiver, Sender, TrySendError, bounded, never};
use std::thread::{Builder, JoinHandle};

/// Jobs that wait. When the queue is full its owner works itself, so a larger one would only hold more.
const MAX_WAITING_JOBS: usize = 128;

/// Batches of chunks under way or done ahead of what is asked for, per worker. Four, so that a worker finds the next
/// job waiting while the owner of the encoder is busy with a long one.
const BATCHES_PER_WORKER: usize = 4;

/// Stripes under way: one being completed, so that there are always columns of the next to work on.
const STRIPES_AT_ONCE: usize = 2;

/// A worker panicked, or is gone.
#[derive(Debug)]
pub(super) struct Panicked;

/// Does the work on several threads, of which the owner's is one: it works whenever it would have to wait.
pub(super) struct Pool {
    threads: Vec<JoinHandle<()>>,
    /// `None` when the pool is closing.
    order: Option<Sender<Job>>,
    waiting: Receiver<Job>,
    done: Receiver<Done>,
    /// The owner's own.
    tools: Tools,
    memory: ShardMemory,
    /// Chunks of a batch.
    batch: usize,
    /// Chunks under way or done and not asked for.
    window: usize,
    /// Number of the chunk that is asked for next.
    next_chunk: u64,
    /// Chunks from `next_chunk` on that were ordered.
    packed: VecDeque<Option<Packed>>,
    /// Number of the front of `stripes`.
    next_stripe: u64,
    stripes: VecDeque<Stripe>,
}

impl Pool {
    /// Starts `workers - 1` threads. Returns how many could be started if the system refused one; those have ended.
    pub(super) fn start(config: &Config, workers: Workers) -> Result<Self, u16> {
        let threads = workers.count() - 1;
        let batch = (BATCH_BYTES / config.chunk_size.bytes()).max(1);
        let (order, waiting) = bounded(MAX_WAITING_JOBS);
        let (report, done) = bounded(MAX_WAITING_JOBS + usize::from(threads));
        let mut pool = Self {
            threads: Vec::with_capacity(threads.into()),
            order: Some(order),
            waiting,
            done,
            tools: Tools::new(config.compression),
            memory: ShardMemory::default(),
            batch,
            // A single worker has nobody to prepare for.
            window: if threads == 0 { 0 } else { BATCHES_PER_WORKER * batch * usize::from(workers.count()) },
            next_chunk: 0,
            packed: VecDeque::new(),
            next_stripe: 0,
            stripes: VecDeque::new(),
        };
        for started in 0..threads {
            let (waiting, report) = (pool.waiting.clone(), report.clone());
            let mut tools = Tools::new(config.compression);
            let work = move || {
                for job in waiting {
                    // Nobody listens when the pool is closing.
                    if report.send(job.run(&mut tools)).is_err() {
                        break;
                    }
                }
            };
            match Builder::new().name("inos-chunk".into()).spawn(work) {
                Ok(thread) => pool.threads.push(thread),
                Err(_) => return Err(started),
            }
        }
        Ok(pool)
    }

    #[cfg(test)]
    pub(super) fn order_panic(&mut self) {
        let order = self.order.as_ref().expect("the pool is open");
        order.send(Job::Panic).expect("the pool is open");
    }

    /// Queues a job, or does it here when the queue is full.
    fn order(&mut self, job: Job) -> Result<(), Panicked> {
        let order = self.order.as_ref().ok_or(Panicked)?;
        match order.try_send(job) {
            Ok(()) => Ok(()),
            Err(TrySendError::Full(job) | TrySendError::Disconnected(job)) => {
                let done = job.run(&mut self.tools);
                self.settle(done)
            }
        }
    }

    fn settle(&mut self, done: Done) -> Result<(), Panicked> {
        match done {
            Done::Packed { first, packed } => {
                let at = usize::try_from(first - self.next_chunk).expect("no more than the window is ordered");
                for (slot, packed) in self.packed.range_mut(at..).zip(packed) {
                    *slot = Some(packed);
                }
            }
            Done::Encoded { stripe, column, parity } => {
                for job in self.stripe(stripe).encoded(column, parity) {
                    self.order(job)?;
                }
            }
            Done::Named { stripe, first, ids } => self.stripe(stripe).named(first, ids),
            Done::Panicked => return Err(Panicked),
        }
        Ok(())
    }

    fn stripe(&mut self, number: u64) -> &mut Stripe {
        let at = usize::try_from(number - self.next_stripe).expect("few stripes are under way");
        &mut self.stripes[at]
    }

    /// Works until `is_ready`, and sleeps only while there is no job left to begin.
    fn work_until(&mut self, is_ready: impl Fn(&Self) -> bool) -> Result<(), Panicked> {
        loop {
            while let Ok(done) = self.done.try_recv() {
                self.settle(done)?;
            }
            if is_ready(self) {
                return Ok(());
            }
            let done = match self.waiting.try_recv() {
                Ok(job) => job.run(&mut self.tools),
                Err(_) => self.done.recv().map_err(|_| Panicked)?,
            };
            self.settle(done)?;
        }
    }

    fn order_batch(&mut self, chunks: Vec<Bytes>) -> Result<(), Panicked> {
        let first = self.next_chunk + self.packed.len() as u64;
        self.packed.extend(chunks.iter().map(|_| None));
        self.order(Job::Pack { first, chunks })
    }
}

impl Work for Pool {
    type Error = Panicked;

    fn lag(&self) -> usize {
        self.window
    }

    fn stripes_at_once(&self) -> usize {
        if self.window == 0 { 1 } else { STRIPES_AT_ONCE }
    }

    fn look_ahead(&mut self, queue: &VecDeque<Bytes>) -> Result<(), Panicked> {
        let end = queue.len().min(self.window);
        while self.packed.len() + self.batch <= end {
            let from = self.packed.len();
            self.order_batch(queue.range(from..from + self.batch).cloned().collect())?;
        }
        Ok(())
    }

    fn chunk(&mut self, chunk: &Bytes) -> Result<Packed, Panicked> {
        if self.packed.is_empty() {
            // The end of the resource, less than a batch.
            self.order_batch(alloc::vec![chunk.clone()])?;
        }
        self.work_until(|pool| pool.packed.front().is_some_and(Option::is_some))?;
        self.next_chunk += 1;
        self.packed.pop_front().flatten().ok_or(Panicked)
    }

    fn start_stripe(&mut self, chunks: Vec<Bytes>, parity: u16) -> Result<(), Panicked> {
        let number = self.next_stripe + self.stripes.len() as u64;
        let memory = |shard_bytes| self.memory.take(parity, shard_bytes);
        let (stripe, jobs) = Stripe::start(number, chunks, parity, memory);
        self.stripes.push_back(stripe);
        jobs.into_iter().try_for_each(|job| self.order(job))
    }

    fn finish_stripe(&mut self) -> Result<VecDeque<Shard>, Panicked> {
        self.work_until(|pool| pool.stripes.front().is_some_and(Stripe::is_finished))?;
        let shards = self.stripes.pop_front().ok_or(Panicked)?.finish();
        self.next_stripe += 1;
        self.memory.remember(&shards);
        Ok(shards)
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        // Jobs that nobody began are not begun any more; a thread that reports, and one that waits, both stop.
        self.order = None;
        self.done = never();
        while self.waiting.try_recv().is_ok() {}
        for thread in self.threads.drain(..) {
            // It cannot have panicked: jobs are run where panics are caught.
            let _ = thread.join();
        }
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool").field("threads", &self.threads.len()).finish_non_exhaustive()
    }
}
