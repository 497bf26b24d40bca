//! What a stage begins with.

use super::cache::{Active, key};
use super::context::Named;
use super::job::Job;
use super::stage::{Done, From};
use super::voice::Voice;
use crate::base::error::{Context, Explain, Kind, Result, bail, fail};
use crate::dockerfile::graph::Origin;
use crate::image::{Config, Image};
use crate::ops::image;
use crate::registry::Platform;
use crate::runtime::defaults;

/// Finds the base of a stage, pulling it where needed. Its layers are held from here on.
pub(super) fn find(
    job: &Job<'_>,
    index: usize,
    done: &[Option<Done>],
    voice: &Voice<'_>,
    active: &mut Active,
) -> Result<Done> {
    match &job.planned(index)?.base {
        Origin::Scratch => Ok(scratch(&job.platform(index)?)),
        Origin::Stage(below) => {
            let Some(Some(base)) = done.get(*below) else { bail!("stage {below} is not built") };
            let _lock = job.ops.layers()?.lock_shared()?;
            active.hold(&base.config.rootfs.diff_ids)?;
            let mut base = base.clone();
            base.inherited = (base.config.rootfs.diff_ids.len(), base.config.history.len());
            base.triggers = std::mem::take(&mut base.config.config.on_build);
            base.image = base.image.filter(|_| base.triggers.is_empty());
            Ok(base)
        }
        Origin::Image(name) => from_image(job, name, &job.platform(index)?, voice, active),
        Origin::Context(name) => {
            let value = job.options.contexts.get(name).map_or("", String::as_str);
            let Some(image) = image_of(value) else {
                return Err(fail(Kind::Usage, format!("build context `{name}` is no image to build on"))
                    .hint("use --build-context NAME=docker-image://IMAGE"));
            };
            from_image(job, &image, &job.platform(index)?, voice, active)
        }
    }
}

/// The image that a `--build-context` names, if it names one, as `pull` takes it.
pub(super) fn image_of(value: &str) -> Option<String> {
    match Named::parse(value).ok()? {
        Named::Image(name) => Some(name),
        Named::OciLayout(path, None) => Some(format!("oci:{path}")),
        Named::OciLayout(path, Some(name)) => Some(format!("oci:{path}:{name}")),
        Named::Directory(_) | Named::Remote(_) => None,
    }
}

fn scratch(platform: &Platform) -> Done {
    let mut config = Config {
        architecture: platform.arch.clone(),
        os: platform.os.clone(),
        variant: platform.variant.clone().unwrap_or_default(),
        ..Config::default()
    };
    default_path(&mut config);
    Done {
        config,
        inherited: (0, 0),
        key: key(&["scratch", &platform.to_string()]),
        fresh: false,
        base_env: Vec::new(),
        from: None,
        triggers: Vec::new(),
        image: None,
    }
}

/// As the other builders have it, an image says where commands are.
fn default_path(config: &mut Config) {
    let is_path = |line: &str| line.starts_with("PATH=");
    if !config.config.env.iter().any(|line| is_path(line)) {
        let path = defaults::env(false).iter().find(|line| is_path(line)).map(|line| (*line).to_owned());
        config.config.env.splice(0..0, path);
    }
}

/// An image for this platform, held.
pub(super) fn obtain(job: &Job<'_>, name: &str, platform: &Platform, active: &mut Active) -> Result<Image> {
    let mut pull = job.options.pull.clone();
    pull.platform = Some(platform.clone()).filter(|_| job.asked_platform());
    let found = image::obtain(job.ops, name, &pull, job.progress)?;
    let _lock = job.ops.layers()?.lock_shared()?;
    // Somebody may have removed it in between.
    let image = job.ops.images().get(&found.id).with_context(|| format!("use image `{name}`"))?;
    active.hold(&image.layers)?;
    Ok(image)
}

fn from_image(
    job: &Job<'_>,
    name: &str,
    platform: &Platform,
    voice: &Voice<'_>,
    active: &mut Active,
) -> Result<Done> {
    let image = obtain(job, name, platform, active)?;
    let mut config = image.config()?.clone();
    let own = Platform {
        os: config.os.clone(),
        arch: config.architecture.clone(),
        variant: Some(config.variant.clone()).filter(|variant| !variant.is_empty()),
    };
    if platform.rank(&own).is_none() {
        voice.warn(&format!("`{name}` is for {own}, not for {platform}"));
    }
    let base_env = config.config.env.clone();
    default_path(&mut config);
    let triggers = std::mem::take(&mut config.config.on_build);
    let result = &job.options.result;
    let untouched = triggers.is_empty() && !result.no_inherited_labels && result.unset_labels.is_empty();
    if result.no_inherited_labels {
        config.config.labels.clear();
    }
    config.config.labels.retain(|label, _| !result.unset_labels.contains(label));
    let inherited = (config.rootfs.diff_ids.len(), config.history.len());
    Ok(Done {
        inherited,
        key: key(&["image", image.id.as_str()]),
        fresh: false,
        base_env,
        from: Some(From {
            name: image.names.first().cloned().unwrap_or_else(|| name.to_owned()),
            digest: image.manifest_digest.clone(),
        }),
        triggers,
        image: untouched.then(|| image.id.clone()),
        config,
    })
}
