//! Goal: what is urgent is repaired at once, the rest waits for the node, and a node that comes back has what was not given
//! away. Method: one story per rule.

use crate::support::{GIB, MIB, T0, blob, block, load_report, node};
use core::time::Duration;
use inos_alloc::{
    Allocator, Class, Config, Demand, GRACE, MoveBudget, NodeRef, Policy, ResourceSpec, ReturnError, Temperature,
};
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

type Mesh = Allocator<u32, u64>;

fn patient_mesh(count: u32) -> (Mesh, Vec<NodeRef>) {
    let mut mesh = Mesh::new(Config::default());
    let nodes = (0..count).map(|id| mesh.upsert(node(id, id % 6, id / 6 % 4, 10 * GIB))).collect();
    (mesh, nodes)
}

#[test]
fn above_the_floor_a_repair_waits() {
    let (mut mesh, _) = patient_mesh(48);
    // Ten nodes, five are the floor.
    let placed = mesh.allocate(1, &blob(5 * MIB), &Policy::default(), T0).unwrap();
    assert_eq!(placed.granted, 10);
    let plan = mesh.node_failed(placed.replicas[1], T0);
    assert_eq!((plan.repairs[0].waits_until, plan.repairs[0].granted), (Some(GRACE), 9));
    assert_eq!(plan.repairs[0].recruited, []);
    assert_eq!((mesh.next_deadline(), mesh.repairs_waiting()), (Some(Duration::from_secs(60)), 1));
    assert_eq!(mesh.repair(MoveBudget::UNLIMITED, GRACE - Duration::from_millis(1)), []);
    let repairs = mesh.repair(MoveBudget::UNLIMITED, GRACE);
    assert_eq!((repairs.len(), repairs[0].recruited.len(), repairs[0].waits_until), (1, 1, None));
    assert_eq!((mesh.placement(&1).unwrap().granted, mesh.repairs_waiting()), (10, 0));
}

#[test]
fn below_five_it_does_not_wait() {
    let (mut mesh, _) = patient_mesh(48);
    let hot = mesh.allocate(1, &block(MIB, Temperature::Hot), &Policy::default(), T0).unwrap();
    // Exactly seven are promised: six are below the floor.
    let plan = mesh.node_failed(hot.replicas[6], T0);
    assert_eq!((plan.repairs[0].waits_until, plan.repairs[0].recruited.len()), (None, 1));
    let blob = mesh.allocate(2, &blob(5 * MIB), &Policy::default(), T0).unwrap();
    let plan = mesh.nodes_failed(&blob.replicas[..6], T0);
    let repair = plan.repairs.iter().find(|repair| repair.resource == 2).unwrap();
    assert_eq!((repair.waits_until, repair.recruited.len(), repair.granted), (None, 6, 10));
    let recruit_below = Some(9);
    let mut mesh = Mesh::new(Config { recruit_below, ..Config::default() });
    for id in 0..48 {
        mesh.upsert(node(id, id % 6, id / 6 % 4, 10 * GIB));
    }
    let placed = mesh.allocate(1, &crate::support::blob(5 * MIB), &Policy::default(), T0).unwrap();
    assert!(mesh.node_failed(placed.replicas[0], T0).repairs[0].waits_until.is_some());
    assert!(mesh.node_failed(placed.replicas[1], T0).repairs[0].waits_until.is_none());
}

#[test]
fn a_stripe_is_repaired_when_half_of_its_parity_is_gone() {
    let (mut mesh, _) = patient_mesh(480);
    let _ = mesh.allocate(1, &blob(500 * MIB), &Policy::default(), T0).unwrap();
    let stripe = mesh.place_stripe(&1, 0, 60, 8, &Policy::default(), T0).unwrap();
    for (lost, &holder) in stripe.nodes[..4].iter().enumerate() {
        let repair = &mesh.node_failed(holder, T0).repairs[0];
        assert_eq!(repair.waits_until.is_none(), lost == 3, "{lost}");
        assert_eq!(repair.pieces.len(), if lost == 3 { 4 } else { 0 });
    }
    assert_eq!(mesh.placement(&1).unwrap().achieved.nodes, 8);
}

#[test]
fn who_comes_back_in_time_has_what_was_not_given_away() {
    let (mut mesh, _) = patient_mesh(96);
    let first = mesh.allocate(1, &blob(5 * MIB), &Policy::default(), T0).unwrap();
    let _ = mesh.place_chunks(&1, 5, 5, &Policy::default(), T0).unwrap();
    let away = first.replicas[3];
    let mut id = 2;
    // A block with the same node, which does not wait.
    while !mesh.allocate(id, &block(MIB, Temperature::Hot), &Policy::default(), T0).unwrap().replicas.contains(&away) {
        id += 1;
    }
    mesh.report(away, load_report(77, mesh.seq()), T0).unwrap();
    let holders = |mesh: &Mesh| (0..5).map(|chunk| mesh.chunk_holders(&1, chunk).unwrap().len()).collect::<Vec<_>>();
    let before = holders(&mesh);
    let _ = mesh.node_failed(away, T0);
    assert!(!mesh.is_healthy(away) && mesh.load(away).is_none());
    assert!(holders(&mesh) < before);
    let returned = mesh.node_returned(away, Duration::from_secs(10)).unwrap();
    assert_eq!(returned.kept, [1]);
    assert_eq!((holders(&mesh), mesh.repairs_waiting()), (before, 0));
    assert_eq!(mesh.load(away).unwrap().reported.value(), 77);
    let placed = mesh.placement(&1).unwrap();
    assert!(placed.granted == 10 && placed.replicas[9] == away);
    assert!(!mesh.placement(&id).unwrap().replicas.contains(&away));
    assert_eq!(mesh.repair(MoveBudget::UNLIMITED, GRACE * 2), []);
    assert_eq!(mesh.node_returned(away, T0), Err(ReturnError::NotFailed));
    let gone = NodeRef { index: 999, generation: 0 };
    assert_eq!(mesh.node_returned(gone, T0), Err(ReturnError::UnknownNode));
}

#[test]
fn who_joins_again_empty_has_nothing() {
    let (mut mesh, _) = patient_mesh(96);
    let placed = mesh.allocate(1, &blob(5 * MIB), &Policy::default(), T0).unwrap();
    let away = placed.replicas[3];
    let spec = *mesh.node(away).unwrap();
    let _ = mesh.node_failed(away, T0);
    let again = mesh.upsert(spec);
    assert_eq!(mesh.node_returned(away, T0), Err(ReturnError::UnknownNode));
    assert_eq!(mesh.resources_on(again).count(), 0);
    assert_eq!(mesh.repair(MoveBudget::UNLIMITED, GRACE).len(), 1);
}

#[test]
fn a_repair_goes_on_where_the_budget_ended() {
    let (mut mesh, _) = patient_mesh(480);
    let placed = mesh.allocate(1, &blob(2 * GIB), &Policy::default(), T0).unwrap();
    for number in 0..21 {
        let _ = mesh.place_stripe(&1, number, 100, 20, &Policy::default(), T0).unwrap();
    }
    let lost: Vec<NodeRef> = placed.replicas[..10].to_vec();
    let pieces = |mesh: &Mesh| {
        (0..21).flat_map(|number| mesh.shard_holders(&1, number).unwrap()).filter(Option::is_none).count()
    };
    let plan = mesh.nodes_failed(&lost, T0);
    assert!(plan.repairs[0].waits_until.is_some());
    let missing = pieces(&mesh);
    assert!(missing >= 70);
    let some = MoveBudget { moves: 30, bytes: u64::MAX };
    let first = mesh.repair(some, GRACE);
    assert_eq!((first[0].pieces.len(), first[0].recruited.len(), first[0].waits_until), (30, 10, Some(GRACE)));
    assert_eq!(pieces(&mesh), missing - 30);
    let by_bytes = MoveBudget { moves: u64::MAX, bytes: 10 * MIB + 1 };
    assert_eq!(mesh.repair(by_bytes, GRACE)[0].pieces.len(), 10);
    // One of them returns: others have its place, but what was not moved is its own again.
    let returned = mesh.node_returned(lost[9], GRACE).unwrap();
    assert_eq!(returned.kept, [1]);
    let left = pieces(&mesh);
    assert!(left < missing - 40);
    assert_eq!((mesh.placement(&1).unwrap().granted, mesh.next_deadline()), (301, Some(GRACE)));
    let rest = mesh.repair(MoveBudget::UNLIMITED, GRACE);
    assert_eq!((rest[0].pieces.len(), rest[0].waits_until), (left, None));
    assert_eq!((pieces(&mesh), mesh.repairs_waiting()), (0, 0));
}

#[test]
fn a_repair_that_is_due_is_not_forgotten() {
    let (mut mesh, nodes) = patient_mesh(48);
    let placed = mesh.allocate(1, &blob(5 * MIB), &Policy::default(), T0).unwrap();
    let _ = mesh.node_failed(placed.replicas[1], T0);
    // Somebody reports when the repair is due, before anybody asked for it.
    let reporter = nodes.iter().copied().find(|&node| mesh.is_healthy(node)).unwrap();
    let late = GRACE + Duration::from_secs(1);
    mesh.report(reporter, load_report(0, mesh.seq()), late).unwrap();
    assert_eq!(mesh.next_deadline(), Some(late));
    assert_eq!(mesh.repair(MoveBudget::UNLIMITED, late).len(), 1);
    assert_eq!(mesh.next_deadline(), Some(late + Duration::from_secs(60)));
}

#[test]
fn what_is_too_large_for_the_budget_holds_nobody_up() {
    let (mut mesh, _) = patient_mesh(48);
    let policy = Policy::default();
    let large = mesh.allocate(1, &block(3 * GIB, Temperature::Hot), &policy, T0).unwrap();
    let small = mesh.allocate(2, &blob(5 * MIB), &policy, T0).unwrap();
    let mut mesh_of_two = vec![large.replicas[0]];
    mesh_of_two.push(*small.replicas.iter().find(|&&node| node != large.replicas[0]).unwrap());
    let plan = mesh.nodes_failed(&mesh_of_two, T0);
    assert!(plan.repairs.iter().any(|repair| repair.resource == 2 && repair.waits_until.is_some()));
    let bytes = 64 * MIB;
    let repairs = mesh.repair(MoveBudget { moves: 100, bytes }, GRACE);
    assert!(repairs.iter().any(|repair| repair.resource == 2));
}

#[test]
fn a_booking_that_expired_does_not_make_a_replica_weightless() {
    let (mut mesh, _) = patient_mesh(12);
    let placed = mesh.allocate(1, &block(GIB, Temperature::Cold), &Policy::default(), T0).unwrap();
    let later = Duration::from_secs(61);
    while mesh.poll_expired(later).is_some() {}
    let moved = &mesh.drain(placed.primary, MoveBudget::UNLIMITED, later).unwrap().moves[0];
    assert_eq!(mesh.load(moved.to).unwrap().booked_permille, 100);
}

#[test]
fn the_least_tolerant_is_repaired_first() {
    let (mut mesh, _) = patient_mesh(96);
    let mut placed = Vec::new();
    for id in 0..12 {
        placed.push(mesh.allocate(id, &blob(5 * MIB), &Policy::default(), T0).unwrap());
        let _ = mesh.place_chunks(&id, 1, if id == 7 { 4 } else { 5 }, &Policy::default(), T0).unwrap();
    }
    let holder = mesh.chunk_holders(&7, 0).unwrap()[0];
    let also = mesh.chunk_holders(&3, 0).unwrap().into_iter().find(|&node| node != holder).unwrap();
    let _ = mesh.nodes_failed(&[holder, also], T0);
    let order: Vec<u64> = mesh.repair(MoveBudget::UNLIMITED, GRACE).iter().map(|repair| repair.resource).collect();
    assert_eq!(order[0], 7, "{order:?}");
}

#[test]
fn what_finds_no_node_is_tried_again() {
    let mut mesh = Mesh::new(Config::default());
    let nodes: Vec<NodeRef> = (0..10).map(|id| mesh.upsert(node(id, id % 6, 0, 10 * GIB))).collect();
    assert_eq!(mesh.allocate(1, &blob(5 * MIB), &Policy::default(), T0).unwrap().granted, 10);
    let _ = mesh.node_failed(nodes[0], T0);
    assert_eq!(mesh.repair(MoveBudget::UNLIMITED, GRACE), []);
    assert_eq!(mesh.repairs_waiting(), 1);
    mesh.upsert(node(10, 0, 0, 10 * GIB));
    assert_eq!(mesh.repair(MoveBudget::UNLIMITED, GRACE), []);
    assert_eq!(mesh.repair(MoveBudget::UNLIMITED, GRACE * 2)[0].recruited.len(), 1);
}

#[test]
fn a_return_does_not_cancel_what_another_node_left_open() {
    let (mut mesh, nodes) = patient_mesh(48);
    let group = ResourceSpec { class: Class::Group, demand: Demand::FULL, ..blob(MIB) };
    let placed = mesh.allocate(1, &group, &Policy::default(), T0).unwrap();
    assert_eq!(placed.granted, 7);
    let (empty, whole) = (placed.replicas[5], placed.replicas[6]);
    // Five of seven are left: no hurry.
    assert!(mesh.nodes_failed(&[empty, whole], T0).repairs[0].waits_until.is_some());
    // One comes back with nothing, under a new handle, the other as it was.
    let id = nodes.iter().position(|&other| other == empty).unwrap();
    let id = u32::try_from(id).unwrap();
    assert_ne!(mesh.upsert(node(id, id % 6, id / 6 % 4, 10 * GIB)), empty);
    assert_eq!(mesh.node_returned(whole, T0).unwrap().kept, [1]);
    assert_eq!((mesh.placement(&1).unwrap().granted, mesh.repairs_waiting()), (6, 1));
    let repairs = mesh.repair(MoveBudget::UNLIMITED, GRACE);
    assert_eq!((repairs[0].recruited.len(), repairs[0].remaining.nodes, repairs[0].achieved.nodes), (1, 5, 6));
    assert_eq!((mesh.placement(&1).unwrap().granted, mesh.repairs_waiting()), (7, 0));
}

#[test]
fn what_fails_again_while_it_is_due_goes_ahead() {
    let (mut mesh, _) = patient_mesh(480);
    let mut holders = Vec::new();
    for id in 1..=2 {
        let _ = mesh.allocate(id, &blob(500 * MIB), &Policy::default(), T0).unwrap();
        holders.push(mesh.place_stripe(&id, 0, 80, 20, &Policy::default(), T0).unwrap().nodes);
    }
    let only = |which: usize| {
        let other = &holders[1 - which];
        holders[which].iter().copied().filter(|node| !other.contains(node)).collect::<Vec<NodeRef>>()
    };
    let (first, second) = (only(0), only(1));
    mesh.nodes_failed(&first[..2], T0);
    mesh.nodes_failed(&second[..5], T0);
    // Both are due, the second with the least tolerance; then the first loses six more, and has less.
    assert_eq!(mesh.repair(MoveBudget { moves: 0, bytes: 0 }, GRACE), []);
    assert!(mesh.nodes_failed(&first[2..8], GRACE).repairs[0].waits_until.is_some());
    let repairs = mesh.repair(MoveBudget { moves: 8, bytes: u64::MAX }, GRACE);
    assert_eq!((repairs[0].resource, repairs[0].remaining.nodes), (1, 12));
}

#[test]
fn what_nobody_has_waits_for_who_had_it() {
    let (mut mesh, _) = patient_mesh(48);
    let had = mesh.allocate(1, &block(MIB, Temperature::Cold), &Policy::default(), T0).unwrap().replicas;
    let repair = &mesh.nodes_failed(&had, T0).repairs[0];
    assert_eq!((repair.granted, repair.unrecoverable, repair.waits_until), (0, 1, None));
    assert_eq!((repair.recruited.len(), mesh.placement(&1), mesh.route_group(&1)), (0, None, None));
    let later = GRACE * 10;
    assert_eq!(mesh.repair(MoveBudget::UNLIMITED, later), []);
    assert_eq!((mesh.repairs_waiting(), mesh.resources().count()), (0, 1));
    assert_eq!(mesh.explain(&1).unwrap().replicas, []);
    // One is enough to make the others from, and then they are not needed any more.
    assert_eq!(mesh.node_returned(had[1], later).unwrap().kept, [1]);
    assert_eq!((mesh.placement(&1).unwrap().primary, mesh.next_deadline()), (had[1], Some(later)));
    let repair = &mesh.repair(MoveBudget::UNLIMITED, later)[0];
    assert_eq!((repair.recruited.len(), repair.granted, repair.unrecoverable), (2, 3, 0));
    assert_eq!(mesh.node_returned(had[0], later).unwrap().kept, Vec::<u64>::new());
    assert_eq!(mesh.repairs_waiting(), 0);
}

#[test]
fn a_stripe_below_its_data_waits_and_the_others_do_not() {
    let (mut mesh, _) = patient_mesh(200);
    let _ = mesh.allocate(1, &blob(500 * MIB), &Policy::default(), T0).unwrap();
    let first = mesh.place_stripe(&1, 0, 10, 2, &Policy::default(), T0).unwrap().nodes;
    let second = mesh.place_stripe(&1, 1, 10, 2, &Policy::default(), T0).unwrap().nodes;
    assert!(!first.iter().any(|node| second.contains(node)));
    let repair = &mesh.nodes_failed(&[first[0], first[1], first[2], second[0]], T0).repairs[0];
    assert_eq!((repair.unrecoverable, repair.pieces.len(), repair.waits_until), (1, 4, None));
    assert!(repair.pieces.iter().all(|change| change.to.is_some() == (change.from == second[0])));
    assert_eq!(mesh.repairs_waiting(), 0);
    // Ten are there again: the other two are rebuilt.
    assert_eq!(mesh.node_returned(first[1], GRACE * 10).unwrap().kept, [1]);
    assert_eq!(mesh.shard_holders(&1, 0).unwrap()[1], Some(first[1]));
    let repair = &mesh.repair(MoveBudget::UNLIMITED, GRACE * 10)[0];
    let rebuilt: Vec<NodeRef> = repair.pieces.iter().map(|change| change.from).collect();
    assert_eq!((rebuilt, repair.unrecoverable), (vec![first[0], first[2]], 0));
    assert!(mesh.shard_holders(&1, 0).unwrap().iter().all(Option::is_some));
    assert_eq!(mesh.node_returned(first[0], GRACE * 10).unwrap().kept, Vec::<u64>::new());
}

#[test]
fn a_chunk_without_a_copy_waits_until_it_is_filled_from_elsewhere() {
    let (mut mesh, _) = patient_mesh(40);
    let _ = mesh.allocate(1, &blob(20 * MIB), &Policy::default(), T0).unwrap();
    let placed = mesh.place_chunks(&1, 20, 3, &Policy::default(), T0).unwrap();
    let had = placed.holders_of(7).to_vec();
    let other = *placed.holders_of(0).iter().find(|&node| !had.contains(node)).unwrap();
    let repair = &mesh.nodes_failed(&[&had[..], &[other]].concat(), T0).repairs[0];
    assert!(repair.unrecoverable >= 1);
    assert_eq!(mesh.chunk_holders(&1, 7).unwrap(), []);
    assert!(repair.pieces.iter().any(|change| change.to.is_some()));
    let lost = repair.unrecoverable;
    let repair = mesh.refill(&1, T0).unwrap();
    assert_eq!((repair.unrecoverable, repair.pieces.len()), (lost, usize::try_from(lost).unwrap() * 3));
    assert_eq!(mesh.chunk_holders(&1, 7).unwrap().len(), 3);
    assert_eq!(mesh.node_returned(had[0], T0).unwrap().kept, Vec::<u64>::new());
    let nothing = mesh.refill(&1, T0).unwrap();
    assert_eq!((nothing.unrecoverable, nothing.pieces.len(), nothing.recruited.len()), (0, 0, 0));
    assert_eq!(mesh.refill(&2, T0), None);
}
