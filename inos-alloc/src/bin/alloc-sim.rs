//! Simulates meshes, prints what came of it, and fails when a scenario's promise does not hold.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a program that reports to its terminal")]

use core::time::Duration;
use std::{env, fs, process::ExitCode, sync::OnceLock, time::Instant};

use inos_alloc::sim::{Figure, Options, Report, Scenario, run};

const USAGE: &str = "\
alloc-sim [--scenario NAME] [--nodes N] [--seed S] [--json]
          [--report-every-ms MS] [--report-delay-ms MS] [--report-loss-permille P]

All scenarios, or one of: herd, churn, zone-loss, flash-crowd, liars, rebalance, million, hierarchy.
Exits with 1 when something that a scenario promises does not hold.";

#[derive(Default)]
struct Arguments {
    scenario: Option<Scenario>,
    nodes: Option<u32>,
    seed: Option<u64>,
    every: Option<Duration>,
    delay: Option<Duration>,
    loss_permille: Option<u64>,
    json: bool,
    help: bool,
}

fn number<T: core::str::FromStr>(text: &str) -> Result<T, String>
where
    T::Err: core::fmt::Display,
{
    text.parse().map_err(|error| format!("{text}: {error}"))
}

fn arguments() -> Result<Arguments, String> {
    let mut parsed = Arguments::default();
    let mut words = env::args().skip(1);
    while let Some(word) = words.next() {
        let mut value = || words.next().ok_or_else(|| format!("{word} needs a value"));
        match word.as_str() {
            "--scenario" => {
                let name = value()?;
                parsed.scenario = Some(Scenario::from_name(&name).ok_or_else(|| format!("{name} is no scenario"))?);
            }
            "--nodes" => parsed.nodes = Some(number(&value()?)?),
            "--seed" => parsed.seed = Some(number(&value()?)?),
            "--report-every-ms" => parsed.every = Some(Duration::from_millis(number(&value()?)?)),
            "--report-delay-ms" => parsed.delay = Some(Duration::from_millis(number(&value()?)?)),
            "--report-loss-permille" => parsed.loss_permille = Some(number(&value()?)?),
            "--json" => parsed.json = true,
            "--help" | "-h" => parsed.help = true,
            _ => return Err(format!("unknown argument {word}")),
        }
    }
    Ok(parsed)
}

fn main() -> ExitCode {
    let arguments = match arguments() {
        Ok(arguments) => arguments,
        Err(message) => {
            eprintln!("alloc-sim: {message}\n\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    if arguments.help {
        println!("{USAGE}");
        return ExitCode::SUCCESS;
    }
    let mut holds = true;
    for scenario in Scenario::ALL {
        if arguments.scenario.is_some_and(|only| only != scenario) {
            continue;
        }
        let mut options = Options { clock, ..Options::new(scenario) };
        options.nodes = arguments.nodes.unwrap_or(options.nodes);
        options.seed = arguments.seed.unwrap_or(options.seed);
        options.reports.every = arguments.every.unwrap_or(options.reports.every);
        options.reports.delay = arguments.delay.unwrap_or(options.reports.delay);
        options.reports.loss_permille = arguments.loss_permille.unwrap_or(options.reports.loss_permille);
        let start = clock();
        let report = run(scenario, &options);
        let took = clock() - start;
        holds &= report.holds();
        if arguments.json {
            println!("{}", json(&report, took));
        } else {
            print(&report, took);
        }
    }
    if holds { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn print(report: &Report, took: Duration) {
    let Report { scenario, seed, nodes, trace, .. } = report;
    let took_ms = took.as_millis();
    println!("{}: {nodes} nodes, seed {seed}, trace {trace:016x}, {took_ms} ms", scenario.name());
    for figure in report.figures.iter().chain(&report.speeds) {
        println!("  {:<62}{:>14} {}", figure.name, figure.to_string(), figure.unit);
    }
    if let Some(kib) = peak_memory_kib() {
        println!("  {:<62}{:>14} MiB", "most memory of the process so far", kib / 1024);
    }
    for promise in &report.promises {
        println!("  {} {}", if promise.kept { "holds " } else { "BROKEN" }, promise.what);
    }
    println!();
}

fn json(report: &Report, took: Duration) -> String {
    let figure =
        |figure: &Figure| format!("{{\"name\":\"{}\",\"value\":{figure},\"unit\":\"{}\"}}", figure.name, figure.unit);
    let list = |figures: &[Figure]| figures.iter().map(figure).collect::<Vec<_>>().join(",");
    let promises: Vec<String> = report
        .promises
        .iter()
        .map(|promise| format!("{{\"what\":\"{}\",\"kept\":{}}}", promise.what, promise.kept))
        .collect();
    format!(
        "{{\"scenario\":\"{}\",\"nodes\":{},\"seed\":{},\"trace\":\"{:016x}\",\"real_ms\":{},\"peak_memory_kib\":{},\
         \"figures\":[{}],\"speeds\":[{}],\"promises\":[{}]}}",
        report.scenario.name(),
        report.nodes,
        report.seed,
        report.trace,
        took.as_millis(),
        peak_memory_kib().map_or_else(|| "null".into(), |kib| kib.to_string()),
        list(&report.figures),
        list(&report.speeds),
        promises.join(",")
    )
}

/// What Linux says; nothing elsewhere.
fn peak_memory_kib() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

#[expect(clippy::disallowed_methods, reason = "the program measures itself; the simulation has its own time")]
fn clock() -> Duration {
    static START: OnceLock<Instant> = OnceLock::new();
    START.get_or_init(Instant::now).elapsed()
}
