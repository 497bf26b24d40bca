//! Uploads to the real registry, and to ones that are difficult.

use std::io::Cursor;

use super::real::{Registry, With};
use super::server::{Reply, Server};
use super::*;
use crate::registry::{Pushed, manifest};

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
    client.push_stream(&reference, &mut Cursor::new(&streamed), &|| Ok(Digest::of(&streamed))).unwrap();
    client.push_stream(&reference, &mut Cursor::new(config), &|| Ok(Digest::of(config))).unwrap();
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
