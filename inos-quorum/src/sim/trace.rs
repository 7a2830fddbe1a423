//! What happened, as a hash and, where somebody wants to read it, as text.

use alloc::string::String;
use core::fmt::{self, Write};

use xxhash_rust::xxh3::xxh3_64_with_seed;

/// Everything that went into a member or came out of it, in order.
///
/// The hash is a chain of XXH3, each link seeded with the one before: it depends on no target and no version of a
/// formatting library.
#[derive(Clone, Debug, Default)]
pub(super) struct Trace {
    hash: u64,
    log: Option<String>,
}

/// What a line of the log is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Entry {
    Deliver,
    Timeout,
    Persisted,
    Persist,
    Send,
    Event,
    Write,
    Read,
    Session,
    Operator,
    Crash,
    Start,
    Weather,
    Peer,
}

impl Trace {
    pub(super) fn keep_log(&mut self) {
        self.log = Some(String::new());
    }

    pub(super) const fn hash(&self) -> u64 {
        self.hash
    }

    pub(super) fn take_log(&mut self) -> String {
        self.log.take().unwrap_or_default()
    }

    #[cfg(test)]
    pub(super) const fn keeps_log(&self) -> bool {
        self.log.is_some()
    }

    /// `numbers` and `bytes` at `now_us` on `node`.
    pub(super) fn note(&mut self, now_us: u64, node: usize, entry: Entry, numbers: [u64; 2], bytes: &[u8]) {
        let mut words = [0; 40];
        let node = u64::try_from(node).unwrap_or(u64::MAX);
        for (chunk, word) in
            words.as_chunks_mut::<8>().0.iter_mut().zip([now_us, node, entry as u64].iter().chain(&numbers))
        {
            *chunk = word.to_le_bytes();
        }
        self.hash = xxh3_64_with_seed(&words, self.hash);
        if !bytes.is_empty() {
            self.hash = xxh3_64_with_seed(bytes, self.hash);
        }
        if let Some(log) = &mut self.log {
            let [first, second] = numbers;
            let written = write!(log, "{now_us} {node} {entry:?} {first} {second} ");
            debug_assert!(written.is_ok(), "a string takes everything");
            push_hex(log, bytes);
            log.push('\n');
        }
    }

    /// Something that is easier to print than to take apart.
    pub(super) fn note_shown(&mut self, now_us: u64, node: usize, entry: Entry, shown: &impl fmt::Debug) {
        let mut text = String::new();
        let written = write!(text, "{shown:?}");
        debug_assert!(written.is_ok(), "a string takes everything");
        let length = u64::try_from(text.len()).unwrap_or(u64::MAX);
        let log = self.log.take();
        self.note(now_us, node, entry, [length, 0], text.as_bytes());
        self.log = log;
        if let Some(log) = &mut self.log {
            let written = writeln!(log, "{now_us} {node} {entry:?} {text}");
            debug_assert!(written.is_ok(), "a string takes everything");
        }
    }
}

fn push_hex(text: &mut String, bytes: &[u8]) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for byte in bytes {
        for nibble in [byte >> 4, byte & 15] {
            text.push(char::from(DIGITS[usize::from(nibble)]));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Entry, Trace};
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn everything_counts() {
        let hash = |now_us, node, entry, numbers, bytes: &[u8]| {
            let mut trace = Trace::default();
            trace.note(now_us, node, entry, numbers, bytes);
            trace.hash()
        };
        let base = hash(1, 2, Entry::Send, [3, 4], b"abc");
        let others = [
            hash(2, 2, Entry::Send, [3, 4], b"abc"),
            hash(1, 1, Entry::Send, [3, 4], b"abc"),
            hash(1, 2, Entry::Deliver, [3, 4], b"abc"),
            hash(1, 2, Entry::Send, [3, 5], b"abc"),
            hash(1, 2, Entry::Send, [4, 4], b"abc"),
            hash(1, 2, Entry::Send, [3, 4], b"abd"),
        ];
        assert!(!others.contains(&base) && base == hash(1, 2, Entry::Send, [3, 4], b"abc"));
    }

    #[test]
    fn keeping_a_log_changes_no_hash() {
        let (mut plain, mut kept) = (Trace::default(), Trace::default());
        kept.keep_log();
        for trace in [&mut plain, &mut kept] {
            trace.note(7, 1, Entry::Persist, [8, 9], &[0x0f, 0xa0]);
            trace.note_shown(8, 1, Entry::Event, &Some(3));
        }
        assert_eq!((plain.hash(), plain.keeps_log()), (kept.hash(), false));
        assert_eq!(kept.take_log(), "7 1 Persist 8 9 0fa0\n8 1 Event Some(3)\n");
    }
}
