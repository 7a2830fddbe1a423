//! Rows, as tables for people and as JSON for programs.

use alloc::collections::BTreeMap;

use comfy_table::presets::ASCII_MARKDOWN;
use comfy_table::{ContentArrangement, Table};
use serde::Serialize;

use crate::contest::{Figures, Role};
use crate::machine;

/// Which of two figures is the better one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Better {
    Higher,
    Lower,
}

/// What a figure of ours should be, in one run.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Target {
    /// So many times as fast as a peer.
    TimesAsFastAs(f64, &'static str),
    /// At most so many times a limit.
    AtMostTimes(f64, &'static str),
    AtMost(f64),
}

/// A target beside what was reached.
#[derive(Clone, Debug)]
struct Verdict {
    /// For the table.
    word: String,
    /// For the note.
    sentence: String,
}

impl Target {
    /// `ratios` are ours by the others'.
    fn judge(self, better: Better, ours: f64, ratios: &BTreeMap<&'static str, f64>) -> Verdict {
        let (asked, reached) = match self {
            Self::TimesAsFastAs(times, name) => {
                let reached = ratios.get(name).map(|ratio| match better {
                    Better::Higher => *ratio,
                    Better::Lower => 1.0 / ratio,
                });
                (format!("at least {times} x as fast as {name}"), reached.map(|value| (value, value / times - 1.0)))
            }
            Self::AtMostTimes(times, name) => {
                let reached = ratios.get(name).map(|ratio| (*ratio, 1.0 - ratio / times));
                (format!("at most {times} x {name}"), reached)
            }
            Self::AtMost(most) => (format!("at most {most}"), Some((ours, 1.0 - ours / most))),
        };
        let Some((reached, margin)) = reached else {
            return Verdict { word: "-".into(), sentence: format!("target: {asked}, not measured here") };
        };
        // A millionth is rounding.
        let word = if margin > -1e-6 { "meets".into() } else { format!("misses by {:.0} %", -margin * 100.0) };
        let unit = if matches!(self, Self::AtMost(_)) { "" } else { " x" };
        Verdict { sentence: format!("target: {asked}; {word}: {}{unit}", short(reached)), word }
    }
}

/// The result of one case.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Row {
    case: &'static str,
    unit: &'static str,
    better: Better,
    ours: f64,
    /// `None` for a peer that cannot do the case; the note says why.
    peers: BTreeMap<&'static str, Option<f64>>,
    limits: BTreeMap<&'static str, f64>,
    rounds: usize,
    note: String,
    #[serde(skip)]
    ratios: BTreeMap<&'static str, f64>,
    #[serde(skip)]
    spread: Option<f64>,
    #[serde(skip)]
    verdicts: Vec<Verdict>,
}

impl Row {
    /// One of `figures` is ours. `absent` peers cannot do the case.
    pub(crate) fn new(
        (case, unit, better): (&'static str, &'static str, Better),
        figures: &[Figures],
        absent: &[&'static str],
        targets: &[Target],
        mut notes: Vec<String>,
    ) -> Self {
        let of = |role| figures.iter().filter(move |figures| figures.role == role);
        let ours = of(Role::Ours).next().expect("we take part in every case");
        let mut peers: BTreeMap<_, _> = of(Role::Peer).map(|peer| (peer.name, Some(rounded(peer.median())))).collect();
        peers.extend(absent.iter().map(|name| (*name, None)));
        let others = of(Role::Peer).chain(of(Role::Limit));
        let ratios = others.map(|other| (other.name, ours.over(other))).collect();
        let verdicts: Vec<_> = targets.iter().map(|target| target.judge(better, ours.median(), &ratios)).collect();
        notes.extend(verdicts.iter().map(|verdict| verdict.sentence.clone()));
        Self {
            case,
            unit,
            better,
            ours: rounded(ours.median()),
            peers,
            limits: of(Role::Limit).map(|limit| (limit.name, rounded(limit.median()))).collect(),
            rounds: ours.values.len(),
            note: notes.join("; "),
            ratios,
            spread: ours.spread(),
            verdicts,
        }
    }

    pub(crate) fn to_json(&self) -> String {
        serde_json::to_string(self).expect("a row consists of strings and finite numbers")
    }

    fn cell(&self, name: &str) -> String {
        let value = self.peers.get(name).copied().flatten().or_else(|| self.limits.get(name).copied());
        match (value, self.ratios.get(name)) {
            (Some(value), Some(ratio)) => format!("{} ({})", short(value), short(*ratio)),
            _ => "-".into(),
        }
    }

    /// One word if all targets are met, otherwise what became of each.
    fn verdict(&self) -> String {
        let words: Vec<&str> = self.verdicts.iter().map(|verdict| verdict.word.as_str()).collect();
        match words.split_first() {
            None => "-".into(),
            Some((first, others)) if others.iter().all(|word| word == first) => (*first).into(),
            Some(_) => words.join(", "),
        }
    }

    /// Ours by the best peer's.
    fn ratio(&self) -> String {
        let ratios = self.peers.keys().filter_map(|name| self.ratios.get(name)).copied();
        let closest = match self.better {
            Better::Higher => ratios.reduce(f64::min),
            Better::Lower => ratios.reduce(f64::max),
        };
        closest.map_or_else(|| "-".into(), short)
    }
}

/// More decimals would be noise.
fn rounded(value: f64) -> f64 {
    (value * 1000.0).round() / 1000.0
}

/// Three digits, or all in front of the point.
fn short(value: f64) -> String {
    match value {
        0.0 => "0".into(),
        ..0.095 => format!("{value:.4}"),
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
        let last = ["ratio", "spread", "target"];
        table.set_header(["case", "unit", "ours"].into_iter().chain(columns.iter().copied()).chain(last));
        for row in rows {
            let unit = match row.better {
                Better::Higher => format!("{}, more is better", row.unit),
                Better::Lower => format!("{}, less is better", row.unit),
            };
            let mut cells = vec![row.case.to_owned(), unit, short(row.ours)];
            cells.extend(columns.iter().map(|name| row.cell(name)));
            let spread = row.spread.map_or_else(|| "-".into(), |spread| format!("{:.0} %", spread * 100.0));
            let verdict = row.verdict();
            cells.extend([row.ratio(), spread, verdict]);
            table.add_row(cells);
        }
        text.push_str(&format!("\n{table}\n"));
    }
    text.push_str("\nMedians; in brackets, ours divided by it; ratio: to the best peer.\n\n");
    for row in rows {
        let rounds = if row.rounds == 1 { "counted".into() } else { format!("{} rounds", row.rounds) };
        text.push_str(&format!("- {}, {rounds}: {}.\n", row.case, row.note));
    }
    text.trim_end().into()
}

#[cfg(test)]
mod tests {
    //! Figures, ratios and verdicts of a row, computed by hand; JSON with the keys that programs read.

    use super::{Better, Row, Target, short, tables};
    use crate::contest::{Figures, Role};

    fn row(better: Better, targets: &[Target]) -> Row {
        let figures = [
            Figures::new("ours", Role::Ours, vec![1.0, 2.0, 4.0]),
            Figures::new("even", Role::Peer, vec![2.0, 2.0, 2.0]),
            Figures::new("slow", Role::Peer, vec![4.0, 8.0, 16.0]),
            Figures::new("floor", Role::Limit, vec![0.5, 1.0, 2.0]),
        ];
        Row::new(("case", "us", better), &figures, &["absent"], targets, vec!["first".into()])
    }

    #[test]
    fn the_ratio_is_to_the_best_peer() {
        assert_eq!(row(Better::Lower, &[]).ratio(), "1.00", "even is the quicker one");
        assert_eq!(row(Better::Higher, &[]).ratio(), "0.25", "slow has more");
        assert_eq!(row(Better::Lower, &[]).cell("slow"), "8.00 (0.25)");
        assert_eq!(row(Better::Lower, &[]).cell("floor"), "1.00 (2.00)");
        assert_eq!(row(Better::Lower, &[]).cell("absent"), "-");
    }

    #[test]
    fn json_has_the_agreed_keys() {
        let row = row(Better::Lower, &[Target::AtMost(2.0)]);
        let value: serde_json::Value = serde_json::from_str(&row.to_json()).expect("valid");
        let keys: Vec<&str> = value.as_object().expect("an object").keys().map(String::as_str).collect();
        let mut expected = ["case", "unit", "better", "ours", "peers", "limits", "rounds", "note"];
        expected.sort_unstable();
        assert_eq!(keys, expected);
        assert!(value["peers"]["absent"].is_null());
        assert_eq!((&value["better"], &value["ours"], &value["rounds"]), (&"lower".into(), &2.0.into(), &3.into()));
        assert_eq!(value["limits"]["floor"], 1.0);
        assert_eq!(value["note"], "first; target: at most 2; meets: 2.00");
    }

    #[test]
    fn targets_are_judged_by_how_much() {
        let word = |better, target| row(better, &[target]).verdict();
        assert_eq!(word(Better::Lower, Target::TimesAsFastAs(4.0, "slow")), "meets");
        assert_eq!(word(Better::Lower, Target::TimesAsFastAs(8.0, "slow")), "misses by 50 %");
        assert_eq!(word(Better::Higher, Target::TimesAsFastAs(0.25, "slow")), "meets");
        assert_eq!(word(Better::Higher, Target::TimesAsFastAs(1.0, "slow")), "misses by 75 %");
        assert_eq!(word(Better::Lower, Target::AtMostTimes(2.0, "floor")), "meets");
        assert_eq!(word(Better::Lower, Target::AtMostTimes(1.0, "floor")), "misses by 100 %");
        assert_eq!(word(Better::Lower, Target::AtMost(1.0)), "misses by 100 %");
        assert_eq!(word(Better::Lower, Target::TimesAsFastAs(4.0, "absent")), "-");
    }

    #[test]
    fn several_targets_are_told_apart_unless_they_agree() {
        let (met, missed) = (Target::AtMost(2.0), Target::AtMost(1.0));
        assert_eq!(row(Better::Lower, &[met, met]).verdict(), "meets");
        assert_eq!(row(Better::Lower, &[met, missed]).verdict(), "meets, misses by 100 %");
        assert_eq!(row(Better::Lower, &[]).verdict(), "-");
    }

    #[test]
    fn a_verdict_stands_in_the_table_and_in_the_note() {
        let text = tables(&[row(Better::Lower, &[Target::TimesAsFastAs(8.0, "slow")])]);
        assert!(text.contains("| misses by 50 %"), "{text}");
        assert!(text.contains("target: at least 8 x as fast as slow; misses by 50 %: 4.00 x."), "{text}");
    }

    #[test]
    fn figures_have_three_digits() {
        assert_eq!([0.0, 0.01234, 1.234, 12.34, 1234.5].map(short), ["0", "0.0123", "1.23", "12.3", "1234"]);
    }
}
