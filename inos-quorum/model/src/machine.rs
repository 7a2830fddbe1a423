//! What the group replicates: a list of small numbers.

use inos_quorum::{Lsn, Machine, Policy, Undecodable};

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct List {
    pub(crate) applied: Vec<(Lsn, u8)>,
}

impl Machine for List {
    type Delta = u8;
    type Output = ();
    const POLICY: Policy = Policy::Reject;

    fn encode(delta: &u8, out: &mut Vec<u8>) {
        out.push(*delta);
    }

    fn decode(bytes: &[u8]) -> Result<u8, Undecodable> {
        match bytes {
            [delta] => Ok(*delta),
            _ => Err(Undecodable),
        }
    }

    fn apply(&mut self, lsn: Lsn, delta: &u8) {
        self.applied.push((lsn, *delta));
    }

    fn encode_output((): &(), _: &mut Vec<u8>) {}

    fn decode_output(_: &[u8]) -> Result<(), Undecodable> {
        Ok(())
    }

    fn snapshot(&self, out: &mut Vec<u8>) {
        for (lsn, delta) in &self.applied {
            out.extend_from_slice(&lsn.epoch.to_le_bytes());
            out.extend_from_slice(&lsn.sequence.to_le_bytes());
            out.push(*delta);
        }
    }

    fn restore(bytes: &[u8]) -> Result<Self, Undecodable> {
        let (places, []) = bytes.as_chunks::<17>() else { return Err(Undecodable) };
        let number = |bytes: &[u8]| bytes.iter().rev().fold(0, |number, &byte| number << 8 | u64::from(byte));
        let place = |bytes: &[u8; 17]| (Lsn { epoch: number(&bytes[..8]), sequence: number(&bytes[8..16]) }, bytes[16]);
        Ok(Self { applied: places.iter().map(place).collect() })
    }
}
