//! The examples, run as their users run them.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod command;
mod kv;
mod mesh;
