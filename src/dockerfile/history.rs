//! The `created_by` texts of an image's history, as Buildah writes them (Podman is the reference; BuildKit's differ):
//! `/bin/sh -c COMMAND` for `RUN`, whatever `SHELL` says, and `/bin/sh -c #(nop) INSTRUCTION` for the rest, with words
//! as written. Only `ARG` shows the values that it got, as BuildKit does: Buildah lists names of this and earlier ones.

use super::ast::{Instruction, Step};

/// The text for a step. `args` are the [`Scope::args`](super::Scope::args) before it (after it for an `ARG`); `content`
/// names what a `COPY` or `ADD` brought: `file:HEX`, `dir:HEX` or `multi:HEX` with the digest of the content.
pub fn created_by(step: &Step, args: &[(&str, &str)], content: &str) -> String {
    let text = &step.source.text;
    match &step.instruction {
        Instruction::Run(_) => run(step, args),
        Instruction::Copy(transfer) | Instruction::Add(transfer) => {
            format!("/bin/sh -c #(nop) {} {content} in {} ", step.instruction.keyword(), transfer.dest)
        }
        Instruction::Arg(decls) => {
            let word = |name: &String| match args.iter().find(|(arg, _)| arg == name) {
                Some((_, value)) => format!("{name}={value}"),
                None => name.clone(),
            };
            let words: Vec<String> = decls.iter().map(|decl| word(&decl.name)).collect();
            format!("/bin/sh -c #(nop) ARG {}", words.join(" "))
        }
        _ => format!("/bin/sh -c #(nop) {text}"),
    }
}

/// `|N NAME=VALUE… /bin/sh -c TEXT` and the heredocs, each on lines of its own.
fn run(step: &Step, args: &[(&str, &str)]) -> String {
    let mut out = String::new();
    if !args.is_empty() {
        out = format!("|{} ", args.len());
        args.iter().for_each(|(name, value)| out += &format!("{name}={value} "));
    }
    let text = step.source.text.split_once(char::is_whitespace).map_or("", |(_, rest)| rest.trim_start());
    out += &format!("/bin/sh -c {text}");
    for heredoc in &step.source.heredocs {
        out += &format!("\n{}", heredoc.content.trim());
    }
    out
}

#[cfg(test)]
mod tests {
    use super::super::parse;
    use super::*;

    #[test]
    fn texts_are_as_buildah_writes_them() {
        type Args = &'static [(&'static str, &'static str)];
        let table: [(&str, Args, &str); 11] = [
            ("RUN echo \\\n  hi", &[], "/bin/sh -c echo   hi"),
            ("run [\"a\", \"b\"]", &[], "/bin/sh -c [\"a\", \"b\"]"),
            ("RUN x", &[("a", "1"), ("b", "2 3")], "|2 a=1 b=2 3 /bin/sh -c x"),
            ("RUN --mount=type=tmpfs,target=/t x", &[], "/bin/sh -c --mount=type=tmpfs,target=/t x"),
            ("RUN <<EOF\necho a\necho b\nEOF", &[], "/bin/sh -c <<EOF\necho a\necho b"),
            ("COPY a b /dst/", &[], "/bin/sh -c #(nop) COPY file:abc in /dst/ "),
            ("ADD --chown=1 a /dst", &[], "/bin/sh -c #(nop) ADD file:abc in /dst "),
            ("ENV a=b", &[], "/bin/sh -c #(nop) ENV a=b"),
            ("CMD [\"x\"]", &[], "/bin/sh -c #(nop) CMD [\"x\"]"),
            ("ARG a b=2 c", &[("a", "1"), ("b", "2")], "/bin/sh -c #(nop) ARG a=1 b=2 c"),
            ("onbuild  RUN x", &[], "/bin/sh -c #(nop) onbuild  RUN x"),
        ];
        for (text, args, history) in table {
            let file = parse("D", &format!("FROM x\n{text}")).unwrap();
            assert_eq!(created_by(&file.stages[0].steps[0], args, "file:abc"), history, "{text}");
        }
    }
}
