//! The processes of a group: started, killed, started again, and all ended with this value.

use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use super::journal;
use super::node;
use super::options::Start;
use super::protocol::{Answer, Request, Status};
use super::transport::Connection;

/// The group does not do what it ought to.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClusterError {
    /// A member ended by itself; its last words are on standard error.
    #[error("member {node} ended by itself: {status}")]
    Ended {
        /// Which one.
        node: u32,
        /// How.
        status: ExitStatus,
    },
    /// Nothing happened for too long.
    #[error("{doing} took longer than {waited:?}")]
    Stuck {
        /// What did not happen.
        doing: &'static str,
        /// How long was waited.
        waited: Duration,
    },
    /// A process could not be asked after.
    #[error(transparent)]
    Io(#[from] io::Error),
}

const ASK_EVERY: Duration = Duration::from_millis(5);
const ANSWER_TIMEOUT: Duration = Duration::from_millis(500);

/// Members as processes. Dropping it ends them.
#[derive(Debug)]
pub(super) struct Cluster {
    root: PathBuf,
    mode: String,
    /// By node; `None` while it is dead.
    members: Vec<Option<Child>>,
}

impl Cluster {
    /// Founds a group of `voters` members that keep their files under `root`.
    pub(super) fn start(root: &Path, voters: u32, mode: &str) -> io::Result<Self> {
        let members = (0..voters).map(|_| None).collect();
        let mut cluster = Self { root: root.to_owned(), mode: mode.to_owned(), members };
        for node in 0..voters {
            cluster.spawn(node, Start::Found)?;
        }
        Ok(cluster)
    }

    fn spawn(&mut self, node: u32, start: Start) -> io::Result<()> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["node", "--id", &node.to_string(), "--voters", &self.members.len().to_string()]);
        command.args(["--mode", &self.mode, "--start", start.name(), "--root"]).arg(&self.root);
        // The pipe ends with this process, and the member with the pipe.
        command.stdin(Stdio::piped()).stdout(Stdio::null());
        // Ctrl-C is for the driver: members end after it, and remove the files that it could not.
        #[cfg(unix)]
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        self.members[node as usize] = Some(command.spawn()?);
        Ok(())
    }

    /// Kills a member without warning (`SIGKILL`), and sees it end.
    pub(super) fn kill(&mut self, node: u32) -> io::Result<()> {
        if let Some(mut member) = self.members[node as usize].take() {
            member.kill()?;
            member.wait()?;
        }
        Ok(())
    }

    /// Starts a dead member again, from its journal.
    pub(super) fn restart(&mut self, node: u32) -> io::Result<()> {
        self.spawn(node, Start::Recover)
    }

    /// Leaves the journal of a dead member as a power failure might.
    pub(super) fn tear_journal(&self, node: u32) -> io::Result<()> {
        journal::tear(&node::folder(&self.root, node))
    }

    /// The primary, once there is one and the others follow.
    pub(super) fn await_primary(&mut self, patience: Duration) -> Result<u32, ClusterError> {
        self.until("electing a primary", patience, |statuses| {
            let all = statuses.iter().cloned().collect::<Option<Vec<Status>>>()?;
            let latest = all.iter().map(|status| status.epoch).max()?;
            let primary = (0..).zip(&all).find(|(_, status)| status.is_primary && status.epoch == latest)?;
            (primary.1.committed > 0).then_some(primary.0)
        })
    }

    /// When the restarted member knows to be committed all that any other does at this moment; returns what its journal
    /// had lost.
    pub(super) fn await_caught_up(&mut self, node: u32, patience: Duration) -> Result<u64, ClusterError> {
        let mut goal = None;
        self.until("catching up", patience, |statuses| {
            let furthest = statuses.iter().flatten().map(|status| status.committed).max()?;
            let goal = *goal.get_or_insert(furthest);
            let status = statuses[node as usize].as_ref()?;
            (status.committed >= goal).then_some(status.torn_bytes)
        })
    }

    /// All members once they have come to the same place, as nobody writes any more.
    pub(super) fn await_rest(&mut self, patience: Duration) -> Result<Vec<Status>, ClusterError> {
        self.until("coming to rest", patience, |statuses| {
            let all = statuses.iter().cloned().collect::<Option<Vec<Status>>>()?;
            all.iter().all(|status| status.committed == all[0].committed).then_some(all)
        })
    }

    /// Asks all members until what they say satisfies `done`.
    fn until<T>(
        &mut self,
        doing: &'static str,
        patience: Duration,
        mut done: impl FnMut(&[Option<Status>]) -> Option<T>,
    ) -> Result<T, ClusterError> {
        let started = Instant::now();
        loop {
            let statuses: Vec<_> = (0..).take(self.members.len()).map(|node| self.status(node)).collect();
            if let Some(result) = done(&statuses) {
                return Ok(result);
            }
            for (node, member) in (0..).zip(&mut self.members) {
                if let Some(status) = member.as_mut().map(Child::try_wait).transpose()?.flatten() {
                    return Err(ClusterError::Ended { node, status });
                }
            }
            if started.elapsed() > patience {
                return Err(ClusterError::Stuck { doing, waited: patience });
            }
            thread::sleep(ASK_EVERY);
        }
    }

    fn status(&self, node: u32) -> Option<Status> {
        self.members[node as usize].as_ref()?;
        let mut connection = Connection::open(&self.root, node, ANSWER_TIMEOUT).ok()?;
        connection.ask(&Request::Status).ok()?;
        match connection.answer().ok()? {
            Answer::Status(status) => Some(status),
            _ => None,
        }
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        for mut member in self.members.drain(..).flatten() {
            // Who has ended already needs no killing.
            let _ = member.kill();
            let _ = member.wait();
        }
    }
}
