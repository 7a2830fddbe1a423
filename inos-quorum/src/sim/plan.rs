//! What a run is made of: drawn from its seed, and only some of all faults in each (swarm testing, Groce et al. 2012).

use core::time::Duration;

use super::{Latency, Rng, Weather};
use crate::{Config, GroupId, Mode, Storage};

/// Which mode to simulate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Choice {
    /// [`Mode::Fast`].
    Fast,
    /// [`Mode::FastSafe`].
    FastSafe,
    /// [`Mode::Flex`], with a write quorum drawn from the seed: 2 to all founders.
    Flex,
    /// [`Mode::Majority`].
    Majority,
}

impl Choice {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Fast, Self::FastSafe, Self::Flex, Self::Majority];

    /// As a word: `fast`, `fast-safe`, `flex`, `majority`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Fast => "fast",
            Self::FastSafe => "fast-safe",
            Self::Flex => "flex",
            Self::Majority => "majority",
        }
    }

    /// The one of this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|choice| choice.name() == name)
    }
}

/// Kinds of faults, as indexes of [`Plan::weights`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    Crash,
    Amnesia,
    /// Most members crash within moments.
    Blackout,
    Partition,
    OneWay,
    /// The primary and one other are cut off from the rest: what is acknowledged there is at risk.
    Islet,
    Pause,
    LongPause,
    /// An operator moves the primary, replaces a member, forgets a client.
    Operator,
    /// Nobody wants anything for a while.
    Lull,
}

pub(super) const FAULTS: [Fault; 10] = [
    Fault::Crash,
    Fault::Amnesia,
    Fault::Blackout,
    Fault::Partition,
    Fault::OneWay,
    Fault::Islet,
    Fault::Pause,
    Fault::LongPause,
    Fault::Operator,
    Fault::Lull,
];

#[derive(Clone, Debug)]
pub(super) struct Plan {
    pub(super) config: Config,
    pub(super) founders: usize,
    /// Nodes that wait to be recruited.
    pub(super) spares: usize,
    /// Nodes after the spares that become ephemeral members.
    pub(super) ephemerals: usize,
    /// Whether nodes have failure detectors.
    pub(super) detectors: bool,
    /// How often a writer hands on what its session has read, of a thousand.
    pub(super) context_per_thousand: u64,
    pub(super) weather: Weather,
    pub(super) sync_us: (u64, u64),
    /// Mean time between faults.
    pub(super) fault_every_us: u64,
    pub(super) weights: [u64; FAULTS.len()],
    /// How often a new primary is struck down at once, of a thousand.
    pub(super) regicide_per_thousand: u64,
    /// Clocks gain or lose up to this much, of a million.
    pub(super) drift_per_million: u64,
    pub(super) clients: usize,
    pub(super) writes_per_second: u64,
    /// Reads of all kinds.
    pub(super) reads_per_second: u64,
    pub(super) max_ballast: u64,
    pub(super) merges: bool,
    pub(super) faulty_us: u64,
}

/// Two clocks within 47 per mille of true time are within 100 per mille of each other, which is the default bound.
const MAX_DRIFT_PER_MILLION: u64 = 47_000;

impl Plan {
    /// Five members in a local network, nothing goes wrong.
    pub(super) fn calm(mode: Mode) -> Self {
        Self {
            config: Config::new(GroupId(0x1905), mode),
            founders: 5,
            spares: 0,
            ephemerals: 0,
            detectors: false,
            context_per_thousand: 0,
            weather: Weather::CALM,
            sync_us: (100, 500),
            fault_every_us: 0,
            weights: [0; FAULTS.len()],
            regicide_per_thousand: 0,
            drift_per_million: 0,
            clients: 4,
            writes_per_second: 20,
            reads_per_second: 0,
            max_ballast: 0,
            merges: true,
            faulty_us: 0,
        }
    }

    pub(super) fn draw(choice: Choice, rng: &mut Rng) -> Self {
        let founders = rng.pick(&[3, 4, 5, 5, 5, 5, 5, 6, 7, 7]);
        let mode = match choice {
            Choice::Fast => Mode::Fast,
            Choice::FastSafe => Mode::FastSafe,
            Choice::Flex => Mode::Flex { write: u8::try_from(2 + rng.index(founders - 1)).unwrap_or(2) },
            Choice::Majority => Mode::Majority,
        };
        let mut plan = Self::calm(mode);
        plan.founders = founders;
        plan.spares = rng.pick(&[0, 0, 1, 2]);
        plan.ephemerals = rng.pick(&[0, 0, 1]);
        plan.detectors = rng.chance(300);
        plan.context_per_thousand = rng.pick(&[0, 500, 1000]);
        plan.faulty_us = 60_000_000;
        plan.draw_weather(rng);
        plan.draw_config(rng);
        plan.fault_every_us = rng.pick(&[300_000, 700_000, 1_500_000, 4_000_000]);
        for weight in &mut plan.weights {
            *weight = if rng.chance(600) { 1 + rng.below(4) } else { 0 };
        }
        plan.weights[Fault::Crash as usize] += 1;
        if !plan.detectors {
            // Without them an idle group is a group like any other.
            plan.weights[Fault::Lull as usize] = 0;
        }
        // A pause of ten seconds is most of a life: rare in all runs.
        plan.weights[Fault::LongPause as usize] = plan.weights[Fault::LongPause as usize].min(1);
        plan.regicide_per_thousand = rng.pick(&[0, 300, 800]);
        plan.drift_per_million = rng.pick(&[0, 100, MAX_DRIFT_PER_MILLION]);
        plan.clients = rng.pick(&[3, 4, 6]);
        plan.reads_per_second = rng.pick(&[2, 6]);
        plan.max_ballast = rng.pick(&[0, 0, 60, 700, 3_000]);
        plan.merges = rng.chance(600);
        plan
    }

    fn draw_weather(&mut self, rng: &mut Rng) {
        let latencies = [
            Latency::Lan,
            Latency::Exponential,
            Latency::Straggler,
            Latency::Uniform { low_us: 200, high_us: 40_000 },
            Latency::Uniform { low_us: 10_000, high_us: 120_000 },
        ];
        self.weather = Weather {
            latency: rng.pick(&latencies),
            drop_per_thousand: rng.pick(&[0, 5, 50, 150]),
            repeat_per_thousand: rng.pick(&[0, 0, 20, 100]),
            spike_per_thousand: rng.pick(&[0, 5, 30]),
            spike_us: rng.pick(&[20_000, 200_000, 1_500_000]),
        };
        self.sync_us = rng.pick(&[(10, 50), (100, 2_000), (1_000, 40_000), (20_000, 300_000)]);
    }

    fn draw_config(&mut self, rng: &mut Rng) {
        let config = &mut self.config;
        if rng.chance(250) {
            config.storage = Storage::Volatile;
        }
        if rng.chance(400) {
            // Everything happens five times as often.
            for time in [
                &mut config.heartbeat,
                &mut config.elect_min,
                &mut config.write_timeout,
                &mut config.exposure,
                &mut config.elect_grace,
                &mut config.lease,
                &mut config.unreachable,
            ] {
                *time /= 5;
            }
        }
        if rng.chance(300) {
            // As long as it may be.
            config.lease = config.elect_min * 9 / 10;
        }
        config.exposure = rng.pick(&[config.exposure, config.exposure, Duration::from_millis(20)]);
        config.exposure_writes = rng.pick(&[1_024, 1_024, 3]);
        config.ring_entries = rng.pick(&[4_096, 64, 8]);
        config.checkpoint_bytes = rng.pick(&[config.checkpoint_bytes, 20_000, 2_000]);
        config.max_frame = rng.pick(&[config.max_frame, 4_096, 1_024]);
    }
}
