//! Which variables an instruction sees.
//!
//! `ARG`s before `FROM` are seen by `FROM` lines only; a stage declares those that it wants. `ENV` wins over `ARG`
//! of the same name. Proxy variables need no declaration; platform variables need one in a stage, none in `FROM`.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::action::Action;
use super::ast::{ArgDecl, Dockerfile, GlobalArg};
use super::{expand, parser};
use crate::base::error::{Result, ensure, usage};

/// The most that the variables, labels and volumes of a stage may hold, in bytes: a few lines that double each other
/// must not fill the memory.
const MAX_SCOPE: usize = 8 << 20;

/// The most variables of one kind; they are searched one by one.
const MAX_VARIABLES: usize = 4096;

/// Where expansion looks values up.
pub trait Variables {
    /// The value of a variable, `None` when it is not set.
    fn get(&self, name: &str) -> Option<&str>;
}

impl Variables for BTreeMap<String, String> {
    fn get(&self, name: &str) -> Option<&str> {
        BTreeMap::get(self, name).map(String::as_str)
    }
}

/// Arguments that every stage knows without `ARG`; they are neither in history nor in cache keys.
pub const PROXIES: [&str; 10] = [
    "HTTP_PROXY",
    "http_proxy",
    "HTTPS_PROXY",
    "https_proxy",
    "FTP_PROXY",
    "ftp_proxy",
    "NO_PROXY",
    "no_proxy",
    "ALL_PROXY",
    "all_proxy",
];

/// `TARGETPLATFORM`, `TARGETOS`, `TARGETARCH`, `TARGETVARIANT` and the same with `BUILD`, for platforms written
/// `os/arch[/variant]`, and `TARGETSTAGE` (`default` without `--target`).
pub fn platform_args(build: &str, target: &str, stage: Option<&str>) -> BTreeMap<String, String> {
    let mut args = BTreeMap::new();
    for (prefix, platform) in [("BUILD", build), ("TARGET", target)] {
        let mut parts = platform.splitn(3, '/');
        args.insert(format!("{prefix}PLATFORM"), platform.to_owned());
        for suffix in ["OS", "ARCH", "VARIANT"] {
            args.insert(format!("{prefix}{suffix}"), parts.next().unwrap_or_default().to_owned());
        }
    }
    args.insert("TARGETSTAGE".into(), stage.unwrap_or("default").to_owned());
    args
}

/// What is known outside of stages: build arguments, platform arguments, and the `ARG`s before the first `FROM`.
#[derive(Debug, Clone)]
pub struct Globals {
    given: Arc<BTreeMap<String, String>>,
    values: Arc<BTreeMap<String, String>>,
}

impl Globals {
    /// Evaluates the `ARG`s before `FROM`: `given` is `--build-arg`, `platform` comes from [`platform_args`].
    pub fn new(
        file: &Dockerfile,
        given: BTreeMap<String, String>,
        platform: BTreeMap<String, String>,
    ) -> Result<Globals> {
        let mut globals = Globals { given: Arc::new(given), values: Arc::new(platform) };
        for arg in &file.args {
            globals.declare(arg).map_err(|error| arg.source.explain(error))?;
        }
        Ok(globals)
    }

    /// One after the other: unlike in a stage, the second argument of an `ARG` sees the first.
    fn declare(&mut self, arg: &GlobalArg) -> Result<()> {
        for ArgDecl { name, default } in &arg.args {
            let escape = arg.escape;
            let name = expand::word(name, self, escape)?;
            let value = match (self.given.get(&name), default) {
                (Some(given), _) => given.clone(),
                (None, Some(default)) => expand::word(default, self, escape)?,
                (None, None) => continue,
            };
            let values = Arc::make_mut(&mut self.values);
            values.insert(name, value);
            check(values.len(), values.iter().map(|(name, value)| name.len() + value.len()).sum())?;
        }
        Ok(())
    }

    /// The scope of a stage on an image with this environment (`NAME=VALUE`). A stage on another stage starts with
    /// a clone of that stage's last scope instead.
    pub fn stage(&self, env: &[String]) -> Scope {
        let env = env.iter().filter_map(|pair| pair.split_once('='));
        Scope {
            globals: self.clone(),
            env: env.map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
            args: Vec::new(),
            configured: 0,
        }
    }
}

impl Variables for Globals {
    fn get(&self, name: &str) -> Option<&str> {
        self.values.get(name).map(String::as_str)
    }
}

/// Variables of a stage as they stand before its next step.
#[derive(Debug, Clone)]
pub struct Scope {
    globals: Globals,
    env: Vec<(String, String)>,
    args: Vec<(String, Option<String>)>,
    /// Bytes of labels and volumes so far.
    configured: usize,
}

impl Scope {
    /// Takes over what an `ENV` or `ARG` says; other actions change no variable. Fails when variables, labels and
    /// volumes grow out of all proportion, so that it is to be called for each action.
    pub fn apply(&mut self, action: &Action) -> Result<()> {
        match action {
            Action::Env(pairs) => {
                for (name, value) in pairs {
                    self.set(name, value);
                    check(self.env.len(), 0)?;
                }
            }
            Action::Arg(args) => {
                for arg in args {
                    self.declare(arg);
                    check(self.args.len(), 0)?;
                }
            }
            Action::Label(pairs) => {
                self.configured += pairs.iter().map(|(name, value)| name.len() + value.len()).sum::<usize>()
            }
            Action::Volume(paths) => self.configured += paths.iter().map(String::len).sum::<usize>(),
            _ => return Ok(()),
        }
        check(0, self.size())
    }

    /// Bytes that it holds, or made the configuration hold.
    pub(super) fn size(&self) -> usize {
        let env = self.env.iter().map(|(name, value)| name.len() + value.len());
        let args = self.args.iter().map(|(name, value)| name.len() + value.as_ref().map_or(0, String::len));
        self.configured + env.chain(args).sum::<usize>()
    }

    fn set(&mut self, name: &str, value: &str) {
        match self.env.iter_mut().find(|(known, _)| known == name) {
            Some((_, old)) => *old = value.to_owned(),
            None => self.env.push((name.to_owned(), value.to_owned())),
        }
    }

    /// What the caller gave, else the default, else what is known outside of stages, else what it was before.
    fn declare(&mut self, arg: &ArgDecl) {
        let globals = &self.globals;
        let value = globals.given.get(&arg.name).or(arg.default.as_ref()).or(globals.values.get(&arg.name));
        let value = value.cloned();
        match self.args.iter_mut().find(|(known, _)| *known == arg.name) {
            Some((_, old)) => *old = value.or_else(|| old.take()),
            None => self.args.push((arg.name.clone(), value)),
        }
    }

    /// The environment for the image's configuration: `ENV` in order of first setting.
    pub fn env(&self) -> &[(String, String)] {
        &self.env
    }

    /// Declared arguments that have a value and no `ENV` of their name, in order of declaration: with [`Scope::env`]
    /// the environment of `RUN`, and what history and cache key of a `RUN` mention.
    pub fn args(&self) -> Vec<(&str, &str)> {
        let valued = self.args.iter().filter_map(|(name, value)| Some((name.as_str(), value.as_deref()?)));
        valued.filter(|(name, _)| !self.env.iter().any(|(env, _)| env == name)).collect()
    }

    /// Given proxy arguments that are not declared: in the environment of `RUN`, but in no history or cache key.
    pub fn proxies(&self) -> Vec<(&str, &str)> {
        let given = self.globals.given.iter().filter(|(name, _)| PROXIES.contains(&name.as_str()));
        let known = |name: &str| self.args.iter().any(|(arg, _)| arg == name) || self.env_of(name).is_some();
        given.filter(|(name, _)| !known(name)).map(|(name, value)| (name.as_str(), value.as_str())).collect()
    }

    fn env_of(&self, name: &str) -> Option<&str> {
        self.env.iter().find(|(env, _)| env == name).map(|(_, value)| value.as_str())
    }
}

impl Variables for Scope {
    fn get(&self, name: &str) -> Option<&str> {
        let arg = || self.args.iter().find(|(arg, _)| arg == name).and_then(|(_, value)| value.as_deref());
        self.env_of(name).or_else(arg)
    }
}

/// Which of the `given` build arguments no `ARG` consumes: a warning for each.
pub fn unused<'a>(file: &Dockerfile, given: &'a BTreeMap<String, String>) -> Vec<&'a str> {
    let consumed = |name: &str| parser::declared(file).any(|arg| arg.name == name) || PROXIES.contains(&name);
    given.keys().map(String::as_str).filter(|name| !consumed(name)).collect()
}

fn check(count: usize, bytes: usize) -> Result<()> {
    ensure!(count <= MAX_VARIABLES, usage(format!("more than {MAX_VARIABLES} variables")));
    ensure!(
        bytes <= MAX_SCOPE,
        usage(format!("variables, labels and volumes hold more than {MAX_SCOPE} bytes"))
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::parse;
    use super::*;

    fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect()
    }

    /// The scope at the end of the last stage, of which all earlier ones are no base.
    fn scope(text: &str, given: &[(&str, &str)], env: &[&str]) -> Scope {
        let file = parse("D", text).unwrap();
        let platform = platform_args("linux/amd64", "linux/arm64/v8", None);
        let globals = Globals::new(&file, map(given), platform).unwrap();
        let mut scope = globals.stage(&env.iter().map(|pair| pair.to_string()).collect::<Vec<_>>());
        for step in &file.stages.last().unwrap().steps {
            scope.apply(&step.expand(&scope).unwrap()).unwrap();
        }
        scope
    }

    #[test]
    fn arguments_before_from_need_to_be_repeated() {
        let text = "ARG a=1\nARG b\nARG c=3 d=$c\nFROM x\nARG a\nARG b\nARG d";
        let scope = scope(text, &[("b", "2")], &[]);
        assert_eq!(scope.args(), [("a", "1"), ("b", "2"), ("d", "3")]);
        assert_eq!((scope.get("a"), scope.get("c")), (Some("1"), None));
    }

    #[test]
    fn given_values_win_over_defaults_and_env_over_all() {
        let text =
            "ARG a=0\nFROM x\nARG a=1\nARG e=arg\nENV e=env\nARG e=late\nARG unset\nENV a2=$a\nENV a3=$e";
        let with = scope(text, &[("a", "2"), ("e", "given")], &[]);
        assert_eq!(with.args(), [("a", "2")]);
        assert_eq!(
            (with.get("e"), with.get("a2"), with.get("a3"), with.get("unset")),
            (Some("env"), Some("2"), Some("env"), None)
        );
        assert_eq!(scope(text, &[], &[]).get("a"), Some("1"));
        assert_eq!(scope("FROM x\nARG p", &[("p", "given")], &["p=image"]).get("p"), Some("image"));
    }

    #[test]
    fn one_instruction_sees_the_values_from_before() {
        let scope =
            scope("FROM x\nENV a=0\nENV a=1 b=$a\nARG c=1\nARG c=2 d=$c\nARG c", &[], &["z=1", "a=old"]);
        assert_eq!(scope.get("b"), Some("0"));
        assert_eq!((scope.get("c"), scope.get("d")), (Some("2"), Some("1")));
        let names: Vec<&str> = scope.env().iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["z", "a", "b"]);
    }

    #[test]
    fn platforms_need_an_argument_in_a_stage_only() {
        let file = parse("D", "FROM --platform=$BUILDPLATFORM x").unwrap();
        let globals =
            Globals::new(&file, map(&[]), platform_args("linux/amd64", "linux/arm64/v8", Some("t"))).unwrap();
        assert_eq!(globals.get("TARGETPLATFORM"), Some("linux/arm64/v8"));
        assert_eq!((globals.get("TARGETVARIANT"), globals.get("BUILDVARIANT")), (Some("v8"), Some("")));
        assert_eq!((globals.get("BUILDARCH"), globals.get("TARGETSTAGE")), (Some("amd64"), Some("t")));
        let scope = scope("FROM x\nARG TARGETARCH\nARG BUILDOS=mine", &[], &[]);
        assert_eq!((scope.get("TARGETARCH"), scope.get("TARGETOS")), (Some("arm64"), None));
        assert_eq!(scope.get("BUILDOS"), Some("mine"));
    }

    #[test]
    fn proxies_are_known_without_an_argument_but_not_told() {
        let given = [("HTTP_PROXY", "p"), ("no_proxy", "n"), ("other", "o")];
        let undeclared = scope("FROM x\nRUN x", &given, &[]);
        assert_eq!(undeclared.proxies(), [("HTTP_PROXY", "p"), ("no_proxy", "n")]);
        assert!(undeclared.args().is_empty());
        let declared = scope("FROM x\nARG HTTP_PROXY", &given, &["no_proxy=image"]);
        assert_eq!((declared.proxies(), declared.args()), (vec![], vec![("HTTP_PROXY", "p")]));
    }

    #[test]
    fn arguments_that_nobody_takes_are_found() {
        let file = parse("D", "ARG a\nFROM x\nARG b\nFROM y\nARG c=1").unwrap();
        let given = map(&[("a", ""), ("b", ""), ("c", ""), ("d", ""), ("https_proxy", "")]);
        assert_eq!(unused(&file, &given), ["d"]);
    }

    #[test]
    fn growth_is_bounded() {
        let doubled = "FROM x\nENV a=0123456789\n".to_owned() + &"ENV a=$a$a\n".repeat(13);
        let many = |line: fn(usize) -> String| (0..5000).map(line).collect::<String>();
        for text in [
            doubled.clone() + &many(|n| format!("ENV b{n}=$a\n")),
            doubled.clone() + &many(|n| format!("ARG b{n}=$a\n")),
            doubled.clone() + &many(|n| format!("LABEL b{n}=$a\n")),
            doubled.clone() + &many(|n| format!("VOLUME /${{a}}{n}\n")),
            "FROM x\nENV ".to_owned() + &many(|n| format!("b{n}= ")),
            "FROM x\nARG ".to_owned() + &many(|n| format!("b{n} ")),
        ] {
            let file = parse("D", &text).unwrap();
            let mut scope = Globals::new(&file, map(&[]), map(&[])).unwrap().stage(&[]);
            let steps = &file.stages[0].steps;
            let run = steps.iter().try_for_each(|step| scope.apply(&step.expand(&scope)?));
            assert!(run.is_err(), "{}", &text[text.len() - 50..]);
        }
        let globals = "ARG ".to_owned() + &many(|n| format!("b{n}=1 ")) + "\nFROM x";
        assert!(Globals::new(&parse("D", &globals).unwrap(), map(&[]), map(&[])).is_err());
    }
}
