//! The other end of a case in a process of its own: this program, started once more.

use core::sync::atomic::{AtomicU32, Ordering};
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::process::{Command, ExitStatus, Stdio};
use std::thread::JoinHandle;

use clap::ValueEnum;
use inos_sab::Patience;
use rustix::process::{Signal, set_parent_process_death_signal};

use crate::handle::{self, Payload};
use crate::link::stream::Stream;
use crate::link::{self, Link, iceoryx2, ours, ping_pong};
use crate::machine::{self, End, processor};
use crate::payload::Touch;

/// Which end a process is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    /// The one that measures.
    Near,
    /// The one that was started.
    Far,
}

/// What connects the two processes. The far one finds its end in the descriptors of its standard input and output, or
/// by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Way {
    /// Rings; both ends spin.
    RingsSpin,
    /// Rings with the default wait: spin, then sleep.
    RingsWait,
    /// Rings; both ends sleep at once.
    RingsPark,
    /// A cache line.
    PingPong,
    UnixSocket,
    Pipe,
    /// iceoryx2; both ends spin.
    IceoryxSpin,
    /// iceoryx2; both ends sleep.
    IceoryxEvent,
    /// Payloads by handle, in the arena.
    HandleRings,
    /// Payloads through a socket.
    HandleSocket,
    /// Payloads by iceoryx2.
    HandleIceoryx,
}

/// The far end's part of the command line.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct FarOptions {
    /// Makes this process the far end of a case.
    #[arg(long, hide = true)]
    pub(crate) way: Option<Way>,
    #[arg(long, hide = true, default_value_t = 0)]
    processor: usize,
    #[arg(long, hide = true, default_value = "")]
    name: String,
    #[arg(long, hide = true, default_value_t = 0)]
    len: u32,
    #[arg(long, hide = true)]
    touch: bool,
}

/// What is done over a link.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Job {
    /// So many round trips as fast as possible; seconds for each.
    Bounce(u64),
    /// So many round trips, one per millisecond; seconds that both processes compute for each.
    Tick(u64),
}

impl Job {
    fn run(self, link: &mut impl Link) -> f64 {
        link::bounce(link, link::WARM_UP);
        match self {
            Self::Bounce(trips) => link::bounce(link, trips),
            Self::Tick(trips) => {
                let before = link::cpu_seconds(link);
                link::tick(trips, |trip| link::exchange(link, trip));
                (link::cpu_seconds(link) - before) / trips as f64
            }
        }
    }
}

/// One turn between two processes.
pub(crate) fn turn(way: Way, job: Job) -> io::Result<f64> {
    let start = Start::new(way)?;
    match way {
        Way::RingsSpin | Way::RingsWait | Way::RingsPark => {
            let (near, file) = ours::near(patience(way));
            run(near, start.input(file).spawn()?, job)
        }
        Way::PingPong => {
            let (near, file) = ping_pong::near()?;
            run(near, start.input(file).spawn()?, job)
        }
        Way::UnixSocket => {
            let (near, far) = UnixStream::pair()?;
            run(Stream { from: near.try_clone()?, to: near }, start.input(far).spawn()?, job)
        }
        Way::Pipe => {
            let ((their_input, to), (from, their_output)) = (io::pipe()?, io::pipe()?);
            run(Stream { from, to }, start.input(their_input).output(their_output).spawn()?, job)
        }
        Way::IceoryxSpin | Way::IceoryxEvent => {
            let name = unique_name();
            let near = iceoryx2::end(&name, Side::Near, iceoryx_waiting(way));
            run(near, start.name(&name).spawn()?, job)
        }
        Way::HandleRings | Way::HandleSocket | Way::HandleIceoryx => Err(io::ErrorKind::Unsupported.into()),
    }
}

fn run(mut near: impl Link, far: Process, job: Job) -> io::Result<f64> {
    link::await_ready(&mut near);
    let seconds = job.run(&mut near);
    link::stop(&mut near);
    far.join();
    Ok(seconds)
}

/// The far end's process, from its start to its end.
pub(crate) fn serve(options: &FarOptions, way: Way) -> io::Result<()> {
    // Whoever measures may fail; nobody would tell us.
    set_parent_process_death_signal(Some(Signal::KILL))?;
    machine::bind(options.processor);
    let input = || io::stdin().as_fd().try_clone_to_owned();
    match way {
        Way::RingsSpin | Way::RingsWait | Way::RingsPark => link::serve_process(ours::far(input()?, patience(way))),
        Way::PingPong => link::serve_process(ping_pong::far(input()?)?),
        Way::UnixSocket => link::serve_process(Stream { from: File::from(input()?), to: File::from(input()?) }),
        Way::Pipe => {
            let output = io::stdout().as_fd().try_clone_to_owned()?;
            link::serve_process(Stream { from: File::from(input()?), to: File::from(output) });
        }
        Way::IceoryxSpin | Way::IceoryxEvent => {
            link::serve_process(iceoryx2::end(&options.name, Side::Far, iceoryx_waiting(way)));
        }
        Way::HandleRings => handle::ours::serve(input()?, options.payload()),
        Way::HandleSocket => handle::socket::serve(File::from(input()?), options.payload()),
        Way::HandleIceoryx => handle::iceoryx2::serve(&options.name, options.payload()),
    }
    Ok(())
}

fn patience(way: Way) -> Patience {
    match way {
        Way::RingsWait => Patience::SpinThenPark,
        Way::RingsPark => Patience::Park,
        _ => Patience::Spin,
    }
}

fn iceoryx_waiting(way: Way) -> iceoryx2::Waiting {
    if way == Way::IceoryxEvent { iceoryx2::Waiting::Event } else { iceoryx2::Waiting::Spin }
}

impl FarOptions {
    fn payload(&self) -> Payload {
        Payload { len: self.len, touch: if self.touch { Touch::Touch } else { Touch::NoTouch } }
    }
}

/// How to start a far end.
pub(crate) struct Start {
    command: Command,
}

/// A name that no other case of this machine has.
pub(crate) fn unique_name() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    // Only a number: it orders nothing.
    format!("inos-sab-compare-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}

impl Start {
    pub(crate) fn new(way: Way) -> io::Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        let way = way.to_possible_value().expect("no way is skipped");
        command.arg("--way").arg(way.get_name());
        command.arg("--processor").arg(processor(End::Far).to_string());
        command.stdin(Stdio::null()).stdout(Stdio::null());
        Ok(Self { command })
    }

    pub(crate) fn name(mut self, name: &str) -> Self {
        self.command.arg("--name").arg(name);
        self
    }

    pub(crate) fn payload(mut self, payload: Payload) -> Self {
        self.command.arg("--len").arg(payload.len.to_string());
        if payload.touch == Touch::Touch {
            self.command.arg("--touch");
        }
        self
    }

    /// What the far end finds as its standard input. On this side it is closed.
    pub(crate) fn input(mut self, input: impl Into<OwnedFd>) -> Self {
        self.command.stdin(Stdio::from(input.into()));
        self
    }

    /// What the far end finds as its standard output. On this side it is closed.
    fn output(mut self, output: impl Into<OwnedFd>) -> Self {
        self.command.stdout(Stdio::from(output.into()));
        self
    }

    pub(crate) fn spawn(mut self) -> io::Result<Process> {
        let mut child = self.command.spawn()?;
        let watch = move || {
            let ended = child.wait();
            if !ended.as_ref().is_ok_and(ExitStatus::success) {
                // The near end may be waiting for it, by looking at memory that nobody will write any more.
                let _ = writeln!(io::stderr(), "inos-sab-compare: the other process ended: {ended:?}");
                std::process::exit(1);
            }
        };
        Ok(Process(std::thread::spawn(watch)))
    }
}

/// A far end that runs. This process ends when that one fails.
pub(crate) struct Process(JoinHandle<()>);

impl Process {
    /// Waits for a far end that was told to stop.
    pub(crate) fn join(self) {
        self.0.join().expect("the watcher does not panic");
    }
}
