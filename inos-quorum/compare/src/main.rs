//! inos-quorum beside other implementations of replica groups, in one run.
//!
//! What to notice: only ratios from one run mean something on a machine that is shared. Ours and the others take turns in
//! each round, every commit is counted and its delta applied, and a row we lose stays in the table. Latencies are those of
//! a simulated network and belong to no machine. `docs/performance.md` of inos-quorum says how to read it.

extern crate alloc;

mod cluster;
mod commit;
mod contest;
mod counting;
mod delays;
mod failover;
mod latency;
mod machine;
mod memory;
mod network;
mod open_raft;
mod ours;
mod raft_rs;
mod report;
mod step;

use std::io::Write;
use std::process::ExitCode;

use clap::Parser;
use clap::builder::PossibleValuesParser;
use counting::Counting;
use report::Row;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// One comparison: its name, and what runs it.
struct Case {
    name: &'static str,
    run: fn(&'static str, Effort) -> Row,
}

const CASES: &[Case] = &[
    Case { name: "commit-1-client", run: |name, effort| commit::run(name, 5, 1, effort) },
    Case { name: "commit-batched", run: |name, effort| commit::run(name, 5, 64, effort) },
    Case { name: "commit-1-client-3", run: |name, effort| commit::run(name, 3, 1, effort) },
    Case { name: "commit-batched-3", run: |name, effort| commit::run(name, 3, 64, effort) },
    Case { name: "step", run: |name, effort| step::run(name, step::Frames::Heartbeats, effort) },
    Case { name: "step-append", run: |name, effort| step::run(name, step::Frames::Appends, effort) },
    Case { name: "fast-vs-majority-5", run: |name, effort| latency::run(name, 5, effort) },
    Case { name: "fast-vs-majority-7", run: |name, effort| latency::run(name, 7, effort) },
    Case { name: "failover", run: failover::run },
    Case { name: "memory-idle", run: memory::run },
];

/// Compares inos-quorum with other crates.
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
}

impl Options {
    fn effort(&self) -> Effort {
        if self.quick { Effort::QUICK } else { Effort::FULL }
    }

    fn cases(&self) -> impl Iterator<Item = &'static Case> {
        CASES.iter().filter(|case| self.case.as_deref().is_none_or(|name| name == case.name))
    }
}

/// How much is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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
    match run(&Options::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // With nobody to tell, the status still tells it.
            let _ = writeln!(std::io::stderr(), "inos-quorum-compare: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options) -> std::io::Result<()> {
    let mut out = std::io::stdout();
    let mut rows = Vec::new();
    for case in options.cases() {
        writeln!(std::io::stderr(), "{} ...", case.name)?;
        let row = (case.run)(case.name, options.effort());
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

#[cfg(test)]
mod tests {
    //! What the arguments mean, and that unknown ones are refused.

    use clap::Parser;

    use super::{CASES, Effort, Options};

    fn parse(arguments: &[&str]) -> Result<Options, clap::Error> {
        Options::try_parse_from(["compare"].iter().chain(arguments))
    }

    #[test]
    fn without_arguments_everything_runs_in_full() {
        let options = parse(&[]).expect("nothing is required");
        assert_eq!(options.effort(), Effort::FULL);
        assert_eq!(options.cases().count(), CASES.len());
        assert!(!options.json);
    }

    #[test]
    fn a_case_runs_alone() {
        let options = parse(&["--quick", "--json", "--case", "step"]).expect("all of them exist");
        assert_eq!(options.effort(), Effort::QUICK);
        assert_eq!(options.cases().map(|case| case.name).collect::<Vec<_>>(), ["step"]);
        assert!(options.json);
    }

    #[test]
    fn what_does_not_exist_is_refused() {
        assert!(parse(&["--case", "none"]).is_err());
        assert!(parse(&["--rounds", "3"]).is_err());
    }
}
