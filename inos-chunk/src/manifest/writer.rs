//! A manifest from ids alone.

use super::Manifest;
use super::builder::ManifestBuilder;
use super::tree::Tree;
use crate::layout::Layout;
use crate::{ChunkId, Config, EncodeError, Piece};

/// Makes a manifest from the ids of pieces that were made elsewhere: push them in the order of [`Manifest::places`],
/// poll pages, take the manifest. [`Encoder`](crate::Encoder) does the same for pieces that it makes itself.
///
/// Holds of each level of pages the entries of one page and the pages of one page stripe: up to 6.4 MiB, and while the
/// parity of a page stripe is polled this parity.
///
/// ```
/// use inos_chunk::{ChunkId, Config, ManifestWriter};
///
/// // 100 GB: 100,000 chunks of about a MB, and 20,000 parity shards.
/// let mut writer = ManifestWriter::new(100_000 << 20, &Config::default())?;
/// let mut pages = 0;
/// for i in 0..writer.piece_count() {
///     writer.push(ChunkId::of_chunk(&i.to_le_bytes()))?;
///     pages += core::iter::from_fn(|| writer.next_page()).count();
/// }
/// writer.end()?;
/// pages += core::iter::from_fn(|| writer.next_page()).count();
/// let manifest = writer.finish()?;
/// assert_eq!((manifest.level(), manifest.page_count(), pages), (1, 59, 59 + 12));
/// assert_eq!(manifest.to_bytes().len(), 32 + 71 * 32);
/// # Ok::<(), inos_chunk::EncodeError>(())
/// ```
#[derive(Debug)]
pub struct ManifestWriter {
    layout: Layout,
    tree: Tree,
    builder: ManifestBuilder,
}

impl ManifestWriter {
    /// A writer for the manifest of a resource of `len` bytes.
    ///
    /// # Errors
    ///
    /// [`EncodeError::Config`] for a wrong configuration, [`EncodeError::TooManyStripes`] when the resource has more
    /// stripes than can be numbered.
    pub fn new(len: u64, config: &Config) -> Result<Self, EncodeError> {
        config.validate()?;
        let layout = Layout::new(len, config).ok_or(EncodeError::TooManyStripes { len })?;
        let builder = ManifestBuilder::new(config.geometry);
        Ok(Self { layout, tree: Tree::new(&layout), builder })
    }

    /// How many ids it takes: one for each data chunk and each parity shard.
    #[must_use]
    pub fn piece_count(&self) -> u64 {
        self.layout.entry_count()
    }

    /// The id of the next piece.
    ///
    /// # Errors
    ///
    /// [`EncodeError::Ended`] when all [`piece_count`](Self::piece_count) ids were pushed; nothing changed.
    pub fn push(&mut self, id: ChunkId) -> Result<(), EncodeError> {
        if self.builder.ids() == self.piece_count() {
            return Err(EncodeError::Ended);
        }
        self.builder.push(id);
        Ok(())
    }

    /// The next page, or parity of pages; `None` when it takes more ids, or [`end`](Self::end), or all are made.
    pub fn next_page(&mut self) -> Option<Piece> {
        self.builder.next_page()
    }

    /// Completes the last pages of each level. Calling it again changes nothing.
    ///
    /// # Errors
    ///
    /// [`EncodeError::Undrained`] with the number of ids that are missing; nothing changed.
    pub fn end(&mut self) -> Result<(), EncodeError> {
        let pieces = self.piece_count() - self.builder.ids();
        if pieces > 0 {
            return Err(EncodeError::Undrained { pieces });
        }
        self.builder.end();
        Ok(())
    }

    /// The manifest, without pages loaded, once all pages were polled. Implies [`end`](Self::end).
    ///
    /// # Errors
    ///
    /// [`EncodeError::Undrained`] with the number of ids and pages that are missing; nothing is lost.
    pub fn finish(&mut self) -> Result<Manifest, EncodeError> {
        self.end()?;
        let pieces = self.piece_count() + self.tree.piece_count() - self.builder.pieces();
        if pieces > 0 {
            return Err(EncodeError::Undrained { pieces });
        }
        Ok(self.builder.finish(self.layout))
    }
}
