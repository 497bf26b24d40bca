//! `create`: image, record, volumes, files — everything but a process.

use crate::base::error::{Context, Kind, Result, fail};
use crate::base::fs::{self, Durability};
use crate::base::lock::Lock;
use crate::container::record::{HealthCheck, MountSource, State};
use crate::container::store::Container;
use crate::image::Image;
use crate::ops::context::Context as Ops;
use crate::ops::create::{self, Caller, CreateOptions, Defaults, ImageFacts};
use crate::ops::events;
use crate::ops::image::{self, PullOptions};
use crate::ops::progress::Progress;
use crate::ops::volumes;

use super::alive;
use super::rm::{self, RmOptions};

/// A container that was made, with its lock held.
pub struct Made {
    /// Its record.
    pub container: Container,
    /// Held until the maker is done with it.
    pub lock: Lock,
    /// Lines for stderr.
    pub warnings: Vec<String>,
}

/// Makes a container. Rootless, the process enters its user namespace stage on the way.
pub fn create(
    ops: &Ops,
    options: &CreateOptions,
    defaults: &Defaults,
    pull: &PullOptions,
    progress: &dyn Progress,
) -> Result<Made> {
    let caller = Caller::current()?; // as seen from outside of the stage
    refuse_old_cidfile(options)?;
    ops.enter_stage_with(alive::beside(ops, &shared_with(ops, options)?)?)?;
    // Until the record exists, nobody may remove the image it is made from.
    let image = if options.rootfs { None } else { Some(image::obtain(ops, &options.image, pull, progress)?) };
    let _images = ops.images().lock_shared()?;
    let facts = image.as_ref().map(|image| facts(image, &options.image)).transpose()?;
    let find_image =
        |name: &str| image::find(ops, name).map(|image| (image.id.clone(), image.layers.clone()));
    let context = create::Context {
        roots: &ops.roots,
        caller: &caller,
        defaults,
        containers: ops.containers()?,
        stage: ops.stage(),
        find_image: &find_image,
    };
    let resolved = create::resolve(&context, options, facts.as_ref())?;
    let mut warnings = resolved.warnings;
    for dir in &resolved.missing_dirs {
        fs::create_dir_all_with(dir, 0o755)?;
        warnings.push(format!("made the missing directory `{}`", dir.display()));
    }
    if options.replace {
        replace(ops, &resolved.config.name)?;
    }
    for volume in &resolved.new_volumes {
        make_volume(ops, volume)?;
    }
    commit(ops, resolved.config, warnings)
}

/// A volume whose options or labels a `--mount` names.
fn make_volume(ops: &Ops, volume: &create::NewVolume) -> Result<()> {
    let pairs = |texts: &[String]| {
        let pair = |text: &String| {
            text.split_once('=').map_or((text.clone(), String::new()), |(k, v)| (k.into(), v.into()))
        };
        texts.iter().map(pair).collect()
    };
    let wanted = volumes::CreateVolume {
        name: volume.name.clone(),
        labels: pairs(&volume.labels),
        options: pairs(&volume.options),
        ignore: true,
    };
    volumes::create(ops, &wanted).map(drop)
}

/// The containers whose namespaces are to be joined, where they exist already.
fn shared_with(ops: &Ops, options: &CreateOptions) -> Result<Vec<String>> {
    let kinds = [&options.pid, &options.ipc, &options.uts, &options.cgroupns, &options.userns];
    let modes = kinds.into_iter().flatten().chain(&options.network);
    let names: Vec<&str> = modes.filter_map(|mode| mode.strip_prefix("container:")).collect();
    if names.is_empty() || !ops.roots.rootless {
        return Ok(Vec::new());
    }
    let store = ops.containers()?;
    // A name that means nothing is told where it is used.
    Ok(names.into_iter().filter_map(|name| store.resolve_id(name).ok()).collect())
}

fn refuse_old_cidfile(options: &CreateOptions) -> Result<()> {
    match &options.cidfile {
        Some(path) if path.exists() => {
            let message = format!("container id file `{}` exists", path.display());
            Err(fail(Kind::Usage, message + ": is another container using it?"))
        }
        _ => Ok(()),
    }
}

/// What a container's record takes from its image.
fn facts(image: &Image, asked: &str) -> Result<ImageFacts> {
    let run = &image.config()?.config;
    let health = run.healthcheck.as_ref().map(|check| HealthCheck {
        test: check.test.clone(),
        interval: check.interval.unsigned_abs(),
        timeout: check.timeout.unsigned_abs(),
        start_period: check.start_period.unsigned_abs(),
        start_interval: check.start_interval.unsigned_abs(),
        retries: u32::try_from(check.retries).unwrap_or(0),
        ..HealthCheck::default()
    });
    Ok(ImageFacts {
        id: Some(image.id.clone()),
        name: image.names.first().cloned().unwrap_or_else(|| asked.to_owned()),
        layers: image.layers.clone(),
        user: run.user.clone(),
        env: run.env.clone(),
        entrypoint: run.entrypoint.clone(),
        command: run.cmd.clone(),
        workdir: run.working_dir.clone(),
        volumes: run.volumes.keys().cloned().collect(),
        exposed: run.exposed_ports.keys().cloned().collect(),
        labels: run.labels.clone(),
        stop_signal: Some(run.stop_signal.clone()).filter(|signal| !signal.is_empty()),
        health,
    })
}

/// `--replace`: the container that has the name goes first.
fn replace(ops: &Ops, name: &str) -> Result<()> {
    let store = ops.containers()?;
    let Some(id) = store.owner_of(name)? else { return Ok(()) };
    let old = store.get(&id)?;
    let options = RmOptions { force: true, volumes: true, time: Some(10), ..RmOptions::default() };
    rm::remove_one(ops, store, &old, &options)
        .map(drop)
        .with_context(|| format!("replace container `{name}`"))
}

fn commit(ops: &Ops, mut config: crate::container::record::Config, warnings: Vec<String>) -> Result<Made> {
    let store = ops.containers()?;
    rm::sweep_leftovers(store)?;
    for mount in &config.mounts {
        if let MountSource::Volume { name, anonymous } = &mount.source {
            volumes::ensure(ops, name, *anonymous)?;
        }
    }
    // What the storage driver keeps for the container is made by its first mount.
    let lock = store.create(&mut config, |_| Ok(()))?;
    if let Some(path) = &config.cid_file
        && let Err(error) = fs::write_new(path, config.id.as_bytes(), 0o644, Durability::Volatile)
    {
        rm::remove_record(ops, store, &config, true)?;
        return Err(error);
    }
    events::container(ops, &config, "create");
    let container = Container { dir: store.dir(&config.id), config, state: State::default() };
    Ok(Made { container, lock, warnings })
}
