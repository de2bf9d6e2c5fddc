//! What the daemon says of itself, for whoever asks: written by the cycles, read by the answers.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use margay_core::Alert;

use crate::overview::Scene;
use crate::web::metrics::Meters;

/// The configuration in use, what was counted, and whether a cycle has ended.
#[derive(Default)]
pub struct Board {
    scene: RwLock<Option<Arc<Scene>>>,
    is_ready: AtomicBool,
    pub(super) meters: Meters,
}

impl Board {
    /// Shows this configuration from now on.
    pub fn show(&self, scene: Scene) {
        *self.scene.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(scene));
    }

    /// A cycle ended well and said this.
    pub fn cycle_ended(&self, alerts: &[Alert]) {
        self.meters.cycle_ended(alerts);
        self.is_ready.store(true, Ordering::Relaxed);
    }

    /// A cycle failed as a whole.
    pub fn cycle_failed(&self) {
        self.meters.cycle_failed();
    }

    /// A configuration was taken over, or refused.
    pub fn reloaded(&self, is_in_use: bool) {
        self.meters.reloaded(is_in_use);
    }

    /// The configuration in use; nothing while this daemon stands by.
    pub(super) fn scene(&self) -> Option<Arc<Scene>> {
        self.scene.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether a cycle has ended well.
    pub(super) fn is_ready(&self) -> bool {
        self.is_ready.load(Ordering::Relaxed)
    }
}
