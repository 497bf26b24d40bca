//! A sandbox: own root, run root and home under one directory, a cleared environment, and the binary.
//!
//! Dropping it removes its containers and its directory (through a user namespace when rootless, since files
//! in it belong to sub-ids).

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use super::command::Cmd;
use super::image;

/// See the module.
pub struct Sandbox {
    dir: PathBuf,
    environment: Vec<(OsString, OsString)>,
}

impl Sandbox {
    /// Makes an empty one.
    pub fn new() -> Sandbox {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let base = std::env::var_os("DHOW_TEST_DIR").map_or_else(std::env::temp_dir, PathBuf::from);
        let dir = base.join(format!("dhow-{}-{number}", std::process::id()));
        for part in ["home", "run", "tmp", "work"] {
            fs::create_dir_all(dir.join(part)).unwrap();
        }
        let path = |name: &str| dir.join(name).into_os_string();
        let mut environment: Vec<(OsString, OsString)> = vec![
            ("PATH".into(), "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin".into()),
            ("HOME".into(), path("home")),
            ("XDG_RUNTIME_DIR".into(), path("run")),
            ("TMPDIR".into(), path("tmp")),
            ("DHOW_ROOT".into(), path("root")),
            ("DHOW_RUNROOT".into(), path("run/dhow")),
            ("LANG".into(), "C.UTF-8".into()),
        ];
        // The files of the machine must not decide what a test sees.
        environment.push(("CONTAINERS_CONF".into(), "/dev/null".into()));
        environment.push(("CONTAINERS_REGISTRIES_CONF".into(), "/dev/null".into()));
        Sandbox { dir, environment }
    }

    /// A sandbox that has the image `localhost/busybox:latest`.
    pub fn with_busybox() -> Sandbox {
        let sandbox = Sandbox::new();
        sandbox.load_busybox();
        sandbox
    }

    /// Loads `localhost/busybox:latest`.
    pub fn load_busybox(&self) {
        self.dhow(["load", "-q", "-i"]).arg(image::busybox_archive(&self.path("tmp/busybox.tar"))).ok();
    }

    /// A path inside the sandbox.
    pub fn path(&self, relative: &str) -> PathBuf {
        self.dir.join(relative)
    }

    /// Writes a file inside the sandbox and gives its path.
    pub fn file(&self, relative: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(relative);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        path
    }

    /// Where the store lies.
    pub fn root(&self) -> PathBuf {
        self.path("root")
    }

    /// `dhow` with these arguments.
    pub fn dhow<T: AsRef<std::ffi::OsStr>>(&self, args: impl IntoIterator<Item = T>) -> Cmd {
        Cmd::new(binary(), &self.environment).dir(self.path("work")).args(args)
    }

    /// `dhow` with the words of one line as arguments.
    pub fn line(&self, words: &str) -> Cmd {
        self.dhow(words.split_whitespace())
    }

    /// Another program in the sandbox's environment.
    pub fn program(&self, name: &str) -> Cmd {
        Cmd::new(name, &self.environment).dir(self.path("work"))
    }

    /// Podman with a store of its own in the sandbox, and a run root of at most 50 characters, which it asks for.
    pub fn podman(&self) -> Cmd {
        let run = self.podman_run();
        fs::create_dir_all(&run).unwrap();
        self.program("podman")
            .args(["--storage-driver", "vfs", "--cgroup-manager", "cgroupfs", "--root"])
            .arg(self.path("podman"))
            .arg("--runroot")
            .arg(run)
    }

    fn podman_run(&self) -> PathBuf {
        Path::new("/tmp").join(self.dir.file_name().unwrap()).with_extension("podman")
    }

    /// The environment, for those who build a command of their own.
    pub fn environment(&self) -> &[(OsString, OsString)] {
        &self.environment
    }
}

/// The binary under test.
pub fn binary() -> PathBuf {
    std::env::var_os("DHOW_TEST_BINARY").map_or_else(|| env!("CARGO_BIN_EXE_dhow").into(), PathBuf::from)
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        if std::env::var_os("DHOW_TEST_KEEP").is_some() {
            return;
        }
        drop(quiet(Command::new(binary()).args(["rm", "-f", "-a", "-t", "0"]), &self.environment));
        remove(&self.dir);
        if self.podman_run().exists() {
            remove(&self.podman_run());
        }
    }
}

fn quiet(command: &mut Command, environment: &[(OsString, OsString)]) -> std::io::Result<()> {
    command.env_clear().envs(environment.iter().map(|(k, v)| (k, v)));
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status().map(drop)
}

fn remove(dir: &Path) {
    let mut command = Command::new("rm");
    if super::rootless() {
        command = Command::new("unshare");
        command.args(["--map-root-user", "--map-auto", "rm"]);
    }
    drop(command.arg("-rf").arg(dir).stderr(Stdio::null()).status());
}
