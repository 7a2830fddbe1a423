//! What a detector tells.

use core::time::Duration;

use thiserror::Error;

use crate::PeerState;

/// A change, told by [`Detector::poll_event`](crate::Detector::poll_event).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DetectorEvent<N> {
    /// The state of a watched node changed, or it is alive in another life. Hand it to each group that the node is in.
    Peer {
        /// The node.
        node: N,
        /// Its state now.
        state: PeerState,
    },
    /// This node slept. Nobody is accused until [`Resumed`](Self::Resumed); a primary must acknowledge nothing until it
    /// has heard its group again. Told again at each further gap.
    Fenced {
        /// How late the input was after the deadline that had been asked for.
        gap: Duration,
    },
    /// This node hears again, or five intervals have passed since the gap.
    Resumed {
        /// Nodes that have echoed a heartbeat sent after the gap.
        answered: usize,
        /// Nodes that were alive before the gap and had announced no silence. More than `answered`: the wait is over
        /// because of the time, and the missing ones are dead or cut off from here.
        awaited: usize,
    },
}

/// The node is not watched; nothing changed. The caller's doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum WatchError {
    /// `max_nodes` are watched already.
    #[error("{max} nodes are watched already")]
    Full {
        /// The limit.
        max: usize,
    },
    /// A node does not watch itself.
    #[error("a node does not watch itself")]
    OwnNode,
}

/// What happened at this detector.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct DetectorCounters {
    /// Heartbeats that were new.
    pub accepted: u64,
    /// Heartbeats repeated, overtaken, of a former life, or of one not yet believed to be the present one: harmless.
    pub stale: u64,
    /// Frames refused with a [`HeartbeatError`](crate::HeartbeatError).
    pub refused: u64,
    /// Gaps of this node.
    pub gaps: u64,
}
