//! What a build reads: its contexts, its Dockerfile, its secrets and agents.

use std::collections::BTreeMap;
use std::io::Read;

use super::BuildOptions;
use super::agent::Agents;
use super::context::{self, BuildContext, Finder, Named, Wanted};
use super::origin::Tree;
use super::secret::Secrets;
use crate::base::error::{Context, Kind, Result, fail};
use crate::base::text::printable;
use crate::ops::context::Context as Ops;
use crate::ops::create::Caller;
use crate::ops::image;
use crate::registry::Client;

/// See the module.
pub(super) struct Input {
    context: BuildContext,
    /// Those of `--build-context` that are no images.
    named: BTreeMap<String, BuildContext>,
    /// What messages call the Dockerfile.
    pub(super) name: String,
    /// Its text; of several files one after the other.
    pub(super) text: String,
    /// `--secret`
    pub(super) secrets: Secrets,
    /// `--ssh`
    pub(super) agents: Agents,
    /// For what is downloaded.
    pub(super) client: Client,
}

impl Input {
    /// Finds and reads all of it. Staging must be there: what is not a directory of the caller is unpacked.
    pub(super) fn find(ops: &Ops, options: &BuildOptions, caller: &Caller) -> Result<Input> {
        let client = image::client(&options.pull)?;
        let env = |name: &str| caller.env.get(name).cloned();
        let secrets = Secrets::read(&options.secrets, &caller.cwd, &env)?;
        let auth_sock = caller.env.get("SSH_AUTH_SOCK").map(String::as_str);
        let agents = Agents::read(&options.ssh, &caller.cwd, auth_sock)?;
        let mut stdin = || Box::new(std::io::stdin()) as Box<dyn Read + Send>;
        let mut finder =
            Finder { client: &client, root: &ops.roots.root, cwd: &caller.cwd, stdin: &mut stdin };
        let wanted = Wanted {
            context: &options.context,
            files: &options.files,
            ignore_file: options.ignore_file.as_deref(),
        };
        let opened = context::open(&mut finder, &wanted)?;
        let mut named = BTreeMap::new();
        for (name, value) in &options.contexts {
            let shown = || format!("open build context `{}`", printable(name));
            let place = Named::parse(value).with_context(shown)?;
            if !matches!(place, Named::Image(_) | Named::OciLayout(..)) {
                named.insert(name.clone(), place.open(&finder, name).with_context(shown)?);
            }
        }
        let mut files = opened.files.into_iter();
        let first = files.next().context("a build without a Dockerfile")?;
        let text = files.fold(first.content, |text, next| format!("{text}\n{}", next.content));
        Ok(Input { context: opened.context, named, name: first.name, text, secrets, agents, client })
    }

    /// The context.
    pub(super) fn tree(&self) -> Result<Tree> {
        tree(&self.context)
    }

    /// A context that `--build-context` names.
    pub(super) fn named(&self, name: &str) -> Result<Tree> {
        match self.named.get(name) {
            Some(context) => tree(context),
            None => Err(fail(Kind::NotFound, format!("there is no build context `{}`", printable(name)))),
        }
    }
}

fn tree(context: &BuildContext) -> Result<Tree> {
    Ok(Tree {
        root: context.root.try_clone().context("duplicate a descriptor")?,
        called: context.called.clone(),
        ignore: Some(context.ignore.clone()),
        layers: Vec::new(),
        mount: None,
        lasting: context.lasting,
    })
}
