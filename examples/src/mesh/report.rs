//! What happened, as tables for people and as one JSON object for programs.

use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

use comfy_table::{CellAlignment, ContentArrangement, Table, presets};
use inos_alloc::{Placement, Scheme};
use inos_chunk::{Config, Manifest};
use inos_pricing::Quote;
use serde::Serialize;
use serde_json::json;

use super::Options;
use super::vault::Source;
use super::world::World;
use crate::council::Committed;

/// One blow and what followed.
#[derive(Clone, Debug, Default)]
pub struct Round {
    /// `wave 1`, or the zone that failed.
    pub name: String,
    /// Nodes killed.
    pub killed: usize,
    /// Nodes left, as the client knows.
    pub living: usize,
    /// Nodes that were missed and given up.
    pub unreachable: BTreeSet<u32>,
    /// Simulated time from the blow until all of them were given up.
    pub detected_after: Duration,
    /// The primary of the manifest's group, if it was among the killed.
    pub deposed: Option<u32>,
    /// The primary afterwards.
    pub primary: Option<u32>,
    /// What became of the manifest's group, if it lost a member.
    pub group: Option<String>,
    /// Copies and shards that the dead nodes held.
    pub pieces_lost: u64,
    /// Copies and shards that were brought to other nodes instead.
    pub pieces_repaired: u64,
    /// Bad pieces met while repairing.
    pub rejected: u64,
    /// Real time.
    pub took: Duration,
}

/// A stripe with fewer good pieces left than it has data shards.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct LostStripe {
    /// Which one.
    pub stripe: u32,
    /// Pieces it takes.
    pub needed: u16,
    /// Good pieces that could be had.
    pub present: u16,
}

/// Everything a run found out.
#[derive(Clone, Debug)]
pub struct Report {
    file: String,
    bytes: u64,
    nodes: u32,
    seed: u64,
    want: u32,
    granted: u32,
    scheme: String,
    stripes: u32,
    pieces: u64,
    placed_bytes: u64,
    root: String,
    hash: String,
    voters: usize,
    manifest_commit: Duration,
    manifest_primary: u32,
    /// Waves, then the zone.
    pub rounds: Vec<Round>,
    /// No voter was left that had the manifest.
    pub manifest_lost: bool,
    /// Stripes that could not be read.
    pub lost: Vec<LostStripe>,
    pub(super) rejected_reading: u64,
    pub(super) rebuilt_reading: u64,
    intact: bool,
    read_took: Duration,
    liars: usize,
    caught: Vec<u32>,
    frames: u64,
    object_bytes: u64,
    budget: u64,
    tier_credits: u64,
    tier_replicas: u16,
    geo_credits: u64,
    geo_replicas: u16,
    pub(super) held: u64,
    /// Credits the customer paid.
    pub captured: u64,
    /// Credits that went back to the customer.
    pub released: u64,
    pub(super) paid_nodes: usize,
    pub(super) customer_left: u64,
    pub(super) conserved: bool,
    took: Duration,
}

impl Report {
    pub(super) fn new(options: &Options, source: &Source) -> Self {
        Self {
            file: source.path.display().to_string(),
            bytes: source.len,
            nodes: options.nodes,
            seed: options.seed,
            want: 0,
            granted: 0,
            scheme: String::new(),
            stripes: 0,
            pieces: 0,
            placed_bytes: 0,
            root: String::new(),
            hash: String::new(),
            voters: 0,
            manifest_commit: Duration::ZERO,
            manifest_primary: 0,
            rounds: Vec::new(),
            manifest_lost: false,
            lost: Vec::new(),
            rejected_reading: 0,
            rebuilt_reading: 0,
            intact: false,
            read_took: Duration::ZERO,
            liars: 0,
            caught: Vec::new(),
            frames: 0,
            object_bytes: 0,
            budget: options.budget,
            tier_credits: 0,
            tier_replicas: 0,
            geo_credits: 0,
            geo_replicas: 0,
            held: 0,
            captured: 0,
            released: 0,
            paid_nodes: 0,
            customer_left: 0,
            conserved: false,
            took: Duration::ZERO,
        }
    }

    pub(super) fn planned(&mut self, want: u32, placement: &Placement, scheme: Scheme, config: &Config) {
        self.want = want;
        self.granted = placement.granted;
        self.scheme = match scheme {
            Scheme::Copies => format!("{} full copies", placement.granted),
            Scheme::Chunks { copies } => format!("chunks, each on {copies} of {} nodes", placement.granted),
            Scheme::Stripes { .. } | Scheme::Hierarchy => {
                let geometry = config.geometry;
                format!("stripes of {} + {} over {} nodes", geometry.data(), geometry.parity(), placement.granted)
            }
        };
    }

    pub(super) fn stored(&mut self, manifest: &Manifest, hash: blake3::Hash, placed_bytes: u64) {
        self.stripes = manifest.stripe_count();
        self.pieces = manifest.piece_count();
        self.root = manifest.root().to_string();
        self.hash = hash.to_string();
        self.placed_bytes = placed_bytes;
    }

    pub(super) const fn priced(&mut self, tier: &Quote, geo: &Quote) {
        (self.tier_credits, self.tier_replicas) = (tier.total.0, tier.replicas.0);
        (self.geo_credits, self.geo_replicas) = (geo.total.0, geo.replicas.0);
    }

    pub(super) const fn manifest_written(&mut self, written: &Committed, (alive, dead): (usize, usize)) {
        self.voters = alive + dead;
        self.manifest_commit = written.took;
        self.manifest_primary = written.primary;
    }

    pub(super) const fn read(&mut self, intact: bool, took: Duration) {
        self.intact = intact;
        self.read_took = took;
    }

    pub(super) fn finish(&mut self, world: &World, took: Duration) {
        (self.liars, self.caught) = world.lies();
        (self.frames, self.object_bytes) = world.link.traffic();
        self.took = took;
    }

    /// Whether the file came back byte for byte.
    #[must_use]
    pub const fn is_intact(&self) -> bool {
        self.intact
    }

    /// Whether the ledger's accounts add up to the credits that were issued.
    #[must_use]
    pub const fn is_conserved(&self) -> bool {
        self.conserved
    }

    /// Nodes that died, and copies or shards that were brought to others for it.
    #[must_use]
    pub fn losses(&self) -> (usize, u64) {
        let killed = self.rounds.iter().map(|round| round.unreachable.len()).sum();
        (killed, self.rounds.iter().map(|round| round.pieces_repaired).sum())
    }

    /// Bad pieces that were recognised, over the whole run.
    #[must_use]
    pub fn rejected(&self) -> u64 {
        self.rejected_reading + self.rounds.iter().map(|round| round.rejected).sum::<u64>()
    }

    /// One JSON object. Times are in milliseconds; those of waves and elections are simulated, `took_ms` is real.
    #[must_use]
    pub fn to_json(&self) -> serde_json::Value {
        let (nodes_lost, pieces_repaired) = self.losses();
        let rounds: Vec<_> = self.rounds.iter().map(Round::to_json).collect();
        json!({
            "file": self.file,
            "bytes": self.bytes,
            "seed": self.seed,
            "nodes": self.nodes,
            "want": self.want,
            "granted": self.granted,
            "scheme": self.scheme,
            "stripes": self.stripes,
            "pieces": self.pieces,
            "placed_bytes": self.placed_bytes,
            "manifest_root": self.root,
            "blake3": self.hash,
            "voters": self.voters,
            "manifest_commit_ms": ms(self.manifest_commit),
            "rounds": rounds,
            "nodes_lost": nodes_lost,
            "pieces_repaired": pieces_repaired,
            "pieces_rejected": self.rejected(),
            "pieces_rebuilt_reading": self.rebuilt_reading,
            "liars": self.liars,
            "nodes_caught": self.caught,
            "manifest_lost": self.manifest_lost,
            "lost_stripes": self.lost,
            "intact": self.intact,
            "budget": self.budget,
            "quote_tier": self.tier_credits,
            "quote_geo": self.geo_credits,
            "held": self.held,
            "captured": self.captured,
            "released": self.released,
            "nodes_paid": self.paid_nodes,
            "credits_conserved": self.conserved,
            "frames": self.frames,
            "arena_bytes": self.object_bytes,
            "read_ms": ms(self.read_took),
            "took_ms": ms(self.took),
        })
    }
}

impl Round {
    fn to_json(&self) -> serde_json::Value {
        json!({
            "name": self.name,
            "killed": self.killed,
            "nodes_given_up": self.unreachable.len(),
            "living": self.living,
            "detected_ms": ms(self.detected_after),
            "primary_killed": self.deposed,
            "primary": self.primary,
            "group": self.group,
            "pieces_lost": self.pieces_lost,
            "pieces_repaired": self.pieces_repaired,
            "pieces_rejected": self.rejected,
            "took_ms": ms(self.took),
        })
    }
}

/// A table before it is drawn: a header and rows of as many cells.
struct Sheet {
    header: Vec<&'static str>,
    rows: Vec<Vec<String>>,
}

impl Report {
    fn storage(&self) -> Sheet {
        let committed = format!("node {} in {:.0?}", self.manifest_primary, self.manifest_commit);
        Sheet {
            header: vec![
                "stored as",
                "wanted",
                "granted",
                "stripes",
                "pieces",
                "on the nodes",
                "voters",
                "committed by",
            ],
            rows: vec![vec![
                self.scheme.clone(),
                self.want.to_string(),
                self.granted.to_string(),
                self.stripes.to_string(),
                self.pieces.to_string(),
                size(self.placed_bytes),
                self.voters.to_string(),
                committed,
            ]],
        }
    }

    fn events(&self) -> Sheet {
        let header =
            vec!["event", "killed", "alive", "missed after", "lost", "repaired", "bad pieces", "primary", "took"];
        let mut rows: Vec<Vec<String>> = self.rounds.iter().map(Round::row).collect();
        let rebuilt = self.rebuilt_reading.to_string();
        let mut read = vec!["read back".into()];
        // Nothing is lost by reading: what is rebuilt here was lost with a node above, or lied about.
        read.resize(5, String::new());
        read.extend([rebuilt, self.rejected_reading.to_string(), String::new()]);
        read.push(format!("{:.2?}", self.read_took));
        rows.push(read);
        Sheet { header, rows }
    }

    fn credits(&self) -> Sheet {
        let tiers = vec![
            "tiers (charged)".into(),
            self.tier_replicas.to_string(),
            self.tier_credits.to_string(),
            self.held.to_string(),
            self.captured.to_string(),
            self.released.to_string(),
            format!("{} of {}", self.customer_left, self.budget),
        ];
        let mut geo = vec!["geographic".into(), self.geo_replicas.to_string(), self.geo_credits.to_string()];
        geo.resize(tiers.len(), String::new());
        Sheet {
            header: vec!["price plan", "replicas", "credits", "held", "captured", "released", "customer keeps"],
            rows: vec![tiers, geo],
        }
    }

    /// What the tables leave out, a sentence a line, the verdict last.
    fn remarks(&self) -> Vec<String> {
        let groups = self.rounds.iter().filter_map(|round| Some((&round.name, round.group.as_ref()?)));
        let mut remarks: Vec<String> =
            groups.map(|(name, group)| format!("{name}: manifest's group: {group}")).collect();
        let (nodes_lost, repaired) = self.losses();
        remarks.push(format!(
            "{nodes_lost} nodes lost, {repaired} pieces repaired, {} bad pieces rejected from {} of {} liars",
            self.rejected(),
            self.caught.len(),
            self.liars,
        ));
        remarks.push(format!(
            "{} frames through the rings, {} through the arena",
            self.frames,
            size(self.object_bytes)
        ));
        remarks.push(match self.conserved {
            true => format!("credits: conserved, {} nodes paid", self.paid_nodes),
            false => "credits: NOT CONSERVED".into(),
        });
        if self.manifest_lost {
            remarks.push("LOST: no living voter has the manifest".into());
        }
        for lost in &self.lost {
            let LostStripe { stripe, needed, present } = lost;
            remarks.push(format!("LOST: stripe {stripe}: {present} good pieces of the {needed} it takes"));
        }
        let verdict = if self.intact { "hash equal: every byte came back" } else { "the file did not come back" };
        remarks.push(format!("{verdict} ({:.2?})", self.took));
        remarks
    }

    fn title(&self) -> String {
        format!("{}: {}, BLAKE3 {}", self.file, size(self.bytes), self.hash)
    }

    /// The report as one page of HTML without scripts or external parts.
    #[must_use]
    pub fn to_html(&self) -> String {
        let mut page = String::from(
            "<!doctype html>\n<meta charset=\"utf-8\">\n<title>mesh</title>\n<style>body{font:14px sans-serif;margin:2em}\
             table{border-collapse:collapse;margin:1em 0}th,td{border:1px solid #999;padding:.3em .6em;text-align:right}\
             td:first-child{text-align:left}</style>\n",
        );
        page += &format!("<h1>{}</h1>\n", escape(&self.title()));
        for sheet in [self.storage(), self.events(), self.credits()] {
            page += "<table>\n";
            let header: Vec<String> = sheet.header.iter().map(|&cell| cell.into()).collect();
            for (row, tag) in core::iter::once((header, "th")).chain(sheet.rows.into_iter().map(|row| (row, "td"))) {
                let cells: String = row.iter().map(|cell| format!("<{tag}>{}</{tag}>", escape(cell))).collect();
                page += &format!("<tr>{cells}</tr>\n");
            }
            page += "</table>\n";
        }
        for remark in self.remarks() {
            page += &format!("<p>{}</p>\n", escape(&remark));
        }
        page
    }
}

impl Round {
    fn row(&self) -> Vec<String> {
        let name = |node: Option<u32>| node.map_or_else(|| "none".into(), |node| node.to_string());
        let primary = match self.deposed {
            Some(old) => format!("{old} -> {}", name(self.primary)),
            None => name(self.primary),
        };
        vec![
            self.name.clone(),
            self.killed.to_string(),
            self.living.to_string(),
            format!("{:.0?}", self.detected_after),
            self.pieces_lost.to_string(),
            self.pieces_repaired.to_string(),
            self.rejected.to_string(),
            primary,
            format!("{:.2?}", self.took),
        ]
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.title())?;
        for sheet in [self.storage(), self.events(), self.credits()] {
            let mut table = Table::new();
            table.load_style(presets::ASCII_MARKDOWN).set_content_arrangement(ContentArrangement::Disabled);
            table.set_header(sheet.header).add_rows(sheet.rows);
            for column in table.column_iter_mut().skip(1) {
                column.set_cell_alignment(CellAlignment::Right);
            }
            writeln!(f, "\n{table}")?;
        }
        writeln!(f)?;
        write!(f, "{}", self.remarks().join("\n"))
    }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

fn ms(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// Bytes for people: two decimals, binary units.
fn size(bytes: u64) -> String {
    indicatif::BinaryBytes(bytes).to_string()
}
