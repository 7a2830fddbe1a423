//! The case about two workers: one resource by two threads, beside two processes that do not know of each other.
//!
//! Two processes with a worker each, started together, are what the machine can do with two cores: they share its
//! memory and its caches, but no lock and no queue.

use core::time::Duration;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use bytes::Bytes;
use inos_chunk::parallel::{self, Workers};
use inos_chunk::{Manifest, Piece};

use crate::Effort;
use crate::contest::{Contestant, Role, Stopwatch, compete};
use crate::pipeline::{self, Content, config};
use crate::report::Row;

/// The argument with which this program starts itself as one of the two processes.
pub(crate) const PROCESS_FLAG: &str = "process";

/// Two workers, beside two processes with one worker each.
pub(crate) fn two(case: &'static str, effort: Effort) -> std::io::Result<Row> {
    let resource = pipeline::resource(Content::Text, effort);
    let mut processes = [Process::start(effort)?, Process::start(effort)?];
    for process in &mut processes {
        process.answer()?;
    }
    let both = move || {
        let stopwatch = Stopwatch::start();
        let asked = processes.iter_mut().try_for_each(Process::ask);
        let answered = asked.and_then(|()| processes.iter_mut().try_for_each(Process::answer));
        answered.expect("the processes work until their input ends");
        // Together they encode twice as much.
        stopwatch.elapsed() / 2
    };
    let mut contestants = vec![
        Contestant::new("ours", Role::Ours, pipeline::encoding(&resource, encode)),
        Contestant::new("two-processes", Role::Limit, both),
        Contestant::new("one worker", Role::Aside, pipeline::encoding(&resource, pipeline::encode)),
    ];
    let notes = vec![
        format!("{} MiB of text, two threads of one process", resource.len() >> 20),
        "two-processes: what both encode by the time until both are done".into(),
    ];
    Ok(Row::new(case, resource.len(), &compete(&mut contestants, effort.rounds), Vec::new(), notes))
}

fn encode(resource: &Bytes, take: &mut dyn FnMut(Piece)) -> Manifest {
    let workers = Workers::new(2).expect("two is a number of workers");
    let mut encoder =
        parallel::Encoder::new(resource.len() as u64, &config(), workers).expect("threads can be started");
    encoder.push(resource.clone()).expect("the length was announced");
    while let Some(piece) = encoder.next_piece() {
        take(piece);
    }
    encoder.end().expect("all bytes were pushed");
    while let Some(piece) = encoder.next_piece() {
        take(piece);
    }
    encoder.finish().expect("all pieces were taken")
}

/// What the other end of [`Process`] does: encodes its resource once for every line that comes in, and answers with a
/// line each time, the first when it is ready.
pub(crate) fn serve(effort: Effort) -> std::io::Result<()> {
    let resource = pipeline::resource(Content::Text, effort);
    let mut encode = pipeline::encoding(&resource, pipeline::encode);
    let (mut input, mut output) = (std::io::stdin().lock(), std::io::stdout().lock());
    let mut line = String::new();
    loop {
        let _: Duration = encode();
        writeln!(output, "done")?;
        output.flush()?;
        line.clear();
        if input.read_line(&mut line)? == 0 {
            return Ok(());
        }
    }
}

struct Process {
    child: Child,
    asks: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
}

impl Process {
    fn start(effort: Effort) -> std::io::Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command.arg(format!("--{PROCESS_FLAG}")).args(effort.quick.then_some("--quick"));
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let asks = child.stdin.take();
        let answers = child.stdout.take().ok_or(std::io::ErrorKind::BrokenPipe)?;
        Ok(Self { child, asks, answers: BufReader::new(answers) })
    }

    fn ask(&mut self) -> std::io::Result<()> {
        let asks = self.asks.as_mut().ok_or(std::io::ErrorKind::BrokenPipe)?;
        asks.write_all(b"\n")?;
        asks.flush()
    }

    fn answer(&mut self) -> std::io::Result<()> {
        let mut line = String::new();
        if self.answers.read_line(&mut line)? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        Ok(())
    }
}

/// The process ends with its input.
impl Drop for Process {
    fn drop(&mut self) {
        self.asks = None;
        // Whether it ended well does not matter any more.
        let _ = self.child.wait();
    }
}
