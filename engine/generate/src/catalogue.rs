//! What runs in the cluster and who talks to whom: the numbers to change for another cluster.

use crate::rhythm::Rhythm;
use crate::rhythm::Rhythm::{Flat, Nightly, Office, Shop};

/// How Kubernetes names the pods of a workload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Pods of a ReplicaSet: their common name changes with every rollout.
    Deployment,
    /// Numbered pods.
    StatefulSet,
}

/// A workload and the service in front of it.
pub(crate) struct WorkloadSpec {
    pub(crate) namespace: &'static str,
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    /// Pods of the workload in a cluster of [`PODS_NOMINAL`].
    pub(crate) replicas: u32,
    /// Program that runs in its pods.
    pub(crate) process: &'static str,
    /// Port on which the pods listen.
    pub(crate) port: u16,
    /// Name of the service in front of them.
    pub(crate) service: &'static str,
    /// Port of the service, and its name.
    pub(crate) service_port: (u16, &'static str),
}

/// Total of [`WorkloadSpec::replicas`].
pub(crate) const PODS_NOMINAL: u32 = 60;

const fn deployment(
    name: (&'static str, &'static str),
    replicas: u32,
    process: &'static str,
    port: u16,
) -> WorkloadSpec {
    WorkloadSpec {
        namespace: name.0,
        name: name.1,
        kind: Kind::Deployment,
        replicas,
        process,
        port,
        service: name.1,
        service_port: (80, "http"),
    }
}

const fn stateful(
    name: (&'static str, &'static str),
    replicas: u32,
    process: &'static str,
    port: (u16, &'static str),
) -> WorkloadSpec {
    WorkloadSpec {
        namespace: name.0,
        name: name.1,
        kind: Kind::StatefulSet,
        replicas,
        process,
        port: port.0,
        service: name.1,
        service_port: port,
    }
}

/// Namespaces that exist once however large the cluster is.
pub(crate) const SHARED: [&str; 2] = ["monitoring", "kube-system"];

/// Every workload.
pub(crate) const WORKLOADS: [WorkloadSpec; 21] = [
    deployment(("shop", "gateway"), 4, "/usr/sbin/nginx", 8443),
    deployment(("shop", "web"), 7, "/usr/local/bin/node", 3000),
    deployment(("shop", "cart"), 4, "/app/cart", 8080),
    deployment(("shop", "catalog"), 5, "/app/catalog", 8080),
    deployment(("shop", "search"), 3, "/app/search", 8080),
    deployment(("shop", "recommend"), 3, "/usr/bin/python3", 8080),
    deployment(("shop", "checkout"), 3, "/app/checkout", 8080),
    deployment(("payments", "api"), 4, "/app/api", 8080),
    deployment(("payments", "ledger"), 3, "/usr/bin/java", 8080),
    deployment(("payments", "fraud"), 3, "/usr/bin/python3", 8080),
    deployment(("payments", "notify"), 2, "/app/notify", 8080),
    stateful(("data", "postgres"), 3, "/usr/lib/postgresql/17/bin/postgres", (5432, "postgres")),
    stateful(("data", "redis"), 3, "/usr/local/bin/redis-server", (6379, "redis")),
    stateful(("data", "kafka"), 3, "/usr/bin/java", (9092, "kafka")),
    deployment(("data", "etl"), 3, "/usr/bin/python3", 8080),
    stateful(("data", "backup"), 1, "/usr/bin/pgbackrest", (8432, "backup")),
    stateful(("monitoring", "prometheus"), 1, "/bin/prometheus", (9090, "http")),
    deployment(("monitoring", "grafana"), 1, "/usr/share/grafana/bin/grafana", 3000),
    stateful(("monitoring", "alertmanager"), 1, "/bin/alertmanager", (9093, "http")),
    WorkloadSpec {
        service: "kube-dns",
        service_port: (53, "dns"),
        ..deployment(("kube-system", "coredns"), 2, "/coredns", 53)
    },
    deployment(("kube-system", "metrics-server"), 1, "/metrics-server", 10250),
];

/// The workload that answers DNS: namespace and name.
pub(crate) const DNS_SERVER: (&str, &str) = ("kube-system", "coredns");

/// New versions: the workload, and when in the period it is rolled out.
pub(crate) const ROLLOUTS: [(&str, &str, f64); 2] = [("shop", "catalog", 0.33), ("shop", "cart", 0.71)];

/// More replicas: the workload, when in the period, and how many are added.
pub(crate) const SCALE_OUTS: [(&str, &str, f64, u32); 1] = [("shop", "web", 0.27, 3)];

/// One end of a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// Namespace and name of a workload.
    In(&'static str, &'static str),
    /// A place outside the cluster: domain (empty for clients) and address.
    Out(&'static str, &'static str),
}

/// What an HTTP link adds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Http {
    pub(crate) method: &'static str,
    pub(crate) url: &'static str,
    /// Usual time to an answer in milliseconds.
    pub(crate) latency_ms: f64,
    /// Share of answers with status 404.
    pub(crate) not_found_ratio: f64,
}

/// Traffic from one workload to another.
pub(crate) struct LinkSpec {
    pub(crate) from: End,
    pub(crate) to: End,
    pub(crate) rhythm: Rhythm,
    /// Requests a minute at the peak.
    pub(crate) rate: f64,
    /// Bytes of a request and of its answer.
    pub(crate) bytes: (f64, f64),
    pub(crate) http: Option<Http>,
}

const CLIENTS: End = End::Out("", "198.51.100.7");
const STAFF: End = End::Out("", "192.0.2.40");
const GATEWAY: End = End::In("shop", "gateway");
const WEB: End = End::In("shop", "web");
const CART: End = End::In("shop", "cart");
const CATALOG: End = End::In("shop", "catalog");
const SEARCH: End = End::In("shop", "search");
const RECOMMEND: End = End::In("shop", "recommend");
const CHECKOUT: End = End::In("shop", "checkout");
const API: End = End::In("payments", "api");
const LEDGER: End = End::In("payments", "ledger");
const FRAUD: End = End::In("payments", "fraud");
const NOTIFY: End = End::In("payments", "notify");
const POSTGRES: End = End::In("data", "postgres");
const REDIS: End = End::In("data", "redis");
const KAFKA: End = End::In("data", "kafka");
const ETL: End = End::In("data", "etl");
const BACKUP: End = End::In("data", "backup");
const PROMETHEUS: End = End::In("monitoring", "prometheus");
const GRAFANA: End = End::In("monitoring", "grafana");
const ALERTMANAGER: End = End::In("monitoring", "alertmanager");
const COREDNS: End = End::In("kube-system", "coredns");
const METRICS: End = End::In("kube-system", "metrics-server");

const fn link(ends: (End, End), rhythm: Rhythm, rate: f64, bytes: (f64, f64)) -> LinkSpec {
    LinkSpec { from: ends.0, to: ends.1, rhythm, rate, bytes, http: None }
}

const fn http(ends: (End, End), rhythm: Rhythm, rate: f64, bytes: (f64, f64), http: Http) -> LinkSpec {
    LinkSpec { from: ends.0, to: ends.1, rhythm, rate, bytes, http: Some(http) }
}

const fn call(method: &'static str, url: &'static str, latency_ms: f64, not_found_ratio: f64) -> Http {
    Http { method, url, latency_ms, not_found_ratio }
}

/// Bytes of a scrape: Prometheus asks little and reads much.
const SCRAPE: (f64, f64) = (400.0, 60_000.0);
/// Scrapes a minute.
const SCRAPES: f64 = 4.0;

/// Every link but those to DNS, which each workload has, and those of incidents.
pub(crate) const LINKS: [LinkSpec; 43] = [
    http((CLIENTS, GATEWAY), Shop, 2400.0, (900.0, 14_000.0), call("GET", "/", 45.0, 0.012)),
    http((GATEWAY, WEB), Shop, 2300.0, (1000.0, 13_000.0), call("GET", "/home", 38.0, 0.006)),
    http((GATEWAY, CHECKOUT), Shop, 90.0, (2500.0, 1200.0), call("POST", "/checkout", 130.0, 0.0)),
    http((WEB, CART), Shop, 700.0, (600.0, 1800.0), call("GET", "/cart", 12.0, 0.002)),
    http((WEB, CATALOG), Shop, 1500.0, (400.0, 6000.0), call("GET", "/products", 18.0, 0.008)),
    http((WEB, SEARCH), Shop, 420.0, (500.0, 9000.0), call("GET", "/search", 60.0, 0.002)),
    http((WEB, RECOMMEND), Shop, 600.0, (500.0, 3000.0), call("GET", "/recommendations", 35.0, 0.0)),
    http((SEARCH, CATALOG), Shop, 60.0, (400.0, 8000.0), call("GET", "/products", 20.0, 0.004)),
    http((CHECKOUT, API), Shop, 92.0, (2200.0, 900.0), call("POST", "/v1/charges", 150.0, 0.0)),
    link((CHECKOUT, KAFKA), Shop, 90.0, (3000.0, 120.0)),
    link((CHECKOUT, POSTGRES), Shop, 180.0, (700.0, 1600.0)),
    link((CART, REDIS), Shop, 900.0, (350.0, 1500.0)),
    link((CATALOG, POSTGRES), Shop, 700.0, (300.0, 5000.0)),
    link((CATALOG, REDIS), Shop, 1500.0, (120.0, 3500.0)),
    link((RECOMMEND, REDIS), Shop, 400.0, (150.0, 2500.0)),
    http((API, FRAUD), Shop, 95.0, (1800.0, 400.0), call("POST", "/score", 42.0, 0.0)),
    http((API, LEDGER), Shop, 95.0, (1500.0, 500.0), call("POST", "/entries", 25.0, 0.0)),
    link((API, End::Out("api.stripe.com", "203.0.113.20")), Shop, 90.0, (3000.0, 2500.0)),
    link((LEDGER, POSTGRES), Shop, 200.0, (900.0, 700.0)),
    link((LEDGER, KAFKA), Shop, 95.0, (1200.0, 120.0)),
    link((FRAUD, REDIS), Shop, 300.0, (200.0, 1800.0)),
    link((NOTIFY, KAFKA), Shop, 6.0, (200.0, 2500.0)),
    link((NOTIFY, End::Out("smtp.sendgrid.net", "203.0.113.61")), Shop, 1.5, (18_000.0, 900.0)),
    link((ETL, KAFKA), Flat, 60.0, (500.0, 30_000.0)),
    link((ETL, POSTGRES), Flat, 40.0, (12_000.0, 500.0)),
    link((BACKUP, POSTGRES), Nightly, 220.0, (500.0, 800_000.0)),
    link((BACKUP, End::Out("backups.s3.amazonaws.com", "203.0.113.90")), Nightly, 180.0, (780_000.0, 300.0)),
    link((PROMETHEUS, GATEWAY), Flat, SCRAPES, SCRAPE),
    link((PROMETHEUS, WEB), Flat, SCRAPES, SCRAPE),
    link((PROMETHEUS, CART), Flat, SCRAPES, SCRAPE),
    link((PROMETHEUS, CATALOG), Flat, SCRAPES, SCRAPE),
    link((PROMETHEUS, API), Flat, SCRAPES, SCRAPE),
    link((PROMETHEUS, LEDGER), Flat, SCRAPES, SCRAPE),
    link((PROMETHEUS, POSTGRES), Flat, SCRAPES, SCRAPE),
    link((PROMETHEUS, REDIS), Flat, SCRAPES, SCRAPE),
    link((PROMETHEUS, KAFKA), Flat, SCRAPES, SCRAPE),
    link((PROMETHEUS, COREDNS), Flat, SCRAPES, SCRAPE),
    link((PROMETHEUS, METRICS), Flat, SCRAPES, SCRAPE),
    link((PROMETHEUS, ALERTMANAGER), Flat, 1.0, (600.0, 200.0)),
    link((ALERTMANAGER, End::Out("events.pagerduty.com", "203.0.113.77")), Flat, 0.05, (2500.0, 600.0)),
    http((GRAFANA, PROMETHEUS), Office, 30.0, (900.0, 25_000.0), call("GET", "/api/v1/query", 32.0, 0.0)),
    http((STAFF, GRAFANA), Office, 24.0, (1500.0, 60_000.0), call("GET", "/d/overview", 55.0, 0.01)),
    link((GRAFANA, End::Out("grafana.com", "203.0.113.14")), Flat, 0.1, (900.0, 4000.0)),
];
