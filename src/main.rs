//! The program: parse, dispatch, exit code. Only this page exits.

use std::process::ExitCode;

fn main() -> ExitCode {
    dhow::sys::process::no_backtraces();
    // Pid 1 of a container made with `--init`.
    if let Some(status) = dhow::runtime::init::run_if_asked(std::env::args_os()) {
        return ExitCode::from(status);
    }
    // Asked by a shell for completions: answers and exits before anything else is touched.
    dhow::cli::complete::answer_shell();
    match dhow::cli::run(std::env::args_os().collect()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => ExitCode::from(dhow::cli::report(&error)),
    }
}
