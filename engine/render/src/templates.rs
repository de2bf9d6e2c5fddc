//! The built-in templates, and those of the user that replace them.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use handlebars::{Handlebars, RenderErrorReason};
use margay_core::Alert;
use serde_json::Value;

use crate::context::context;
use crate::document::{Document, Language, LeafEngines};
use crate::error::{RenderError, TemplateError};
use crate::guard::{TEMPLATE_BYTES_MOST, guard};
use crate::helpers::engine;
use crate::json::json_line;
use crate::lint::compile;
use crate::markdown::markdown;
use crate::plain::{plain, shown};
use crate::{policy, sample};

/// Bytes that one template may render at most.
const OUTPUT_BYTES_MOST: usize = 1024 * 1024;
/// Templates of the user at most.
const TEMPLATES_MOST: usize = 256;

/// Ending of every template's file.
const ENDING: &str = ".hbs";

const BUILT_IN: [(&str, &str); 4] = [
    ("alert.text", include_str!("../../../templates/alert.text.hbs")),
    ("report.md", include_str!("../../../templates/report.md.hbs")),
    (policy::CALICO, include_str!("../../../templates/quarantine-calico.yaml.hbs")),
    (policy::KUBERNETES, include_str!("../../../templates/quarantine-kubernetes.yaml.hbs")),
];

/// Every template by name: the file's name without `.hbs`, whose ending says how values are
/// escaped (`.text`, `.md`, `.json`, `.yaml`).
pub struct Templates {
    text: Handlebars<'static>,
    markdown: Handlebars<'static>,
    literal: Handlebars<'static>,
    documents: BTreeMap<String, Document>,
}

impl Templates {
    /// The built-in templates; files `*.hbs` in `dir` replace those of the same name or add to them.
    ///
    /// # Errors
    /// All that is wrong in the files of `dir`, each with the file's name; a `dir` that cannot be
    /// read has the name `.`.
    pub fn load(dir: Option<&Path>) -> Result<Self, Vec<TemplateError>> {
        let mut templates = Self {
            text: engine(shown),
            markdown: engine(markdown),
            literal: engine(|value, _| value.to_owned()),
            documents: BTreeMap::new(),
        };
        for (name, text) in BUILT_IN {
            templates.add(name, text).expect("the built-in templates are tested");
        }
        let mut problems = Vec::new();
        for (name, path) in dir.map(files).transpose().map_err(|problem| vec![problem])?.unwrap_or_default() {
            if let Err(problem) = read(&name, &path).and_then(|text| templates.add(&name, &text)) {
                problems.push(problem);
            }
        }
        if problems.is_empty() && dir.is_some() {
            problems = policy::check(&templates);
        }
        let as_files = problems.into_iter().map(|problem| TemplateError { name: problem.name + ENDING, ..problem });
        let problems: Vec<TemplateError> = as_files.collect();
        if problems.is_empty() { Ok(templates) } else { Err(problems) }
    }

    /// Tries a detector's summary on three alerts: one with as little in it as can be, an ordinary
    /// one, and one whose values are hostile.
    ///
    /// # Errors
    /// The first thing that is wrong, with its place in `template`.
    pub fn check_summary(
        &self,
        template: &str,
        features: &[String],
        entity_columns: &[String],
    ) -> Result<(), TemplateError> {
        let alerts = sample::alerts(features, entity_columns);
        compile(SUMMARY, template, Some(&context(&alerts[1])))?;
        for alert in &alerts {
            let summary = self.summary(template, alert).map_err(|error| placed(SUMMARY, error))?;
            if let Some(line) = summary.lines().nth(1) {
                let message = format!("a summary is one line; `{}` begins another", plain(line));
                return Err(TemplateError::new(SUMMARY, (1, 1), message));
            }
        }
        Ok(())
    }

    /// Tries the text template `name` (without its ending) on the same three alerts.
    ///
    /// # Errors
    /// There is no such template, or it does not fit the detector's features and entity.
    pub fn check_text(&self, name: &str, features: &[String], entity_columns: &[String]) -> Result<(), TemplateError> {
        for alert in sample::alerts(features, entity_columns) {
            self.text(name, &alert).map_err(|error| placed(name, error))?;
        }
        Ok(())
    }

    /// One line about an alert, from a detector's template.
    ///
    /// # Errors
    /// The template is wrong, or asks for what this alert does not have.
    pub fn summary(&self, template: &str, alert: &Alert) -> Result<String, RenderError> {
        guard(SUMMARY, template)?;
        let data = context(alert);
        let text = capped(SUMMARY, |out| self.text.render_template_to_write(template, &data, out))?;
        Ok(text.trim().to_owned())
    }

    /// A few lines about an alert for a terminal, from the built-in template `alert`.
    ///
    /// # Errors
    /// The user's `alert.text.hbs` asks for what this alert does not have.
    pub fn alert_text(&self, alert: &Alert) -> Result<String, RenderError> {
        self.text("alert", alert)
    }

    /// An alert as text, from the template `name` (without its ending `.text.hbs`).
    ///
    /// # Errors
    /// There is no such template, or it asks for what this alert does not have.
    pub fn text(&self, name: &str, alert: &Alert) -> Result<String, RenderError> {
        self.registered(&self.text, &format!("{name}.text"), &context(alert))
    }

    /// An alert as a JSON document, from the template `name` (without its ending `.json.hbs`).
    ///
    /// # Errors
    /// There is no such template, or it asks for what this alert does not have.
    pub fn json(&self, name: &str, alert: &Alert) -> Result<Value, RenderError> {
        self.document(&format!("{name}.json"), &context(alert))
    }

    /// An alert as the body of a request, from the template in `file`, `NAME.json.hbs` or `NAME.text.hbs`.
    ///
    /// # Errors
    /// There is no such template, or it asks for what this alert does not have.
    pub fn body(&self, file: &str, alert: &Alert) -> Result<String, RenderError> {
        let name = file.strip_suffix(ENDING).unwrap_or(file);
        match name.rsplit_once('.') {
            Some((name, "json")) => self.json(name, alert).map(|tree| json_line(&tree)),
            Some((name, "text")) => self.text(name, alert),
            _ => Err(RenderError::Unknown(file.to_owned())),
        }
    }

    /// Tries the template of a request's body on the same three alerts, without what depends on the detector.
    ///
    /// # Errors
    /// There is no such template, or it asks for what only some alerts have.
    pub fn check_body(&self, file: &str) -> Result<(), TemplateError> {
        for alert in sample::alerts(&[], &[]) {
            self.body(file, &alert).map_err(|error| placed(file, error))?;
        }
        Ok(())
    }

    /// The document `name` with every leaf rendered.
    pub(crate) fn document(&self, name: &str, data: &Value) -> Result<Value, RenderError> {
        let document = self.documents.get(name).ok_or_else(|| RenderError::Unknown(name.to_owned()))?;
        let engines = LeafEngines { text: &self.text, literal: &self.literal };
        let tree = document.render(&engines, data).map_err(|error| from_handlebars(name, &error))?;
        capped(name, |out| serde_json::to_writer(out, &tree).map_err(|error| RenderErrorReason::from(error).into()))?;
        Ok(tree)
    }

    /// The Markdown template `name`.
    pub(crate) fn markdown(&self, name: &str, data: &Value) -> Result<String, RenderError> {
        self.registered(&self.markdown, name, data)
    }

    fn registered(&self, engine: &Handlebars<'static>, name: &str, data: &Value) -> Result<String, RenderError> {
        if !engine.has_template(name) {
            return Err(RenderError::Unknown(name.to_owned()));
        }
        capped(name, |out| engine.render_to_write(name, data, out))
    }

    fn add(&mut self, name: &str, text: &str) -> Result<(), TemplateError> {
        let known = known_names();
        let template = compile(name, text, Some(&known))?;
        match name.rsplit_once('.').map(|(_, ending)| ending) {
            Some("text") => self.text.register_template(name, template),
            Some("md") => self.markdown.register_template(name, template),
            Some("json") => drop(self.documents.insert(name.into(), Document::parse(name, text, Language::Json)?)),
            Some("yaml") => drop(self.documents.insert(name.into(), Document::parse(name, text, Language::Yaml)?)),
            _ => {
                let hint = "end the name in .text.hbs, .md.hbs, .json.hbs or .yaml.hbs";
                return Err(TemplateError::new(name, (1, 1), "the name does not say how to escape").hint(hint));
            }
        }
        Ok(())
    }
}

const SUMMARY: &str = "summary";

/// The context's names, with null for what depends on the detector.
fn known_names() -> Value {
    let [_, typical, _] = sample::alerts(&[], &[]);
    let mut known = policy::sample_context(&typical);
    for open in ["feature", "entity", "labels"] {
        known[open] = Value::Null;
    }
    known
}

/// Templates in `dir` by name, in alphabetical order.
fn files(dir: &Path) -> Result<Vec<(String, PathBuf)>, TemplateError> {
    let refuse = |message: String| TemplateError::new(".", (1, 1), message);
    let unread = |error: io::Error| refuse(format!("cannot read the directory {}: {error}", dir.display()));
    let entries = std::fs::read_dir(dir).map_err(unread)?;
    let mut found = Vec::new();
    for entry in entries {
        let path = entry.map_err(unread)?.path();
        let name = path.file_name().and_then(|name| name.to_str()).and_then(|name| name.strip_suffix(ENDING));
        if let Some(name) = name {
            found.push((name.to_owned(), path));
        }
        if found.len() > TEMPLATES_MOST {
            return Err(refuse(format!("more than {TEMPLATES_MOST} templates")));
        }
    }
    found.sort();
    Ok(found)
}

fn read(name: &str, path: &Path) -> Result<String, TemplateError> {
    use std::io::Read;
    let refuse =
        |error: io::Error| TemplateError::new(name, (1, 1), format!("cannot read {}: {error}", path.display()));
    let mut text = String::new();
    let file = std::fs::File::open(path).map_err(refuse)?;
    file.take(TEMPLATE_BYTES_MOST as u64 + 1).read_to_string(&mut text).map_err(refuse)?;
    Ok(text)
}

/// Runs `render` into a text of at most [`OUTPUT_BYTES_MOST`].
fn capped(
    name: &str,
    render: impl FnOnce(&mut Capped) -> Result<(), handlebars::RenderError>,
) -> Result<String, RenderError> {
    let mut out = Capped::default();
    let result = render(&mut out);
    if out.full {
        return Err(RenderError::TooLong { name: name.to_owned(), most: OUTPUT_BYTES_MOST });
    }
    result.map_err(|error| from_handlebars(name, &error))?;
    Ok(String::from_utf8(out.bytes).expect("templates write text"))
}

#[derive(Default)]
struct Capped {
    bytes: Vec<u8>,
    full: bool,
}

impl Write for Capped {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.bytes.len() + bytes.len() > OUTPUT_BYTES_MOST {
            self.full = true;
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn from_handlebars(name: &str, error: &handlebars::RenderError) -> RenderError {
    let at = (error.line_no.unwrap_or(1), error.column_no.unwrap_or(1));
    let message = match error.reason() {
        RenderErrorReason::MissingVariable(Some(path)) => format!("there is no `{}`", plain(path)),
        RenderErrorReason::MissingVariable(None) => "there is no such value".to_owned(),
        RenderErrorReason::HelperNotFound(helper) => format!("there is no helper `{}`", plain(helper)),
        reason => reason.to_string(),
    };
    RenderError::Template(TemplateError::new(name, at, message))
}

/// The error with a place, which is the template's beginning where it has none.
fn placed(name: &str, error: RenderError) -> TemplateError {
    match error {
        RenderError::Template(error) => error,
        other => TemplateError::new(name, (1, 1), other.to_string()),
    }
}

#[cfg(test)]
mod tests;
