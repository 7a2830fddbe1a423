//! What clients and members say to each other, as JSON in frames of [`transport`](super::transport).

use inos_quorum::{Lsn, Session, VectorClock};
use serde::{Deserialize, Serialize};

use super::store::{Entry, Put};

/// A client's question. Each gets one [`Answer`], a put in `Mode::Fast` maybe two.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Request {
    /// Write. Client and serial name the write for ever: a repeat of it bears the same.
    Put {
        /// Who writes.
        client: u64,
        /// Which of its writes.
        serial: u64,
        /// What.
        put: Put,
    },
    /// Read what was committed before the question, whoever had it acknowledged. The primary answers.
    Get {
        /// The key.
        key: String,
    },
    /// Read no less than the session has seen. Any member answers that has got so far.
    GetSession {
        /// The key.
        key: String,
        /// From an earlier answer.
        session: Token,
    },
    /// How the member is.
    Status,
}

/// What a member answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Answer {
    /// The put is in the history for ever.
    Committed {
        /// Of the key, after it.
        version: u64,
        /// What its writer has seen now.
        session: Token,
    },
    /// `Mode::Fast`: one other member holds the put. `Committed` or `Again` follows.
    Fast,
    /// What was read.
    Value(Option<Entry>),
    /// Ask the primary, which is this one if known.
    NotPrimary {
        /// Its node.
        hint: Option<u32>,
    },
    /// Not answered: a limit, a member that lags behind, a primary that lost its office. Ask again, the same question.
    Again,
    /// What the session has seen is not in the history (`Mode::Fast` alone). Begin a new one.
    SessionBroken,
    /// Never answered, however often it is asked.
    Refused {
        /// Why.
        reason: String,
    },
    /// How the member is.
    Status(Status),
}

/// How a member is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// Whether it is primary.
    pub is_primary: bool,
    /// Its epoch: of two primaries the later one is right.
    pub epoch: u64,
    /// The last entry that it knows to be committed.
    pub committed: u64,
    /// Of the committed state.
    pub state_hash: u64,
    /// What its journal had lost at the end when it started.
    pub torn_bytes: u64,
    /// How often its journal was replaced by a checkpoint since then.
    pub checkpoints: u64,
}

/// A [`Session`] on its way through a client.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Token {
    epoch: u64,
    sequence: u64,
    clock: Vec<u8>,
}

impl From<&Session<u32>> for Token {
    fn from(session: &Session<u32>) -> Self {
        let Lsn { epoch, sequence } = session.lsn;
        Self { epoch, sequence, clock: session.clock.to_bytes() }
    }
}

impl Token {
    /// The session; `None` when a client made up its bytes.
    #[must_use]
    pub fn session(&self) -> Option<Session<u32>> {
        let clock = VectorClock::from_bytes(&self.clock).ok()?;
        Some(Session { clock, lsn: Lsn { epoch: self.epoch, sequence: self.sequence } })
    }
}
