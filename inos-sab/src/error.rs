//! What can be refused, by whom it was caused, and what it changed.

use core::fmt;
use thiserror::Error;

/// A layout whose numbers do not fit. The caller's fault; nothing was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum LayoutError {
    /// Not a power of two between 64 and 524,288.
    #[error("ring of {ring_bytes} bytes is not a power of two between 64 and 524288")]
    RingBytes {
        /// What was asked for.
        ring_bytes: u32,
    },
    /// Not a power of two between 512 and 65,536.
    #[error("chunk of {chunk_bytes} bytes is not a power of two between 512 and 65536")]
    ChunkBytes {
        /// What was asked for.
        chunk_bytes: u32,
    },
    /// Not a multiple of the chunk, too large for 20-bit granule indexes, or too small for its own metadata.
    #[error("arena of {arena_bytes} bytes is not a whole number of chunks, over 256 MiB, or holds only its metadata")]
    ArenaBytes {
        /// What was asked for.
        arena_bytes: u32,
    },
    /// A low mark is not below its high mark, or `high_bytes` is above the ring.
    #[error(
        "watermarks bytes {low_bytes}..{high_bytes} or frames {low_count}..{high_count} are empty or above the ring"
    )]
    Watermarks {
        /// High mark in bytes.
        high_bytes: u32,
        /// Low mark in bytes.
        low_bytes: u32,
        /// High mark in frames.
        high_count: u32,
        /// Low mark in frames.
        low_count: u32,
    },
}

/// A region could not be made, or a role in it not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum RegionError {
    /// The allocator has no block of this size. Nothing was made.
    #[error("no memory for a region of {bytes} bytes")]
    OutOfMemory {
        /// Bytes asked of the allocator.
        bytes: u32,
    },
    /// The memory ends before the layout does. Nothing was touched.
    #[error("region of {found} bytes is shorter than its layout's {needed}")]
    TooShort {
        /// Bytes there are.
        found: u64,
        /// Bytes the layout takes.
        needed: u64,
    },
    /// Raw memory has to start on a pair of cache lines: the caller's fault. Nothing was touched.
    #[error("the region's start is not a multiple of {align}")]
    Misaligned {
        /// What it has to be a multiple of.
        align: u32,
    },
    /// Nobody has made a region here, its maker is still at it, or another layout has it elsewhere. Nothing was touched;
    /// look again a little later.
    #[error("no region here, or not yet")]
    NotReady,
    /// The state word is none that this crate writes: a participant declared the region unusable, or a peer lies. Nothing
    /// was touched; make a new region.
    #[error("the region is poisoned")]
    Poisoned,
    /// It is a region of another layout, another version, or none at all. Nothing was touched.
    #[error("{word} of the region is {found:#x} instead of {expected:#x}")]
    Mismatch {
        /// Which word of the superblock.
        word: &'static str,
        /// What it says.
        found: u64,
        /// What the layout asks for.
        expected: u64,
    },
    /// A byte that belongs to nobody is not zero: other software writes here. Nothing was touched.
    #[error("unassigned word at {offset:#x} is not zero")]
    Unassigned {
        /// Where, from the base.
        offset: u32,
    },
    /// Peers that are not trusted could cut the file short under us: only a sealed memory file will do.
    #[error("the file can be resized by peers: it lacks the seals against shrinking, growing and unsealing")]
    Unsealed,
    /// All sixteen places of participants are taken. Nothing changed; one of them has to leave, or to be recovered.
    #[error("all {places} places of participants are taken")]
    Crowded {
        /// How many there are.
        places: u32,
    },
    /// The process was forked after it attached: the child has to attach for itself. Nothing changed. The child must
    /// neither use nor drop blocks, pins and ends that it has from its parent (they are its parent's still), and while it
    /// lives and has not called `exec`, its copy of the lock makes its parent look alive.
    #[error("process {pid} attached to the region, not this one")]
    Forked {
        /// The process that attached.
        pid: u32,
    },
    /// No death of a peer can be proved on the heap and on raw memory, and without proof nothing is taken from anybody.
    #[error("memory without a file has no proof of a participant's death")]
    NoProof,
    /// The operating system refused a call. Nothing was left behind.
    #[error("{call} failed with errno {errno}")]
    System {
        /// Name of the call.
        call: &'static str,
        /// Number of the error; `std::io::Error::from_raw_os_error` has its text.
        errno: i32,
    },
    /// Another producer or consumer holds this end of the ring. Nothing changed; drop the other one first.
    #[error("this end of the ring is held")]
    RoleHeld,
}

/// A ring or a slot did not take what it was given. Nothing was written that a reader could see.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum PushError {
    /// No room now; the reader is behind. [`Producer::wait_room`](crate::Producer::wait_room) sleeps until there is.
    #[error("ring is full: the frame needs {needed} bytes, {free} are free")]
    Full {
        /// Bytes of the frame with header and padding at the wrap.
        needed: u32,
        /// Bytes free.
        free: u32,
    },
    /// Longer than a frame may ever be: the caller's fault, the arena is for such payloads.
    #[error("payload of {len} bytes is above the inline limit of {max}")]
    TooLarge {
        /// Bytes of the payload.
        len: u64,
        /// Longest inline payload of this ring.
        max: u32,
    },
    /// The reader was there and has left. Another may come; until then the ring takes nothing.
    #[error("the reader of this ring has left")]
    Closed,
    /// Another participant publishes in this slot. Nothing changed; it gives the slot back when it leaves.
    #[error("slot {slot} is participant {publisher}'s to publish in")]
    SlotHeld {
        /// Which slot.
        slot: u8,
        /// The participant that publishes there.
        publisher: u32,
    },
    /// The block lives in another region: the caller's fault.
    #[error("the block belongs to another region")]
    ForeignBlock,
    /// A peer wrote nonsense; this end of the ring takes nothing any more.
    #[error(transparent)]
    Corrupt(#[from] Corrupt),
}

/// A payload of any length was not sent. Nothing was written that a reader could see, and no block is left behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum SendError {
    /// The ring did not take it.
    #[error(transparent)]
    Push(#[from] PushError),
    /// It is too long for a frame, and the arena gave no block.
    #[error(transparent)]
    Alloc(#[from] AllocError),
}

/// A ring's words say what no participant that keeps to the protocol writes: a peer's fault, or that of the file the
/// region came from. The end of the ring that met it refuses all further work; nothing was handed over or written. Ring
/// words are not repaired, by [`Region::recover`](crate::Region::recover) neither: make a new region.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Corrupt {
    /// Two cursors, `{ frames: 32, units of 8 bytes: 32 }` each, that cannot both be true.
    #[error("tail {tail:#x} and head {head:#x} do not fit a ring of {ring_units} units")]
    Cursors {
        /// The producer's word.
        tail: u64,
        /// The consumer's word.
        head: u64,
        /// Units of 8 bytes in the ring.
        ring_units: u32,
    },
    /// A frame's header, `{ flags: 16, kind: 16, len: 32 }`, that cannot stand where it does.
    #[error("header {header:#x} cannot stand at unit {unit} of the ring")]
    Header {
        /// What it says.
        header: u64,
        /// Where, in units of 8 bytes from the start of the ring's data.
        unit: u32,
    },
}

/// A value that was not taken, handed back with the reason.
#[derive(Debug)]
pub struct Rejected<T> {
    /// What was offered, unchanged.
    pub value: T,
    /// Why it was not taken.
    pub reason: PushError,
}

impl<T> fmt::Display for Rejected<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.reason.fmt(f)
    }
}

impl<T: fmt::Debug> core::error::Error for Rejected<T> {}

/// The arena did not give a block. Nothing changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum AllocError {
    /// No free space of this length; blocks have to be dropped first.
    #[error("no free block of {requested} bytes, the largest is {largest_free}")]
    Exhausted {
        /// Bytes asked for.
        requested: u32,
        /// Longest block that could have been given, in bytes.
        largest_free: u32,
    },
    /// Longer than the empty arena: the caller's fault, no wait will help.
    #[error("block of {requested} bytes is above the arena's limit of {max}")]
    TooLarge {
        /// Bytes asked for.
        requested: u64,
        /// Longest block of the empty arena.
        max: u32,
    },
    /// Other threads were taking or giving back the space that was looked at, in each of `tries` searches. It may be
    /// free in a moment.
    #[error("space for {requested} bytes was contended in {tries} searches, the largest free block is {largest_free}")]
    Contended {
        /// Bytes asked for.
        requested: u32,
        /// Longest block free at the end, in bytes.
        largest_free: u32,
        /// Searches made.
        tries: u32,
    },
}

/// A handle that gives no access. Nothing changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Stale {
    /// The block it named was freed, or never was.
    #[error("the block was freed")]
    Freed,
    /// The block is alive but owned: by an `ArenaBox` that may write to it, or by a ring or slot that carries it.
    #[error("the block has an exclusive owner")]
    Owned,
    /// The block is pinned by readers, so nobody can own it now.
    #[error("the block is pinned by {pins} readers")]
    Pinned {
        /// Pins among threads; between processes, the participants that hold any.
        pins: u32,
    },
    /// The count of pins is at its limit: 65,535 among threads, 4,294,967,294 of one process.
    #[error("the block is pinned as often as can be counted")]
    PinLimit,
    /// Others changed the block's state in each of `tries` attempts to pin it. It may work in a moment.
    #[error("the state of the block was contended {tries} times")]
    Contended {
        /// Attempts made.
        tries: u32,
    },
    /// What the region says about the block contradicts itself: somebody wrote to it who does not keep to the protocol.
    #[error("the block's metadata contradict each other")]
    Corrupt,
}

/// Bytes outside of a block, frame or claim were named: the caller's fault. Nothing was copied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("bytes {offset}..{offset}+{len} are outside of {limit}")]
pub struct OutOfRange {
    /// First byte.
    pub offset: u32,
    /// Bytes.
    pub len: u64,
    /// Bytes there are.
    pub limit: u32,
}

impl OutOfRange {
    /// The length as `u32` if `offset..offset + len` is within `limit`.
    #[inline]
    pub(crate) fn check(offset: u32, len: usize, limit: u32) -> Result<u32, Self> {
        let error = Self { offset, len: len as u64, limit };
        let len = u32::try_from(len).map_err(|_| error)?;
        match offset.checked_add(len) {
            Some(end) if end <= limit => Ok(len),
            _ => Err(error),
        }
    }
}
