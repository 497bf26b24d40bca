//! Completion: the shell asks the program itself, so that names of containers, images and volumes complete.

use std::ffi::OsString;
use std::io;
use std::path::Path;

use clap::{Command, CommandFactory};
use clap_complete::CompleteEnv;
use clap_complete::env::{Bash, EnvCompleter, Fish, Shells, Zsh};

use super::Dhow;

/// Answers a shell that asks for candidates or for its registration script, and exits; else does nothing.
pub fn answer_shell() {
    if std::env::var_os("COMPLETE").is_some() {
        CompleteEnv::with_factory(Dhow::command).shells(Shells(&[&OwnBash, &Zsh, &Fish])).complete();
    }
}

/// clap's bash adapter with a registration that puts words back together which readline splits at `:` and `=`
/// (`localhost:5000/x`, `--filter=`), and cuts off the answer what readline already has.
#[derive(Debug)]
pub(super) struct OwnBash;

const BASH: &str = r#"
_NAME_complete() {
    local IFS=$'\v' line word i joined=() index=0
    # Split at blanks only, up to the cursor.
    line="${COMP_LINE:0:COMP_POINT}"
    IFS=$' \t\n' read -r -a joined <<< "$line"
    [[ "$line" == *[[:space:]] ]] && joined+=("")
    index=$(( ${#joined[@]} - 1 ))
    word="${joined[index]}"
    COMPREPLY=( $( _CLAP_IFS="$IFS" _CLAP_COMPLETE_INDEX="$index" _CLAP_COMPLETE_SPACE=false \
        VAR=bash "COMPLETER" -- "${joined[@]}" ) )
    # readline replaces only what follows the last break character.
    local head=""
    if [[ "$word" == *[:=]* ]]; then
        head="${word%"${word##*[:=]}"}"
    fi
    for i in "${!COMPREPLY[@]}"; do
        COMPREPLY[i]="${COMPREPLY[i]#"$head"}"
    done
    if [[ ${#COMPREPLY[@]} -ne 1 || "${COMPREPLY[0]-}" != *[=/:] ]]; then
        compopt +o nospace 2> /dev/null
    fi
}
complete -o nospace -o bashdefault -o default -F _NAME_complete BIN
"#;

impl EnvCompleter for OwnBash {
    fn name(&self) -> &'static str {
        Bash.name()
    }

    fn is(&self, name: &str) -> bool {
        Bash.is(name)
    }

    fn write_registration(
        &self,
        var: &str,
        name: &str,
        bin: &str,
        completer: &str,
        buffer: &mut dyn io::Write,
    ) -> io::Result<()> {
        let script = BASH
            .replace("NAME", &name.replace('-', "_"))
            .replace("BIN", bin)
            .replace("COMPLETER", completer)
            .replace("VAR", var);
        buffer.write_all(script.as_bytes())
    }

    fn write_complete(
        &self,
        command: &mut Command,
        args: Vec<OsString>,
        current_dir: Option<&Path>,
        buffer: &mut dyn io::Write,
    ) -> io::Result<()> {
        Bash.write_complete(command, args, current_dir, buffer)
    }
}
