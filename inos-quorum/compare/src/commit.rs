//! How many writes a group commits in a second when network and disk cost nothing.

use crate::Effort;
use crate::cluster::{Cluster, Member};
use crate::contest::{Contestant, Stopwatch, compete};
use crate::open_raft::OpenRaft;
use crate::ours::Ours;
use crate::raft_rs::RaftRs;
use crate::report::{Better, Row};

/// Writes that do not count, in front of those that do.
const WARM_UP: u64 = 1024;

/// `batch` writes are made at once and committed before the next ones are.
pub(crate) fn run(name: &'static str, members: usize, batch: u64, effort: Effort) -> Row {
    let writes = effort.units(if batch == 1 { 8_192 } else { 32_768 });
    let turns = vec![
        Contestant::new(Ours::NAME, || through_bytes::<Ours>(members, batch, writes)),
        Contestant::new(RaftRs::NAME, || through_bytes::<RaftRs>(members, batch, writes)),
        Contestant::new(OpenRaft::NAME, || by_calls(batch, writes)),
    ];
    let figures = compete(turns, effort.rounds);
    let notes = [
        format!(
            "{members} members in one thread, 64-byte deltas, {batch} at once, volatile storage, every frame encoded and decoded"
        ),
        "raft-rs: RawNode with MemStorage and protobuf, one `ready` for all frames that came together, no tables of \
         clients and no checksums, which ours has"
            .into(),
        OpenRaft::NOTE.into(),
    ];
    Row::new(name, "k commits/s", Better::Higher, Some(&figures[0]), &figures[1..], &[], &notes)
}

fn through_bytes<M: Member>(members: usize, batch: u64, writes: u64) -> f64 {
    let mut cluster = Cluster::<M>::elected(members);
    let mut serial = 0;
    while serial < WARM_UP {
        cluster.commit(serial, batch);
        serial += batch;
    }
    let stopwatch = Stopwatch::start();
    while serial < WARM_UP + writes {
        cluster.commit(serial, batch);
        serial += batch;
    }
    let seconds = stopwatch.seconds();
    assert_eq!(cluster.committed, serial, "{} commits what it takes", M::NAME);
    assert_eq!(cluster.members[cluster.primary].applied(), serial * (serial + 1) / 2, "every delta is applied once");
    writes as f64 / seconds / 1e3
}

fn by_calls(batch: u64, writes: u64) -> f64 {
    let mut group = OpenRaft::elected(3);
    group.commit(0, WARM_UP, batch);
    let stopwatch = Stopwatch::start();
    group.commit(WARM_UP, writes, batch);
    writes as f64 / stopwatch.seconds() / 1e3
}
