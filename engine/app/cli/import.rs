//! Arguments of `import`.

use std::path::PathBuf;

use clap::{Args, ValueEnum, ValueHint};

/// Arguments of `import`.
#[derive(Debug, Args)]
pub struct ImportArgs {
    /// The tool whose rules they are.
    #[arg(value_enum)]
    pub format: ImportFormat,
    /// The rules.
    #[arg(required = true, value_hint = ValueHint::FilePath)]
    pub files: Vec<PathBuf>,
    /// Write each detector to a file of this folder; without it, they are printed.
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub out: Option<PathBuf>,
    /// The log that all rules are about; without it, the one with the rule's data set or index.
    #[arg(long, value_name = "NAME")]
    pub log_name: Option<String>,
}

/// Tools whose rules can be converted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ImportFormat {
    /// Calico's GlobalAlert and GlobalAlertTemplate.
    Globalalert,
    /// ElastAlert and ElastAlert 2.
    Elastalert,
}
