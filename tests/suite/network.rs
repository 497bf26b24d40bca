//! Registries and networks that misbehave: what `pull` does, and that the store is as it was after a failure.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::kit::faulty::{Faulty, MANIFEST, Served, Wants, ranged};
use crate::kit::image::{ImageSpec, Tar, busybox, sha256};
use crate::kit::server::{Reply, Seen, Server};
use crate::kit::{Sandbox, eventually};

/// Busybox and a layer of 3 MiB that does not compress, so that it is worth to go on with.
fn spec() -> ImageSpec {
    let mut image = busybox("x");
    let mut state = 7u64;
    let mut noise = vec![0u8; 3 << 20];
    for byte in &mut noise {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        *byte = (state >> 56) as u8;
    }
    image.layers.push(Tar::new().file("noise", 0o644, &noise).bytes());
    image
}

const BIG: Wants = Wants::Layer(1);

/// Pulls with short pauses between tries.
fn pull(sandbox: &Sandbox, name: &str) -> crate::kit::Cmd {
    sandbox.dhow(["pull", "-q", "--retry", "3", "--retry-delay", "10ms", name])
}

/// Every file of the store with its size, without locks and what the background writes when a layer is on the disk.
fn store(sandbox: &Sandbox) -> BTreeMap<String, u64> {
    let mut found = BTreeMap::new();
    let mut dirs = vec![sandbox.root()];
    while let Some(dir) = dirs.pop() {
        for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
            let (path, data) = (entry.path(), entry.metadata().unwrap());
            if data.is_dir() {
                dirs.push(path);
            } else if !["lock", "synced"].iter().any(|end| path.to_string_lossy().ends_with(end)) {
                found.insert(path.display().to_string(), data.len());
            }
        }
    }
    found
}

/// A pull that must fail with these words and leave the store as it was.
fn refused(
    served: Served,
    words: &str,
    answer: impl Fn(&Served, &Seen, usize) -> Reply + Send + Sync + 'static,
) -> Vec<Seen> {
    let sandbox = Sandbox::new();
    sandbox.line("pull -q dhow-hello").ok();
    let before = store(&sandbox);
    let registry = Faulty::start(served, answer);
    let error = pull(&sandbox, &registry.name()).fails(125);
    assert!(error.contains(words), "`{words}` is missing: {error}");
    assert!(!error.contains("panic") && !error.contains('\u{1b}'), "{error:?}");
    let after = store(&sandbox);
    let new: Vec<_> = after.iter().filter(|(path, size)| before.get(*path) != Some(size)).collect();
    assert!(new.is_empty() && after.len() == before.len(), "the store has {new:?} now: {error}");
    registry.seen()
}

/// A pull that must succeed all the same.
fn survived(answer: impl Fn(&Served, &Seen, usize) -> Reply + Send + Sync + 'static) -> Faulty {
    let sandbox = Sandbox::new();
    let registry = Faulty::start(Served::new(&spec()), answer);
    pull(&sandbox, &registry.name()).ok();
    sandbox.dhow(["run", "--rm", &registry.name(), "ls", "/noise"]).ok();
    assert!(!sandbox.root().join("partial").join(hex(&registry)).exists(), "no beginning stays");
    registry
}

fn hex(registry: &Faulty) -> String {
    sha256(&registry.served.image.layers[1]).replace("sha256:", "")
}

#[test]
fn wrong_content_is_refused_and_leaves_nothing() {
    let flipped = |bytes: &[u8]| {
        let mut bytes = bytes.to_vec();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        bytes
    };
    refused(Served::new(&spec()), "layer", move |served, request, _| match served.wants(request) {
        BIG => Reply::new(200, flipped(&served.image.layers[1])),
        _ => served.honest(request),
    });
    refused(Served::new(&spec()), "wrong content", move |served, request, _| match served.wants(request) {
        Wants::Config => Reply::new(200, flipped(&served.image.config)),
        _ => served.honest(request),
    });
    refused(Served::new(&spec()), "the registry states", move |served, request, _| {
        match served.wants(request) {
            Wants::Manifest => Reply::new(200, served.manifest.clone())
                .header("Content-Type", MANIFEST)
                .header("Docker-Content-Digest", format!("sha256:{}", "0".repeat(64))),
            _ => served.honest(request),
        }
    });
}

#[test]
fn wrong_lengths_are_refused_and_leave_nothing() {
    for cut in [true, false] {
        refused(Served::new(&spec()), "bytes where", move |served, request, _| match served.wants(request) {
            BIG if cut => Reply::new(200, &served.image.layers[1][..1000]),
            BIG => Reply::new(200, [&served.image.layers[1][..], b"more"].concat()),
            _ => served.honest(request),
        });
    }
}

#[test]
fn a_registry_that_never_gets_through_is_given_up() {
    let sandbox = Sandbox::new();
    let registry = Faulty::start(Served::new(&spec()), |served, request, _| match served.wants(request) {
        Wants::Layer(0) => Reply::new(200, "").claiming(served.image.layers[0].len()),
        _ => served.honest(request),
    });
    let error = pull(&sandbox, &registry.name()).fails(125);
    assert!(error.contains("broke off after 0 of"), "{error}");
    assert_eq!(registry.seen_for(Wants::Layer(0)).len(), 4);
    assert_eq!(sandbox.line("images -q").ok(), "");
}

#[test]
fn resets_and_clean_ends_in_the_middle_go_on_where_they_stopped() {
    for reset in [true, false] {
        let registry = survived(move |served, request, _| match (served.wants(request), request.range()) {
            (BIG, None) => {
                let all = &served.image.layers[1];
                let part = Reply::new(200, &all[..all.len() / 2]).claiming(all.len());
                if reset { part.resetting() } else { part }
            }
            _ => served.honest(request),
        });
        let asked = registry.seen_for(BIG);
        assert_eq!(asked.len(), 2);
        assert!(asked[1].range().unwrap() > 0);
    }
}

#[test]
fn ranges_that_are_ignored_or_wrong_cost_time_and_nothing_else() {
    survived(|served, request, _| match (served.wants(request), request.range()) {
        (BIG, None) => {
            let all = &served.image.layers[1];
            Reply::new(200, &all[..all.len() / 2]).claiming(all.len())
        }
        (BIG, Some(_)) => Reply::new(200, served.image.layers[1].clone()),
        _ => served.honest(request),
    });
    // Wrong ranges are not believed: the whole is asked for.
    let wholes = AtomicUsize::new(0);
    let registry = survived(move |served, request, _| {
        let all = &served.image.layers[1];
        match (served.wants(request), request.range()) {
            (BIG, None) if wholes.fetch_add(1, Ordering::Relaxed) == 0 => {
                Reply::new(200, &all[..all.len() / 2]).claiming(all.len())
            }
            (BIG, Some(from)) => Reply::new(206, &all[from..]).header("Content-Range", "bytes 0-9/10"),
            _ => served.honest(request),
        }
    });
    assert_eq!(registry.seen_for(BIG).len(), 3);
}

#[test]
fn a_killed_pull_goes_on_where_it_stopped() {
    let sandbox = Sandbox::new();
    let registry = Faulty::start(Served::new(&spec()), |served, request, _| match served.wants(request) {
        BIG if request.range().is_none() => {
            let all = &served.image.layers[1];
            Reply::new(200, &all[..all.len() / 2]).claiming(all.len()).falling_silent()
        }
        _ => served.honest(request),
    });
    let kept = sandbox.root().join("partial").join(hex(&registry));
    let mut child = pull(&sandbox, &registry.name()).spawn();
    let half = registry.served.image.layers[1].len() as u64 / 2;
    eventually("the first half is kept", || std::fs::metadata(&kept).is_ok_and(|data| data.len() == half));
    child.kill().unwrap();
    child.wait().unwrap();
    pull(&sandbox, &registry.name()).ok();
    let asked = registry.seen_for(BIG);
    assert_eq!(asked.len(), 2, "{asked:?}");
    assert_eq!(asked[1].range(), Some(half as usize));
    assert!(!kept.exists(), "nothing is kept of a layer that is there");
    sandbox.dhow(["run", "--rm", &registry.name(), "ls", "/noise"]).ok();
}

#[test]
fn a_wrong_beginning_is_forgotten_and_the_layer_fetched_anew() {
    let sandbox = Sandbox::new();
    let registry = Faulty::start(Served::new(&spec()), |served, request, _| served.honest(request));
    sandbox.line("images -q").ok();
    let kept = sandbox.file(&format!("root/partial/{}", hex(&registry)), vec![0x5a; 100_000]);
    pull(&sandbox, &registry.name()).ok();
    assert!(!kept.exists());
    assert_eq!(registry.seen_for(BIG).last().unwrap().range(), None);
    sandbox.dhow(["run", "--rm", &registry.name(), "ls", "/noise"]).ok();
}

#[test]
fn busy_registries_are_asked_again_and_patience_ends() {
    for status in [429, 500, 503] {
        let registry = survived(move |served, request, before| match before {
            0 => Reply::new(status, "busy"),
            1 => Reply::new(status, "busy").header("Retry-After", "0"),
            2 => Reply::new(status, "").header("Retry-After", "Wed, 21 Oct 2015 07:28:00 GMT"),
            5 => Reply::new(status, "busy"),
            _ => served.honest(request),
        });
        assert!(registry.seen().len() > 5);
    }
    let limited =
        r#"{"errors":[{"code":"TOOMANYREQUESTS","message":"you have reached your \u001b[31mlimit"}]}"#;
    let seen = refused(Served::new(&spec()), "TOOMANYREQUESTS", move |_, _, _| {
        Reply::new(429, limited)
            .header("Retry-After", "86400")
            .header("RateLimit-Limit", "100;w=21600")
            .header("RateLimit-Remaining", "0;w=21600")
    });
    assert_eq!(seen.len(), 1, "a day is not waited for");
    refused(Served::new(&spec()), "100;w=21600", move |_, _, _| {
        Reply::new(429, limited).header("RateLimit-Limit", "100;w=21600").header("RateLimit-Remaining", "0")
    });
    let seen = refused(Served::new(&spec()), "500", |_, _, _| Reply::new(500, "broken"));
    assert_eq!(seen.len(), 4, "once and three times more");
}

#[test]
fn what_is_missing_or_forbidden_is_told_with_what_to_do() {
    let missing = r#"{"errors":[{"code":"BLOB_UNKNOWN","message":"blob unknown to registry"}]}"#;
    refused(Served::new(&spec()), "BLOB_UNKNOWN", move |served, request, _| match served.wants(request) {
        BIG => Reply::new(404, missing),
        _ => served.honest(request),
    });
    for (status, hint) in
        [(401, "dhow login"), (403, "permission"), (404, "check the name"), (429, "too many requests")]
    {
        let says = r#"{"errors":[{"code":"SOMETHING","message":"what the registry says"}]}"#;
        refused(Served::new(&spec()), hint, move |_, _, _| {
            Reply::new(status, says)
                .header("WWW-Authenticate", "Basic realm=\"x\"")
                .header("Retry-After", "9999")
        });
        refused(Served::new(&spec()), "what the registry says (SOMETHING)", move |_, _, _| {
            Reply::new(status, says)
                .header("WWW-Authenticate", "Basic realm=\"x\"")
                .header("Retry-After", "9999")
        });
    }
}

#[test]
fn endless_challenges_end_and_tokens_are_renewed() {
    let seen =
        refused(Served::new(&spec()), "401", |_, request, _| match request.path.starts_with("/token") {
            true => Reply::new(200, r#"{"token":"t"}"#),
            false => Reply::new(401, "").header("WWW-Authenticate", "Bearer realm=\"/token\""),
        });
    assert!(seen.len() <= 4, "{seen:?}");
    // A token that ends in the middle of a layer: a new one, and the rest.
    let registry = survived(|served, request, before| {
        if request.path.starts_with("/token") {
            return Reply::new(200, format!(r#"{{"token":"t{before}","expires_in":3600}}"#));
        }
        let challenge =
            || Reply::new(401, "").header("WWW-Authenticate", "Bearer realm=\"/token\",service=\"s\"");
        let Some(token) = request.header("authorization") else { return challenge() };
        match (served.wants(request), request.range()) {
            (BIG, None) => {
                let all = &served.image.layers[1];
                Reply::new(200, &all[..all.len() / 2]).claiming(all.len())
            }
            (BIG, Some(_)) if token == "Bearer t1" => challenge(),
            _ => served.honest(request),
        }
    });
    assert_eq!(registry.seen().iter().filter(|seen| seen.path.starts_with("/token")).count(), 2);
}

#[test]
fn credentials_go_to_no_other_host() {
    let layers: Vec<Vec<u8>> = spec().oci().layers;
    let elsewhere = Server::start(move |request, _| {
        let at = layers.iter().find(|layer| request.path.contains(&sha256(layer)));
        at.map_or(Reply::new(404, ""), |layer| ranged(layer, request))
    });
    let target = elsewhere.address();
    let registry = Faulty::start(Served::new(&spec()), move |served, request, _| {
        if request.header("authorization") != Some("Basic bWU6c2VjcmV0") {
            return Reply::new(401, "").header("WWW-Authenticate", "Basic realm=\"x\"");
        }
        match served.wants(request) {
            Wants::Layer(n) => {
                let place = format!("http://{target}/blobs/{}", sha256(&served.image.layers[n]));
                Reply::new(307, "").header("Location", place)
            }
            _ => served.honest(request),
        }
    });
    let sandbox = Sandbox::new();
    pull(&sandbox, &registry.name()).args(["--creds", "me:secret"]).ok();
    assert_eq!(elsewhere.seen().len(), 2);
    assert!(elsewhere.seen().iter().all(|request| request.header("authorization").is_none()));
    // A token server elsewhere: over plain http it is told nothing.
    let realm = "Bearer realm=\"http://token.invalid/t\"";
    let seen = refused(Served::new(&spec()), "plain http", move |_, _, _| {
        Reply::new(401, "").header("WWW-Authenticate", realm)
    });
    assert_eq!(seen.len(), 1);
    refused(Served::new(&spec()), "plain http", |served, request, _| match served.wants(request) {
        BIG => Reply::new(302, "").header("Location", "http://elsewhere.invalid/blob"),
        _ => served.honest(request),
    });
}

/// The image with another manifest.
fn with_manifest(change: impl Fn(&mut serde_json::Value)) -> Served {
    let mut served = Served::new(&spec());
    let mut manifest = serde_json::from_slice(&served.manifest).unwrap();
    change(&mut manifest);
    served.manifest = serde_json::to_vec(&manifest).unwrap();
    served
}

#[test]
fn manifests_that_are_huge_old_or_strange_are_refused() {
    let honest = |served: &Served, request: &Seen, _: usize| served.honest(request);
    let mut huge = Served::new(&spec());
    huge.manifest.extend(vec![b' '; 5 << 20]);
    refused(huge, "limit", honest);
    let mut old = Served::new(&spec());
    old.manifest = br#"{"schemaVersion":1,"name":"x","tag":"1","fsLayers":[],"history":[]}"#.to_vec();
    old.media_type = "application/vnd.docker.distribution.manifest.v1+prettyjws".into();
    refused(old, "schema 1", honest);
    let mut html = Served::new(&spec());
    (html.manifest, html.media_type) = (b"<html>log in</html>".to_vec(), "text/html".into());
    refused(html, "manifest", honest);
    refused(
        with_manifest(|manifest| manifest["layers"][1]["mediaType"] = "application/x-strange".into()),
        "type",
        honest,
    );
    refused(with_manifest(|manifest| manifest["layers"][1]["size"] = 7.into()), "bytes where", honest);
    refused(
        with_manifest(|manifest| manifest["layers"][1]["digest"] = "sha256:../../../etc/passwd".into()),
        "digest",
        honest,
    );
    refused(
        with_manifest(|manifest| drop(manifest["layers"].as_array_mut().unwrap().pop())),
        "layer",
        honest,
    );
    refused(with_manifest(|manifest| manifest["config"]["size"] = 5_000_000.into()), "limit", honest);
    refused(
        with_manifest(|manifest| {
            manifest["config"]["mediaType"] = "application/vnd.oci.empty.v1+json".into()
        }),
        "type",
        honest,
    );
}

#[test]
fn foreign_layers_are_refused_and_their_urls_not_followed() {
    let foreign = "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip";
    let trap = Server::start(|_, _| Reply::new(200, "trap"));
    let url = format!("http://{}/layer", trap.address());
    let served = with_manifest(move |manifest| {
        manifest["layers"][1]["mediaType"] = foreign.into();
        manifest["layers"][1]["urls"] = serde_json::json!([url]);
    });
    refused(served, "foreign layer", |served, request, _| served.honest(request));
    assert!(trap.seen().is_empty());
}

#[test]
fn a_wait_ends_at_once_when_it_is_interrupted() {
    let sandbox = Sandbox::new();
    let silent = Faulty::start(Served::new(&spec()), |served, request, _| match served.wants(request) {
        Wants::Manifest => Reply::new(200, "").claiming(100).falling_silent(),
        _ => served.honest(request),
    });
    let busy =
        Faulty::start(Served::new(&spec()), |_, _, _| Reply::new(503, "").header("Retry-After", "120"));
    for registry in [&silent, &busy] {
        let mut child = sandbox.dhow(["pull", "-q", &registry.name()]).spawn();
        eventually("it is asked", || !registry.seen_for(Wants::Manifest).is_empty());
        let began = Instant::now();
        let pid = rustix::process::Pid::from_child(&child);
        rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
        eventually("it ends", || child.try_wait().unwrap().is_some());
        assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
    }
}

#[test]
fn mirrors_are_asked_in_order_and_the_next_one_when_one_fails() {
    let sandbox = Sandbox::new();
    let good = Faulty::start(Served::new(&spec()), |served, request, _| served.honest(request));
    let half = Faulty::start(Served::new(&spec()), |served, request, _| match served.wants(request) {
        Wants::Layer(_) => Reply::new(404, ""),
        _ => served.honest(request),
    });
    let broken = Faulty::start(Served::new(&spec()), |_, _, _| Reply::new(500, ""));
    let conf = format!(
        "[[registry]]\nprefix = 'registry.invalid'\nlocation = 'registry.invalid'\n\
         [[registry.mirror]]\nlocation = '{}'\n[[registry.mirror]]\nlocation = '{}'\n\
         [[registry.mirror]]\nlocation = '{}'\n",
        broken.host(),
        half.host(),
        good.host()
    );
    let conf = sandbox.file("home/registries.conf", conf);
    pull(&sandbox, "registry.invalid/team/tool:v1").env("CONTAINERS_REGISTRIES_CONF", &conf).ok();
    assert_eq!(broken.seen_for(Wants::Manifest).len(), 4);
    assert_eq!(half.seen_for(Wants::Manifest).len(), 1);
    assert!(good.seen_for(Wants::Manifest).is_empty() && good.seen_for(BIG).len() == 1);
    let names = sandbox.dhow(["images", "--format", "{{.Repository}}"]).ok();
    assert_eq!(names.trim(), "registry.invalid/team/tool", "the mirror gives no name");
}

#[test]
fn proxies_of_the_environment_are_used_but_for_what_they_except() {
    let sandbox = Sandbox::new();
    // For a plain request a proxy is a server that is told the whole address.
    let proxy = Faulty::start(Served::new(&spec()), |served, request, _| match request.method.as_str() {
        "CONNECT" => Reply::new(403, ""),
        _ => served.honest(request),
    });
    let address = format!("http://{}", proxy.host());
    let name = "registry.invalid:5000/team/tool:v1";
    let through = |cmd: crate::kit::Cmd| cmd.env("http_proxy", &address).env("HTTPS_PROXY", &address);
    through(pull(&sandbox, name).arg("--tls-verify=false")).ok();
    assert!(proxy.seen_for(BIG)[0].path.starts_with("http://registry.invalid:5000/v2/team/tool/blobs/"));
    // Verified https goes through it too, and is never given up.
    let before = proxy.seen().len();
    let error = through(pull(&sandbox, "registry.invalid/team/tool:v1")).fails(125);
    assert!(error.contains("registry.invalid"), "{error}");
    assert!(proxy.seen()[before..].iter().all(|request| request.method == "CONNECT"));
    let before = proxy.seen().len();
    for except in ["registry.invalid", ".invalid", "*", "registry.invalid:5000"] {
        through(pull(&sandbox, name).arg("--tls-verify=false")).env("NO_PROXY", except).fails(125);
    }
    assert_eq!(proxy.seen().len(), before, "excepted hosts are asked themselves");
}
