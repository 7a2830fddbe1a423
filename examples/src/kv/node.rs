//! One member in a process of its own: the loop around a `Group`. Read this file first.
//!
//! What to notice: the order of things. Wait for an input or a deadline; hand in what has come, each with the time at
//! which it is handed in; then *store, send, tell*. A promise must be on the disk before the frame that makes it leaves,
//! and the group sees to that if it is told the truth about the disk: call `persisted` after the sync and never before.
//! One sync serves all records that have gathered since the last: under load that is what makes writes cheap.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::fs;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use inos_quorum::{
    Actor, Boot, Config, ConfigError, Detector, DetectorConfig, DetectorConfigError, DetectorEvent, Event, EventOf,
    Group, GroupId, Mode, OpId, Read, ReadError, ReadId, Role, Stage, WatchError, WriteError,
};

use super::journal::{Found, Journal, JournalError};
use super::options::{NodeOptions, Start, parse_mode};
use super::protocol::{Answer, Request, Status, Token};
use super::store::{Put, Store};
use super::transport::{self, Addressee, Input, Outbox};

/// Why a node stopped. All of these are final for the process; whether it may be started again, they say.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NodeError {
    /// The journal cannot be opened.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The caller: a group is founded once. To found it again where it was founded before would forget votes.
    #[error("there is a journal already; start with `recover`")]
    Founded,
    /// The storage: nothing is left. A node without its memory is no longer the member it was: it may come back with
    /// `Boot::Join`, as a new one that the primary adds (`Group::add_learner`).
    #[error("the journal is empty; this member has lost its memory")]
    Forgotten,
    /// The group cannot start.
    #[error(transparent)]
    Group(#[from] ConfigError),
    /// The detector cannot start.
    #[error(transparent)]
    Detector(#[from] DetectorConfigError),
    /// The detector cannot watch the other members.
    #[error(transparent)]
    Watch(#[from] WatchError),
    /// Files or sockets. After a failed write to the journal the group must go: what it promised may not be stored.
    /// Started again it recovers from what is.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The mode is none.
    #[error("{0}")]
    Mode(String),
}

/// The settings of every member. Group and mode must be the same on all of them.
#[must_use]
pub fn config(mode: Mode, voters: u32) -> Config {
    let voters = voters as usize;
    Config {
        // These two are about groups that shall grow, or be mended by new members. Here nobody joins.
        target: voters,
        recruit_below: voters,
        // Small, so that a run of seconds has checkpoints.
        checkpoint_bytes: 256 << 10,
        ..Config::new(GroupId(u128::from_be_bytes(*b"replicated-kv ex")), mode)
    }
}

/// Inputs that wait for the loop.
const QUEUE: usize = 1024;
/// Inputs that share one sync.
const BATCH: usize = 256;

struct Node {
    group: Group<u32, Store>,
    detector: Detector<u32>,
    journal: Journal,
    torn_bytes: u64,
    checkpoints: u64,
    inputs: Receiver<Input>,
    members: BTreeMap<u32, Outbox>,
    /// Connections of clients.
    clients: BTreeMap<u64, Outbox>,
    /// Who waits for the receipt of a write.
    writers: BTreeMap<OpId, u64>,
    /// Who waits until a read is linearizable, and what it reads.
    readers: BTreeMap<ReadId, (u64, String)>,
    started: Instant,
    /// For records and frames: `poll_persist` and `poll_transmit` clear it and write into it.
    buffer: Vec<u8>,
}

/// Runs a member until it fails, or until whoever started it is gone.
///
/// # Errors
/// [`NodeError`] says why it ended.
pub fn run(options: &NodeOptions) -> Result<Infallible, NodeError> {
    end_with_parent(options);
    let folder = folder(&options.root, options.id);
    fs::create_dir_all(&folder)?;
    let mut node = Node::start(options, &folder)?;
    loop {
        node.take_inputs();
        node.drain()?;
    }
}

impl Node {
    fn start(options: &NodeOptions, folder: &Path) -> Result<Self, NodeError> {
        let &NodeOptions { ref root, id, voters, .. } = options;
        let Found { journal, records, torn_bytes } = Journal::open(folder)?;
        let boot = match (options.start, records.is_empty()) {
            // Each founder is told all founders. Only at the very first start of the group, see `NodeError::Founded`.
            (Start::Found, true) => Boot::Genesis((0..voters).collect()),
            (Start::Recover, false) => Boot::Recover(records),
            (Start::Found, false) => return Err(NodeError::Founded),
            (Start::Recover, true) => return Err(NodeError::Forgotten),
        };
        let me = Actor { node: id, incarnation: incarnation() };
        let config = config(parse_mode(&options.mode).map_err(NodeError::Mode)?, voters);
        // The seed spreads election timers. Any number will do, the same for all members too: `me` goes into it.
        let group = Group::new(config, me, me.incarnation, boot)?;

        // The detector gets the same `me`: by its incarnation the group knows a restarted node from a living one.
        let mut detector = Detector::new(DetectorConfig::default(), me)?;
        let (sender, inputs) = sync_channel(QUEUE);
        transport::listen(root, id, voters, sender)?;
        let others = (0..voters).filter(|&other| other != id);
        let members: BTreeMap<_, _> = others.map(|other| (other, transport::dial(root, id, other))).collect();
        for &other in members.keys() {
            detector.watch(Duration::ZERO, other)?;
        }
        Ok(Self {
            group,
            detector,
            journal,
            torn_bytes,
            checkpoints: 0,
            inputs,
            members,
            clients: BTreeMap::new(),
            writers: BTreeMap::new(),
            readers: BTreeMap::new(),
            started: Instant::now(),
            buffer: Vec::new(),
        })
    }

    /// Time as group and detector know it: since an instant of this process's choice. It never goes back, and two nodes'
    /// values are never compared.
    fn now(&self) -> Duration {
        self.started.elapsed()
    }

    /// Waits for something to do, and does what has come until now.
    fn take_inputs(&mut self) {
        let deadlines = [self.group.poll_timeout(), self.detector.poll_timeout()];
        let first = match deadlines.into_iter().flatten().min() {
            Some(deadline) => self.inputs.recv_timeout(deadline.saturating_sub(self.now())),
            // A silent group without other nodes: only a client can wake it.
            None => self.inputs.recv().map_err(RecvTimeoutError::from),
        };
        // Frames before timeouts: a frame that has waited here is no silence of its sender.
        if let Ok(first) = first {
            self.take(first);
            for _ in 1..BATCH {
                let Ok(next) = self.inputs.try_recv() else { break };
                self.take(next);
            }
        }
        // Calling these early is harmless.
        self.detector.handle_timeout(self.now());
        self.group.handle_timeout(self.now());
    }

    fn take(&mut self, input: Input) {
        let now = self.now();
        match input {
            // A refused frame changed nothing and was counted: what is worth a line in a real log is that it goes on.
            Input::Frame { from, addressee: Addressee::Group, bytes } => {
                let _ = self.group.handle_message(now, from, &bytes);
            }
            Input::Frame { from, addressee: Addressee::Detector, bytes } => {
                let _ = self.detector.handle_message(now, from, &bytes);
            }
            Input::Opened { connection, outbox } => {
                self.clients.insert(connection, outbox);
            }
            Input::Closed { connection } => {
                // Its writes go on; their receipts find nobody.
                self.clients.remove(&connection);
            }
            Input::Request { connection, request } => {
                if let Some(answer) = self.ask(now, connection, request) {
                    self.answer(connection, &answer);
                }
            }
        }
    }

    /// The answer to a client, or `None` when it comes later as an event.
    fn ask(&mut self, now: Duration, connection: u64, request: Request) -> Option<Answer> {
        match request {
            Request::Put { client, serial, put } => {
                self.put(now, connection, OpId { client: client.into(), serial }, put)
            }
            Request::Get { key } => match self.group.read_index(now) {
                Ok(id) => {
                    self.readers.insert(id, (connection, key));
                    None
                }
                Err(ReadError::NotPrimary { hint }) => Some(Answer::NotPrimary { hint: hint.map(|seat| seat.node) }),
                Err(_) => Some(Answer::Again),
            },
            Request::GetSession { key, session } => {
                let Some(session) = session.session() else {
                    return Some(Answer::Refused { reason: "the session is none".into() });
                };
                match self.group.read(Read::Session(&session)) {
                    Ok((store, _)) => Some(Answer::Value(store.get(&key).cloned())),
                    Err(ReadError::SessionBroken { .. }) => Some(Answer::SessionBroken),
                    Err(_) => Some(Answer::Again),
                }
            }
            Request::Status => Some(Answer::Status(Status {
                is_primary: self.group.role() == Role::Primary,
                epoch: self.group.epoch(),
                committed: self.group.committed().sequence,
                state_hash: self.group.state_hash(),
                torn_bytes: self.torn_bytes,
                checkpoints: self.checkpoints,
            })),
        }
    }

    fn put(&mut self, now: Duration, connection: u64, id: OpId, put: Put) -> Option<Answer> {
        match self.group.write(now, id, put) {
            // In the log, which means nothing yet. If it is a repeat of a write that is there, this is that one.
            Ok(_) => {
                self.writers.insert(id, connection);
                None
            }
            // The hint is a seat. Its node says where to go.
            Err(WriteError::NotPrimary { hint, .. }) => Some(Answer::NotPrimary { hint: hint.map(|seat| seat.node) }),
            Err(WriteError::Full { .. }) => Some(Answer::Again),
            Err(error) => Some(Answer::Refused { reason: error.to_string() }),
        }
    }

    /// Store, send, tell, until there is nothing left.
    fn drain(&mut self) -> Result<(), NodeError> {
        loop {
            let mut last = None;
            while let Some(token) = self.group.poll_persist(&mut self.buffer) {
                if token.replaces_all() {
                    self.journal.replace(&self.buffer)?;
                    self.checkpoints += 1;
                } else {
                    self.journal.append(&self.buffer);
                }
                last = Some(token);
            }
            // The entries of a primary may leave before its own copy is durable: the others sync theirs meanwhile. (What
            // may not leave yet, `poll_transmit` keeps back.) A follower has only its acknowledgement to send, and that
            // waits for the sync.
            if self.group.role() == Role::Primary || last.is_none() {
                self.transmit();
            }
            let Some(token) = last else { break };
            self.journal.sync()?;
            // The last token stands for all before it. New records may be due now: round again.
            self.group.persisted(self.now(), token);
        }
        while let Some(event) = self.group.poll_event() {
            self.tell(event);
        }
        self.drain_detector();
        Ok(())
    }

    fn transmit(&mut self) {
        while let Some(to) = self.group.poll_transmit(&mut self.buffer) {
            if let Some(outbox) = self.members.get(&to) {
                outbox.send_frame(Addressee::Group, &self.buffer);
            }
        }
    }

    fn drain_detector(&mut self) {
        while let Some(to) = self.detector.poll_transmit(&mut self.buffer) {
            if let Some(outbox) = self.members.get(&to) {
                outbox.send_frame(Addressee::Detector, &self.buffer);
            }
        }
        while let Some(event) = self.detector.poll_event() {
            // To every group of this node that the other node is in; here there is one. Its outputs are drained after the
            // next wait, which its own deadline cuts short.
            if let DetectorEvent::Peer { node, state } = event {
                self.group.peer_state(self.now(), node, state);
            }
        }
    }

    fn tell(&mut self, event: EventOf<u32, Store>) {
        match event {
            Event::Receipt { id, stage: Stage::Committed, output, .. } => {
                let version = output.unwrap_or_default();
                self.answer_writer(id, &Answer::Committed { version, session: Token::from(&self.group.session()) });
            }
            Event::Receipt { id, stage: Stage::Fast { .. }, .. } => {
                if let Some(&connection) = self.writers.get(&id) {
                    self.answer(connection, &Answer::Fast);
                }
            }
            // Not an answer: the write took longer than `write_timeout`, and may be committed yet.
            Event::Receipt { stage: Stage::LocalOnly, .. } => {}
            // Deposed, or the write fell out of the history. Its writer repeats it, with the same id, where the primary is
            // now: if it is in the history after all, it gets the receipt of then.
            Event::Receipt { id, .. } | Event::Orphaned { id, .. } => self.answer_writer(id, &Answer::Again),
            Event::ReadReady { id, .. } => {
                if let Some((connection, key)) = self.readers.remove(&id) {
                    let value = self.group.read(Read::Committed).ok().and_then(|(store, _)| store.get(&key).cloned());
                    self.answer(connection, &Answer::Value(value));
                }
            }
            Event::ReadLost { id } => {
                if let Some((connection, _)) = self.readers.remove(&id) {
                    self.answer(connection, &Answer::Again);
                }
            }
            // For whoever runs the group: `NeedReplica` asks for new members, `Loss` tells what `Mode::Fast` lost, after
            // `Removed`, `Superseded` and `GenerationConflict` this member is of no more use. A real node logs them all.
            _ => {}
        }
    }

    fn answer_writer(&mut self, id: OpId, answer: &Answer) {
        if let Some(connection) = self.writers.remove(&id) {
            self.answer(connection, answer);
        }
    }

    fn answer(&self, connection: u64, answer: &Answer) {
        if let Some(client) = self.clients.get(&connection) {
            client.send_answer(answer);
        }
    }
}

/// Unique for each start of the node, also after its disk is lost: so it cannot be a counter in a file. Nanoseconds do
/// on a machine whose clock is not set back; a random number does anywhere.
fn incarnation() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

/// What belongs to one node.
pub(super) fn folder(root: &Path, id: u32) -> PathBuf {
    root.join(format!("node-{id}"))
}

/// A node must not outlive the driver, however that ends: its standard input is a pipe that ends with the driver.
/// Then nobody else is left to remove the files.
fn end_with_parent(options: &NodeOptions) {
    let NodeOptions { root, voters, .. } = options.clone();
    thread::spawn(move || {
        let _ = io::stdin().lock().read_to_end(&mut Vec::new());
        for id in 0..voters {
            let folder = folder(&root, id);
            for name in ["journal", "journal.new"] {
                let _ = fs::remove_file(folder.join(name));
            }
            let _ = fs::remove_dir(folder);
            let _ = fs::remove_file(transport::address_path(&root, id));
        }
        let _ = fs::remove_dir(root);
        std::process::exit(0);
    });
}
