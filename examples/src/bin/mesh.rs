//! The main job: a real file goes into a mesh of in-process nodes and comes back, although nodes die and lie.
//!
//! What to notice: the exit status. 0 means that every byte came back and no credit was lost or made; 1 that this did
//! not hold, with the lost stripes named; 2 that the job could not be done as asked.

use std::io::{ErrorKind, Write};
use std::process::ExitCode;

use clap::Parser;
use inos_examples::mesh::{Options, Progress, run};

fn main() -> ExitCode {
    let options = Options::parse();
    let report = match run(&options, Progress::Terminal) {
        Ok(report) => report,
        Err(failure) => {
            return refuse(&failure);
        }
    };
    let text = if options.json { report.to_json().to_string() } else { report.to_string() };
    match writeln!(std::io::stdout(), "{text}") {
        // A reader that has gone away does not change what the run found out.
        Err(error) if error.kind() != ErrorKind::BrokenPipe => return refuse(&format!("standard output: {error}")),
        _ => {}
    }
    if report.is_intact() && report.is_conserved() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn refuse(problem: &dyn core::fmt::Display) -> ExitCode {
    // With nobody to tell, the status still tells it.
    let _ = writeln!(std::io::stderr(), "mesh: {problem}");
    ExitCode::from(2)
}
