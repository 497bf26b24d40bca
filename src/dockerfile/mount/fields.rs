//! From the text of a `--mount` to its type.

use super::{Bind, Cache, Mount, Secret, Sharing, Ssh};
use crate::base::error::{Explain, Result, usage};
use crate::base::units::parse_bytes;
use crate::base::words::{boolean, csv_fields, nearest};

/// All keys, aliases too.
const KEYS: [&str; 23] = [
    "type",
    "from",
    "source",
    "src",
    "target",
    "dst",
    "destination",
    "ro",
    "readonly",
    "rw",
    "readwrite",
    "id",
    "sharing",
    "required",
    "size",
    "mode",
    "uid",
    "gid",
    "env",
    "z",
    "Z",
    "relabel",
    "U",
];

/// What the fields say, before the type decides what they mean.
#[derive(Default)]
struct Fields {
    kind: Option<String>,
    from: Option<String>,
    source: Option<String>,
    target: Option<String>,
    /// `ro` or `rw`, whichever came last.
    writable: Option<bool>,
    id: Option<String>,
    sharing: Option<Sharing>,
    required: Option<bool>,
    size: Option<u64>,
    mode: Option<u32>,
    uid: Option<u32>,
    gid: Option<u32>,
    env: Option<String>,
    relabel: Option<char>,
}

/// Checks a value that is not expanded yet: option names always, everything when there is nothing to expand.
pub(in super::super) fn check(text: &str) -> Result<()> {
    if !text.contains('$') {
        return parse(text, &|value| Ok(value.to_owned())).map(drop);
    }
    csv_fields(text)?.iter().try_for_each(|field| known(text, field.split('=').next().unwrap_or(field)))
}

fn known(text: &str, key: &str) -> Result<()> {
    let lower = key.to_ascii_lowercase();
    if KEYS.iter().any(|known| *known == key || *known == lower) && lower != "u" {
        return Ok(());
    }
    let error = usage(format!("--mount `{text}` has the unknown option `{key}`"));
    Err(match nearest(&lower, KEYS) {
        Some(meant) if meant != "U" => error.hint(format!("did you mean `{meant}`?")),
        _ => error,
    })
}

/// Parses a value of `--mount`. Values of its options are expanded one by one, so that a variable cannot bring in other
/// options.
pub(in super::super) fn parse(text: &str, expand: &dyn Fn(&str) -> Result<String>) -> Result<Mount> {
    let mut fields = Fields::default();
    for field in csv_fields(text)? {
        let (key, value) =
            field.split_once('=').map_or((&field[..], None), |(key, value)| (key, Some(value)));
        known(text, key)?;
        fields.take(key, value.map(expand).transpose()?.as_deref())?;
    }
    fields.finish(text)
}

impl Fields {
    fn take(&mut self, key: &str, value: Option<&str>) -> Result<()> {
        let lower = key.to_ascii_lowercase();
        let flag = value.map_or(Ok(true), |value| boolean(key, value));
        let needed =
            || value.map(str::to_owned).ok_or_else(|| usage(format!("the option `{key}` needs a value")));
        match lower.as_str() {
            "ro" | "readonly" => self.writable = Some(!flag?),
            "rw" | "readwrite" => self.writable = Some(flag?),
            "required" => self.required = Some(flag?),
            "z" => self.relabel = key.chars().next(),
            "relabel" => self.relabel = Some(relabel(&needed()?)?),
            "type" => self.kind = Some(needed()?.to_ascii_lowercase()),
            "from" => self.from = Some(needed()?),
            "source" | "src" => self.source = Some(needed()?),
            "target" | "dst" | "destination" => self.target = Some(needed()?),
            "id" => self.id = Some(needed()?),
            "sharing" => self.sharing = Some(sharing(&needed()?)?),
            "size" => self.size = Some(parse_bytes(&needed()?)?),
            "mode" => self.mode = Some(mode(&needed()?)?),
            "uid" => self.uid = Some(number(key, &needed()?)?),
            "gid" => self.gid = Some(number(key, &needed()?)?),
            _ => self.env = Some(needed()?),
        }
        Ok(())
    }

    /// Builds the mount of the type, and refuses what that type does not have.
    fn finish(mut self, text: &str) -> Result<Mount> {
        let kind = self.kind.take().unwrap_or_else(|| "bind".into());
        let mount = match kind.as_str() {
            "bind" => Mount::Bind(self.bind(text)?),
            "cache" => Mount::Cache(self.cache(text)?),
            "tmpfs" => Mount::Tmpfs { target: self.needed_target(text)?, size: self.size.take() },
            "secret" => Mount::Secret(self.secret(text)?),
            "ssh" => Mount::Ssh(self.ssh()),
            other => {
                let error = usage(format!("--mount `{text}` has the unknown type `{other}`"));
                return Err(error.hint("a type is bind, cache, tmpfs, secret or ssh"));
            }
        };
        match self.left() {
            Some(key) => Err(usage(format!("--mount `{text}`: `{key}` is no option of type {kind}"))),
            None => Ok(mount),
        }
    }

    fn bind(&mut self, text: &str) -> Result<Bind> {
        Ok(Bind {
            target: self.needed_target(text)?,
            from: self.from.take(),
            source: self.source.take().unwrap_or_else(|| "/".into()),
            writable: self.writable.take().unwrap_or_default(),
            relabel: self.relabel.take(),
        })
    }

    fn cache(&mut self, text: &str) -> Result<Cache> {
        let target = self.needed_target(text)?;
        Ok(Cache {
            id: self.id.take().unwrap_or_else(|| target.clone()),
            target,
            from: self.from.take(),
            source: self.source.take(),
            sharing: self.sharing.take().unwrap_or_default(),
            readonly: !self.writable.take().unwrap_or(true),
            mode: self.mode.take(),
            uid: self.uid.take().unwrap_or_default(),
            gid: self.gid.take().unwrap_or_default(),
        })
    }

    fn ssh(&mut self) -> Ssh {
        Ssh {
            id: self.id.take().unwrap_or_else(|| "default".into()),
            target: self.target.take(),
            required: self.required.take().unwrap_or_default(),
            mode: self.mode.take().unwrap_or(0o600),
            uid: self.uid.take().unwrap_or_default(),
            gid: self.gid.take().unwrap_or_default(),
        }
    }

    fn needed_target(&mut self, text: &str) -> Result<String> {
        let target = self.target.take().filter(|target| !target.is_empty());
        target.ok_or_else(|| usage(format!("--mount `{text}` needs a `target`")))
    }

    fn secret(&mut self, text: &str) -> Result<Secret> {
        let target = self.target.take();
        let id = self.id.take().or_else(|| self.source.take());
        let base = |path: &str| path.rsplit('/').next().unwrap_or(path).to_owned();
        let id = id.or_else(|| target.as_deref().map(base)).filter(|id| !id.is_empty());
        let id = id.ok_or_else(|| usage(format!("--mount `{text}` needs an `id`")))?;
        let env = self.env.take();
        let target = target.or_else(|| env.is_none().then(|| format!("/run/secrets/{}", base(&id))));
        Ok(Secret {
            id,
            target,
            env,
            required: self.required.take().unwrap_or_default(),
            mode: self.mode.take().unwrap_or(0o400),
            uid: self.uid.take().unwrap_or_default(),
            gid: self.gid.take().unwrap_or_default(),
        })
    }

    /// The first option that nobody took.
    fn left(&self) -> Option<&'static str> {
        let given = [
            ("from", self.from.is_some()),
            ("source", self.source.is_some()),
            ("readonly", self.writable.is_some()),
            ("id", self.id.is_some()),
            ("sharing", self.sharing.is_some()),
            ("required", self.required.is_some()),
            ("size", self.size.is_some()),
            ("mode", self.mode.is_some()),
            ("uid", self.uid.is_some()),
            ("gid", self.gid.is_some()),
            ("env", self.env.is_some()),
            ("relabel", self.relabel.is_some()),
        ];
        given.into_iter().find(|(_, given)| *given).map(|(key, _)| key)
    }
}

fn relabel(text: &str) -> Result<char> {
    match text {
        "shared" => Ok('z'),
        "private" => Ok('Z'),
        _ => Err(usage(format!("`relabel` is shared or private, not `{text}`"))),
    }
}

fn sharing(text: &str) -> Result<Sharing> {
    match text {
        "shared" => Ok(Sharing::Shared),
        "private" => Ok(Sharing::Private),
        "locked" => Ok(Sharing::Locked),
        _ => Err(usage(format!("`sharing` is shared, private or locked, not `{text}`"))),
    }
}

fn mode(text: &str) -> Result<u32> {
    let mode = u32::from_str_radix(text.trim_start_matches("0o"), 8).ok().filter(|mode| *mode <= 0o7777);
    mode.ok_or_else(|| usage(format!("`mode` is octal such as 0755, not `{text}`")))
}

fn number(key: &str, text: &str) -> Result<u32> {
    text.parse().ok().ok_or_else(|| usage(format!("`{key}` is a number, not `{text}`")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::error::{hints_of, render};

    fn parse(text: &str) -> Result<Mount> {
        super::parse(text, &|value| Ok(value.replace("$x", "/a,rw")))
    }

    #[test]
    fn mounts_are_read() {
        let bind = |target: &str| Bind {
            target: target.into(),
            from: None,
            source: "/".into(),
            writable: false,
            relabel: None,
        };
        let cache = |target: &str| Cache {
            target: target.into(),
            id: target.into(),
            from: None,
            source: None,
            sharing: Sharing::Shared,
            readonly: false,
            mode: None,
            uid: 0,
            gid: 0,
        };
        let secret = |id: &str, target: Option<&str>| Secret {
            id: id.into(),
            target: target.map(str::to_owned),
            env: None,
            required: false,
            mode: 0o400,
            uid: 0,
            gid: 0,
        };
        let ssh = Ssh { id: "default".into(), target: None, required: false, mode: 0o600, uid: 0, gid: 0 };
        let table = [
            ("target=/a", Mount::Bind(bind("/a"))),
            ("type=bind,dst=a,source=x,from=Stage", {
                let from = Some("Stage".into());
                Mount::Bind(Bind { from, source: "x".into(), ..bind("a") })
            }),
            ("TYPE=bind,Target=/a,rw", Mount::Bind(Bind { writable: true, ..bind("/a") })),
            ("type=bind,target=/a,rw=false", Mount::Bind(bind("/a"))),
            ("type=bind,target=/a,readonly=false", Mount::Bind(Bind { writable: true, ..bind("/a") })),
            ("type=bind,target=/a,Z", Mount::Bind(Bind { relabel: Some('Z'), ..bind("/a") })),
            ("type=bind,\"src=a,b\",target=/a", Mount::Bind(Bind { source: "a,b".into(), ..bind("/a") })),
            ("target=$x", Mount::Bind(bind("/a,rw"))),
            ("type=cache,target=/c", Mount::Cache(cache("/c"))),
            ("type=cache,target=/c,id=x,sharing=locked,ro,mode=0700,uid=1,gid=2,from=i,src=/s", {
                Mount::Cache(Cache {
                    id: "x".into(),
                    sharing: Sharing::Locked,
                    readonly: true,
                    mode: Some(0o700),
                    uid: 1,
                    gid: 2,
                    from: Some("i".into()),
                    source: Some("/s".into()),
                    ..cache("/c")
                })
            }),
            ("type=tmpfs,target=/t", Mount::Tmpfs { target: "/t".into(), size: None }),
            ("type=tmpfs,target=/t,size=64m", Mount::Tmpfs { target: "/t".into(), size: Some(64 << 20) }),
            ("type=secret,id=tok", Mount::Secret(secret("tok", Some("/run/secrets/tok")))),
            ("type=secret,target=/x/tok", Mount::Secret(secret("tok", Some("/x/tok")))),
            ("type=secret,id=tok,env=TOKEN,required", {
                Mount::Secret(Secret { env: Some("TOKEN".into()), required: true, ..secret("tok", None) })
            }),
            ("type=ssh", Mount::Ssh(ssh.clone())),
            ("type=ssh,id=k,required=true,dst=/s,mode=0666", {
                let target = Some("/s".into());
                Mount::Ssh(Ssh { id: "k".into(), required: true, target, mode: 0o666, ..ssh })
            }),
        ];
        for (text, mount) in table {
            assert_eq!(parse(text).unwrap(), mount, "{text}");
        }
    }

    #[test]
    fn wrong_mounts_are_refused() {
        for bad in [
            "",
            "type=bind",
            "type=volume,target=/a",
            "type=bind,target=/a,sharing=locked",
            "type=bind,target=/a,size=1m",
            "type=cache",
            "type=cache,target=/a,sharing=both",
            "type=cache,target=/a,mode=rwx",
            "type=cache,target=/a,uid=root",
            "type=tmpfs,target=/a,from=x",
            "type=tmpfs,target=/a,size=huge",
            "type=secret",
            "type=secret,id=a,required=perhaps",
            "type=secret,id=a,ro",
            "type=ssh,env=A",
            "type=bind,target",
            "type=bind,target=/a,U",
        ] {
            assert!(parse(bad).is_err(), "{bad}");
        }
        let error = check("type=cache,traget=$x").unwrap_err();
        assert_eq!(render(&error), "--mount `type=cache,traget=$x` has the unknown option `traget`");
        assert_eq!(hints_of(&error), ["did you mean `target`?"]);
        assert!(check("type=$t,target=$x").is_ok() && check("type=cache").is_err());
    }
}
