//! Every test that goes through the binary: one program, so that one list runs rootless and as root.
//!
//! `tests/run.sh` runs it twice: as root and as an ordinary user with sub-ids.
#![expect(
    clippy::disallowed_methods,
    reason = "tests look at files from outside, not through dhow's wrappers"
)]
#![allow(
    unused_imports,
    dead_code,
    reason = "the kit is a product: not every helper is used at every moment"
)]
#![expect(clippy::unwrap_used, reason = "the kit's helpers are tests too: a panic is how a test fails")]
#![allow(unreachable_pub, reason = "a test program has no public face")]

mod kit;

mod artifacts;
mod build_context;
mod build_copy;
mod changes;
mod chunked;
mod cli;
mod copy;
mod crash;
mod drivers;
mod events;
mod flags;
mod health;
mod hello;
mod hostile;
mod hostile_names;
mod image_scp;
mod image_tree;
mod images;
mod interop;
mod lifecycle;
mod lists;
mod login;
mod network;
mod pull;
mod push;
mod run;
mod runtime;
mod search;
mod security;
mod space;
mod system;
mod terminal;
mod trust;
mod volumes;

/// A file that nobody declared would never run.
#[test]
fn every_file_of_the_suite_is_part_of_it() {
    let source = include_str!("main.rs");
    for entry in std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/suite")).into_iter().flatten()
    {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let module = name.trim_end_matches(".rs");
        assert!(module == "main" || source.contains(&format!("mod {module};")), "`{name}` is not declared");
    }
}
