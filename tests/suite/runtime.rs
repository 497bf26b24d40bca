//! `dhow runtime`: the OCI runtime command line on bundles made here.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::{Value, json};

use crate::kit::pty::Pty;
use crate::kit::{Cmd, Outcome, Sandbox, eventually, rootless};

/// A bundle with a busybox root file system, and the specification that `spec` writes.
struct Bundle {
    sandbox: Sandbox,
    dir: PathBuf,
    /// What `c` stands for in a command: cgroups are the host's, so the name must be nobody else's.
    id: String,
}

impl Bundle {
    fn new(command: &[&str]) -> Bundle {
        let sandbox = Sandbox::new();
        let dir = sandbox.path("work/bundle");
        for part in ["bin", "etc", "tmp", "proc", "sys", "dev"] {
            fs::create_dir_all(dir.join("rootfs").join(part)).unwrap();
        }
        fs::copy("/bin/busybox", dir.join("rootfs/bin/busybox")).unwrap();
        for applet in [
            "sh", "cat", "echo", "sleep", "id", "ls", "tty", "wc", "stty", "grep", "kill", "touch", "env",
            "pwd",
        ] {
            std::os::unix::fs::symlink("busybox", dir.join("rootfs/bin").join(applet)).unwrap();
        }
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let id = format!("test-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let bundle = Bundle { sandbox, dir, id };
        let spec = if rootless() { "spec --rootless --bundle bundle" } else { "spec --bundle bundle" };
        bundle.line(spec).ok();
        bundle.change(|spec| {
            spec["process"]["terminal"] = json!(false);
            spec["process"]["args"] = json!(command);
        });
        bundle
    }

    fn shell(script: &str) -> Bundle {
        Bundle::new(&["sh", "-c", script])
    }

    /// Edits the specification.
    fn change(&self, edit: impl FnOnce(&mut Value)) {
        let path = self.dir.join("config.json");
        let mut spec = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        edit(&mut spec);
        fs::write(path, spec.to_string()).unwrap();
    }

    fn runtime(&self, args: &[&str]) -> Cmd {
        self.sandbox.dhow(["runtime"]).args(args.iter().map(|word| self.word(word)))
    }

    fn word<'a>(&'a self, word: &'a str) -> &'a str {
        if word == "c" { &self.id } else { word }
    }

    fn line(&self, words: &str) -> Cmd {
        self.runtime(&words.split_whitespace().collect::<Vec<_>>())
    }

    /// A verb whose container goes on: it inherits the streams, which must not be pipes that are waited for.
    fn background(&self, words: &str) -> Outcome {
        let words: Vec<&str> = words.split_whitespace().map(|word| self.word(word)).collect();
        let words = words.join(" ");
        let script =
            format!("exec {} runtime {words} >/dev/null 2>err", crate::kit::sandbox::binary().display());
        let outcome = self.sandbox.program("sh").args(["-c", &script]).run();
        Outcome { err: self.read("err").into_bytes(), ..outcome }
    }

    /// `run` to the end.
    fn run(&self) -> Outcome {
        self.line("run -b bundle c").run()
    }

    fn state(&self) -> Value {
        serde_json::from_str(&self.line("state c").ok()).unwrap()
    }

    fn status(&self) -> String {
        self.state()["status"].as_str().unwrap().to_owned()
    }

    /// A shell script outside, for hooks.
    fn script(&self, name: &str, text: &str) -> PathBuf {
        let path = self.sandbox.file(&format!("work/{name}"), format!("#!/bin/sh\n{text}\n"));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        path
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.sandbox.path("work").join(name)).unwrap_or_default()
    }
}

impl Drop for Bundle {
    fn drop(&mut self) {
        drop(self.background("delete --force c"));
    }
}

#[test]
fn a_container_goes_through_its_life() {
    let bundle = Bundle::shell("echo started > /tmp/mark; sleep 100");
    bundle.change(|spec| spec["root"]["readonly"] = json!(false));
    bundle.background("create -b bundle --pid-file pid c").ok();
    assert_eq!(bundle.status(), "created");
    assert_eq!(bundle.read("pid"), bundle.state()["pid"].to_string());
    assert!(!bundle.dir.join("rootfs/tmp/mark").exists(), "the command waits for the start");
    bundle.line("create -b bundle c").fails(1);
    bundle.line("start c").ok();
    assert_eq!(bundle.status(), "running");
    eventually("it started", || bundle.dir.join("rootfs/tmp/mark").exists());
    bundle.line("start c").fails(1);
    let error = bundle.line("delete c").fails(1);
    assert!(error.contains("is running"), "{error}");
    assert_eq!(bundle.line("list -q").ok(), format!("{}\n", bundle.id));
    let list: Value = serde_json::from_str(&bundle.line("list -f json").ok()).unwrap();
    assert_eq!(
        (list[0]["id"].as_str(), list[0]["status"].as_str()),
        (Some(bundle.id.as_str()), Some("running"))
    );
    assert_eq!(list[0]["bundle"].as_str(), bundle.dir.to_str());
    bundle.line("kill c KILL").ok();
    eventually("it ended", || bundle.status() == "stopped");
    assert_eq!(bundle.state()["pid"], 0);
    bundle.line("kill c KILL").fails(1);
    bundle.line("delete c").ok();
    bundle.line("state c").fails(1);
    bundle.line("delete c").fails(1);
    bundle.line("delete --force c").ok();
}

#[test]
fn run_gives_the_commands_output_and_exit_code() {
    let bundle = Bundle::shell("echo out; echo err >&2; id -u; pwd; exit 7");
    let outcome = bundle.run();
    assert_eq!(outcome.status, 7, "{outcome}");
    assert_eq!((outcome.stdout().as_str(), outcome.stderr().as_str()), ("out\n0\n/\n", "err\n"));
    bundle.change(|spec| spec["process"]["args"] = json!(["sh", "-c", "kill -9 $$"]));
    assert_eq!(bundle.line("list -q").ok(), "", "deleted after the end");
    bundle.change(|spec| spec["process"]["args"] = json!(["cat"]));
    assert_eq!(bundle.line("run -b bundle c").stdin("through\n").ok(), "through\n");
    assert_eq!(bundle.line("run --keep -b bundle c").run().status, 0);
    assert_eq!(bundle.status(), "stopped");
}

#[test]
fn errors_come_at_creation_and_go_to_the_log() {
    let bundle = Bundle::new(&["no-such-command"]);
    let error = bundle.line("--log log.json --log-format json create -b bundle c").fails(1);
    assert!(error.contains("not found"), "{error}");
    let line: Value = serde_json::from_str(bundle.read("log.json").trim()).unwrap();
    assert_eq!(line["level"], "error");
    assert!(line["msg"].as_str().unwrap().contains("executable file `no-such-command` not found"), "{line}");
    bundle.line("--log log.txt create -b bundle c").fails(1);
    assert!(bundle.read("log.txt").contains("level=error msg=\""), "{}", bundle.read("log.txt"));
    bundle.line("--log /no/such/dir/log state c").fails(1);
    let error = bundle.line("--log-format json state c").fails(1);
    assert!(error.starts_with('{'), "without a file the log is stderr: {error}");
    bundle.line("--debug --log debug.txt list").ok();
    assert!(bundle.read("debug.txt").contains("level=debug"), "{}", bundle.read("debug.txt"));
    assert_eq!(bundle.line("list -q").ok(), "", "nothing is left of a failed creation");
}

#[test]
fn kernel_files_are_masked_and_read_only() {
    let bundle = Bundle::shell(
        "cat /proc/keys /proc/timer_list 2>/dev/null | wc -c; ls /sys/firmware 2>/dev/null | wc -l; \
         echo 1 2>/dev/null > /proc/sys/kernel/panic || echo ro; touch /x 2>/dev/null || echo ro; \
         grep NoNewPrivs /proc/self/status; ls /proc/self/fd | wc -l",
    );
    let outcome = bundle.run();
    assert_eq!(outcome.stdout(), "0\n0\nro\nro\nNoNewPrivs:\t1\n4\n", "{outcome}");
}

#[test]
fn hooks_run_at_their_time_and_get_the_state() {
    let bundle = Bundle::shell("echo command >> /tmp/order; exit 0");
    let order = bundle.dir.join("rootfs/tmp/order");
    let hook = |stage: &str| {
        let text = format!(
            "cat > {}.state; echo {stage} >> {}",
            order.with_file_name(stage).display(),
            order.display()
        );
        json!([{"path": bundle.script(stage, &text)}])
    };
    bundle.change(|spec| {
        spec["root"]["readonly"] = json!(false);
        for stage in ["prestart", "createRuntime", "poststart", "poststop"] {
            spec["hooks"][stage] = hook(stage);
        }
        spec["hooks"]["startContainer"] = json!([{
            "path": "/bin/sh", "args": ["sh", "-c", "echo startContainer >> /tmp/order"],
        }]);
    });
    bundle.background("create -b bundle c").ok();
    bundle.line("start c").ok();
    eventually("it ended", || bundle.status() == "stopped");
    bundle.line("delete c").ok();
    let said = fs::read_to_string(&order).unwrap();
    let words: Vec<&str> = said.lines().collect();
    assert_eq!(words[..3], ["prestart", "createRuntime", "startContainer"], "{words:?}");
    assert_eq!((words.len(), words[5]), (6, "poststop"), "{words:?}");
    let state: Value =
        serde_json::from_slice(&fs::read(order.with_file_name("createRuntime.state")).unwrap()).unwrap();
    assert_eq!(
        (state["id"].as_str(), state["bundle"].as_str()),
        (Some(bundle.id.as_str()), bundle.dir.to_str())
    );
}

#[test]
fn a_failing_hook_stops_the_creation_but_not_the_end() {
    let bundle = Bundle::shell("exit 0");
    let path = bundle.script("fail", "echo broken >&2; exit 3");
    bundle
        .change(|spec| spec["hooks"] = json!({"poststart": [{"path": path}], "poststop": [{"path": path}]}));
    let outcome = bundle.run();
    assert_eq!(outcome.status, 0, "{outcome}");
    assert_eq!(outcome.stderr().matches("broken").count(), 2, "{outcome}");
    bundle.change(|spec| spec["hooks"] = json!({"createRuntime": [{"path": path}]}));
    let error = bundle.line("create -b bundle c").fails(1);
    assert!(error.contains("broken"), "{error}");
    assert_eq!(bundle.line("list -q").ok(), "");
}

#[test]
fn exec_runs_in_the_container_as_asked() {
    let bundle = Bundle::new(&["sleep", "100"]);
    bundle.background("run -d -b bundle c").ok();
    assert_eq!(bundle.line("exec c echo hello").ok(), "hello\n");
    assert_eq!(bundle.runtime(&["exec", "c", "sh", "-c", "exit 9"]).run().status, 9);
    let out = bundle.runtime(&["exec", "-e", "A=b c", "--cwd", "/bin", "c", "sh", "-c", "echo $A; pwd"]).ok();
    assert_eq!(out, "b c\n/bin\n");
    let out = bundle.line("exec --cap CAP_SYS_ADMIN c grep CapEff /proc/self/status").ok();
    assert_eq!(out.trim_end(), "CapEff:\t0000000020200420");
    if !rootless() {
        assert_eq!(bundle.line("exec -u 5:6 -g 7 c id").ok(), "uid=5 gid=6 groups=7\n");
    }
    let error = bundle.line("exec c no-such-command").fails(255);
    assert!(error.contains("not found"), "{error}");
    let process = json!({
        "args": ["sh", "-c", "echo $FROM"], "cwd": "/", "env": ["FROM=file", "PATH=/bin"], "user": {"uid": 0, "gid": 0},
    });
    bundle.sandbox.file("work/process.json", process.to_string());
    assert_eq!(bundle.line("exec --process process.json c").ok(), "file\n");
    bundle.background("exec -d --pid-file exec.pid c sleep 60").ok();
    let pid: u32 = bundle.read("exec.pid").parse().unwrap();
    assert!(Path::new(&format!("/proc/{pid}")).exists());
    bundle.line("exec -d -t c sleep 60").fails(255);
    if !rootless() {
        let pids: Vec<u32> = serde_json::from_str(&bundle.line("ps -f json c").ok()).unwrap();
        assert!(pids.len() == 2 && pids.contains(&pid), "{pids:?}");
        bundle.line("kill -a c KILL").ok();
        eventually("all ended", || {
            !Path::new(&format!("/proc/{pid}")).exists() || bundle.status() == "stopped"
        });
    }
    bundle.line("kill c 9").ok_or_gone();
    eventually("it ended", || bundle.status() == "stopped");
    bundle.line("exec c echo hello").fails(255);
}

/// A second kill may find nobody.
trait OkOrGone {
    fn ok_or_gone(self);
}

impl OkOrGone for Cmd {
    fn ok_or_gone(self) {
        let outcome = self.run();
        assert!(outcome.status == 0 || outcome.stderr().contains("not running"), "{outcome}");
    }
}

#[test]
fn descriptors_are_preserved_only_when_asked() {
    let bundle = Bundle::shell("cat <&3; ls /proc/self/fd | wc -l");
    let secret = bundle.sandbox.file("work/secret", "open\n");
    let binary = crate::kit::sandbox::binary();
    let script = |flag: &str| {
        format!(
            "exec 3<{}; exec {} runtime run {flag} -b bundle {}",
            secret.display(),
            binary.display(),
            bundle.id
        )
    };
    let run = |flag: &str| bundle.sandbox.program("sh").args(["-c", &script(flag)]).run();
    assert_eq!(run("--preserve-fds 1").stdout(), "open\n5\n");
    assert!(!run("").stdout().contains("open"));
    let short = run("--preserve-fds 3");
    assert!(short.status == 1 && short.stderr().contains("descriptor 4 is not open"), "{short}");
}

#[test]
fn a_terminal_is_sent_over_the_console_socket() {
    use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags};
    use std::io::{IoSliceMut, Read};
    use std::mem::MaybeUninit;
    let bundle = Bundle::shell("tty; stty size");
    bundle.change(|spec| {
        spec["process"]["terminal"] = json!(true);
        spec["process"]["consoleSize"] = json!({"height": 33, "width": 99});
    });
    let error = bundle.line("create -b bundle c").fails(1);
    assert!(error.contains("--console-socket"), "{error}");
    let path = bundle.sandbox.path("work/console.sock");
    let listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
    bundle.background("create -b bundle --console-socket console.sock c").ok();
    let (stream, _) = listener.accept().unwrap();
    let (mut bytes, mut space) = ([0u8; 64], [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))]);
    let mut control = RecvAncillaryBuffer::new(&mut space);
    rustix::net::recvmsg(&stream, &mut [IoSliceMut::new(&mut bytes)], &mut control, RecvFlags::empty())
        .unwrap();
    let rights = control.drain().find_map(|message| match message {
        RecvAncillaryMessage::ScmRights(mut fds) => fds.next(),
        _ => None,
    });
    let mut master = fs::File::from(rights.unwrap());
    bundle.line("start c").ok();
    let mut screen = Vec::new();
    drop(master.read_to_end(&mut screen)); // ends with EIO
    assert_eq!(String::from_utf8_lossy(&screen), "/dev/pts/0\r\n33 99\r\n");
}

#[test]
fn a_foreground_run_has_the_terminal_of_its_user() {
    let bundle = Bundle::shell("tty; stty size; read x; echo got-$x; exit 5");
    bundle.change(|spec| spec["process"]["terminal"] = json!(true));
    let mut pty = Pty::dhow(&bundle.sandbox, &["runtime", "run", "-b", "bundle", &bundle.id]);
    pty.expect("24 80");
    assert!(!pty.is_cooked(), "raw while it runs");
    pty.send("word\r");
    pty.expect("got-word");
    assert_eq!(pty.wait(), 5);
    assert!(pty.is_cooked());
}

#[test]
fn signals_of_a_foreground_run_go_to_the_container() {
    let bundle = Bundle::shell("trap 'echo caught; exit 4' TERM; echo ready; while :; do sleep 0.05; done");
    let mut child = bundle.line("run -b bundle c").spawn();
    let mut out = std::io::BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    std::io::BufRead::read_line(&mut out, &mut line).unwrap();
    let pid = rustix::process::Pid::from_raw(child.id() as i32).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    line.clear();
    std::io::BufRead::read_line(&mut out, &mut line).unwrap();
    assert_eq!((line.as_str(), child.wait().unwrap().code()), ("caught\n", Some(4)));
}

#[test]
fn resources_are_updated_and_reported() {
    if rootless() {
        return; // needs a delegated cgroup
    }
    let bundle = Bundle::new(&["sleep", "100"]);
    bundle.change(|spec| spec["linux"]["resources"] = json!({"pids": {"limit": 50}}));
    let outcome = bundle.background("run -d -b bundle c");
    if outcome.stderr().contains("is not ours to use") {
        return; // the host has no such controller
    }
    outcome.ok();
    let stats: Value = serde_json::from_str(&bundle.line("events --stats c").ok()).unwrap();
    assert_eq!((stats["type"].as_str(), stats["data"]["pids"]["current"].as_u64()), (Some("stats"), Some(1)));
    bundle.line("update --pids-limit 40 c").ok();
    bundle.line("update --resources - c").stdin(r#"{"pids": {"limit": 60}}"#).ok();
    assert_eq!(bundle.line("exec c echo again").ok(), "again\n");
    bundle.line("update c").fails(1);
    bundle.line("pause c").ok();
    assert_eq!(bundle.status(), "paused");
    let error = bundle.line("exec c echo no").fails(255);
    assert!(error.contains("paused"), "{error}");
    bundle.line("resume c").ok();
    assert_eq!(bundle.status(), "running");
    bundle.line("pause c").ok();
    bundle.line("delete --force c").ok();
}

#[test]
fn features_and_version_are_told() {
    let sandbox = Sandbox::new();
    let features: Value = serde_json::from_str(&sandbox.line("runtime features").ok()).unwrap();
    assert_eq!(features["ociVersionMin"], "1.0.0");
    let has = |pointer: &str, word: &str| {
        features.pointer(pointer).and_then(Value::as_array).is_some_and(|list| list.contains(&json!(word)))
    };
    assert!(has("/linux/namespaces", "user") && has("/linux/capabilities", "CAP_SYS_ADMIN"), "{features}");
    assert!(
        has("/hooks", "poststop")
            && has("/mountOptions", "rbind")
            && has("/linux/seccomp/actions", "SCMP_ACT_ERRNO")
    );
    assert!(sandbox.line("runtime --version").ok().starts_with("dhow version "));
    sandbox.line("runtime spec").ok();
    sandbox.line("runtime spec").fails(1);
    sandbox.line("runtime").fails(125);
}

#[test]
fn an_ordinary_user_needs_no_map_in_the_specification() {
    if !rootless() {
        return;
    }
    let bundle = Bundle::shell("id -u; cat /proc/self/uid_map | wc -l");
    bundle.change(|spec| {
        let linux = spec["linux"].as_object_mut().unwrap();
        linux.remove("uidMappings");
        linux.remove("gidMappings");
    });
    assert_eq!(bundle.run().ok(), "0\n2\n");
    bundle.change(|spec| {
        let namespaces = spec["linux"]["namespaces"].as_array_mut().unwrap();
        namespaces.retain(|namespace| namespace["type"] != "user");
    });
    assert_eq!(bundle.run().ok(), "0\n2\n");
    let error = bundle.line("--rootless false run -b bundle c").fails(1);
    assert!(!error.is_empty());
}
