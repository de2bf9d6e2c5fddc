//! Why a template was refused or could not be rendered.

/// What is wrong in a template, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{name}:{line}:{column}: {message}")]
pub struct TemplateError {
    /// Name of the template, such as `alert.text`, or `summary`.
    pub name: String,
    /// Line in the template, from 1.
    pub line: usize,
    /// Column in the line, from 1.
    pub column: usize,
    /// What is wrong.
    pub message: String,
    /// What to write instead.
    pub hint: Option<String>,
}

impl TemplateError {
    pub(crate) fn new(name: &str, (line, column): (usize, usize), message: impl Into<String>) -> Self {
        Self { name: name.to_owned(), line, column, message: message.into(), hint: None }
    }

    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

/// Why a template could not be rendered.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RenderError {
    /// There is no template of this name.
    #[error("there is no template `{0}`")]
    Unknown(String),
    /// The template is wrong, or asks for something that this alert does not have.
    #[error("the template is wrong")]
    Template(#[from] TemplateError),
    /// The text is longer than it may be.
    #[error("`{name}` renders more than {most} bytes")]
    TooLong {
        /// The template.
        name: String,
        /// The limit.
        most: usize,
    },
}
