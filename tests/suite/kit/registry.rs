//! A real registry (Debian's docker-registry) on loopback: plain, with TLS, with a password.

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use super::image::{ImageSpec, sha256};
use super::{Sandbox, eventually};

/// What the registry asks of its clients.
#[derive(Default, Clone, Copy)]
pub struct Options {
    /// https with a certificate of our own authority.
    pub tls: bool,
    /// Basic authentication: user `alice`, password `secret word`.
    pub password: bool,
}

/// A running registry; dropping it ends it.
pub struct Registry {
    child: Child,
    port: u16,
    dir: PathBuf,
    options: Options,
}

/// The user of [`Options::password`].
pub const USER: &str = "alice";
/// The password of [`Options::password`].
pub const PASSWORD: &str = "secret word";

impl Registry {
    /// Starts one without TLS and password.
    pub fn start(sandbox: &Sandbox) -> Registry {
        Registry::with(sandbox, Options::default())
    }

    /// Starts one.
    pub fn with(sandbox: &Sandbox, options: Options) -> Registry {
        Registry::begin(sandbox, options, false)
    }

    /// Starts one with TLS that lets in only who shows a certificate of our authority.
    pub fn for_known_clients(sandbox: &Sandbox) -> Registry {
        Registry::begin(sandbox, Options { tls: true, password: false }, true)
    }

    fn begin(sandbox: &Sandbox, options: Options, clients: bool) -> Registry {
        let port = free_port();
        let dir = sandbox.path(&format!("registry-{port}"));
        fs::create_dir_all(dir.join("data")).unwrap();
        let mut config = config(&dir, port, options);
        if clients {
            let authority = dir.join("certs/ca.crt").display().to_string();
            config = config.replace("key: ", &format!("clientcas: [{authority}], key: "));
        }
        fs::write(dir.join("config.yml"), config).unwrap();
        // The line a request goes to stdout, what went wrong to stderr.
        let log = fs::File::options().create(true).append(true).open(dir.join("log")).unwrap();
        let child = Command::new("docker-registry")
            .arg("serve")
            .arg(dir.join("config.yml"))
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .expect("docker-registry is installed by tests/setup.sh");
        eventually("the registry listens", || TcpStream::connect(("127.0.0.1", port)).is_ok());
        Registry { child, port, dir, options }
    }

    /// `127.0.0.1:PORT`
    pub fn host(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// The directory with `ca.crt`, for `--cert-dir`.
    pub fn cert_dir(&self) -> PathBuf {
        self.dir.join("certs")
    }

    /// A directory for `--cert-dir` with the authority and a certificate to show.
    pub fn client_cert_dir(&self) -> PathBuf {
        let dir = self.dir.join("client");
        fs::create_dir_all(&dir).unwrap();
        let script = "set -e
            openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=alice -keyout client.key \
                -out client.csr
            openssl x509 -req -in client.csr -CA ../certs/ca.crt -CAkey ../certs/ca.priv -CAcreateserial -days 2 \
                -out client.cert
            cp ../certs/ca.crt .";
        shell(script, &dir);
        dir
    }

    /// What the registry logged: one line a request.
    pub fn log(&self) -> String {
        fs::read_to_string(self.dir.join("log")).unwrap()
    }

    /// Puts an image straight into the registry's storage protocol, under `repository:tag`; gives its digest.
    pub fn put(&self, image: &ImageSpec, repository: &str, tag: &str) -> String {
        let oci = image.oci();
        for blob in oci.layers.iter().chain([&oci.config]) {
            self.put_blob(repository, blob);
        }
        self.put_manifest(repository, tag, &oci.manifest, "application/vnd.oci.image.manifest.v1+json");
        sha256(&oci.manifest)
    }

    /// Uploads one blob.
    pub fn put_blob(&self, repository: &str, bytes: &[u8]) {
        let answer = self.curl(&["-X", "POST", "-D", "-"], &format!("/v2/{repository}/blobs/uploads/"), b"");
        // HTTP/2 has its headers in lower case.
        let is_location = |name: &str| name.eq_ignore_ascii_case("location");
        let header = |line: &str| {
            line.split_once(": ").filter(|(name, _)| is_location(name)).map(|(_, value)| value.to_owned())
        };
        let location = answer.lines().find_map(header).expect("an upload location");
        let url = format!("{}&digest={}", location.trim(), sha256(bytes));
        let arguments = ["-X", "PUT", "-H", "Content-Type: application/octet-stream", "--data-binary", "@-"];
        self.curl_url(&arguments, &url, bytes);
    }

    /// Uploads a manifest.
    pub fn put_manifest(&self, repository: &str, tag: &str, bytes: &[u8], media_type: &str) {
        let header = format!("Content-Type: {media_type}");
        let arguments = ["-X", "PUT", "-H", &header, "--data-binary", "@-"];
        self.curl(&arguments, &format!("/v2/{repository}/manifests/{tag}"), bytes);
    }

    fn curl(&self, arguments: &[&str], path: &str, input: &[u8]) -> String {
        let scheme = if self.options.tls { "https" } else { "http" };
        self.curl_url(arguments, &format!("{scheme}://{}{path}", self.host()), input)
    }

    fn curl_url(&self, arguments: &[&str], url: &str, input: &[u8]) -> String {
        let mut command = Command::new("curl");
        command.args(["-sS", "--fail", "--noproxy", "*"]).args(arguments);
        if self.options.tls {
            command.arg("--cacert").arg(self.cert_dir().join("ca.crt"));
        }
        if self.options.password {
            command.arg("-u").arg(format!("{USER}:{PASSWORD}"));
        }
        let mut child = command
            .arg(url)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(input).unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "curl {url}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn config(dir: &Path, port: u16, options: Options) -> String {
    let dir_text = dir.display();
    let mut config = format!(
        "version: 0.1\nlog: {{accesslog: {{disabled: false}}, level: info}}\n\
         storage: {{filesystem: {{rootdirectory: {dir_text}/data}}, delete: {{enabled: true}}}}\n\
         http:\n  addr: 127.0.0.1:{port}\n  secret: test\n"
    );
    if options.tls {
        certificates(&dir.join("certs"));
        config.push_str(&format!(
            "  tls: {{certificate: {dir_text}/certs/server.pem, key: {dir_text}/certs/server.priv}}\n"
        ));
    }
    if options.password {
        let hash = Command::new("htpasswd").args(["-nbB", "-C", "4", USER, PASSWORD]).output().unwrap();
        fs::write(dir.join("htpasswd"), hash.stdout).unwrap();
        config.push_str(&format!("auth: {{htpasswd: {{realm: test, path: {dir_text}/htpasswd}}}}\n"));
    }
    config
}

/// An authority and a server certificate for 127.0.0.1 and localhost.
fn certificates(dir: &Path) {
    fs::create_dir_all(dir).unwrap();
    let script = "set -e
        openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 3 -subj '/CN=test authority' \
            -keyout ca.priv -out ca.crt -addext basicConstraints=critical,CA:TRUE
        openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=localhost -keyout server.priv \
            -out server.csr
        printf 'subjectAltName=IP:127.0.0.1,DNS:localhost\n' > ext
        openssl x509 -req -in server.csr -CA ca.crt -CAkey ca.priv -CAcreateserial -days 2 -extfile ext \
            -out server.pem";
    shell(script, dir);
}

fn shell(script: &str, dir: &Path) {
    let output = Command::new("sh").args(["-c", script]).current_dir(dir).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// A port that was free a moment ago.
pub fn free_port() -> u16 {
    TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port()
}

/// One plain HTTP GET, for tests that watch a port.
pub fn get(port: u16, path: &str) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    write!(stream, "GET {path} HTTP/1.0\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}
