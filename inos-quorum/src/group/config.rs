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
    /// As soon as it is in memory; nothing is polled for storage. A member that stopped has forgotten its votes: it
    /// comes back with [`Boot::Join`] alone, as a new member. A majority that stops takes the state with it.
    Volatile,
}

/// How the member starts.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Boot<N> {
    /// The first start of a new group of these voters, in any order. Once per node and group, whatever the storage:
    /// every later start is a [`Recover`](Self::Recover) or a [`Join`](Self::Join). Founders have seats of incarnation
    /// 0. They may be fewer than [`Mode::Flex`] writes to: then a write needs all of them.
    Genesis(Vec<N>),
    /// A member that knows nothing, and will be added by [`Group::add_learner`](crate::Group::add_learner): a new node,
    /// or one that has lost its memory. It believes frames of these nodes. They are in no record: who crashes before its
    /// first snapshot arrives has to be told of them again, see [`Recover`](Self::Recover). Its seat is its
    /// [`Actor`](crate::Actor), so the incarnation must be greater than 0 and new.
    Join(Vec<N>),
    /// A later start with durable storage: all records that [`poll_persist`](crate::Group::poll_persist) gave and that
    /// storage holds durably, oldest first, from one that [replaces all](crate::PersistToken::replaces_all) before it.
    /// Every record reported as persisted has to be there; of those never reported a prefix may. The incarnation is a new
    /// one. What a crash left half-written at the end of a file was never reported: cut it off first. All that is given
    /// here counts as durable, so sync it before; see "A file of records" in `docs/protocol.md`. A member that had joined
    /// and knows of no configuration yet (its [`number`](crate::Configuration::number) is 0) hears nobody until
    /// the others are [introduced](crate::Group::introduce).
    Recover(Vec<Vec<u8>>),
}

/// Settings of one member. Timing and limits may differ between members and between starts; group and mode must not, and
/// `lease` (with its drift) must stay below the `elect_min` of every member: a lease is what the others wait for.
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
    /// What writes and elections wait for. The same on all members.
    pub mode: Mode,
    /// When something counts as held. Default: durable.
    pub storage: Storage,
    /// How often the primary is heard and lost frames are sent again. At most half of `elect_min`. Default 100 ms.
    pub heartbeat: Duration,
    /// Silence of the primary for `elect_min` to 1.5 x `elect_min`, drawn anew each time, starts an election; for
    /// `elect_min` nobody votes against it; a primary that has not heard a majority for as long steps down. At most a
    /// day. Default 1 s.
    pub elect_min: Duration,
    /// When a write that is not yet committed gets its `LocalOnly` receipt. At most a day. Default 50 ms.
    pub write_timeout: Duration,
    /// [`Mode::Fast`]: nothing is acknowledged `Fast` while the oldest uncommitted entry is older than this, so all
    /// writes at risk at any instant were made within it. At most a day. Default 150 ms.
    pub exposure: Duration,
    /// [`Mode::Fast`]: nothing is acknowledged `Fast` while so many entries are uncommitted. Default 1,024.
    pub exposure_writes: u64,
    /// [`Mode::Fast`]: how long a candidate that misses acknowledged entries waits for a member that has them. At most
    /// `elect_min`. Default 250 ms.
    pub elect_grace: Duration,
    /// How long a primary answers reads by itself after a heartbeat that a majority echoed was sent. Longer than
    /// `heartbeat`, and with the drift shorter than `elect_min`; zero for no lease. Default 700 ms.
    pub lease: Duration,
    /// By how much two clocks may differ in rate, in thousandths. At most 1,000. Default 100.
    pub max_drift_per_mille: u32,
    /// After this silence a voter may be replaced. At least `elect_min`, at most a day. Default 5 s.
    pub unreachable: Duration,
    /// Of candidates with equal logs the one of the greatest priority is preferred, then the least id. Default 0.
    pub priority: u8,
    /// Caught-up learners become voters until there are so many; 1 to [`MAX_VOTERS`]. Default 5.
    pub target: usize,
    /// With fewer sound voters [`NeedReplica`](crate::Event::NeedReplica) asks for more; at most `target`. Default 5.
    pub recruit_below: usize,
    /// No frame is longer, sent or accepted, in bytes; 1 KiB to 1 GiB. The same on all members. Default 64 KiB, for
    /// streams. A UDP datagram over IPv4 carries 65,507 bytes at most, 29 less, and any below about 1,400 spares IP to
    /// cut it up: over datagrams set this to what one carries, less whatever the transport puts in front of a frame.
    pub max_frame: usize,
    /// No snapshot, delta, or set of orphans is longer, in bytes; what exceeds `max_frame` travels in parts. A state
    /// whose snapshot is longer cannot bring back a straggler: [`StateTooLong`](crate::Event::StateTooLong). From
    /// `max_frame` to 1 GiB. The same on all members. Default 64 MiB.
    pub max_reassembly: usize,
    /// Bytes of entries or parts under way to one member without its acknowledgement. Default 4 MiB.
    pub max_inflight_bytes: u64,
    /// Committed entries that stay in memory for stragglers; who is further behind gets a snapshot. Default 4,096.
    pub ring_entries: u64,
    /// Bytes of them. Default 16 MiB.
    pub ring_bytes: u64,
    /// Once the records since the last snapshot record are longer than this, and than it, the next one is due.
    /// Default 4 MiB.
    pub checkpoint_bytes: u64,
    /// Entries not yet committed beyond which writes are refused. At least 1. Default 1,024.
    pub max_uncommitted: u64,
    /// Clients remembered for their retries; a further client is refused. Those of orphans come on top. Default 4,096.
    pub max_clients: usize,
    /// Reads under way beyond which `read_index` is refused. Default 1,024.
    pub max_reads: usize,
    /// Events not yet polled beyond which writes and reads are refused. Default 4,096.
    pub max_events: usize,
    /// Orphans kept until the group has dealt with them; the oldest give way. Default 1,024.
    pub max_orphans: usize,
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
            exposure: Duration::from_millis(150),
            exposure_writes: 1024,
            elect_grace: Duration::from_millis(250),
            lease: Duration::from_millis(700),
            max_drift_per_mille: 100,
            unreachable: Duration::from_secs(5),
            priority: 0,
            target: 5,
            recruit_below: 5,
            max_frame: 64 << 10,
            max_reassembly: 64 << 20,
            max_inflight_bytes: 4 << 20,
            ring_entries: 4096,
            ring_bytes: 16 << 20,
            checkpoint_bytes: 4 << 20,
            max_uncommitted: 1024,
            max_clients: 4096,
            max_reads: 1024,
            max_events: 4096,
            max_orphans: 1024,
        }
    }

    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        let Self { heartbeat, elect_min, lease, max_drift_per_mille, max_frame, max_reassembly, .. } = *self;
        if heartbeat < Duration::from_millis(1) || elect_min > DAY || heartbeat.saturating_mul(2) > elect_min {
            return Err(ConfigError::Timing { heartbeat, elect_min });
        }
        // A follower's clock may be fast and this one slow.
        let stretched = lease.saturating_mul(1000 + max_drift_per_mille.min(1000)) / 1000;
        if max_drift_per_mille > 1000 || (!lease.is_zero() && (lease <= heartbeat || stretched >= elect_min)) {
            return Err(ConfigError::Lease { lease, max_drift_per_mille, heartbeat, elect_min });
        }
        let day = [self.write_timeout, self.exposure, self.unreachable].into_iter().all(|wait| wait <= DAY);
        if !day || self.unreachable < elect_min || self.elect_grace > elect_min {
            let Self { write_timeout, exposure, unreachable, elect_grace, .. } = *self;
            return Err(ConfigError::Waits { write_timeout, exposure, unreachable, elect_grace });
        }
        if !(MIN_FRAME..=MAX_FRAME).contains(&max_frame) || !(max_frame..=MAX_FRAME).contains(&max_reassembly) {
            return Err(ConfigError::FrameLimit { max_frame, max_reassembly });
        }
        let Self { target, recruit_below, .. } = *self;
        if !(1..=MAX_VOTERS).contains(&target) || recruit_below > target {
            return Err(ConfigError::Target { target, recruit_below });
        }
        let one = self.max_uncommitted.min(self.max_inflight_bytes).min(self.ring_entries);
        if one == 0 || self.max_clients.min(self.max_reads).min(self.max_events) == 0 {
            return Err(ConfigError::Zero);
        }
        Ok(())
    }
}

/// Voters of one group at most. Groups have 5 to 7; the arithmetic holds for more, the traffic does not get better.
pub const MAX_VOTERS: usize = 15;
/// Learners of one group at most.
pub const MAX_LEARNERS: usize = 64;
const MIN_FRAME: usize = 1 << 10;
const MAX_FRAME: usize = 1 << 30;
const DAY: Duration = Duration::from_secs(86_400);

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
    /// The caller: heartbeat < lease and lease x (1 + drift) < elect_min must hold, and the drift be at most 1,000.
    #[error(
        "a lease of {lease:?} with {max_drift_per_mille} thousandths of drift does not fit {heartbeat:?} and {elect_min:?}"
    )]
    Lease {
        /// As given.
        lease: Duration,
        /// As given.
        max_drift_per_mille: u32,
        /// As given.
        heartbeat: Duration,
        /// As given.
        elect_min: Duration,
    },
    /// The caller: a wait is longer than a day, `elect_grace` longer than `elect_min`, or `unreachable` shorter.
    #[error("waits out of range: {write_timeout:?}, {exposure:?}, {unreachable:?}, {elect_grace:?}")]
    Waits {
        /// As given.
        write_timeout: Duration,
        /// As given.
        exposure: Duration,
        /// As given.
        unreachable: Duration,
        /// As given.
        elect_grace: Duration,
    },
    /// The caller: 1 KiB <= max_frame <= max_reassembly <= 1 GiB must hold.
    #[error("frames of {max_frame} and parcels of {max_reassembly} bytes are not within 1 KiB to 1 GiB")]
    FrameLimit {
        /// As given.
        max_frame: usize,
        /// As given.
        max_reassembly: usize,
    },
    /// The caller: recruit_below <= target and target from 1 to [`MAX_VOTERS`] must hold.
    #[error("a target of {target} voters, recruiting below {recruit_below}")]
    Target {
        /// As given.
        target: usize,
        /// As given.
        recruit_below: usize,
    },
    /// The caller: a limit that has to let something through is 0.
    #[error("a limit is zero")]
    Zero,
    /// The caller: a group has 1 to [`MAX_VOTERS`] voters, each named once.
    #[error("{given} voters, of which {distinct} are distinct: 1 to 15 distinct ones are needed")]
    Voters {
        /// Voters in the list.
        given: usize,
        /// Different voters in the list.
        distinct: usize,
    },
    /// The caller: this node is not one of the founders, joins with incarnation 0, or the records are another node's.
    #[error("this node is not the member it was started as")]
    NotMember,
    /// The caller: a volatile member has no records to recover from, and comes back with [`Boot::Join`].
    #[error("volatile storage cannot be recovered")]
    VolatileRecovery,
    /// The caller: the records belong to another group.
    #[error("the records belong to group {found:?}")]
    OtherGroup {
        /// The group in the records.
        found: GroupId,
    },
    /// The caller: the group was started in another mode.
    #[error("the records are of a group in mode {found:?}")]
    OtherMode {
        /// The mode in the records.
        found: Mode,
    },
    /// The caller: the life that wrote the records had this incarnation. Each start needs a new one: it names what the
    /// life writes.
    #[error("incarnation {incarnation} has been used")]
    Reused {
        /// As given.
        incarnation: u64,
    },
    /// The storage: a record is damaged, missing or out of place. Recovering without it could forget a vote or an
    /// acknowledged write.
    #[error("record {index} is damaged, missing or out of place")]
    Record {
        /// Position of the record in the list.
        index: usize,
    },
    /// The machine: the state in the records is not one of it. They were written by another version.
    #[error("the recovered state cannot be decoded")]
    State,
    /// The machine: the delta of a recovered entry, or of an orphan that stood there, is not one of it. The records were
    /// written by another version.
    #[error("the delta of entry {sequence} cannot be decoded")]
    Delta {
        /// The entry.
        sequence: u64,
    },
}
