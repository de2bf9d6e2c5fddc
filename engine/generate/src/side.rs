//! One end of a record as the logs describe it.

use crate::cluster::{Cluster, Peer};

/// A pod of a workload, or a place outside the cluster.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Side<'a> {
    pub(crate) name: &'a str,
    pub(crate) name_aggr: &'a str,
    pub(crate) namespace: &'a str,
    pub(crate) address: &'a str,
    /// `wep` for pods, `net` for everything outside.
    pub(crate) kind: &'static str,
    pub(crate) port: u16,
    pub(crate) labels: Option<&'a [String]>,
    pub(crate) process: &'a str,
    pub(crate) process_id: u32,
    pub(crate) service: Option<Service<'a>>,
    /// Domain of a place outside; empty where it is not known.
    pub(crate) domain: &'a str,
    /// Node of the pod.
    pub(crate) node: Option<usize>,
}

/// The service in front of a workload.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Service<'a> {
    pub(crate) name: &'a str,
    pub(crate) port: u16,
    pub(crate) port_name: &'static str,
}

impl<'a> Side<'a> {
    /// The pod of `peer` that carries `lane` at `time`.
    pub(crate) fn new(cluster: &'a Cluster, peer: Peer, lane: usize, time: i64) -> Self {
        let at = match peer {
            Peer::Outside(domain, address) => return Self { domain, ..Self::outside("pub", address, 443) },
            Peer::Workload(at) => at,
        };
        let workload = &cluster.workloads[at];
        let version = workload.at(time);
        let pod = &version.pods[lane % version.pods.len()];
        Self {
            name: &pod.name,
            name_aggr: &version.name_aggr,
            namespace: &workload.namespace,
            address: &pod.address,
            kind: "wep",
            port: workload.port,
            labels: Some(&pod.labels),
            process: workload.process,
            process_id: pod.process_id,
            service: Some(Service {
                name: workload.service,
                port: workload.service_port.0,
                port_name: workload.service_port.1,
            }),
            domain: "",
            node: Some(pod.node),
        }
    }

    /// An address that is no pod: `network` is `pub` for public addresses and `pvt` for private ones.
    pub(crate) fn outside(network: &'static str, address: &'a str, port: u16) -> Self {
        Self {
            name: "-",
            name_aggr: network,
            namespace: "-",
            address,
            kind: "net",
            port,
            labels: None,
            process: "-",
            process_id: 0,
            service: None,
            domain: "",
            node: None,
        }
    }
}
