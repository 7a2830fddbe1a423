//! Goal: the plain types survive serde, and what comes in is as valid as what code can make. Method:
//!
//! JSON stands for the formats that people read. For the others a format is played that knows only bytes and sequences.

use core::fmt::{self, Display};
use inos_chunk::{
    ChunkId, ChunkSize, Codec, Compression, Config, Geometry, Location, Place, StorageClass, StripeShape,
};
use serde::de::value::SeqDeserializer;
use serde::de::{DeserializeOwned, Deserializer, Visitor};
use serde::ser::{Impossible, Serializer};
use serde::{Deserialize, Serialize, forward_to_deserialize_any};
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

fn assert_json<T: Serialize + DeserializeOwned + PartialEq + fmt::Debug>(value: &T, json: &str) {
    assert_eq!(serde_json::to_string(value).unwrap(), json);
    assert_eq!(&serde_json::from_str::<T>(json).unwrap(), value);
}

fn refused<T: DeserializeOwned + fmt::Debug>(json: &str) -> String {
    serde_json::from_str::<T>(json).expect_err("it is not valid").to_string()
}

#[test]
fn each_type_has_one_form() {
    let id = ChunkId::of_chunk(b"abc");
    assert_json(&id, "\"6437b3ac38465133ffb63b75273a8db548c558465d79db03fd359c6cd5bd9d85\"");
    assert_json(&ChunkSize::DEFAULT, "1048576");
    assert_json(&Geometry::WIDE, r#"{"data":1000,"parity":200}"#);
    assert_json(&Compression::Lz4, "\"lz4\"");
    assert_json(&Compression::Raw, "\"raw\"");
    assert_json(&Codec::Raw, "\"raw\"");
    assert_json(&Codec::Lz4, "\"lz4\"");
    assert_json(&StorageClass::Cold, "\"cold\"");
    assert_json(&Place::Shard { stripe: 7, index: 119 }, r#"{"shard":{"stripe":7,"index":119}}"#);
    assert_json(
        &StripeShape { data: 100, parity: 20, shard_bytes: 4096 },
        r#"{"data":100,"parity":20,"shard_bytes":4096}"#,
    );
    assert_json(
        &Location { chunk: 9, place: Place::Shard { stripe: 1, index: 2 }, within: 3 },
        r#"{"chunk":9,"place":{"shard":{"stripe":1,"index":2}},"within":3}"#,
    );
    assert_json(
        &Config { interleave: 1, ..Config::default() },
        r#"{"chunk_size":1048576,"geometry":{"data":100,"parity":20},"interleave":1,"compression":"lz4"}"#,
    );
}

#[test]
fn a_configuration_may_leave_out_what_has_a_default() {
    assert_eq!(serde_json::from_str::<Config>("{}").unwrap(), Config::default());
    let config = serde_json::from_str::<Config>(r#"{"interleave":2}"#).unwrap();
    assert_eq!(config, Config { interleave: 2, ..Config::default() });
}

#[test]
fn what_code_cannot_make_does_not_come_in() {
    for (data, parity) in [(0, 4), (10, 0), (32_769, 1), (1, 32_769), (70_000, 1)] {
        let json = format!(r#"{{"data":{data},"parity":{parity}}}"#);
        assert!(serde_json::from_str::<Geometry>(&json).is_err(), "{json}");
        assert!(serde_json::from_str::<Config>(&format!(r#"{{"geometry":{json}}}"#)).is_err(), "{json}");
    }
    for bytes in ["0", "1", "5000", "2048", "33554432", "-4096", "4294971392", "18446744073709551615"] {
        assert!(serde_json::from_str::<ChunkSize>(bytes).is_err(), "{bytes}");
    }
    assert!(refused::<Config>(r#"{"interleave":0}"#).contains("a group has 1..=256 stripes, not 0"));
    assert!(refused::<Config>(r#"{"interleave":257}"#).contains("not 257"));
    assert!(refused::<Config>(r#"{"compression":"zip"}"#).contains("zip"));
    for id in ["\"\"", "\"64\"", "12", "[1,2]", &format!("\"{}\"", "g".repeat(64)), &format!("\"{}\"", "a".repeat(65))]
    {
        assert!(serde_json::from_str::<ChunkId>(id).is_err(), "{id}");
    }
}

#[test]
fn an_id_is_bytes_where_nobody_reads() {
    let id = ChunkId::of_chunk(b"abc");
    assert_eq!(id.serialize(Compact).unwrap(), id.as_bytes());
    assert_eq!(ChunkId::deserialize(Stored::Bytes(id.as_bytes())).unwrap(), id);
    assert_eq!(ChunkId::deserialize(Stored::Sequence(id.as_bytes())).unwrap(), id);
    for len in [0, 31, 33, 64] {
        let bytes = vec![1; len];
        assert!(ChunkId::deserialize(Stored::Bytes(&bytes)).is_err(), "{len} bytes");
        assert!(ChunkId::deserialize(Stored::Sequence(&bytes)).is_err(), "{len} numbers");
    }
}

#[derive(Debug)]
struct Refused;

impl Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("refused")
    }
}

impl core::error::Error for Refused {}

impl serde::ser::Error for Refused {
    fn custom<T: Display>(_: T) -> Self {
        Self
    }
}

impl serde::de::Error for Refused {
    fn custom<T: Display>(_: T) -> Self {
        Self
    }
}

/// A format for bytes, not for readers.
enum Stored<'a> {
    Bytes(&'a [u8]),
    /// The same without a type for bytes.
    Sequence(&'a [u8]),
}

impl<'de> Deserializer<'de> for Stored<'_> {
    type Error = Refused;

    fn is_human_readable(&self) -> bool {
        false
    }

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
        match self {
            Self::Bytes(bytes) => visitor.visit_bytes(bytes),
            Self::Sequence(bytes) => {
                let mut numbers = SeqDeserializer::new(bytes.iter().copied());
                let value = visitor.visit_seq(&mut numbers)?;
                numbers.end()?;
                Ok(value)
            }
        }
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 u8 u16 u32 u64 f32 f64 char str string bytes byte_buf option unit unit_struct newtype_struct
        seq tuple tuple_struct map struct enum identifier ignored_any
    }
}

/// A format that can write bytes and nothing else.
struct Compact;

macro_rules! refuse {
    ($($method:ident($($argument:ty),*) -> $ok:ty;)*) => {
        $(fn $method(self, $(_: $argument),*) -> Result<$ok, Refused> { Err(Refused) })*
    };
}

type No = Impossible<Vec<u8>, Refused>;

impl Serializer for Compact {
    type Ok = Vec<u8>;
    type Error = Refused;
    type SerializeSeq = No;
    type SerializeTuple = No;
    type SerializeTupleStruct = No;
    type SerializeTupleVariant = No;
    type SerializeMap = No;
    type SerializeStruct = No;
    type SerializeStructVariant = No;

    fn is_human_readable(&self) -> bool {
        false
    }

    fn serialize_bytes(self, bytes: &[u8]) -> Result<Vec<u8>, Refused> {
        Ok(bytes.to_vec())
    }

    refuse! {
        serialize_bool(bool) -> Vec<u8>;
        serialize_i8(i8) -> Vec<u8>;
        serialize_i16(i16) -> Vec<u8>;
        serialize_i32(i32) -> Vec<u8>;
        serialize_i64(i64) -> Vec<u8>;
        serialize_u8(u8) -> Vec<u8>;
        serialize_u16(u16) -> Vec<u8>;
        serialize_u32(u32) -> Vec<u8>;
        serialize_u64(u64) -> Vec<u8>;
        serialize_f32(f32) -> Vec<u8>;
        serialize_f64(f64) -> Vec<u8>;
        serialize_char(char) -> Vec<u8>;
        serialize_str(&str) -> Vec<u8>;
        serialize_none() -> Vec<u8>;
        serialize_unit() -> Vec<u8>;
        serialize_unit_struct(&'static str) -> Vec<u8>;
        serialize_unit_variant(&'static str, u32, &'static str) -> Vec<u8>;
        serialize_seq(Option<usize>) -> No;
        serialize_tuple(usize) -> No;
        serialize_tuple_struct(&'static str, usize) -> No;
        serialize_tuple_variant(&'static str, u32, &'static str, usize) -> No;
        serialize_map(Option<usize>) -> No;
        serialize_struct(&'static str, usize) -> No;
        serialize_struct_variant(&'static str, u32, &'static str, usize) -> No;
    }

    fn serialize_some<T: Serialize + ?Sized>(self, _: &T) -> Result<Vec<u8>, Refused> {
        Err(Refused)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, _: &'static str, _: &T) -> Result<Vec<u8>, Refused> {
        Err(Refused)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: &T,
    ) -> Result<Vec<u8>, Refused> {
        Err(Refused)
    }
}
