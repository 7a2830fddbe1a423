//! Failure detection, one per node and shared by all groups on it.

/// What a node thinks of another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PeerState {
    /// It was heard lately.
    Alive {
        /// Its life, as it says. Another number than before: it stopped and started again.
        incarnation: u64,
    },
    /// Silent for longer than is usual. Reason to prefer others, never to replace it.
    Suspected,
    /// Silent for so long that its place may be given to another.
    Unreachable,
}
