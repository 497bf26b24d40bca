//! Every flag in every form in which it may be written.

use clap::Parser;

use super::*;

#[derive(Debug, Parser)]
#[command(args_override_self = true)]
struct Tool {
    #[command(flatten)]
    flags: CreateFlags,
}

fn parse(line: &[&str]) -> Result<CreateOptions, clap::Error> {
    let words = ["create"].iter().chain(line);
    Ok(Tool::try_parse_from(words)?.flags.options().unwrap())
}

fn options(line: &[&str]) -> CreateOptions {
    parse(line).unwrap_or_else(|error| panic!("{line:?}: {error}"))
}

#[test]
fn every_value_flag_takes_a_word_or_an_equals_sign() {
    let tree = <Tool as clap::CommandFactory>::command();
    let sample = |name: &str| match name {
        "pull" => "always",
        "retry"
        | "timeout"
        | "cpu-shares"
        | "cpu-period"
        | "cpu-rt-period"
        | "health-retries"
        | "health-startup-retries"
        | "health-startup-success"
        | "health-max-log-count"
        | "health-max-log-size" => "3",
        "stop-timeout" | "oom-score-adj" | "pids-limit" | "cpu-quota" | "cpu-rt-runtime"
        | "memory-swappiness" | "memory-swap" => "-1",
        "tls-verify" | "http-proxy" | "read-only-tmpfs" => "false",
        "entrypoint" | "health-cmd" => "-x",
        "runtime" => "dhow",
        _ => "a=b",
    };
    for arg in tree.get_arguments().filter(|arg| arg.get_long().is_some() && arg.get_long() != Some("help")) {
        let long = arg.get_long().unwrap();
        let value = sample(long);
        if !arg.get_action().takes_values() {
            parse(&[&format!("--{long}"), "image"]).unwrap();
            continue;
        }
        parse(&[&format!("--{long}={value}"), "image"]).unwrap_or_else(|error| panic!("{long}: {error}"));
        if !arg.is_require_equals_set() {
            let words = [format!("--{long}"), value.to_owned(), "image".to_owned()];
            let found =
                parse(&words.each_ref().map(String::as_str)).unwrap_or_else(|e| panic!("{long}: {e}"));
            assert_eq!(found.image, "image", "{long}");
        }
    }
}

#[test]
fn every_field_is_filled_by_its_flag() {
    let found = options(&[
        "-it",
        "-eA=1",
        "-e",
        "B",
        "-w/x",
        "-uroot:0",
        "-lk=v",
        "-v",
        "/a:/b",
        "-p",
        "80:80,81:81",
        "-P",
        "-hbox",
        "-m",
        "1g",
        "-c",
        "512",
        "-a",
        "stdin,stdout",
        "-q",
        "--net",
        "none",
        "--dns-opt",
        "ndots:1",
        "--cap-add",
        "a,b",
        "--cap-add=c",
        "--timezone",
        "UTC",
        "--tls-verify=false",
        "--http-proxy=0",
        "--read-only-tmpfs",
        "--systemd",
        "--entrypoint=",
        "--pull",
        "true",
        "image:tag",
        "cmd",
        "--rm",
        "-x",
        "--",
        "y",
    ]);
    assert!(found.interactive && found.tty && found.publish_all && found.quiet && !found.rm);
    assert_eq!(found.env, ["A=1", "B"]);
    assert_eq!((found.workdir.as_deref(), found.user.as_deref()), (Some("/x"), Some("root:0")));
    assert_eq!((found.label, found.volume), (vec!["k=v".to_owned()], vec!["/a:/b".to_owned()]));
    assert_eq!(found.publish, ["80:80", "81:81"]);
    assert_eq!((found.hostname.as_deref(), found.memory.as_deref()), (Some("box"), Some("1g")));
    assert_eq!((found.cpu_shares, found.attach.len()), (Some(512), 2));
    assert_eq!((found.network, found.dns_option), (vec!["none".to_owned()], vec!["ndots:1".to_owned()]));
    assert_eq!(found.cap_add, ["a", "b", "c"]);
    assert_eq!(
        (found.tz.as_deref(), found.tls_verify, found.http_proxy),
        (Some("UTC"), Some(false), Some(false))
    );
    assert_eq!((found.read_only_tmpfs, found.systemd.as_deref()), (Some(true), Some("true")));
    assert_eq!((found.entrypoint.as_deref(), found.pull.as_deref()), (Some(""), Some("always")));
    assert_eq!(
        (found.image.as_str(), found.command),
        ("image:tag", ["cmd", "--rm", "-x", "--", "y"].map(String::from).to_vec())
    );
}

#[test]
fn what_follows_the_image_is_the_containers() {
    assert_eq!(options(&["--rm", "image", "--rm", "--nonsense"]).command, ["--rm", "--nonsense"]);
    assert_eq!(options(&["--", "image", "-x"]).command, ["-x"]);
    assert!(parse(&["--nonsense", "image"]).is_err() && parse(&["--rm"]).is_err());
    assert_eq!(options(&["--name=a", "--name=b", "image"]).name.as_deref(), Some("b"));
}
