//! Goal: what was placed counts at once, once, and not for ever. Method: one story per rule, with figures by hand.

use crate::support::{GIB, MIB, Mesh, T0, blob, block, effective, load_report, mesh, node};
use core::time::Duration;
use inos_alloc::{NodeRef, NodeReport, Policy, ReportError, Requirements, Temperature};
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

#[test]
fn projected_load_of_the_worked_example() {
    let (mut mesh, nodes) = mesh(80, 160 * MIB);
    for &node in &nodes {
        mesh.report(node, load_report(300, 0), T0).unwrap();
    }
    let placed = mesh.allocate(1, &blob(1_000_000_000), &Policy::default(), T0).unwrap();
    assert_eq!((placed.want, placed.granted, placed.shortfall, placed.over_target), (100, 80, 20, 0));
    // With a fifth of parity: ceil(1000 x 15,000,000 / 167,772,160) = 90.
    assert!(nodes.iter().all(|&node| effective(&mesh, node) == 390));
    // By plain bytes, 12,500,000 per node, it would be 75.
    assert_eq!(300 + (1_000_000_000u64 / 80 * 1000).div_ceil(160 * MIB), 375);
}

#[test]
fn a_report_counts_what_it_names_and_nothing_later() {
    let (mut mesh, nodes) = mesh(3, 100 * MIB);
    let first = mesh.allocate(1, &block(10 * MIB, Temperature::Cold), &Policy::default(), T0).unwrap();
    let second = mesh.allocate(2, &block(5 * MIB, Temperature::Cold), &Policy::default(), T0).unwrap();
    let node = nodes[0];
    assert_eq!(effective(&mesh, node), 150);
    mesh.report(node, load_report(100, 0), T0).unwrap();
    assert_eq!(effective(&mesh, node), 250);
    mesh.report(node, load_report(200, first.seq), T0).unwrap();
    assert_eq!(effective(&mesh, node), 250);
    mesh.report(node, load_report(250, second.seq), T0).unwrap();
    assert_eq!(effective(&mesh, node), 250);
    assert_eq!(mesh.load(node).unwrap().bookings, 0);

    let last = second.seq;
    assert_eq!(mesh.report(node, load_report(0, first.seq), T0), Err(ReportError::Outdated { seq: first.seq, last }));
    assert_eq!(mesh.report(node, load_report(0, 9), T0), Err(ReportError::FromTheFuture { seq: 9, last }));
    assert_eq!(effective(&mesh, node), 250);
}

#[test]
fn an_unconfirmed_booking_is_dropped_and_reported_once() {
    let (mut mesh, nodes) = mesh(3, 100 * MIB);
    let placed = mesh.allocate(1, &block(10 * MIB, Temperature::Cold), &Policy::default(), T0).unwrap();
    assert_eq!(mesh.next_deadline(), Some(Duration::from_secs(60)));
    mesh.report(nodes[0], load_report(100, placed.seq), Duration::from_secs(30)).unwrap();
    let just_before = Duration::from_nanos(59_999_999_999);
    assert_eq!(mesh.poll_expired(just_before), None);
    assert_eq!(effective(&mesh, nodes[1]), 100);
    let mut expired = Vec::new();
    while let Some(booking) = mesh.poll_expired(Duration::from_secs(60)) {
        assert_eq!((booking.resource, booking.seq, booking.load_permille), (1, placed.seq, 100));
        expired.push(booking.node);
    }
    expired.sort();
    assert_eq!(expired, &nodes[1..]);
    assert_eq!((effective(&mesh, nodes[0]), effective(&mesh, nodes[1])), (100, 0));
    assert_eq!(mesh.next_deadline(), None);
}

#[test]
fn time_that_goes_backwards_stands_still() {
    let (mut mesh, _) = mesh(3, 100 * MIB);
    assert_eq!(mesh.poll_expired(Duration::from_secs(100)), None);
    let _ = mesh.allocate(1, &block(MIB, Temperature::Cold), &Policy::default(), T0).unwrap();
    assert_eq!(mesh.next_deadline(), Some(Duration::from_secs(160)));
}

#[test]
fn release_takes_the_bookings_along() {
    let (mut mesh, nodes) = mesh(30, 100 * MIB);
    let _ = mesh.allocate(1, &blob(50 * MIB), &Policy::default(), T0).unwrap();
    let _ = mesh.place_chunks(&1, 50, 5, &Policy::default(), T0).unwrap();
    assert!(mesh.release(&1));
    assert!(!mesh.release(&1));
    for &node in &nodes {
        let load = mesh.load(node).unwrap();
        assert_eq!((load.effective_permille, load.bookings, load.resources), (0, 0, 0));
        assert_eq!(load.free.bytes, 100 * MIB);
    }
    assert_eq!((mesh.placement(&1), mesh.next_deadline(), mesh.resources().count()), (None, None, 0));
}

#[test]
fn pieces_beyond_the_booking_are_booked() {
    // 5 nodes, 10 chunks: each node was booked for 10 MiB. Two more chunks' worth need two more.
    let (mut mesh, nodes) = mesh(5, 1000 * MIB);
    let _ = mesh.allocate(1, &blob(10 * MIB - 1), &Policy::default(), T0).unwrap();
    assert_eq!(effective(&mesh, nodes[0]), 10);
    let placed = mesh.place_chunks(&1, 12, 5, &Policy::default(), T0).unwrap();
    assert!(nodes.iter().all(|&node| effective(&mesh, node) == 12));
    mesh.report(nodes[0], load_report(12, placed.seq), T0).unwrap();
    assert_eq!(effective(&mesh, nodes[0]), 12);
}

#[test]
fn another_capacity_makes_another_share() {
    let (mut mesh, nodes) = mesh(1, 1000 * MIB);
    let placed = mesh.allocate(1, &block(400 * MIB, Temperature::Cold), &Policy::default(), T0).unwrap();
    assert_eq!(effective(&mesh, nodes[0]), 400);
    // 400 of 500 MiB: at 80 % not even a floor is filled with it.
    assert_eq!(mesh.upsert(node(0, 0, 0, 500 * MIB)), nodes[0]);
    assert_eq!(effective(&mesh, nodes[0]), 800);
    assert!(mesh.allocate(2, &block(40 * MIB, Temperature::Cold), &Policy::default(), T0).is_err());
    assert_eq!(mesh.usable(&Requirements::default()), 0);
    // More than it has.
    mesh.upsert(node(0, 0, 0, 0));
    assert_eq!(effective(&mesh, nodes[0]), 1000);
    mesh.upsert(node(0, 0, 0, 4000 * MIB));
    assert_eq!((effective(&mesh, nodes[0]), mesh.usable(&Requirements::default())), (100, 1));
    // Counted by the node or released, nothing of it is left.
    let mut released = mesh.clone();
    assert!(released.release(&1));
    assert_eq!(effective(&released, nodes[0]), 0);
    mesh.report(nodes[0], load_report(100, placed.seq), T0).unwrap();
    assert_eq!((effective(&mesh, nodes[0]), mesh.next_deadline()), (100, None));
}

#[test]
fn many_reports_at_once_are_as_good_as_one_by_one() {
    let (mut one, nodes) = mesh(100, GIB);
    let placed = one.allocate(1, &block(10 * MIB, Temperature::Hot), &Policy::default(), T0).unwrap();
    let mut many = one.clone();
    let mut reports: Vec<(NodeRef, NodeReport)> = Vec::new();
    for (at, &node) in (0..).zip(&nodes) {
        reports.push((node, load_report(at * 4, u64::from(at % 2) * placed.seq)));
    }
    // Of the past, of the future, of nobody; and the last of two is the one that counts.
    let _ = one.node_failed(nodes[3], T0);
    let _ = many.node_failed(nodes[3], T0);
    reports.extend([(nodes[5], load_report(7, 0)), (nodes[6], load_report(7, 99)), (nodes[4], load_report(8, 1))]);
    reports.push((NodeRef { index: 500, generation: 0 }, load_report(0, 0)));
    let singly: Vec<(usize, ReportError)> = reports
        .iter()
        .enumerate()
        .filter_map(|(at, &(node, report))| one.report(node, report, T0).err().map(|error| (at, error)))
        .collect();
    assert_eq!(many.report_all(&reports, T0), singly);
    assert_eq!(singly.iter().map(|&(at, _)| at).collect::<Vec<usize>>(), [3, 100, 101, 103]);
    for &node in &nodes {
        assert_eq!(many.load(node), one.load(node));
    }
    for id in 2..10 {
        let spec = block(MIB, Temperature::Hot);
        let of = |mesh: &mut Mesh| mesh.allocate(id, &spec, &Policy::default(), T0).unwrap();
        assert_eq!(of(&mut many), of(&mut one));
    }
    assert_eq!(many.report_all(&[], T0), []);
}
