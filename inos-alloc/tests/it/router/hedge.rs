//! Goal: a few requests to spare cut the tail of a fetch. Method: fetches of a stripe whose every answer takes 20 ms and a
//! heavy tail (Pareto, exponent 1.5, from 5 ms up, as stragglers are), with and without some that never come; p50 and p99
//! of the time until k of n are there. Run with `--nocapture` for the figures.

use alloc::collections::BinaryHeap;
use core::cmp::Reverse;
use core::time::Duration;
use inos_alloc::{NodeRef, RegionId, RouteSelect, Source, SourceAction};
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use super::{Draws, HERE, node, percentile, router, view};
use crate::support::T0;

const FETCHES: usize = 2000;
/// When the caller takes a request that never ends for failed.
const PATIENCE: Duration = Duration::from_secs(2);

struct Outcome {
    p50_ms: f64,
    p99_ms: f64,
    /// Requests beyond `k`, in percent of it.
    extra_percent: f64,
}

fn simulate(data: u32, parity: u32, hedge: u32, lost: f64) -> Outcome {
    let mut draws = Draws(77);
    let mut router = router(RouteSelect::LowestLatency);
    let shards: Vec<Source> = (0..data + parity).map(|shard| Source { shard, node: node(shard) }).collect();
    router.set_shards(1, data, &shards).unwrap();
    let mesh = |_: NodeRef, _: RegionId| view(200, 0, 20);
    let mut times: Vec<Duration> = Vec::new();
    let mut asked = 0u32;
    for _ in 0..FETCHES {
        let mut sources = router.sources(&1, data, hedge, HERE, &mesh, T0).unwrap();
        let mut now = Duration::ZERO;
        // Arrivals and failures by time.
        let mut coming = BinaryHeap::new();
        while !sources.is_done() {
            while let Some(action) = sources.poll() {
                let SourceAction::Ask(source) = action else { panic!("nothing is there to be cancelled for") };
                asked += 1;
                let comes = draws.unit() >= lost;
                let tail = 0.005 * (1.0 - draws.unit()).powf(-1.0 / 1.5);
                let takes = if comes { Duration::from_secs_f64((0.020 + tail).min(1.5)) } else { PATIENCE };
                coming.push(Reverse((now + takes, comes, source)));
                assert!(sources.outstanding().count() <= usize::try_from(data + hedge).unwrap());
            }
            let Reverse((at, comes, source)) = coming.pop().expect("fewer are lost than there is parity");
            now = at;
            assert!(if comes { sources.arrived(source) } else { sources.failed(source) });
        }
        let mut rest = Vec::new();
        while let Some(SourceAction::Cancel(source)) = sources.poll() {
            rest.push(source);
        }
        assert_eq!(rest.len(), coming.len());
        times.push(now);
    }
    times.sort_unstable();
    let needed = f64::from(data) * 2000.0;
    Outcome {
        p50_ms: percentile(&times, 50),
        p99_ms: percentile(&times, 99),
        extra_percent: (f64::from(asked) - needed) * 100.0 / needed,
    }
}

#[test]
fn spare_requests_cut_the_tail() {
    println!("| stripe | lost | hedge | p50 ms | p99 ms | extra requests |");
    println!("| --- | --- | --- | --- | --- | --- |");
    for (data, parity) in [(100u32, 25), (4, 2)] {
        for lost in [0.0, 0.001] {
            let outcomes = [0, 10, 25].map(|percent| {
                let hedge = (data * percent).div_ceil(100);
                let outcome = simulate(data, parity, hedge, lost);
                println!(
                    "| {data} + {parity} | {:.1} % | {percent} % = {hedge} | {:.0} | {:.0} | {:.1} % |",
                    lost * 100.0,
                    outcome.p50_ms,
                    outcome.p99_ms,
                    outcome.extra_percent
                );
                outcome
            });
            assert!(outcomes[1].p99_ms < outcomes[0].p99_ms / 2.0);
            assert!(outcomes[2].p99_ms <= outcomes[1].p99_ms);
            assert!(outcomes[1].p50_ms < outcomes[0].p50_ms);
        }
    }
}
