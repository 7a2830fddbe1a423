//! Simulates groups of one mode, seed after seed, and fails at the first broken law or when the runs were too tame.
//!
//! Of a hundred seeds or more it fails when one of the things that a run may come across is met by fewer than one in a
//! hundred. All modes must meet contested elections, refused pre-votes, joint changes under partition, snapshots, orphan
//! handovers, amnesia, lost persists, silent groups, and groups that go on by force; what only `fast` can meet is asked of `fast` alone. `--bug` needs
//! a build with `RUSTFLAGS="--cfg inos_bug"`, and fails when no seed finds the bug.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a program that reports to its terminal")]

use core::sync::atomic::{AtomicU64, Ordering};
use std::{env, fs, panic, process::ExitCode, sync::Mutex, thread, time::Instant};

use inos_quorum::sim::{Choice, Coverage, Report, failover_us, run, run_logged};

const USAGE: &str = "\
quorum-sim --mode fast|fast-safe|flex|majority [--seeds N] [--start SEED] [--threads N] [--json]
quorum-sim --mode MODE --seed SEED [--log FILE]      one seed; FILE gets every input and output
quorum-sim --replay FILE                             runs the seed of a log again and compares line by line
quorum-sim --mode MODE --failover [--seeds N]        death of the primary to the first commit
quorum-sim --mode MODE --bug NAME [--seeds N]        stops at the first seed that finds a bug put back on purpose";

#[derive(Default)]
struct Arguments {
    mode: Option<Choice>,
    seeds: Option<u64>,
    start: u64,
    seed: Option<u64>,
    log: Option<String>,
    replay: Option<String>,
    threads: Option<u64>,
    json: bool,
    failover: bool,
    bug: Option<String>,
    help: bool,
}

fn arguments() -> Result<Arguments, String> {
    let mut parsed = Arguments::default();
    let mut words = env::args().skip(1);
    while let Some(word) = words.next() {
        let mut value = || words.next().ok_or_else(|| format!("{word} needs a value"));
        let number = |text: String| text.parse::<u64>().map_err(|error| format!("{text}: {error}"));
        match word.as_str() {
            "--mode" => {
                let name = value()?;
                parsed.mode = Some(Choice::from_name(&name).ok_or_else(|| format!("{name} is no mode"))?);
            }
            "--seeds" => parsed.seeds = Some(number(value()?)?),
            "--start" => parsed.start = number(value()?)?,
            "--seed" => parsed.seed = Some(number(value()?)?),
            "--log" => parsed.log = Some(value()?),
            "--replay" => parsed.replay = Some(value()?),
            "--threads" => parsed.threads = Some(number(value()?)?),
            "--json" => parsed.json = true,
            "--failover" => parsed.failover = true,
            "--bug" => parsed.bug = Some(value()?),
            "--help" | "-h" => parsed.help = true,
            _ => return Err(format!("unknown argument {word}")),
        }
    }
    if parsed.seeds == Some(0) {
        return Err("--seeds 0 would show nothing".into());
    }
    Ok(parsed)
}

fn main() -> ExitCode {
    match arguments().and_then(|arguments| dispatch(&arguments)) {
        Ok(code) => code,
        Err(message) => {
            eprintln!("quorum-sim: {message}\n\n{USAGE}");
            ExitCode::from(2)
        }
    }
}

fn dispatch(arguments: &Arguments) -> Result<ExitCode, String> {
    if arguments.help {
        println!("{USAGE}");
        return Ok(ExitCode::SUCCESS);
    }
    if let Some(file) = &arguments.replay {
        return replay(file);
    }
    let mode = arguments.mode.ok_or("--mode fast|fast-safe|flex|majority")?;
    if let Some(bug) = &arguments.bug {
        return hunt(mode, bug, arguments);
    }
    if arguments.failover {
        return Ok(failover(mode, arguments));
    }
    match arguments.seed {
        Some(seed) => one(mode, seed, arguments.log.as_deref()),
        None => Ok(many(mode, arguments)),
    }
}

#[cfg(not(inos_bug))]
fn hunt(_: Choice, _: &str, _: &Arguments) -> Result<ExitCode, String> {
    Err("--bug needs a build with RUSTFLAGS=\"--cfg inos_bug\"".into())
}

/// One seed after the other, so that the number of seeds is the same on every machine.
#[cfg(inos_bug)]
fn hunt(mode: Choice, bug: &str, arguments: &Arguments) -> Result<ExitCode, String> {
    use inos_quorum::sim::{bug_names, choose_bug};

    if !choose_bug(bug) {
        let names: Vec<&str> = bug_names().collect();
        return Err(format!("{bug} is none of {}", names.join(", ")));
    }
    // Some bugs are found by a member that stops.
    panic::set_hook(Box::new(|_| {}));
    let seeds = arguments.seeds.unwrap_or(1_000);
    for seed in arguments.start..arguments.start.saturating_add(seeds) {
        let found = match panic::catch_unwind(|| run(mode, seed)) {
            Ok(report) => report.outcome.err().map(|violation| violation.to_string()),
            Err(_) => Some("a member panicked".into()),
        };
        if let Some(found) = found {
            let shown: String = found.chars().take(160).collect();
            println!("{bug}: {} seed {seed}, after {} seeds: {shown}", mode.name(), seed - arguments.start + 1);
            return Ok(ExitCode::SUCCESS);
        }
    }
    println!("{bug}: {} not found in {seeds} seeds", mode.name());
    Ok(ExitCode::FAILURE)
}

fn header(mode: Choice, seed: u64) -> String {
    format!("quorum-sim --mode {} --seed {seed}", mode.name())
}

fn one(mode: Choice, seed: u64, log: Option<&str>) -> Result<ExitCode, String> {
    let report = match log {
        None => run(mode, seed),
        Some(file) => {
            let (report, text) = run_logged(mode, seed);
            let whole = format!("{}\n{text}", header(mode, seed));
            fs::write(file, whole).map_err(|error| format!("{file}: {error}"))?;
            report
        }
    };
    println!("{report:#?}");
    Ok(if report.outcome.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn replay(file: &str) -> Result<ExitCode, String> {
    let text = fs::read_to_string(file).map_err(|error| format!("{file}: {error}"))?;
    let (first, logged) = text.split_once('\n').ok_or("the log is empty")?;
    let words: Vec<&str> = first.split(' ').collect();
    let &["quorum-sim", "--mode", mode, "--seed", seed] = words.as_slice() else {
        return Err(format!("{file} does not begin like a log"));
    };
    let mode = Choice::from_name(mode).ok_or("unknown mode")?;
    let seed = seed.parse().map_err(|error| format!("{seed}: {error}"))?;
    let (report, again) = run_logged(mode, seed);
    for (number, (old, new)) in logged.lines().zip(again.lines()).enumerate() {
        if old != new {
            println!("line {} differs\nthen {old}\nnow  {new}", number + 2);
            return Ok(ExitCode::FAILURE);
        }
    }
    if logged.lines().count() != again.lines().count() {
        println!("one of the two logs is longer");
        return Ok(ExitCode::FAILURE);
    }
    println!("{} lines are the same; {:?}", again.lines().count(), report.outcome);
    Ok(ExitCode::SUCCESS)
}

/// Sums over the seeds.
#[derive(Default)]
struct Sums {
    seeds: u64,
    simulated_us: u64,
    steps: u64,
    committed: u64,
    fast: u64,
    lost: u64,
    primaries: u64,
    seen: [u64; 13],
    broken: Vec<(u64, String)>,
}

impl Sums {
    fn add(&mut self, report: &Report) {
        self.seeds += 1;
        self.simulated_us += report.simulated_us;
        self.steps += report.steps;
        self.committed += report.committed;
        self.fast += report.fast;
        self.lost += report.lost;
        self.primaries += report.primaries;
        for (sum, (_, met)) in self.seen.iter_mut().zip(report.coverage.named()) {
            *sum += u64::from(met);
        }
        if let Err(violation) = &report.outcome {
            self.broken.push((report.seed, violation.to_string()));
        }
    }
}

/// Broken laws that are printed.
const MAX_SHOWN: usize = 20;

fn many(mode: Choice, arguments: &Arguments) -> ExitCode {
    let seeds = arguments.seeds.unwrap_or(100);
    let end = arguments.start.saturating_add(seeds);
    let next = AtomicU64::new(arguments.start);
    let sums = Mutex::new(Sums::default());
    let clock = stopwatch();
    thread::scope(|scope| {
        for _ in 0..arguments.threads.unwrap_or(1).clamp(1, 64) {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= end {
                        break;
                    }
                    let report = panic::catch_unwind(|| run(mode, seed));
                    let mut sums = sums.lock().expect("nobody panics while holding the sums");
                    match report {
                        Ok(report) => sums.add(&report),
                        Err(_) => sums.broken.push((seed, "panicked".into())),
                    }
                    if let Some((last, text)) = sums.broken.last()
                        && *last == seed
                        && sums.broken.len() <= MAX_SHOWN
                    {
                        let shown: String = text.chars().take(600).collect();
                        eprintln!("seed {seed}: {shown}");
                    }
                }
            });
        }
    });
    let real_us = u64::try_from(clock.elapsed().as_micros()).unwrap_or(u64::MAX).max(1);
    let sums = sums.into_inner().expect("nobody panics while holding the sums");
    report(mode, arguments, &sums, real_us)
}

fn report(mode: Choice, arguments: &Arguments, sums: &Sums, real_us: u64) -> ExitCode {
    let names = Coverage::default().named().map(|(name, _)| name);
    let tame: Vec<&str> = names
        .into_iter()
        .zip(sums.seen)
        .filter(|&(name, count)| Coverage::is_possible(mode, name) && sums.seeds >= 100 && count * 100 < sums.seeds)
        .map(|(name, _)| name)
        .collect();
    let ratio = sums.simulated_us / real_us;
    let per_core = ratio / arguments.threads.unwrap_or(1).max(1);
    if arguments.json {
        let seen: Vec<String> =
            names.into_iter().zip(sums.seen).map(|(name, count)| format!("\"{name}\":{count}")).collect();
        let broken: Vec<String> = sums.broken.iter().map(|(seed, _)| seed.to_string()).collect();
        println!(
            "{{\"mode\":\"{}\",\"seeds\":{},\"simulated_s\":{},\"real_ms\":{},\"ratio\":{ratio},\"ratio_per_core\":{per_core},\
             \"steps\":{},\"committed\":{},\"fast\":{},\"lost\":{},\"primaries\":{},\"coverage\":{{{}}},\"broken\":[{}]}}",
            mode.name(),
            sums.seeds,
            sums.simulated_us / 1_000_000,
            real_us / 1_000,
            sums.steps,
            sums.committed,
            sums.fast,
            sums.lost,
            sums.primaries,
            seen.join(","),
            broken.join(",")
        );
    } else {
        println!(
            "{}: {} seeds, {}.{} simulated hours in {}.{} s, {ratio} x real time ({per_core} x per core), {} ns per step",
            mode.name(),
            sums.seeds,
            sums.simulated_us / 3_600_000_000,
            sums.simulated_us / 360_000_000 % 10,
            real_us / 1_000_000,
            real_us / 100_000 % 10,
            real_us * 1_000 * arguments.threads.unwrap_or(1) / sums.steps.max(1)
        );
        println!(
            "{} steps, {} epochs with a primary, {} committed, {} fast, {} lost and accounted for",
            sums.steps, sums.primaries, sums.committed, sums.fast, sums.lost
        );
        for (name, count) in names.into_iter().zip(sums.seen) {
            let note = if Coverage::is_possible(mode, name) { "" } else { " (not in this mode)" };
            println!("{count:>8} seeds, {:>3} %: {name}{note}", count * 100 / sums.seeds.max(1));
        }
        println!("{} seeds broke a law", sums.broken.len());
    }
    if !tame.is_empty() {
        eprintln!("too tame, below 1 % of the seeds: {}", tame.join(", "));
    }
    if sums.broken.is_empty() && tame.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn failover(mode: Choice, arguments: &Arguments) -> ExitCode {
    let seeds = arguments.seeds.unwrap_or(1_000).max(1);
    let mut outages_us: Vec<u64> =
        (arguments.start..arguments.start + seeds).map(|seed| failover_us(mode, seed).unwrap_or(u64::MAX)).collect();
    outages_us.sort_unstable();
    let at = |per_thousand: usize| {
        let index = (outages_us.len() * per_thousand / 1_000).min(outages_us.len() - 1);
        outages_us[index] / 1_000
    };
    let (p50, p99, worst) = (at(500), at(990), at(1_000));
    if arguments.json {
        println!(
            "{{\"mode\":\"{}\",\"seeds\":{seeds},\"p50_ms\":{p50},\"p99_ms\":{p99},\"max_ms\":{worst}}}",
            mode.name()
        );
    } else {
        println!(
            "{}: death of the primary to the first commit, {seeds} seeds: p50 {p50} ms, p99 {p99} ms, worst {worst} ms",
            mode.name()
        );
    }
    if p99 <= 2_000 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

#[expect(clippy::disallowed_methods, reason = "the program measures itself; the simulation has its own time")]
fn stopwatch() -> Instant {
    Instant::now()
}
