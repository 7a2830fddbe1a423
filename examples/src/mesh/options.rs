//! What a run of `mesh` is asked to do.

use std::path::PathBuf;

use clap::Parser;

/// The fewest nodes a mesh can be made of: a group for the manifest needs five, and a resource five replicas.
pub const NODES_MIN: u32 = 8;
/// The most nodes one process plays.
pub const NODES_MAX: u32 = 10_000;

/// Store a real file in an in-process mesh, break the mesh, and read the file back.
///
/// The file is cut into verified, erasure-coded chunks and spread over the nodes through shared-memory rings; its
/// manifest is replicated by a quorum; credits are held before and captured after. Then nodes are killed in waves, each
/// followed by detection, failover and repair, and last a whole zone fails. One node in a hundred serves corrupt or
/// lying pieces throughout.
///
/// Exit status: 0 when the file came back byte for byte and no credit was lost or made, 1 when it did not (what was
/// lost is named), 2 when the arguments or the file are unusable.
#[derive(Clone, Debug, Parser)]
#[command(name = "mesh", version)]
pub struct Options {
    /// The file to store; this program's own executable when left out.
    pub file: Option<PathBuf>,

    /// How many nodes the mesh has, in six regions of four zones.
    #[arg(long, value_name = "N", default_value_t = 700, value_parser = clap::value_parser!(u32).range(i64::from(NODES_MIN)..=i64::from(NODES_MAX)))]
    pub nodes: u32,

    /// The share of all nodes to kill, 0% to 100%, spread evenly over the waves.
    #[arg(long, value_name = "PERCENT", default_value = "15%", value_parser = parse_percent)]
    pub kill: Percent,

    /// In how many waves to kill them. After each come detection, failover and repair.
    #[arg(long, value_name = "W", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=100))]
    pub waves: u32,

    /// Decides which nodes die, lie and are chosen: the same seed repeats the run.
    #[arg(long, value_name = "S", default_value_t = 1)]
    pub seed: u64,

    /// Credits the customer has. They bound the number of replicas.
    #[arg(long, value_name = "CREDITS", default_value_t = 5_000)]
    pub budget: u64,

    /// Also write the file that came back to this path, once its hash is verified.
    #[arg(long, value_name = "PATH")]
    pub out: Option<PathBuf>,

    /// Also write the report to this path, as a page of HTML.
    #[arg(long, value_name = "PATH")]
    pub report: Option<PathBuf>,

    /// Print one JSON object instead of tables.
    #[arg(long)]
    pub json: bool,
}

/// Hundredths of a percent, 0..=10,000.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Percent(u32);

impl Percent {
    /// `self` of `count`, rounded to the nearest whole.
    #[must_use]
    pub fn of(self, count: u32) -> u32 {
        let share = (u64::from(count) * u64::from(self.0) + 5_000) / 10_000;
        u32::try_from(share).unwrap_or(count)
    }
}

impl core::fmt::Display for Percent {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{}", self.0 / 100)?;
        match self.0 % 100 {
            0 => {}
            tenths if tenths % 10 == 0 => write!(f, ".{}", tenths / 10)?,
            hundredths => write!(f, ".{hundredths:02}")?,
        }
        write!(f, "%")
    }
}

fn parse_percent(text: &str) -> Result<Percent, String> {
    let wrong = || format!("`{text}` is not a percentage; write for example 15% or 7.5%, from 0% to 100%");
    let number = text.strip_suffix('%').unwrap_or(text);
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let digits = |s: &str| s.bytes().all(|b| b.is_ascii_digit());
    if whole.is_empty() || !digits(whole) || !digits(fraction) || fraction.len() > 2 || number.ends_with('.') {
        return Err(wrong());
    }
    let whole: u32 = whole.parse().map_err(|_| wrong())?;
    let fraction: u32 = format!("{fraction:0<2}").parse().map_err(|_| wrong())?;
    let hundredths = whole.checked_mul(100).and_then(|w| w.checked_add(fraction)).ok_or_else(wrong)?;
    if hundredths > 10_000 { Err(wrong()) } else { Ok(Percent(hundredths)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentages_are_read_exactly() {
        for (text, hundredths, shown) in [
            ("15%", 1_500, "15%"),
            ("0", 0, "0%"),
            ("7.5%", 750, "7.5%"),
            ("0.25", 25, "0.25%"),
            ("100%", 10_000, "100%"),
        ] {
            let percent = parse_percent(text).unwrap();
            assert_eq!((percent, percent.to_string().as_str()), (Percent(hundredths), shown));
        }
        for text in ["", "%", "-1%", "100.01%", "101", "1e1", "5.", ".5", "1.234", "five", "99999999999", "+5"] {
            assert!(parse_percent(text).is_err(), "{text}");
        }
    }

    #[test]
    fn shares_round_to_the_nearest_node() {
        assert_eq!(Percent(1_500).of(700), 105);
        assert_eq!(Percent(10_000).of(700), 700);
        assert_eq!(Percent(50).of(100), 1);
        assert_eq!(Percent(49).of(100), 0);
    }
}
