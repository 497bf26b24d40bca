//! Proves the import direction: a module imports from lower floors only (src/lib.rs draws them).
#![expect(clippy::disallowed_methods, reason = "a test reads source files from outside")]
#![expect(clippy::unwrap_used, reason = "outside of test functions too, a panic is how a test fails")]

use std::fs;
use std::path::{Path, PathBuf};

/// The floors, lowest first; modules of one floor do not know each other.
const FLOORS: [&[&str]; 8] = [
    &["base"],
    &["sys"],
    &["layer", "registry", "runtime"],
    &["container", "dockerfile", "event", "image", "volume"],
    &["ops"],
    &["ui"],
    &["cli"],
    &["main"],
];

fn floor(module: &str) -> Option<usize> {
    FLOORS.iter().position(|floor| floor.contains(&module))
}

fn sources(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// The top module a source file belongs to; `None` for the map itself and for the embedded program.
fn module_of(path: &Path) -> Option<String> {
    let relative = path.strip_prefix(concat!(env!("CARGO_MANIFEST_DIR"), "/src")).unwrap();
    let first = relative.components().next().unwrap().as_os_str().to_str().unwrap();
    let name = first.trim_end_matches(".rs");
    (name != "lib" && name != "hello").then(|| name.to_owned())
}

/// Every `crate::X` and, in main.rs, `dhow::X` of a file, comments left out.
fn imports(source: &str) -> Vec<String> {
    let mut found = Vec::new();
    for line in source.lines().map(str::trim).filter(|line| !line.starts_with("//")) {
        for prefix in ["crate::", "dhow::"] {
            for (at, _) in line.match_indices(prefix) {
                let rest = &line[at + prefix.len()..];
                let inner = rest.strip_prefix('{');
                let names: Vec<&str> = match inner {
                    Some(list) => list.split(['}', ',']).collect(),
                    None => vec![rest],
                };
                for name in names {
                    let word: String =
                        name.trim().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
                    found.push(word);
                }
            }
        }
    }
    found
}

#[test]
fn imports_go_down() {
    let mut files = Vec::new();
    sources(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/src")), &mut files);
    let mut wrong = Vec::new();
    for path in &files {
        let Some(module) = module_of(path) else { continue };
        let from = floor(&module).unwrap_or_else(|| panic!("`{module}` is on no floor"));
        for import in imports(&fs::read_to_string(path).unwrap()) {
            if let Some(to) = floor(&import)
                && import != module
                && to >= from
            {
                wrong.push(format!("{}: {module} imports {import}", path.display()));
            }
        }
    }
    assert!(files.len() > 20 && wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn unsafe_code_is_in_sys_only() {
    let mut files = Vec::new();
    sources(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/src")), &mut files);
    for path in files {
        let text = fs::read_to_string(&path).unwrap();
        let has = text.lines().any(|line| !line.trim_start().starts_with("//") && line.contains("unsafe {"));
        assert!(!has || module_of(&path).as_deref() == Some("sys"), "unsafe in {}", path.display());
    }
}
