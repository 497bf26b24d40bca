//! The command line itself: names, help, words that are wrong, global options and the environment.

use std::os::unix::fs::symlink;
use std::path::PathBuf;

use crate::kit::sandbox::binary;
use crate::kit::{Cmd, Sandbox};

/// The binary under another name.
fn called(sandbox: &Sandbox, name: &str) -> PathBuf {
    let link = sandbox.path("tmp").join(name);
    symlink(binary(), &link).unwrap();
    link
}

/// The commands that a help page lists.
fn listed(page: &str) -> Vec<String> {
    let section =
        page.split("Commands:\n").nth(1).unwrap_or_default().split("\n\n").next().unwrap_or_default();
    let indented = |line: &&str| line.starts_with("  ") && !line.starts_with("   ");
    section
        .lines()
        .filter(indented)
        .filter_map(|line| line.split_whitespace().next())
        .map(str::to_owned)
        .collect()
}

/// Every command, as the words that call it, found by reading the help.
fn every_command(sandbox: &Sandbox) -> Vec<Vec<String>> {
    let mut found = Vec::new();
    let mut waiting = vec![Vec::new()];
    while let Some(words) = waiting.pop() {
        let page = sandbox.dhow(&words).arg("--help").ok();
        for name in listed(&page) {
            waiting.push([words.clone(), vec![name]].concat());
        }
        found.push(words);
    }
    found
}

#[test]
fn every_command_has_a_help_page_on_stdout() {
    let sandbox = Sandbox::new();
    let commands = every_command(&sandbox);
    assert!(commands.len() > 60, "{commands:?}");
    for words in commands {
        let outcome = sandbox.dhow(&words).arg("--help").run();
        assert_eq!(outcome.status, 0, "{outcome}");
        assert!(outcome.stdout().contains("Usage: dhow"), "{outcome}");
        assert_eq!(outcome.stderr(), "", "{outcome}");
    }
}

#[test]
fn both_spellings_take_the_same_options() {
    let sandbox = Sandbox::new();
    for (short, long) in [
        ("run", "container run"),
        ("ps", "container ls"),
        ("rm", "container rm"),
        ("exec", "container exec"),
        ("pull", "image pull"),
        ("images", "image ls"),
        ("rmi", "image rm"),
        ("history", "image history"),
    ] {
        let options = |words: &str| {
            let page = sandbox.line(words).arg("--help").ok();
            page.split("Options:").nth(1).unwrap().to_owned()
        };
        assert_eq!(options(short), options(long), "{short} and {long}");
    }
}

#[test]
fn help_is_a_word_too() {
    let sandbox = Sandbox::new();
    assert_eq!(sandbox.line("help").ok(), sandbox.line("--help").ok());
    assert_eq!(sandbox.line("help run").ok(), sandbox.line("run --help").ok());
    assert_eq!(sandbox.line("help volume create").ok(), sandbox.line("volume create --help").ok());
}

#[test]
fn a_group_without_a_command_shows_its_help() {
    let sandbox = Sandbox::new();
    for group in ["", "container", "image", "volume"] {
        let outcome = sandbox.line(group).run();
        assert_eq!(outcome.status, 0, "{outcome}");
        assert!(outcome.stdout().contains("Commands:"), "{outcome}");
    }
}

#[test]
fn the_usage_of_run_reads_as_people_write_it() {
    let page = Sandbox::new().line("run --help").ok();
    assert!(page.contains("Usage: dhow run [OPTIONS] IMAGE [COMMAND [ARG]...]\n"), "{page}");
}

#[test]
fn a_link_named_docker_or_podman_behaves_as_dhow() {
    let sandbox = Sandbox::new();
    for name in ["docker", "podman"] {
        let link = called(&sandbox, name);
        let run = |words: &str| Cmd::new(&link, sandbox.environment()).args(words.split_whitespace());
        assert!(run("--version").ok().starts_with("dhow version "), "{name}");
        assert!(run("run --help").ok().contains(&format!("Usage: {name} run")), "{name}");
        assert!(run("run --rm dhow-hello").ok().starts_with("Hello from dhow!"), "{name}");
        assert!(run("ps").ok().starts_with("CONTAINER ID"), "{name}");
        assert!(run("frobnicate").fails(125).contains(&format!("{name} --help")), "{name}");
    }
}

#[test]
fn version_says_what_it_is_three_ways() {
    let sandbox = Sandbox::new();
    let version = format!("dhow version {}\n", env!("CARGO_PKG_VERSION"));
    assert_eq!(sandbox.line("--version").ok(), version);
    assert_eq!(sandbox.line("-v").ok(), version);
    assert!(sandbox.line("version").ok().contains(env!("CARGO_PKG_VERSION")));
    let json: serde_json::Value = serde_json::from_str(&sandbox.line("version --format json").ok()).unwrap();
    assert_eq!(json["Client"]["Version"], env!("CARGO_PKG_VERSION"));
}

#[test]
fn a_wrong_command_is_125_with_a_suggestion() {
    let sandbox = Sandbox::new();
    let said = sandbox.line("imagse").fails(125);
    assert!(said.starts_with("Error: ") && said.contains("`imagse`") && said.contains("`images`"), "{said}");
    let said = sandbox.line("volume creat").fails(125);
    assert!(said.contains("`create`"), "{said}");
}

#[test]
fn a_wrong_flag_is_125_with_a_suggestion_and_nothing_on_stdout() {
    let outcome = Sandbox::new().line("run --entrypont sh dhow-hello").run();
    assert_eq!(outcome.status, 125, "{outcome}");
    assert!(outcome.stderr().contains("`--entrypont`"), "{outcome}");
    assert!(outcome.stderr().contains("`--entrypoint`"), "{outcome}");
    assert_eq!(outcome.stdout(), "", "{outcome}");
}

#[test]
fn a_missing_argument_is_named() {
    let sandbox = Sandbox::new();
    assert!(sandbox.line("run").fails(125).contains("IMAGE"));
    assert!(sandbox.line("tag dhow-hello").fails(125).contains("NAME"));
}

#[test]
fn words_of_a_swarm_are_answered_with_what_there_is() {
    let sandbox = Sandbox::new();
    assert!(sandbox.line("swarm init").fails(125).contains("Kubernetes"));
    assert!(sandbox.line("service create --name x y").fails(125).contains("dhow run -d --restart always"));
    assert!(sandbox.line("container mount x").fails(125).contains("dhow cp"));
    assert!(sandbox.line("stack deploy x").fails(125).contains("swarm"));
    assert!(sandbox.line("-H tcp://1.2.3.4 ps").fails(125).contains("no daemon"));
    assert!(sandbox.line("--context other ps").fails(125).contains("no daemon"));
}

#[test]
fn switches_take_values_as_in_go() {
    let sandbox = Sandbox::new();
    sandbox.line("run --rm=true --read-only=false dhow-hello").ok();
    assert_eq!(sandbox.line("ps -aq").ok(), "");
    sandbox.line("run --rm=false --name kept dhow-hello").ok();
    assert!(sandbox.line("ps -a --format {{.Names}}").ok().contains("kept"));
}

#[test]
fn root_and_runroot_choose_the_store() {
    let sandbox = Sandbox::new();
    let (root, run) = (sandbox.path("other-root"), sandbox.path("other-run"));
    let roots = |words: &str| {
        sandbox.dhow(["--root"]).arg(&root).arg("--runroot").arg(&run).args(words.split_whitespace())
    };
    roots("volume create here").ok();
    assert_eq!(roots("volume ls -q").ok(), "here\n");
    assert_eq!(sandbox.line("volume ls -q").ok(), "");
    assert!(root.join("volumes").is_dir());
    // The environment says the same, and a flag wins over it.
    assert_eq!(sandbox.line("volume ls -q").env("DHOW_ROOT", &root).env("DHOW_RUNROOT", &run).ok(), "here\n");
    let flag = sandbox.dhow(["--root"]).arg(sandbox.root()).args(["volume", "ls", "-q"]);
    assert_eq!(flag.env("DHOW_ROOT", &root).ok(), "");
}

#[test]
fn the_storage_driver_is_chosen_by_flag_or_environment() {
    let sandbox = Sandbox::new();
    let driver =
        |cmd: Cmd| cmd.args(["info", "--format", "{{.Store.GraphDriverName}}"]).ok().trim().to_owned();
    let (one, two) = (sandbox.path("one"), sandbox.path("two"));
    assert_eq!(driver(sandbox.dhow(["--storage-driver", "vfs", "--root"]).arg(&one)), "vfs");
    assert_eq!(driver(sandbox.dhow(["--root"]).arg(&two).env("DHOW_STORAGE_DRIVER", "vfs")), "vfs");
    let said = sandbox.line("--storage-driver aufs info").fails(125);
    assert!(said.contains("aufs") && said.contains("overlay"), "{said}");
}

#[test]
fn a_wrong_value_of_a_global_option_lists_the_right_ones() {
    let sandbox = Sandbox::new();
    assert!(sandbox.line("--cgroup-manager other ps").fails(125).contains("cgroupfs"));
    assert!(sandbox.line("--log-level loud ps").fails(125).contains("debug"));
    assert!(sandbox.line("--runtime runc ps").fails(125).contains("runc"));
}

#[test]
fn log_level_debug_talks_on_stderr_only() {
    let sandbox = Sandbox::new();
    let quiet = sandbox.line("ps").run();
    let loud = sandbox.line("--log-level debug ps").run();
    assert_eq!(quiet.stdout(), loud.stdout());
    assert_eq!(quiet.stderr(), "");
}

#[test]
fn containers_conf_gives_defaults_that_flags_override() {
    let sandbox = Sandbox::with_busybox();
    let conf = sandbox.file(
        "work/containers.conf",
        "[containers]\nenv = [\"FROM_CONF=yes\"]\ndefault_ulimits = [\"nofile=321:654\"]\numask = \"0027\"\n",
    );
    let run = |words: &str| {
        sandbox
            .line(&format!("run --rm --network none {words}"))
            .env("CONTAINERS_CONF", &conf)
            .args(["localhost/busybox", "sh", "-c", "echo $FROM_CONF $(ulimit -n) $(umask)"])
            .ok()
    };
    assert_eq!(run(""), "yes 321 0027\n");
    assert_eq!(run("-e FROM_CONF=flag --ulimit nofile=99:99 --umask 0077"), "flag 99 0077\n");
}

#[test]
fn a_broken_containers_conf_is_named() {
    let sandbox = Sandbox::new();
    let conf = sandbox.file("work/containers.conf", "[containers\n");
    let said = sandbox.line("run --rm dhow-hello").env("CONTAINERS_CONF", &conf).fails(125);
    assert!(said.contains("containers.conf"), "{said}");
}

#[test]
fn a_closed_stdout_is_no_error() {
    let sandbox = Sandbox::new();
    let script = format!("{} run --help | head -n 1", binary().display());
    let outcome = sandbox.program("sh").args(["-c", &script]).run();
    assert_eq!((outcome.status, outcome.stderr().as_str()), (0, ""), "{outcome}");
}

#[test]
fn docs_are_the_same_every_time_and_name_no_path_of_this_machine() {
    let sandbox = Sandbox::new();
    for dir in ["one", "two"] {
        std::fs::create_dir(sandbox.path(dir)).unwrap();
        sandbox.dhow(["docs"]).arg(sandbox.path(dir)).ok();
    }
    sandbox.program("diff").arg("-r").arg(sandbox.path("one")).arg(sandbox.path("two")).ok();
    let page = std::fs::read_to_string(sandbox.path("one/man/dhow-container-run.1")).unwrap();
    for section in [".SH NAME", ".SH SYNOPSIS", ".SH OPTIONS", "dhow container run [OPTIONS] IMAGE"] {
        assert!(page.contains(section), "{section}");
    }
    let home = std::env::var("HOME").unwrap_or_default();
    let grep = sandbox.program("grep").args(["-rlE", &format!("{home}/|{}", env!("CARGO_MANIFEST_DIR"))]);
    grep.arg(sandbox.path("one")).fails(1);
}

#[test]
fn bash_completes_commands_flags_and_names() {
    let sandbox = Sandbox::new();
    std::fs::create_dir(sandbox.path("docs")).unwrap();
    sandbox.dhow(["docs"]).arg(sandbox.path("docs")).ok();
    sandbox.line("volume create notes").ok();
    called(&sandbox, "dhow");
    let complete = |line: &str| {
        let script = format!(
            "PATH={}:$PATH; . {}; COMP_LINE='{line}'; COMP_POINT=${{#COMP_LINE}}; _dhow_complete 2>/dev/null; \
             printf '%s\\n' \"${{COMPREPLY[@]}}\"",
            sandbox.path("tmp").display(),
            sandbox.path("docs/completions/dhow.bash").display()
        );
        sandbox.program("bash").args(["--norc", "-c", &script]).ok()
    };
    assert!(complete("dhow unp").contains("unpause"));
    assert!(complete("dhow run --entry").contains("--entrypoint"));
    assert!(complete("dhow volume rm no").contains("notes"));
}
