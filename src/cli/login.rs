//! `login` and `logout`.

use std::io::{IsTerminal, Read};
use std::path::PathBuf;

use clap::Args;

use crate::base::error::{Context, Explain, Kind, Result, fail};
use crate::cli::session::Session;
use crate::cli::values::go_bool;
use crate::ops::login::{LoginOptions, login, logout, logout_all};
use crate::registry::Credentials;
use crate::ui::{printer, prompt};

/// A password is a line, and no password is a book.
const LONGEST: u64 = 64 << 10;

/// Log into a registry and keep the credentials
#[derive(Debug, Args)]
pub struct LoginArgs {
    /// User name
    #[arg(short, long, value_name = "NAME")]
    username: Option<String>,
    /// Password; other users of the machine may see it, better let dhow ask or use --password-stdin
    #[arg(short, long, value_name = "PASSWORD", conflicts_with = "password_stdin")]
    password: Option<String>,
    /// Read the password from standard input
    #[arg(long)]
    password_stdin: bool,
    /// Print the user name that is kept for the registry
    #[arg(long)]
    get_login: bool,
    /// Say which file the credentials go to
    #[arg(short, long)]
    verbose: bool,
    /// File of registry logins
    #[arg(long, value_name = "PATH", env = "REGISTRY_AUTH_FILE", hide_env = true)]
    authfile: Option<PathBuf>,
    /// Docker's file of registry logins, to be used in place of the own one
    #[arg(long, value_name = "PATH", conflicts_with = "authfile")]
    compat_auth_file: Option<PathBuf>,
    /// Directory of certificates for the registry
    #[arg(long, value_name = "DIR")]
    cert_dir: Option<PathBuf>,
    /// Demand https with a valid certificate
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true", value_parser = go_bool)]
    tls_verify: Option<bool>,
    /// Registry, with an optional namespace; Docker Hub when left out
    #[arg(value_name = "REGISTRY")]
    registry: Option<String>,
}

impl LoginArgs {
    /// Logs in, or tells who is logged in.
    pub fn run(self, session: &Session) -> Result<()> {
        let options = LoginOptions {
            registry: self.registry.clone(),
            authfile: session.authfile(self.compat_auth_file.clone().or_else(|| self.authfile.clone())),
            docker: self.compat_auth_file.is_some(),
            cert_dir: self.cert_dir.clone(),
            tls_verify: self.tls_verify,
        };
        if self.get_login {
            let user = options.known_user()?;
            let user =
                user.ok_or_else(|| fail(Kind::Failed, format!("not logged into `{}`", options.key())))?;
            return session.out.line(&user);
        }
        if self.is_known(session, &options)? {
            return Ok(());
        }
        let credentials = self.credentials(&options)?;
        if let (Some(path), true) = (login(&options, &credentials)?, self.verbose) {
            printer::talk(&format!("Used: {}", path.display()));
        }
        session.out.line("Login Succeeded!")
    }

    /// Without a word about who logs in, credentials that are kept already will do if the registry still takes them.
    fn is_known(&self, session: &Session, options: &LoginOptions) -> Result<bool> {
        if self.username.is_some() || self.password.is_some() || self.password_stdin {
            return Ok(false);
        }
        let Some(known) = options.known_user()?.and(options.known()?) else { return Ok(false) };
        session.out.line(&format!("Authenticating with existing credentials for {}", options.key()))?;
        if options.check(&known).is_err() {
            printer::talk("Existing credentials are invalid, please enter valid username and password");
            return Ok(false);
        }
        session
            .out
            .line(&format!("Existing credentials are valid. Already logged in to {}", options.key()))?;
        Ok(true)
    }

    /// What was typed, the rest by asking.
    fn credentials(&self, options: &LoginOptions) -> Result<Credentials> {
        let missing = |what: &str| {
            fail(Kind::Usage, format!("no {what} was given and there is no terminal to ask on"))
                .hint("use `--username` with `--password-stdin`")
        };
        let asks = std::io::stdin().is_terminal();
        let user = match (&self.username, self.password_stdin) {
            (Some(user), _) => user.clone(),
            (None, true) => return Err(fail(Kind::Usage, "`--password-stdin` needs `--username`")),
            (None, false) if asks => {
                let known = options.known_user()?.unwrap_or_default();
                let shown = if known.is_empty() { String::new() } else { format!(" ({known})") };
                Some(prompt::line(&format!("Username{shown}: "))?)
                    .filter(|text| !text.is_empty())
                    .unwrap_or(known)
            }
            (None, false) => return Err(missing("user name")),
        };
        let password = match (&self.password, self.password_stdin) {
            (Some(password), _) => password.clone(),
            (None, true) => from_stdin()?,
            (None, false) if asks => prompt::secret("Password: ")?,
            (None, false) => return Err(missing("password")),
        };
        Ok(Credentials::Password { user, password })
    }
}

fn from_stdin() -> Result<String> {
    let mut text = String::new();
    std::io::stdin()
        .take(LONGEST)
        .read_to_string(&mut text)
        .context("read the password from standard input")?;
    let line = text.strip_suffix('\n').unwrap_or(&text);
    Ok(line.strip_suffix('\r').unwrap_or(line).to_owned())
}

/// Forget the credentials for a registry
#[derive(Debug, Args)]
pub struct LogoutArgs {
    /// For all registries
    #[arg(short, long, conflicts_with = "registry")]
    all: bool,
    /// File of registry logins
    #[arg(long, value_name = "PATH", env = "REGISTRY_AUTH_FILE", hide_env = true)]
    authfile: Option<PathBuf>,
    /// Docker's file of registry logins, to be used in place of the own one
    #[arg(long, value_name = "PATH", conflicts_with = "authfile")]
    compat_auth_file: Option<PathBuf>,
    /// Registry, with an optional namespace; Docker Hub when left out
    #[arg(value_name = "REGISTRY")]
    registry: Option<String>,
}

impl LogoutArgs {
    /// Logs out.
    pub fn run(self, session: &Session) -> Result<()> {
        let authfile = session.authfile(self.compat_auth_file.or(self.authfile));
        let options = LoginOptions { registry: self.registry, authfile, ..LoginOptions::default() };
        if self.all {
            logout_all(&options)?;
            return session.out.line("Removed login credentials for all registries");
        }
        logout(&options)?;
        session.out.line(&format!("Removed login credentials for {}", options.key()))
    }
}
