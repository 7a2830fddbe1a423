//! What a group that has nothing to do keeps in memory.

use core::time::Duration;

use crate::Effort;
use crate::cluster::{Cluster, Member};
use crate::contest::Figures;
use crate::counting::count;
use crate::ours::Ours;
use crate::raft_rs::RaftRs;
use crate::report::{Better, Row};

const MEMBERS: usize = 5;

pub(crate) fn run(name: &'static str, effort: Effort) -> Row {
    let groups = usize::try_from(effort.units(20)).expect("groups are few");
    let ours = Figures::new(Ours::NAME, vec![bytes_per_member::<Ours>(groups)]);
    let raft_rs = Figures::new(RaftRs::NAME, vec![bytes_per_member::<RaftRs>(groups)]);
    let notes = [
        format!("one member of {MEMBERS} a second after its election, no write yet; mean of {groups} groups"),
        "bytes as asked for from the allocator, the member itself included".into(),
        "raft-rs: with its MemStorage".into(),
    ];
    Row::new(name, "bytes/member", Better::Lower, Some(&ours), &[raft_rs], &[], &notes)
}

fn bytes_per_member<M: Member>(groups: usize) -> f64 {
    let (kept, counted) = count(|| {
        let idle = |_| {
            let mut cluster = Cluster::<M>::elected(MEMBERS);
            cluster.pass(Duration::from_secs(1));
            cluster.trim();
            cluster.members
        };
        (0..groups).map(idle).collect::<Vec<_>>()
    });
    let members: usize = kept.iter().map(Vec::len).sum();
    counted.kept_bytes as f64 / members as f64
}
