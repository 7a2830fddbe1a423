//! Goal: what goes in and comes out of decisions survives serde, and what comes in is as valid as what code can make.
//! Method: fixed JSON of small values; a whole run's answers there and back.

use crate::support::{GIB, MIB, T0, blob, block, load_report, mesh, node};
use inos_alloc::{
    Config, Demand, DemandPolicy, Hold, MoveBudget, NodeReport, NodeSpec, Outcome, Permille, Piece, Policy,
    ResourceSpec, Scale, Scheme, Select, Signals, Temperature,
};
use serde::Serialize;
use serde::de::DeserializeOwned;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

fn back<T: Serialize + DeserializeOwned>(value: &T) -> T {
    serde_json::from_str(&serde_json::to_string(value).unwrap()).unwrap()
}

fn is_json<T: Serialize + DeserializeOwned + PartialEq + core::fmt::Debug>(value: &T, json: &str) {
    assert_eq!(serde_json::to_string(value).unwrap(), json);
    assert_eq!(&serde_json::from_str::<T>(json).unwrap(), value);
}

#[test]
fn the_names_are_fixed() {
    is_json(&Permille::FULL, "1000");
    is_json(&Select::TwoChoices, r#""two_choices""#);
    is_json(&Outcome::Served, r#""served""#);
    is_json(&Piece::Shard { stripe: 1, shard: 2 }, r#"{"shard":{"stripe":1,"shard":2}}"#);
    is_json(&Scheme::Chunks { copies: 5 }, r#"{"chunks":{"copies":5}}"#);
    is_json(&MoveBudget { moves: 1, bytes: 2 }, r#"{"moves":1,"bytes":2}"#);
    is_json(&Scale::Up { to: 7 }, r#"{"up":{"to":7}}"#);
    is_json(&Scale::Hold(Hold::Steady), r#"{"hold":"steady"}"#);
    let spec = r#"{"size":1048576,"demand":0,"budget":500,"class":{"storage":{"temperature":"hot"}},"requires":{"capabilities":0,"memory_mb":0,"duration_ms":0}}"#;
    is_json(&block(MIB, Temperature::Hot), spec);
}

#[test]
fn what_is_left_out_is_the_default() {
    assert_eq!(serde_json::from_str::<Config>("{}").unwrap(), Config::default());
    assert_eq!(serde_json::from_str::<Config>(r#"{"seed":7}"#).unwrap(), Config { seed: 7, ..Config::default() });
    assert_eq!(serde_json::from_str::<Policy>("{}").unwrap(), Policy::default());
}

#[test]
fn what_is_out_of_range_is_refused() {
    let refused = serde_json::from_str::<Permille>("1001").unwrap_err().to_string();
    assert!(refused.starts_with("1001 thousandths, and 1000 are all"), "{refused}");
    assert!(serde_json::from_str::<Demand>("1001").is_err());
    assert!(serde_json::from_str::<ResourceSpec>("{}").is_err());
}

#[test]
fn a_run_survives() {
    let spec: NodeSpec<u32> = node(1, 2, 3, GIB);
    let report: NodeReport = load_report(10, 0);
    assert_eq!((back(&spec), back(&report)), (spec, report));
    let policy = DemandPolicy::new(Signals { accesses: 1, network_bytes: 2, compute_ms: 3, credits: 4 });
    assert_eq!(back(&policy), policy);
    let (mut mesh, _) = mesh(48, 10 * GIB);
    let placed = mesh.allocate(1, &blob(20 * MIB), &Policy::default(), T0).unwrap();
    let chunks = mesh.place_chunks(&1, 20, 5, &Policy::default(), T0).unwrap();
    let whole = mesh.allocate(2, &block(MIB, Temperature::Hot), &Policy::default(), T0).unwrap();
    let explained = mesh.explain(&1).unwrap();
    let load = mesh.load(placed.primary).unwrap();
    assert_eq!((back(&placed), back(&chunks), back(&whole)), (placed.clone(), chunks, whole));
    assert_eq!((back(&explained), back(&load)), (explained, load));
    let plan = mesh.node_failed(placed.primary, T0);
    let returned = mesh.node_returned(placed.primary, T0).unwrap();
    let drained = mesh.drain(placed.replicas[1], MoveBudget::UNLIMITED, T0).unwrap();
    assert!(!plan.repairs[0].pieces.is_empty() && !drained.moves.is_empty());
    assert_eq!((back(&plan), back(&returned), back(&drained)), (plan, returned, drained));
}
