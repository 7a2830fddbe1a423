//! Goal: a process that is killed loses nothing that it released.
//! Method: a child applies and submits batches in a directory and prints each outcome that is released; it is killed at
//! a random moment, over and over in the same directory. Each time the ledger opens with all that was printed. What a
//! transaction does follows from its number, so that it can be asked for again.

use core::time::Duration;
use std::{
    env,
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Command, Stdio},
    thread,
};

use inos_pricing::{
    AccountId, AccountKind, Credits, DurableLedger, FileStore, Millis, Outcome, Sequence, Tail, Transaction, TxId,
};

use super::{
    factor,
    traffic::{LIMITS, Rng, SEED},
};
use crate::store::directory::Scratch;

const DIRECTORY: &str = "INOS_PRICING_LEDGER";
const START: &str = "INOS_PRICING_START";

const NOW: Millis = Millis(1_700_000_000_000);

/// The first three open accounts. Of the others some are refused.
fn transaction(number: u64) -> Transaction {
    let id = TxId::from_parts(NOW, number.into()).unwrap();
    let account = |n: u64| AccountId((n % 3).into());
    let mut rng = Rng(number);
    match number {
        0 => Transaction::open(id, account(0), AccountKind::Issuer),
        1 | 2 => Transaction::open(id, account(number), AccountKind::Holder),
        _ => {
            let from = rng.below(3);
            Transaction::transfer(id, account(from), account(from + 1), Credits(1 + rng.below(50)))
        }
    }
}

fn open(path: &Path, released: Sequence) -> DurableLedger<FileStore> {
    let store = FileStore::open(path).unwrap();
    DurableLedger::open(store, LIMITS, SEED, Tail::AtLeast(released)).unwrap().0
}

/// Run by the next test in a process of its own: writes until it is killed.
#[test]
#[ignore = "a child of the next test"]
fn child() {
    let Some(path) = env::var_os(DIRECTORY) else { return };
    let [mut number, released] =
        env::var(START).unwrap().split(' ').map(|word| word.parse::<u64>().unwrap()).collect::<Vec<_>>()[..]
    else {
        panic!("two numbers");
    };
    let mut rng = Rng(number);
    let mut ledger = open(Path::new(&path), Sequence(released));
    let mut waiting = alloc::collections::VecDeque::new();
    println!("ready {number}");
    loop {
        for _ in 0..=rng.below(3) {
            let numbers: Vec<u64> = (number..=number + rng.below(6)).collect();
            number += numbers.len() as u64;
            let batch: Vec<_> = numbers.iter().map(|number| transaction(*number)).collect();
            ledger.submit(NOW, &batch).unwrap();
            waiting.push_back(numbers);
        }
        if rng.one_in(20) {
            ledger.snapshot().unwrap();
        }
        ledger.sync().unwrap();
        let mut lines = String::new();
        while let Some((sequence, outcomes)) = ledger.poll_released() {
            for (number, outcome) in waiting.pop_front().unwrap().iter().zip(outcomes) {
                let applied = outcome.verdict().map_or(0, |sequence| sequence.0);
                lines += &format!("released {number} {applied} {}\n", sequence.0);
            }
        }
        std::io::stdout().lock().write_all(lines.as_bytes()).unwrap();
    }
}

/// Everything that was printed has the same verdict: its sequence, or 0 for a rejection.
fn check(ledger: &mut DurableLedger<FileStore>, printed: &[(u64, u64)]) {
    let sequence = ledger.ledger().unwrap().sequence();
    for part in printed.chunks(LIMITS.max_batch as usize) {
        let batch: Vec<_> = part.iter().map(|(number, _)| transaction(*number)).collect();
        let mut outcomes = Vec::new();
        ledger.apply(NOW, &batch, &mut outcomes).unwrap();
        for ((number, applied), outcome) in part.iter().zip(outcomes) {
            assert!(matches!(outcome, Outcome::Exists(_)), "{number} was released and is lost: {outcome:?}");
            assert_eq!(outcome.verdict().map_or(0, |sequence| sequence.0), *applied, "{number}");
        }
    }
    assert_eq!(ledger.ledger().unwrap().sequence(), sequence);
}

#[test]
fn a_killed_process_loses_nothing_that_it_released() {
    let scratch = Scratch::new();
    let (mut rng, mut printed, mut released) = (Rng(1), Vec::new(), 0);
    let kills = 200 * factor().unwrap_or(1);
    for round in 0..kills {
        // Numbers that no earlier child used.
        let start = if round == 0 { 0 } else { round * 1_000_000 };
        let mut child = Command::new(env::current_exe().unwrap())
            .args(["durable::killed::child", "--exact", "--ignored", "--nocapture"])
            .env(DIRECTORY, &scratch.path)
            .env(START, format!("{start} {released}"))
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(|line| line.unwrap());
        if round == 0 || rng.below(10) > 0 {
            lines.by_ref().find(|line| line.contains("ready ")).expect("the child opens the ledger");
        }
        if round == 0 {
            lines.by_ref().take(20).for_each(drop);
        }
        thread::sleep(Duration::from_micros(rng.below(15_000)));
        child.kill().unwrap();
        child.wait().unwrap();
        let before = printed.len();
        // The last line may be cut off.
        for line in lines {
            let words: Vec<u64> = line.split(' ').skip(1).map_while(|word| word.parse().ok()).collect();
            if let ("released", [number, applied, sequence]) = (line.split(' ').next().unwrap(), &words[..]) {
                printed.push((*number, *applied));
                released = *sequence;
            }
        }
        check(&mut open(&scratch.path, Sequence(released)), &printed[before..]);
    }
    let mut ledger = open(&scratch.path, Sequence(released));
    check(&mut ledger, &printed);
    ledger.audit().unwrap();
    let applied = printed.iter().filter(|(_, applied)| *applied > 0).count();
    println!("{kills} kills: {} outcomes released, {applied} of them applied", printed.len());
    assert!(printed.len() > 100);
}
