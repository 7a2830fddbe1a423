//! Where explorations begin, and how far they go.

use alloc::sync::Arc;
use core::time::Duration;

use inos_quorum::{Config, GroupId, Mode, Storage};
use stateright::Property;

use crate::model::{Budget, Node, State};

/// What an exploration has to come across, lest it prove nothing.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Reach {
    Primary,
    SecondPrimary,
    Acknowledged,
    Truncated,
    Lost,
}

impl Reach {
    pub(crate) fn property(self) -> Property<Scenario> {
        match self {
            Self::Primary => Property::sometimes("a primary", |_, state: &State| state.epochs_with_primary() > 0),
            Self::SecondPrimary => {
                Property::sometimes("a second primary", |_, state: &State| state.epochs_with_primary() > 1)
            }
            Self::Acknowledged => {
                Property::sometimes("an acknowledged write", |_, state: &State| state.acknowledged() > 0)
            }
            Self::Truncated => Property::sometimes("a dropped write", |_, state: &State| state.truncated),
            Self::Lost => {
                Property::sometimes("an acknowledged write that is lost", |_, state: &State| state.has_lost())
            }
        }
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    pub(crate) config: Config,
    pub(crate) voters: usize,
    /// Node 0 was elected and all is calm; else nobody has been told the time.
    elected: bool,
    /// Whose deadlines may come.
    pub(crate) tickers: Vec<u8>,
    /// Whose clocks are far ahead of what they heard of the primary: they vote for others.
    late: Vec<u8>,
    /// Who hears nothing of whom, both ways.
    pub(crate) cut: Vec<(u8, u8)>,
    /// Who may crash.
    pub(crate) mortals: Vec<u8>,
    pub(crate) budget: Budget,
    pub(crate) reaches: Vec<Reach>,
}

impl Scenario {
    pub(crate) fn founders(&self) -> Vec<u64> {
        (0..self.voters as u64).collect()
    }

    pub(crate) fn start(&self) -> State {
        let nodes = (0_u8..).take(self.voters).map(|node| Node::new(self, node)).collect();
        let mut state = State::new(nodes, self.budget);
        for node in (0_u8..).take(self.voters) {
            // Told the time; nobody's silence is over yet.
            if let Some(member) = &mut state.nodes[usize::from(node)].member {
                Arc::make_mut(member).handle_timeout(Duration::from_secs(1));
            }
            if self.config.storage == Storage::Volatile || self.elected {
                state.settle(self, node);
                state.sync(node);
            }
            state.settle(self, node);
        }
        if self.elected {
            // Links are cut later.
            let whole = Self { cut: Vec::new(), ..self.clone() };
            for _ in 0..2 {
                state.tick(0);
                state.settle(&whole, 0);
                state.calm(&whole);
            }
        }
        for &node in &self.late {
            state.nodes[usize::from(node)].wait(Duration::from_secs(10));
        }
        state
    }
}

fn config(mode: Mode, storage: Storage) -> Config {
    let mut config = Config::new(GroupId(0x1905), mode);
    config.storage = storage;
    config
}

pub(crate) fn scenarios() -> Vec<Scenario> {
    use Reach::{Acknowledged, Lost, Primary, SecondPrimary, Truncated};

    let budget = |ticks, writes, crashes| Budget { ticks, writes, crashes };
    vec![
        Scenario {
            name: "two stand at once",
            config: config(Mode::Majority, Storage::Volatile),
            voters: 3,
            elected: false,
            tickers: vec![0, 1],
            late: vec![],
            cut: vec![],
            mortals: vec![],
            budget: budget(2, 0, 0),
            reaches: vec![Primary],
        },
        Scenario {
            name: "a vote and a crash",
            config: config(Mode::Majority, Storage::Durable),
            voters: 3,
            elected: false,
            tickers: vec![0, 1],
            late: vec![],
            cut: vec![(0, 1)],
            mortals: vec![2],
            budget: budget(2, 0, 1),
            reaches: vec![Primary],
        },
        Scenario {
            name: "a primary is deposed",
            config: config(Mode::Majority, Storage::Volatile),
            voters: 3,
            elected: true,
            tickers: vec![1],
            late: vec![1, 2],
            cut: vec![],
            mortals: vec![],
            budget: budget(1, 1, 0),
            reaches: vec![SecondPrimary, Acknowledged, Truncated],
        },
        Scenario {
            name: "a primary crashes",
            config: config(Mode::Majority, Storage::Durable),
            voters: 3,
            elected: true,
            tickers: vec![1],
            late: vec![1, 2],
            cut: vec![(0, 2)],
            mortals: vec![0],
            budget: budget(1, 1, 1),
            reaches: vec![SecondPrimary, Acknowledged],
        },
        Scenario {
            name: "two of four",
            config: config(Mode::FastSafe, Storage::Volatile),
            voters: 4,
            elected: true,
            tickers: vec![1],
            late: vec![1, 2, 3],
            cut: vec![(0, 3)],
            mortals: vec![],
            budget: budget(1, 1, 0),
            reaches: vec![SecondPrimary, Acknowledged, Truncated],
        },
        Scenario {
            name: "before the commit",
            config: config(Mode::Fast, Storage::Volatile),
            voters: 5,
            elected: true,
            tickers: vec![2],
            late: vec![2, 3, 4],
            cut: (0..2).flat_map(|a| (2..5).map(move |b| (a, b))).collect(),
            mortals: vec![],
            budget: budget(1, 1, 0),
            reaches: vec![SecondPrimary, Lost],
        },
    ]
}
