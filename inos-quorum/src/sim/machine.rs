//! What the simulated groups replicate.

use alloc::vec::Vec;

use super::linear::Model;
use crate::{Lsn, Machine, Orphan, Policy, Undecodable};

/// Keys of the store.
pub(super) const KEYS: u8 = 5;

/// A list per key, to which unique values are appended, and everything that ever happened to them.
///
/// With `MERGES` orphans are appended late, otherwise they are refused.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Lists<const MERGES: bool> {
    applied: Vec<Applied>,
    keys: [Tail; KEYS as usize],
}

/// One value in the history.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Applied {
    pub(super) lsn: Lsn,
    pub(super) value: u64,
    pub(super) key: u8,
    /// Of an orphan: where it had stood, and how much of this history its writer is said to have read.
    pub(super) claim: Option<Claim>,
}

/// What a machine is told of the writer of an orphan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Claim {
    pub(super) origin: Lsn,
    pub(super) read: u64,
}

/// The end of a list: its length, and a hash of all that is on it, so that two lists with one tail are one list.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Tail {
    pub(super) len: u64,
    pub(super) hash: u64,
}

impl Tail {
    pub(super) const fn with(self, value: u64) -> Self {
        let mixed = (self.hash ^ value).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        Self { len: self.len + 1, hash: mixed.rotate_left(29) ^ value }
    }
}

/// An append.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Append {
    pub(super) value: u64,
    pub(super) key: u8,
    /// Bytes that mean nothing, so that frames fill up.
    pub(super) ballast: u16,
}

impl<const MERGES: bool> Lists<MERGES> {
    pub(super) fn applied(&self) -> &[Applied] {
        &self.applied
    }

    pub(super) fn tail(&self, key: u8) -> Tail {
        self.keys[usize::from(key)]
    }

    fn append(&mut self, applied: Applied) -> Tail {
        let tail = &mut self.keys[usize::from(applied.key)];
        *tail = tail.with(applied.value);
        self.applied.push(applied);
        *tail
    }
}

/// In a snapshot, with the key of a value that has a claim.
const CLAIMED: u64 = 1 << 8;

/// Of ballast.
const FILL: u8 = 0xda;

fn words<const COUNT: usize>(bytes: &[u8]) -> Option<([u64; COUNT], &[u8])> {
    let (front, rest) = bytes.split_at_checked(8 * COUNT)?;
    let mut words = [0; COUNT];
    for (word, chunk) in words.iter_mut().zip(front.as_chunks::<8>().0) {
        *word = u64::from_le_bytes(*chunk);
    }
    Some((words, rest))
}

fn key(byte: u64) -> Result<u8, Undecodable> {
    u8::try_from(byte).ok().filter(|&key| key < KEYS).ok_or(Undecodable)
}

impl<const MERGES: bool> Machine for Lists<MERGES> {
    type Delta = Append;
    type Output = Tail;
    const POLICY: Policy = if MERGES { Policy::Crdt } else { Policy::Reject };

    fn encode(delta: &Append, out: &mut Vec<u8>) {
        out.extend_from_slice(&delta.value.to_le_bytes());
        out.push(delta.key);
        out.resize(out.len() + usize::from(delta.ballast), FILL);
    }

    fn decode(bytes: &[u8]) -> Result<Append, Undecodable> {
        let ([value], rest) = words(bytes).ok_or(Undecodable)?;
        let (&byte, ballast) = rest.split_first().ok_or(Undecodable)?;
        if ballast.iter().any(|&byte| byte != FILL) {
            return Err(Undecodable);
        }
        let ballast = u16::try_from(ballast.len()).map_err(|_| Undecodable)?;
        Ok(Append { value, key: key(byte.into())?, ballast })
    }

    fn encode_output(output: &Tail, out: &mut Vec<u8>) {
        out.extend_from_slice(&output.len.to_le_bytes());
        out.extend_from_slice(&output.hash.to_le_bytes());
    }

    fn decode_output(bytes: &[u8]) -> Result<Tail, Undecodable> {
        match words(bytes) {
            Some(([len, hash], [])) => Ok(Tail { len, hash }),
            _ => Err(Undecodable),
        }
    }

    fn apply(&mut self, lsn: Lsn, delta: &Append) -> Tail {
        self.append(Applied { lsn, value: delta.value, key: delta.key, claim: None })
    }

    fn snapshot(&self, out: &mut Vec<u8>) {
        let mut put = |word: u64| out.extend_from_slice(&word.to_le_bytes());
        for Applied { lsn, value, key, claim } in &self.applied {
            let kind = if claim.is_some() { CLAIMED } else { 0 };
            [lsn.epoch, lsn.sequence, *value, u64::from(*key) | kind].into_iter().for_each(&mut put);
            if let Some(Claim { origin, read }) = claim {
                [origin.epoch, origin.sequence, *read].into_iter().for_each(&mut put);
            }
        }
    }

    fn restore(mut bytes: &[u8]) -> Result<Self, Undecodable> {
        let mut restored = Self::default();
        while !bytes.is_empty() {
            let ([epoch, sequence, value, word], mut rest) = words(bytes).ok_or(Undecodable)?;
            let mut claim = None;
            if word & CLAIMED != 0 {
                let ([epoch, sequence, read], after) = words(rest).ok_or(Undecodable)?;
                claim = Some(Claim { origin: Lsn { epoch, sequence }, read });
                rest = after;
            }
            restored.append(Applied { lsn: Lsn { epoch, sequence }, value, key: key(word & !CLAIMED)?, claim });
            bytes = rest;
        }
        Ok(restored)
    }

    fn reconcile(&mut self, lsn: Lsn, orphan: &Orphan<'_, Append>) -> Option<Tail> {
        let claim = Some(Claim { origin: orphan.lsn, read: orphan.read });
        MERGES.then(|| self.append(Applied { lsn, value: orphan.delta.value, key: orphan.delta.key, claim }))
    }
}

/// One list, for the linearizability checker: `Some` appends, `None` reads.
pub(super) struct List;

impl Model for List {
    type State = Tail;
    type Input = Option<u64>;
    type Output = Tail;

    fn initial() -> Tail {
        Tail::default()
    }

    fn step(state: &Tail, input: &Option<u64>) -> (Tail, Tail) {
        let after = input.map_or(*state, |value| state.with(value));
        (after, after)
    }

    fn is_read(input: &Option<u64>) -> bool {
        input.is_none()
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use super::{Append, Lists};
    use crate::{Lsn, Machine, Orphan};
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn what_is_written_is_read_again() {
        let mut lists = Lists::<true>::default();
        let mut bytes = Vec::new();
        for number in 1..20_u8 {
            let sequence = u64::from(number);
            let delta = Append { value: sequence << 30, key: number % 5, ballast: u16::from(number) * 70 };
            bytes.clear();
            Lists::<true>::encode(&delta, &mut bytes);
            assert_eq!(Lists::<true>::decode(&bytes), Ok(delta));
            assert!(Lists::<true>::decode(&bytes[..8]).is_err());
            let output = lists.apply(Lsn { epoch: 3, sequence }, &delta);
            bytes.clear();
            Lists::<true>::encode_output(&output, &mut bytes);
            assert_eq!(Lists::<true>::decode_output(&bytes), Ok(output));
            assert_eq!(lists.tail(delta.key), output);
        }
        let orphan =
            Orphan { lsn: Lsn { epoch: 2, sequence: 9 }, read: 5, delta: &Append { value: 1, key: 0, ballast: 0 } };
        assert!(lists.reconcile(Lsn { epoch: 3, sequence: 20 }, &orphan).is_some() && lists.applied().len() == 20);
        bytes.clear();
        lists.snapshot(&mut bytes);
        assert_eq!(Lists::<true>::restore(&bytes), Ok(lists.clone()));
        assert!(Lists::<true>::restore(&bytes[1..]).is_err());
        assert!(Lists::<false>::default().reconcile(Lsn::default(), &orphan).is_none());
    }
}
