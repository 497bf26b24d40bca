//! `image scp`, with a stand-in for the ssh program, and `import` from a web server.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;

use crate::kit::Sandbox;
use crate::kit::sandbox::binary;

/// An ssh that runs the command in another sandbox, and notes for whom.
fn stand_in(here: &Sandbox, there: &Sandbox) -> String {
    let bin = here.path("bin");
    std::fs::create_dir_all(&bin).unwrap();
    let program = |name: &str, text: String| {
        let path = here.file(&format!("bin/{name}"), text);
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
    };
    program("dhow", format!("#!/bin/sh\nexec {} \"$@\"\n", binary().display()));
    let log = here.path("ssh.log");
    program(
        "ssh",
        format!(
            "#!/bin/sh\necho \"$@\" >> {}\nwhile [ \"$1\" != -- ]; do shift; done\n[ \"$2\" != me@down ] || exit 255\n\
             export DHOW_ROOT={} DHOW_RUNROOT={}\nexec sh -c \"$3\"\n",
            log.display(),
            there.root().display(),
            there.path("run/dhow").display()
        ),
    );
    format!("{}:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", bin.display())
}

#[test]
fn images_go_to_and_come_from_another_machine() {
    let (here, there) = (Sandbox::with_busybox(), Sandbox::new());
    let path = stand_in(&here, &there);
    let scp = |words: &str| here.line(&format!("image scp {words}")).env("PATH", &path);
    let out = scp("busybox me@host:2222::").ok();
    assert!(out.contains("Loaded image: localhost/busybox:latest"), "{out}");
    let log = std::fs::read_to_string(here.path("ssh.log")).unwrap();
    assert!(log.starts_with("-p 2222 -- me@host "), "{log}");
    let id = |sandbox: &Sandbox| sandbox.line("images -q --no-trunc").ok();
    assert_eq!(id(&here), id(&there), "it is the same image");
    there.line("tag busybox other:1").ok();
    assert!(scp("me@host::other:1").ok().contains("Loaded image: localhost/other:1"));
    scp("me@host::other:1 mine:2").ok();
    here.line("image exists mine:2").ok();
    assert!(scp("busybox me@down::").fails(125).contains("ssh to `me@down` failed"));
    assert!(scp("me@down::x").fails(125).contains("ssh to `me@down` failed"));
    for bad in [
        "busybox other",
        "nothing me@host::",
        "me@host::'x;id'",
        "-- -oProxyCommand=id::x",
        "busybox me@host::x",
    ] {
        scp(bad).fails(125);
    }
}

/// Serves one answer a request, as often as it is asked, and gives its address.
fn serve(answers: Vec<Vec<u8>>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    std::thread::spawn(move || {
        for answer in answers {
            let Ok((mut stream, _)) = listener.accept() else { return };
            let mut request = [0; 4096];
            let _ = stream.read(&mut request);
            let _ = stream.write_all(&answer);
        }
    });
    address
}

fn answer(status: &str, headers: &str, body: &[u8]) -> Vec<u8> {
    let head =
        format!("HTTP/1.1 {status}\r\nConnection: close\r\n{headers}Content-Length: {}\r\n\r\n", body.len());
    [head.as_bytes(), body].concat()
}

#[test]
fn an_archive_is_imported_from_a_url() {
    let sandbox = Sandbox::with_busybox();
    let container = sandbox.line("create busybox true").ok();
    let tar = sandbox.dhow(["export", container.trim()]).run().out;
    let packed = sandbox.program("gzip").arg("-c").stdin(tar).run().out;
    let mut cut = answer("200 OK", "", &packed);
    cut.truncate(cut.len() / 2);
    let address = serve(vec![
        answer("302 Found", "Location: /files/rootfs.tgz\r\n", b""),
        answer("200 OK", "", &packed),
        answer("404 Not Found", "", b"no"),
        cut,
        answer("200 OK", "", b"<html>this is no archive</html>"),
    ]);
    let url = format!("http://{address}/rootfs.tgz");
    let args =
        ["import", "-q", "-m", "from the web", "-c", "ENV PATH=/bin", "--arch", "arm64", &url, "web:1"];
    assert!(sandbox.dhow(args).ok().starts_with("sha256:"));
    assert_eq!(
        sandbox.dhow(["image", "inspect", "-f", "{{.Architecture}} {{.Comment}}", "web:1"]).ok(),
        "arm64 from the web\n"
    );
    assert!(sandbox.line("history --no-trunc web:1").ok().contains("ADD file:"));
    for said in ["answered 404", "", ""] {
        let error = sandbox.dhow(["import", &url, "bad"]).fails(125);
        assert!(error.starts_with("Error: ") && error.contains(said), "{error}");
    }
    sandbox.line("image exists bad").fails(1);
    sandbox.line("system check --max 0s").ok();
}
