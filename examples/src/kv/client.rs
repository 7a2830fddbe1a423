//! A client of the store: it finds the primary, and repeats what got no answer.
//!
//! What to notice: the same request goes out as often as it takes, to whatever member, with the same client and serial.
//! So a write is applied once, whether the first attempt was lost, or the answer to it, or the primary with both.

use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use super::protocol::{Answer, Request, Token};
use super::store::{Entry, Put};
use super::transport::Connection;

/// A member that answers nothing for so long is left for another. Longer than a write takes, else load is taken for
/// death.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(1);
/// Before the next attempt, when nobody knows who is primary.
const PAUSE: Duration = Duration::from_millis(20);

/// The request had no answer in time, or never will have one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// Nobody has answered in time.
    #[error("no answer")]
    TimedOut,
    /// The group refuses it for good.
    #[error("refused: {0}")]
    Refused(String),
}

/// A committed put.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    /// Version of the key after it.
    pub version: u64,
    /// What was seen by then.
    pub session: Token,
    /// The member that answered.
    pub by: u32,
    /// `Mode::Fast`: how long it took until another member held it.
    pub fast: Option<Duration>,
    /// How long it took until it was committed.
    pub committed: Duration,
}

/// A client, with at most one request under way.
#[derive(Debug)]
pub struct Client {
    root: PathBuf,
    voters: u32,
    /// The member that is asked: the primary, as far as known.
    node: u32,
    connection: Option<Connection>,
    /// Attempts after the first.
    repeats: u64,
}

impl Client {
    /// A client of the members `0..voters` that are to be found under `root`.
    #[must_use]
    pub fn new(root: &Path, voters: u32) -> Self {
        Self { root: root.to_owned(), voters, node: 0, connection: None, repeats: 0 }
    }

    /// How often something was asked again.
    #[must_use]
    pub const fn repeats(&self) -> u64 {
        self.repeats
    }

    /// Puts a value. `client` and `serial` name the write; serials of a client grow, and no two clients share a number.
    ///
    /// # Errors
    /// [`ClientError`]. After `TimedOut` the put may be committed yet.
    pub fn put(&mut self, client: u64, serial: u64, put: Put, until: Instant) -> Result<Written, ClientError> {
        let started = Instant::now();
        let mut fast = None;
        let request = Request::Put { client, serial, put };
        let answer = self.ask_primary(&request, until, |answer| {
            let is_early = *answer == Answer::Fast;
            if is_early {
                fast.get_or_insert_with(|| started.elapsed());
            }
            !is_early
        })?;
        let Answer::Committed { version, session } = answer else { return Err(unexpected(&answer)) };
        Ok(Written { version, session, by: self.node, fast, committed: started.elapsed() })
    }

    /// Reads what was committed before this call.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn get(&mut self, key: &str, until: Instant) -> Result<Option<Entry>, ClientError> {
        match self.ask_primary(&Request::Get { key: key.into() }, until, |_| true)? {
            Answer::Value(entry) => Ok(entry),
            other => Err(unexpected(&other)),
        }
    }

    /// Asks member `node` once for no less than `session` has seen. `Answer::Again` when it has not got so far, `None`
    /// when it is away.
    pub fn get_session(&mut self, node: u32, key: &str, session: &Token) -> Option<Answer> {
        let request = Request::GetSession { key: key.into(), session: session.clone() };
        if node == self.node {
            return self.ask_once(&request, |_| true);
        }
        let mut other = Self { node, ..Self::new(&self.root, self.voters) };
        other.ask_once(&request, |_| true)
    }

    /// One question to the primary, wherever that is, as often as it takes.
    fn ask_primary(
        &mut self,
        request: &Request,
        until: Instant,
        mut is_last: impl FnMut(&Answer) -> bool,
    ) -> Result<Answer, ClientError> {
        loop {
            match self.ask_once(request, &mut is_last) {
                // A hint may be out of date: the member it names knows better, or is dead.
                Some(Answer::NotPrimary { hint: Some(hint) }) if hint != self.node && hint < self.voters => {
                    self.turn_to(hint);
                }
                Some(Answer::NotPrimary { .. }) | None => {
                    self.turn_to((self.node + 1) % self.voters);
                    thread::sleep(PAUSE);
                }
                Some(Answer::Again) => thread::sleep(PAUSE),
                Some(Answer::Refused { reason }) => return Err(ClientError::Refused(reason)),
                Some(answer) => return Ok(answer),
            }
            if Instant::now() >= until {
                return Err(ClientError::TimedOut);
            }
            self.repeats += 1;
        }
    }

    /// `None` when there was no answer. Then the connection is closed: what may come yet is not the answer to the next
    /// question.
    fn ask_once(&mut self, request: &Request, mut is_last: impl FnMut(&Answer) -> bool) -> Option<Answer> {
        let mut connection = match self.connection.take() {
            Some(open) => open,
            None => Connection::open(&self.root, self.node, ANSWER_TIMEOUT).ok()?,
        };
        connection.ask(request).ok()?;
        loop {
            let answer = connection.answer().ok()?;
            if is_last(&answer) {
                self.connection = Some(connection);
                return Some(answer);
            }
        }
    }

    fn turn_to(&mut self, node: u32) {
        if node != self.node {
            (self.node, self.connection) = (node, None);
        }
    }
}

fn unexpected(answer: &Answer) -> ClientError {
    ClientError::Refused(format!("an answer to another question: {answer:?}"))
}
