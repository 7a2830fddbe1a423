//! The one gate through which pieces from strangers come in.

use crate::layout::Stripe;
use crate::{ChunkId, Codec, LookupError, Manifest, Piece, Place, compress};
use bytes::Bytes;

/// What became of an inserted piece.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "a rejected piece tells something about its sender, and an early one is handed back"]
pub enum Inserted {
    /// The piece is genuine and was needed.
    Accepted,
    /// The place is filled or not needed any more; the content was not looked at.
    Duplicate,
    /// It cannot be told yet whether the piece is genuine: the manifest page that names it is not loaded. Nobody is at
    /// fault and nothing was kept. Insert the page, then the piece again.
    NeedsPage {
        /// The uppermost page that is missing; its own id is known.
        page: Place,
        /// The piece, handed back.
        piece: Piece,
    },
    /// The piece is bad. Nothing changed, but for what [`RejectReason::InconsistentParity`] and
    /// [`RejectReason::InconsistentPageParity`] say.
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
    /// A page was expected.
    #[error("a manifest page was expected, not the piece at {place:?}")]
    NotAPage {
        /// The place claimed.
        place: Place,
    },
    /// A chunk or parity of a stripe was expected.
    #[error("a shard of a stripe was expected, not the piece at {place:?}")]
    NotAShard {
        /// The place claimed.
        place: Place,
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
    /// The codec is not allowed here: parity and pages are always raw.
    #[error("parity and pages are stored raw, not as {codec:?}")]
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
    /// The ids of this page stripe's parity do not belong to those of its pages: rebuilding from genuine pages and
    /// parity gave other pages than their parent names. The publisher of the manifest is at fault, not the sender. The
    /// parity is of no use any more; the pages themselves are.
    #[error("the manifest names parity that does not belong to the pages from {first_page:?} on")]
    InconsistentPageParity {
        /// The first page of the page stripe.
        first_page: Place,
    },
}

/// Why [`Manifest::verify`] does not vouch for a piece.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum VerifyError {
    /// It cannot be told yet: a page on the way to the id of the piece is not loaded. Nobody is at fault.
    #[error("the page at {page:?} is not loaded")]
    NotLoaded {
        /// The uppermost page that is missing. Its own id is known, so it can be inserted.
        page: Place,
    },
    /// The piece is bad. Whoever sent it is at fault.
    #[error(transparent)]
    Rejected(RejectReason),
}

impl Manifest {
    /// The plain bytes of a piece of any kind, if it is what the manifest names at its place.
    ///
    /// For a single chunk of a resource of any size: it takes the pages of [`pages_for`](Self::pages_for) and nothing
    /// else. Allocates at most the plain length that follows from the manifest, and nothing for raw pieces. O(length
    /// of the piece).
    ///
    /// # Errors
    ///
    /// [`VerifyError::Rejected`] for a bad piece, [`VerifyError::NotLoaded`] when a page is needed to tell.
    pub fn verify(&self, piece: &Piece) -> Result<Bytes, VerifyError> {
        let expected = match piece.place {
            Place::Shard { stripe, index } => {
                let unknown = VerifyError::Rejected(RejectReason::UnknownPlace { place: piece.place });
                let stripe = self.layout().stripe(stripe).ok_or(unknown)?;
                check_claims(self, &stripe, index, piece)?
            }
            Place::Page { .. } => check_page_claims(self, piece)?,
        };
        expected.open(piece).map_err(VerifyError::Rejected)
    }
}

/// Checks what a piece of a stripe claims, without touching its content.
pub(crate) fn check_claims(
    manifest: &Manifest,
    stripe: &Stripe,
    index: u16,
    piece: &Piece,
) -> Result<Expected, VerifyError> {
    let content = if index < stripe.shape.data { Content::Chunk } else { Content::Parity };
    check(content, manifest.shard_len(stripe, index), manifest.id(piece.place), piece)
}

/// Checks what a page, or parity of pages, claims, without touching its content.
pub(crate) fn check_page_claims(manifest: &Manifest, piece: &Piece) -> Result<Expected, VerifyError> {
    let content = if manifest.is_page_parity(piece.place) { Content::PageParity } else { Content::Page };
    check(content, manifest.piece_len(piece.place), manifest.id(piece.place), piece)
}

fn check(
    content: Content,
    plain_len: Option<u32>,
    id: Result<ChunkId, LookupError>,
    piece: &Piece,
) -> Result<Expected, VerifyError> {
    let reject = |reason| Err(VerifyError::Rejected(reason));
    let (Some(plain_len), false) = (plain_len, matches!(id, Err(LookupError::NoSuchPlace { .. }))) else {
        return reject(RejectReason::UnknownPlace { place: piece.place });
    };
    if let Some(expected) = id.ok().filter(|id| *id != piece.id) {
        return reject(RejectReason::WrongId { expected, claimed: piece.id });
    }
    // The rest follows from the place alone: it is found wrong before the page with the id is here.
    if piece.plain_len != plain_len {
        return reject(RejectReason::PlainLen { expected: plain_len, claimed: piece.plain_len });
    }
    if content != Content::Chunk && piece.codec != Codec::Raw {
        return reject(RejectReason::Codec { codec: piece.codec });
    }
    let stored_len = piece.bytes.len();
    let fits = u32::try_from(stored_len).is_ok_and(|stored| match piece.codec {
        Codec::Raw => stored == plain_len,
        Codec::Lz4 => stored < plain_len,
    });
    if !fits {
        return reject(RejectReason::StoredLen { codec: piece.codec, plain_len, stored_len });
    }
    match id {
        Ok(id) => Ok(Expected { id, plain_len, content }),
        Err(LookupError::NotLoaded { page }) => Err(VerifyError::NotLoaded { page }),
        Err(LookupError::NoSuchPlace { place }) => reject(RejectReason::UnknownPlace { place }),
    }
}

/// The kinds of content, each with a domain of ids.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Content {
    Chunk,
    Parity,
    Page,
    PageParity,
}

/// What the manifest says about a piece.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Expected {
    id: ChunkId,
    plain_len: u32,
    content: Content,
}

impl Expected {
    pub(crate) fn is_parity(&self) -> bool {
        self.content == Content::Parity
    }

    /// Opens and hashes the content: the plain bytes, if they are what the manifest names.
    pub(crate) fn open(&self, piece: &Piece) -> Result<Bytes, RejectReason> {
        let plain = match piece.codec {
            Codec::Raw => piece.bytes.clone(),
            Codec::Lz4 => compress::unpack(&piece.bytes, self.plain_len)
                .ok_or(RejectReason::Undecodable { plain_len: self.plain_len })?,
        };
        let actual = match self.content {
            Content::Chunk => ChunkId::of_chunk(&plain),
            Content::Parity => ChunkId::of_parity(&plain),
            Content::Page => ChunkId::of_page(&plain),
            Content::PageParity => ChunkId::of_page_parity(&plain),
        };
        if actual != self.id {
            return Err(RejectReason::WrongContent { expected: self.id, actual });
        }
        Ok(plain)
    }
}

/// The id of a shard of a stripe.
pub(crate) fn id_of(plain: &[u8], parity: bool) -> ChunkId {
    if parity { ChunkId::of_parity(plain) } else { ChunkId::of_chunk(plain) }
}
