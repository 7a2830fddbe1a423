//! Repair of lost pieces of one stripe, data and parity.

use crate::check::{check_claims, id_of};
use crate::compress::Packer;
use crate::erasure::{Codec as ErasureCodec, Scratch};
use crate::layout::Stripe;
use crate::{Codec, Compression, Inserted, Manifest, NotEnoughShards, Piece, Place, RejectReason, VerifyError};
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec;
use alloc::vec::Vec;
use bytes::Bytes;
use core::fmt;

/// Brings lost pieces of one stripe back: for a mesh that lost nodes and puts their pieces on others.
///
/// Holds at most as many pieces as the stripe has data shards, and the wanted ones on top. Give it any
/// `data` pieces of the stripe, in any order and from anyone; each is checked against the manifest, and so is each
/// repaired piece.
///
/// ```
/// use bytes::Bytes;
/// use inos_chunk::{Compression, Config, Place, StripeRepair, encode};
///
/// let encoded = encode(&Bytes::from(vec![5; 3 << 20]), &Config::default())?; // 3 data, 1 parity
/// let mut repair = StripeRepair::new(&encoded.manifest, 0, &[1])?;
/// for lost_one in encoded.pieces.iter().filter(|piece| piece.place != Place::Shard { stripe: 0, index: 1 }) {
///     let _ = repair.insert(lost_one.clone());
/// }
/// assert!(repair.is_ready());
/// let pieces = repair.finish(Compression::Lz4)?;
/// assert_eq!((pieces[0].id, pieces[0].place), (encoded.pieces[1].id, encoded.pieces[1].place));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct StripeRepair {
    manifest: Manifest,
    number: u32,
    stripe: Stripe,
    wanted: BTreeSet<u16>,
    present: BTreeMap<u16, Bytes>,
}

impl StripeRepair {
    /// A repair of the pieces `wanted` of stripe number `stripe`. A piece named twice is repaired once.
    ///
    /// # Errors
    ///
    /// [`RepairError::UnknownPlace`] when the resource has no such stripe, or the stripe no such shard;
    /// [`RepairError::NotLoaded`] when pages of [`Manifest::pages_for_stripe`] are not loaded.
    pub fn new(manifest: &Manifest, stripe: u32, wanted: &[u16]) -> Result<Self, RepairError> {
        let number = stripe;
        let unknown = |index| RepairError::UnknownPlace { place: Place::Shard { stripe, index } };
        let Some(stripe) = manifest.layout().stripe(stripe) else {
            return Err(unknown(wanted.first().copied().unwrap_or(0)));
        };
        if let Some(&index) = wanted.iter().find(|&&index| stripe.entry(index).is_none()) {
            return Err(unknown(index));
        }
        let entries = stripe.entries().into_iter();
        if let Some(page) = entries.flat_map(|entries| manifest.needed_for(entries)).next() {
            return Err(RepairError::NotLoaded { page });
        }
        let wanted = wanted.iter().copied().collect();
        Ok(Self { manifest: manifest.clone(), number, stripe, wanted, present: BTreeMap::new() })
    }

    /// Hands over a piece of the stripe, a wanted one included, should it turn up.
    ///
    /// Allocates the plain bytes of an LZ4 piece, nothing else. O(length of the piece).
    pub fn insert(&mut self, piece: Piece) -> Inserted {
        let Place::Shard { stripe, index } = piece.place else {
            return Inserted::Rejected(RejectReason::NotAShard { place: piece.place });
        };
        if stripe != self.number {
            return Inserted::Rejected(RejectReason::OtherStripe { expected: self.number, stripe });
        }
        let expected = match check_claims(&self.manifest, &self.stripe, index, &piece) {
            Ok(expected) => expected,
            Err(VerifyError::Rejected(reason)) => return Inserted::Rejected(reason),
            Err(VerifyError::NotLoaded { page }) => return Inserted::NeedsPage { page, piece },
        };
        let enough = self.shortfall().is_none() && !self.wanted.contains(&index);
        if enough || self.present.contains_key(&index) {
            return Inserted::Duplicate;
        }
        match expected.open(&piece) {
            Ok(plain) => {
                self.present.insert(index, plain);
                Inserted::Accepted
            }
            Err(reason) => Inserted::Rejected(reason),
        }
    }

    /// Whether [`finish`](Self::finish) has all it needs.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.shortfall().is_none() || self.wanted.iter().all(|index| self.present.contains_key(index))
    }

    /// How many pieces are missing; `None` when there are enough.
    #[must_use]
    pub fn shortfall(&self) -> Option<NotEnoughShards> {
        NotEnoughShards::check(self.number, self.stripe.shape.data, self.present.len())
    }

    /// The places that would help: all of the stripe that are not present, data first; none once there are enough.
    pub fn missing(&self) -> impl Iterator<Item = Place> + '_ {
        let shards = if self.is_ready() { 0 } else { self.stripe.shape.shards() };
        (0..shards)
            .filter_map(|index| u16::try_from(index).ok())
            .filter(|index| !self.present.contains_key(index))
            .map(|index| Place::Shard { stripe: self.number, index })
    }

    /// The wanted pieces, by rising index. Nothing is taken from the repair: it can be called again.
    ///
    /// O(n log n) shard operations for the stripe's n shards.
    ///
    /// # Errors
    ///
    /// [`RepairError::NotEnoughShards`] when more pieces are needed, [`RepairError::InconsistentParity`] when the
    /// manifest is wrong. Never wrong bytes.
    pub fn finish(&self, compression: Compression) -> Result<Vec<Piece>, RepairError> {
        if let Some(shortfall) = self.shortfall().filter(|_| !self.is_ready()) {
            return Err(RepairError::NotEnoughShards(shortfall));
        }
        let lost: Vec<u16> = self.wanted.iter().copied().filter(|index| !self.present.contains_key(index)).collect();
        let mut repaired: BTreeMap<u16, Bytes> = rebuild(&self.manifest, &self.stripe, &self.present, &lost, &mut None)
            .ok_or(RepairError::InconsistentParity { stripe: self.number })?
            .into_iter()
            .collect();
        let mut packer = Packer::new();
        let pieces = self.wanted.iter().filter_map(|&index| {
            let plain = repaired.remove(&index).or_else(|| self.present.get(&index).cloned())?;
            self.piece(index, plain, &mut packer, compression)
        });
        Ok(pieces.collect())
    }

    fn piece(&self, index: u16, plain: Bytes, packer: &mut Packer, compression: Compression) -> Option<Piece> {
        let id = self.manifest.shard_id(&self.stripe, index)?;
        let plain_len = self.manifest.shard_len(&self.stripe, index)?;
        let place = Place::Shard { stripe: self.number, index };
        let parity = index >= self.stripe.shape.data;
        let (codec, bytes) = if parity { (Codec::Raw, plain) } else { packer.pack(&plain, compression) };
        Some(Piece { id, place, codec, plain_len, bytes, duplicate_of: None })
    }
}

impl fmt::Debug for StripeRepair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StripeRepair")
            .field("stripe", &self.number)
            .field("wanted", &self.wanted)
            .field("present", &self.present.len())
            .finish_non_exhaustive()
    }
}

/// Computes the shards `lost` from at least as many present ones as the stripe has data shards, and hashes each result.
/// `None` when a result is not what the manifest names; as the present shards are, the manifest is wrong.
pub(crate) fn rebuild(
    manifest: &Manifest,
    stripe: &Stripe,
    present: &BTreeMap<u16, Bytes>,
    lost: &[u16],
    scratch: &mut Option<Scratch>,
) -> Option<Vec<(u16, Bytes)>> {
    if lost.is_empty() {
        return Some(Vec::new());
    }
    let shape = stripe.shape;
    let codec = ErasureCodec::new(shape.data.into(), shape.parity.into()).expect("a stripe has valid counts");
    let scratch = scratch.get_or_insert_with(|| codec.scratch());
    let mut buffers = Vec::with_capacity(lost.len());
    for &index in lost {
        // A data chunk may be shorter than the shard: the padding is not computed.
        let len = manifest.shard_len(stripe, index).and_then(|len| usize::try_from(len).ok())?;
        buffers.push((index, vec![0; len]));
    }
    let present: Vec<(usize, &[u8])> = present.iter().map(|(&index, bytes)| (index.into(), bytes.as_ref())).collect();
    let mut out: Vec<(usize, &mut [u8])> =
        buffers.iter_mut().map(|(index, bytes)| ((*index).into(), bytes.as_mut_slice())).collect();
    codec.repair(scratch, &present, &mut out).expect("enough distinct shards of the right lengths are present");
    let genuine =
        |(index, bytes): &(u16, Vec<u8>)| manifest.shard_id(stripe, *index) == Some(id_of(bytes, *index >= shape.data));
    buffers.iter().all(genuine).then(|| buffers.into_iter().map(|(index, bytes)| (index, bytes.into())).collect())
}

/// Why pieces cannot be repaired. The repair is as it was before the call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RepairError {
    /// The resource has no such place. The caller is at fault.
    #[error("the resource has no {place:?}")]
    UnknownPlace {
        /// The place asked for.
        place: Place,
    },
    /// A page with ids of the stripe is not loaded. The caller is too early.
    #[error("the page at {page:?} is not loaded")]
    NotLoaded {
        /// The uppermost page that is missing.
        page: Place,
    },
    /// More pieces are needed.
    #[error(transparent)]
    NotEnoughShards(NotEnoughShards),
    /// The parity ids of the stripe do not belong to its data ids. The publisher of the manifest is at fault.
    #[error("the manifest names parity in stripe {stripe} that does not belong to its data")]
    InconsistentParity {
        /// The stripe.
        stripe: u32,
    },
}
