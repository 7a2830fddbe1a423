//! Rows, as tables for people and as JSON for programs.

use alloc::collections::BTreeMap;

use comfy_table::presets::ASCII_MARKDOWN;
use comfy_table::{ContentArrangement, Table};
use serde::Serialize;

use crate::contest::{Role, Times};
use crate::machine;

/// Which of two figures is the better one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Better {
    Higher,
    Lower,
}

/// How seconds per unit of work are shown.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Unit {
    name: &'static str,
    better: Better,
    scale: f64,
}

impl Unit {
    pub(crate) const MESSAGES: Self = Self { name: "M messages/s", better: Better::Higher, scale: 1e-6 };
    pub(crate) const PAIRS: Self = Self { name: "M pairs/s", better: Better::Higher, scale: 1e-6 };
    pub(crate) const NANOSECONDS: Self = Self { name: "ns", better: Better::Lower, scale: 1e9 };
    pub(crate) const MICROSECONDS: Self = Self { name: "us", better: Better::Lower, scale: 1e6 };

    /// For work of `bytes` each.
    pub(crate) fn gigabytes(bytes: usize) -> Self {
        Self { name: "GB/s", better: Better::Higher, scale: bytes as f64 * 1e-9 }
    }

    fn value(self, times: &Times) -> f64 {
        let value = match self.better {
            Better::Higher => self.scale / times.median(),
            Better::Lower => self.scale * times.median(),
        };
        // More decimals would be noise.
        (value * 1000.0).round() / 1000.0
    }

    /// Our figure divided by theirs, as the median over the rounds.
    fn ratio(self, ours: &Times, theirs: &Times) -> f64 {
        match self.better {
            Better::Higher => theirs.time_over(ours),
            Better::Lower => ours.time_over(theirs),
        }
    }
}

/// The result of one case.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Row {
    case: &'static str,
    unit: &'static str,
    better: Better,
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
    /// `absent` peers cannot do the case; a note says why.
    pub(crate) fn new(
        case: &'static str,
        unit: Unit,
        times: &[Times],
        absent: &[&'static str],
        mut notes: Vec<String>,
    ) -> Self {
        let of = |role| times.iter().filter(move |times| times.role == role);
        let ours = of(Role::Ours).next().expect("we take part in every case");
        let mut peers: BTreeMap<_, _> = of(Role::Peer).map(|times| (times.name, Some(unit.value(times)))).collect();
        peers.extend(absent.iter().map(|name| (*name, None)));
        notes.extend(of(Role::Aside).map(|times| format!("{}: {} {}", times.name, unit.value(times), unit.name)));
        let others = of(Role::Peer).chain(of(Role::Limit));
        Self {
            case,
            unit: unit.name,
            better: unit.better,
            ours: unit.value(ours),
            peers,
            limits: of(Role::Limit).map(|times| (times.name, unit.value(times))).collect(),
            rounds: ours.rounds(),
            note: notes.join("; "),
            ratios: others.map(|times| (times.name, unit.ratio(ours, times))).collect(),
            spread: ours.spread(),
        }
    }

    pub(crate) fn to_json(&self) -> String {
        serde_json::to_string(self).expect("a row consists of strings and finite numbers")
    }

    fn cell(&self, name: &str) -> String {
        let value = self.peers.get(name).copied().flatten().or_else(|| self.limits.get(name).copied());
        match (value, self.ratios.get(name)) {
            (Some(value), Some(ratio)) => format!("{} ({ratio:.2})", short(value)),
            _ => "-".into(),
        }
    }

    /// Ours by the best peer's.
    fn ratio(&self) -> String {
        let ratios = self.peers.keys().filter_map(|name| self.ratios.get(name)).copied();
        let closest = match self.better {
            Better::Higher => ratios.reduce(f64::min),
            Better::Lower => ratios.reduce(f64::max),
        };
        closest.map_or_else(|| "-".into(), |ratio| format!("{ratio:.2}"))
    }
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
    let columns = |row: &Row| -> Vec<&'static str> { row.peers.keys().chain(row.limits.keys()).copied().collect() };
    for rows in rows.chunk_by(|a, b| columns(a) == columns(b)) {
        let columns = columns(&rows[0]);
        let mut table = Table::new();
        table.load_style(ASCII_MARKDOWN).set_content_arrangement(ContentArrangement::Disabled);
        table
            .set_header(["case", "unit", "ours"].into_iter().chain(columns.iter().copied()).chain(["ratio", "spread"]));
        for row in rows {
            let unit = match row.better {
                Better::Higher => format!("{}, more is better", row.unit),
                Better::Lower => format!("{}, less is better", row.unit),
            };
            let mut cells = vec![row.case.to_owned(), unit, short(row.ours)];
            cells.extend(columns.iter().map(|name| row.cell(name)));
            cells.extend([row.ratio(), format!("{:.0} %", row.spread * 100.0)]);
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

    use super::{Row, Unit, short};
    use crate::contest::{Role, Times};

    fn row(unit: Unit) -> Row {
        let times = [
            Times::new("ours", Role::Ours, &[1e-6, 2e-6, 4e-6]),
            Times::new("slow", Role::Peer, &[4e-6, 8e-6, 16e-6]),
            Times::new("even", Role::Peer, &[2e-6, 2e-6, 2e-6]),
            Times::new("memcpy", Role::Limit, &[1e-6, 1e-6, 1e-6]),
            Times::new("aside", Role::Aside, &[5e-7, 5e-7, 5e-7]),
        ];
        Row::new("case", unit, &times, &["absent"], vec!["first".into()])
    }

    #[test]
    fn rates_and_times_are_two_views_of_one_measurement() {
        let rate = row(Unit::MESSAGES);
        assert_eq!(rate.cell("slow"), "0.12 (4.00)");
        assert_eq!((short(rate.ours), rate.ratio()), ("0.50".into(), "1.00".into()));
        let time = row(Unit::MICROSECONDS);
        assert_eq!(time.cell("slow"), "8.00 (0.25)");
        assert_eq!((short(time.ours), time.ratio()), ("2.00".into(), "1.00".into()));
        assert_eq!(row(Unit::gigabytes(20_000)).cell("even"), "10.0 (1.00)");
        assert_eq!(time.cell("absent"), "-");
    }

    #[test]
    fn json_has_the_agreed_keys() {
        let value: serde_json::Value = serde_json::from_str(&row(Unit::NANOSECONDS).to_json()).expect("valid");
        let keys: Vec<&str> = value.as_object().expect("an object").keys().map(String::as_str).collect();
        let mut expected = ["case", "unit", "better", "ours", "peers", "limits", "rounds", "note"];
        expected.sort_unstable();
        assert_eq!(keys, expected);
        assert!(value["peers"]["absent"].is_null());
        assert_eq!(value["better"], "lower");
        assert_eq!(value["limits"]["memcpy"], 1000.0);
        assert_eq!(value["note"], "first; aside: 500 ns");
    }

    #[test]
    fn figures_have_three_digits() {
        assert_eq!([1.234, 12.34, 1234.5].map(short), ["1.23", "12.3", "1234"]);
    }
}
