//! Uploads to the real registry, and to ones that are difficult.

use std::io::Cursor;

use super::real::{Registry, With};
use super::server::{Reply, Server};
use super::*;
use crate::registry::{Growing, Grown, Pushed, manifest};

/// Bytes that are at hand, as if they were being made.
impl Growing for Cursor<&[u8]> {
    fn finish(self: Box<Self>) -> Result<(Digest, u64)> {
        let bytes = self.into_inner();
        Ok((Digest::of(bytes), bytes.len() as u64))
    }
}

#[test]
fn what_is_pushed_can_be_pulled_and_is_not_sent_twice() {
    let registry = Registry::start(With::Passwords);
    let (client, reference) = (with_creds("me:secret"), registry.reference("x/y:1"));
    let layer: Vec<u8> = (0..5_000_000u32).flat_map(u32::to_le_bytes).collect();
    let digest = Digest::of(&layer);
    let open = || -> Result<Box<dyn Read + Send + '_>> { Ok(Box::new(&layer[..])) };
    let push = |to: &Reference, from: &[String]| {
        client.push_blob(to, &digest, layer.len() as u64, from, &open).unwrap()
    };
    assert_eq!(push(&reference, &[]), Pushed::Uploaded);
    assert_eq!(push(&reference, &[]), Pushed::Present);
    let other = registry.reference("other:1");
    assert_eq!(push(&other, &["x/y".to_owned()]), Pushed::Mounted);
    assert_eq!(read_blob(&client, &other, &layer).unwrap(), layer);

    let streamed: Vec<u8> = layer.iter().map(|byte| byte ^ 1).collect();
    let config = b"{}";
    for bytes in [&streamed[..], config] {
        let grown = client.push_stream(&reference, None, &[], &|| Ok(Box::new(Cursor::new(bytes)))).unwrap();
        assert_eq!(grown, Grown::Uploaded(Digest::of(bytes), bytes.len() as u64));
    }
    let third = registry.reference("third:1");
    let known = Digest::of(&streamed);
    let mounted =
        client.push_stream(&third, Some(&known), &["x/y".to_owned()], &|| panic!("nothing is made"));
    assert_eq!(mounted.unwrap(), Grown::Mounted);
    assert_eq!(client.has_blob(&reference, &Digest::of(&streamed)).unwrap(), Some(streamed.len() as u64));
    assert_eq!(client.has_blob(&reference, &Digest::of(b"no")).unwrap(), None);

    let text = format!(
        r#"{{"schemaVersion":2,"mediaType":"{}","config":{{"mediaType":"{}","digest":"{}","size":2}},"layers":[{{"mediaType":"application/vnd.oci.image.layer.v1.tar","digest":"{digest}","size":{}}}]}}"#,
        manifest::OCI_MANIFEST,
        manifest::OCI_CONFIG,
        Digest::of(config),
        layer.len()
    );
    let stored = client.push_manifest(&reference, text.as_bytes(), manifest::OCI_MANIFEST).unwrap();
    assert_eq!(client.manifest(&reference).unwrap().digest, stored);
    client.delete_manifest(&reference, &stored).unwrap();
    assert_eq!(client.head(&reference).unwrap(), None);
}

#[test]
fn a_source_that_is_too_short_is_an_error() {
    let registry = Registry::start(With::Nothing);
    let open = || -> Result<Box<dyn Read + Send>> { Ok(Box::new(&b"short"[..])) };
    let pushed = client().push_blob(&registry.reference("x:1"), &Digest::of(b"longer"), 6, &[], &open);
    assert!(pushed.is_err());
}

#[test]
fn uploads_elsewhere_get_no_credentials_and_begin_again_when_lost() {
    let content = b"content";
    let elsewhere = Server::start(move |request, before| {
        assert_eq!(request.body, content);
        if before == 0 { Reply::new(416, "") } else { Reply::new(201, "") }
    });
    let target = format!("http://{}/upload?state=1", elsewhere.address());
    let server =
        Server::start(move |request, _| match (request.header("authorization"), request.method.as_str()) {
            (None, _) => Reply::new(401, "").header("WWW-Authenticate", "Basic realm=\"x\""),
            (_, "HEAD") => Reply::new(404, ""),
            _ => Reply::new(202, "").header("Location", target.clone()),
        });
    let reference = Reference::parse(&format!("{}/a:1", server.address())).unwrap();
    let open = || -> Result<Box<dyn Read + Send>> { Ok(Box::new(&content[..])) };
    let pushed = with_creds("me:secret").push_blob(&reference, &Digest::of(content), 7, &[], &open).unwrap();
    assert_eq!(pushed, Pushed::Uploaded);
    let seen = elsewhere.seen();
    assert_eq!(seen.len(), 2);
    assert!(
        seen.iter()
            .all(|seen| seen.header("authorization").is_none() && seen.path.contains("digest=sha256:"))
    );
}

#[test]
fn a_chunk_that_arrived_in_part_is_completed_not_repeated() {
    // A registry that takes 1,000 bytes of the first chunk, then breaks off.
    let held = std::sync::Mutex::new(Vec::new());
    let server = Server::start(move |request, _| {
        let mut held = held.lock().unwrap();
        let at = |status: u16, held: &[u8]| {
            let last = held.len().saturating_sub(1);
            Reply::new(status, "")
                .header("Location", "/v2/a/blobs/uploads/1")
                .header("Range", format!("0-{last}"))
        };
        match request.method.as_str() {
            "POST" => at(202, &held),
            "GET" => at(204, &held),
            "PATCH" if request.header("content-range").unwrap().starts_with(&format!("{}-", held.len())) => {
                let part = if held.is_empty() { &request.body[..1000] } else { &request.body[..] };
                held.extend(part);
                if held.len() == 1000 { at(202, &held).unanswered() } else { at(202, &held) }
            }
            "PATCH" => Reply::new(416, ""),
            "PUT" => Reply::new(if request.path.contains(Digest::of(&held).hex()) { 201 } else { 400 }, ""),
            _ => Reply::new(404, ""),
        }
    });
    let content: Vec<u8> = (0..3_000_000u32).flat_map(u32::to_le_bytes).collect();
    let reference = Reference::parse(&format!("{}/a:1", server.address())).unwrap();
    let grown =
        client().push_stream(&reference, None, &[], &|| Ok(Box::new(Cursor::new(&content[..])))).unwrap();
    assert_eq!(grown, Grown::Uploaded(Digest::of(&content), content.len() as u64));
    assert_eq!(server.seen().iter().filter(|seen| seen.method == "POST").count(), 1);
}
