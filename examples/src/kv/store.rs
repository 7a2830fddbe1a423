//! What is replicated: a map from keys to values, and how often each was written.
//!
//! What to notice: `apply` is deterministic and total. It reads no clock, draws no random number, and a delta that the
//! state does not allow would be answered in the output, not refused. The bytes are JSON to keep this file short; any
//! encoding will do that gives the same bytes for the same state on all members.

use std::collections::BTreeMap;

use inos_quorum::{Lsn, Machine, Policy, Undecodable};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// A value and its history in one number.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// What was put last.
    pub value: String,
    /// How many puts of this key were applied: one that is lost or applied twice shows here.
    pub version: u64,
}

/// The state. `BTreeMap`: its order is the same everywhere, that of a `HashMap` is not.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Store {
    entries: BTreeMap<String, Entry>,
}

impl Store {
    /// The entry of `key`.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Entry> {
        self.entries.get(key)
    }
}

/// Replaces the value of a key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Put {
    /// Which one.
    pub key: String,
    /// Its new value.
    pub value: String,
}

impl Machine for Store {
    type Delta = Put;
    /// The version after the put. It is kept with the write's id, so a repeat of the write gets the same answer.
    type Output = u64;
    /// A put that was dropped with the log of a dead primary is not merged behind its writer's back: the writer still
    /// waits, and repeats it.
    const POLICY: Policy = Policy::Reject;

    fn encode(delta: &Put, out: &mut Vec<u8>) {
        write(delta, out);
    }

    // Called before an entry enters a log: nothing that this refuses is ever applied.
    fn decode(bytes: &[u8]) -> Result<Put, Undecodable> {
        read(bytes)
    }

    fn encode_output(version: &u64, out: &mut Vec<u8>) {
        out.extend_from_slice(&version.to_le_bytes());
    }

    fn decode_output(bytes: &[u8]) -> Result<u64, Undecodable> {
        bytes.try_into().map(u64::from_le_bytes).map_err(|_| Undecodable)
    }

    fn apply(&mut self, _: Lsn, delta: &Put) -> u64 {
        let entry = self.entries.entry(delta.key.clone()).or_insert_with(|| Entry { value: String::new(), version: 0 });
        entry.value.clone_from(&delta.value);
        entry.version += 1;
        entry.version
    }

    fn snapshot(&self, out: &mut Vec<u8>) {
        write(self, out);
    }

    fn restore(bytes: &[u8]) -> Result<Self, Undecodable> {
        read(bytes)
    }
}

fn write(value: &impl Serialize, out: &mut Vec<u8>) {
    serde_json::to_writer(out, value).expect("maps of strings and numbers have a JSON form, and memory takes it");
}

fn read<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Undecodable> {
    serde_json::from_slice(bytes).map_err(|_| Undecodable)
}
