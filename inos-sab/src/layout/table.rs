//! Every word of a region by name: the one table that offsets in code, the proofs below, JSON and TypeScript come from.

use super::{Layout, SLOT_COUNT};

/// Participants of a region between processes.
pub(crate) const PARTICIPANT_COUNT: u32 = 16;
/// Bytes of a participant's record.
pub(crate) const PARTICIPANT_BYTES: u32 = 512;

/// A word, or an equally spaced row of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Field {
    /// Name in the generated files, unique.
    pub(crate) name: &'static str,
    /// Where it belongs.
    pub(crate) part: Part,
    /// From the start of that part, bytes.
    pub(crate) offset: u32,
    /// Bytes: 4 or 8.
    pub(crate) width: u32,
    /// How many there are.
    pub(crate) count: u32,
    /// Bytes from one to the next.
    pub(crate) stride: u32,
    /// What it says.
    pub(crate) about: &'static str,
}

/// What a field's offset counts from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// The section `switchboard`.
    Switchboard,
    /// The section `superblock`.
    Superblock,
    /// The section `sleepers`.
    Sleepers,
    /// Either section of cursors.
    Cursors,
    /// One record of the section `participants`.
    Participant,
}

impl Part {
    /// Its name in the generated files.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Switchboard => "switchboard",
            Self::Superblock => "superblock",
            Self::Sleepers => "sleepers",
            Self::Cursors => "cursors",
            Self::Participant => "participant",
        }
    }

    /// Bytes.
    const fn len(self) -> u32 {
        match self {
            Self::Switchboard => Layout::STANDARD.switchboard().len,
            Self::Superblock => Layout::STANDARD.superblock().len,
            Self::Sleepers => Layout::STANDARD.sleepers().len,
            Self::Cursors => Layout::STANDARD.inbox_cursors().len,
            Self::Participant => PARTICIPANT_BYTES,
        }
    }
}

const fn word(part: Part, name: &'static str, offset: u32, width: u32, about: &'static str) -> Field {
    Field { name, part, offset, width, count: 1, stride: width, about }
}

const fn row(field: Field, count: u32, stride: u32) -> Field {
    Field { count, stride, ..field }
}

use Part::{Cursors, Participant, Sleepers, Superblock, Switchboard};

pub(crate) const EVENTS: Field =
    row(word(Switchboard, "events", 0x00, 4, "KernelEvent, ModuleEvent, HostEvent: epochs, compared with !="), 3, 4);
pub(crate) const STATE: Field = word(Switchboard, "state", 0x0C, 4, "0 initial, 1 ready, anything else poisoned");
pub(crate) const SLOT_HANDLE: Field =
    row(word(Switchboard, "slotHandle", 0x10, 8, "handle of the published block, 0 when empty"), SLOT_COUNT, 16);
pub(crate) const SLOT_EPOCH: Field =
    row(word(Switchboard, "slotEpoch", 0x18, 4, "each publish adds 1"), SLOT_COUNT, 16);
pub(crate) const SLOT_OWNER: Field =
    row(word(Switchboard, "slotOwner", 0x1C, 4, "participant + 1 of the only publisher, 0 for none"), SLOT_COUNT, 16);

pub(crate) const MAGIC: Field = word(Superblock, "magic", 0x00, 8, "the bytes INOS-SAB");
pub(crate) const FORMAT: Field = word(Superblock, "format", 0x08, 4, "version of the format: 1");
pub(crate) const LAYOUT_HASH: Field = word(Superblock, "layoutHash", 0x10, 8, "XXH3 of the table of sections");
pub(crate) const REGION_BYTES: Field = word(Superblock, "regionBytes", 0x18, 8, "bytes from the base to the end");

pub(crate) const SLEEPER_COUNTS: Field = row(
    word(Sleepers, "sleepers", 0x00, 4, "asleep on KernelEvent, ModuleEvent, HostEvent, and on any slot's epoch"),
    4,
    0x40,
);

pub(crate) const TAIL: Field = word(
    Cursors,
    "tail",
    0x000,
    8,
    "producer's cursor: frames published in the high half, units of 8 bytes in the low",
);
pub(crate) const HEAD: Field = word(Cursors, "head", 0x080, 8, "consumer's cursor: frames and units consumed");
pub(crate) const DATA_WORD: Field = word(Cursors, "dataWord", 0x100, 4, "changes when a sleeping consumer is called");
pub(crate) const DATA_SLEEPERS: Field =
    word(Cursors, "dataSleepers", 0x104, 4, "consumers asleep; bit 31: wakers are asked to fence");
pub(crate) const ROOM_WORD: Field = word(Cursors, "roomWord", 0x140, 4, "changes when a sleeping producer is called");
pub(crate) const ROOM_SLEEPERS: Field = word(Cursors, "roomSleepers", 0x144, 4, "producers asleep");
pub(crate) const HIGH_BYTES: Field = word(Cursors, "highBytes", 0x180, 4, "warn at this backlog");
pub(crate) const LOW_BYTES: Field = word(Cursors, "lowBytes", 0x184, 4, "at ease at this backlog");
pub(crate) const HIGH_COUNT: Field = word(Cursors, "highCount", 0x188, 4, "warn at this many frames");
pub(crate) const LOW_COUNT: Field = word(Cursors, "lowCount", 0x18C, 4, "at ease at this many frames");
pub(crate) const PRODUCER_ROLE: Field =
    word(Cursors, "producerRole", 0x190, 4, "0 never held, 1 left, 0x100 | participant held");
pub(crate) const CONSUMER_ROLE: Field = word(Cursors, "consumerRole", 0x194, 4, "as producerRole");
pub(crate) const WARNED: Field = word(Cursors, "warned", 0x198, 4, "1 while the producer is warned");
pub(crate) const MODE: Field = word(Cursors, "mode", 0x19C, 4, "1: one ring");

pub(crate) const PARTICIPANT_STATE: Field = word(Participant, "participantState", 0x00, 4, "0 free, 1 joined");
pub(crate) const PARTICIPANT_PID: Field = word(Participant, "participantPid", 0x04, 4, "number of its process");
pub(crate) const PARTICIPANT_INCARNATION: Field =
    word(Participant, "participantIncarnation", 0x08, 4, "each joining adds 1");
pub(crate) const PARTICIPANT_HEARTBEAT: Field =
    word(Participant, "participantHeartbeat", 0x80, 4, "changes while the participant makes progress");
pub(crate) const PARTICIPANT_JOB: Field =
    word(Participant, "participantJob", 0x100, 8, "id + 1 of the request being executed, 0 for none");

/// All of them.
pub(crate) const FIELDS: &[Field] = &[
    EVENTS,
    STATE,
    SLOT_HANDLE,
    SLOT_EPOCH,
    SLOT_OWNER,
    MAGIC,
    FORMAT,
    LAYOUT_HASH,
    REGION_BYTES,
    SLEEPER_COUNTS,
    TAIL,
    HEAD,
    DATA_WORD,
    DATA_SLEEPERS,
    ROOM_WORD,
    ROOM_SLEEPERS,
    HIGH_BYTES,
    LOW_BYTES,
    HIGH_COUNT,
    LOW_COUNT,
    PRODUCER_ROLE,
    CONSUMER_ROLE,
    WARNED,
    MODE,
    PARTICIPANT_STATE,
    PARTICIPANT_PID,
    PARTICIPANT_INCARNATION,
    PARTICIPANT_HEARTBEAT,
    PARTICIPANT_JOB,
];

// Within its part, aligned, and no byte with two names.
const _: () = {
    let mut one = 0;
    while one < FIELDS.len() {
        let field = FIELDS[one];
        assert!(field.width == 4 || field.width == 8, "words have 32 or 64 bits");
        assert!(field.count > 0 && field.stride >= field.width);
        let mut index = 0;
        while index < field.count {
            let at = field.offset + index * field.stride;
            assert!(at.is_multiple_of(field.width), "words are aligned");
            assert!(at + field.width <= field.part.len(), "words are within their part");
            let mut two = 0;
            while two < one {
                let other = FIELDS[two];
                let mut step = 0;
                while step < other.count && other.part as u8 == field.part as u8 {
                    let start = other.offset + step * other.stride;
                    assert!(at + field.width <= start || start + other.width <= at, "words do not overlap");
                    step += 1;
                }
                two += 1;
            }
            index += 1;
        }
        one += 1;
    }
    assert!(PARTICIPANT_COUNT * PARTICIPANT_BYTES == Layout::STANDARD.participants().len);
};
