//! `search` against a real registry's catalogue and a small server that speaks the search of version 1.

use std::io::{Read, Write};
use std::net::TcpListener;

use crate::kit::Sandbox;
use crate::kit::image::busybox;
use crate::kit::registry::Registry;

/// Answers every request with one page of results; gives its address. It ends with the test program.
fn searchable(results: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let host = listener.local_addr().unwrap().to_string();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            let mut request = [0; 4096];
            let _ = stream.read(&mut request);
            let answer = format!(
                "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{results}",
                results.len()
            );
            let _ = stream.write_all(answer.as_bytes());
        }
    });
    host
}

#[test]
fn the_catalogue_is_searched_where_a_registry_has_only_that() {
    let sandbox = Sandbox::new();
    let registry = Registry::start(&sandbox);
    let host = registry.host();
    for repository in ["team/tool", "team/other", "alone"] {
        registry.put(&busybox("x"), repository, "v1");
    }
    registry.put(&busybox("x"), "team/tool", "v2");
    assert_eq!(
        sandbox.line(&format!("search --format {{{{.Name}}}} {host}/tool")).ok(),
        format!("{host}/team/tool\n")
    );
    let all = sandbox.line(&format!("search {host}/")).ok();
    assert!(all.starts_with("NAME") && all.lines().count() == 4, "{all}");
    assert_eq!(
        sandbox.line(&format!("search --limit 1 --format {{{{.Index}}}} {host}/")).ok(),
        format!("{host}\n")
    );
    assert_eq!(sandbox.line(&format!("search {host}/nothing-like-it")).ok(), "");
    let tags = sandbox.line(&format!("search --list-tags --format json {host}/team/tool")).ok();
    let tags: serde_json::Value = serde_json::from_str(&tags).unwrap();
    assert_eq!(tags, serde_json::json!([{"Name": format!("{host}/team/tool"), "Tags": ["v1", "v2"]}]));
    assert_eq!(
        sandbox.line(&format!("search --list-tags --limit 1 {host}/team/tool")).ok().lines().count(),
        2
    );
    sandbox.line(&format!("search --list-tags {host}/team/none")).fails(125);
    // The registries of registries.conf are searched for a bare term; one that fails is a warning.
    let conf = sandbox
        .file("work/registries.conf", format!("unqualified-search-registries = ['127.0.0.1:1', '{host}']\n"));
    let found = sandbox
        .line("search --format {{.Name}} --retry 0 tool")
        .env("CONTAINERS_REGISTRIES_CONF", conf)
        .run();
    assert_eq!(found.stdout(), format!("{host}/team/tool\n"));
    assert!(found.stderr().contains("127.0.0.1:1"), "{}", found.stderr());
    sandbox.line("search --retry 0 127.0.0.1:1/tool").fails(125);
}

#[test]
fn results_are_filtered_cut_and_shown_harmless() {
    let host = searchable(
        r#"{"results":[{"name":"library/star","description":"a long description that goes on and on and on and on","star_count":9,"is_official":true},
        {"name":"evil","description":"\u001b[2J\nx","star_count":1,"is_automated":true},{"name":"null","description":null}]}"#,
    );
    let sandbox = Sandbox::new();
    let search = |words: &str| sandbox.line(&format!("search {words} {host}/x")).ok();
    let names = |filter: &str| search(&format!("--filter {filter} --format {{{{.Name}}}}"));
    assert_eq!(names("stars=2"), format!("{host}/library/star\n"));
    assert_eq!(names("is-official=true"), format!("{host}/library/star\n"));
    assert_eq!(names("is-automated"), format!("{host}/evil\n"));
    assert_eq!(names("is-official=false").lines().count(), 2);
    let table = search("--compatible");
    assert!(table.contains("STARS") && table.contains("[OK]") && table.contains("..."), "{table}");
    assert!(!table.contains('\u{1b}') && table.lines().count() == 4, "{table}");
    assert!(search("--no-trunc").contains("on and on and on and on"));
    let all: serde_json::Value = serde_json::from_str(&search("--format json")).unwrap();
    assert_eq!(all[0]["Stars"], 9);
    assert_eq!(all[0]["Index"], host);
    for bad in ["--filter nonsense=1", "--filter stars=many", "--limit 1000", "--list-tags --filter stars=1"]
    {
        sandbox.line(&format!("search {bad} {host}/x")).fails(125);
    }
}
