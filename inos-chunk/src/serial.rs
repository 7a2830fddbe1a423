//! Serde for the types whose fields do not say it all; the others derive it where they are defined.
//!
//! A [`ChunkId`] is hexadecimal text in formats that people read and 32 bytes in the others, a [`ChunkSize`] its number
//! of bytes. [`Geometry`] and [`Config`] go through the same checks as from code.

use crate::{ChunkId, ChunkSize, Compression, Config, Geometry};
use core::fmt;
use serde::de::{Deserialize, Deserializer, Error, SeqAccess, Visitor};
use serde::ser::{Serialize, Serializer};

impl Serialize for ChunkId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.collect_str(self)
        } else {
            serializer.serialize_bytes(self.as_bytes())
        }
    }
}

impl<'de> Deserialize<'de> for ChunkId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            deserializer.deserialize_str(IdVisitor)
        } else {
            deserializer.deserialize_bytes(IdVisitor)
        }
    }
}

struct IdVisitor;

impl<'de> Visitor<'de> for IdVisitor {
    type Value = ChunkId;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("64 hexadecimal digits or 32 bytes")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<ChunkId, E> {
        text.parse().map_err(E::custom)
    }

    fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<ChunkId, E> {
        let bytes = <[u8; ChunkId::LEN]>::try_from(bytes).map_err(|_| E::invalid_length(bytes.len(), &self))?;
        Ok(ChunkId::from_bytes(bytes))
    }

    /// Formats without a type for bytes write them as a sequence of numbers.
    fn visit_seq<A: SeqAccess<'de>>(self, mut numbers: A) -> Result<ChunkId, A::Error> {
        let mut bytes = [0; ChunkId::LEN];
        for (at, byte) in bytes.iter_mut().enumerate() {
            *byte = numbers.next_element()?.ok_or_else(|| A::Error::invalid_length(at, &self))?;
        }
        if numbers.next_element::<u8>()?.is_some() {
            return Err(A::Error::invalid_length(ChunkId::LEN + 1, &self));
        }
        Ok(ChunkId::from_bytes(bytes))
    }
}

impl Serialize for ChunkSize {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u32(self.bytes_u32())
    }
}

impl<'de> Deserialize<'de> for ChunkSize {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let bytes = u32::deserialize(deserializer)?;
        let bytes = usize::try_from(bytes).map_err(D::Error::custom)?;
        Self::new(bytes).map_err(D::Error::custom)
    }
}

/// A [`Geometry`] that was not checked yet.
#[derive(serde::Serialize, serde::Deserialize)]
#[serde(rename = "Geometry")]
struct Counts {
    data: u16,
    parity: u16,
}

impl Serialize for Geometry {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Counts { data: self.data(), parity: self.parity() }.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Geometry {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Counts { data, parity } = Counts::deserialize(deserializer)?;
        Self::new(data, parity).map_err(D::Error::custom)
    }
}

/// A [`Config`] that was not checked yet. What is missing has its default.
#[derive(serde::Serialize, serde::Deserialize)]
#[serde(rename = "Config", default)]
struct Fields {
    chunk_size: ChunkSize,
    geometry: Geometry,
    interleave: u16,
    compression: Compression,
}

impl Default for Fields {
    fn default() -> Self {
        Self::from(Config::default())
    }
}

impl From<Config> for Fields {
    fn from(Config { chunk_size, geometry, interleave, compression }: Config) -> Self {
        Self { chunk_size, geometry, interleave, compression }
    }
}

impl Serialize for Config {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Fields::from(*self).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Config {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Fields { chunk_size, geometry, interleave, compression } = Fields::deserialize(deserializer)?;
        let config = Self { chunk_size, geometry, interleave, compression };
        config.validate().map_err(D::Error::custom)?;
        Ok(config)
    }
}
