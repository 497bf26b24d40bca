//! Container names: which are legal, and made-up ones for containers that were given none.

use crate::base::error::{Kind, Result, fail};
use crate::base::id;

const ADJECTIVES: &[&str] = &[
    "able", "airy", "amber", "ancient", "azure", "bold", "brave", "breezy", "bright", "brisk", "calm",
    "candid", "cheery", "clever", "coastal", "cobalt", "coral", "cosy", "crisp", "curious", "dapper",
    "daring", "deep", "deft", "eager", "early", "easy", "fair", "fleet", "fond", "free", "fresh", "frosty",
    "gentle", "gilded", "glad", "golden", "grand", "hardy", "hasty", "hearty", "humble", "ivory", "jolly",
    "keen", "kind", "laden", "lively", "loyal", "lucid", "lucky", "mellow", "merry", "mighty", "misty",
    "modest", "neat", "nimble", "noble", "patient", "placid", "plucky", "polite", "proud", "quick", "quiet",
    "rapid", "rested", "robust", "royal", "rustic", "salty", "sandy", "serene", "sharp", "silent", "silver",
    "sleek", "smooth", "snug", "sober", "solid", "steady", "stormy", "sturdy", "sunny", "swift", "tidal",
    "tidy", "tranquil", "trusty", "upbeat", "valiant", "vivid", "warm", "wary", "wise", "witty", "young",
    "zesty",
];

const NOUNS: &[&str] = &[
    "albatross",
    "anchor",
    "atoll",
    "bay",
    "beacon",
    "boom",
    "bowsprit",
    "breaker",
    "breeze",
    "bridge",
    "bulwark",
    "buoy",
    "cabin",
    "canal",
    "cape",
    "captain",
    "caravel",
    "cargo",
    "channel",
    "chart",
    "clipper",
    "coast",
    "compass",
    "cormorant",
    "crew",
    "current",
    "cutter",
    "deck",
    "delta",
    "dock",
    "dolphin",
    "dory",
    "estuary",
    "ferry",
    "fjord",
    "flotilla",
    "foghorn",
    "galley",
    "gannet",
    "gull",
    "gunwale",
    "halyard",
    "harbour",
    "haven",
    "hawser",
    "helm",
    "heron",
    "horizon",
    "hull",
    "inlet",
    "island",
    "jetty",
    "junk",
    "keel",
    "kelp",
    "ketch",
    "knot",
    "lagoon",
    "lantern",
    "lateen",
    "lighthouse",
    "lugger",
    "marina",
    "mariner",
    "mast",
    "mizzen",
    "monsoon",
    "mooring",
    "narwhal",
    "navigator",
    "oar",
    "osprey",
    "otter",
    "outrigger",
    "paddle",
    "pearl",
    "pelican",
    "pier",
    "pilot",
    "porpoise",
    "port",
    "quay",
    "raft",
    "reef",
    "rigging",
    "rudder",
    "sail",
    "schooner",
    "seal",
    "sextant",
    "shoal",
    "skiff",
    "sloop",
    "spar",
    "strait",
    "tern",
    "tide",
    "tiller",
    "trawler",
    "wharf",
];

/// Makes up a name, `adjective_noun`; later attempts add a number, so that the word list cannot run out.
pub fn generate(attempt: u32) -> String {
    let random = u64::from_ne_bytes(id::bytes::<8>());
    let pick = |list: &[&'static str], value: u64| list[(value % list.len() as u64) as usize];
    let name = format!("{}_{}", pick(ADJECTIVES, random & 0xffff_ffff), pick(NOUNS, random >> 32));
    if attempt < 8 { name } else { format!("{name}{}", random % 100_000) }
}

/// Checks a name: `[a-zA-Z0-9][a-zA-Z0-9_.-]*`, as Docker and Podman ask, and short enough for a file.
pub fn check(name: &str) -> Result<()> {
    check_word("container", name)
}

/// Checks the name of a thing of this kind by the same rule.
pub fn check_word(kind: &str, name: &str) -> Result<()> {
    let begins = name.as_bytes().first().is_some_and(u8::is_ascii_alphanumeric);
    let goes_on = name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-'));
    if begins && goes_on && name.len() <= 253 {
        return Ok(());
    }
    Err(fail(Kind::Usage, format!("{kind} name `{name}` does not match [a-zA-Z0-9][a-zA-Z0-9_.-]*")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn generated_names_are_legal_and_vary() {
        let names: std::collections::BTreeSet<_> = (0..20).map(generate).collect();
        assert!(names.len() > 10);
        names.iter().for_each(|name| check(name).unwrap());
    }

    #[test]
    fn names_that_could_be_paths_or_flags_are_refused() {
        for bad in ["", "-x", ".", "..", "a/b", "a b", "a\n", "é", "_x", &"a".repeat(300)] {
            assert!(check(bad).is_err(), "{bad:?}");
        }
        for good in ["a", "web-1", "A.b_c", "0"] {
            check(good).unwrap();
        }
    }
}
