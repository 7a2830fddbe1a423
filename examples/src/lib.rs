//! The programs in which the five INOS crates meet, and the glue they share.
//!
//! The crates do not know each other; what stands here is what an integrator writes to join them: a host for
//! in-process nodes behind a shared-memory region ([`host`], [`link`]), a small simulated network for a replica group
//! ([`council`]), a geography, a seeded generator, and the main job itself ([`mesh`]). [`kv`] joins one of them,
//! `inos-quorum`, to processes, sockets and files.

#![allow(
    clippy::std_instead_of_alloc,
    clippy::std_instead_of_core,
    reason = "the programs run on an operating system; only the five crates do without"
)]
#![allow(clippy::disallowed_methods, reason = "a program may tell its user how long a step really took")]

/// Runs the example of the repository's README.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
pub struct Readme;

pub mod council;
pub mod geography;
pub mod host;
pub mod kv;
pub mod link;
pub mod mesh;
pub mod rng;
