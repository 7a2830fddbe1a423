//! inos-chunk beside other erasure codes and beside the limits of the machine, in one run.
//!
//! What to notice: only ratios from one run mean something on a machine that is shared. Ours and the others take turns
//! in each round, every result is compared with the original in every round, and a row we lose stays in the table.
//! `docs/performance.md` of inos-chunk says how to read it.

extern crate alloc;

mod code;
mod contest;
mod erasure;
mod input;
mod limits;
mod machine;
mod pipeline;
mod report;
mod workers;

use std::io::Write;
use std::process::ExitCode;

use clap::Parser;
use clap::builder::PossibleValuesParser;
use inos_chunk::erasure::EngineKind;
use report::Row;

/// One comparison: its name, and what runs it.
struct Case {
    name: &'static str,
    run: Run,
}

enum Run {
    Encode { data: usize, parity: usize },
    Repair { data: usize, parity: usize, lost: usize },
    Pipeline(pipeline::Content),
    TwoWorkers,
}

const CASES: [Case; 11] = [
    Case { name: "encode-100+20", run: Run::Encode { data: 100, parity: 20 } },
    Case { name: "repair-1-of-100+20", run: Run::Repair { data: 100, parity: 20, lost: 1 } },
    Case { name: "repair-20-of-100+20", run: Run::Repair { data: 100, parity: 20, lost: 20 } },
    Case { name: "encode-10+4", run: Run::Encode { data: 10, parity: 4 } },
    Case { name: "repair-1-of-10+4", run: Run::Repair { data: 10, parity: 4, lost: 1 } },
    Case { name: "repair-4-of-10+4", run: Run::Repair { data: 10, parity: 4, lost: 4 } },
    Case { name: "encode-1000+200", run: Run::Encode { data: 1000, parity: 200 } },
    Case { name: "repair-200-of-1000+200", run: Run::Repair { data: 1000, parity: 200, lost: 200 } },
    Case { name: "pipeline-text", run: Run::Pipeline(pipeline::Content::Text) },
    Case { name: "pipeline-random", run: Run::Pipeline(pipeline::Content::Random) },
    Case { name: "pipeline-2-workers", run: Run::TwoWorkers },
];

/// Compares inos-chunk with other erasure codes and with the limits of this machine.
#[derive(Debug, Parser)]
#[command(version)]
struct Options {
    /// Runs one case instead of all.
    #[arg(long, value_name = "NAME", value_parser = PossibleValuesParser::new(CASES.map(|case| case.name)))]
    case: Option<String>,
    /// 5 rounds instead of 9, and less data. Ends within two minutes.
    #[arg(long)]
    quick: bool,
    /// Prints one JSON object per line and case instead of the tables.
    #[arg(long)]
    json: bool,
    /// Has our erasure code use these vector instructions instead of the fastest. Pipelines always use the fastest.
    #[arg(long, value_name = "NAME", value_parser = engine)]
    engine: Option<EngineKind>,
    /// Encodes whenever a line comes in.
    #[arg(long = workers::PROCESS_FLAG, hide = true)]
    process: bool,
}

/// An engine that this CPU has, by its name.
fn engine(name: &str) -> Result<EngineKind, String> {
    let available = || EngineKind::ALL.into_iter().filter(|kind| kind.is_available());
    available().find(|kind| kind.to_string() == name).ok_or_else(|| {
        let names: Vec<String> = available().map(|kind| kind.to_string()).collect();
        format!("this CPU has {}", names.join(", "))
    })
}

/// How much is measured.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Effort {
    pub(crate) rounds: usize,
    pub(crate) quick: bool,
    pub(crate) engine: EngineKind,
}

fn main() -> ExitCode {
    let options = Options::parse();
    match run(&options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // With nobody to tell, the status still tells it.
            let _ = writeln!(std::io::stderr(), "inos-chunk-compare: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options) -> std::io::Result<()> {
    let effort = Effort {
        rounds: if options.quick { 5 } else { 9 },
        quick: options.quick,
        engine: options.engine.unwrap_or_else(EngineKind::fastest),
    };
    if options.process {
        return workers::serve(effort);
    }
    let mut out = std::io::stdout();
    let mut rows = Vec::new();
    for case in CASES.iter().filter(|case| options.case.as_deref().is_none_or(|name| name == case.name)) {
        writeln!(std::io::stderr(), "{} ...", case.name)?;
        let row = measure(case, effort)?;
        if options.json {
            writeln!(out, "{}", row.to_json())?;
        }
        rows.push(row);
    }
    if !options.json {
        writeln!(out, "{}", report::tables(&rows))?;
    }
    Ok(())
}

fn measure(case: &Case, effort: Effort) -> std::io::Result<Row> {
    Ok(match case.run {
        Run::Encode { data, parity } => erasure::encode(case.name, data, parity, effort),
        Run::Repair { data, parity, lost } => erasure::repair(case.name, data, parity, lost, effort),
        Run::Pipeline(content) => pipeline::one_worker(case.name, content, effort),
        Run::TwoWorkers => workers::two(case.name, effort)?,
    })
}
