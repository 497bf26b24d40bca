//! The client against a real registry, and against servers that misbehave on purpose.

mod hostile;
mod pushing;
mod real;
#[path = "../../../tests/suite/kit/server.rs"]
mod server;

use std::io::Read;

use super::{Client, ClientOptions, Credentials, Reference, Registries};
use crate::base::digest::Digest;
use crate::base::error::Result;

/// Options that read nothing of this host's configuration.
fn options() -> ClientOptions {
    let none = std::env::temp_dir().join("dhow-no-auth.json");
    crate::base::fs::replace(&none, b"{}", 0o600, crate::base::fs::Durability::Volatile).unwrap();
    ClientOptions {
        authfile: Some(none),
        retry: 3,
        retry_delay: Some(std::time::Duration::from_millis(5)),
        registries: Registries::default(),
        ..ClientOptions::default()
    }
}

fn client() -> Client {
    Client::new(options())
}

fn with_creds(text: &str) -> Client {
    Client::new(ClientOptions { creds: Some(Credentials::parse(text).unwrap()), ..options() })
}

fn read_blob(client: &Client, reference: &Reference, bytes: &[u8]) -> Result<Vec<u8>> {
    let mut blob = client.blob(reference, &Digest::of(bytes), bytes.len() as u64)?;
    let mut got = Vec::new();
    blob.read_to_end(&mut got)?;
    Ok(got)
}

fn say(error: &crate::base::error::Error) -> String {
    crate::base::error::render(error)
}
