//! What the encoder is told.

use crate::geometry::resource_loss;
use crate::{ChunkSize, Geometry};

/// Whether data chunks are compressed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "lowercase"))]
#[non_exhaustive]
pub enum Compression {
    /// Each chunk becomes an LZ4 block where that saves at least 3 % of it, and stays raw otherwise. Chunks that look
    /// incompressible in a sample are not tried. Parity is never compressed.
    #[default]
    Lz4,
    /// Every chunk stays raw.
    Raw,
}

/// How a resource is cut up and protected. All of it but the compression is written into the manifest.
///
/// ```
/// use inos_chunk::{Config, Geometry};
///
/// let config = Config { geometry: Geometry::new(10, 4)?, interleave: 1, ..Config::default() };
/// assert_eq!(config.validate(), Ok(()));
/// assert!(Config { interleave: 0, ..config }.validate().is_err());
/// # Ok::<(), inos_chunk::GeometryError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Config {
    /// Length of every chunk but the last. Default 1 MiB.
    pub chunk_size: ChunkSize,
    /// Data and parity shards of a full stripe. Default 100 + 20.
    pub geometry: Geometry,
    /// Stripes of a group, 1..=[`Config::MAX_INTERLEAVE`]. Neighbouring chunks of a group belong to different stripes,
    /// so a run of `interleave * parity` lost neighbours is repaired. Encoder and assembler hold one group in memory.
    /// Default 4.
    pub interleave: u16,
    /// Whether data chunks are compressed. Default LZ4. Has no influence on ids and manifest.
    pub compression: Compression,
}

impl Config {
    /// The most stripes of a group.
    pub const MAX_INTERLEAVE: u16 = 256;

    /// Checks the one field whose type allows wrong values.
    ///
    /// # Errors
    ///
    /// [`ConfigError::Interleave`] when `interleave` is outside 1..=[`Config::MAX_INTERLEAVE`].
    pub const fn validate(&self) -> Result<(), ConfigError> {
        if self.interleave == 0 || self.interleave > Self::MAX_INTERLEAVE {
            return Err(ConfigError::Interleave { interleave: self.interleave });
        }
        Ok(())
    }

    /// The probability that a resource of `chunks` data chunks is lost when every piece, data and parity, is lost with
    /// probability `p`, independently of the others. As [`Geometry::loss_probability`], which tells more, for the
    /// interleave of this configuration: it decides how the last stripes share what is left.
    ///
    /// `None` when `p` is not in 0..=1, or the configuration is not [valid](Self::validate).
    #[must_use]
    pub fn loss_probability(&self, chunks: u64, p: f64) -> Option<f64> {
        self.validate().ok()?;
        resource_loss(self.geometry, self.interleave, chunks, p)
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            chunk_size: ChunkSize::DEFAULT,
            geometry: Geometry::DEFAULT,
            interleave: 4,
            compression: Compression::Lz4,
        }
    }
}

/// A configuration that cannot be used. The caller is at fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The number of stripes in a group is zero or too large.
    #[error("a group has 1..=256 stripes, not {interleave}")]
    Interleave {
        /// The refused value.
        interleave: u16,
    },
}
