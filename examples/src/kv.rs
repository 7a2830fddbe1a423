//! A replicated key-value store: one process per member, TCP between them, a journal under each, and a driver that kills
//! the primary again and again.
//!
//! What to notice: `inos_quorum::Group` decides and never acts, so all that acts stands here, in files to copy from.
//! [`node`] is the loop around a group and comes first; [`journal`] keeps its records and says what a torn tail is;
//! [`transport`] moves frames and loses some; [`store`] is what is replicated; [`client`] writes so that each write happens
//! once, whoever dies; [`protocol`] is what the two say to each other.
//!
//! Left out, as no two integrators do it alike: authentication (here everybody on the machine is believed), and a
//! directory of nodes (here a file with the address of each, see [`transport`]).

pub mod client;
mod cluster;
pub mod journal;
pub mod node;
mod options;
pub mod protocol;
mod report;
pub mod store;
pub mod transport;
mod work;

pub use cluster::ClusterError;
pub use options::{NodeOptions, Options, Start, Task};
pub use report::Report;

use std::io;
use std::thread;
use std::time::{Duration, Instant};

use client::Client;
use cluster::Cluster;
use report::Failover;
use work::{Progress, Worker};

/// Why a run could not be carried out; exit status 2. That a write was lost is no such reason: it is in the [`Report`].
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Failure {
    /// The group cannot be set up as asked.
    #[error("--mode {mode}: {problem}")]
    Mode {
        /// As given.
        mode: String,
        /// What does not fit.
        problem: &'static str,
    },
    /// Folder, processes or sockets.
    #[error(transparent)]
    Machine(#[from] io::Error),
    /// A member ended by itself, or the group did nothing for too long.
    #[error(transparent)]
    Cluster(#[from] ClusterError),
}

/// How long a killed primary stays dead although nothing is committed without it.
const DEAD_AT_MOST: Duration = Duration::from_secs(3);
/// How long anything may take that ought to take a second or two on an idle machine.
const PATIENCE: Duration = Duration::from_secs(15);
const POLL_EVERY: Duration = Duration::from_millis(1);

/// Starts a group, writes to it, kills its primaries, and looks whether each write is there once.
///
/// # Errors
/// [`Failure`] when the arguments or the machine do not allow the run.
pub fn run(options: &Options) -> Result<Report, Failure> {
    let mode = options.mode()?;
    // Dropped last: the processes have ended by then.
    let root = tempfile::Builder::new().prefix("replicated-kv-").tempdir()?;
    let mut cluster = Cluster::start(root.path(), options.voters, &options.mode)?;
    cluster.await_primary(PATIENCE)?;

    let progress = Progress::new(options.voters);
    let started = Instant::now();
    let (workers, failovers) = thread::scope(|scope| {
        let work = progress.while_kept();
        let workers: Vec<_> = (0..options.clients)
            .map(|number| {
                let worker = Worker::new(number, Client::new(root.path(), options.voters), &progress);
                scope.spawn(move || worker.run())
            })
            .collect();
        let failovers = fail_over(&mut cluster, options, &progress);
        drop(work);
        (workers.into_iter().map(join).collect::<Vec<_>>(), failovers)
    });
    let worked = started.elapsed();
    let failovers = failovers?;

    // The primary of now has to show all that any primary has acknowledged.
    let mut report = Report::new(options, mode, worked, &workers, failovers);
    let mut auditor = Client::new(root.path(), options.voters);
    for worker in &workers {
        worker.audit(&mut auditor, Instant::now() + PATIENCE, &mut report.breaches);
    }
    report.compare(&cluster.await_rest(PATIENCE)?);
    Ok(report)
}

fn join<T>(worker: thread::ScopedJoinHandle<'_, T>) -> T {
    // A panic of a worker is one of this program.
    worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

/// Kills the primary as often as asked, evenly over the time, and brings it back each time.
fn fail_over(cluster: &mut Cluster, options: &Options, progress: &Progress) -> Result<Vec<Failover>, Failure> {
    let started = Instant::now();
    let span = Duration::from_secs(options.seconds.into());
    let mut failovers = Vec::new();
    for kill in 1..=options.kills {
        let due = started + span * kill / (options.kills + 1);
        thread::sleep(due.saturating_duration_since(Instant::now()));
        failovers.push(fail_over_once(cluster, progress)?);
    }
    thread::sleep((started + span).saturating_duration_since(Instant::now()));
    Ok(failovers)
}

fn fail_over_once(cluster: &mut Cluster, progress: &Progress) -> Result<Failover, Failure> {
    let primary = cluster.await_primary(PATIENCE)?;
    let mut before = progress.commits();
    cluster.kill(primary)?;
    let died = Instant::now();
    // Process death tears no file, power loss does: leave what that would.
    cluster.tear_journal(primary)?;

    let mut first_commit = None;
    let mut is_back = false;
    while first_commit.is_none() || !is_back {
        let commits = progress.commits();
        // Acknowledgements of the dead may still be on their way: only those of others count while it is away.
        let new = (0..)
            .zip(commits.iter().zip(&before))
            .any(|(node, (now, then))| now > then && (is_back || node != primary));
        if new && first_commit.is_none() {
            first_commit = Some(died.elapsed());
        }
        if !is_back && (first_commit.is_some() || died.elapsed() > DEAD_AT_MOST) {
            before = commits;
            cluster.restart(primary)?;
            is_back = true;
        }
        if died.elapsed() > PATIENCE {
            return Err(ClusterError::Stuck { doing: "waiting for a commit after a death", waited: PATIENCE }.into());
        }
        thread::sleep(POLL_EVERY);
    }
    let torn_bytes = cluster.await_caught_up(primary, PATIENCE)?;
    let to_first_commit = first_commit.unwrap_or_default();
    Ok(Failover { killed: primary, to_first_commit, to_caught_up: died.elapsed(), torn_bytes })
}
