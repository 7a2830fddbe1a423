//! The cases about the erasure code: encoding a stripe, and repairing lost data shards.

use core::time::Duration;

use inos_chunk::erasure::EngineKind;

use crate::Effort;
use crate::code::{Code, Ours, Planning, ReedSolomonErasure, ReedSolomonSimd, RustyErasure, Shape, Walk};
use crate::contest::{Contestant, Role, compete};
use crate::report::Row;
use crate::{input, limits};

const SHARD_BYTES: usize = 1 << 20;
const SMALL_SHARD_BYTES: usize = 64 << 10;
/// With `--quick`, stripes longer than this get small shards.
const QUICK_STRIPE_BYTES: usize = 256 << 20;

/// Encoding one stripe again and again.
pub(crate) fn encode(case: &'static str, data: usize, parity: usize, effort: Effort) -> Row {
    let (shape, mut notes) = stripe(data, parity, effort);
    let bytes = input::noise(data * shape.shard_bytes);
    let shards: Vec<&[u8]> = bytes.chunks(shape.shard_bytes).collect();
    let mut contestants = Vec::new();
    let mut absent = Vec::new();
    for (name, role, code) in codes(shape, effort.engine) {
        match code {
            Some(code) => contestants.push(Contestant::new(name, role, encoding(shape, &shards, code))),
            None => absent.push(name),
        }
    }
    contestants.extend([limits::read(&bytes), limits::memcpy(&bytes)]);
    note_absent(&absent, &mut notes);
    Row::new(case, bytes.len(), &compete(&mut contestants, effort.rounds), absent, notes)
}

/// Repairing the same `lost` data shards of one stripe again and again.
pub(crate) fn repair(case: &'static str, data: usize, parity: usize, lost: usize, effort: Effort) -> Row {
    let (shape, mut notes) = stripe(data, parity, effort);
    let bytes = input::noise(data * shape.shard_bytes);
    let shards: Vec<&[u8]> = bytes.chunks(shape.shard_bytes).collect();
    let mut contestants = Vec::new();
    let mut absent = Vec::new();
    for (name, role, code) in codes(shape, effort.engine) {
        match code {
            Some(code) => contestants.push(Contestant::new(name, role, repairing(shape, &shards, lost, code))),
            None => absent.push(name),
        }
    }
    let code = Box::new(Ours::new(shape, effort.engine, Planning::EachTime));
    let turn = repairing(shape, &shards, lost, code);
    contestants.push(Contestant::new("ours with the plan inside", Role::Aside, turn));
    if let Some(code) = RustyErasure::new(Shape { walk: Walk::Columns, ..shape }, Planning::EachTime) {
        let turn = repairing(shape, &shards, lost, Box::new(code));
        contestants.push(Contestant::new("rusty_erasure-columns with the plan inside", Role::Aside, turn));
    }
    contestants.extend([limits::read(&bytes), limits::memcpy(&bytes)]);
    notes.push("plans and inverted matrices are made before the measured part".into());
    note_absent(&absent, &mut notes);
    Row::new(case, bytes.len(), &compete(&mut contestants, effort.rounds), absent, notes)
}

type Entry = (&'static str, Role, Option<Box<dyn Code>>);

/// Ours and the peers. `None` where there is no such code.
fn codes(shape: Shape, engine: EngineKind) -> [Entry; 7] {
    fn boxed<'a>(code: impl Code + 'a) -> Box<dyn Code + 'a> {
        Box::new(code)
    }
    let whole = Shape { walk: Walk::Whole, ..shape };
    let columns = Shape { walk: Walk::Columns, ..shape };
    let once = Planning::Once;
    [
        ("ours", Role::Ours, Some(boxed(Ours::new(whole, engine, once)))),
        ("reed-solomon-simd", Role::Peer, Some(boxed(ReedSolomonSimd::new(whole)))),
        ("reed-solomon-simd-columns", Role::Peer, Some(boxed(ReedSolomonSimd::new(columns)))),
        ("rusty_erasure", Role::Peer, RustyErasure::new(whole, once).map(boxed)),
        ("rusty_erasure-columns", Role::Peer, RustyErasure::new(columns, once).map(boxed)),
        ("reed-solomon-erasure", Role::Peer, ReedSolomonErasure::new(whole).map(boxed)),
        ("reed-solomon-erasure-columns", Role::Peer, ReedSolomonErasure::new(columns).map(boxed)),
    ]
}

fn stripe(data: usize, parity: usize, effort: Effort) -> (Shape, Vec<String>) {
    let small = effort.quick && (data + parity) * SHARD_BYTES > QUICK_STRIPE_BYTES;
    let shard_bytes = if small { SMALL_SHARD_BYTES } else { SHARD_BYTES };
    let note = format!("shards of {} KiB, our engine {}", shard_bytes >> 10, effort.engine);
    (Shape { data, parity, shard_bytes, walk: Walk::Whole }, vec![note])
}

fn note_absent(absent: &[&str], notes: &mut Vec<String>) {
    if !absent.is_empty() {
        notes.push(format!("{}: a field of 256 elements has no code of so many shards", absent.join(", ")));
    }
}

/// The first round proves the parity by repairing as much as it can; the others must compute the same.
fn encoding<'a>(shape: Shape, data: &'a [&'a [u8]], mut code: Box<dyn Code + 'a>) -> impl FnMut() -> Duration + 'a {
    let mut parity = vec![vec![0; shape.shard_bytes]; shape.parity];
    let mut proved: Option<Vec<Vec<u8>>> = None;
    move || {
        parity.iter_mut().for_each(|shard| shard.fill(0));
        let took = code.encode(data, &mut parity);
        let proved = proved.get_or_insert_with(|| {
            prove(code.as_mut(), data, &parity);
            parity.clone()
        });
        assert!(*proved == parity, "the same data has the same parity");
        took
    }
}

fn repairing<'a>(
    shape: Shape,
    data: &'a [&'a [u8]],
    lost: usize,
    mut code: Box<dyn Code + 'a>,
) -> impl FnMut() -> Duration + 'a {
    let mut parity = vec![vec![0; shape.shard_bytes]; shape.parity];
    code.encode(data, &mut parity);
    let mut out: Vec<(usize, Vec<u8>)> =
        lost_shards(data.len(), lost).map(|index| (index, vec![0; shape.shard_bytes])).collect();
    move || repair_and_check(code.as_mut(), data, &parity, &mut out)
}

/// `count` data shards, spread evenly.
fn lost_shards(data: usize, count: usize) -> impl Iterator<Item = usize> {
    (0..count).map(move |number| (2 * number + 1) * data / (2 * count))
}

fn prove(code: &mut dyn Code, data: &[&[u8]], parity: &[Vec<u8>]) {
    let lost = lost_shards(data.len(), parity.len().min(data.len()));
    let mut out: Vec<(usize, Vec<u8>)> = lost.map(|index| (index, vec![0; data[index].len()])).collect();
    repair_and_check(code, data, parity, &mut out);
}

fn repair_and_check(code: &mut dyn Code, data: &[&[u8]], parity: &[Vec<u8>], out: &mut [(usize, Vec<u8>)]) -> Duration {
    let mut shards: Vec<Option<&[u8]>> =
        data.iter().copied().chain(parity.iter().map(Vec::as_slice)).map(Some).collect();
    for (index, shard) in out.iter_mut() {
        shards[*index] = None;
        shard.fill(0);
    }
    let took = code.repair(&shards, out);
    for (index, shard) in out {
        assert!(shard == data[*index], "shard {index} came back as it was");
    }
    took
}
