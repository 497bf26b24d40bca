//! The terminal: raw mode, size, detach, job control, restoration on every way out.

use crate::kit::pty::Pty;
use crate::kit::{Sandbox, eventually};

#[test]
fn an_interactive_shell_works_and_the_terminal_comes_back() {
    let sandbox = Sandbox::with_busybox();
    let mut pty = Pty::dhow(&sandbox, &["run", "-it", "--rm", "busybox", "sh"]);
    pty.expect("#");
    pty.send("tty; echo mark-$((20+3))\r");
    pty.expect("mark-23");
    assert!(pty.screen().contains("/dev/pts/0"), "{}", pty.screen());
    assert!(!pty.is_cooked(), "raw while attached");
    pty.send("exit 7\r");
    assert_eq!(pty.wait(), 7);
    assert!(pty.is_cooked());
}

#[test]
fn the_window_size_is_right_from_the_start_and_follows() {
    let sandbox = Sandbox::with_busybox();
    let mut pty =
        Pty::dhow(&sandbox, &["run", "-it", "--rm", "busybox", "sh", "-c", "stty size; read x; stty size"]);
    pty.expect("24 80");
    pty.resize(40, 100);
    std::thread::sleep(std::time::Duration::from_millis(200));
    pty.send("\r");
    pty.expect("40 100");
    assert_eq!(pty.wait(), 0);
}

#[test]
fn detach_keys_leave_the_container_running() {
    let sandbox = Sandbox::with_busybox();
    let mut pty = Pty::dhow(&sandbox, &["run", "-it", "--name", "c", "busybox", "sh"]);
    pty.expect("#");
    pty.send("\u{10}\u{11}");
    assert_eq!(pty.wait(), 0);
    assert!(pty.is_cooked());
    assert_eq!(sandbox.dhow(["ps", "--format", "{{.Names}}"]).ok(), "c\n");
    let mut again = Pty::dhow(&sandbox, &["attach", "c"]);
    again.send("echo back-$((1+1))\r");
    again.expect("back-2");
    again.send("exit 4\r");
    assert_eq!(again.wait(), 4, "attach ends with the exit code of the container");
}

#[test]
fn ctrl_c_goes_to_the_container() {
    let sandbox = Sandbox::with_busybox();
    let script = "trap 'echo caught; exit 3' INT; echo ready; while true; do sleep 0.1; done";
    let mut pty = Pty::dhow(&sandbox, &["run", "-it", "--rm", "busybox", "sh", "-c", script]);
    pty.expect("ready");
    pty.send("\u{3}");
    pty.expect("caught");
    assert_eq!(pty.wait(), 3);
    assert!(pty.is_cooked());
}

#[test]
fn a_killed_client_leaves_a_usable_container() {
    let sandbox = Sandbox::with_busybox();
    let pty = Pty::dhow(&sandbox, &["run", "-it", "--name", "c", "busybox", "sh"]);
    pty.expect("#");
    drop(pty);
    eventually("it still runs", || sandbox.dhow(["ps", "--format", "{{.Names}}"]).ok() == "c\n");
    assert_eq!(sandbox.line("exec c echo alive").ok(), "alive\n");
}

#[test]
fn exec_has_a_terminal_too() {
    let sandbox = Sandbox::with_busybox();
    sandbox.line("run -d --name c busybox sleep 100").ok();
    let mut pty = Pty::dhow(&sandbox, &["exec", "-it", "c", "sh"]);
    pty.expect("#");
    pty.send("stty size; exit 6\r");
    pty.expect("24 80");
    assert_eq!(pty.wait(), 6);
    assert!(pty.is_cooked());
}

#[test]
fn t_without_a_terminal_is_said_clearly() {
    let sandbox = Sandbox::with_busybox();
    let outcome = sandbox.line("run --rm -t busybox tty").run();
    assert!(outcome.stdout().contains("/dev/pts/0"), "{outcome}");
}

#[test]
fn without_t_the_container_never_gets_the_callers_terminal() {
    let sandbox = Sandbox::with_busybox();
    let mut pty =
        Pty::dhow(&sandbox, &["run", "-i", "--rm", "busybox", "sh", "-c", "tty; readlink /proc/self/fd/1"]);
    pty.expect("not a tty");
    assert_eq!(pty.wait(), 0);
    assert!(!pty.screen().contains("/dev/pts"), "{}", pty.screen());
}
