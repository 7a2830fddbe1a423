//! Where everything is: one table of offsets, proved at compile time.

mod export;
pub(crate) mod table;

use crate::error::LayoutError;
use alloc::vec::Vec;

/// Bytes of the smallest arena object; offsets of blocks are multiples of it.
pub const GRANULE_BYTES: u32 = 256;
/// Bytes of a frame's header; frames start at multiples of it.
pub const FRAME_HEADER_BYTES: u32 = 8;
/// Manifest slots of the switchboard.
pub const SLOT_COUNT: u32 = 15;

/// Bytes of metadata per arena chunk beside the cells: one cache line.
pub(crate) const CHUNK_LINE_BYTES: u32 = 64;
/// Bytes of metadata per granule: the cell and the side word.
pub(crate) const GRANULE_META_BYTES: u32 = 16;
/// Granule indexes have 20 bits in a handle.
const MAX_ARENA_BYTES: u32 = GRANULE_BYTES << 20;

/// One named range of the region.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Section {
    /// Name as in `docs/layout.md`.
    pub name: &'static str,
    /// First byte, from the base of the region.
    pub offset: u32,
    /// Bytes.
    pub len: u32,
}

impl Section {
    /// First byte after the section.
    #[must_use]
    pub const fn end(&self) -> u32 {
        self.offset + self.len
    }
}

/// When a ring's writer is told to pause and when to go on. Warned at or above *either* high mark; at ease again only
/// at or below *both* low marks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Watermarks {
    /// Bytes in the ring, headers and padding included.
    pub high_bytes: u32,
    /// Below `high_bytes`.
    pub low_bytes: u32,
    /// Frames in the ring.
    pub high_count: u32,
    /// Below `high_count`.
    pub low_count: u32,
}

impl Watermarks {
    /// One half and one quarter of the ring, in bytes and in frames of 64 bytes: the writer keeps room for what is already
    /// on its way to it. [`Full`](crate::Pressure::Full) begins below three quarters and a longest frame is an eighth,
    /// so from 128 bytes on the warning comes first, padding at the wrap apart.
    #[must_use]
    pub const fn for_ring(ring_bytes: u32) -> Self {
        let frames = ring_bytes / 64;
        Self {
            high_bytes: ring_bytes / 2,
            low_bytes: ring_bytes / 4,
            high_count: if frames < 4 { 2 } else { frames / 2 },
            low_count: frames / 4,
        }
    }
}

const SECTIONS: usize = 16;
const SWITCHBOARD: usize = 1;
const SUPERBLOCK: usize = 2;
const SLEEPERS: usize = 3;
const INBOX_CURSORS: usize = 4;
const OUTBOX_CURSORS: usize = 5;
const PARTICIPANTS: usize = 7;
const UNASSIGNED: usize = 12;
const INBOX: usize = 13;
const OUTBOX: usize = 14;
const ARENA: usize = 15;

/// Offsets and sizes of a region. All offsets count from the region's base; little-endian `u32` and `u64` only.
///
/// # Examples
///
/// ```
/// use inos_sab::Layout;
///
/// assert_eq!(Layout::STANDARD.arena().offset, 0x0115_0000);
/// assert_eq!(Layout::STANDARD.end(), 48 << 20);
/// assert_eq!(Layout::STANDARD.max_inline_len(), 64 << 10);
///
/// // Small regions for tests: 4 KiB rings, 1 MiB of arena in chunks of 64 KiB.
/// let small = Layout::compact(1 << 12, 1 << 20, 1 << 16)?;
/// assert_eq!(small.max_inline_len(), 512);
/// assert!(Layout::compact(1000, 1 << 20, 1 << 16).is_err());
/// # Ok::<(), inos_sab::LayoutError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    sections: [Section; SECTIONS],
    chunk_bytes: u32,
    chunk_count: u32,
    watermarks: Watermarks,
    start: u64,
}

impl Layout {
    /// Version of the format, in the superblock.
    pub(crate) const FORMAT: u32 = 1;
    /// The only mode a ring has: one writer, one ring.
    pub(crate) const MODE_ONE_RING: u32 = 1;

    /// The layout of 48 MiB that every participant of a mesh node shares.
    pub const STANDARD: Self = Self::build(0x0100_0000, 0x0004_0000, 1 << 19, 32_178_176, 1 << 16);

    /// A layout with the same order of sections, base 0, and nothing reserved in front.
    ///
    /// `ring_bytes` is the data of each ring: a power of two, 64 bytes to 512 KiB. `chunk_bytes` is the unit in which
    /// the arena gives space to size classes: a power of two, 512 bytes to 64 KiB. `arena_bytes` is a multiple of it,
    /// at most 256 MiB, and has to hold its own metadata (16 bytes for each 256 of payload, and 64 for each chunk) and one
    /// chunk. A ring for jobs needs 128 bytes at least.
    ///
    /// # Errors
    ///
    /// [`LayoutError`] names the number that does not fit.
    pub const fn compact(ring_bytes: u32, arena_bytes: u32, chunk_bytes: u32) -> Result<Self, LayoutError> {
        if !ring_bytes.is_power_of_two() || ring_bytes < 64 || ring_bytes > 1 << 19 {
            return Err(LayoutError::RingBytes { ring_bytes });
        }
        if !chunk_bytes.is_power_of_two() || chunk_bytes < 512 || chunk_bytes > 1 << 16 {
            return Err(LayoutError::ChunkBytes { chunk_bytes });
        }
        if arena_bytes > MAX_ARENA_BYTES || !arena_bytes.is_multiple_of(chunk_bytes) {
            return Err(LayoutError::ArenaBytes { arena_bytes });
        }
        let layout = Self::build(0, 0, ring_bytes, arena_bytes, chunk_bytes);
        if layout.chunk_count == 0 {
            return Err(LayoutError::ArenaBytes { arena_bytes });
        }
        Ok(layout)
    }

    /// The same layout with other watermarks for both rings.
    ///
    /// # Errors
    ///
    /// [`LayoutError::Watermarks`] if a low mark is not below its high mark or `high_bytes` is above the ring's bytes. Any
    /// `high_count` will do: one that is never reached does not count.
    pub const fn with_watermarks(mut self, watermarks: Watermarks) -> Result<Self, LayoutError> {
        let Watermarks { high_bytes, low_bytes, high_count, low_count } = watermarks;
        if low_bytes >= high_bytes || low_count >= high_count || high_bytes > self.ring_bytes() {
            return Err(LayoutError::Watermarks { high_bytes, low_bytes, high_count, low_count });
        }
        self.watermarks = watermarks;
        Ok(self)
    }

    /// The same layout whose cursors, counters and epochs start at `start`, rounded down to a multiple of 8. For tests
    /// that carry them over their end.
    #[doc(hidden)]
    #[must_use]
    pub const fn with_start(mut self, start: u64) -> Self {
        self.start = start & !7;
        self
    }

    const fn build(base: u32, gap: u32, ring_bytes: u32, arena_bytes: u32, chunk_bytes: u32) -> Self {
        let rings = base + 0x1_0000 + gap;
        let arena = rings + 2 * ring_bytes;
        // Metadata first, data last, the boundary on a chunk: the largest count of chunks that leaves room for its own
        // metadata.
        let chunks = arena_bytes / chunk_bytes;
        let meta_per_chunk = CHUNK_LINE_BYTES + chunk_bytes / GRANULE_BYTES * GRANULE_META_BYTES;
        let mut meta_chunks = 0;
        while meta_chunks < chunks && (chunks - meta_chunks) * meta_per_chunk > meta_chunks * chunk_bytes {
            meta_chunks += 1;
        }
        Self {
            sections: [
                section("reserved", 0, base),
                section("switchboard", base, 0x100),
                section("superblock", base + 0x100, 0x100),
                section("sleepers", base + 0x200, 0x200),
                section("inbox cursors", base + 0x400, 0x200),
                section("outbox cursors", base + 0x600, 0x200),
                section("overflow manifests", base + 0x800, 0x800),
                section("participants", base + 0x1000, 0x2000),
                section("lanes", base + 0x3000, 0x1000),
                section("arena root", base + 0x4000, 0x1000),
                section("cache root", base + 0x5000, 0x1000),
                section("metrics", base + 0x6000, 0x4000),
                section("unassigned", base + 0xA000, 0x6000 + gap),
                section("inbox", rings, ring_bytes),
                section("outbox", rings + ring_bytes, ring_bytes),
                section("arena", arena, arena_bytes),
            ],
            chunk_bytes,
            chunk_count: chunks - meta_chunks,
            watermarks: Watermarks::for_ring(ring_bytes),
            start: 0,
        }
    }

    /// Every section, ascending and without holes.
    #[must_use]
    pub const fn sections(&self) -> &[Section] {
        &self.sections
    }

    /// Events, state and manifest slots.
    #[must_use]
    pub const fn switchboard(&self) -> Section {
        self.sections[SWITCHBOARD]
    }

    /// What the region is.
    #[must_use]
    pub const fn superblock(&self) -> Section {
        self.sections[SUPERBLOCK]
    }

    /// Records of the participants between processes.
    #[must_use]
    pub const fn participants(&self) -> Section {
        self.sections[PARTICIPANTS]
    }

    /// Bytes that belong to nobody and are zero.
    #[must_use]
    pub const fn unassigned(&self) -> Section {
        self.sections[UNASSIGNED]
    }

    /// A number that differs between layouts: XXH3 (64 bits) of the format's version, the mode of the rings, the chunk
    /// size and each section's offset and length, as little-endian `u32`s. It stands in the superblock.
    #[must_use]
    pub fn hash(&self) -> u64 {
        let numbers = [Self::FORMAT, Self::MODE_ONE_RING, self.chunk_bytes];
        let sections = self.sections.iter().flat_map(|section| [section.offset, section.len]);
        let bytes: Vec<u8> = numbers.into_iter().chain(sections).flat_map(u32::to_le_bytes).collect();
        xxhash_rust::xxh3::xxh3_64(&bytes)
    }

    /// Counts of those who sleep on the switchboard's words.
    #[must_use]
    pub const fn sleepers(&self) -> Section {
        self.sections[SLEEPERS]
    }

    /// Cursors of the inbox.
    #[must_use]
    pub const fn inbox_cursors(&self) -> Section {
        self.sections[INBOX_CURSORS]
    }

    /// Cursors of the outbox.
    #[must_use]
    pub const fn outbox_cursors(&self) -> Section {
        self.sections[OUTBOX_CURSORS]
    }

    /// Data of the inbox.
    #[must_use]
    pub const fn inbox(&self) -> Section {
        self.sections[INBOX]
    }

    /// Data of the outbox.
    #[must_use]
    pub const fn outbox(&self) -> Section {
        self.sections[OUTBOX]
    }

    /// The arena, its metadata in front.
    #[must_use]
    pub const fn arena(&self) -> Section {
        self.sections[ARENA]
    }

    /// Bytes from the base to the end of the region.
    #[must_use]
    pub const fn end(&self) -> u32 {
        self.sections[ARENA].end()
    }

    /// Bytes of data of each ring.
    #[must_use]
    pub const fn ring_bytes(&self) -> u32 {
        self.sections[INBOX].len
    }

    /// Longest payload of a frame, in bytes: an eighth of the ring. Longer ones go through the arena.
    #[must_use]
    pub const fn max_inline_len(&self) -> u32 {
        self.ring_bytes() / 8
    }

    /// Bytes of an arena chunk.
    #[must_use]
    pub const fn chunk_bytes(&self) -> u32 {
        self.chunk_bytes
    }

    /// Chunks for payloads, after the metadata.
    #[must_use]
    pub const fn chunk_count(&self) -> u32 {
        self.chunk_count
    }

    /// Longest block the empty arena can give, in bytes.
    #[must_use]
    pub const fn max_block_len(&self) -> u32 {
        self.chunk_count * self.chunk_bytes
    }

    /// Marks of both rings.
    #[must_use]
    pub const fn watermarks(&self) -> Watermarks {
        self.watermarks
    }

    /// Where cursors and counters start.
    #[must_use]
    pub const fn start(&self) -> u64 {
        self.start
    }

    /// First byte of arena payloads, from the base.
    pub(crate) const fn arena_data(&self) -> u32 {
        self.end() - self.max_block_len()
    }
}

const fn section(name: &'static str, offset: u32, len: u32) -> Section {
    Section { name, offset, len }
}

const fn assert_in_order(layout: &Layout) {
    let mut at = 0;
    let mut index = 0;
    while index < SECTIONS {
        let section = layout.sections[index];
        // Equality is both: nothing overlaps, and no byte is without a name.
        assert!(section.offset == at, "sections are ascending, without overlap and without holes");
        assert!(section.offset.is_multiple_of(64), "sections start on cache lines");
        at = section.end();
        index += 1;
    }
    assert!(at == layout.end(), "the last section ends the region");
    let meta = layout.arena_data() - layout.arena().offset;
    let granules = layout.chunk_count * (layout.chunk_bytes / GRANULE_BYTES);
    assert!(layout.chunk_count * CHUNK_LINE_BYTES + granules * GRANULE_META_BYTES <= meta, "metadata fits");
    assert!((layout.arena_data() - layout.arena().offset).is_multiple_of(GRANULE_BYTES), "blocks start on granules");
    assert!(layout.arena().len <= MAX_ARENA_BYTES, "granule indexes fit a handle");
}

// The offsets other programs and JavaScript rely on, spelled out against the computed table.
const _: () = {
    let layout = &Layout::STANDARD;
    assert_in_order(layout);
    assert!(layout.switchboard().offset == 0x0100_0000 && layout.switchboard().len == 256);
    assert!(layout.inbox_cursors().offset == 0x0100_0400);
    assert!(layout.outbox_cursors().offset == 0x0100_0600);
    assert!(layout.inbox().offset == 0x0105_0000 && layout.inbox().len == 1 << 19);
    assert!(layout.outbox().offset == 0x010D_0000 && layout.outbox().len == 1 << 19);
    assert!(layout.arena().offset == 0x0115_0000 && layout.arena().len == 32_178_176);
    assert!(layout.end() == 0x0300_0000);
    assert!(layout.inbox().offset.is_multiple_of(0x1_0000) && layout.arena().offset.is_multiple_of(0x1_0000));
    assert!(layout.chunk_count == 461);
    assert!(0x10 + SLOT_COUNT * 16 == layout.switchboard().len);
};

// The smallest and an ordinary small layout keep the same laws.
const _: () = {
    let Ok(smallest) = Layout::compact(64, 3 * 512, 512) else { panic!("the smallest layout is legal") };
    assert_in_order(&smallest);
    let Ok(small) = Layout::compact(1 << 12, 1 << 20, 1 << 16) else { panic!("a small layout is legal") };
    assert_in_order(&small);
};
