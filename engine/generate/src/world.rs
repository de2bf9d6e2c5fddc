//! What all logs of one run have in common.

use crate::clock::Interval;
use crate::cluster::Cluster;
use crate::plan::Plan;

/// The cluster, its incidents and the time that is written about.
#[derive(Clone, Copy)]
pub(crate) struct World<'a> {
    pub(crate) seed: u64,
    pub(crate) cluster: &'a Cluster,
    pub(crate) plan: &'a Plan,
    pub(crate) period: Interval,
}
