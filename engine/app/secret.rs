//! Secrets: what the configuration only names is read from files and the environment here, and nowhere else.

use std::path::{Path, PathBuf};

/// Why a secret is not to be had.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// The file cannot be read.
    #[error("cannot read the {what} in {path}")]
    File {
        /// What the secret is.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The environment does not have it.
    #[error("the environment has no {what}: {variable} is not set")]
    Environment {
        /// What the secret is.
        what: &'static str,
        /// The variable.
        variable: String,
    },
    /// It is there and has no text.
    #[error("the {what} is empty")]
    Empty {
        /// What the secret is.
        what: &'static str,
    },
}

/// The text of a secret without space around it, from a file relative to `root` or else from the environment;
/// `None` where neither is named.
///
/// # Errors
/// What is named is not there, or empty.
pub fn secret(
    what: &'static str,
    root: &Path,
    file: Option<&Path>,
    variable: Option<&str>,
) -> Result<Option<String>, SecretError> {
    let text = match (file, variable) {
        (Some(file), _) => {
            let path = root.join(file);
            std::fs::read_to_string(&path).map_err(|source| SecretError::File { what, path, source })?
        }
        (None, Some(variable)) => {
            std::env::var(variable).map_err(|_| SecretError::Environment { what, variable: variable.to_owned() })?
        }
        (None, None) => return Ok(None),
    };
    match text.trim() {
        "" => Err(SecretError::Empty { what }),
        text => Ok(Some(text.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_comes_from_a_file_without_its_line_end_and_is_never_empty() {
        let dir = tempfile::tempdir().expect("folder");
        std::fs::write(dir.path().join("key"), "abc\n").expect("write");
        std::fs::write(dir.path().join("none"), "\n").expect("write");
        let read = |name: &str| secret("API key", dir.path(), Some(Path::new(name)), None);
        assert_eq!(read("key").expect("read"), Some("abc".to_owned()));
        assert!(matches!(read("none"), Err(SecretError::Empty { .. })));
        assert!(matches!(read("absent"), Err(SecretError::File { .. })));
        assert!(matches!(secret("key", dir.path(), None, None), Ok(None)));
        let unset = secret("key", dir.path(), None, Some("MARGAY_NO_SUCH_VARIABLE"));
        assert!(matches!(unset, Err(SecretError::Environment { .. })));
    }
}
