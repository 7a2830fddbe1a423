//! Goal: a failure changes what it has to and nothing else, and nothing is sent to a node known to be dead. Method: small
//! meshes with every outcome by hand; 35 of 700 nodes at once; waves of failures until nothing is left.

use crate::support::{GIB, MIB, Mesh, T0, blob, block, effective, load_report, mesh, node, tally, zone_of};
use inos_alloc::{AllocateError, Allocator, Config, FailoverPlan, NodeRef, Piece, Policy, Temperature, Tolerance};
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

fn policy() -> Policy {
    Policy::default()
}

#[test]
fn a_whole_copy_is_recruited_for_and_others_stay() {
    let (mut mesh, nodes) = mesh(60, 1000 * MIB);
    let first = mesh.allocate(1, &block(MIB, Temperature::Warm), &policy(), T0).unwrap();
    let outside: Vec<NodeRef> = nodes.iter().copied().filter(|node| !first.replicas.contains(node)).collect();
    let before = mesh.placement(&1);
    assert!(mesh.node_failed(outside[0], T0).repairs.is_empty());
    assert_eq!(mesh.placement(&1), before);

    let plan = mesh.node_failed(first.primary, T0);
    assert_eq!((plan.failed.as_slice(), plan.repairs.len()), (&[first.primary][..], 1));
    let repair = &plan.repairs[0];
    assert_eq!((repair.resource, repair.lost.as_slice()), (1, &[first.primary][..]));
    assert_eq!((repair.recruited.len(), repair.granted, repair.shortfall, repair.pieces.len()), (1, 5, 0, 0));
    assert_eq!(repair.remaining, Tolerance { nodes: 3, zones: 3, regions: 3 });
    assert_eq!(repair.achieved, Tolerance { nodes: 4, zones: 4, regions: 4 });
    assert_eq!(repair.unrecoverable, 0);
    // A survivor leads: the recruit has nothing yet.
    let primary = repair.new_primary.unwrap();
    assert!(first.replicas[1..].contains(&primary));
    assert!(!repair.recruited.contains(&primary) && effective(&mesh, repair.recruited[0]) > 0);
    assert_eq!(mesh.placement(&1).unwrap().primary, primary);

    let secondary = mesh.placement(&1).unwrap().replicas[2];
    assert_eq!(mesh.node_failed(secondary, T0).repairs[0].new_primary, None);
}

#[test]
fn a_shortfall_is_said_and_the_last_survivor_goes() {
    let (mut mesh, nodes) = mesh(5, 1000 * MIB);
    let _ = mesh.allocate(1, &block(MIB, Temperature::Warm), &policy(), T0).unwrap();
    let repair = &mesh.nodes_failed(&nodes[..3], T0).repairs[0];
    assert_eq!((repair.granted, repair.shortfall, repair.recruited.len(), repair.remaining.nodes), (2, 3, 0, 1));
    assert!(mesh.placement(&1).is_some());
    let repair = &mesh.nodes_failed(&nodes[3..], T0).repairs[0];
    assert_eq!((repair.granted, repair.shortfall, repair.unrecoverable, repair.new_primary), (0, 5, 1, None));
    assert_eq!(mesh.placement(&1), None);
    mesh.upsert(node(0, 0, 0, 1000 * MIB));
    let again = mesh.allocate(1, &block(MIB, Temperature::Warm), &policy(), T0);
    assert_eq!(again, Err(AllocateError::AlreadyAllocated { granted: 0 }));
    assert!(mesh.release(&1));
    assert_eq!(mesh.allocate(1, &block(MIB, Temperature::Warm), &policy(), T0).unwrap().granted, 1);
}

#[test]
fn the_least_tolerant_resource_is_repaired_first() {
    // One node is left that can take one more block.
    let (mut mesh, nodes) = mesh(8, 100 * MIB);
    for &busy in &nodes[6..] {
        mesh.report(busy, load_report(1000, 0), T0).unwrap();
    }
    let cold = mesh.allocate(2, &block(20 * MIB, Temperature::Cold), &policy(), T0).unwrap();
    let warm = mesh.allocate(1, &block(20 * MIB, Temperature::Warm), &policy(), T0).unwrap();
    let shared = *cold.replicas.iter().find(|node| warm.replicas.contains(node)).unwrap();
    let order: Vec<u64> = mesh.node_failed(shared, T0).repairs.iter().map(|repair| repair.resource).collect();
    assert_eq!(order, [2, 1]);
}

/// Every holder of every piece is healthy and a node of the resource; answers the holders per stripe.
fn check_stripes(mesh: &Mesh, resource: u64, stripes: u32) -> Vec<Vec<NodeRef>> {
    let replicas = mesh.placement(&resource).unwrap().replicas;
    let whole = |stripe| {
        let holders = mesh.shard_holders(&resource, stripe).unwrap();
        holders.into_iter().map(|holder| holder.expect("every shard has a node")).collect::<Vec<_>>()
    };
    let all: Vec<Vec<NodeRef>> = (0..stripes).map(whole).collect();
    assert!(all.iter().flatten().all(|holder| mesh.is_healthy(*holder) && replicas.contains(holder)));
    all
}

fn check_plan(mesh: &Mesh, plan: &FailoverPlan<u64>, before: &[Vec<NodeRef>], after: &[Vec<NodeRef>]) {
    let moves = &plan.repairs[0].pieces;
    let mut changed = 0;
    for (stripe, (before, after)) in (0u32..).zip(before.iter().zip(after)) {
        for (shard, (from, to)) in (0u32..).zip(before.iter().zip(after)) {
            if from != to {
                changed += 1;
                let piece = Piece::Shard { stripe, shard };
                let told = moves.iter().find(|change| change.piece == piece).expect("a change is told");
                assert_eq!((told.from, told.to), (*from, Some(*to)));
                assert!(plan.failed.contains(from) && mesh.is_healthy(*to));
            }
        }
    }
    assert_eq!(changed, moves.len());
}

#[test]
fn thirty_five_of_seven_hundred_at_once() {
    let (mut mesh, nodes) = mesh(700, 10 * GIB);
    let granted = mesh.allocate(1, &blob(1_100 * MIB), &policy(), T0).unwrap().granted;
    assert_eq!(granted, 300);
    let before: Vec<_> = (0..11).map(|n| mesh.place_stripe(&1, n, 100, 20, &policy(), T0).unwrap().nodes).collect();
    let dead: Vec<NodeRef> = nodes.iter().copied().step_by(20).collect();
    let plan = mesh.nodes_failed(&dead, T0);
    assert_eq!((plan.failed.as_slice(), plan.repairs.len()), (dead.as_slice(), 1));
    let repair = &plan.repairs[0];
    assert_eq!((repair.granted, repair.shortfall, repair.unrecoverable), (300, 0, 0));
    assert_eq!(repair.recruited.len(), repair.lost.len());
    assert!(repair.remaining.nodes < 20 && repair.achieved.nodes == 20 && repair.achieved.regions == 1);
    let after = check_stripes(&mesh, 1, 11);
    check_plan(&mesh, &plan, &before, &after);
    for stripe in &after {
        assert_eq!(tally(stripe.iter().copied()).len(), 120);
        assert!(tally(stripe.iter().map(|&node| zone_of(&mesh, node))).values().all(|&count| count <= 20));
        assert!(tally(stripe.iter().map(|&node| zone_of(&mesh, node).0)).values().all(|&count| count <= 20));
    }
}

#[test]
fn one_by_one_nothing_goes_to_the_dead() {
    let (mut mesh, nodes) = mesh(60, 10 * GIB);
    let _ = mesh.allocate(1, &blob(500 * MIB), &policy(), T0).unwrap();
    for number in 0..5 {
        let _ = mesh.place_stripe(&1, number, 50, 10, &policy(), T0).unwrap();
    }
    // Half of the nodes, in turn: the survivors take two shards of a stripe each, and no stripe is ever lost.
    for &dead in nodes.iter().step_by(2) {
        let plan = mesh.node_failed(dead, T0);
        let repair = &plan.repairs[0];
        assert!(repair.pieces.iter().all(|change| mesh.is_healthy(change.to.unwrap())));
        assert_eq!((repair.unrecoverable, repair.recruited.len()), (0, 0));
    }
    for stripe in check_stripes(&mesh, 1, 5) {
        assert!(tally(stripe).values().all(|&count| count <= 3));
    }
}

#[test]
fn a_chunk_copy_goes_to_a_node_without_one() {
    let (mut mesh, nodes) = mesh(40, 10 * GIB);
    assert_eq!(mesh.allocate(1, &blob(90 * MIB), &policy(), T0).unwrap().granted, 30);
    let _ = mesh.place_chunks(&1, 90, 5, &policy(), T0).unwrap();
    for wave in nodes.chunks(4).take(9) {
        let plan = mesh.nodes_failed(wave, T0);
        for repair in &plan.repairs {
            assert_eq!(repair.unrecoverable, 0);
            assert!(repair.pieces.iter().all(|change| change.to.is_none_or(|to| mesh.is_healthy(to))));
        }
        let left = mesh.placement(&1).unwrap().granted;
        for chunk in 0..90 {
            let holders = mesh.chunk_holders(&1, chunk).unwrap();
            assert_eq!(tally(holders.iter().copied()).len(), holders.len());
            assert_eq!(holders.len(), usize::try_from(left.min(5)).unwrap());
        }
    }
    // Four nodes are left: a fifth copy has no node, is told so, and is tried again when there is one.
    let (left, _) = mesh.placement(&1).map(|placed| (placed.replicas, ())).unwrap();
    assert_eq!(left.len(), 4);
    let joined: Vec<NodeRef> = (100..104).map(|id| mesh.upsert(node(id, id % 6, 0, 10 * GIB))).collect();
    let repair = &mesh.node_failed(left[0], T0).repairs[0];
    assert_eq!((repair.recruited.len(), repair.pieces.len()), (4, 180));
    assert!(repair.pieces.iter().all(|change| change.to.is_some()));
    assert_eq!(repair.achieved.nodes, 4);
    assert!(joined.iter().all(|node| mesh.chunk_holders(&1, 0).unwrap().contains(node) || mesh.is_healthy(*node)));
}

#[test]
fn more_losses_than_parity_are_called_lost() {
    let (mut mesh, _) = mesh(40, 10 * GIB);
    let _ = mesh.allocate(1, &blob(500 * MIB), &policy(), T0).unwrap();
    let first = mesh.place_stripe(&1, 0, 10, 2, &policy(), T0).unwrap();
    let second = mesh.place_stripe(&1, 1, 10, 2, &policy(), T0).unwrap();
    assert!(!first.nodes[..3].iter().any(|node| second.nodes.contains(node)));
    let repair = &mesh.nodes_failed(&first.nodes[..3], T0).repairs[0];
    assert_eq!((repair.unrecoverable, repair.remaining), (1, Tolerance::default()));
    assert_eq!(repair.pieces.len(), 3);
}

#[test]
fn survivors_without_room_leave_a_piece_unplaced() {
    let mut mesh = Allocator::<u32, u64>::new(Config { grace: T0, ..Config::default() });
    let nodes: Vec<NodeRef> = (0..6).map(|id| mesh.upsert(node(id, id, 0, 26 * MIB))).collect();
    // 10 MiB over 6 nodes, each chunk on 5: 9 MiB per node, 347 thousandths. 12 MiB is the most below half load.
    assert_eq!(mesh.allocate(1, &blob(10 * MIB - 1), &policy(), T0).unwrap().granted, 6);
    let _ = mesh.place_chunks(&1, 10, 5, &policy(), T0).unwrap();
    let repair = &mesh.nodes_failed(&nodes[..1], T0).repairs[0];
    assert_eq!((repair.granted, repair.recruited.len()), (5, 0));
    let placed = repair.pieces.iter().filter(|change| change.to.is_some()).count();
    assert_eq!(placed, repair.pieces.len());
    let repair = &mesh.nodes_failed(&nodes[1..2], T0).repairs[0];
    assert!(repair.pieces.iter().all(|change| change.to.is_none()));
    assert_eq!(repair.achieved.nodes, 3);
    assert!(nodes[2..].iter().all(|&node| effective(&mesh, node) < 500));
}

#[test]
fn the_limits_hold_wave_after_wave() {
    // Ten times 5 % of the nodes, and as many join. 21 stripes are on 300 nodes of 480, and stay level on 300.
    let (mut mesh, mut nodes) = mesh(480, 10 * GIB);
    assert_eq!(mesh.allocate(1, &blob(2 * GIB), &policy(), T0).unwrap().granted, 300);
    for number in 0..21 {
        let _ = mesh.place_stripe(&1, number, 100, 20, &policy(), T0).unwrap();
    }
    let mut next_id = 480;
    for wave in 0..10 {
        let dead: Vec<NodeRef> = (0..24).map(|n| nodes.swap_remove((wave * 37 + n * 101) % nodes.len())).collect();
        for &lost in &dead {
            let spec = *mesh.node(lost).unwrap();
            nodes.push(mesh.upsert(inos_alloc::NodeSpec { id: next_id, ..spec }));
            next_id += 1;
        }
        let repair = &mesh.nodes_failed(&dead, T0).repairs[0];
        assert_eq!((repair.granted, repair.unrecoverable), (300, 0), "wave {wave}");
        assert_eq!((repair.achieved.nodes, repair.achieved.regions), (20, 1), "wave {wave}");
        assert!(repair.achieved.zones >= 1);
        let stripes = check_stripes(&mesh, 1, 21);
        for stripe in &stripes {
            assert!(tally(stripe.iter().map(|&node| zone_of(&mesh, node))).values().all(|&count| count <= 20));
            assert!(tally(stripe.iter().map(|&node| zone_of(&mesh, node).0)).values().all(|&count| count <= 20));
        }
        let shares = tally(stripes.into_iter().flatten());
        assert!(shares.len() == 300 && shares.values().all(|share| (7..=9).contains(share)), "{shares:?}");
    }
}
