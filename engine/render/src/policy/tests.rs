#![allow(clippy::unwrap_used, reason = "tests")]

use margay_core::{Entity, Period, Records};
use serde_json::json;

use super::*;

/// An alert on `namespace`/`workload` with two sample rows that carry `labels`.
pub(super) fn alert(namespace: &str, workload: &str, labels: &[&str]) -> Alert {
    let mut alert = sample_alert();
    let columns = alert.entity.columns().clone();
    alert.entity = Entity::new(columns, vec![Some(namespace.to_owned()), Some(workload.to_owned())]);
    let row = |peer: &str| {
        json!({
            "source_namespace": namespace, "source_name_aggr": workload, "source_type": "wep",
            "source_labels": {"labels": labels},
            "dest_namespace": "shop", "dest_name_aggr": peer, "dest_type": "wep", "bytes_out": 1
        })
        .as_object()
        .unwrap()
        .clone()
    };
    let records = Records { rows: vec![row("api-77-*"), row("db-*")], left_out: 41 };
    alert.suspicious_records = [("flows".to_owned(), records)].into();
    alert
}

pub(super) fn files(alert: &Alert, kind: PolicyKind, enforced: bool) -> Result<PolicyFiles, PolicyError> {
    let templates = Templates::load(None).unwrap();
    quarantine(&templates, &sample_request(alert, kind, enforced))
}

fn shop() -> Alert {
    alert("shop", "checkout-5d8f9c7b6-*", &["app=checkout", "pod-template-hash=5d8f9c7b6", "version=2"])
}

#[test]
fn calicos_staged_policy_is_this() {
    let files = files(&shop(), PolicyKind::Calico, false).unwrap();
    insta::assert_snapshot!(files.policy.1);
    insta::assert_snapshot!(files.undo.1);
    insta::assert_snapshot!(files.report.1);
    let names = [files.policy.0.as_str(), &files.undo.0, &files.report.0];
    assert_eq!(
        names,
        ["quarantine-0123456789abcdef.yaml", "quarantine-0123456789abcdef.undo.yaml", "quarantine-0123456789abcdef.md"]
    );
}

#[test]
fn calicos_enforced_policy_is_this() {
    insta::assert_snapshot!(files(&shop(), PolicyKind::Calico, true).unwrap().policy.1);
}

#[test]
fn kubernetes_policy_is_this() {
    let unlabelled = alert("shop", "checkout-5d8f9c7b6-*", &[]);
    let files = files(&unlabelled, PolicyKind::Kubernetes, false).unwrap();
    insta::assert_snapshot!(files.policy.1);
    insta::assert_snapshot!(files.undo.1);
    insta::assert_snapshot!(files.report.1);
}

#[test]
fn protected_workloads_are_refused() {
    let refused = |alert: &Alert| files(alert, PolicyKind::Calico, false).unwrap_err();
    for namespace in ["kube-system", "calico-system", "tigera-elasticsearch"] {
        assert!(matches!(refused(&alert(namespace, "x-*", &["app=x"])), PolicyError::Protected { .. }), "{namespace}");
    }
    for label in ["k8s-app=kube-dns", "app.kubernetes.io/name=margay"] {
        assert!(matches!(refused(&alert("shop", "x-*", &[label])), PolicyError::ProtectedWorkload { .. }), "{label}");
    }
    let mut outside = shop();
    outside.suspicious_records.get_mut("flows").unwrap().rows[0].insert("source_type".into(), json!("net"));
    assert!(matches!(refused(&outside), PolicyError::NotAPod { .. }));
}

#[test]
fn a_quarantine_always_ends_after_its_alert() {
    let (templates, alert) = (Templates::load(None).unwrap(), shop());
    for expires in [alert.time, alert.time.minus(Period::HOUR), Time::MIN] {
        let request = Quarantine { expires, ..sample_request(&alert, PolicyKind::Calico, true) };
        assert!(matches!(quarantine(&templates, &request), Err(PolicyError::Expired { .. })));
    }
}

#[test]
fn a_template_that_changes_what_was_meant_is_refused_when_loaded() {
    let original = include_str!("../../../../templates/quarantine-calico.yaml.hbs");
    for (from, to, message) in [
        ("selector: \"{{json quarantine.selector}}\"", "selector: \"all()\"", "whom it selects"),
        (
            "selector: \"{{json quarantine.selector}}\"",
            "selector: \"{{json quarantine.selector}} || all()\"",
            "whom it selects",
        ),
        ("tier: security", "tier: default", "the name"),
        ("order: 10", "order: 0", "the order"),
        ("types: [Ingress, Egress]", "types: [Ingress]", "the directions"),
        ("    - action: Deny\n", "    - action: Allow\n", "denies the rest"),
        ("spec:\n", "spec:\n  preDNAT: true\n", "unknown field `preDNAT`"),
        ("kind: \"{{quarantine.kind}}\"", "kind: NetworkPolicy", "the kind"),
        ("  stagedAction: \"{{json quarantine.staged_action}}\"\n", "", "staged"),
        ("  annotations: \"{{json quarantine.annotations}}\"\n", "  annotations: {}\n", "annotations"),
    ] {
        let directory = tempfile::tempdir().unwrap();
        assert!(original.contains(from), "{from}");
        std::fs::write(directory.path().join("quarantine-calico.yaml.hbs"), original.replace(from, to)).unwrap();
        let problems = Templates::load(Some(directory.path())).err().unwrap();
        assert!(problems.iter().any(|problem| problem.message.contains(message)), "{to}: {problems:?}");
    }
}

#[test]
fn a_template_may_allow_dns_first_and_use_another_tier() {
    let original = include_str!("../../../../templates/quarantine-calico.yaml.hbs");
    let dns = "  egress:\n    - {action: Allow, protocol: UDP, destination: {selector: \"k8s-app == 'kube-dns'\", ports: [53]}}\n";
    let text = original.replace("security", "default").replace("  egress:\n", dns);
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("quarantine-calico.yaml.hbs"), text).unwrap();
    let templates = Templates::load(Some(directory.path())).unwrap();
    let files = quarantine(&templates, &sample_request(&shop(), PolicyKind::Calico, true)).unwrap();
    assert!(files.policy.1.contains("name: default.quarantine-") && files.policy.1.contains("UDP"));
}
