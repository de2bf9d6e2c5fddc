//! What time it is, and how long to wait.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use margay_core::Time;

use crate::wall;

/// Longest sleep at once: the wall clock may be set while we sleep.
const SLEEP_MOST: Duration = Duration::from_secs(1);

/// The clock of the daemon.
#[derive(Debug)]
pub enum Clock {
    /// The clock on the wall.
    System,
    /// Time that stands still while there is work, and jumps over every wait.
    Accelerated(AtomicI64),
}

impl Clock {
    /// A clock that starts then and jumps.
    #[must_use]
    pub fn accelerated(from: Time) -> Self {
        Self::Accelerated(AtomicI64::new(from.0))
    }

    /// Now.
    #[must_use]
    pub fn now(&self) -> Time {
        match self {
            Self::System => wall::now(),
            Self::Accelerated(now) => Time(now.load(Ordering::Relaxed)),
        }
    }

    /// Waits until it is `time`, or, on the wall, a second at most: so a clock that was set is noticed.
    pub async fn approach(&self, time: Time) {
        match self {
            Self::System => {
                let rest = u64::try_from(time.since(self.now()).0).unwrap_or(0);
                tokio::time::sleep(Duration::from_millis(rest).min(SLEEP_MOST)).await;
            }
            Self::Accelerated(now) => {
                now.fetch_max(time.0, Ordering::Relaxed);
                tokio::task::yield_now().await;
            }
        }
    }
}
