//! Names in a detector: they become file names, keys and columns.

use std::path::Path;

use crate::detector::Detector;
use crate::expression::{self, is_identifier};
use crate::features::Features;
use crate::problem::shown;
use crate::rules::Findings;

/// Column that the engine adds to every feature table.
const BUCKET_START: &str = margay_core::log::BUCKET_START;

pub(super) fn check(detector: &Detector, findings: &mut Findings<'_>) {
    own_name(detector, findings);
    let columns = entity_names(detector, findings);
    feature_names(detector, &columns, findings);
}

/// What a name that is part of paths and labels is made of.
pub(super) const PLAIN: &str = "lower-case letters, digits, and `-` between them";

/// Whether a name is made of [`PLAIN`].
pub(super) fn is_plain(name: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    name.bytes().all(allowed) && !name.starts_with('-') && !name.ends_with('-')
}

/// A detector's name is part of paths and of alert ids.
fn own_name(detector: &Detector, findings: &mut Findings<'_>) {
    let name = detector.name.as_str();
    if !is_plain(name) {
        let message = format!("`{}` cannot name a detector", shown(name));
        findings.value(&["name"], "bad-name", message, PLAIN);
        return;
    }
    let stem = Path::new(&findings.document.source.path).file_stem().map(|stem| stem.to_string_lossy().into_owned());
    if let Some(stem) = stem.filter(|stem| stem != name) {
        let message = format!("the detector is named `{name}`, but its file `{}`", shown(&stem));
        findings.value(&["name"], "name-is-not-file-name", message, &format!("name: {}", shown(&stem)));
    }
}

/// The names of the entity columns, each of which is distinct.
fn entity_names(detector: &Detector, findings: &mut Findings<'_>) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for (at, entry) in detector.entity.iter().enumerate() {
        let key = ["entity", &at.to_string()];
        match expression::named(entry) {
            None => {
                let message = format!("the expression `{}` has no name", shown(entry));
                findings.value(&key, "entity-needs-name", message, "write `expression AS name`");
            }
            Some((name, _)) if names.contains(&name) || name == BUCKET_START => {
                let message = format!("the column `{}` already exists", shown(&name));
                findings.value(&key, "name-clash", message, "give each column a name of its own");
            }
            Some((name, _)) => names.push(name),
        }
    }
    names
}

/// Features are columns beside the entity's, and names in templates.
fn feature_names(detector: &Detector, columns: &[String], findings: &mut Findings<'_>) {
    let names = detector.features.names();
    for (at, name) in names.iter().enumerate() {
        let position = at.to_string();
        let key = match &detector.features {
            Features::Map(_) => ["features", *name],
            Features::List(_) => ["features", position.as_str()],
        };
        if !is_identifier(name) {
            let message = format!("`{}` cannot name a feature", shown(name));
            findings.key(&key, "bad-feature-name", message, "letters, digits and `_`, not starting with a digit");
        } else if columns.iter().any(|column| column == name) || *name == BUCKET_START || names[..at].contains(name) {
            let message = format!("the column `{}` already exists", shown(name));
            findings.key(&key, "name-clash", message, "give each column a name of its own");
        }
    }
}
