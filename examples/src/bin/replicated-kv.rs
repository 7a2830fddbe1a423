//! A replicated key-value store of real processes, sockets and files, whose primary is killed again and again.
//!
//! What to notice: the same program is driver and member. The exit status is 0 when every acknowledged write was there
//! once, 1 when not, 2 when the run could not be carried out.

use std::io::{ErrorKind, Write};
use std::process::ExitCode;

use clap::Parser;
use inos_examples::kv::{Options, Task, node, run};

fn main() -> ExitCode {
    let options = Options::parse();
    if let Some(Task::Node(member)) = &options.task {
        let Err(failure) = node::run(member);
        return refuse(&format!("member {}: {failure}", member.id));
    }
    let report = match run(&options) {
        Ok(report) => report,
        Err(failure) => return refuse(&failure),
    };
    let text = if options.json { report.to_json().to_string() } else { report.to_string() };
    match writeln!(std::io::stdout(), "{text}") {
        // A reader that has gone away does not change what the run found out.
        Err(error) if error.kind() != ErrorKind::BrokenPipe => return refuse(&format!("standard output: {error}")),
        _ => {}
    }
    if report.is_intact() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn refuse(problem: &dyn core::fmt::Display) -> ExitCode {
    // With nobody to tell, the status still tells it.
    let _ = writeln!(std::io::stderr(), "replicated-kv: {problem}");
    ExitCode::from(2)
}
