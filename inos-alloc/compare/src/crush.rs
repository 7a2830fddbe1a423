//! CRUSH, by Ceph's `crushtool`, as a process of its own.

use std::io::{Error, ErrorKind, Result};
use std::path::PathBuf;
use std::process::{Command, Output};

use crate::contest::Stopwatch;

/// A map of nodes in a file, in a directory that goes with this value.
pub(crate) struct Crush {
    directory: PathBuf,
}

/// One of the maps.
pub(crate) const MAP: &str = "map";

impl Crush {
    pub(crate) const NAME: &'static str = "crushtool";
    pub(crate) const ABSENT: &'static str = "crushtool: not installed (Debian: ceph-base)";
    pub(crate) const NODES: u32 = 1_000;
    /// `straw2` buckets, one OSD per host, 24 zones of at most 42 hosts, 6 regions.
    pub(crate) const NOTE: &'static str = "crushtool: 1000 OSDs of weight 1, each its own host, 42 hosts in a zone (34 in \
        the last), 4 zones in a region, 6 regions, straw2, firstn over hosts";

    /// `None` where it is not installed.
    pub(crate) fn build() -> Result<Option<Self>> {
        let directory = std::env::temp_dir().join(format!("inos-alloc-compare-{}", std::process::id()));
        std::fs::create_dir_all(&directory)?;
        let crush = Self { directory };
        let layers = "host straw2 1 zone straw2 42 region straw2 4 root straw2 0";
        let nodes = Self::NODES.to_string();
        let arguments =
            ["--build", "--num_osds", nodes.as_str()].into_iter().chain(layers.split(' ')).chain(["-o", MAP]);
        match crush.run(arguments) {
            Ok(_) => Ok(Some(crush)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Another map: `map` changed as the arguments say.
    pub(crate) fn change(&self, map: &str, arguments: &str) -> Result<()> {
        self.run(["-i", MAP].into_iter().chain(arguments.split(' ')).chain(["-o", map])).map(drop)
    }

    /// Microseconds per mapping of 5 replicas. Start and parsing are in both of the runs that are subtracted.
    pub(crate) fn microseconds(&self, mappings: u32) -> Result<f64> {
        let seconds = |count| {
            let watch = Stopwatch::start();
            self.test(MAP, count, &[]).map(|_| watch.seconds())
        };
        let few = seconds(1)?;
        let many = seconds(mappings)?;
        Ok((many - few) * 1e6 / f64::from(mappings - 1))
    }

    /// The nodes of the first `count` resources. `options` are given to the test.
    pub(crate) fn mappings(&self, map: &str, count: u32, options: &[&str]) -> Result<Vec<Vec<u32>>> {
        let options: Vec<&str> = options.iter().copied().chain(["--show-mappings"]).collect();
        let output = self.test(map, count, &options)?;
        // Which of the two it writes to differs between versions.
        let text = [output.stdout, output.stderr].concat();
        let mappings = parse(&String::from_utf8_lossy(&text));
        if mappings.len() == usize::try_from(count).unwrap_or(0) {
            Ok(mappings)
        } else {
            Err(Error::other("crushtool did not map every resource"))
        }
    }

    fn test(&self, map: &str, count: u32, options: &[&str]) -> Result<Output> {
        let last = (count - 1).to_string();
        let arguments =
            ["-i", map, "--test", "--rule", "0", "--num-rep", "5", "--min-x", "0", "--max-x", last.as_str()];
        self.run(arguments.into_iter().chain(options.iter().copied()))
    }

    fn run<'a>(&self, arguments: impl Iterator<Item = &'a str>) -> Result<Output> {
        let output = Command::new("crushtool").args(arguments).current_dir(&self.directory).output()?;
        if output.status.success() {
            Ok(output)
        } else {
            Err(Error::other(format!("crushtool: {}", String::from_utf8_lossy(&output.stderr).trim())))
        }
    }
}

impl Drop for Crush {
    fn drop(&mut self) {
        // What stays in a directory for temporary files does no harm.
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

/// Lines like `CRUSH rule 0 x 7 [182,809,36]`.
fn parse(text: &str) -> Vec<Vec<u32>> {
    let nodes = |line: &str| {
        let list = line.strip_prefix("CRUSH rule ")?.split_once('[')?.1.strip_suffix(']')?;
        list.split(',').map(|node| node.parse().ok()).collect()
    };
    text.lines().filter_map(nodes).collect()
}

#[cfg(test)]
mod tests {
    //! What crushtool prints, by an example; the tool itself where it is installed.

    use super::{Crush, MAP, parse};

    #[test]
    fn mappings_are_read_and_other_lines_are_not() {
        let text = "rule 0 (replicated_rule), x = 0..1, numrep = 2..2\nCRUSH rule 0 x 0 [423,426]\nCRUSH rule 0 x 1 [7]\n\
            CRUSH rule 0 x 2 [7,none]\n";
        assert_eq!(parse(text), [vec![423, 426], vec![7]]);
    }

    #[test]
    fn where_it_is_installed_it_maps() {
        let Some(crush) = Crush::build().expect("a map can be built") else { return };
        let mappings = crush.mappings(MAP, 10, &[]).expect("it maps");
        assert!(mappings.iter().all(|nodes| nodes.len() == 5 && nodes.iter().all(|&node| node < Crush::NODES)));
        assert!(crush.microseconds(2_000).expect("it maps") > 0.0);
    }
}
