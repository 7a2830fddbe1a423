//! Rows, as tables for people and as JSON for programs.

use alloc::collections::BTreeMap;

use comfy_table::presets::ASCII_MARKDOWN;
use comfy_table::{ContentArrangement, Table};
use serde::Serialize;

use crate::contest::Figures;
use crate::machine;

/// Which of two figures is the better one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Better {
    Higher,
    Lower,
}

/// The result of one case.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Row {
    case: &'static str,
    unit: &'static str,
    better: Better,
    /// `None` when the crate cannot do the case; the note says so.
    ours: Option<f64>,
    /// `None` for a peer that cannot do the case.
    peers: BTreeMap<&'static str, Option<f64>>,
    limits: BTreeMap<&'static str, f64>,
    rounds: usize,
    note: String,
    #[serde(skip)]
    ratios: BTreeMap<&'static str, f64>,
    #[serde(skip)]
    spread: Option<f64>,
}

impl Row {
    pub(crate) fn new(
        case: &'static str,
        unit: &'static str,
        better: Better,
        ours: Option<&Figures>,
        peers: &[Figures],
        absent: &[&'static str],
        notes: &[String],
    ) -> Self {
        let mut values: BTreeMap<_, _> = peers.iter().map(|peer| (peer.name, Some(rounded(peer.median())))).collect();
        values.extend(absent.iter().map(|name| (*name, None)));
        let ratios = |ours: &Figures| peers.iter().map(|peer| (peer.name, ours.over(peer))).collect();
        Self {
            case,
            unit,
            better,
            ours: ours.map(|ours| rounded(ours.median())),
            peers: values,
            limits: BTreeMap::new(),
            rounds: ours.into_iter().chain(peers).map(|figures| figures.values.len()).max().unwrap_or(0),
            note: notes.join("; "),
            ratios: ours.map(ratios).unwrap_or_default(),
            spread: ours.map(Figures::spread),
        }
    }

    pub(crate) fn to_json(&self) -> String {
        serde_json::to_string(self).expect("a row consists of strings and finite numbers")
    }

    fn cell(&self, name: &str) -> String {
        match (self.peers.get(name).copied().flatten(), self.ratios.get(name)) {
            (Some(value), Some(ratio)) => format!("{} ({ratio:.2})", short(value)),
            (Some(value), None) => short(value),
            _ => "-".into(),
        }
    }

    /// Ours by the best peer's.
    fn ratio(&self) -> String {
        let ratios = self.ratios.values().copied();
        let closest = match self.better {
            Better::Higher => ratios.reduce(f64::min),
            Better::Lower => ratios.reduce(f64::max),
        };
        closest.map_or_else(|| "-".into(), |ratio| format!("{ratio:.2}"))
    }
}

/// More decimals would be noise.
fn rounded(value: f64) -> f64 {
    (value * 1000.0).round() / 1000.0
}

/// Three digits, or all in front of the point.
fn short(value: f64) -> String {
    match value {
        ..10.0 => format!("{value:.2}"),
        ..100.0 => format!("{value:.1}"),
        _ => format!("{value:.0}"),
    }
}

/// All rows as Markdown, with what is needed to understand them. One table for the rows that have the same columns.
pub(crate) fn tables(rows: &[Row]) -> String {
    let mut text = format!("{}\n", machine::describe());
    for rows in rows.chunk_by(|a, b| a.peers.keys().eq(b.peers.keys())) {
        let columns: Vec<&str> = rows[0].peers.keys().copied().collect();
        let mut table = Table::new();
        table.load_style(ASCII_MARKDOWN).set_content_arrangement(ContentArrangement::Disabled);
        table
            .set_header(["case", "unit", "ours"].into_iter().chain(columns.iter().copied()).chain(["ratio", "spread"]));
        for row in rows {
            let unit = match row.better {
                Better::Higher => format!("{}, more is better", row.unit),
                Better::Lower => format!("{}, less is better", row.unit),
            };
            let mut cells = vec![row.case.to_owned(), unit, row.ours.map_or_else(|| "-".into(), short)];
            cells.extend(columns.iter().map(|name| row.cell(name)));
            let spread = row.spread.map_or_else(|| "-".into(), |spread| format!("{:.0} %", spread * 100.0));
            cells.extend([row.ratio(), spread]);
            table.add_row(cells);
        }
        text.push_str(&format!("\n{table}\n"));
    }
    text.push_str("\nMedians; in brackets, ours divided by it; ratio: to the best peer.\n\n");
    for row in rows {
        text.push_str(&format!("- {}, {} rounds: {}.\n", row.case, row.rounds, row.note));
    }
    text.trim_end().into()
}

#[cfg(test)]
mod tests {
    //! Figures and ratios of a row, computed by hand; JSON with the keys that programs read.

    use super::{Better, Row, short};
    use crate::contest::Figures;

    fn row(better: Better) -> Row {
        let ours = Figures::new("ours", vec![1.0, 2.0, 4.0]);
        let peers = [Figures::new("even", vec![2.0, 2.0, 2.0]), Figures::new("slow", vec![4.0, 8.0, 16.0])];
        Row::new("case", "us", better, Some(&ours), &peers, &["absent"], &["first".into(), "second".into()])
    }

    #[test]
    fn the_ratio_is_to_the_best_peer() {
        assert_eq!(row(Better::Lower).ratio(), "1.00", "even is the quicker one");
        assert_eq!(row(Better::Higher).ratio(), "0.25", "slow has more");
        assert_eq!(row(Better::Lower).cell("slow"), "8.00 (0.25)");
        assert_eq!(row(Better::Lower).cell("absent"), "-");
    }

    #[test]
    fn json_has_the_agreed_keys() {
        let value: serde_json::Value = serde_json::from_str(&row(Better::Lower).to_json()).expect("valid");
        let keys: Vec<&str> = value.as_object().expect("an object").keys().map(String::as_str).collect();
        let mut expected = ["case", "unit", "better", "ours", "peers", "limits", "rounds", "note"];
        expected.sort_unstable();
        assert_eq!(keys, expected);
        assert!(value["peers"]["absent"].is_null());
        assert_eq!((&value["better"], &value["ours"], &value["rounds"]), (&"lower".into(), &2.0.into(), &3.into()));
        assert_eq!(value["note"], "first; second");
    }

    #[test]
    fn without_ours_the_peers_still_stand() {
        let peers = [Figures::new("peer", vec![5.0])];
        let row = Row::new("case", "x", Better::Higher, None, &peers, &[], &[]);
        assert_eq!((row.cell("peer"), row.ratio(), row.ours), ("5.00".into(), "-".into(), None));
    }

    #[test]
    fn figures_have_three_digits() {
        assert_eq!([1.234, 12.34, 1234.5].map(short), ["1.23", "12.3", "1234"]);
    }
}
