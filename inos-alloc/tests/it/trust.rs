//! Goal: outcomes move a reputation and are forgotten; bad and lying nodes do not get more than they have earned. Method:
//! figures by hand; a mesh with liars; a new node among loaded ones, with and without the slow start.

use crate::support::{GIB, MIB, T0, blob, block, load_report, mesh, node};
use core::time::Duration;
use inos_alloc::{
    Allocator, Class, Config, NodeRef, Outcome, Policy, Requirements, ResourceSpec, Temperature, TrustPolicy,
};
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

const HOUR: Duration = Duration::from_secs(3600);

#[test]
fn outcomes_count_and_are_forgotten() {
    let (mut mesh, nodes) = mesh(1, GIB);
    let reputation = |mesh: &crate::support::Mesh| mesh.load(nodes[0]).unwrap().reputation.value();
    assert_eq!(reputation(&mesh), 500);
    assert!(mesh.observe_outcome(nodes[0], Outcome::Served, T0));
    assert_eq!(reputation(&mesh), 507);
    mesh.observe_outcome(nodes[0], Outcome::Bad, T0);
    assert_eq!(reputation(&mesh), 380);
    mesh.observe_outcome(nodes[0], Outcome::Gone, T0);
    assert_eq!(reputation(&mesh), 333);
    mesh.observe_outcome(nodes[0], Outcome::Late, T0);
    assert_eq!(reputation(&mesh), 322);
    // Half of the distance to 500 in an hour.
    mesh.report(nodes[0], load_report(0, 0), HOUR).unwrap();
    assert_eq!(reputation(&mesh), 411);
    mesh.report(nodes[0], load_report(0, 0), HOUR * 2).unwrap();
    assert_eq!(reputation(&mesh), 455);
    for _ in 0..1000 {
        mesh.observe_outcome(nodes[0], Outcome::Served, HOUR * 3);
    }
    assert_eq!(reputation(&mesh), 999);
    let nobody = NodeRef { index: 7, generation: 0 };
    assert!(!mesh.observe_outcome(nobody, Outcome::Served, T0));
}

#[test]
fn many_small_steps_of_time_forget_no_more_than_one() {
    let (mut mesh, nodes) = mesh(2, GIB);
    for &node in &nodes {
        for _ in 0..10 {
            mesh.observe_outcome(node, Outcome::Bad, T0);
        }
    }
    // At fractions of a second, which would add up if they counted.
    for second in 0..3600 {
        mesh.report(nodes[0], load_report(0, 0), Duration::from_millis(second * 1000 + 900)).unwrap();
    }
    mesh.report(nodes[1], load_report(0, 0), HOUR).unwrap();
    let reputation = |node| mesh.load(node).unwrap().reputation.value();
    assert!(reputation(nodes[0]).abs_diff(reputation(nodes[1])) <= 1);
}

#[test]
fn a_node_that_serves_bad_pieces_comes_after_the_others() {
    let (mut mesh, nodes) = mesh(24, GIB);
    for &node in &nodes {
        mesh.report(node, load_report(if node == nodes[0] { 0 } else { 100 }, 0), T0).unwrap();
    }
    let first = mesh.allocate(1, &block(1000, Temperature::Hot), &Policy::default(), T0).unwrap();
    assert!(first.replicas.contains(&nodes[0]));
    for _ in 0..3 {
        mesh.observe_outcome(nodes[0], Outcome::Bad, T0);
    }
    // 500 x 0.75^3 = 211: it counts as if it had 289 thousandths more.
    for id in 2..20 {
        let placed = mesh.allocate(id, &block(1000, Temperature::Hot), &Policy::default(), T0).unwrap();
        assert!(!placed.replicas.contains(&nodes[0]));
    }
    // But it is taken when the others are worse.
    for &node in &nodes[1..] {
        mesh.report(node, load_report(450, 0), T0).unwrap();
    }
    let last = mesh.allocate(20, &block(1000, Temperature::Hot), &Policy::default(), T0).unwrap();
    assert!(last.replicas.contains(&nodes[0]));
}

#[test]
fn a_share_doubles_with_good_service_and_falls_with_bad() {
    let (mut mesh, nodes) = mesh(1, GIB);
    let share = |mesh: &crate::support::Mesh| mesh.load(nodes[0]).unwrap().share_permille;
    assert_eq!(share(&mesh), 100);
    let mut now = T0;
    for expected in [100, 200, 400, 800, 1000, 1000] {
        mesh.observe_outcome(nodes[0], Outcome::Served, now);
        assert_eq!(share(&mesh), expected);
        now += Duration::from_secs(60);
    }
    // A window without service earns nothing.
    mesh.report(nodes[0], load_report(0, 0), now + Duration::from_secs(600)).unwrap();
    assert_eq!(share(&mesh), 1000);
    mesh.observe_outcome(nodes[0], Outcome::Bad, now);
    assert_eq!(share(&mesh), 100);
}

#[test]
fn who_says_less_than_it_carries_earns_nothing() {
    let (mut mesh, nodes) = mesh(3, GIB);
    let mut now = T0;
    for _ in 0..3 {
        nodes.iter().for_each(|&node| {
            mesh.observe_outcome(node, Outcome::Served, now);
        });
        now += Duration::from_secs(60);
    }
    let placed = mesh.allocate(1, &block(100 * MIB, Temperature::Cold), &Policy::default(), now).unwrap();
    // 97.7 thousandths each: one says so, one is within 50 of it, one is not.
    for (&node, load) in nodes.iter().zip([98, 47, 46]) {
        mesh.report(node, load_report(load, placed.seq), now).unwrap();
    }
    let shares: Vec<u32> = nodes.iter().map(|&node| mesh.load(node).unwrap().share_permille).collect();
    assert_eq!(shares, [800, 800, 100]);
}

/// Replicas that each of the liars and each of the honest nodes gets on average in ten minutes, times ten. Nodes report
/// every second; liars say 0. All have `own` thousandths of load of their own.
fn liars_and_honest(own: u16) -> (u64, u64) {
    const LIARS: u32 = 7;
    const NODES: u32 = 700;
    let mut mesh = Allocator::<u32, u64>::new(Config::default());
    let nodes: Vec<NodeRef> = (0..NODES).map(|id| mesh.upsert(node(id, id % 6, id / 6 % 4, GIB))).collect();
    let mut next = 0;
    for second in 0..600 {
        let now = Duration::from_secs(second);
        for (id, &node) in (0..NODES).zip(&nodes) {
            // The honest ones say what they carry: each replica adds one thousandth.
            let carried = u16::try_from(mesh.resources_on(node).count()).unwrap();
            let load = if id < LIARS { 0 } else { (own + carried).min(1000) };
            mesh.report(node, load_report(load, mesh.seq()), now).unwrap();
            if carried > 0 && second % 10 == 0 {
                mesh.observe_outcome(node, Outcome::Served, now);
            }
        }
        for _ in 0..20 {
            let _ = mesh.allocate(next, &blob(MIB - 1), &Policy::default(), now).unwrap();
            next += 1;
        }
    }
    let carried = |nodes: &[NodeRef]| nodes.iter().map(|&node| mesh.resources_on(node).count()).sum::<usize>() as u64;
    let (liars, honest) = nodes.split_at(7);
    (carried(liars) * 10 / u64::from(LIARS), carried(honest) * 10 / u64::from(NODES - LIARS))
}

#[test]
fn liars_do_not_get_more_than_others() {
    let (liars, honest) = liars_and_honest(0);
    println!("no load of their own: {liars} / 10 replicas per liar, {honest} / 10 per honest node");
    // A replica is 0.977 thousandths, of which they report one.
    assert!(liars * 100 <= honest * 105);
    let (liars, honest) = liars_and_honest(200);
    println!("200 thousandths of their own: {liars} / 10 replicas per liar, {honest} / 10 per honest node");
    // What only they can know they can lie about.
    assert!(liars <= honest + 10 * 210);
}

/// What a new, idle node is given in two windows, in each of which 100 nodes are given a hundred thousandths on average. The
/// others have 200 to 300 of their own; all say every second what they have.
fn given_to_the_new(first_share_permille: u32) -> [usize; 2] {
    let trust = TrustPolicy { first_share_permille, ..TrustPolicy::default() };
    let mut mesh = Allocator::<u32, u64>::new(Config { trust, ..Config::default() });
    let nodes: Vec<NodeRef> = (0..100).map(|id| mesh.upsert(node(id, 0, 0, GIB))).collect();
    let mut id = 0;
    [0, 60].map(|start| {
        let before = mesh.resources_on(nodes[0]).count();
        for now in (start..start + 60).map(Duration::from_secs) {
            for (own, &node) in (200..).zip(&nodes) {
                let own = if node == nodes[0] { 0 } else { own };
                let carried = u16::try_from(mesh.resources_on(node).count()).unwrap();
                mesh.report(node, load_report(own + carried, mesh.seq()), now).unwrap();
            }
            for _ in 0..34 {
                let job = ResourceSpec { class: Class::Compute, ..blob(MIB - 1) };
                let _ = mesh.allocate(id, &job, &Policy::default(), now).unwrap();
                id += 1;
            }
        }
        mesh.resources_on(nodes[0]).count() - before
    })
}

#[test]
fn a_new_node_gets_its_share_and_no_more_than_is_even() {
    let (bounded, free) = (given_to_the_new(100), given_to_the_new(1000));
    println!("a new node is given {bounded:?} in two windows, {free:?} without slow start");
    // A hundred is its share; a hundred, a sixteenth and ten is what is even.
    assert!(bounded.iter().all(|&given| (100..=120).contains(&given)));
    assert!(free[0] > 300);
}

/// Least and most load of 24 new nodes after blocks of 21 thousandths on seven of them each second, beside a node with
/// a load of its own, or one like them.
fn level(beside: Option<u16>, first_share_permille: u32, seconds: u64) -> (u32, u32) {
    let trust = TrustPolicy { first_share_permille, ..TrustPolicy::default() };
    let mut mesh = Allocator::<u32, u64>::new(Config { trust, ..Config::default() });
    let nodes: Vec<NodeRef> = (0..25).map(|id| mesh.upsert(node(id, 0, 0, GIB))).collect();
    for second in 0..seconds {
        let now = Duration::from_secs(second);
        let _ = mesh.allocate(second, &block(21 * MIB, Temperature::Hot), &Policy::default(), now).unwrap();
        for &node in &nodes {
            let carried = u16::try_from(mesh.resources_on(node).count() * 21).unwrap();
            let load = if node == nodes[0] { beside.unwrap_or(carried) } else { carried };
            mesh.report(node, load_report(load, mesh.seq()), now).unwrap();
        }
    }
    let loads: Vec<u32> = nodes[1..].iter().map(|&node| mesh.load(node).unwrap().effective_permille).collect();
    (*loads.iter().min().unwrap(), *loads.iter().max().unwrap())
}

#[test]
fn a_mesh_of_new_nodes_stays_level() {
    for seconds in [20, 30, 40, 55] {
        for beside in [None, Some(300), Some(450), Some(1000)] {
            assert_eq!(level(beside, 100, seconds), level(beside, 1000, seconds), "{seconds} s beside {beside:?}");
        }
    }
}

/// A node with a share of 200 that carries one block of a tenth of it.
fn trusted() -> (crate::support::Mesh, NodeRef, u64) {
    let (mut mesh, nodes) = mesh(1, GIB);
    mesh.observe_outcome(nodes[0], Outcome::Served, T0);
    mesh.observe_outcome(nodes[0], Outcome::Served, Duration::from_secs(60));
    let seq = mesh
        .allocate(1, &block(100 * MIB, Temperature::Cold), &Policy::default(), Duration::from_secs(60))
        .unwrap()
        .seq;
    assert_eq!(mesh.load(nodes[0]).unwrap().share_permille, 200);
    (mesh, nodes[0], seq)
}

#[test]
fn who_does_not_answer_begins_again() {
    let (mut mesh, node, _) = trusted();
    mesh.observe_outcome(node, Outcome::Gone, Duration::from_secs(60));
    assert_eq!(mesh.load(node).unwrap().share_permille, 100);
}

#[test]
fn who_does_not_confirm_begins_again_and_carries_nothing() {
    let (mut mesh, node, seq) = trusted();
    let later = Duration::from_secs(120);
    assert!(mesh.poll_expired(later).is_some());
    assert_eq!(mesh.load(node).unwrap().share_permille, 100);
    // It never came: to report nothing is no lie.
    mesh.observe_outcome(node, Outcome::Served, later);
    mesh.report(node, load_report(0, seq), later + Duration::from_secs(60)).unwrap();
    assert_eq!(mesh.load(node).unwrap().share_permille, 200);
}

#[test]
fn a_thousand_tiny_replicas_are_no_lie() {
    let (mut mesh, nodes) = mesh(1, GIB);
    mesh.observe_outcome(nodes[0], Outcome::Served, T0);
    let minute = Duration::from_secs(60);
    for id in 0..1000 {
        let _ = mesh.allocate(id, &block(1000, Temperature::Cold), &Policy::default(), minute).unwrap();
        mesh.report(nodes[0], load_report(1, mesh.seq()), minute).unwrap();
    }
    assert_eq!(mesh.load(nodes[0]).unwrap().share_permille, 200);
}

#[test]
fn what_is_carried_is_a_share_of_the_capacity_there_is() {
    let (mut mesh, carrier, seq) = trusted();
    mesh.report(carrier, load_report(98, seq), Duration::from_secs(60)).unwrap();
    // Ten times as large, it carries a hundredth.
    mesh.upsert(node(0, 0, 0, 10 * GIB));
    mesh.report(carrier, load_report(0, seq), Duration::from_secs(60)).unwrap();
    assert_eq!(mesh.load(carrier).unwrap().share_permille, 200);
    mesh.upsert(node(0, 0, 0, GIB));
    mesh.report(carrier, load_report(0, seq), Duration::from_secs(60)).unwrap();
    assert_eq!(mesh.load(carrier).unwrap().share_permille, 100);
}

#[test]
fn what_it_has_not_counted_yet_need_not_be_in_its_report() {
    let (mut mesh, node, seq) = trusted();
    let later = Duration::from_secs(61);
    mesh.report(node, load_report(98, seq), later).unwrap();
    let _ = mesh.allocate(2, &block(100 * MIB, Temperature::Cold), &Policy::default(), later).unwrap();
    mesh.report(node, load_report(98, seq), later).unwrap();
    assert_eq!(mesh.load(node).unwrap().share_permille, 200);
    mesh.report(node, load_report(98, mesh.seq()), later).unwrap();
    assert_eq!(mesh.load(node).unwrap().share_permille, 100);
}

#[test]
fn bytes_and_memory_are_not_added_up() {
    let (mut mesh, node, seq) = trusted();
    // A tenth of its bytes, and a tenth of its memory: the load of both is a tenth.
    let requires = Requirements { memory_mb: (1 << 20) / 10, ..Requirements::default() };
    let later = Duration::from_secs(61);
    let spec = ResourceSpec { requires, ..block(0, Temperature::Cold) };
    assert!(mesh.allocate(2, &spec, &Policy::default(), later).unwrap().seq > seq);
    mesh.report(node, load_report(100, mesh.seq()), later).unwrap();
    assert_eq!(mesh.load(node).unwrap().share_permille, 200);
}

#[test]
fn who_returns_carries_what_it_had_counted() {
    let (mut mesh, nodes) = mesh(1, GIB);
    let node = nodes[0];
    for minute in 0..2 {
        mesh.observe_outcome(node, Outcome::Served, Duration::from_secs(60 * minute));
    }
    let now = Duration::from_secs(60);
    let counted = mesh.allocate(1, &block(100 * MIB, Temperature::Cold), &Policy::default(), now).unwrap().seq;
    mesh.report(node, load_report(98, counted), now).unwrap();
    let _ = mesh.allocate(2, &block(200 * MIB, Temperature::Cold), &Policy::default(), now).unwrap();
    let _ = mesh.node_failed(node, now);
    assert_eq!(mesh.node_returned(node, now).unwrap().kept, [1, 2]);
    // The second is booked again: it need not be in its reports yet, the first has to.
    assert_eq!((mesh.load(node).unwrap().effective_permille, mesh.load(node).unwrap().bookings), (98 + 196, 1));
    mesh.report(node, load_report(98, counted), now).unwrap();
    assert_eq!(mesh.load(node).unwrap().share_permille, 200);
    mesh.report(node, load_report(0, counted), now).unwrap();
    assert_eq!(mesh.load(node).unwrap().share_permille, 100);
}

#[test]
fn many_full_shares_do_not_drift() {
    let (mut mesh, nodes) = mesh(1, GIB);
    let now = Duration::from_secs(60);
    for at in [T0, now] {
        mesh.observe_outcome(nodes[0], Outcome::Served, at);
    }
    for id in 0..5000 {
        let _ = mesh.allocate(id, &block(1000, Temperature::Cold), &Policy::default(), now).unwrap();
        mesh.report(nodes[0], load_report(5, mesh.seq()), now).unwrap();
    }
    assert_eq!(mesh.load(nodes[0]).unwrap().share_permille, 200);
    // Each of 5,000 is as much as it has now; 700 are left.
    mesh.upsert(node(0, 0, 0, 1000));
    for id in 0..4300 {
        mesh.release(&id);
    }
    mesh.report(nodes[0], load_report(0, mesh.seq()), now).unwrap();
    assert_eq!(mesh.load(nodes[0]).unwrap().share_permille, 100);
}

#[test]
fn one_fault_in_a_window_is_a_window_with_a_fault() {
    let (mut mesh, nodes) = mesh(1, GIB);
    mesh.observe_outcome(nodes[0], Outcome::Bad, T0);
    mesh.observe_outcome(nodes[0], Outcome::Served, T0);
    mesh.observe_outcome(nodes[0], Outcome::Served, Duration::from_secs(60));
    assert_eq!(mesh.load(nodes[0]).unwrap().share_permille, 100);
    mesh.observe_outcome(nodes[0], Outcome::Served, Duration::from_secs(120));
    assert_eq!(mesh.load(nodes[0]).unwrap().share_permille, 200);
}

#[test]
fn what_was_given_in_another_window_holds_nobody_back() {
    let (mut mesh, nodes) = mesh(24, GIB);
    for id in 0..24 {
        let spec = block(21 * MIB + MIB / 2, Temperature::Warm);
        let _ = mesh.allocate(id, &spec, &Policy::default(), T0).unwrap();
    }
    // Each was given 105 thousandths; five have less of their own than the others.
    let mut five = mesh.placement(&3).unwrap().replicas;
    five.sort();
    for &node in &nodes {
        let load = if five.contains(&node) { 120 } else { 150 };
        mesh.report(node, load_report(load, mesh.seq()), T0).unwrap();
    }
    // In the next window a release looks at them, and they have said nothing in it yet.
    let now = Duration::from_secs(60);
    assert_eq!(mesh.poll_expired(now), None);
    mesh.release(&3);
    let job = ResourceSpec { class: Class::Compute, ..blob(0) };
    let mut chosen = mesh.allocate(100, &job, &Policy::default(), now).unwrap().replicas;
    chosen.sort();
    assert_eq!(chosen, five);
}

#[test]
fn a_shrunk_node_with_much_that_is_unconfirmed_is_no_liar() {
    let (mut mesh, nodes) = mesh(1, GIB);
    for minute in 0..2 {
        mesh.observe_outcome(nodes[0], Outcome::Served, Duration::from_secs(60 * minute));
    }
    let now = Duration::from_secs(60);
    for id in 0..3 {
        let _ = mesh.allocate(id, &block(100 * MIB, Temperature::Cold), &Policy::default(), now).unwrap();
    }
    mesh.upsert(node(0, 0, 0, 100 * MIB));
    mesh.report(nodes[0], load_report(0, 0), now).unwrap();
    assert_eq!(mesh.load(nodes[0]).unwrap().share_permille, 200);
}

#[test]
fn a_full_report_is_no_lie_however_much_is_carried() {
    let (mut mesh, node_of, seq) = trusted();
    mesh.report(node_of, load_report(98, seq), Duration::from_secs(60)).unwrap();
    let later = Duration::from_secs(61);
    let more = mesh.allocate(2, &block(100 * MIB, Temperature::Cold), &Policy::default(), later).unwrap().seq;
    mesh.report(node_of, load_report(196, more), later).unwrap();
    // Each of the two is as much as the node has now: 2,000 thousandths, of which it can say 1,000.
    mesh.upsert(node(0, 0, 0, 100 * MIB));
    mesh.report(node_of, load_report(1000, more), later).unwrap();
    assert_eq!(mesh.load(node_of).unwrap().share_permille, 200);
}
