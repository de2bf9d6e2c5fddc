//! Quarantine: policies that cut one workload off, with their undo and a report.

mod calico;
mod error;
mod kubernetes;
mod labels;
mod meant;
mod names;
mod protect;
mod report;
mod selection;
mod selector;
mod target;
mod yaml;

use margay_core::{Alert, Time};
use serde_json::Value;

use crate::context::context;
use crate::error::{RenderError, TemplateError};
use crate::sample;
use crate::templates::Templates;
pub use error::PolicyError;
use meant::Meant;
use selection::Selection;
use target::Target;

/// Template of Calico's policy.
pub(crate) const CALICO: &str = "quarantine-calico.yaml";
/// Template of Kubernetes' policy.
pub(crate) const KUBERNETES: &str = "quarantine-kubernetes.yaml";

/// Whose policies are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PolicyKind {
    /// `projectcalico.org/v3` GlobalNetworkPolicy, or its staged form: a real deny in an early tier.
    Calico,
    /// `networking.k8s.io/v1` NetworkPolicy: denies only what no other policy allows, and has no staged form.
    Kubernetes,
}

/// What a quarantine is asked to be.
#[derive(Clone, Copy, Debug)]
pub struct Quarantine<'a> {
    /// Why, and about whom.
    pub alert: &'a Alert,
    /// Whose policy.
    pub kind: PolicyKind,
    /// Denies when applied; otherwise it is staged where the kind can be.
    pub enforced: bool,
    /// Namespaces never to select besides the built-in ones; a `*` at the end stands for any ending.
    pub protect: &'a [String],
    /// When the quarantine has to end.
    pub expires: Time,
}

/// File names, derived from the alert's id alone, and texts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyFiles {
    /// The policy.
    pub policy: (String, String),
    /// The same policy selecting nothing: to apply or to delete, either lifts the quarantine.
    pub undo: (String, String),
    /// Why, whom it selects, what it costs and how it ends, as Markdown.
    pub report: (String, String),
}

/// The policy that isolates the workload of an alert, its undo and a report. Writes nothing.
///
/// # Errors
/// The alert names no pod or workload, it is protected, names are not what Kubernetes allows, or a
/// template renders something else than was meant.
pub fn quarantine(templates: &Templates, request: &Quarantine<'_>) -> Result<PolicyFiles, PolicyError> {
    let alert = request.alert;
    if request.expires <= alert.time {
        return Err(PolicyError::Expired { expires: request.expires, time: alert.time });
    }
    let target = Target::of(&alert.entity)?;
    protect::namespace(&target.namespace, request.protect)?;
    let seen = labels::Seen::of(&alert.suspicious_records, &target);
    protect::workload(&seen)?;
    let selection = Selection::of(&target, &seen)?;
    let meant = Meant::new(request, &target, &selection);
    let mut data = context(alert);
    data["quarantine"] = report::data(&meant, &target, &selection, &seen);
    let (policy, undo) = match request.kind {
        PolicyKind::Calico => calico::render(templates.document(CALICO, &data)?, &meant)?,
        PolicyKind::Kubernetes => kubernetes::render(templates.document(KUBERNETES, &data)?, &meant)?,
    };
    let report = templates.markdown("report.md", &data)?;
    let files = &meant.files;
    Ok(PolicyFiles {
        policy: (files.policy.clone(), policy),
        undo: (files.undo.clone(), undo),
        report: (files.report.clone(), report),
    })
}

/// Tries the policies of all kinds on a sample.
pub(crate) fn check(templates: &Templates) -> Vec<TemplateError> {
    let alert = sample_alert();
    let mut problems = Vec::new();
    for (kind, name) in [(PolicyKind::Calico, CALICO), (PolicyKind::Kubernetes, KUBERNETES)] {
        for enforced in [false, true] {
            let problem = match quarantine(templates, &sample_request(&alert, kind, enforced)) {
                Ok(_) => continue,
                Err(PolicyError::Render(RenderError::Template(problem))) => problem,
                Err(error) => TemplateError::new(name, (1, 1), chain(&error)),
            };
            if !problems.contains(&problem) {
                problems.push(problem);
            }
        }
    }
    problems
}

/// What policies and reports are rendered with, on a sample.
pub(crate) fn sample_context(alert: &Alert) -> Value {
    let sample = sample_alert();
    let request = sample_request(&sample, PolicyKind::Calico, false);
    let target = Target::of(&sample.entity).expect("the sample names a workload");
    let seen = labels::Seen::of(&sample.suspicious_records, &target);
    let selection = Selection::of(&target, &seen).expect("the sample can be selected");
    let mut data = context(alert);
    data["quarantine"] = report::data(&Meant::new(&request, &target, &selection), &target, &selection, &seen);
    data
}

fn sample_alert() -> Alert {
    let columns = ["source_namespace".to_owned(), "source_name_aggr".to_owned()];
    let [_, typical, _] = sample::alerts(&["bytes_out".to_owned()], &columns);
    typical
}

fn sample_request(alert: &Alert, kind: PolicyKind, enforced: bool) -> Quarantine<'_> {
    Quarantine { alert, kind, enforced, protect: &[], expires: alert.time.plus(margay_core::Period::HOUR) }
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text.push_str(": ");
        text.push_str(&error.to_string());
        source = error.source();
    }
    text
}

#[cfg(test)]
mod schemas;
#[cfg(test)]
mod tests;
