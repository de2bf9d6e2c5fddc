//! What a user declares about a log.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

/// A log: its name, its files and how its rows are to be understood.
#[derive(Clone, Debug, PartialEq)]
pub struct LogSpec {
    /// Name in the configuration; only used in messages.
    pub name: String,
    /// Folder that relative patterns start from.
    pub root: PathBuf,
    /// Glob patterns of the files.
    pub files: Vec<String>,
    /// How the rows are to be understood.
    pub shape: Shape,
}

/// How the rows of a log are to be understood.
#[derive(Clone, Debug, PartialEq)]
pub enum Shape {
    /// A known kind of log with known columns, whose values are normalised.
    Preset(Preset),
    /// Any other log: its time field is declared, its other columns are inferred.
    Declared {
        /// Field with the time of a row, or the start of what it spans.
        time_field: String,
        /// Field with the end of what a row spans, exclusive.
        end_field: Option<String>,
        /// How both are written.
        format: TimeFormat,
    },
}

/// Logs that are known by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Preset {
    /// Calico's flow log.
    CalicoFlows,
    /// Calico's DNS log.
    CalicoDns,
    /// Calico's L7 log.
    CalicoL7,
}

impl Preset {
    /// All presets.
    pub const ALL: [Self; 3] = [Self::CalicoFlows, Self::CalicoDns, Self::CalicoL7];

    /// The name in the configuration.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::CalicoFlows => "calico-flows",
            Self::CalicoDns => "calico-dns",
            Self::CalicoL7 => "calico-l7",
        }
    }
}

impl fmt::Display for Preset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Preset {
    type Err = UnknownName;

    fn from_str(text: &str) -> Result<Self, UnknownName> {
        Self::ALL
            .into_iter()
            .find(|preset| preset.name() == text)
            .ok_or_else(|| UnknownName { name: text.to_owned(), known: "calico-flows, calico-dns or calico-l7" })
    }
}

/// How a time is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TimeFormat {
    /// Text such as `2026-11-24T07:00:00Z`; without an offset it is UTC.
    Rfc3339,
    /// Seconds since 1970, whole or not, as a number or as text.
    EpochS,
    /// Milliseconds since 1970, as a number or as text.
    EpochMs,
    /// Any of them: a number's unit (s, ms, µs, ns) follows from its size.
    #[default]
    Auto,
}

impl FromStr for TimeFormat {
    type Err = UnknownName;

    fn from_str(text: &str) -> Result<Self, UnknownName> {
        match text {
            "rfc3339" => Ok(Self::Rfc3339),
            "epoch_s" => Ok(Self::EpochS),
            "epoch_ms" => Ok(Self::EpochMs),
            "auto" => Ok(Self::Auto),
            _ => Err(UnknownName { name: text.to_owned(), known: "rfc3339, epoch_s, epoch_ms or auto" }),
        }
    }
}

/// A preset or a time format that does not exist.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{name}` is not {known}")]
pub struct UnknownName {
    /// What was given.
    pub name: String,
    /// What there is.
    pub known: &'static str,
}
