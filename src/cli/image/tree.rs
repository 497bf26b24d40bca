//! `image tree`.

use clap::Args;

use crate::base::error::Result;
use crate::base::text::printable;
use crate::base::{id, units};
use crate::cli::names;
use crate::cli::session::Session;
use crate::ops::image::{LayerNode, tree};

/// Show the layers of an image
#[derive(Debug, Args)]
pub struct ImageTreeArgs {
    /// What is built on the image, in place of its own layers
    #[arg(long)]
    whatrequires: bool,
    /// Image, by name or id
    #[arg(value_name = "IMAGE", add = names::images())]
    image: String,
}

impl ImageTreeArgs {
    /// Draws it.
    pub fn run(self, session: &Session) -> Result<()> {
        let tree = tree(session.ops()?, &self.image, self.whatrequires)?;
        let image = &tree.image;
        session.out.line(&format!("Image ID: {}", id::short(image.id.hex())))?;
        session.out.line(&format!("Tags:     [{}]", image.names.join(" ")))?;
        session.out.line(&format!("Size:     {}", units::human(image.size)))?;
        match tree.layers.is_empty() {
            true => session.out.line("No Image Layers"),
            false => {
                session.out.line("Image Layers")?;
                draw(session, "", &tree.layers)
            }
        }
    }
}

fn draw(session: &Session, indent: &str, layers: &[LayerNode]) -> Result<()> {
    let Some(last) = layers.len().checked_sub(1) else { return Ok(()) };
    for (at, layer) in layers.iter().enumerate() {
        let (branch, below) = if at == last { ("└── ", "    ") } else { ("├── ", "│   ") };
        session.out.line(&format!("{indent}{branch}{}", shown(layer)))?;
        draw(session, &format!("{indent}{below}"), &layer.above)?;
    }
    Ok(())
}

fn shown(layer: &LayerNode) -> String {
    let size = units::human(layer.size);
    let mut line = format!("ID: {} Size: {size:>7}", id::short(layer.id.hex()));
    if !layer.top_of.is_empty() {
        let names: Vec<_> = layer.top_of.iter().map(|name| printable(name)).collect();
        line.push_str(&format!(" Top Layer of: [{}]", names.join(" ")));
    }
    line
}
