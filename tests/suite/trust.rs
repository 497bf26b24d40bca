//! policy.json: what it rejects is not taken, and what it wants signed neither.

use crate::kit::Sandbox;
use crate::kit::image::{busybox, busybox_archive};
use crate::kit::registry::Registry;

#[test]
fn the_policy_decides_by_the_most_specific_scope() {
    let sandbox = Sandbox::new();
    let registry = Registry::start(&sandbox);
    let host = registry.host();
    for repository in ["good/tool", "bad/tool", "bad/except", "signed/tool"] {
        registry.put(&busybox("x"), repository, "v1");
    }
    let policy = serde_json::json!({
        "default": [{"type": "insecureAcceptAnything"}],
        "transports": {
            "docker": {
                format!("{host}/bad"): [{"type": "reject"}],
                format!("{host}/bad/except"): [{"type": "insecureAcceptAnything"}],
                format!("{host}/signed"): [{"type": "signedBy", "keyType": "GPGKeys", "keyPath": "/key.gpg"}],
            },
            "docker-archive": {"": [{"type": "reject"}]},
        },
    });
    let file = sandbox.file("home/.config/containers/policy.json", policy.to_string());
    sandbox.line(&format!("pull -q {host}/good/tool:v1")).ok();
    sandbox.line(&format!("pull -q {host}/bad/except:v1")).ok();
    let error = sandbox.line(&format!("pull -q {host}/bad/tool:v1")).fails(125);
    assert!(error.contains("rejected by the policy"), "{error}");
    let error = sandbox.line(&format!("pull -q {host}/signed/tool:v1")).fails(125);
    assert!(error.contains("signature") && error.contains("signedBy"), "{error}");
    for words in ["run --rm", "create", "image inspect docker://", "artifact pull"] {
        let gap = if words.ends_with("//") { "" } else { " " };
        sandbox.line(&format!("{words}{gap}{host}/bad/tool:v1")).fails(125);
    }
    sandbox.line(&format!("image copy -q docker://{host}/bad/tool:v1 dir:x")).fails(125);
    sandbox.line(&format!("pull -q --all-platforms {host}/bad/tool:v1")).fails(125);
    sandbox.line(&format!("manifest create l docker://{host}/bad/tool:v1")).fails(125);
    let archive = busybox_archive(&sandbox.path("work/x.tar"));
    sandbox.line("pull -q docker-archive:x.tar").fails(125);
    sandbox.dhow(["load", "-q", "-i"]).arg(&archive).fails(125);
    assert!(!sandbox.line("images").ok().contains("busybox"));

    sandbox.line(&format!("image trust set -t accept {host}/bad/tool")).ok();
    sandbox.line(&format!("pull -q {host}/bad/tool:v1")).ok();
    sandbox.line("image trust set -t reject default").ok();
    sandbox.line("image trust set -t signedBy default").fails(125);
    sandbox.line("image trust set quay.io").fails(125); // Podman's default is signedBy
    sandbox.line("image trust set -t reject /not/a/name").fails(125);
    let shown = sandbox.line("image trust show").ok();
    assert!(
        shown.contains("TRANSPORT") && shown.contains(&format!("{host}/signed")) && shown.contains("reject"),
        "{shown}"
    );
    let raw: serde_json::Value = serde_json::from_str(&sandbox.line("image trust show --raw").ok()).unwrap();
    assert_eq!(
        raw["transports"]["docker"][format!("{host}/signed")][0]["keyPath"],
        "/key.gpg",
        "what was there stays"
    );
    let rows: serde_json::Value =
        serde_json::from_str(&sandbox.line("image trust show --json").ok()).unwrap();
    assert_eq!(
        rows[0],
        serde_json::json!({"transport": "all", "name": "* (default)", "repo_name": "default", "type": "reject"})
    );
    // Another tool reads what was written.
    sandbox
        .program("skopeo")
        .arg("--policy")
        .arg(&file)
        .args(["inspect", "--tls-verify=false"])
        .arg(format!("docker://{host}/bad/tool:v1"))
        .ok();
    let strict = sandbox.file("work/strict.json", r#"{"default":[{"type":"reject"}]}"#);
    let open = sandbox.file("work/open.json", r#"{"default":[{"type":"insecureAcceptAnything"}]}"#);
    for (policy, passes) in [(&strict, false), (&open, true)] {
        for place in [format!("{host}/good/tool:v1"), "docker-archive:x.tar".into()] {
            let pull = sandbox.dhow(["pull", "-q", "--signature-policy"]).arg(policy).arg(&place);
            if passes { drop(pull.ok()) } else { drop(pull.fails(125)) }
        }
    }
    // What cannot be understood protects nobody, so nothing passes.
    sandbox.file("home/.config/containers/policy.json", r#"{"default":[{"type":"whatever"}]}"#);
    let error = sandbox.line(&format!("pull -q {host}/good/tool:v1")).fails(125);
    assert!(error.contains("policy.json") && error.contains("whatever"), "{error}");
}
