//! TCP between members and from clients: frames with their length in front, and threads that feed the node's loop.
//!
//! What to notice: a frame may be lost, so nothing here waits. To each member goes a queue of bounded length; what does
//! not fit, and what a broken connection swallows, is dropped, and the group sends again what matters. The other way the
//! queue of inputs is bounded too, and who reads from a socket waits for room in it: then TCP slows the sender down.
//!
//! A node listens wherever the system gives it a port, and says where in a file that the others look at when they
//! connect: the directory of nodes of this example. Who connects says who it is, and is believed. That will do between
//! processes of one test; the group takes `from` for authenticated, so a real transport proves it (TLS, for example).
//!
//! Over UDP a frame is a datagram, of at most 65,507 bytes: set `Config::max_frame` to that or, to spare IP the cutting
//! up, to what fits the path's MTU.

use std::fs;
use std::io::{self, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::protocol::{Answer, Request};

/// No frame is longer: those of the group, by the default of `Config::max_frame`, and the byte in front of them.
pub const MAX_FRAME: usize = (64 << 10) + 1;
/// Frames that wait for one receiver.
const QUEUE: usize = 1024;
const CONNECT_TIMEOUT: Duration = Duration::from_millis(200);
/// A receiver that takes nothing for so long is as good as dead.
const WRITE_TIMEOUT: Duration = Duration::from_secs(1);

/// Which of a node's state machines a frame is for. With many groups on a node, the group's id would stand here too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Addressee {
    /// The group.
    Group,
    /// The failure detector, one for all groups of the node.
    Detector,
}

/// What a node's loop waits for.
#[derive(Debug)]
pub enum Input {
    /// A frame of another member.
    Frame {
        /// Whose.
        from: u32,
        /// For whom.
        addressee: Addressee,
        /// What `poll_transmit` gave there.
        bytes: Vec<u8>,
    },
    /// A client has connected.
    Opened {
        /// Names the connection.
        connection: u64,
        /// Where its answers go.
        outbox: Outbox,
    },
    /// A client asks.
    Request {
        /// Over which connection.
        connection: u64,
        /// What.
        request: Request,
    },
    /// A client has gone away.
    Closed {
        /// Its connection.
        connection: u64,
    },
}

/// The way to one receiver.
#[derive(Clone, Debug)]
pub struct Outbox(SyncSender<Vec<u8>>);

impl Outbox {
    /// Sends a frame of a state machine of this node, or drops it.
    pub fn send_frame(&self, addressee: Addressee, bytes: &[u8]) {
        let kind = match addressee {
            Addressee::Group => 0,
            Addressee::Detector => 1,
        };
        // Full or broken: the frame is lost.
        let _ = self.0.try_send(with_len(&[&[kind], bytes]));
    }

    /// Answers a client, or leaves it to ask again.
    pub fn send_answer(&self, answer: &Answer) {
        let _ = self.0.try_send(with_len(&[&to_json(answer)]));
    }
}

/// The way to member `peer`, for as long as the outbox lives.
#[must_use]
pub fn dial(root: &Path, me: u32, peer: u32) -> Outbox {
    let (sender, frames) = sync_channel(QUEUE);
    let root = root.to_owned();
    thread::spawn(move || deliver(&root, me, peer, &frames));
    Outbox(sender)
}

fn deliver(root: &Path, me: u32, peer: u32, frames: &Receiver<Vec<u8>>) {
    let mut stream = None;
    for frame in frames {
        if stream.is_none() {
            stream = connect(root, peer, Caller::Member(me)).ok();
        }
        if stream.as_mut().is_some_and(|stream| stream.write_all(&frame).is_err()) {
            stream = None;
        }
    }
}

/// Takes connections from members `0..voters` and from clients, and hands all that they send to `inputs`.
///
/// # Errors
/// There is no port, or the file that tells it cannot be written.
pub fn listen(root: &Path, me: u32, voters: u32, inputs: SyncSender<Input>) -> io::Result<()> {
    let listener = TcpListener::bind(("127.0.0.1", 0))?;
    // Whole or not at all: others read it at any time.
    let draft = root.join(format!("address-{me}.new"));
    fs::write(&draft, listener.local_addr()?.to_string())?;
    fs::rename(draft, address_path(root, me))?;
    thread::spawn(move || {
        for (connection, stream) in (0..).zip(listener.incoming()) {
            let inputs = inputs.clone();
            // Who cannot be served, or breaks off, is gone: that is all there is to know.
            thread::spawn(move || stream.and_then(|stream| serve(stream, connection, voters, &inputs)));
        }
    });
    Ok(())
}

fn serve(stream: TcpStream, connection: u64, voters: u32, inputs: &SyncSender<Input>) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let gone = |_| io::Error::from(io::ErrorKind::BrokenPipe);
    let mut reader = BufReader::new(stream.try_clone()?);
    match Caller::from_frame(&read_frame(&mut reader)?)? {
        Caller::Member(from) if from < voters => loop {
            let mut bytes = read_frame(&mut reader)?;
            let addressee = match bytes.first() {
                Some(0) => Addressee::Group,
                Some(1) => Addressee::Detector,
                _ => return Err(io::ErrorKind::InvalidData.into()),
            };
            bytes.remove(0);
            inputs.send(Input::Frame { from, addressee, bytes }).map_err(gone)?;
        },
        Caller::Member(_) => Err(io::ErrorKind::PermissionDenied.into()),
        Caller::Client => {
            let (sender, answers) = sync_channel(QUEUE);
            inputs.send(Input::Opened { connection, outbox: Outbox(sender) }).map_err(gone)?;
            stream.set_write_timeout(Some(WRITE_TIMEOUT))?;
            thread::spawn(move || answers.iter().try_for_each(|answer| (&stream).write_all(&answer)));
            let end = loop {
                match read_frame(&mut reader).and_then(|frame| from_json(&frame)) {
                    Ok(request) => inputs.send(Input::Request { connection, request }).map_err(gone)?,
                    Err(end) => break end,
                }
            };
            inputs.send(Input::Closed { connection }).map_err(gone)?;
            Err(end)
        }
    }
}

/// A client's connection to a member: a question, then its answers.
#[derive(Debug)]
pub struct Connection {
    reader: BufReader<TcpStream>,
}

impl Connection {
    /// Connects to member `node`, of which no answer may take longer than `timeout`.
    ///
    /// # Errors
    /// It is not there.
    pub fn open(root: &Path, node: u32, timeout: Duration) -> io::Result<Self> {
        let stream = connect(root, node, Caller::Client)?;
        stream.set_read_timeout(Some(timeout))?;
        Ok(Self { reader: BufReader::new(stream) })
    }

    /// Asks.
    ///
    /// # Errors
    /// The connection broke: whether the question arrived is unknown.
    pub fn ask(&mut self, request: &Request) -> io::Result<()> {
        self.reader.get_mut().write_all(&with_len(&[&to_json(request)]))
    }

    /// The next answer.
    ///
    /// # Errors
    /// The connection broke, or the answer is not one, or late. Then close the connection: an answer that comes yet
    /// must not be taken for that to the next question.
    pub fn answer(&mut self) -> io::Result<Answer> {
        from_json(&read_frame(&mut self.reader)?)
    }
}

/// Who opens a connection, in its first frame.
#[derive(Clone, Copy, Debug)]
enum Caller {
    Member(u32),
    Client,
}

impl Caller {
    fn to_frame(self) -> Vec<u8> {
        match self {
            Self::Member(node) => with_len(&[b"M", &node.to_le_bytes()]),
            Self::Client => with_len(&[b"C"]),
        }
    }

    fn from_frame(bytes: &[u8]) -> io::Result<Self> {
        match *bytes {
            [b'M', a, b, c, d] => Ok(Self::Member(u32::from_le_bytes([a, b, c, d]))),
            [b'C'] => Ok(Self::Client),
            _ => Err(io::ErrorKind::InvalidData.into()),
        }
    }
}

fn connect(root: &Path, node: u32, caller: Caller) -> io::Result<TcpStream> {
    let address: SocketAddr = fs::read_to_string(address_path(root, node))?
        .parse()
        .map_err(|_| io::Error::from(io::ErrorKind::InvalidData))?;
    let mut stream = TcpStream::connect_timeout(&address, CONNECT_TIMEOUT)?;
    // Frames are small and somebody waits for each.
    stream.set_nodelay(true)?;
    stream.set_write_timeout(Some(WRITE_TIMEOUT))?;
    stream.write_all(&caller.to_frame())?;
    Ok(stream)
}

/// Where node `node` listens.
pub(super) fn address_path(root: &Path, node: u32) -> PathBuf {
    root.join(format!("address-{node}"))
}

fn with_len(parts: &[&[u8]]) -> Vec<u8> {
    let len: usize = parts.iter().map(|part| part.len()).sum();
    let mut frame = u32::try_from(len).expect("frames are bounded far below 4 GiB").to_le_bytes().to_vec();
    parts.iter().for_each(|part| frame.extend_from_slice(part));
    frame
}

fn read_frame(from: &mut impl Read) -> io::Result<Vec<u8>> {
    let mut len = [0; 4];
    from.read_exact(&mut len)?;
    // Checked before anything is allocated for it.
    let len = usize::try_from(u32::from_le_bytes(len)).ok().filter(|&len| len <= MAX_FRAME);
    let mut frame = vec![0; len.ok_or(io::ErrorKind::InvalidData)?];
    from.read_exact(&mut frame)?;
    Ok(frame)
}

fn to_json(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(value).expect("requests and answers have a JSON form")
}

fn from_json<T: DeserializeOwned>(bytes: &[u8]) -> io::Result<T> {
    serde_json::from_slice(bytes).map_err(|_| io::ErrorKind::InvalidData.into())
}
