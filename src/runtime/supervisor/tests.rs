//! Supervisors of real processes. `fork` needs a single-threaded process, which a test is not: so each test runs this very
//! binary again, with the plan in its environment, as the command that starts (or attaches to) a container.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsFd, OwnedFd, RawFd};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio as Pipe};
use std::time::{Duration, Instant};

use super::*;
use crate::base::error::{Context, Explain, Kind, fail, kind_of, render};
use crate::base::{fs, id, lock};
use crate::runtime::log::{Driver, ReadOptions, Settings};

const STAGE: &str = "DHOW_TEST_SUPERVISOR";

/// What the stage does.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
struct Scene {
    dir: PathBuf,
    script: String,
    tty: bool,
    stdin: bool,
    /// The caller's own output and input are handed to the container.
    direct: bool,
    detached: bool,
    attach: bool,
    unlogged: bool,
    exec: bool,
    restarts: u32,
    timeout_ms: u64,
}

impl Scene {
    fn new(script: &str) -> Scene {
        let dir = std::env::temp_dir().join(format!("dhow-sup-{}", id::word()));
        fs::create_dir_all(&dir).unwrap();
        Scene { dir, script: script.into(), ..Scene::default() }
    }

    fn command(&self) -> Command {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args([
            "--exact",
            "runtime::supervisor::tests::stage",
            "--test-threads=1",
            "--nocapture",
            "-q",
        ]);
        command.env(STAGE, serde_json::to_string(self).unwrap());
        command
    }

    fn cleaner(&self) -> Cleaner {
        Cleaner(self.dir.clone())
    }

    fn settings(&self) -> Settings {
        Settings { path: self.dir.join("ctr.log"), ..Settings::default() }
    }

    fn log(&self, stream: log::Stream) -> Vec<u8> {
        let mut reader = log::read(&self.settings(), &ReadOptions::default(), || false).unwrap();
        let mut all = Vec::new();
        while let Some(entry) = reader.next().unwrap() {
            if entry.stream == stream {
                all.extend_from_slice(entry.bytes);
            }
        }
        all
    }

    fn alive(&self) -> bool {
        lock::is_held(&self.dir.join(LOCK)).unwrap()
    }

    fn wait_until(&self, what: &str, mut done: impl FnMut() -> bool) {
        let begun = Instant::now();
        while !done() {
            assert!(begun.elapsed() < Duration::from_secs(20), "{what} in {}", self.dir.display());
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    fn start_detached(&self) {
        let scene = Scene { detached: true, ..self.clone() };
        let output = scene.command().output().unwrap();
        assert!(output.status.success(), "{output:?}");
    }
}

/// Removes the directory of a scene.
struct Cleaner(PathBuf);

impl Drop for Cleaner {
    fn drop(&mut self) {
        let _ = Command::new("rm").arg("-rf").arg(&self.0).status();
    }
}

/// What the harness itself prints comes before this.
const CURTAIN: &[u8] = b"\x01\x02";

fn after_curtain(output: &[u8]) -> &[u8] {
    let at = output.windows(2).position(|window| window == CURTAIN).expect("the stage was reached");
    &output[at + 2..]
}

#[test]
fn stage() {
    let Ok(text) = std::env::var(STAGE) else { return };
    let scene: Scene = serde_json::from_str(&text).unwrap();
    if !scene.detached {
        std::io::stdout().write_all(CURTAIN).unwrap();
        std::io::stdout().flush().unwrap();
    }
    let status = match play(&scene) {
        Ok(End::Exited(info)) => info.code,
        Ok(End::Detached) => 42,
        Err(error) => {
            eprintln!("Error: {}", render(&error));
            kind_of(&error).exit_code().into()
        }
    };
    crate::sys::process::exit_now(status)
}

fn play(scene: &Scene) -> Result<End> {
    if scene.exec {
        return play_exec(scene);
    }
    let wants = Attach::all(scene.stdin);
    let options = ClientOptions {
        dir: scene.dir.clone(),
        tty: scene.tty,
        attach: wants,
        detach_keys: DetachKeys::parse(DetachKeys::DEFAULT)?,
        sig_proxy: true,
    };
    if scene.attach {
        return foreground(attach(&scene.dir, wants)?, options);
    }
    let mut handle = spawn(plan(scene, wants)?)?;
    handle.wait_started()?;
    if scene.detached {
        return Ok(End::Exited(ExitInfo {
            code: 0,
            signal: None,
            oom_killed: false,
            finished: Timestamp::UNIX_EPOCH,
            trouble: Vec::new(),
        }));
    }
    foreground(handle, options)
}

fn play_exec(scene: &Scene) -> Result<End> {
    let (stdio, relay) = exec::streams(scene.tty, scene.stdin)?;
    let size = relay.size();
    let mut actor = Actor { scene: scene.clone(), lives: 0 };
    let running = actor.launch(stdio)?;
    if let (Some(master), Some(size)) = (&running.master, size) {
        crate::sys::pty::set_size(master, size)?;
    }
    actor.start()?;
    relay.run(running.pidfd, running.master, DetachKeys::parse("ctrl-a,x")?, true)
}

fn plan(scene: &Scene, wants: Attach) -> Result<Plan> {
    let own = |fd: std::os::fd::BorrowedFd<'_>| Stream::Direct(fd.try_clone_to_owned().unwrap());
    let relay = |on: bool| if on { Stream::Relay } else { Stream::Null };
    let streams = match (scene.tty, scene.direct) {
        (true, _) => Streams::Terminal { stdin: scene.stdin },
        (_, true) => Streams::Files {
            stdin: own(std::io::stdin().as_fd()),
            stdout: own(std::io::stdout().as_fd()),
            stderr: Stream::Relay,
        },
        _ => Streams::Files { stdin: relay(scene.stdin), stdout: Stream::Relay, stderr: Stream::Relay },
    };
    Ok(Plan {
        dir: scene.dir.clone(),
        lock: Lock::exclusive(&scene.dir.join(LOCK))?,
        streams,
        log: Settings {
            driver: if scene.unlogged { Driver::None } else { Driver::K8sFile },
            ..scene.settings()
        },
        attach: (!scene.detached).then_some(wants),
        size: scene.tty.then_some(Size { rows: 11, columns: 77 }),
        timeout: (scene.timeout_ms > 0).then(|| Duration::from_millis(scene.timeout_ms)),
        preserve_fds: Vec::new(),
        hold: false,
        lifecycle: Box::new(Actor { scene: scene.clone(), lives: 0 }),
    })
}

struct Actor {
    scene: Scene,
    lives: u32,
}

impl Actor {
    fn gate(&self) -> PathBuf {
        self.scene.dir.join(format!("started-{}", self.lives))
    }

    fn note(&self, word: &str) {
        let mut file = File::options().append(true).create(true).open(self.scene.dir.join("story")).unwrap();
        writeln!(file, "{word}").unwrap();
    }
}

impl Lifecycle for Actor {
    fn descriptors(&self) -> Vec<RawFd> {
        Vec::new()
    }

    fn launch(&mut self, stdio: Stdio) -> Result<Running> {
        self.lives += 1;
        let (mut command, mut master) = (Command::new("setsid"), None);
        match stdio {
            Stdio::Terminal => {
                let pair = crate::sys::pty::open()?;
                command.args(["-c", "sh"]);
                let slave = || Pipe::from(pair.slave.try_clone().unwrap());
                command.stdin(slave()).stdout(slave()).stderr(slave());
                master = Some(pair.master);
            }
            Stdio::Files([stdin, stdout, stderr]) => {
                command = Command::new("sh");
                command.process_group(0).stdin(stdin).stdout(stdout).stderr(stderr);
            }
        }
        // As a container does, it waits until it is started.
        let script =
            format!("while [ ! -e {} ]; do sleep 0.01; done; {}", self.gate().display(), self.scene.script);
        command.arg("-c").arg(script).current_dir(&self.scene.dir);
        if self.scene.script.starts_with("/no/") {
            command = Command::new(&self.scene.script);
        }
        let child = command.spawn().context("run the script").kind(Kind::NoCommand)?;
        let pid = rustix::process::Pid::from_child(&child);
        let pidfd = rustix::process::pidfd_open(pid, rustix::process::PidfdFlags::empty())?;
        let extra = serde_json::json!({ "lives": self.lives });
        Ok(Running { pid: pid.as_raw_nonzero().get(), pidfd, master, cgroup: "here".into(), extra })
    }

    fn start(&mut self) -> Result<()> {
        fs::create(&self.gate()).map(drop)
    }

    fn started(&mut self, _: &Live) -> Result<()> {
        self.note("started");
        Ok(())
    }

    fn failed(&mut self, error: &Error) {
        self.note(&format!("failed {}", kind_of(error).exit_code()));
    }

    fn exited(&mut self, info: &ExitInfo) -> Next {
        self.note(&format!("exited {}", info.code));
        if self.lives <= self.scene.restarts { Next::Restart } else { Next::End }
    }

    fn finish(&mut self) -> Result<()> {
        self.note("finished");
        Err(fail(Kind::Failed, "unmount `x`: busy"))
    }
}

fn story(scene: &Scene) -> String {
    fs::read_to_string(&scene.dir.join("story")).unwrap_or_default()
}

#[test]
fn a_foreground_command_gets_both_streams_and_the_status() {
    let scene = Scene::new("echo out; printf 'err\\0\\377' >&2; exit 7");
    let output = scene.command().output().unwrap();
    assert_eq!(output.status.code(), Some(7));
    assert_eq!(after_curtain(&output.stdout), b"out\n");
    assert_eq!(output.stderr, b"err\0\xff");
    assert_eq!(
        (scene.log(log::Stream::Stdout), scene.log(log::Stream::Stderr)),
        (b"out\n".to_vec(), b"err\0\xff".to_vec())
    );
    assert_eq!(story(&scene), "started\nexited 7\nfinished\n");
    assert!(!scene.alive());
    assert!(!scene.dir.join(SOCKET).exists() && !Live::path(&scene.dir).exists());
}

#[test]
fn a_failed_launch_keeps_its_kind_and_is_undone() {
    let scene = Scene::new("/no/such/program");
    let _cleaner = scene.cleaner();
    let output = scene.command().output().unwrap();
    assert_eq!(output.status.code(), Some(127));
    assert!(String::from_utf8_lossy(&output.stderr).contains("run the script"), "{output:?}");
    assert_eq!(story(&scene), "failed 127\nfinished\n");
    assert!(!scene.alive());
}

#[test]
fn the_container_outlives_its_command_and_can_be_attached() {
    let scene = Scene::new(
        "echo first; while [ ! -e go ]; do sleep 0.01; [ ! -e tick ] || echo tick; done; echo second; exit 3",
    );
    let mut first = scene.command().stdout(Pipe::piped()).spawn().unwrap();
    scene.wait_until("the first line", || scene.log(log::Stream::Stdout) == b"first\n");
    first.kill().unwrap();
    assert_eq!(first.wait().unwrap().signal(), Some(9));
    assert!(scene.alive());
    let live = Live::load(&scene.dir).unwrap().unwrap();
    assert!(live.process_exists() && live.status == Phase::Running && live.extra["lives"] == 1);
    fs::create(&scene.dir.join("tick")).unwrap();
    let attached: Vec<Child> = (0..3).map(|_| attached_and_hearing(&scene)).collect();
    let watcher = watch(&scene.dir).unwrap();
    fs::create(&scene.dir.join("go")).unwrap();
    for child in attached {
        let output = child.wait_with_output().unwrap();
        assert!(output.stdout.ends_with(b"tick\nsecond\n"), "{output:?}");
        assert_eq!(output.status.code(), Some(3));
    }
    let info = watcher.wait_exit().unwrap();
    assert_eq!((info.code, info.trouble), (3, vec!["unmount `x`: busy".to_string()]));
    assert!(!scene.alive());
}

/// A command that is attached, since it heard the container tick.
fn attached_and_hearing(scene: &Scene) -> Child {
    let mut command = Scene { attach: true, ..scene.clone() }.command();
    let mut child = command.stdout(Pipe::piped()).spawn().unwrap();
    let output = child.stdout.as_mut().unwrap();
    let mut heard = Vec::new();
    while !heard.ends_with(b"tick") {
        let mut byte = [0u8];
        output.read_exact(&mut byte).unwrap();
        heard.extend(byte);
    }
    child
}

fn big_file(scene: &Scene, megabytes: usize) -> PathBuf {
    let path = scene.dir.join("big");
    let block: Vec<u8> = (0..1 << 20).map(|n: u32| (n.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    let mut file = fs::create(&path).unwrap();
    (0..megabytes).for_each(|_| file.write_all(&block).unwrap());
    path
}

#[test]
fn input_passes_whole_with_its_end() {
    let scene = Scene { stdin: true, ..Scene::new("cat; echo end >&2") };
    let path = big_file(&scene, 8);
    let output = scene.command().stdin(open(&path)).output().unwrap();
    assert_eq!(output.stderr, b"end\n");
    let original = fs::read(&path).unwrap();
    assert!(after_curtain(&output.stdout) == original);
    assert!(scene.log(log::Stream::Stdout) == original);
}

fn open(path: &Path) -> File {
    fs::open(path).unwrap()
}

#[test]
fn full_pipes_both_ways_do_not_lock_up() {
    // The input fills everything on its way while the container, before it reads any, writes more than fits.
    for kib in (64..=704).step_by(64) {
        let scene = Scene { stdin: true, ..Scene::new("head -c 2000000 /dev/zero; cat >&2") };
        let _cleaner = scene.cleaner();
        let path = scene.dir.join("input");
        fs::replace(&path, &vec![b'x'; kib << 10], 0o600, fs::Durability::Volatile).unwrap();
        let output = scene.command().stdin(open(&path)).output().unwrap();
        assert_eq!((after_curtain(&output.stdout).len(), output.stderr.len()), (2_000_000, kib << 10));
    }
}

#[test]
fn direct_streams_see_sigpipe_and_end_of_file() {
    let scene = Scene { direct: true, ..Scene::new("cat; yes; echo $? >&2") };
    let mut child =
        scene.command().stdin(Pipe::piped()).stdout(Pipe::piped()).stderr(Pipe::piped()).spawn().unwrap();
    drop(child.stdin.take());
    let mut head = [0u8; 1000];
    child.stdout.take().unwrap().read_exact(&mut head).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(String::from_utf8_lossy(&output.stderr).contains("141"), "{output:?}");
}

#[test]
fn a_restart_waits_and_can_be_called_off() {
    let scene = Scene { restarts: 2, ..Scene::new("exit 5") };
    let _cleaner = scene.cleaner();
    scene.start_detached();
    scene.wait_until("the end", || !scene.alive());
    assert_eq!(story(&scene), "started\nexited 5\nstarted\nexited 5\nstarted\nexited 5\nfinished\n");
    let scene = Scene { restarts: 1000, ..Scene::new("exit 5") };
    let _cleaner = scene.cleaner();
    scene.start_detached();
    scene.wait_until("five lives", || story(&scene).matches("exited").count() == 5);
    let begun = Instant::now();
    control(&scene.dir, Request::NoRestart).unwrap();
    scene.wait_until("the end", || !scene.alive());
    // The pause was 1.6 s by now.
    assert!(begun.elapsed() < Duration::from_secs(1));
    assert_eq!(story(&scene).matches("exited").count(), 5);
    assert!(story(&scene).ends_with("exited 5\nfinished\n"));
}

#[test]
fn signals_are_passed_on_and_time_limits_kept() {
    let scene = Scene::new("trap 'exit 9' TERM; echo ready; while :; do sleep 0.01; done");
    let child = scene.command().stdout(Pipe::piped()).spawn().unwrap();
    scene.wait_until("the script", || scene.log(log::Stream::Stdout) == b"ready\n");
    // The log is written before the client is told.
    scene.wait_until("the client to catch signals", || catches(child.id(), libc::SIGTERM));
    rustix::process::kill_process(rustix::process::Pid::from_child(&child), rustix::process::Signal::TERM)
        .unwrap();
    assert_eq!(child.wait_with_output().unwrap().status.code(), Some(9));
    let scene = Scene { timeout_ms: 200, ..Scene::new("exec sleep 100") };
    let _cleaner = scene.cleaner();
    assert_eq!(scene.command().output().unwrap().status.code(), Some(137));
}

/// Whether the process has a handler for the signal.
fn catches(pid: u32, signal: i32) -> bool {
    let status = fs::read_to_string(Path::new(&format!("/proc/{pid}/status"))).unwrap();
    let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:")).unwrap();
    u64::from_str_radix(caught.trim(), 16).unwrap() & 1 << (signal - 1) != 0
}

#[test]
fn a_terminal_has_its_size_and_is_left_by_the_detach_keys() {
    let scene =
        Scene { tty: true, stdin: true, ..Scene::new("stty size; read line; echo \"got $line\"; sleep 100") };
    let pair = crate::sys::pty::open().unwrap();
    crate::sys::pty::set_size(&pair.master, Size { rows: 11, columns: 77 }).unwrap();
    let slave = || Pipe::from(pair.slave.try_clone().unwrap());
    let mut child = scene.command().stdin(slave()).stdout(slave()).stderr(slave()).spawn().unwrap();
    let mut user = Typist(pair.master, Vec::new());
    user.expect("11 77");
    user.type_keys(b"hello\r");
    user.expect("got hello");
    user.type_keys(b"\x10\x11");
    assert_eq!(child.wait().unwrap().code(), Some(42));
    assert!(scene.alive());
    control(&scene.dir, Request::Resize(Size { rows: 5, columns: 6 })).unwrap();
    control(&scene.dir, Request::Signal(9)).unwrap();
    scene.wait_until("the end", || !scene.alive());
}

#[test]
fn job_control_and_a_killing_signal_leave_the_terminal_as_it_was() {
    use rustix::process::{Pid, Signal, kill_process};
    let scene = Scene {
        tty: true,
        stdin: true,
        ..Scene::new("echo ready; read line; echo \"got $line\"; sleep 100")
    };
    let _cleaner = scene.cleaner();
    let pair = crate::sys::pty::open().unwrap();
    let echoes = || {
        rustix::termios::tcgetattr(&pair.slave)
            .unwrap()
            .local_modes
            .contains(rustix::termios::LocalModes::ECHO)
    };
    let slave = || Pipe::from(pair.slave.try_clone().unwrap());
    let mut child = scene.command().stdin(slave()).stdout(slave()).stderr(slave()).spawn().unwrap();
    let mut user = Typist(pair.master.try_clone().unwrap(), Vec::new());
    user.expect("ready");
    assert!(!echoes());
    kill_process(Pid::from_child(&child), Signal::TSTP).unwrap();
    scene.wait_until("the stop", || stopped(child.id()));
    scene.wait_until("the terminal as it was", echoes);
    kill_process(Pid::from_child(&child), Signal::CONT).unwrap();
    scene.wait_until("raw mode", || !echoes());
    user.type_keys(b"again\r");
    user.expect("got again");
    kill_process(Pid::from_child(&child), Signal::TERM).unwrap();
    assert_eq!(child.wait().unwrap().signal(), Some(15));
    assert!(echoes() && scene.alive());
    control(&scene.dir, Request::Signal(9)).unwrap();
    scene.wait_until("the end", || !scene.alive());
}

fn stopped(pid: u32) -> bool {
    let stat = fs::read_to_string(Path::new(&format!("/proc/{pid}/stat"))).unwrap();
    stat.contains(") T ")
}

#[test]
fn exec_relays_by_itself() {
    let scene = Scene { exec: true, stdin: true, ..Scene::new("cat; echo err >&2; exit 4") };
    let _cleaner = scene.cleaner();
    let path = big_file(&scene, 1);
    let output = scene.command().stdin(open(&path)).output().unwrap();
    assert_eq!((output.status.code(), output.stderr.as_slice()), (Some(4), &b"err\n"[..]));
    assert!(after_curtain(&output.stdout) == fs::read(&path).unwrap());
}

#[test]
fn exec_with_a_terminal_can_be_left_and_goes_on() {
    let script = "stty size; read line; echo \"got $line\"; sleep 0.3; echo more; touch survived";
    let scene = Scene { exec: true, tty: true, stdin: true, ..Scene::new(script) };
    let _cleaner = scene.cleaner();
    let pair = crate::sys::pty::open().unwrap();
    crate::sys::pty::set_size(&pair.master, Size { rows: 9, columns: 33 }).unwrap();
    let slave = || Pipe::from(pair.slave.try_clone().unwrap());
    let mut child = scene.command().stdin(slave()).stdout(slave()).stderr(slave()).spawn().unwrap();
    let mut user = Typist(pair.master.try_clone().unwrap(), Vec::new());
    user.expect("9 33");
    user.type_keys(b"x\r");
    user.expect("got x");
    user.type_keys(b"\x01x");
    assert_eq!(child.wait().unwrap().code(), Some(42));
    scene.wait_until("the process goes on", || scene.dir.join("survived").exists());
}

#[test]
fn a_client_that_reads_nothing_does_not_hold_up_the_end() {
    let scene = Scene::new("head -c 400000 /dev/zero; exit 6");
    let _cleaner = scene.cleaner();
    let gate = Scene {
        script: format!("while [ ! -e go ]; do echo tick; sleep 0.01; done; {}", scene.script),
        ..scene.clone()
    };
    gate.start_detached();
    let stuck = attach(&scene.dir, Attach::all(false)).unwrap();
    let mut payload = Vec::new();
    // It is served by now.
    assert_eq!(frame::receive(&stuck.conn, &mut payload, true).unwrap(), Some(frame::Type::Stdout));
    fs::create(&scene.dir.join("go")).unwrap();
    let begun = Instant::now();
    std::thread::sleep(Duration::from_millis(200));
    // What the socket has no room for waits in the pipe; reading a little lets the rest through.
    let zeros = |payload: &[u8]| payload.iter().filter(|byte| **byte == 0).count();
    let mut seen = 0;
    while scene.alive() {
        assert!(begun.elapsed() < Duration::from_secs(20));
        if frame::receive(&stuck.conn, &mut payload, false)
            .is_ok_and(|kind| kind == Some(frame::Type::Stdout))
        {
            seen += zeros(&payload);
        }
    }
    while let Ok(Some(frame::Type::Stdout)) = frame::receive(&stuck.conn, &mut payload, true) {
        seen += zeros(&payload);
    }
    assert_eq!(seen, 400_000);
    assert_eq!(exit_code(&payload), 6);
}

fn exit_code(payload: &[u8]) -> i32 {
    serde_json::from_slice::<ExitInfo>(payload).unwrap().code
}

struct Typist(OwnedFd, Vec<u8>);

impl Typist {
    fn type_keys(&self, keys: &[u8]) {
        rustix::io::write(&self.0, keys).unwrap();
    }

    fn expect(&mut self, text: &str) {
        let mut buffer = [0u8; 4096];
        while !self.1.windows(text.len()).any(|window| window == text.as_bytes()) {
            let ready = crate::sys::event::wait_any(
                &[(self.0.as_fd(), rustix::event::PollFlags::IN)],
                Some(Duration::from_secs(20)),
            );
            assert!(!ready.unwrap()[0].is_empty(), "no `{text}` in {:?}", String::from_utf8_lossy(&self.1));
            let read = rustix::io::read(&self.0, &mut buffer).unwrap();
            self.1.extend_from_slice(&buffer[..read]);
        }
    }
}

/// Memory that belongs to this process alone, in KiB. Not the private pages of `smaps`: those of a program file that was
/// just built count there as well. Nor the program's own data, which the loader relocates in a test program; the shipped
/// one is linked at a fixed address (docs/adr/003), `make bench` measures it whole.
fn private_memory(pid: i32) -> u64 {
    let text = fs::read_to_string(Path::new(&format!("/proc/{pid}/smaps"))).unwrap();
    let program = std::fs::read_link(format!("/proc/{pid}/exe")).unwrap();
    let (mut own, mut total) = (false, 0);
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("Anonymous:") {
            let kib: u64 = rest.split_whitespace().next().unwrap().parse().unwrap();
            total += if own { 0 } else { kib };
        } else if line.split_whitespace().next().is_some_and(|word| word.contains('-')) {
            own = line.ends_with(program.to_str().unwrap());
        }
    }
    total
}

#[test]
fn a_supervisor_is_small() {
    let scene = Scene::new("yes | head -c 1000000; exec sleep 100");
    scene.start_detached();
    scene.wait_until("the output", || scene.log(log::Stream::Stdout).len() == 1_000_000);
    let supervisor = Live::load(&scene.dir).unwrap().unwrap().supervisor;
    // Once it has settled.
    scene.wait_until("at most 1 MiB", || private_memory(supervisor) <= 1024);
    eprintln!("supervisor: {} KiB", private_memory(supervisor));
    control(&scene.dir, Request::Signal(9)).unwrap();
    scene.wait_until("the end", || !scene.alive());
}
