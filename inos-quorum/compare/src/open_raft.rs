//! openraft: its tasks on tokio's runtime for one thread, a log in a `BTreeMap`, and a network that calls the other
//! node's handle. Nothing is encoded.

use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use core::fmt::Debug;
use core::ops::RangeBounds;
use std::io::{self, Cursor};
use std::sync::{Mutex, OnceLock};

use openraft::error::{InstallSnapshotError, RPCError, RaftError};
use openraft::network::{RPCOption, RaftNetwork, RaftNetworkFactory};
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, InstallSnapshotRequest, InstallSnapshotResponse, VoteRequest,
    VoteResponse,
};
use openraft::storage::{LogFlushed, LogState, RaftLogStorage, RaftStateMachine, Snapshot};
use openraft::{
    BasicNode, Config, Entry, EntryPayload, LogId, OptionalSend, Raft, RaftLogReader, RaftSnapshotBuilder,
    SnapshotMeta, SnapshotPolicy, StorageError, StorageIOError, StoredMembership, TokioRuntime, Vote,
};
use tokio::runtime::{Builder, Runtime};

use crate::cluster::{Delta, delta, serial_of};

openraft::declare_raft_types!(
    /// Deltas in, sums out.
    Types:
        D = Delta,
        R = u64,
        NodeId = u64,
        Node = BasicNode,
        Entry = Entry<Types>,
        SnapshotData = Cursor<Vec<u8>>,
        AsyncRuntime = TokioRuntime,
);

type Stored<T> = Result<T, StorageError<u64>>;

/// The log of one node.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<LogInner>>);

#[derive(Default)]
struct LogInner {
    entries: BTreeMap<u64, Entry<Types>>,
    vote: Option<Vote<u64>>,
    purged: Option<LogId<u64>>,
}

impl Log {
    fn with<T>(&self, work: impl FnOnce(&mut LogInner) -> T) -> T {
        work(&mut self.0.lock().expect("nobody panics with the log in hand"))
    }
}

impl RaftLogReader<Types> for Log {
    async fn try_get_log_entries<R: RangeBounds<u64> + Clone + Debug + OptionalSend>(
        &mut self,
        range: R,
    ) -> Stored<Vec<Entry<Types>>> {
        Ok(self.with(|log| log.entries.range(range).map(|(_, entry)| entry.clone()).collect()))
    }
}

impl RaftLogStorage<Types> for Log {
    type LogReader = Self;

    async fn get_log_state(&mut self) -> Stored<LogState<Types>> {
        Ok(self.with(|log| {
            let last = log.entries.last_key_value().map(|(_, entry)| entry.log_id).or(log.purged);
            LogState { last_purged_log_id: log.purged, last_log_id: last }
        }))
    }

    async fn get_log_reader(&mut self) -> Self {
        self.clone()
    }

    async fn save_vote(&mut self, vote: &Vote<u64>) -> Stored<()> {
        self.with(|log| log.vote = Some(*vote));
        Ok(())
    }

    async fn read_vote(&mut self) -> Stored<Option<Vote<u64>>> {
        Ok(self.with(|log| log.vote))
    }

    async fn append<I>(&mut self, entries: I, callback: LogFlushed<Types>) -> Stored<()>
    where
        I: IntoIterator<Item = Entry<Types>> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        self.with(|log| log.entries.extend(entries.into_iter().map(|entry| (entry.log_id.index, entry))));
        callback.log_io_completed(Ok(()));
        Ok(())
    }

    async fn truncate(&mut self, log_id: LogId<u64>) -> Stored<()> {
        self.with(|log| drop(log.entries.split_off(&log_id.index)));
        Ok(())
    }

    async fn purge(&mut self, log_id: LogId<u64>) -> Stored<()> {
        self.with(|log| {
            log.entries = log.entries.split_off(&(log_id.index + 1));
            log.purged = Some(log_id);
        });
        Ok(())
    }
}

/// The state of one node: a sum. It gives no snapshots, and with `SnapshotPolicy::Never` nobody asks for one.
#[derive(Clone, Default)]
struct Sum {
    sum: u64,
    applied: Option<LogId<u64>>,
    membership: StoredMembership<u64, BasicNode>,
}

fn no_snapshots() -> StorageError<u64> {
    StorageIOError::read_snapshot(None, &io::Error::from(io::ErrorKind::Unsupported)).into()
}

impl RaftSnapshotBuilder<Types> for Sum {
    async fn build_snapshot(&mut self) -> Stored<Snapshot<Types>> {
        Err(no_snapshots())
    }
}

impl RaftStateMachine<Types> for Sum {
    type SnapshotBuilder = Self;

    async fn applied_state(&mut self) -> Stored<(Option<LogId<u64>>, StoredMembership<u64, BasicNode>)> {
        Ok((self.applied, self.membership.clone()))
    }

    async fn apply<I>(&mut self, entries: I) -> Stored<Vec<u64>>
    where
        I: IntoIterator<Item = Entry<Types>> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        let mut outputs = Vec::new();
        for entry in entries {
            self.applied = Some(entry.log_id);
            match entry.payload {
                EntryPayload::Blank => {}
                EntryPayload::Normal(delta) => self.sum += serial_of(&delta),
                EntryPayload::Membership(membership) => {
                    self.membership = StoredMembership::new(Some(entry.log_id), membership);
                }
            }
            outputs.push(self.sum);
        }
        Ok(outputs)
    }

    async fn get_snapshot_builder(&mut self) -> Self {
        self.clone()
    }

    async fn begin_receiving_snapshot(&mut self) -> Stored<Box<Cursor<Vec<u8>>>> {
        Err(no_snapshots())
    }

    async fn install_snapshot(&mut self, _: &SnapshotMeta<u64, BasicNode>, _: Box<Cursor<Vec<u8>>>) -> Stored<()> {
        Err(no_snapshots())
    }

    async fn get_current_snapshot(&mut self) -> Stored<Option<Snapshot<Types>>> {
        Ok(None)
    }
}

/// The handles of all nodes, once they exist.
type Nodes = Arc<OnceLock<Vec<Raft<Types>>>>;

#[derive(Clone)]
struct Network(Nodes);

/// The way to one node.
struct Way {
    nodes: Nodes,
    to: usize,
}

impl Way {
    fn node(&self) -> &Raft<Types> {
        &self.nodes.get().expect("nobody sends before all nodes exist")[self.to]
    }
}

impl RaftNetworkFactory<Types> for Network {
    type Network = Way;

    async fn new_client(&mut self, to: u64, _: &BasicNode) -> Way {
        Way { nodes: Arc::clone(&self.0), to: usize::try_from(to).expect("nodes are few") }
    }
}

/// Between nodes of one process no call is lost: an error is that of the other node, and ends the run.
type Sent<T, E = core::convert::Infallible> = Result<T, RPCError<u64, BasicNode, RaftError<u64, E>>>;

impl RaftNetwork<Types> for Way {
    async fn append_entries(
        &mut self,
        request: AppendEntriesRequest<Types>,
        _: RPCOption,
    ) -> Result<AppendEntriesResponse<u64>, RPCError<u64, BasicNode, RaftError<u64>>> {
        Ok(self.node().append_entries(request).await.expect("the node runs"))
    }

    async fn install_snapshot(
        &mut self,
        _: InstallSnapshotRequest<Types>,
        _: RPCOption,
    ) -> Sent<InstallSnapshotResponse<u64>, InstallSnapshotError> {
        unreachable!("nobody makes snapshots")
    }

    async fn vote(
        &mut self,
        request: VoteRequest<u64>,
        _: RPCOption,
    ) -> Result<VoteResponse<u64>, RPCError<u64, BasicNode, RaftError<u64>>> {
        Ok(self.node().vote(request).await.expect("the node runs"))
    }
}

/// A group in one process that has elected.
pub(crate) struct OpenRaft {
    runtime: Runtime,
    nodes: Nodes,
}

impl OpenRaft {
    pub(crate) const NAME: &'static str = "openraft";
    pub(crate) const NOTE: &'static str = "openraft: tasks and channels on tokio's runtime for one thread, \
        3 nodes in one process, messages handed over without encoding or decoding";

    pub(crate) fn elected(members: u64) -> Self {
        let runtime = Builder::new_current_thread().enable_time().build().expect("a runtime");
        let config = Config {
            // Real time passes here: timers that never run out during a turn.
            heartbeat_interval: 1_000,
            election_timeout_min: 10_000,
            election_timeout_max: 20_000,
            snapshot_policy: SnapshotPolicy::Never,
            ..Config::default()
        };
        let config = Arc::new(config.validate().expect("a sound configuration"));
        let nodes = Nodes::default();
        runtime.block_on(async {
            let mut started = Vec::new();
            for node in 0..members {
                let network = Network(Arc::clone(&nodes));
                let raft = Raft::new(node, Arc::clone(&config), network, Log::default(), Sum::default());
                started.push(raft.await.expect("a fresh node starts"));
            }
            assert!(nodes.set(started).is_ok(), "the nodes are started once");
            let first = &nodes.get().expect("just set")[0];
            let members: BTreeMap<u64, BasicNode> = (0..members).map(|node| (node, BasicNode::default())).collect();
            first.initialize(members).await.expect("a fresh group");
            first.wait(None).current_leader(0, "the founder leads").await.expect("it is elected");
        });
        Self { runtime, nodes }
    }

    /// Commits `writes` after `serial`, `batch` at once. Checks the sum of the last one.
    pub(crate) fn commit(&mut self, serial: u64, writes: u64, batch: u64) {
        let primary = &self.nodes.get().expect("the nodes run")[0];
        self.runtime.block_on(async {
            let mut last = 0;
            let mut waiting = Vec::new();
            for first in (serial + 1..=serial + writes).step_by(usize::try_from(batch).expect("batches are small")) {
                if batch == 1 {
                    last = primary.client_write(delta(first)).await.expect("the primary leads").data;
                    continue;
                }
                for serial in first..first + batch {
                    waiting.push(primary.client_write_ff(delta(serial)).await.expect("the primary runs"));
                }
                for answer in waiting.drain(..) {
                    last = answer.await.expect("the primary runs").expect("the primary leads").data;
                }
            }
            let end = serial + writes;
            assert_eq!(last, end * (end + 1) / 2, "every delta is applied once");
        });
    }
}

impl Drop for OpenRaft {
    fn drop(&mut self) {
        self.runtime.block_on(async {
            for node in self.nodes.get().into_iter().flatten() {
                node.shutdown().await.expect("a node stops");
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::OpenRaft;

    #[test]
    fn openraft_commits_all() {
        let mut group = OpenRaft::elected(3);
        group.commit(0, 10, 1);
        group.commit(10, 128, 64);
    }
}
