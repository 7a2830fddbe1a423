//! What the group replicates.

use inos_quorum::{Lsn, Machine, Orphan, Policy, Undecodable};

/// Keeps the length and the last byte of every write; merges orphans of even length.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Tally {
    writes: Vec<(u32, u8)>,
}

/// In bytes.
pub(crate) const MAX_DELTA: usize = 40_000;

impl Machine for Tally {
    type Delta = Vec<u8>;
    type Output = u32;
    const POLICY: Policy = Policy::Crdt;

    fn encode(delta: &Vec<u8>, out: &mut Vec<u8>) {
        out.extend_from_slice(delta);
    }

    fn decode(bytes: &[u8]) -> Result<Vec<u8>, Undecodable> {
        if bytes.len() <= MAX_DELTA && bytes.first() != Some(&0xee) { Ok(bytes.to_vec()) } else { Err(Undecodable) }
    }

    fn apply(&mut self, _: Lsn, delta: &Vec<u8>) -> u32 {
        let len = u32::try_from(delta.len()).expect("deltas are short");
        self.writes.push((len, delta.last().copied().unwrap_or(0)));
        len
    }

    fn reconcile(&mut self, lsn: Lsn, orphan: &Orphan<'_, Vec<u8>>) -> Option<u32> {
        orphan.delta.len().is_multiple_of(2).then(|| self.apply(lsn, orphan.delta))
    }

    fn encode_output(output: &u32, out: &mut Vec<u8>) {
        out.extend_from_slice(&output.to_le_bytes());
    }

    fn decode_output(bytes: &[u8]) -> Result<u32, Undecodable> {
        bytes.try_into().map(u32::from_le_bytes).map_err(|_| Undecodable)
    }

    fn snapshot(&self, out: &mut Vec<u8>) {
        for (len, last) in &self.writes {
            out.extend_from_slice(&len.to_le_bytes());
            out.push(*last);
        }
    }

    fn restore(bytes: &[u8]) -> Result<Self, Undecodable> {
        let (writes, []) = bytes.as_chunks::<5>() else { return Err(Undecodable) };
        let writes = writes.iter().map(|&[a, b, c, d, last]| (u32::from_le_bytes([a, b, c, d]), last)).collect();
        Ok(Self { writes })
    }
}
