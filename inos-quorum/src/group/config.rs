//! How a group is set up.

use alloc::vec::Vec;
use core::time::Duration;

use thiserror::Error;

use crate::Mode;

/// Names a group among all groups whose frames may meet on one transport.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GroupId(pub u128);

/// When a vote or an entry counts as held.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Storage {
    /// Once [`Group::persisted`](crate::Group::persisted) has said so. The member may crash and recover.
    Durable,
    /// As soon as it is in memory; nothing is polled for storage. A member that stopped must never be started again
    /// under the same node id: it would have forgotten its votes. A majority that stops takes the state with it.
    Volatile,
}

/// How the member starts.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Boot<N> {
    /// The first start of a new group of these voters, in any order. Once per node and group: with durable storage
    /// every later start is a [`Recover`](Self::Recover).
    Genesis(Vec<N>),
    /// A later start with durable storage: all records that [`poll_persist`](crate::Group::poll_persist) ever gave
    /// and that storage holds durably, oldest first. Every record reported as persisted has to be there; of those
    /// never reported a prefix may.
    Recover(Vec<Vec<u8>>),
}

/// Settings of one member. Timing and limits may differ between members and between starts; group and mode must not.
///
/// ```
/// use core::time::Duration;
/// use inos_quorum::{Config, GroupId, Mode, Storage};
///
/// let config = Config { storage: Storage::Volatile, ..Config::new(GroupId(7), Mode::Majority) };
/// assert_eq!(config.elect_min, Duration::from_secs(1));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Config {
    /// The group.
    pub group: GroupId,
    /// What writes and elections wait for.
    pub mode: Mode,
    /// When something counts as held. Default: durable.
    pub storage: Storage,
    /// How often the primary is heard and lost frames are sent again. At most half of `elect_min`. Default 100 ms.
    pub heartbeat: Duration,
    /// Silence of the primary for `elect_min` to 1.5 x `elect_min`, drawn anew each time, starts an election; for
    /// `elect_min` nobody votes against it; a primary that has not heard a majority for as long steps down.
    /// Default 1 s.
    pub elect_min: Duration,
    /// When a write that is not yet committed gets its `LocalOnly` receipt. Default 50 ms.
    pub write_timeout: Duration,
    /// No frame is longer, sent or accepted, in bytes; 1 KiB to 1 GiB. Bounds a delta too. The same on all members.
    /// Default 2 MiB.
    pub max_frame: usize,
    /// Bytes of entries under way to one member without its acknowledgement. Default 4 MiB.
    pub max_inflight_bytes: u64,
    /// Entries of the log beyond which writes are refused: the whole log stays in memory. Default 2^20.
    pub max_log_entries: u64,
    /// Bytes of the log, as encoded, beyond which writes are refused. Default 64 MiB.
    pub max_log_bytes: u64,
    /// Entries not yet committed beyond which writes are refused. Default 1,024.
    pub max_uncommitted: u64,
    /// Clients remembered for their retries; a further client is refused. Default 4,096.
    pub max_clients: usize,
    /// Reads under way beyond which `read_index` is refused. Default 1,024.
    pub max_reads: usize,
    /// Events not yet polled beyond which writes and reads are refused. Default 4,096.
    pub max_events: usize,
}

impl Config {
    /// The defaults for a durable member.
    #[must_use]
    pub const fn new(group: GroupId, mode: Mode) -> Self {
        Self {
            group,
            mode,
            storage: Storage::Durable,
            heartbeat: Duration::from_millis(100),
            elect_min: Duration::from_secs(1),
            write_timeout: Duration::from_millis(50),
            max_frame: 2 << 20,
            max_inflight_bytes: 4 << 20,
            max_log_entries: 1 << 20,
            max_log_bytes: 64 << 20,
            max_uncommitted: 1024,
            max_clients: 4096,
            max_reads: 1024,
            max_events: 4096,
        }
    }

    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        let Self { heartbeat, elect_min, max_frame, .. } = *self;
        if heartbeat < Duration::from_millis(1) || elect_min > MAX_ELECT_MIN || heartbeat.saturating_mul(2) > elect_min
        {
            return Err(ConfigError::Timing { heartbeat, elect_min });
        }
        if !(MIN_FRAME..=MAX_FRAME).contains(&max_frame) {
            return Err(ConfigError::FrameLimit { max_frame });
        }
        Ok(())
    }
}

/// Voters of one group at most. Groups have 5 to 7; the arithmetic holds for more, the traffic does not get better.
pub const MAX_VOTERS: usize = 15;
const MIN_FRAME: usize = 1 << 10;
const MAX_FRAME: usize = 1 << 30;
const MAX_ELECT_MIN: Duration = Duration::from_secs(86_400);

/// The member cannot start. The caller's doing, or its storage's; nothing was sent or written.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The caller: 1 ms <= heartbeat <= elect_min / 2 and elect_min <= 1 day must hold.
    #[error("heartbeat {heartbeat:?} does not fit elect_min {elect_min:?}")]
    Timing {
        /// As given.
        heartbeat: Duration,
        /// As given.
        elect_min: Duration,
    },
    /// The caller: the frame limit is outside 1 KiB to 1 GiB.
    #[error("a frame limit of {max_frame} bytes is outside 1 KiB to 1 GiB")]
    FrameLimit {
        /// As given.
        max_frame: usize,
    },
    /// The caller: a group has 1 to [`MAX_VOTERS`] voters, each named once.
    #[error("{given} voters, of which {distinct} are distinct: 1 to 15 distinct ones are needed")]
    Voters {
        /// Voters in the list.
        given: usize,
        /// Different voters in the list.
        distinct: usize,
    },
    /// The caller: this node is not one of the voters, or the records are another node's.
    #[error("this node is not the voter it was started as")]
    NotVoter,
    /// The caller: a volatile member has no records to recover from, and must not come back under its old id.
    #[error("volatile storage cannot be recovered")]
    VolatileRecovery,
    /// The caller: the records belong to another group.
    #[error("the records belong to group {found:?}")]
    OtherGroup {
        /// The group in the records.
        found: GroupId,
    },
    /// The storage: a record is damaged, missing or out of place. Recovering without it could forget a vote or an
    /// acknowledged write.
    #[error("record {index} is damaged, missing or out of place")]
    Record {
        /// Position of the record in the list.
        index: usize,
    },
    /// The machine: the delta of a recovered entry is not one of it. The records were written by another version.
    #[error("the delta of entry {sequence} cannot be decoded")]
    Delta {
        /// The entry.
        sequence: u64,
    },
}
