//! Progress on standard error, only where somebody watches.

use std::io::IsTerminal;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// A bar that counts bytes or steps; silent where standard error is no terminal.
pub struct Progress {
    bar: ProgressBar,
}

impl Progress {
    /// Counts bytes up to `total`, or without an end where it is unknown.
    #[must_use]
    pub fn bytes(what: &str, total: Option<u64>) -> Self {
        let style = if total.is_some() {
            "{msg:>12} {bar:30} {bytes}/{total_bytes} {bytes_per_sec} {eta}"
        } else {
            "{msg:>12} {spinner} {bytes} {bytes_per_sec}"
        };
        Self::with(what, total, style)
    }

    /// Counts steps up to `total`.
    #[must_use]
    pub fn steps(what: &str, total: u64) -> Self {
        Self::with(what, Some(total), "{msg:>12} {bar:30} {pos}/{len} {eta}")
    }

    fn with(what: &str, total: Option<u64>, style: &str) -> Self {
        let target =
            if std::io::stderr().is_terminal() { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let bar = ProgressBar::with_draw_target(total, target);
        bar.set_style(ProgressStyle::with_template(style).expect("a fixed template"));
        bar.set_message(what.to_owned());
        Self { bar }
    }

    /// Goes on by `amount`.
    pub fn advance(&self, amount: u64) {
        self.bar.inc(amount);
    }

    /// Goes to `position`.
    pub fn reach(&self, position: u64) {
        self.bar.set_position(position);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
