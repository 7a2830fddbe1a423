//! inos-alloc beside other ways to place replicas, in one run.
//!
//! What to notice: only ratios from one run mean something on a machine that is shared. Ours and the others take turns in
//! each round, what is chosen is counted, and a row we lose stays in the table. Balance, movement and memory are counted,
//! not timed, and belong to no machine. `docs/performance.md` of inos-alloc says how to read it.

extern crate alloc;

mod allocate;
mod balance;
mod contest;
mod counting;
mod crush;
mod load_reports;
mod machine;
mod memory;
mod mesh;
mod movement;
mod placing;
mod report;

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
    run: fn(&'static str, Effort) -> std::io::Result<Row>,
}

const CASES: &[Case] = &[
    Case { name: "allocate-5-at-1000", run: allocate::five_at_1_000 },
    Case { name: "allocate-5-at-1000000", run: |name, effort| Ok(allocate::five_at_1_000_000(name, effort)) },
    Case { name: "allocate-100-at-1000000", run: |name, effort| Ok(allocate::hundred_at_1_000_000(name, effort)) },
    Case { name: "report-1000000", run: |name, effort| Ok(load_reports::run(name, effort)) },
    Case { name: "balance", run: |name, _| balance::run(name) },
    Case { name: "movement-leave", run: movement::leave },
    Case { name: "movement-join", run: movement::join },
    Case { name: "memory-per-node", run: |name, _| Ok(memory::run(name)) },
];

/// Compares inos-alloc with other crates and with Ceph's CRUSH.
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
    factor: u32,
}

impl Effort {
    const QUICK: Self = Self { rounds: 5, factor: 1 };
    const FULL: Self = Self { rounds: 9, factor: 4 };

    /// What a turn does, from what it does in a quick run.
    pub(crate) fn units(self, quick: u32) -> u32 {
        quick * self.factor
    }
}

fn main() -> ExitCode {
    match run(&Options::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // With nobody to tell, the status still tells it.
            let _ = writeln!(std::io::stderr(), "inos-alloc-compare: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options) -> std::io::Result<()> {
    let mut out = std::io::stdout();
    let mut rows = Vec::new();
    for case in options.cases() {
        writeln!(std::io::stderr(), "{} ...", case.name)?;
        let row = (case.run)(case.name, options.effort())?;
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
        let options = parse(&["--quick", "--json", "--case", "balance"]).expect("all of them exist");
        assert_eq!(options.effort(), Effort::QUICK);
        assert_eq!(options.cases().map(|case| case.name).collect::<Vec<_>>(), ["balance"]);
        assert!(options.json);
    }

    #[test]
    fn what_does_not_exist_is_refused() {
        assert!(parse(&["--case", "none"]).is_err());
        assert!(parse(&["--rounds", "3"]).is_err());
    }
}
