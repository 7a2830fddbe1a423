//! inos-sab beside other rings, other ways between processes and other allocators, and beside the limits of the
//! machine, in one run.
//!
//! What to notice: only ratios from one run mean something on a machine that is shared. Ours and the others take turns
//! in each round, every message is checked in every round, and a row we lose stays in the table.
//! `docs/performance.md` of inos-sab says how to read it.

extern crate alloc;

mod arena;
mod contest;
mod handle;
mod link;
mod machine;
mod payload;
mod process;
mod report;
mod roundtrip;
mod spsc;

use std::io::Write;
use std::process::ExitCode;

use arena::Frees;
use clap::Parser;
use clap::builder::PossibleValuesParser;
use payload::Touch;
use report::Row;
use roundtrip::Sleep;

/// One comparison: its name, and what runs it.
struct Case {
    name: &'static str,
    run: fn(&'static str, Effort) -> std::io::Result<Row>,
}

const CASES: &[Case] = &[
    Case { name: "spsc-8", run: |name, effort| Ok(spsc::run::<8>(name, Touch::Touch, effort)) },
    Case { name: "spsc-8-no-touch", run: |name, effort| Ok(spsc::run::<8>(name, Touch::NoTouch, effort)) },
    Case { name: "spsc-64", run: |name, effort| Ok(spsc::run::<64>(name, Touch::Touch, effort)) },
    Case { name: "spsc-64-no-touch", run: |name, effort| Ok(spsc::run::<64>(name, Touch::NoTouch, effort)) },
    Case { name: "spsc-1024", run: |name, effort| Ok(spsc::run::<1024>(name, Touch::Touch, effort)) },
    Case { name: "spsc-1024-no-touch", run: |name, effort| Ok(spsc::run::<1024>(name, Touch::NoTouch, effort)) },
    Case { name: "roundtrip-spin", run: |name, effort| Ok(roundtrip::spin(name, effort)) },
    Case { name: "roundtrip-spin-process", run: |name, effort| Ok(roundtrip::spin_process(name, effort)) },
    Case {
        name: "roundtrip-block-process",
        run: |name, effort| Ok(roundtrip::block_process(name, Sleep::Late, effort)),
    },
    Case {
        name: "roundtrip-park-process",
        run: |name, effort| Ok(roundtrip::block_process(name, Sleep::AtOnce, effort)),
    },
    Case { name: "cpu-block-process", run: |name, effort| Ok(roundtrip::cpu_process(name, Sleep::Late, effort)) },
    Case { name: "cpu-park-process", run: |name, effort| Ok(roundtrip::cpu_process(name, Sleep::AtOnce, effort)) },
    Case { name: "handle-64KiB", run: |name, effort| Ok(handle::run(name, 64 << 10, Touch::Touch, effort)) },
    Case { name: "handle-64KiB-no-touch", run: |name, effort| Ok(handle::run(name, 64 << 10, Touch::NoTouch, effort)) },
    Case { name: "handle-1MiB", run: |name, effort| Ok(handle::run(name, 1 << 20, Touch::Touch, effort)) },
    Case { name: "handle-1MiB-no-touch", run: |name, effort| Ok(handle::run(name, 1 << 20, Touch::NoTouch, effort)) },
    Case { name: "handle-4MiB", run: |name, effort| Ok(handle::run(name, 4 << 20, Touch::Touch, effort)) },
    Case { name: "handle-4MiB-no-touch", run: |name, effort| Ok(handle::run(name, 4 << 20, Touch::NoTouch, effort)) },
    Case { name: "arena-1-thread", run: |name, effort| Ok(arena::alone(name, effort)) },
    Case { name: "arena-2-threads", run: |name, effort| Ok(arena::together(name, Frees::Local, effort)) },
    Case { name: "arena-remote", run: |name, effort| Ok(arena::together(name, Frees::Remote, effort)) },
];

/// Compares inos-sab with other crates and with the limits of this machine.
#[derive(Debug, Parser)]
#[command(version)]
struct Options {
    /// Runs one case instead of all.
    #[arg(long, value_name = "NAME", value_parser = PossibleValuesParser::new(CASES.iter().map(|case| case.name)))]
    case: Option<String>,
    /// 5 rounds instead of 9, and less in each. Ends within two minutes.
    #[arg(long)]
    quick: bool,
    /// Prints one JSON object per line and case instead of the tables.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    far: process::FarOptions,
}

/// How much is measured.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Effort {
    pub(crate) rounds: usize,
    /// Multiplies the work of a turn.
    factor: u64,
}

impl Effort {
    const QUICK: Self = Self { rounds: 5, factor: 1 };
    const FULL: Self = Self { rounds: 9, factor: 2 };

    /// What a turn does, from what it does in a quick run.
    pub(crate) fn units(self, quick: u64) -> u64 {
        quick * self.factor
    }
}

fn main() -> ExitCode {
    let options = Options::parse();
    // A thread that panics would leave its partner waiting for messages that nobody sends.
    let print = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        print(panic);
        std::process::exit(101);
    }));
    match run(&options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // With nobody to tell, the status still tells it.
            let _ = writeln!(std::io::stderr(), "inos-sab-compare: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options) -> std::io::Result<()> {
    if let Some(way) = options.far.way {
        return process::serve(&options.far, way);
    }
    let effort = if options.quick { Effort::QUICK } else { Effort::FULL };
    machine::take_place(machine::End::Near);
    let mut out = std::io::stdout();
    let mut rows = Vec::new();
    for case in CASES.iter().filter(|case| options.case.as_deref().is_none_or(|name| name == case.name)) {
        writeln!(std::io::stderr(), "{} ...", case.name)?;
        let row = (case.run)(case.name, effort)?;
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
