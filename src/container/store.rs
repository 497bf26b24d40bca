//! The containers on disk.
//!
//! ```text
//! <root>/containers/<id>/config.json    what was asked for; replaced only by rename and update
//!                        state.json     what became of it; missing means created, never started
//!                        lock           flock: whoever changes the container (start, stop, rm, …)
//!                        spec.json, upper/, work/, ctr.log, hosts, hostname, resolv.conf   (see ops)
//! <root>/containers/.new-<id>/          being made, its lock held; swept when the lock is free
//! <root>/containers/names/<name>        symbolic link to the id, made and removed under names.lock
//! <root>/containers/names.lock
//! <run>/containers/<id>/alive.lock      held by the supervisor: that, and nothing else, means alive
//!                       live.json       pid and status while alive (see runtime::supervisor)
//! ```
//!
//! A container exists from the rename of `.new-<id>` to `<id>` on. A name that points to no container (the
//! maker died in between) is free. Readers take no lock. A record that cannot be read is skipped by listings
//! and reported by [`Store::damaged`]; it never breaks a command about another container.

use std::path::{Path, PathBuf};

use super::names;
use super::record::{Config, State, Status};
use crate::base::error::{Context, Error, Explain, Kind, Result, fail, is_not_found};
use crate::base::fs::{self, Durability};
use crate::base::id;
use crate::base::lock::{self, Lock};
use crate::base::roots::Roots;
use crate::runtime::supervisor::{Live, Phase};

/// The exit code of a container whose end nobody saw (reboot, killed supervisor), as Docker reports it.
const UNSEEN_END: i32 = 255;

/// A container as it is now.
#[derive(Debug, Clone)]
pub struct Container {
    /// `<root>/containers/<id>`
    pub dir: PathBuf,
    /// What was asked for.
    pub config: Config,
    /// What became of it, with the live status already filled in.
    pub state: State,
}

/// What the health check of a running container found, in its run directory.
pub const HEALTH: &str = "health.json";

impl Container {
    /// Whether a process of the container lives (running, paused, stopping or waiting for start).
    pub fn is_alive(&self) -> bool {
        alive_status(self.state.status)
    }
}

fn alive_status(status: Status) -> bool {
    matches!(status, Status::Initialized | Status::Running | Status::Paused | Status::Stopping)
}

/// The store of containers.
#[derive(Debug, Clone)]
pub struct Store {
    root: PathBuf,
    run: PathBuf,
}

impl Store {
    /// Opens the store; makes its directory when there is none.
    pub fn open(roots: &Roots) -> Result<Store> {
        let store = Store { root: roots.root.join("containers"), run: roots.run.join("containers") };
        if !store.names_dir().exists() {
            fs::create_dir_all(&store.names_dir())?;
        }
        Ok(store)
    }

    /// `<root>/containers/<id>`
    pub fn dir(&self, id: &str) -> PathBuf {
        self.root.join(id)
    }

    /// `<run>/containers/<id>`; may not exist.
    pub fn run_dir(&self, id: &str) -> PathBuf {
        self.run.join(id)
    }

    fn names_dir(&self) -> PathBuf {
        self.root.join("names")
    }

    fn lock_names(&self) -> Result<Lock> {
        Lock::exclusive(&self.root.join("names.lock"))
    }

    /// The ids of all containers, readable or not, unordered.
    pub fn ids(&self) -> Result<Vec<String>> {
        let entries = fs::read_dir(&self.root)?;
        let names = entries.into_iter().filter_map(|entry| entry.file_name().into_string().ok());
        Ok(names.filter(|name| is_id(name)).collect())
    }

    /// All readable containers, oldest first.
    pub fn list(&self) -> Result<Vec<Container>> {
        let with_run_dir: std::collections::HashSet<_> =
            fs::read_dir(&self.run)?.into_iter().map(|entry| entry.file_name()).collect();
        let ids = self.ids()?;
        let mut all = Vec::with_capacity(ids.len()); // records are large to move
        for id in ids {
            let may_live = with_run_dir.contains(std::ffi::OsStr::new(&id));
            all.extend(self.read(&id, may_live).ok()); // damaged(): tells about the others
        }
        all.sort_unstable_by(|a: &Container, b| {
            (a.config.created, &a.config.id).cmp(&(b.config.created, &b.config.id))
        });
        Ok(all)
    }

    /// Ids whose records cannot be read, with the reason.
    pub fn damaged(&self) -> Result<Vec<(String, Error)>> {
        let ids = self.ids()?.into_iter();
        Ok(ids.filter_map(|id| self.read(&id, false).err().map(|error| (id, error))).collect())
    }

    /// The container with exactly this id.
    pub fn get(&self, id: &str) -> Result<Container> {
        if !is_id(id) {
            return Err(not_found(id));
        }
        self.read(id, true).map_err(|error| if self.dir(id).exists() { error } else { not_found(id) })
    }

    fn read(&self, id: &str, may_live: bool) -> Result<Container> {
        let dir = self.dir(id);
        let config: Config = fs::read_json(&dir.join("config.json"))?;
        if config.id != id {
            return Err(fail(
                Kind::Failed,
                format!("record of container `{id}` claims the id `{}`", config.id),
            ));
        }
        let state = match fs::read_json(&dir.join("state.json")) {
            Ok(state) => state,
            Err(error) if is_not_found(&error) => State::default(),
            Err(error) => return Err(error),
        };
        let mut state = self.with_liveness(id, state, may_live)?;
        if config.health.is_some() && alive_status(state.status) {
            state.health = fs::read_json(&self.run_dir(id).join(HEALTH)).ok(); // none before the first check
        }
        Ok(Container { dir, config, state })
    }

    /// Decides by the supervisor's lock whether the container lives, and corrects the recorded state.
    fn with_liveness(&self, id: &str, mut state: State, may_live: bool) -> Result<State> {
        let run = self.run_dir(id);
        if may_live && lock::is_held(&run.join("alive.lock"))? {
            // The lock comes first and the record later: a container that is just being started has none yet.
            if let Some(live) = Live::load(&run)? {
                state.pid = live.pid;
                state.status = match (state.status, live.status) {
                    (Status::Removing, _) => Status::Removing,
                    (_, Phase::Initialized) => Status::Initialized,
                    (_, Phase::Paused) => Status::Paused,
                    (_, Phase::Stopping) => Status::Stopping,
                    (_, Phase::Running | Phase::Restarting) => Status::Running,
                };
            }
            return Ok(state);
        }
        if alive_status(state.status) {
            state.status = Status::Exited;
            state.exit_code = UNSEEN_END;
        }
        state.pid = 0;
        Ok(state)
    }

    /// The container that a user means: its name, its id, or the unambiguous beginning of its id.
    pub fn resolve(&self, text: &str) -> Result<Container> {
        self.get(&self.resolve_id(text)?)
    }

    /// The id that a user means, readable record or not (for `rm -f`).
    pub fn resolve_id(&self, text: &str) -> Result<String> {
        if let Some(id) = self.owner_of(text)? {
            return Ok(id);
        }
        if is_id(text) && self.dir(text).exists() {
            return Ok(text.to_owned());
        }
        if !id::is_prefix(text) {
            return Err(not_found(text));
        }
        let mut found = self.ids()?.into_iter().filter(|id| id.starts_with(text));
        match (found.next(), found.next()) {
            (Some(id), None) => Ok(id),
            (None, _) => Err(not_found(text)),
            (Some(_), Some(_)) => {
                Err(fail(Kind::Usage, format!("more than one container's id begins with `{text}`"))
                    .hint("give more digits of the id, or the name"))
            }
        }
    }

    /// The id of the container that has this name.
    pub fn owner_of(&self, name: &str) -> Result<Option<String>> {
        if names::check(name).is_err() {
            return Ok(None);
        }
        let Ok(target) = std::fs::read_link(self.names_dir().join(name)) else { return Ok(None) };
        let id = target.to_string_lossy().into_owned();
        Ok((is_id(&id) && self.dir(&id).exists()).then_some(id))
    }

    /// Makes the container: takes its name and commits its record by one rename. An empty name is made up.
    ///
    /// `prepare` is called with the staged directory, to add what must be there from the start. Returns with the
    /// container's lock held, so that no other command touches it before the maker is done.
    pub fn create(&self, config: &mut Config, prepare: impl FnOnce(&Path) -> Result<()>) -> Result<Lock> {
        let staged = self.root.join(format!(".new-{}", config.id));
        // Under this lock there is no moment at which a directory seems to be nobody's: see leftovers().
        let names_lock = self.lock_names()?;
        fs::create_dir(&staged)?;
        let held = Lock::exclusive(&staged.join("lock"));
        drop(names_lock);
        let made = held.and_then(|held| self.create_staged(&staged, config, held, prepare));
        if made.is_err() {
            let _ = remove_flat(&staged); // the first error is the one to tell; sweep() gets what is left
        }
        made
    }

    fn create_staged(
        &self,
        staged: &Path,
        config: &mut Config,
        held: Lock,
        prepare: impl FnOnce(&Path) -> Result<()>,
    ) -> Result<Lock> {
        prepare(staged)?;
        let names_lock = self.lock_names()?;
        if config.name.is_empty() {
            config.name = self.free_name()?;
        }
        let bytes = serde_json::to_vec(config).context("encode the container's record")?;
        fs::write_new(&staged.join("config.json"), &bytes, 0o600, Durability::Volatile)?;
        self.link_name(&config.name, &config.id)?;
        if let Err(error) = fs::rename(staged, &self.dir(&config.id)) {
            fs::remove_file(&self.names_dir().join(&config.name))?;
            return Err(error);
        }
        drop(names_lock);
        Ok(held)
    }

    fn free_name(&self) -> Result<String> {
        for attempt in 0..64 {
            let name = names::generate(attempt);
            if self.owner_of(&name)?.is_none() {
                return Ok(name);
            }
        }
        Err(fail(Kind::Failed, "no free container name was found").hint("give one with --name"))
    }

    /// Points a name to an id; the names lock is held. A link that leads to no container is replaced.
    fn link_name(&self, name: &str, id: &str) -> Result<()> {
        names::check(name)?;
        if let Some(owner) = self.owner_of(name)? {
            return Err(name_taken(name, &owner));
        }
        let path = self.names_dir().join(name);
        fs::remove_file(&path)?;
        std::os::unix::fs::symlink(id, &path).with_context(|| format!("take the container name `{name}`"))
    }

    /// Waits for the container's lock.
    pub fn lock(&self, id: &str) -> Result<Lock> {
        let path = self.dir(id);
        if !path.exists() {
            return Err(not_found(id));
        }
        Lock::exclusive(&path.join("lock"))
    }

    /// Takes the container's lock if nobody has it.
    pub fn try_lock(&self, id: &str) -> Result<Option<Lock>> {
        Lock::try_exclusive(&self.dir(id).join("lock"))
    }

    /// Writes what became of the container.
    pub fn save_state(&self, id: &str, state: &State) -> Result<()> {
        fs::replace_json(&self.dir(id).join("state.json"), state, Durability::Volatile)
    }

    /// Replaces what was asked for (`update`); the container's lock is held.
    pub fn save_config(&self, config: &Config) -> Result<()> {
        fs::replace_json(&self.dir(&config.id).join("config.json"), config, Durability::Durable)
    }

    /// Gives a container another name; its lock is held.
    pub fn rename(&self, id: &str, name: &str) -> Result<()> {
        let _names = self.lock_names()?;
        let mut config = self.get(id)?.config;
        self.link_name(name, id)?;
        let old = std::mem::replace(&mut config.name, name.to_owned());
        if let Err(error) = self.save_config(&config) {
            fs::remove_file(&self.names_dir().join(name))?;
            return Err(error);
        }
        fs::remove_file(&self.names_dir().join(old))
    }

    /// Takes the container off the books, by one rename, and returns the directory that is left to delete
    /// (its `upper/` may need a deep and careful removal). Frees the name.
    pub fn remove(&self, id: &str) -> Result<PathBuf> {
        if !is_id(id) {
            return Err(not_found(id));
        }
        let _names = self.lock_names()?;
        let doomed = self.root.join(format!(".gone-{id}"));
        let name = fs::read_json::<Config>(&self.dir(id).join("config.json")).ok().map(|config| config.name);
        fs::rename(&self.dir(id), &doomed)?;
        match name {
            Some(name) => self.unlink_name(&name, id)?,
            None => self.unlink_names_of(id)?,
        }
        Ok(doomed)
    }

    fn unlink_name(&self, name: &str, id: &str) -> Result<()> {
        let path = self.names_dir().join(name);
        let ours =
            names::check(name).is_ok() && std::fs::read_link(&path).is_ok_and(|to| to == Path::new(id));
        if ours { fs::remove_file(&path) } else { Ok(()) }
    }

    /// For a record too damaged to say its name.
    fn unlink_names_of(&self, id: &str) -> Result<()> {
        for entry in fs::read_dir(&self.names_dir())? {
            self.unlink_name(&entry.file_name().to_string_lossy(), id)?;
        }
        Ok(())
    }

    /// Directories that a killed command left half made or half removed and nobody works on.
    pub fn leftovers(&self) -> Result<Vec<PathBuf>> {
        let mut found = self.unfinished()?;
        if found.is_empty() {
            return Ok(found);
        }
        // Makers take their lock under this one: from here on an idle directory's maker is dead.
        let _names = self.lock_names()?;
        let mut failed = None;
        found.retain(|path| match lock::is_held(&path.join("lock")) {
            Ok(held) => !held && path.exists(),
            Err(error) => {
                failed = Some(error);
                false
            }
        });
        failed.map_or(Ok(found), Err)
    }

    fn unfinished(&self) -> Result<Vec<PathBuf>> {
        let mut found = Vec::new();
        for entry in fs::read_dir(&self.root)? {
            let name = entry.file_name();
            let name = name.to_string_lossy();
            if name.starts_with(".new-") || name.starts_with(".gone-") {
                found.push(entry.path());
            }
        }
        Ok(found)
    }
}

/// Removes a directory that holds only files.
fn remove_flat(dir: &Path) -> Result<()> {
    for entry in fs::read_dir(dir)? {
        fs::remove_file(&entry.path())?;
    }
    std::fs::remove_dir(dir).with_context(|| format!("remove `{}`", dir.display()))
}

fn is_id(text: &str) -> bool {
    text.len() == 64 && id::is_prefix(text)
}

fn not_found(text: &str) -> Error {
    fail(Kind::NotFound, format!("no such container `{text}`"))
}

fn name_taken(name: &str, owner: &str) -> Error {
    let message = format!("the container name `{name}` is already in use by {}", id::short(owner));
    // 125, as Docker and Podman end here: not Kind::InUse.
    fail(Kind::Failed, message).hint("remove or rename that container, or use --replace")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::error::kind_of;

    struct Sandbox(PathBuf, Store);

    impl Sandbox {
        fn new() -> Sandbox {
            let dir = std::env::temp_dir().join(format!("dhow-ctr-{}", id::word()));
            let roots = Roots {
                additional: Vec::new(),
                root: dir.join("root"),
                run: dir.join("run"),
                tmp: dir.clone(),
                rootless: false,
                uid: 0,
            };
            Sandbox(dir, Store::open(&roots).unwrap())
        }

        fn make(&self, name: &str) -> Config {
            let mut config = Config { id: id::random(), name: name.into(), ..Config::default() };
            self.1.create(&mut config, |_| Ok(())).unwrap();
            config
        }
    }

    impl Drop for Sandbox {
        #[expect(clippy::disallowed_methods, reason = "a test's own directory")]
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn containers_are_found_by_name_id_and_prefix() {
        let sandbox = Sandbox::new();
        let (a, b) = (sandbox.make("web"), sandbox.make(""));
        let store = &sandbox.1;
        assert!(!b.name.is_empty());
        for text in ["web", &a.id, &a.id[..20]] {
            assert_eq!(store.resolve(text).unwrap().config.id, a.id, "{text}");
        }
        assert_eq!(store.list().unwrap().len(), 2);
        for text in ["nothing", "../x", "", "zz", "names"] {
            assert_eq!(kind_of(&store.resolve(text).unwrap_err()), Kind::NotFound, "{text}");
        }
    }

    #[test]
    fn a_name_belongs_to_one_container_until_it_is_removed() {
        let sandbox = Sandbox::new();
        let store = &sandbox.1;
        let a = sandbox.make("web");
        let mut second = Config { id: id::random(), name: "web".into(), ..Config::default() };
        let error = store.create(&mut second, |_| Ok(())).unwrap_err();
        assert!(
            error.to_string().contains("already in use") || format!("{error:#}").contains("already in use")
        );
        assert!(store.leftovers().unwrap().is_empty());
        store.rename(&a.id, "db").unwrap();
        assert!(store.resolve("web").is_err());
        assert_eq!(store.resolve("db").unwrap().config.name, "db");
        sandbox.make("web");
        store.remove(&a.id).unwrap();
        assert!(store.resolve("db").is_err());
        assert_eq!(store.leftovers().unwrap().len(), 1);
    }

    #[test]
    fn a_name_without_container_is_free() {
        let sandbox = Sandbox::new();
        std::os::unix::fs::symlink(id::random(), sandbox.1.names_dir().join("web")).unwrap();
        sandbox.make("web");
    }

    #[test]
    fn damaged_records_break_nothing_else() {
        let sandbox = Sandbox::new();
        let store = &sandbox.1;
        let (a, b) = (sandbox.make("one"), sandbox.make("two"));
        fs::replace(&store.dir(&a.id).join("config.json"), b"{", 0o600, Durability::Volatile).unwrap();
        assert_eq!(store.list().unwrap().len(), 1);
        assert_eq!(store.damaged().unwrap().len(), 1);
        assert_eq!(store.resolve_id("one").unwrap(), a.id);
        store.remove(&a.id).unwrap();
        assert!(store.resolve_id("one").is_err() && store.resolve("two").unwrap().config.id == b.id);
    }

    #[test]
    fn a_recorded_life_without_its_lock_has_ended() {
        let sandbox = Sandbox::new();
        let store = &sandbox.1;
        let a = sandbox.make("a");
        let running = State { status: Status::Running, pid: 77, ..State::default() };
        store.save_state(&a.id, &running).unwrap();
        let seen = store.get(&a.id).unwrap().state;
        assert_eq!((seen.status, seen.pid, seen.exit_code), (Status::Exited, 0, UNSEEN_END));
        let run = store.run_dir(&a.id);
        fs::create_dir_all(&run).unwrap();
        let _alive = Lock::exclusive(&run.join("alive.lock")).unwrap();
        fs::replace(
            &run.join("live.json"),
            br#"{"version":1,"pid":42,"pid_start":1,"supervisor":2,"supervisor_start":1,"status":"paused",
                 "started":"2026-01-02T00:00:00Z","restarts":0,"cgroup":null,"extra":null}"#,
            0o600,
            Durability::Volatile,
        )
        .unwrap();
        let seen = store.get(&a.id).unwrap().state;
        assert_eq!((seen.status, seen.pid), (Status::Paused, 42));
    }

    /// The architecture asks for `ps -a` with a thousand containers in less than 40 ms.
    #[test]
    fn a_thousand_containers_are_listed_in_one_pass() {
        let sandbox = Sandbox::new();
        let env = vec!["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin".to_owned(); 8];
        for _ in 0..1000 {
            let mut config = Config { id: id::random(), ..Config::default() };
            config.process.env = env.clone();
            sandbox.1.create(&mut config, |_| Ok(())).unwrap();
        }
        let begin = crate::base::time::thread_time();
        assert_eq!(sandbox.1.list().unwrap().len(), 1000);
        let used = crate::base::time::thread_time() - begin;
        assert!(used.as_millis() < 2000, "{used:?}");
    }
}
