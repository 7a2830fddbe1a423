//! Little-endian fields, read with every length checked.

use alloc::vec::Vec;

use xxhash_rust::xxh3::xxh3_64;

use crate::{Actor, Id, Lsn};

/// Length of the trailing checksum.
pub(crate) const CHECKSUM_BYTES: usize = 8;

pub(crate) struct Reader<'a>(pub(crate) &'a [u8]);

impl<'a> Reader<'a> {
    pub(crate) fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let (head, tail) = self.0.split_at_checked(len)?;
        self.0 = tail;
        Some(head)
    }

    pub(crate) fn u8(&mut self) -> Option<u8> {
        self.take(1).map(|bytes| bytes[0])
    }

    pub(crate) fn u32(&mut self) -> Option<u32> {
        self.take(4)?.try_into().ok().map(u32::from_le_bytes)
    }

    pub(crate) fn u64(&mut self) -> Option<u64> {
        self.take(8)?.try_into().ok().map(u64::from_le_bytes)
    }

    pub(crate) fn u128(&mut self) -> Option<u128> {
        self.take(16)?.try_into().ok().map(u128::from_le_bytes)
    }

    pub(crate) fn lsn(&mut self) -> Option<Lsn> {
        Some(Lsn { epoch: self.u64()?, sequence: self.u64()? })
    }

    pub(crate) fn actor<N: Id>(&mut self) -> Option<Actor<N>> {
        let node = self.id_bytes().and_then(N::read_id)?;
        Some(Actor { node, incarnation: self.u64()? })
    }

    /// Everything that is left.
    pub(crate) fn rest(&mut self) -> &'a [u8] {
        core::mem::take(&mut self.0)
    }

    /// A length of one byte, then as many bytes.
    pub(crate) fn id_bytes(&mut self) -> Option<&'a [u8]> {
        let len = self.u8()?;
        self.take(usize::from(len))
    }

    /// A length of four bytes, then as many bytes.
    pub(crate) fn long_bytes(&mut self) -> Option<&'a [u8]> {
        let len = self.u32()?;
        self.take(usize::try_from(len).ok()?)
    }

    /// A length of eight bytes, then as many bytes.
    pub(crate) fn huge_bytes(&mut self) -> Option<&'a [u8]> {
        let len = self.u64()?;
        self.take(usize::try_from(len).ok()?)
    }

    /// Nothing may follow.
    pub(crate) fn end(self) -> Option<()> {
        self.0.is_empty().then_some(())
    }
}

/// Appends fields to a buffer.
pub(crate) trait Put {
    fn put(&mut self, bytes: &[u8]);

    fn put_id(&mut self, id: &impl Id) {
        let mut bytes = [0; 64];
        let len = id.write_id(&mut bytes).min(64);
        self.put(&[u8::try_from(len).unwrap_or(64)]);
        self.put(&bytes[..len]);
    }

    fn put_u32(&mut self, value: u32) {
        self.put(&value.to_le_bytes());
    }

    fn put_u64(&mut self, value: u64) {
        self.put(&value.to_le_bytes());
    }

    fn put_lsn(&mut self, lsn: Lsn) {
        self.put_u64(lsn.epoch);
        self.put_u64(lsn.sequence);
    }

    fn put_actor<N: Id>(&mut self, actor: &Actor<N>) {
        self.put_id(&actor.node);
        self.put_u64(actor.incarnation);
    }

    /// A count as four bytes.
    fn put_count(&mut self, count: usize) {
        self.put_u32(u32::try_from(count).expect("counts are bounded by the configuration"));
    }
}

impl Put for Vec<u8> {
    // Called from generic code, which is compiled in other crates. Not inlined there, each word would call `memcpy`.
    #[inline]
    fn put(&mut self, bytes: &[u8]) {
        self.extend_from_slice(bytes);
    }
}

/// Closes what `out` holds with its checksum.
pub(crate) fn seal(out: &mut Vec<u8>) {
    let sum = xxh3_64(out);
    out.put(&sum.to_le_bytes());
}

/// Splits off the checksum; `None` when there is none. The flag says whether it fits.
pub(crate) fn unseal(bytes: &[u8]) -> Option<(&[u8], Sealed)> {
    let (body, sum) = bytes.split_last_chunk::<CHECKSUM_BYTES>().map(|(body, sum)| (body, u64::from_le_bytes(*sum)))?;
    Some((body, if xxh3_64(body) == sum { Sealed::Intact } else { Sealed::Damaged }))
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sealed {
    Intact,
    Damaged,
}
