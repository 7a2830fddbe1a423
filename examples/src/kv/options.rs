//! What a run of `replicated-kv` is asked to do, and what it asks of its members.

use std::path::PathBuf;

use clap::{Parser, Subcommand, ValueEnum};
use inos_quorum::Mode;

use super::Failure;

/// Run a replicated key-value store, kill its primary, and look for every write.
///
/// Starts one process per member. They talk over TCP on this machine and keep journals in a temporary folder. Clients
/// write without pause, while the primary is killed, its journal torn as by a power failure, and started again. At the
/// end every acknowledged write has to be there, once, and all members must have the same state.
///
/// Exit status: 0 when that is so, 1 when not (what is missing is named), 2 when the run could not be carried out.
#[derive(Clone, Debug, Parser)]
#[command(name = "replicated-kv", version, args_conflicts_with_subcommands = true)]
pub struct Options {
    /// How many members the group has. Three go on without one, five without two.
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=9))]
    pub voters: u32,

    /// How many members hold a write before it counts: `majority`, `fast`, `fast-safe`, or `flex:W` with W members.
    #[arg(long, value_name = "MODE", default_value = "majority")]
    pub mode: String,

    /// How long to write.
    #[arg(long, value_name = "S", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=3600))]
    pub seconds: u32,

    /// How often to kill the primary meanwhile.
    #[arg(long, value_name = "K", default_value_t = 3, value_parser = clap::value_parser!(u32).range(0..=100))]
    pub kills: u32,

    /// How many clients write at a time, each one write after the other.
    #[arg(long, value_name = "C", default_value_t = 16, value_parser = clap::value_parser!(u32).range(1..=256))]
    pub clients: u32,

    /// Print one JSON object instead of text.
    #[arg(long)]
    pub json: bool,

    /// What else to be.
    #[command(subcommand)]
    pub task: Option<Task>,
}

/// What the program is when it is not the driver.
#[derive(Clone, Debug, Subcommand)]
pub enum Task {
    /// One member. The driver starts it, and it ends with its standard input.
    #[command(hide = true)]
    Node(NodeOptions),
}

/// What a member is told.
#[derive(Clone, Debug, Parser)]
pub struct NodeOptions {
    /// Which one it is, below `voters`.
    #[arg(long)]
    pub id: u32,
    /// How many there are.
    #[arg(long)]
    pub voters: u32,
    /// As the driver's.
    #[arg(long)]
    pub mode: String,
    /// The first start of the group, or a later one of this member.
    #[arg(long)]
    pub start: Start,
    /// Where the files of all members are.
    #[arg(long)]
    pub root: PathBuf,
}

/// How a member starts. Whoever runs it has to know: an empty folder does not tell a new member from one whose disk was
/// lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Start {
    /// The first start of a new group.
    Found,
    /// A later one.
    Recover,
}

impl Start {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Found => "found",
            Self::Recover => "recover",
        }
    }
}

impl Options {
    /// The mode that `--mode` names.
    ///
    /// # Errors
    /// [`Failure::Mode`] when it names none, or one that these voters cannot keep.
    pub fn mode(&self) -> Result<Mode, Failure> {
        let fail = |problem| Failure::Mode { mode: self.mode.clone(), problem };
        match parse_mode(&self.mode) {
            Ok(Mode::Flex { write }) if u32::from(write) > self.voters => Err(fail("there are not so many voters")),
            Ok(mode) => Ok(mode),
            Err(_) => Err(fail("use majority, fast, fast-safe, or flex:W with W from 1")),
        }
    }
}

pub(super) fn parse_mode(text: &str) -> Result<Mode, String> {
    let flex = || text.strip_prefix("flex:")?.parse().ok().filter(|&write| write > 0);
    match text {
        "majority" => Ok(Mode::Majority),
        "fast" => Ok(Mode::Fast),
        "fast-safe" => Ok(Mode::FastSafe),
        _ => flex().map(|write| Mode::Flex { write }).ok_or_else(|| format!("{text} is no mode")),
    }
}
