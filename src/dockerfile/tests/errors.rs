//! What is wrong is said with file, line, text and, where there is one, a hint.

use super::actions;
use crate::base::error::{hints_of, kind_of, render};

#[test]
fn errors_name_the_line_and_its_text() {
    let table: [(&str, &str, &str); 46] = [
        ("", "`Dockerfile` has no instructions", "a Dockerfile begins with `FROM image`"),
        ("# only\n\n# comments", "`Dockerfile` has no instructions", "a Dockerfile begins with `FROM image`"),
        ("ARG a=1\n", "`Dockerfile` has no `FROM`: there is nothing to build", ""),
        ("RUN x", "Dockerfile:1: `RUN x`: `RUN` before the first `FROM`", "only `ARG` may stand there"),
        ("FROM x\nCPOY a b", "Dockerfile:2: `CPOY a b`: unknown instruction `CPOY`", "did you mean `COPY`?"),
        ("FORM x", "Dockerfile:1: `FORM x`: unknown instruction `FORM`", "did you mean `FROM`?"),
        ("<html>", "Dockerfile:1: `<html>`: unknown instruction `<HTML>`", ""),
        (
            "FROM x\n\n# c\nRUNN \\\n x",
            "Dockerfile:4: `RUNN  x`: unknown instruction `RUNN`",
            "did you mean `RUN`?",
        ),
        ("FROM", "Dockerfile:1: `FROM`: `FROM` takes an image, or `IMAGE AS NAME`", ""),
        ("FROM a b", "Dockerfile:1: `FROM a b`: `FROM` takes an image, or `IMAGE AS NAME`", ""),
        (
            "FROM a AS 1b",
            "Dockerfile:1: `FROM a AS 1b`: `1b` is not a name for a stage",
            "a name begins with a letter and holds letters, digits, `-`, `_` and `.`",
        ),
        (
            "FROM --platfrom=x a",
            "Dockerfile:1: `FROM --platfrom=x a`: `FROM` does not know the flag `--platfrom`",
            "did you mean `--platform`?",
        ),
        (
            "FROM x\nCOPY --form=a b c",
            "Dockerfile:2: `COPY --form=a b c`: `COPY` does not know the flag `--form`",
            "did you mean `--from`?",
        ),
        (
            "FROM x\nADD --from=a b c",
            "Dockerfile:2: `ADD --from=a b c`: `ADD` does not know the flag `--from`",
            "",
        ),
        ("FROM x\nCMD --x", "Dockerfile:2: `CMD --x`: `CMD` does not know the flag `--x`", ""),
        ("FROM x\nRUN", "Dockerfile:2: `RUN`: `RUN` needs an argument", ""),
        ("FROM x\nRUN []", "Dockerfile:2: `RUN []`: `RUN` needs an argument", ""),
        ("FROM x\nENV", "Dockerfile:2: `ENV`: `ENV` needs an argument", ""),
        ("FROM x\nENV a", "Dockerfile:2: `ENV a`: `ENV` needs a value: `ENV NAME=VALUE`", ""),
        ("FROM x\nENV =a", "Dockerfile:2: `ENV =a`: `ENV` needs a name before `=`", ""),
        (
            "FROM x\nENV a=b c",
            "Dockerfile:2: `ENV a=b c`: `c` has no `=`",
            "a value with blanks needs quotes: NAME=\"a b\"",
        ),
        ("FROM x\nENV $u=1", "Dockerfile:2: `ENV $u=1`: the name `$u` is empty", ""),
        ("FROM x\nARG =1", "Dockerfile:2: `ARG =1`: `ARG` needs a name before `=`", ""),
        ("FROM x\nCOPY a", "Dockerfile:2: `COPY a`: `COPY` needs a source and a destination", ""),
        ("FROM x\nCOPY a $u", "Dockerfile:2: `COPY a $u`: the destination `$u` is empty", ""),
        (
            "FROM x\nCOPY a <<E\nE",
            "Dockerfile:2: `COPY a <<E`: `COPY` cannot have a heredoc as its destination",
            "",
        ),
        (
            "FROM x\nCOPY --chmod=rwx a b",
            "Dockerfile:2: `COPY --chmod=rwx a b`: `rwx` is not a mode",
            "a mode is octal such as 0755, or symbolic such as u=rwX,go=rX",
        ),
        (
            "FROM x\nCOPY --exclude=[ a b",
            "Dockerfile:2: `COPY --exclude=[ a b`: `[` is not a valid pattern",
            "",
        ),
        ("FROM x\nCOPY \"a b\" c", "Dockerfile:2: `COPY \"a b\" c`: a double quote without its end", ""),
        ("FROM x\nCMD [\"a\", 1]", "Dockerfile:2: `CMD [\"a\", 1]`: a JSON array may hold strings only", ""),
        (
            "FROM x\nSHELL /bin/bash -c",
            "Dockerfile:2: `SHELL /bin/bash -c`: `SHELL` takes a JSON array",
            "for example SHELL [\"/bin/bash\", \"-c\"]",
        ),
        (
            "FROM x\nEXPOSE 70000",
            "Dockerfile:2: `EXPOSE 70000`: `70000` is not a port",
            "a port is 80, 53/udp or 8000-8010/tcp",
        ),
        (
            "FROM x\nSTOPSIGNAL NOPE",
            "Dockerfile:2: `STOPSIGNAL NOPE`: unknown signal `NOPE`",
            "did you mean `FPE`?",
        ),
        ("FROM x\nVOLUME [\"\"]", "Dockerfile:2: `VOLUME [\"\"]`: the path `` is empty", ""),
        ("FROM x\nWORKDIR $u", "Dockerfile:2: `WORKDIR $u`: the path `$u` is empty", ""),
        ("FROM x\nUSER ${u:?say who}", "Dockerfile:2: `USER ${u:?say who}`: u: say who", ""),
        ("FROM x\nLABEL a=${u", "Dockerfile:2: `LABEL a=${u`: `${u` without its `}`", ""),
        (
            "FROM x\nHEALTHCHECK FOO",
            "Dockerfile:2: `HEALTHCHECK FOO`: `HEALTHCHECK` is followed by `CMD` or `NONE`, not `FOO`",
            "",
        ),
        ("FROM x\nHEALTHCHECK CMD", "Dockerfile:2: `HEALTHCHECK CMD`: `HEALTHCHECK CMD` needs a command", ""),
        (
            "FROM x\nHEALTHCHECK --interval=30 CMD x",
            "Dockerfile:2: `HEALTHCHECK --interval=30 CMD x`: `--interval=30` needs a unit: `30s`",
            "",
        ),
        (
            "FROM x\nONBUILD FROM y",
            "Dockerfile:2: `ONBUILD FROM y`: `FROM` cannot be a trigger of `ONBUILD`",
            "",
        ),
        (
            "FROM x\nONBUILD ONBUILD RUN y",
            "Dockerfile:2: `ONBUILD ONBUILD RUN y`: `ONBUILD` cannot be the trigger of `ONBUILD`",
            "",
        ),
        (
            "FROM x\nRUN --mount=type=cahce,target=/c y",
            "Dockerfile:2: `RUN --mount=type=cahce,target=/c y`: --mount `type=cahce,target=/c` has the unknown type `cahce`",
            "a type is bind, cache, tmpfs, secret or ssh",
        ),
        (
            "FROM x\nRUN --network=bridge y",
            "Dockerfile:2: `RUN --network=bridge y`: `--network` is default, none or host, not `bridge`",
            "",
        ),
        (
            "FROM x\nRUN --security=off y",
            "Dockerfile:2: `RUN --security=off y`: `--security` is sandbox or insecure, not `off`",
            "",
        ),
        (
            "FROM x\nRUN \u{1b}[2J --x\nBAD\u{1b}[2J",
            "Dockerfile:3: `BAD\\u{1b}[2J`: unknown instruction `BAD\\u{1b}[2J`",
            "",
        ),
    ];
    for (text, says, hint) in table {
        let error = actions(text).unwrap_err();
        let hints: Vec<&str> = hints_of(&error).iter().map(String::as_str).collect();
        let wanted = if hint.is_empty() { vec![] } else { vec![hint] };
        assert_eq!((render(&error).as_str(), hints), (says, wanted), "{text}");
        assert_eq!(kind_of(&error).exit_code(), 125, "{text}");
    }
}

#[test]
fn long_lines_are_shortened_in_messages() {
    let error = actions(&format!("FROM x\nBAD {}", "x".repeat(10_000))).unwrap_err();
    assert!(render(&error).len() < 300, "{}", render(&error));
}
