//! Searching registries: the search of protocol version 1, and the catalogue where a registry has only that.

use serde::Deserialize;
use ureq::http::Method;

use super::client::{Client, Session};
use super::reference::DOCKER_IO;
use super::transport::Request;
use crate::base::error::{Context, Result};

/// Bytes of an answer.
const LIMIT: u64 = 4 << 20;
/// Where Docker Hub searches.
const HUB: &str = "index.docker.io";

/// An image that a registry found.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Hit {
    /// Its name inside the registry.
    pub name: String,
    /// What its owner says.
    #[serde(deserialize_with = "nullable")]
    pub description: String,
    /// Stars.
    pub star_count: u64,
    /// It is one of Docker's own.
    pub is_official: bool,
    /// It is built by the registry.
    pub is_automated: bool,
}

fn nullable<'de, D: serde::Deserializer<'de>>(de: D) -> Result<String, D::Error> {
    Ok(Option::deserialize(de)?.unwrap_or_default())
}

#[derive(Deserialize)]
struct Answer {
    #[serde(default)]
    results: Option<Vec<Hit>>,
}

impl Client {
    /// Looks for images of a registry; at most `limit` of them. An empty term finds everything there is.
    pub fn search(&self, registry: &str, term: &str, limit: usize) -> Result<Vec<Hit>> {
        let found = match term {
            "" => None,
            term => self.search_v1(registry, term, limit)?,
        };
        let mut found = match found {
            Some(found) => found,
            None => {
                let hit = |name| Hit { name, ..Hit::default() };
                self.catalog(registry)?.into_iter().filter(|name| name.contains(term)).map(hit).collect()
            }
        };
        found.truncate(limit);
        Ok(found)
    }

    /// `None` where the registry does not speak version 1.
    fn search_v1(&self, registry: &str, term: &str, limit: usize) -> Result<Option<Vec<Hit>>> {
        let host = if registry == DOCKER_IO { HUB } else { registry };
        let session: Session = self.with_registry(host)?;
        let url = session.url("/v1/search").with_query("q", term).with_query("n", &limit.to_string());
        let response = session
            .send(|| Request::new(Method::GET, url.clone()), &[])
            .with_context(|| format!("search `{registry}`"))?;
        match response.status {
            200 => {
                let bytes = response.into_bytes(LIMIT).with_context(|| format!("search `{registry}`"))?;
                // Some registries answer every path with a page.
                Ok(serde_json::from_slice::<Answer>(&bytes).ok().and_then(|answer| answer.results))
            }
            400..=499 if registry != DOCKER_IO => Ok(None),
            _ => Err(session.refused(response)).with_context(|| format!("search `{registry}`")),
        }
    }
}
