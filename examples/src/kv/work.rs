//! Workers that write, and remember what has to be there.
//!
//! What to notice: how a write that is lost or applied twice shows. Each worker is the only writer of its keys, so it knows
//! the version of each: one more than before after each put, and the value of the last.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::client::{Client, ClientError, Written};
use super::protocol::{Answer, Token};
use super::store::{Entry, Put};

/// Keys of one worker.
const KEYS: u32 = 8;
/// Every so many writes the worker reads its own write at another member.
const READ_EVERY: u64 = 16;
/// A write that takes longer has failed: two elections in a row do not.
const PATIENCE: Duration = Duration::from_secs(15);

/// What workers and driver tell each other.
#[derive(Debug)]
pub(super) struct Progress {
    /// Commits that each member has acknowledged.
    commits: Vec<AtomicU64>,
    stop: AtomicBool,
}

impl Progress {
    pub(super) fn new(voters: u32) -> Self {
        Self { commits: (0..voters).map(|_| AtomicU64::new(0)).collect(), stop: AtomicBool::new(false) }
    }

    // Counters and a flag by themselves, nothing is published with them: Relaxed will do.
    pub(super) fn commits(&self) -> Vec<u64> {
        self.commits.iter().map(|count| count.load(Ordering::Relaxed)).collect()
    }

    /// Workers go on until this is dropped, in a panic as well.
    pub(super) const fn while_kept(&self) -> Work<'_> {
        Work(&self.stop)
    }

    fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }
}

/// Ends the work when it is dropped.
#[derive(Debug)]
pub(super) struct Work<'a>(&'a AtomicBool);

impl Drop for Work<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// One writer.
#[derive(Debug)]
pub(super) struct Worker<'a> {
    number: u32,
    client: Client,
    progress: &'a Progress,
    serial: u64,
    /// Of each key, what has to be there.
    expected: Vec<Option<Entry>>,
    outcome: Outcome,
}

/// What a worker has seen.
#[derive(Clone, Debug, Default)]
pub(super) struct Outcome {
    pub(super) committed: Vec<Duration>,
    pub(super) fast: Vec<Duration>,
    pub(super) repeats: u64,
    pub(super) session_reads: u64,
    pub(super) breaches: Vec<String>,
}

/// What a worker leaves behind to be looked for.
#[derive(Debug)]
pub(super) struct Done {
    pub(super) outcome: Outcome,
    expected: Vec<(String, Option<Entry>)>,
}

impl<'a> Worker<'a> {
    pub(super) fn new(number: u32, client: Client, progress: &'a Progress) -> Self {
        let expected = (0..KEYS).map(|_| None).collect();
        Self { number, client, progress, serial: 0, expected, outcome: Outcome::default() }
    }

    /// Writes until told to stop.
    pub(super) fn run(mut self) -> Done {
        while !self.progress.is_stopped() {
            if let Err(error) = self.write() {
                self.outcome.breaches.push(format!("write {} of client {}: {error}", self.serial, self.number));
                break;
            }
        }
        self.outcome.repeats = self.client.repeats();
        let keys = (0..KEYS).map(|key| self.key(key));
        Done { expected: keys.zip(self.expected.iter().cloned()).collect(), outcome: self.outcome }
    }

    fn key(&self, key: u32) -> String {
        format!("client-{}/key-{key}", self.number)
    }

    fn write(&mut self) -> Result<(), ClientError> {
        self.serial += 1;
        let index = usize::try_from(self.serial % u64::from(KEYS)).expect("a remainder of a small number is small");
        let key = self.key(u32::try_from(index).expect("a remainder of a small number is small"));
        let value = format!("value {} of client {}", self.serial, self.number);
        let put = Put { key: key.clone(), value: value.clone() };
        let until = Instant::now() + PATIENCE;
        let written = self.client.put(self.number.into(), self.serial, put, until)?;
        let Written { version, session, by, fast, committed } = written;

        if let Some(count) = self.progress.commits.get(by as usize) {
            count.fetch_add(1, Ordering::Relaxed);
        }
        self.outcome.committed.push(committed);
        self.outcome.fast.extend(fast);
        let due = self.expected[index].as_ref().map_or(0, |before| before.version) + 1;
        if version != due {
            let what = if version < due { "a write before it is lost" } else { "a write was applied twice" };
            self.outcome.breaches.push(format!("{key}: version {version} instead of {due}: {what}"));
        }
        self.expected[index] = Some(Entry { value, version });
        if self.serial.is_multiple_of(READ_EVERY) {
            self.read_elsewhere(&key, index, &session);
        }
        Ok(())
    }

    /// A session sees its own writes at whatever member, or is told to ask again.
    fn read_elsewhere(&mut self, key: &str, index: usize, session: &Token) {
        let voters = self.progress.commits.len() as u64;
        let node = u32::try_from(self.serial / READ_EVERY % voters).expect("there are few members");
        if let Some(Answer::Value(found)) = self.client.get_session(node, key, session) {
            self.outcome.session_reads += 1;
            if found != self.expected[index] {
                self.outcome
                    .breaches
                    .push(format!("{key}: member {node} shows {found:?} to a session that wrote later"));
            }
        }
    }
}

impl Done {
    /// Looks whether all that was acknowledged is there, once.
    pub(super) fn audit(&self, client: &mut Client, until: Instant, breaches: &mut Vec<String>) {
        for (key, expected) in &self.expected {
            match client.get(key, until) {
                Ok(found) if found == *expected => {}
                Ok(found) => breaches.push(format!("{key}: {found:?} instead of {expected:?}")),
                Err(error) => breaches.push(format!("{key}: {error}")),
            }
        }
    }
}
