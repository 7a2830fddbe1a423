//! The one gate through which pieces from strangers come in.

use crate::layout::Stripe;
use crate::{ChunkId, Codec, Manifest, Piece, Place, compress};
use bytes::Bytes;

/// What became of an inserted piece.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "a rejected piece tells something about its sender"]
pub enum Inserted {
    /// The piece is genuine and was needed.
    Accepted,
    /// The place is filled or not needed any more; the content was not looked at.
    Duplicate,
    /// The piece is bad. Nothing changed, but for what [`RejectReason::InconsistentParity`] says.
    Rejected(RejectReason),
}

/// Why a piece was rejected. Whoever sent it is at fault, except where a reason says otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RejectReason {
    /// The resource has no such place.
    #[error("the resource has no {place:?}")]
    UnknownPlace {
        /// The place claimed.
        place: Place,
    },
    /// The piece belongs to a stripe that is not being repaired.
    #[error("the piece belongs to stripe {stripe}, not to {expected}")]
    OtherStripe {
        /// The stripe under repair.
        expected: u32,
        /// The stripe claimed.
        stripe: u32,
    },
    /// The manifest has another id at this place: the piece is mislabelled or of another resource.
    #[error("the piece claims the id {claimed}, its place has {expected}")]
    WrongId {
        /// The id in the manifest.
        expected: ChunkId,
        /// The id claimed.
        claimed: ChunkId,
    },
    /// The claimed plain length is not the one that follows from the manifest.
    #[error("the piece claims {claimed} plain bytes, its place has {expected}")]
    PlainLen {
        /// Length that follows from the manifest.
        expected: u32,
        /// The length claimed.
        claimed: u32,
    },
    /// The codec is not allowed here: parity is always raw.
    #[error("parity is stored raw, not as {codec:?}")]
    Codec {
        /// The codec claimed.
        codec: Codec,
    },
    /// Raw bytes of another length than the plain length, or an LZ4 block that is not shorter than it.
    #[error("{stored_len} bytes cannot store {plain_len} plain bytes as {codec:?}")]
    StoredLen {
        /// The codec claimed.
        codec: Codec,
        /// Plain length that follows from the manifest.
        plain_len: u32,
        /// Stored bytes of the piece.
        stored_len: usize,
    },
    /// The stored bytes are not an LZ4 block of exactly the plain length.
    #[error("the stored bytes are no LZ4 block of {plain_len} plain bytes")]
    Undecodable {
        /// Plain length that follows from the manifest.
        plain_len: u32,
    },
    /// The content is not what the id names.
    #[error("the content has the id {actual}, not {expected}")]
    WrongContent {
        /// The id in the manifest.
        expected: ChunkId,
        /// The id of the content.
        actual: ChunkId,
    },
    /// The parity ids of the stripe do not belong to its data ids: a repair from genuine pieces gave other chunks than
    /// the manifest names. The publisher of the manifest is at fault, not the sender. Parity of the stripe is of no use
    /// any more; its data pieces are.
    #[error("the manifest names parity in stripe {stripe} that does not belong to its data")]
    InconsistentParity {
        /// The stripe.
        stripe: u32,
    },
}

/// Checks what a piece claims, without touching its content.
pub(crate) fn check_claims(
    manifest: &Manifest,
    stripe: &Stripe,
    index: u16,
    piece: &Piece,
) -> Result<Expected, RejectReason> {
    let unknown = RejectReason::UnknownPlace { place: piece.place };
    let id = manifest.shard_id(stripe, index).ok_or(unknown)?;
    let plain_len = manifest.shard_len(stripe, index).ok_or(unknown)?;
    if piece.id != id {
        return Err(RejectReason::WrongId { expected: id, claimed: piece.id });
    }
    if piece.plain_len != plain_len {
        return Err(RejectReason::PlainLen { expected: plain_len, claimed: piece.plain_len });
    }
    let parity = index >= stripe.shape.data;
    if parity && piece.codec != Codec::Raw {
        return Err(RejectReason::Codec { codec: piece.codec });
    }
    let stored_len = piece.bytes.len();
    let fits = u32::try_from(stored_len).is_ok_and(|stored| match piece.codec {
        Codec::Raw => stored == plain_len,
        Codec::Lz4 => stored < plain_len,
    });
    if !fits {
        return Err(RejectReason::StoredLen { codec: piece.codec, plain_len, stored_len });
    }
    Ok(Expected { id, plain_len, parity })
}

/// What the manifest says about a piece.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Expected {
    pub(crate) id: ChunkId,
    pub(crate) plain_len: u32,
    pub(crate) parity: bool,
}

impl Expected {
    /// Opens and hashes the content: the plain bytes, if they are what the manifest names.
    pub(crate) fn open(&self, piece: &Piece) -> Result<Bytes, RejectReason> {
        let plain = match piece.codec {
            Codec::Raw => piece.bytes.clone(),
            Codec::Lz4 => compress::unpack(&piece.bytes, self.plain_len)
                .ok_or(RejectReason::Undecodable { plain_len: self.plain_len })?,
        };
        let actual = id_of(&plain, self.parity);
        if actual != self.id {
            return Err(RejectReason::WrongContent { expected: self.id, actual });
        }
        Ok(plain)
    }
}

pub(crate) fn id_of(plain: &[u8], parity: bool) -> ChunkId {
    if parity { ChunkId::of_parity(plain) } else { ChunkId::of_chunk(plain) }
}
