//! Each instruction in its forms.

use std::time::Duration;

use super::super::action::{Run, Transfer, TransferSource};
use super::super::ast::{ArgDecl, Command, Healthcheck, Network, RunCommand, Security};
use super::super::mount::Mount;
use super::super::{Action, parse, parse_trigger};
use super::last;
use crate::base::chmod::Chmod;
use crate::base::error::render;

/// The action of one instruction after `FROM` and some variables.
fn one(instruction: &str) -> Action {
    last(&format!("FROM x\nENV v=val s=\"a b\" n=8080 ports=\"53/udp 53\"\nARG arg=argument\n{instruction}"))
}

fn strings(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| word.to_string()).collect()
}

fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect()
}

#[test]
fn env_and_label_take_pairs() {
    let table: [(&str, &[(&str, &str)]); 17] = [
        ("a=1", &[("a", "1")]),
        ("a=1 b=\"x y\" c='p q'", &[("a", "1"), ("b", "x y"), ("c", "p q")]),
        ("a=x\\ y b=", &[("a", "x y"), ("b", "")]),
        ("a=1 \\\n  # comment\n  b=2", &[("a", "1"), ("b", "2")]),
        ("a one two", &[("a", "one two")]),
        ("a   one   two", &[("a", "one   two")]),
        ("a \"quoted text\" more", &[("a", "quoted text more")]),
        ("a b=c", &[("a", "b=c")]),
        ("a=$v", &[("a", "val")]),
        ("a='$v' b=\\$v c=\"\\$v\"", &[("a", "$v"), ("b", "$v"), ("c", "$v")]),
        ("$v=1 x$v=2", &[("val", "1"), ("xval", "2")]),
        ("a=${arg}/${none:-d}", &[("a", "argument/d")]),
        ("v=new w=$v", &[("v", "new"), ("w", "val")]),
        ("a=b=c", &[("a", "b=c")]),
        ("a=$s", &[("a", "a b")]),
        ("\"com.example.vendor\"=\"ACME Inc\"", &[("com.example.vendor", "ACME Inc")]),
        ("a=\"line \\\n  two\"", &[("a", "line   two")]),
    ];
    for (text, expected) in table {
        assert_eq!(one(&format!("ENV {text}")), Action::Env(pairs(expected)), "{text}");
        assert_eq!(one(&format!("label {text}")), Action::Label(pairs(expected)), "{text}");
    }
}

#[test]
fn arguments_have_defaults_or_not() {
    let arg = |name: &str, default: Option<&str>| ArgDecl {
        name: name.into(),
        default: default.map(str::to_owned),
    };
    assert_eq!(
        one("ARG a b= c=\"x y\" d=$v"),
        Action::Arg(vec![arg("a", None), arg("b", Some("")), arg("c", Some("x y")), arg("d", Some("val"))])
    );
}

#[test]
fn commands_have_two_forms() {
    let shell = |line: &str| Command::Shell(line.into());
    let exec = |words: &[&str]| Command::Exec(strings(words));
    let table = [
        ("echo $v  \"a b\"", shell("echo $v  \"a b\"")),
        ("[\"echo\", \"$v\"]", exec(&["echo", "$v"])),
        ("[ \"a\" ,\t\"b c\" ]", exec(&["a", "b c"])),
        ("[]", exec(&[])),
        ("['a', 'b']", shell("['a', 'b']")),
        ("[\"a\", \"b\"", shell("[\"a\", \"b\"")),
        ("[ -f /x ] && true", shell("[ -f /x ] && true")),
        ("[\"a\", \\\n  # comment\n \"b\"]", exec(&["a", "b"])),
    ];
    for (text, command) in table {
        assert_eq!(one(&format!("CMD {text}")), Action::Cmd(command.clone()), "{text}");
        assert_eq!(one(&format!("ENTRYPOINT {text}")), Action::Entrypoint(command), "{text}");
    }
}

#[test]
fn run_leaves_variables_to_the_shell() {
    let table = [
        ("echo $v '$x' \\$y", RunCommand::Shell("echo $v '$x' \\$y".into())),
        ("a && \\\n    b", RunCommand::Shell("a &&     b".into())),
        ("[\"a\", \"$v\"]", RunCommand::Exec(strings(&["a", "$v"]))),
        ("<<EOF\necho $v\n# stays\nEOF", RunCommand::Shell("echo $v\n# stays\n".into())),
        ("<<-EOF\n\t\ta\n\tb\n\tEOF", RunCommand::Shell("a\nb\n".into())),
        ("<<'EOF'\r\na\r\nEOF\r\n", RunCommand::Shell("a\n".into())),
        ("<<EOF\n#!/bin/sh -e\na\nEOF", RunCommand::Script("#!/bin/sh -e\na\n".into())),
        ("python3 - <<EOF\nprint(1)\nEOF", RunCommand::Shell("python3 - <<EOF\nprint(1)\nEOF\n".into())),
        (
            "cat <<A > /a && cat <<'B' > /b\n1\nA\n2\nB",
            RunCommand::Shell("cat <<A > /a && cat <<'B' > /b\n1\nA\n2\nB\n".into()),
        ),
        ("cat <<-E\n\tx\n\tE", RunCommand::Shell("cat <<-E\n\tx\nE\n".into())),
    ];
    for (text, command) in table {
        let (network, security) = (Network::Default, Security::Sandbox);
        let run = Run { mounts: vec![], network, security, command };
        assert_eq!(one(&format!("RUN {text}")), Action::Run(run), "{text}");
    }
}

#[test]
fn run_takes_flags() {
    let Action::Run(run) = one(
        "RUN --mount=type=tmpfs,target=/$v --network=none --security=insecure \\\n --mount=target=/c cmd --network=host",
    ) else {
        panic!("not a RUN");
    };
    assert_eq!((run.network, run.security), (Network::None, Security::Insecure));
    assert_eq!(run.command, RunCommand::Shell("cmd --network=host".into()));
    assert_eq!(run.mounts[0], Mount::Tmpfs { target: "/val".into(), size: None });
    assert!(matches!(&run.mounts[1], Mount::Bind(bind) if bind.target == "/c"));
}

#[test]
fn copy_and_add_take_sources_and_a_destination() {
    let path = |path: &str| TransferSource::Path(path.into());
    let inline =
        |name: &str, content: &str| TransferSource::Inline { name: name.into(), content: content.into() };
    let base = |sources: Vec<TransferSource>, dest: &str| Transfer {
        sources,
        dest: dest.into(),
        ..Transfer::default()
    };
    let table = [
        ("COPY a b/ /c/", base(vec![path("a"), path("b/")], "/c/")),
        ("copy [\"a b\", \"/c d\"]", base(vec![path("a b")], "/c d")),
        ("COPY $v ${v}*.txt /$n", base(vec![path("val"), path("val*.txt")], "/8080")),
        ("COPY [\"$v\", \"'$v'\"]", base(vec![path("val")], "$v")),
        ("COPY --from=0 a b", Transfer { from: Some("0".into()), ..base(vec![path("a")], "b") }),
        (
            "COPY --link --parents --chown=$v:1 --chmod=u=rwX --exclude=*.md --exclude=$v a b",
            Transfer {
                link: true,
                parents: true,
                chown: Some("val:1".into()),
                chmod: Chmod::parse("u=rwX").ok(),
                exclude: strings(&["*.md", "val"]),
                ..base(vec![path("a")], "b")
            },
        ),
        (
            "COPY --link=false --chmod=0644 a b",
            Transfer { chmod: Some(Chmod::Octal(0o644)), ..base(vec![path("a")], "b") },
        ),
        (
            "COPY <<a.txt <<'b.txt' c /d/\n$v \\$v it's\na.txt\n$v\nb.txt",
            base(vec![inline("a.txt", "val $v it's\n"), inline("b.txt", "$v\n"), path("c")], "/d/"),
        ),
        ("COPY <<-E /d\n\t\tx\n\tE", base(vec![inline("E", "x\n")], "/d")),
        (
            "ADD --checksum=sha256:${v} --keep-git-dir=true --unpack https://x.y/a?b=c /d",
            Transfer {
                checksum: Some("sha256:val".into()),
                keep_git_dir: true,
                unpack: Some(true),
                ..base(vec![path("https://x.y/a?b=c")], "/d")
            },
        ),
        ("ADD --unpack=0 a.tar /", Transfer { unpack: Some(false), ..base(vec![path("a.tar")], "/") }),
        ("ADD --chmod=$m a b", base(vec![path("a")], "b")),
    ];
    for (text, transfer) in table {
        let action = match one(text) {
            Action::Copy(transfer) | Action::Add(transfer) => transfer,
            other => panic!("{other:?}"),
        };
        assert_eq!(action, transfer, "{text}");
    }
}

#[test]
fn paths_and_names_are_expanded() {
    assert_eq!(one("WORKDIR /a b/$v"), Action::Workdir("/a b/val".into()));
    assert_eq!(one("USER ${v}:$n"), Action::User("val:8080".into()));
    assert_eq!(one("VOLUME /a /$v"), Action::Volume(strings(&["/a", "/val"])));
    assert_eq!(one("VOLUME [\"/a b\", \"/$v\"]"), Action::Volume(strings(&["/a b", "/val"])));
    assert_eq!(one("STOPSIGNAL SIG${none:-TERM}"), Action::StopSignal("SIGTERM".into()));
    assert_eq!(one("STOPSIGNAL 9"), Action::StopSignal("9".into()));
    assert_eq!(one("MAINTAINER A <a@b> $v"), Action::Maintainer("A <a@b> $v".into()));
    assert_eq!(one("SHELL [\"/bin/bash\", \"-c\"]"), Action::Shell(strings(&["/bin/bash", "-c"])));
}

#[test]
fn ports_are_expanded_and_made_single() {
    let table = [
        ("80", "80/tcp"),
        ("$n/UDP 1-2", "8080/udp 1/tcp 2/tcp"),
        ("$ports", "53/udp 53/tcp"),
        ("$n-8081", "8080/tcp 8081/tcp"),
    ];
    for (text, ports) in table {
        let Action::Expose(found) = one(&format!("EXPOSE {text}")) else { panic!("not an EXPOSE") };
        let found: Vec<String> = found.iter().map(ToString::to_string).collect();
        assert_eq!(found.join(" "), ports, "{text}");
    }
}

#[test]
fn health_checks_have_options() {
    assert_eq!(one("HEALTHCHECK none"), Action::Healthcheck(Healthcheck::None));
    let check = |command: Command| Healthcheck::Cmd {
        command,
        interval: None,
        timeout: None,
        start_period: None,
        start_interval: None,
        retries: None,
    };
    assert_eq!(
        one("HEALTHCHECK CMD curl $v || exit 1"),
        Action::Healthcheck(check(Command::Shell("curl $v || exit 1".into())))
    );
    assert_eq!(
        one("HEALTHCHECK --interval=0s --retries=0 cmd [\"a\"]"),
        Action::Healthcheck(check(Command::Exec(strings(&["a"]))))
    );
    let all = one(
        "HEALTHCHECK --interval=1m30s --timeout=500ms --start-period=2h \\\n --start-interval=1s --retries=5 CMD x",
    );
    let expected = Healthcheck::Cmd {
        command: Command::Shell("x".into()),
        interval: Some(Duration::from_secs(90)),
        timeout: Some(Duration::from_millis(500)),
        start_period: Some(Duration::from_secs(7200)),
        start_interval: Some(Duration::from_secs(1)),
        retries: Some(5),
    };
    assert_eq!(all, Action::Healthcheck(expected));
}

#[test]
fn triggers_are_kept_as_written() {
    let table = [
        ("ONBUILD RUN echo $v", "RUN echo $v"),
        ("onbuild   copy  . /app", "copy  . /app"),
        ("ONBUILD RUN a \\\n b", "RUN a  b"),
        ("ONBUILD RUN <<EOF\n$v\nEOF", "RUN <<EOF\n$v\nEOF"),
    ];
    for (text, trigger) in table {
        assert_eq!(one(text), Action::Onbuild(trigger.into()), "{text}");
        let file = parse("D", &format!("FROM x\n{}", trigger)).unwrap();
        let step = parse_trigger("image", trigger).unwrap();
        assert_eq!(step.instruction, file.stages[0].steps[0].instruction, "{text}");
    }
    for bad in ["FROM x", "ONBUILD RUN x", "MAINTAINER x", "", "RUN a\nRUN b", "NONSENSE"] {
        assert!(parse_trigger("image", bad).is_err(), "{bad}");
    }
    let error = parse_trigger("image", "COPY a").unwrap_err();
    assert_eq!(render(&error), "image:1: `COPY a`: `COPY` needs a source and a destination");
}

#[test]
fn a_backtick_can_be_the_escape_character() {
    let text = "# escape=`\nFROM x\nENV v=1 `\n  p=C:\\dir\\\nWORKDIR C:\\a\\`$v\\$v";
    assert_eq!(last(text), Action::Workdir("C:\\a\\$v\\1".into()));
}

#[test]
fn stages_have_names_and_platforms() {
    let file = parse("D", "FROM --platform=$BUILDPLATFORM x:1 as Build.1_a\nfrom scratch\n").unwrap();
    let [first, second] = &file.stages[..] else { panic!("not two stages") };
    assert_eq!((first.label().as_str(), first.base.as_str()), ("build.1_a", "x:1"));
    assert_eq!(first.platform.as_deref(), Some("$BUILDPLATFORM"));
    assert_eq!((second.label().as_str(), second.index, second.source.first), ("1", 1, 2));
}

#[test]
fn oddities_are_warnings() {
    let file = parse("D", "FROM x AS a\nRUN a \\\n\n  b\nFROM y AS A\n").unwrap();
    let warnings: Vec<_> = file.warnings.iter().map(|w| (w.line, w.message.as_str())).collect();
    let expected =
        [(2, "empty line inside a continued instruction"), (5, "the stage name `a` was used before")];
    assert_eq!(warnings, expected);
}
