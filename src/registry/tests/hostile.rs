//! Servers that lie, break, wander off or ask too much.

use std::time::Duration;

use super::server::{Reply, Seen, Server};
use super::*;
use crate::base::error::hints_of;
use crate::registry::manifest;

const BIG: usize = 3 << 20;

fn reference(server: &Server) -> Reference {
    Reference::parse(&format!("{}/a/b:v1", server.address())).unwrap()
}

fn content() -> Vec<u8> {
    (0..BIG as u32).map(|n| (n % 251) as u8).collect()
}

fn image() -> Vec<u8> {
    let digest = Digest::of(b"{}");
    format!(
        r#"{{"schemaVersion":2,"mediaType":"{}","config":{{"mediaType":"{}","digest":"{digest}","size":2}},"layers":[]}}"#,
        manifest::OCI_MANIFEST,
        manifest::OCI_CONFIG
    )
    .into_bytes()
}

fn manifest_reply() -> Reply {
    Reply::new(200, image()).header("Content-Type", manifest::OCI_MANIFEST)
}

/// Pulls the blob `content()` from a server and gives back what came or what was said.
fn pull(
    answer: impl Fn(&Seen, usize) -> Reply + Send + Sync + 'static,
) -> (Result<Vec<u8>, String>, Vec<Seen>) {
    let server = Server::start(answer);
    let got = read_blob(&client(), &reference(&server), &content());
    (got.map_err(|error| say(&error)), server.seen())
}

#[test]
fn wrong_content_is_refused() {
    let (got, seen) = pull(|_, _| {
        let mut body = content();
        body[77] ^= 1;
        Reply::new(200, body)
    });
    assert!(got.unwrap_err().contains("wrong content"));
    assert_eq!(seen.len(), 1);
}

#[test]
fn wrong_lengths_are_refused() {
    let (longer, _) = pull(|_, _| Reply::new(200, [content(), vec![0]].concat()));
    assert!(longer.unwrap_err().contains("bytes where"));
    let (shorter, _) = pull(|_, _| Reply::new(200, &content()[..BIG - 1]));
    assert!(shorter.unwrap_err().contains("bytes where"));
}

#[test]
fn a_broken_download_goes_on_where_it_stopped() {
    for reset in [false, true] {
        let (got, seen) = pull(move |request, _| {
            let (all, from) = (content(), request.range().unwrap_or(0));
            let until = (from + BIG / 3 + 1).min(BIG);
            let reply = match from {
                0 => Reply::new(200, &all[..until]).claiming(BIG),
                _ => Reply::new(206, &all[from..until])
                    .header("Content-Range", format!("bytes {from}-{}/{BIG}", BIG - 1))
                    .claiming(BIG - from),
            };
            if reset && until < BIG { reply.resetting() } else { reply }
        });
        assert_eq!(got.unwrap(), content());
        assert!(seen.len() >= 3 && seen[1].range().is_some_and(|from| from > 0), "{seen:?}");
    }
}

#[test]
fn servers_that_stand_still_or_drip_are_left_and_come_back_to() {
    let hasty = || Client::new(ClientOptions { patience: Duration::from_millis(300), ..options() });
    let rest = |from: usize| {
        Reply::new(206, &content()[from..]).header("Content-Range", format!("bytes {from}-{}/{BIG}", BIG - 1))
    };
    let half = || Reply::new(200, &content()[..BIG / 2]).claiming(BIG);
    let silent = Server::start(move |request, _| match request.range() {
        None => half().falling_silent(),
        Some(from) => rest(from),
    });
    let dripping = Server::start(move |request, _| match request.range() {
        None => Reply::new(200, content()).dripping(1, Duration::from_millis(20)),
        Some(from) => rest(from),
    });
    for server in [&silent, &dripping] {
        assert_eq!(read_blob(&hasty(), &reference(server), &content()).unwrap(), content());
        assert_eq!(server.seen().len(), 2, "{:?}", server.seen());
    }
    let always = Server::start(move |request, _| match request.range() {
        None => Reply::new(200, content()).dripping(1, Duration::from_millis(20)),
        Some(from) => rest(from).dripping(1, Duration::from_millis(20)),
    });
    let error = read_blob(&hasty(), &reference(&always), &content()).unwrap_err();
    assert!(say(&error).contains("bytes a second"), "{}", say(&error));
    assert_eq!(always.seen().len(), 4);
    let documents = Server::start(|_, _| manifest_reply().dripping(1, Duration::from_millis(20)));
    let error = hasty().manifest(&reference(&documents)).unwrap_err();
    assert!(say(&error).contains("bytes a second"), "{}", say(&error));
}

#[test]
fn a_server_that_ignores_ranges_is_read_from_the_start() {
    let (got, seen) = pull(|_, before| {
        if before == 0 {
            Reply::new(200, &content()[..BIG / 2]).claiming(BIG)
        } else {
            Reply::new(200, content())
        }
    });
    assert_eq!(got.unwrap(), content());
    assert_eq!(seen.len(), 2);
}

#[test]
fn a_wrong_range_is_not_believed_and_the_whole_is_asked_for() {
    for range in ["bytes 5-9/10", "", "bytes 0-3145727/3145728", "nonsense"] {
        let (got, seen) = pull(move |request, before| match request.range() {
            None if before == 0 => Reply::new(200, &content()[..BIG / 2]).claiming(BIG),
            None => Reply::new(200, content()),
            Some(from) => Reply::new(206, &content()[from..]).header("Content-Range", range),
        });
        assert_eq!(got.unwrap(), content(), "{range}");
        assert_eq!(seen.len(), 3);
    }
    let (got, _) = pull(|_, _| Reply::new(206, content()).header("Content-Range", "bytes 0-3145727/3145728"));
    assert!(got.unwrap_err().contains("the whole was asked for"));
}

#[test]
fn a_download_that_never_ends_well_gives_up() {
    let (got, seen) = pull(|_, before| {
        if before == 0 { Reply::new(200, &content()[..1000]).claiming(BIG) } else { Reply::new(500, "") }
    });
    let said = got.unwrap_err();
    assert!(said.contains("500"), "{said}");
    assert!(seen.len() < 12, "{}", seen.len());
}

#[test]
fn too_many_requests_and_server_errors_are_tried_again() {
    for status in [429, 500, 502, 503] {
        let server = Server::start(move |_, before| match before {
            0..3 => Reply::new(status, "busy").header("Retry-After", "0"),
            _ => manifest_reply(),
        });
        assert!(client().manifest(&reference(&server)).is_ok(), "{status}");
        assert_eq!(server.seen().len(), 4);
    }
    let server = Server::start(|_, _| {
        let body = r#"{"errors":[{"code":"TOOMANYREQUESTS","message":"slow \u001b[31mdown"}]}"#;
        Reply::new(429, body).header("Retry-After", "99999").header("RateLimit-Limit", "100;w=21600")
    });
    let error = client().manifest(&reference(&server)).unwrap_err();
    assert_eq!(server.seen().len(), 1);
    assert!(
        say(&error).contains("100;w=21600") && say(&error).contains("slow \\u{1b}[31mdown"),
        "{}",
        say(&error)
    );
    assert!(hints_of(&error)[0].contains("99999"));
}

#[test]
fn a_loop_of_401_ends() {
    let server = Server::start(|_, _| Reply::new(401, "").header("WWW-Authenticate", "Basic realm=\"x\""));
    let error = with_creds("me:secret").manifest(&reference(&server)).unwrap_err();
    assert!(say(&error).contains("401"));
    assert_eq!(server.seen().len(), 2);
    assert!(server.seen()[1].header("authorization").is_some());
}

#[test]
fn tokens_are_fetched_once_and_renewed_when_they_end() {
    let server = Server::start(|request, before| {
        if request.path.starts_with("/token") {
            assert_eq!(request.header("authorization"), Some("Basic bWU6c2VjcmV0"));
            assert!(
                request.path.contains("scope=repository:a/b:pull") && request.path.contains("service=s%20p")
            );
            return Reply::new(200, format!(r#"{{"access_token":"t{before}","expires_in":300}}"#));
        }
        // Each token is good until the fifth request.
        let good = request.header("authorization").is_some_and(|value| before < 5 || value == "Bearer t6");
        let challenge = r#"Bearer realm="/token",service="s p",scope="other""#;
        if good { manifest_reply() } else { Reply::new(401, "").header("WWW-Authenticate", challenge) }
    });
    let (client, reference) = (with_creds("me:secret"), reference(&server));
    for _ in 0..4 {
        client.manifest(&reference).unwrap();
    }
    assert_eq!(server.seen().iter().filter(|seen| seen.path.starts_with("/token")).count(), 2);
}

#[test]
fn credentials_do_not_follow_a_redirect_to_another_host() {
    let elsewhere = Server::start(|_, _| Reply::new(200, content()));
    let target = format!("http://{}/blob?sig=x", elsewhere.address());
    let server = Server::start(move |request, _| match request.header("authorization") {
        None => Reply::new(401, "").header("WWW-Authenticate", "Basic realm=\"x\""),
        Some(_) => Reply::new(307, "").header("Location", target.clone()),
    });
    assert_eq!(read_blob(&with_creds("me:secret"), &reference(&server), &content()).unwrap(), content());
    assert_eq!(elsewhere.seen().len(), 1);
    assert_eq!(elsewhere.seen()[0].header("authorization"), None);
}

#[test]
fn redirects_end_and_stay_off_plain_http_of_others() {
    let server = Server::start(|request, _| Reply::new(302, "").header("Location", request.path.clone()));
    assert!(say(&client().manifest(&reference(&server)).unwrap_err()).contains("too often"));
    let server = Server::start(|_, _| Reply::new(302, "").header("Location", "http://registry.invalid/x"));
    assert!(say(&client().manifest(&reference(&server)).unwrap_err()).contains("plain http"));
}

#[test]
fn a_token_server_elsewhere_in_plain_http_gets_no_password() {
    let server = Server::start(|_, _| {
        Reply::new(401, "").header("WWW-Authenticate", "Bearer realm=\"http://token.invalid/t\"")
    });
    let error = with_creds("me:secret").manifest(&reference(&server)).unwrap_err();
    assert!(say(&error).contains("plain http"), "{}", say(&error));
}

#[test]
fn a_refused_token_tells_what_the_server_says() {
    let server = Server::start(|request, _| match request.path.starts_with("/token") {
        true => Reply::new(401, r#"{"details":"incorrect username or password"}"#),
        false => Reply::new(401, "").header("WWW-Authenticate", "Bearer realm=\"/token\""),
    });
    let error = with_creds("me:hidden").manifest(&reference(&server)).unwrap_err();
    assert!(say(&error).contains("incorrect username or password") && !say(&error).contains("hidden"));
}

#[test]
fn huge_documents_are_refused() {
    let server = Server::start(|request, _| match request.path.starts_with("/token") {
        true => Reply::new(200, vec![b' '; 2 << 20]),
        false if request.path.contains("big") => Reply::new(200, vec![b' '; 5 << 20]),
        false => Reply::new(401, "").header("WWW-Authenticate", "Bearer realm=\"/token\""),
    });
    let big = reference(&server).with_tag("big").unwrap();
    assert!(say(&client().manifest(&big).unwrap_err()).contains("limit"));
    assert!(say(&client().manifest(&reference(&server)).unwrap_err()).contains("limit"));
}

#[test]
fn lying_manifests_are_refused() {
    let other = Digest::of(b"other");
    let stated = other.clone();
    let server = Server::start(move |request, _| match request.path.rsplit('/').next() {
        Some("header") => manifest_reply().header("Docker-Content-Digest", stated.as_str()),
        Some("schema1") => Reply::new(200, r#"{"schemaVersion":1,"fsLayers":[]}"#),
        Some("confused") => Reply::new(200, image()).header("Content-Type", manifest::OCI_INDEX),
        Some("deep") => Reply::new(200, "[".repeat(1 << 20)),
        Some("html") => Reply::new(200, "<html>").header("Content-Type", "text/html"),
        _ => manifest_reply(),
    });
    for (tag, words) in [
        ("header", "the registry states"),
        ("schema1", "schema 1"),
        ("confused", "was served as"),
        ("deep", "parse manifest"),
        ("html", "parse manifest"),
    ] {
        let error = client().manifest(&reference(&server).with_tag(tag).unwrap()).unwrap_err();
        assert!(say(&error).contains(words), "{tag}: {}", say(&error));
    }
    let pinned = reference(&server).with_digest(&other);
    assert!(say(&client().manifest(&pinned).unwrap_err()).contains("the reference names"));
}

#[test]
fn tag_lists_are_followed_but_not_away() {
    let server = Server::start(|request, _| match request.path.as_str() {
        path if path.contains("last=t2") => Reply::new(200, r#"{"tags":["t3"]}"#),
        path if path.contains("last=away") => {
            Reply::new(200, r#"{"tags":[]}"#).header("Link", "<http://x.invalid/>; rel=\"next\"")
        }
        path if path.starts_with("/v2/a/c") => {
            Reply::new(200, r#"{"tags":null}"#).header("Link", "</v2/a/c/tags/list?last=away>; rel=\"next\"")
        }
        _ => Reply::new(200, r#"{"tags":["t1","t2"]}"#)
            .header("Link", "</v2/a/b/tags/list?n=2&last=t2>; rel=\"next\""),
    });
    assert_eq!(client().tags(&reference(&server)).unwrap(), ["t1", "t2", "t3"]);
    let away = Reference::parse(&format!("{}/a/c", server.address())).unwrap();
    assert!(say(&client().tags(&away).unwrap_err()).contains("another host"));
}

#[test]
#[ignore = "measures, and proves nothing"]
fn speed_of_a_blob_on_loopback() {
    const SIZE: usize = 1 << 30;
    let content = vec![7u8; SIZE];
    let digest = Digest::of(&content);
    let server = Server::start(move |_, _| Reply::new(200, content.clone()));
    let mut blob = client().blob(&reference(&server), &digest, SIZE as u64).unwrap();
    // Processor time of this thread: what the client costs, whatever else the machine does.
    let spent = || {
        let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
        time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
    };
    let started = spent();
    let mut buffer = vec![0u8; 256 << 10];
    while blob.read(&mut buffer).unwrap() > 0 {}
    let read = spent();
    assert_eq!(Digest::of(&vec![7u8; SIZE]), digest);
    let (read, hash) = (read - started, spent() - read);
    println!(
        "{:.2} GB/s, of which hashing alone {:.2} GB/s",
        SIZE as f64 / 1e9 / read,
        SIZE as f64 / 1e9 / hash
    );
}
