//! Rendered policies against the schemas that API servers use. `tests/services/policy-schemas.sh`
//! fetches them; what is not there is left out, with a line that says so.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::tests::{alert, files};
use super::{PolicyFiles, PolicyKind};

const CALICO_POLICY: &str = "globalnetworkpolicies.yaml";
const CALICO_STAGED: &str = "stagedglobalnetworkpolicies.yaml";
const KUBERNETES: &str = "kubernetes-definitions.json";

/// Directories that may hold schemas: what the script fetched, and newer ones beside a developer's checkout.
fn directories() -> [PathBuf; 2] {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    [root.join("target/policy-schemas"), root.join("../shared/data/crds")]
}

/// Files of this name, those with a prefix too.
fn found(name: &str) -> Vec<PathBuf> {
    let files = directories().into_iter().filter_map(|directory| fs::read_dir(directory).ok()).flatten();
    let paths = files.map(|entry| entry.unwrap().path());
    let mut paths: Vec<PathBuf> = paths
        .filter(|path| {
            let file = path.file_name().unwrap().to_string_lossy();
            file.strip_suffix(name).is_some_and(|prefix| prefix.is_empty() || prefix.ends_with(['_', '.']))
        })
        .collect();
    paths.sort();
    if paths.is_empty() {
        eprintln!("left out: {name} is not there; tests/services/policy-schemas.sh fetches it");
    }
    paths
}

/// A custom resource's schema, closed: an API server drops or refuses fields that it does not name.
/// Calico before 3.29 had no tiers, so the schema on the Go proxy lacks that one field.
fn calico(path: &Path) -> Value {
    let definition: Value = serde_yaml::from_str(&fs::read_to_string(path).unwrap()).unwrap();
    let mut schema = definition.pointer("/spec/versions/0/schema/openAPIV3Schema").unwrap().clone();
    let fields = schema.pointer_mut("/properties/spec/properties").unwrap().as_object_mut().unwrap();
    fields.entry("tier").or_insert_with(|| json!({"type": "string"}));
    close(&mut schema);
    schema
}

/// The staged kind's schema: the same and one field more.
fn staged(mut schema: Value) -> Value {
    schema["properties"]["spec"]["properties"]["stagedAction"] = json!({"enum": ["Set", "Delete", "Learn", "Ignore"]});
    schema
}

fn close(schema: &mut Value) {
    match schema {
        Value::Object(map) => {
            if map.get("properties").is_some_and(Value::is_object) && !map.contains_key("additionalProperties") {
                map.insert("additionalProperties".into(), json!(false));
            }
            map.values_mut().for_each(close);
        }
        Value::Array(items) => items.iter_mut().for_each(close),
        _ => {}
    }
}

fn kubernetes(path: &Path) -> Value {
    let mut schema: Value = serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
    schema["$ref"] = json!("#/$defs/io.k8s.api.networking.v1.NetworkPolicy");
    schema
}

fn problems(schema: &Value, object: &Value) -> Vec<String> {
    let validator = jsonschema::validator_for(schema).unwrap();
    validator.iter_errors(object).map(|error| format!("{}: {error}", error.instance_path())).collect()
}

/// Checks that policy and undo fit, and that the check can fail.
fn assert_fits(schema: &Value, files: &PolicyFiles, path: &Path) {
    for (name, text) in [&files.policy, &files.undo] {
        let object: Value = serde_yaml::from_str(text).unwrap();
        assert_eq!(problems(schema, &object), Vec::<String>::new(), "{name} against {}", path.display());
        let mut wrong = object.clone();
        wrong["spec"]["nosuch"] = json!(1);
        assert!(!problems(schema, &wrong).is_empty(), "{} takes anything", path.display());
    }
}

fn policies(kind: PolicyKind, enforced: bool) -> [PolicyFiles; 2] {
    let labels = ["app=checkout", "pod-template-hash=5d8f9c7b6", "app.kubernetes.io/name=no"];
    [&labels[..], &[]].map(|labels| files(&alert("shop", "checkout-5d8f9c7b6-*", labels), kind, enforced).unwrap())
}

#[test]
fn calicos_policies_fit_calicos_schemas() {
    for path in found(CALICO_POLICY) {
        let schema = calico(&path);
        policies(PolicyKind::Calico, true).iter().for_each(|files| assert_fits(&schema, files, &path));
        let schema = staged(schema);
        policies(PolicyKind::Calico, false).iter().for_each(|files| assert_fits(&schema, files, &path));
    }
    for path in found(CALICO_STAGED) {
        let schema = calico(&path);
        policies(PolicyKind::Calico, false).iter().for_each(|files| assert_fits(&schema, files, &path));
    }
}

#[test]
fn kubernetes_policies_fit_kubernetes_schema() {
    for path in found(KUBERNETES) {
        let schema = kubernetes(&path);
        policies(PolicyKind::Kubernetes, true).iter().for_each(|files| assert_fits(&schema, files, &path));
    }
}
