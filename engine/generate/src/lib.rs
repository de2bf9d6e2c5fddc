//! Seeded Calico logs of a small cluster with planted, listed incidents.
//!
//! The same [`Options`] give the same bytes. A cluster is a shop with payments, data stores,
//! monitoring and DNS (see `catalogue.rs`); larger ones hold several shops. Traffic follows the
//! hours and the week, is over-dispersed and drifts; two workloads are rolled out and one is scaled
//! out on the way, and a backup runs at 02:00. Documents look as Calico Enterprise writes them at
//! flow aggregation level 1: both ends report, intervals of about 300 s follow no grid, what is not
//! known is `-` or null. To keep a fortnight small, each link between two workloads is carried by
//! one pod at either end.

pub mod cases;
mod catalogue;
mod clock;
mod cluster;
mod dns;
mod flow;
mod flows;
mod kind;
mod l7;
mod output;
mod plan;
mod probe;
mod random;
mod rhythm;
mod side;
mod world;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::thread;

use margay_core::{Period, Time};

use crate::clock::Interval;
use crate::cluster::Cluster;
use crate::output::{Log, Progress};
use crate::plan::Plan;
use crate::world::World;

pub use crate::kind::{IncidentKind, UnknownKind};
pub use crate::plan::Planted;

/// Days that a run may cover.
pub const DAYS_MAX: u32 = 400;
/// Pods that a cluster may have.
pub const PODS_MAX: u32 = 6000;
/// Pods that a cluster must have: one for each workload.
pub const PODS_MIN: u32 = cluster::PODS_MIN;

/// What to write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// What all random numbers hang on.
    pub seed: u64,
    /// Length of the logs in days, 1 to [`DAYS_MAX`].
    pub days: u32,
    /// Pods at the start, [`PODS_MIN`] to [`PODS_MAX`].
    pub pods: u32,
    /// Where the logs end; rounded down to a whole minute.
    pub end: Time,
    /// Incidents to plant, spread over the second half in this order.
    pub incidents: Vec<IncidentKind>,
}

/// Why no logs were written.
#[derive(Debug, thiserror::Error)]
pub enum GenerateError {
    /// Too few or too many days.
    #[error("{days} days cannot be written, only 1 to {DAYS_MAX}")]
    Days {
        /// What was asked for.
        days: u32,
    },
    /// Too few or too many pods.
    #[error("a cluster of {pods} pods cannot be written, only of {PODS_MIN} to {PODS_MAX}")]
    Pods {
        /// What was asked for.
        pods: u32,
    },
    /// A file or the directory cannot be written.
    #[error("cannot write {path}", path = path.display())]
    Write {
        /// The file or directory.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
}

/// Writes `flows.ndjson.gz`, `dns.ndjson.gz`, `l7.ndjson.gz` and `incidents.json` into `out`, which
/// is made if need be, and returns the incidents. `progress` is told the share that is done, 0 to 1.
///
/// # Errors
/// The options are out of range, or a file cannot be written.
pub fn write(options: &Options, out: &Path, progress: &dyn Fn(f64)) -> Result<Vec<Planted>, GenerateError> {
    if !(1..=DAYS_MAX).contains(&options.days) {
        return Err(GenerateError::Days { days: options.days });
    }
    if !(PODS_MIN..=PODS_MAX).contains(&options.pods) {
        return Err(GenerateError::Pods { pods: options.pods });
    }
    let end = options.end.floor(Period::MINUTE);
    let start = end.minus(Period::DAY.times(i64::from(options.days)));
    let period = Interval { start: start.0 / 1000, end: end.0 / 1000 };
    let cluster = Cluster::new(options.seed, options.pods, period);
    let plan = Plan::new(options.seed, &options.incidents, &cluster, period);
    let planted = plan.planted(&cluster);
    fs::create_dir_all(out).map_err(|source| GenerateError::Write { path: out.to_owned(), source })?;
    write_logs(World { seed: options.seed, cluster: &cluster, plan: &plan, period }, out, progress)?;
    write_incidents(&planted, &out.join("incidents.json"))?;
    progress(1.0);
    Ok(planted)
}

/// The three logs at the same time: none depends on another.
fn write_logs(world: World<'_>, out: &Path, progress: &dyn Fn(f64)) -> Result<(), GenerateError> {
    let (sender, receiver) = mpsc::channel();
    let tell = |weight| Progress::new(sender.clone(), weight);
    let (of_flows, of_dns, of_l7) = (tell(0.8), tell(0.12), tell(0.08));
    drop(sender);
    thread::scope(|scope| {
        let writers = [
            scope.spawn(move || {
                let mut log = Log::create(out, "flows.ndjson.gz")?;
                flows::write(world, &mut log, &of_flows)?;
                log.finish().map(drop)
            }),
            scope.spawn(move || {
                let mut log = Log::create(out, "dns.ndjson.gz")?;
                dns::write(world, &mut log, &of_dns)?;
                log.finish().map(drop)
            }),
            scope.spawn(move || {
                let mut log = Log::create(out, "l7.ndjson.gz")?;
                l7::write(world, &mut log, &of_l7)?;
                log.finish().map(drop)
            }),
        ];
        let mut done = 0.0;
        for step in receiver {
            done += step;
            progress(done);
        }
        writers.into_iter().try_for_each(|writer| writer.join().expect("a writer of logs does not panic"))
    })
}

fn write_incidents(planted: &[Planted], path: &Path) -> Result<(), GenerateError> {
    let mut text = serde_json::to_string_pretty(planted).expect("texts and times are JSON");
    text.push('\n');
    fs::write(path, text).map_err(|source| GenerateError::Write { path: path.to_owned(), source })
}

#[cfg(test)]
mod tests;
