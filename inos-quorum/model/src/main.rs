//! Explores every order of events in small groups, with the members themselves as the model: what stateright steps
//! through are clones of [`inos_quorum::Group`].
//!
//! ```text
//! cargo run --release -p inos-quorum-model             all scenarios
//! cargo run --release -p inos-quorum-model -- NAME     one of them
//! ```
//!
//! It fails when a law is broken, and when what a scenario exists for is never reached. `docs/protocol.md` of inos-quorum
//! says what is explored and what is not.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a program that reports to its terminal")]

extern crate alloc;

mod machine;
mod model;
mod scenario;

use std::{env, process::ExitCode};

use stateright::{Checker, Model};

use self::scenario::scenarios;

/// More are not explored: the scenarios are made to end well before, or say that they do not.
const MAX_STATES: usize = 1_500_000;

fn main() -> ExitCode {
    let only = env::args().nth(1);
    let mut failed = false;
    let mut explored = 0;
    for scenario in scenarios() {
        let name = scenario.name;
        if only.as_deref().is_some_and(|only| only != name) {
            continue;
        }
        let checker = scenario.checker().target_state_count(MAX_STATES).threads(2).spawn_bfs().join();
        let whole = if checker.state_count() < MAX_STATES { "all" } else { "not all" };
        println!("{name}: {} states, {whole}, {} steps deep", checker.unique_state_count(), checker.max_depth());
        explored += checker.unique_state_count();
        let broken = checker.discovery("no law is broken");
        if let Some(path) = &broken {
            eprintln!("{name}: {:?}\n{:#?}", path.last_state().broken, path.clone().into_actions());
        }
        for (property, _) in checker.discoveries() {
            println!("  {property}");
        }
        let missed: Vec<&str> = checker
            .model()
            .properties()
            .into_iter()
            .map(|property| property.name)
            .filter(|name| *name != "no law is broken" && checker.discovery(name).is_none())
            .collect();
        if !missed.is_empty() {
            eprintln!("{name}: never reached: {}", missed.join(", "));
        }
        failed |= broken.is_some() || !missed.is_empty();
    }
    if explored == 0 {
        eprintln!("no such scenario");
    }
    if failed || explored == 0 { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}
