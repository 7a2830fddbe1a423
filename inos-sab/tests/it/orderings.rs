//! Goal: no ordering, fence or second look is in the code without a mutant that a model notices, or a reason why none can,
//! and all are explained. Method: the sources are read as text: what the code names, what `src/models/mutants.rs` lists,
//! and what `docs/memory-model.md` names, are the same.

use alloc::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// A side and a name: `("Release", "RingTail")`, `("Check", "BeforeSleep")`.
type Use = (&'static str, String);

fn package() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn sources(folder: &Path, into: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("the sources") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            sources(&path, into);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            into.push(path);
        }
    }
}

/// The sources as they run: without comments, models, and the definition of the names.
fn code() -> Vec<(PathBuf, String)> {
    let src = package().join("src");
    let mut paths = Vec::new();
    sources(&src, &mut paths);
    paths.retain(|path| !path.starts_with(src.join("models")) && *path != src.join("sync/order.rs"));
    assert!(paths.len() > 30, "the sources were found");
    let code = |path: &Path| -> String {
        read(path).lines().map(|line| line.split("//").next().unwrap_or("")).collect::<Vec<_>>().join("\n")
    };
    paths.into_iter().map(|path| (path.clone(), code(&path))).collect()
}

fn name_at(text: &str) -> String {
    text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
}

/// The sides that a function of `order` stands for.
fn sides(function: &str) -> &'static [&'static str] {
    match function {
        "acquire" | "after_fence" => &["Acquire"],
        "release" => &["Release"],
        "acq_rel" => &["Acquire", "Release"],
        "fence" | "folded_fence" => &["Fence"],
        "recheck" => &["Check"],
        other => panic!("order::{other} is not known here"),
    }
}

/// What one source uses.
fn uses(path: &Path, code: &str) -> BTreeSet<Use> {
    let mut uses = BTreeSet::new();
    for (at, _) in code.match_indices("order::") {
        let call = &code[at + "order::".len()..];
        let function = name_at(call);
        let rest = &call[function.len()..];
        let Some(argument) = rest.strip_prefix('(') else { continue };
        let argument = argument.trim_start();
        if let Some(name) = argument.strip_prefix("Pair::").or_else(|| argument.strip_prefix("Check::")) {
            uses.extend(sides(&function).iter().map(|side| (*side, name_at(name))));
        } else if argument.starts_with(')') {
            assert_eq!(function, "before_fence", "{}", path.display());
        } else {
            // A pair that was passed on: see below.
            assert_eq!(function, "acquire", "{}: a pair that is passed on is acquired", path.display());
        }
    }
    // Passed on to a function, which acquires it.
    for (at, prefix) in code.match_indices("Pair::") {
        let before = code[..at].trim_end();
        let is_direct = before.strip_suffix('(').is_some_and(|call| {
            let start = call.rfind(|c: char| !(c.is_alphanumeric() || c == '_')).map_or(0, |last| last + 1);
            call[..start].ends_with("order::")
        });
        if !is_direct {
            uses.insert(("Acquire", name_at(&code[at + prefix.len()..])));
        }
    }
    uses
}

fn all_uses() -> BTreeSet<Use> {
    code().iter().flat_map(|(path, code)| uses(path, code)).collect()
}

/// `Release(Pair::RingTail)` and the like, in a line.
fn named(line: &str) -> Vec<Use> {
    let mut named = Vec::new();
    for side in ["Acquire", "Release", "Fence", "Check"] {
        for (at, _) in line.match_indices(&format!("{side}(")) {
            let argument = &line[at + side.len() + 1..];
            if let Some(name) = argument.strip_prefix("Pair::").or_else(|| argument.strip_prefix("Look::")) {
                named.push((side, name_at(name)));
            }
        }
    }
    named
}

/// The lines of the list: with a model, or exempt for a reason.
fn listed() -> (BTreeMap<Use, Vec<String>>, BTreeSet<Use>) {
    let (mut mutants, mut exempt) = (BTreeMap::<Use, Vec<String>>::new(), BTreeSet::new());
    for line in read(&package().join("src/models/mutants.rs")).lines() {
        let line = line.trim();
        if let Some(line) = line.strip_prefix("// - exempt ") {
            let (what, reason) = line.rsplit_once("): ").expect("what, and why");
            assert!(reason.len() > 20, "{line} has a reason");
            exempt.extend(named(&format!("{what})")));
        } else if let Some((what, model)) = line.split_once(" => ") {
            let Some(model) = model.strip_suffix(';') else { continue };
            for mutant in named(what) {
                mutants.entry(mutant).or_default().push(String::from(model));
            }
        }
    }
    (mutants, exempt)
}

#[test]
fn every_ordering_has_a_mutant() {
    let uses = all_uses();
    let (mutants, exempt) = listed();
    let listed: BTreeSet<Use> = mutants.keys().chain(&exempt).cloned().collect();
    assert!(uses.len() > 20, "the uses were found: {uses:?}");
    assert_eq!(uses.difference(&listed).collect::<Vec<_>>(), Vec::<&Use>::new(), "used without a mutant");
    assert_eq!(listed.difference(&uses).collect::<Vec<_>>(), Vec::<&Use>::new(), "listed, and nowhere used");
    let both: Vec<_> = exempt.iter().filter(|what| mutants.contains_key(what)).collect();
    assert!(both.is_empty(), "exempt, with a mutant: {both:?}");
}

/// The models that notice are tests themselves, which pass where nothing is taken away.
#[test]
fn every_mutant_names_a_model() {
    for model in listed().0.values().flatten() {
        let (module, function) = model.split_once("::").expect("module and model");
        let models = read(&package().join(format!("src/models/{module}.rs")));
        assert!(models.contains(&format!("#[test]\npub(super) fn {function}() {{")), "{model} is a test");
    }
}

#[test]
fn every_ordering_is_explained() {
    let model = read(&package().join("docs/memory-model.md"));
    for (_, name) in all_uses() {
        assert!(model.contains(&format!("`{name}`")), "docs/memory-model.md says nothing of `{name}`");
    }
}

/// The reading itself: each form in which code can name an ordering is seen.
#[test]
fn all_forms_are_seen() {
    let code = "word.store(1, order::release(Pair::A)); order::folded_fence(Pair::B); claim(x, Pair::C); \
                order::acq_rel(\n    Pair::D,\n); order::recheck(Check::E); load(order::acquire(pair)); \
                cas(order::before_fence(), order::after_fence(Pair::F))";
    let expected = [
        ("Acquire", "C"),
        ("Acquire", "D"),
        ("Acquire", "F"),
        ("Check", "E"),
        ("Fence", "B"),
        ("Release", "A"),
        ("Release", "D"),
    ];
    let expected: BTreeSet<Use> = expected.into_iter().map(|(side, name)| (side, String::from(name))).collect();
    assert_eq!(uses(Path::new("a source"), code), expected);
}
