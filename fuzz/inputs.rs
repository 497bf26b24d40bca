//! One function a parser: takes any bytes, must never panic and must end. The fuzz targets call them with what the
//! fuzzer finds, `tests/parsers.rs` with what proptest makes.

use dhow::base::config::Containers;
use dhow::container::parse;
use dhow::dockerfile::{self, Globals, glob, graph, history, ignore, scope};
use dhow::image::list::List;
use dhow::image::transport::Transport;
use dhow::layer::tar::{Feed, Reader};
use dhow::registry::auth::AuthFile;
use dhow::registry::config::Registries;
use dhow::registry::manifest;
use dhow::registry::policy::{Policy, scopes_of, scopes_of_path};
use dhow::registry::reference::Reference;
use dhow::runtime::seccomp::{Profile, compile};

fn text(data: &[u8]) -> std::borrow::Cow<'_, str> {
    String::from_utf8_lossy(data)
}

/// An image reference; what parses must parse again from its full form, to the same.
pub(crate) fn reference(data: &[u8]) {
    if let Ok(parsed) = Reference::parse(&text(data)) {
        let full = parsed.full();
        let again = Reference::parse(&full).ok();
        assert_eq!(again.map(|again| again.full()), Some(full), "a full reference means itself");
    }
}

/// A place of an image; what parses must mean the same when it is written out.
pub(crate) fn transport(data: &[u8]) {
    if let Ok(Some(parsed)) = Transport::parse(&text(data)) {
        let again = Transport::parse(&parsed.to_string()).ok().flatten();
        assert_eq!(again.as_ref(), Some(&parsed), "a written place means itself");
    }
}

/// A file of logins, by whomever it was written, and what it knows for some names.
pub(crate) fn auth_file(data: &[u8]) {
    let Ok(file) = AuthFile::parse(std::path::Path::new("auth.json"), data) else { return };
    // A file that names credential helpers would have them run.
    if !text(data).contains("cred") {
        for name in ["docker.io/library/x", "quay.io/a/b", "localhost:5000/x", ""] {
            let _ = file.lookup(name);
        }
    }
}

/// A manifest or an index as a registry sends it.
pub(crate) fn manifest(data: &[u8]) {
    for stated in [None, Some(manifest::OCI_MANIFEST), Some(manifest::DOCKER_LIST), Some("text/plain")] {
        let _ = manifest::parse(data, stated);
    }
}

/// A list of images; what is read must be written so that it reads the same.
pub(crate) fn list(data: &[u8]) {
    let Ok(mut list) = List::parse(data, None) else { return };
    let media_type = list.media_type.clone();
    if let Ok(bytes) = list.bytes() {
        let again = List::parse(&bytes, Some(&media_type)).ok();
        assert_eq!(again.as_ref(), Some(&list), "a written list means itself");
    }
    list.settle();
    list.convert(manifest::DOCKER_LIST);
}

/// A policy, and whether it lets some images through.
pub(crate) fn policy(data: &[u8]) {
    let Ok(policy) = Policy::parse(&text(data)) else { return };
    for name in ["docker.io/library/x:1", "a.b.c:5000/d/e"] {
        if let Ok(name) = Reference::parse(name) {
            let _ = policy.allow("docker", &scopes_of(&name), "x");
        }
    }
    let _ = policy.allow("dir", &scopes_of_path("/a/b", Some("c")), "x");
}

/// The entries of a layer's tar, contents read in small pieces.
pub(crate) fn tar_entries(data: &[u8]) {
    let mut pieces = data.chunks(4096);
    let feed = Feed::new(move |_| Ok(pieces.next().map(<[u8]>::to_vec)));
    let mut reader = Reader::new(feed, None);
    // Each entry takes a block of input at least, so that this ends.
    while let Ok(Some(_)) = reader.next_entry() {
        while let Ok(piece) = reader.content(512) {
            if piece.is_empty() {
                break;
            }
        }
    }
}

/// `--mount` and `--tmpfs`.
pub(crate) fn mount(data: &[u8]) {
    let text = text(data);
    let _ = parse::mount::parse(&text);
    let _ = parse::mount::parse_tmpfs(&text);
}

/// `-v` and `--volumes-from`.
pub(crate) fn volume(data: &[u8]) {
    let text = text(data);
    let _ = parse::volume::parse(&text);
    let _ = parse::volume::parse_from(&text);
}

/// Environment and label files.
pub(crate) fn env_file(data: &[u8]) {
    let text = text(data);
    let _ = parse::env::parse_file(&text);
    let _ = parse::env::parse_label_file(&text);
}

/// A seccomp profile; what parses is resolved and compiled too.
pub(crate) fn seccomp_profile(data: &[u8]) {
    if let Ok(profile) = Profile::parse(&text(data))
        && let Ok(spec) = profile.resolve(&Default::default())
    {
        let _ = compile(&spec);
    }
}

/// `registries.conf`.
pub(crate) fn registries_conf(data: &[u8]) {
    let _ = Registries::default().add(&text(data));
}

/// `containers.conf`.
pub(crate) fn containers_conf(data: &[u8]) {
    let _ = Containers::parse(&text(data));
}

/// A Dockerfile; what parses is planned and expanded too.
pub(crate) fn dockerfile(data: &[u8]) {
    let text = text(data);
    let _ = dockerfile::parse_trigger("image", &text);
    let Ok(file) = dockerfile::parse("Dockerfile", &text) else { return };
    let platform = scope::platform_args("linux/amd64", "linux/arm64/v8", None);
    let Ok(globals) = Globals::new(&file, Default::default(), platform) else { return };
    let _ = graph::plan(&file, &globals, None, &Default::default());
    for stage in &file.stages {
        let mut scope = globals.stage(&["PATH=/bin".to_owned()]);
        for step in &stage.steps {
            if let Ok(action) = step.expand(&scope) {
                let _ = scope.apply(&action);
            }
            let _ = history::created_by(step, &scope.args(), "file:0");
        }
    }
}

/// `.dockerignore` and the patterns of `COPY`; the first line is a path.
pub(crate) fn dockerignore(data: &[u8]) {
    let text = text(data);
    let (path, patterns) = text.split_once('\n').unwrap_or((&text, ""));
    if let Ok(ignore) = ignore::Ignore::parse(patterns) {
        let _ = (ignore.excludes(path), ignore.may_include_below(path));
    }
    if let Ok(pattern) = glob::Pattern::new(patterns)
        && pattern.matches(path)
    {
        let below = path.match_indices('/').all(|(at, _)| pattern.may_match_below(&path[..at]));
        assert!(below, "a walk finds what matches");
    }
}
