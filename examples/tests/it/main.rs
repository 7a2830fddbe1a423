//! The examples, run as their users run them.

mod command;
mod mesh;
