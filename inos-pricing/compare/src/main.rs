//! inos-pricing beside other ledgers, databases and decimal arithmetic, in one run.
//!
//! What to notice: only ratios from one run mean something on a machine that is shared. Ours and the others take turns in
//! each round, on the same accounts and ids; the balances are compared after each turn, and a row we lose stays in the table.
//! `docs/performance.md` of inos-pricing says how to read it.

extern crate alloc;

mod book;
mod contest;
mod directory;
mod double_entry;
mod machine;
mod maps;
mod on_disk;
mod ours;
mod price;
mod raw;
mod replay;
mod report;
mod sqlite;
mod tables;
mod transfer;
mod workload;
mod written;

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use clap::builder::PossibleValuesParser;
use report::Row;

/// One comparison: its name, and what runs it.
struct Case {
    name: &'static str,
    run: fn(&'static str, &Setting) -> std::io::Result<Row>,
}

const CASES: &[Case] = &[
    Case { name: "transfer-memory", run: |name, setting| Ok(transfer::memory(name, setting)) },
    Case { name: "transfer-durable-1", run: transfer::durable_single },
    Case { name: "transfer-durable-8190", run: transfer::durable_batches },
    Case { name: "replay", run: |name, setting| Ok(replay::run(name, setting)) },
    Case { name: "quote", run: |name, setting| Ok(price::quotes(name, setting)) },
    Case { name: "accrue", run: |name, setting| Ok(price::accruals(name, setting)) },
    Case { name: "bytes-per-record", run: written::run },
];

/// Compares inos-pricing with other crates, and with what the machine can do at most.
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
    /// Where the durable cases keep their files, on a disk; they are removed afterwards.
    #[arg(long, value_name = "PATH", default_value_os_t = std::env::temp_dir())]
    dir: PathBuf,
}

impl Options {
    fn setting(&self) -> Setting {
        Setting { effort: if self.quick { Effort::QUICK } else { Effort::FULL }, dir: self.dir.clone() }
    }

    fn cases(&self) -> impl Iterator<Item = &'static Case> {
        CASES.iter().filter(|case| self.case.as_deref().is_none_or(|name| name == case.name))
    }
}

/// How much is measured, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Setting {
    pub(crate) effort: Effort,
    /// The parent of every directory that a turn uses.
    pub(crate) dir: PathBuf,
}

/// How much is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Effort {
    pub(crate) rounds: usize,
    /// Multiplies the work of a turn.
    factor: u32,
}

impl Effort {
    pub(crate) const QUICK: Self = Self { rounds: 5, factor: 1 };
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
            let _ = writeln!(std::io::stderr(), "inos-pricing-compare: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options) -> std::io::Result<()> {
    let mut out = std::io::stdout();
    let setting = options.setting();
    let mut rows = Vec::new();
    for case in options.cases() {
        writeln!(std::io::stderr(), "{} ...", case.name)?;
        let row = (case.run)(case.name, &setting)?;
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

    use std::path::Path;

    use clap::Parser;

    use super::{CASES, Effort, Options};

    fn parse(arguments: &[&str]) -> Result<Options, clap::Error> {
        Options::try_parse_from(["compare"].iter().chain(arguments))
    }

    #[test]
    fn without_arguments_everything_runs_in_full() {
        let options = parse(&[]).expect("nothing is required");
        assert_eq!(options.setting().effort, Effort::FULL);
        assert_eq!(options.setting().dir, std::env::temp_dir());
        assert_eq!(options.cases().count(), CASES.len());
        assert!(!options.json);
    }

    #[test]
    fn a_case_runs_alone() {
        let options = parse(&["--quick", "--json", "--case", "quote", "--dir", "/here"]).expect("all of them exist");
        assert_eq!(options.setting().effort, Effort::QUICK);
        assert_eq!(options.setting().dir, Path::new("/here"));
        assert_eq!(options.cases().map(|case| case.name).collect::<Vec<_>>(), ["quote"]);
        assert!(options.json);
    }

    #[test]
    fn what_does_not_exist_is_refused() {
        assert!(parse(&["--case", "none"]).is_err());
        assert!(parse(&["--rounds", "3"]).is_err());
    }
}
