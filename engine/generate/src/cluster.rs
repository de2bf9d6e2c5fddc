//! The cluster built from the catalogue: pods with names, addresses and nodes, and the links between them.

use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use crate::catalogue::{self, End, Kind, LINKS, LinkSpec, WORKLOADS, WorkloadSpec};
use crate::clock::Interval;
use crate::random;

/// Pods of the workloads that exist once.
const SHARED_PODS: u32 = 6;
/// Pods of one copy of the shop at its nominal size.
const STACK_PODS: u32 = catalogue::PODS_NOMINAL - SHARED_PODS;
/// Workloads of one copy of the shop.
const STACK_WORKLOADS: u32 = 16;
/// The fewest pods that a cluster can have: one for each workload, two for DNS.
pub(crate) const PODS_MIN: u32 = SHARED_PODS + STACK_WORKLOADS;
/// Pods for which there is a node.
const PODS_PER_NODE: u32 = 30;

/// A pod as the logs name it.
#[derive(Clone, Debug)]
pub(crate) struct Pod {
    pub(crate) name: String,
    pub(crate) address: String,
    /// Index into [`Cluster::nodes`].
    pub(crate) node: usize,
    pub(crate) process_id: u32,
    /// Labels as `key=value`.
    pub(crate) labels: Vec<String>,
}

/// The pods of a workload from a point in time on.
#[derive(Clone, Debug)]
pub(crate) struct Version {
    /// Seconds since the epoch.
    pub(crate) from: i64,
    pub(crate) name_aggr: String,
    pub(crate) pods: Vec<Pod>,
}

/// A workload with its history of versions.
#[derive(Debug)]
pub(crate) struct Workload {
    pub(crate) namespace: String,
    pub(crate) name: &'static str,
    pub(crate) process: &'static str,
    pub(crate) port: u16,
    pub(crate) service: &'static str,
    pub(crate) service_port: (u16, &'static str),
    versions: Vec<Version>,
}

impl Workload {
    /// The version that runs at `time`.
    pub(crate) fn at(&self, time: i64) -> &Version {
        self.versions.iter().rev().find(|version| version.from <= time).unwrap_or(&self.versions[0])
    }
}

/// One end of a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Peer {
    /// Index into [`Cluster::workloads`].
    Workload(usize),
    /// Domain and address outside the cluster.
    Outside(&'static str, &'static str),
}

/// Traffic between two ends.
pub(crate) struct Link {
    /// Unique name: what its random numbers hang on.
    pub(crate) name: String,
    pub(crate) from: Peer,
    pub(crate) to: Peer,
    pub(crate) spec: &'static LinkSpec,
    /// Which pod of either end carries it.
    pub(crate) lane: usize,
}

/// Everything that runs.
pub(crate) struct Cluster {
    pub(crate) nodes: Vec<String>,
    pub(crate) workloads: Vec<Workload>,
    pub(crate) links: Vec<Link>,
}

impl Cluster {
    /// A cluster of `pods` pods that lives through `period`.
    pub(crate) fn new(seed: u64, pods: u32, period: Interval) -> Self {
        let stacks = ((pods - SHARED_PODS + STACK_PODS / 2) / STACK_PODS).max(1);
        let nodes: Vec<String> = (1..=3 + pods / PODS_PER_NODE).map(|number| format!("worker-{number}")).collect();
        let mut builder = Builder { random: random::stream(seed, &["cluster"]), period, used: vec![1; nodes.len()] };
        let mut workloads = Vec::new();
        let shared: Vec<u32> = WORKLOADS.iter().map(|spec| if is_shared(spec) { spec.replicas } else { 0 }).collect();
        for stack in 0..stacks {
            let share = (pods - SHARED_PODS) / stacks + u32::from(stack < (pods - SHARED_PODS) % stacks);
            let replicas = spread(share);
            for (at, spec) in WORKLOADS.iter().enumerate() {
                if is_shared(spec) && stack > 0 {
                    continue;
                }
                workloads.push(builder.workload(spec, stack, replicas[at].max(shared[at])));
            }
        }
        let links = links(&workloads, stacks);
        Self { nodes, workloads, links }
    }

    /// Place of a workload in [`Cluster::workloads`].
    ///
    /// # Panics
    /// The catalogue has no such workload.
    pub(crate) fn find(&self, namespace: &str, name: &str) -> usize {
        find(&self.workloads, namespace, name).expect("the catalogue has the workload")
    }
}

fn find(workloads: &[Workload], namespace: &str, name: &str) -> Option<usize> {
    workloads.iter().position(|workload| workload.namespace == namespace && workload.name == name)
}

fn is_shared(spec: &WorkloadSpec) -> bool {
    catalogue::SHARED.contains(&spec.namespace)
}

/// Replicas of each workload of a stack that has `pods` pods: at least one each, the rest by their nominal share.
fn spread(pods: u32) -> Vec<u32> {
    let surplus = pods - STACK_WORKLOADS;
    let mut replicas: Vec<u32> = WORKLOADS
        .iter()
        .map(|spec| match is_shared(spec) {
            true => 0,
            false => 1 + (spec.replicas - 1) * surplus / (STACK_PODS - STACK_WORKLOADS),
        })
        .collect();
    let left = pods - replicas.iter().sum::<u32>();
    let own: Vec<usize> = (0..WORKLOADS.len()).filter(|&at| !is_shared(&WORKLOADS[at])).collect();
    for at in own.into_iter().cycle().take(left as usize) {
        replicas[at] += 1;
    }
    replicas
}

struct Builder {
    random: ChaCha8Rng,
    period: Interval,
    /// Addresses given away on each node.
    used: Vec<u32>,
}

impl Builder {
    fn workload(&mut self, spec: &'static WorkloadSpec, stack: u32, replicas: u32) -> Workload {
        let named = |namespace: &str, name: &str| spec.namespace == namespace && spec.name == name;
        let moment = |share: f64| self.period.start + ((self.period.end - self.period.start) as f64 * share) as i64;
        let rollout =
            catalogue::ROLLOUTS.iter().find(|rollout| named(rollout.0, rollout.1)).map(|rollout| moment(rollout.2));
        let scale_out =
            catalogue::SCALE_OUTS.iter().find(|scale| named(scale.0, scale.1)).map(|scale| (moment(scale.2), scale.3));
        let mut versions = vec![self.version(spec, self.period.start, replicas)];
        if let Some(from) = rollout {
            versions.push(self.version(spec, from, replicas));
        }
        if let Some((from, more)) = scale_out {
            let mut larger = versions[0].clone();
            let hash = larger.name_aggr.trim_end_matches("-*").to_owned();
            larger.pods.extend((0..more).map(|number| self.pod(spec, &hash, replicas + number)));
            larger.from = from;
            versions.push(larger);
        }
        let namespace = if stack == 0 || is_shared(spec) {
            spec.namespace.to_owned()
        } else {
            format!("{}-{}", spec.namespace, stack + 1)
        };
        Workload {
            namespace,
            name: spec.name,
            process: spec.process,
            port: spec.port,
            service: spec.service,
            service_port: spec.service_port,
            versions,
        }
    }

    fn version(&mut self, spec: &WorkloadSpec, from: i64, replicas: u32) -> Version {
        let prefix = match spec.kind {
            Kind::StatefulSet => spec.name.to_owned(),
            Kind::Deployment => format!("{}-{}", spec.name, random::suffix(&mut self.random, 10)),
        };
        let pods = (0..replicas).map(|number| self.pod(spec, &prefix, number)).collect();
        Version { from, name_aggr: format!("{prefix}-*"), pods }
    }

    fn pod(&mut self, spec: &WorkloadSpec, prefix: &str, number: u32) -> Pod {
        let node = self.random.random_range(0..self.used.len());
        self.used[node] += 1;
        let mut labels = vec![format!("app={}", spec.name), format!("app.kubernetes.io/part-of={}", spec.namespace)];
        let name = match spec.kind {
            Kind::StatefulSet => {
                labels.push(format!("statefulset.kubernetes.io/pod-name={prefix}-{number}"));
                format!("{prefix}-{number}")
            }
            Kind::Deployment => {
                let hash = prefix.rsplit('-').next().unwrap_or(prefix);
                labels.push(format!("pod-template-hash={hash}"));
                format!("{prefix}-{}", random::suffix(&mut self.random, 5))
            }
        };
        let address = format!("10.{}.{}.{}", 244 + self.used[node] / 250, node, self.used[node] % 250);
        Pod { name, address, node, process_id: self.random.random_range(1200..60_000), labels }
    }
}

fn links(workloads: &[Workload], stacks: u32) -> Vec<Link> {
    let mut links = Vec::new();
    for stack in 0..stacks {
        for (lane, spec) in LINKS.iter().enumerate() {
            let (Some((from, from_own)), Some((to, to_own))) =
                (resolve(workloads, spec.from, stack), resolve(workloads, spec.to, stack))
            else {
                continue;
            };
            // Links among shared workloads and the outside exist once.
            if from_own || to_own || stack == 0 {
                links.push(Link { name: format!("{stack}/{lane}"), from, to, spec, lane });
            }
        }
    }
    links
}

/// The peer that an end means in a stack, and whether it belongs to that stack alone.
fn resolve(workloads: &[Workload], end: End, stack: u32) -> Option<(Peer, bool)> {
    match end {
        End::Out(domain, address) => Some((Peer::Outside(domain, address), false)),
        End::In(namespace, name) if catalogue::SHARED.contains(&namespace) => {
            find(workloads, namespace, name).map(|at| (Peer::Workload(at), false))
        }
        End::In(namespace, name) if stack == 0 => find(workloads, namespace, name).map(|at| (Peer::Workload(at), true)),
        End::In(namespace, name) => {
            find(workloads, &format!("{namespace}-{}", stack + 1), name).map(|at| (Peer::Workload(at), true))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PERIOD: Interval = Interval { start: 0, end: 14 * 86_400 };

    fn pods(cluster: &Cluster) -> u32 {
        cluster.workloads.iter().map(|workload| workload.at(0).pods.len() as u32).sum()
    }

    #[test]
    fn a_cluster_has_exactly_the_pods_that_were_asked_for() {
        for count in [PODS_MIN, 30, 60, 100, 240, 601] {
            assert_eq!(pods(&Cluster::new(1, count, PERIOD)), count, "{count}");
        }
    }

    #[test]
    fn a_larger_cluster_has_more_workloads_not_only_more_replicas() {
        assert_eq!(Cluster::new(1, 60, PERIOD).workloads.len(), WORKLOADS.len());
        assert_eq!(Cluster::new(1, 240, PERIOD).workloads.len(), WORKLOADS.len() + 3 * STACK_WORKLOADS as usize);
    }

    #[test]
    fn every_link_of_the_catalogue_finds_its_ends() {
        assert_eq!(Cluster::new(1, 60, PERIOD).links.len(), LINKS.len());
    }

    #[test]
    fn a_rollout_changes_the_common_name_and_a_scale_out_does_not() {
        let cluster = Cluster::new(1, 60, PERIOD);
        let catalog = &cluster.workloads[cluster.find("shop", "catalog")];
        assert_ne!(catalog.at(0).name_aggr, catalog.at(PERIOD.end).name_aggr);
        let web = &cluster.workloads[cluster.find("shop", "web")];
        assert_eq!(web.at(0).name_aggr, web.at(PERIOD.end).name_aggr);
        assert_eq!(web.at(0).pods.len() + 3, web.at(PERIOD.end).pods.len());
    }

    #[test]
    fn the_nominal_size_is_that_of_the_catalogue() {
        assert_eq!(WORKLOADS.iter().map(|spec| spec.replicas).sum::<u32>(), catalogue::PODS_NOMINAL);
    }
}
