//! Rows, as tables for people and as JSON for programs.

use alloc::collections::BTreeMap;

use comfy_table::presets::ASCII_MARKDOWN;
use comfy_table::{ContentArrangement, Table};
use serde::Serialize;

use crate::contest::{Role, Times};
use crate::machine;

/// The result of one case.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Row {
    case: &'static str,
    unit: &'static str,
    better: &'static str,
    ours: f64,
    /// `None` for a peer that cannot do the case.
    peers: BTreeMap<&'static str, Option<f64>>,
    limits: BTreeMap<&'static str, f64>,
    rounds: usize,
    note: String,
    #[serde(skip)]
    ratios: BTreeMap<&'static str, f64>,
    #[serde(skip)]
    spread: f64,
}

impl Row {
    /// `bytes` of data in each of `times`, one of which is ours.
    pub(crate) fn new(
        case: &'static str,
        bytes: usize,
        times: &[Times],
        absent: Vec<&'static str>,
        mut notes: Vec<String>,
    ) -> Self {
        let speed = |times: &Times| round(bytes as f64 / times.median() / 1e9);
        let of = |role| times.iter().filter(move |times| times.role == role);
        let ours = of(Role::Ours).next().expect("we take part in every case");
        let mut peers: BTreeMap<_, _> = of(Role::Peer).map(|times| (times.name, Some(speed(times)))).collect();
        peers.extend(absent.into_iter().map(|name| (name, None)));
        notes.extend(of(Role::Aside).map(|times| format!("{}: {} GB/s", times.name, speed(times))));
        let others = of(Role::Peer).chain(of(Role::Limit));
        Self {
            case,
            unit: "GB/s",
            better: "higher",
            ours: speed(ours),
            peers,
            limits: of(Role::Limit).map(|times| (times.name, speed(times))).collect(),
            rounds: ours.rounds(),
            note: notes.join("; "),
            ratios: others.map(|times| (times.name, ours.speed_over(times))).collect(),
            spread: ours.spread(),
        }
    }

    pub(crate) fn to_json(&self) -> String {
        serde_json::to_string(self).expect("a row consists of strings and finite numbers")
    }

    fn cell(&self, name: &str) -> String {
        let value = self.peers.get(name).copied().flatten().or_else(|| self.limits.get(name).copied());
        match (value, self.ratios.get(name)) {
            (Some(value), Some(ratio)) => format!("{value:.2} ({ratio:.2})"),
            _ => "-".into(),
        }
    }

    /// Ours by the fastest peer's.
    fn ratio(&self) -> String {
        let slowest_lead = self.peers.keys().filter_map(|name| self.ratios.get(name)).copied().reduce(f64::min);
        slowest_lead.map_or_else(|| "-".into(), |ratio| format!("{ratio:.2}"))
    }
}

/// Three decimals: more would be noise.
fn round(value: f64) -> f64 {
    (value * 1000.0).round() / 1000.0
}

/// All rows as Markdown, with what is needed to understand them. One table for the rows that have the same columns.
pub(crate) fn tables(rows: &[Row]) -> String {
    let mut text = format!("{}\n", machine::describe());
    let columns = |row: &Row| -> Vec<&'static str> { row.peers.keys().chain(row.limits.keys()).copied().collect() };
    for rows in rows.chunk_by(|a, b| columns(a) == columns(b)) {
        let columns = columns(&rows[0]);
        let mut table = Table::new();
        table.load_style(ASCII_MARKDOWN).set_content_arrangement(ContentArrangement::Disabled);
        table.set_header(["case", "ours"].into_iter().chain(columns.iter().copied()).chain(["ratio", "spread"]));
        for row in rows {
            let mut cells = vec![row.case.to_owned(), format!("{:.2}", row.ours)];
            cells.extend(columns.iter().map(|name| row.cell(name)));
            cells.extend([row.ratio(), format!("{:.0} %", row.spread * 100.0)]);
            table.add_row(cells);
        }
        text.push_str(&format!("\n{table}\n"));
    }
    text.push_str(
        "\nGB/s of data, medians; in brackets, ours divided by it; ratio: to the fastest peer. One thread,\nbut for what says 2.\n\n",
    );
    for row in rows {
        text.push_str(&format!("- {}, {} rounds: {}.\n", row.case, row.rounds, row.note));
    }
    text.trim_end().into()
}
