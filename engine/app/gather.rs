//! How the rows of a log come to the features: one by one, or gathered by the server that holds them.

use std::sync::{Arc, Mutex};

use margay_core::{FeatureTable, Grouping, TimeRange};
use margay_features::{Feed, Gathered, Plan, RunError, aggregate};
use margay_source::{Flow, Log, Scan, ScanReport};
use tracing::{debug, info};

use crate::crowd::with_known;
use crate::ingest::{Pass, Ready};
use crate::state::State;

/// Ways to gather a log's rows for one pass at most; for more, to read every row once costs less.
const WAYS_MOST: usize = 8;

/// What is read of a log, and for which buckets.
pub struct Reading<'a> {
    /// The log.
    pub log: &'a Log,
    /// For whom.
    pub group: &'a [&'a Ready],
    /// Whom they know.
    pub state: &'a Arc<State>,
    /// Which rows.
    pub scan: Scan,
    /// Starts of the buckets whose features are made.
    pub buckets: TimeRange,
}

/// Features of each detector, in order, and what the source said; nothing can be used where that failed.
pub type Read = (Vec<Result<FeatureTable, RunError>>, ScanReport);

impl Reading<'_> {
    /// Reads, with as few rows as there can be.
    pub fn read(&self, pass: &Pass) -> Read {
        self.gathered(pass).unwrap_or_else(|| {
            let plans = self.group.iter().map(|ready| with_known(&ready.plan, ready, self.state));
            self.one(&plans.collect::<Vec<_>>(), None, pass)
        })
    }

    /// Groups in place of rows, where all detectors can do with them: if one needs the rows, they are read once for all.
    fn gathered(&self, pass: &Pass) -> Option<Read> {
        let name = self.log.name();
        let able = self.group.iter().map(|ready| {
            let able = ready.gathered.as_ref();
            able.map_err(|reason| debug!(log = name, detector = ready.definition.name, reason, "needs every row"))
        });
        let able = able.collect::<Result<Vec<&Gathered>, ()>>().ok()?;
        let ways = ways(&able);
        if ways.len() > WAYS_MOST {
            debug!(log = name, ways = ways.len(), most = WAYS_MOST, "too many ways to gather rows");
            return None;
        }
        let mut tables: Vec<_> = able.iter().map(|_| None).collect();
        let mut all = ScanReport::default();
        for (grouping, members) in ways {
            let plans = members.iter().map(|at| with_known(&able[*at].plan, self.group[*at], self.state));
            let plans: Vec<Plan> = plans.collect();
            let (found, scan) = self.one(&plans, Some(grouping), pass);
            if let Some(reason) = &scan.refused {
                info!(log = name, reason, "rows cannot be gathered");
                return None;
            }
            if scan.failed.is_some() {
                return Some((Vec::new(), scan));
            }
            members.into_iter().zip(found).for_each(|(at, table)| tables[at] = Some(table));
            all = ScanReport { bytes: all.bytes + scan.bytes, groups: all.groups + scan.groups, ..scan };
        }
        Some((tables.into_iter().flatten().collect(), all))
    }

    fn one(&self, plans: &[Plan], grouping: Option<Grouping>, pass: &Pass) -> Read {
        let mut columns: Vec<String> = plans.iter().flat_map(|plan| plan.columns().to_vec()).collect();
        columns.sort_unstable();
        columns.dedup();
        let scan = Scan { columns, grouping, ..self.scan.clone() };
        let scanned = Mutex::new(ScanReport::default());
        let plans: Vec<&Plan> = plans.iter().collect();
        let tables = aggregate(&plans, self.buckets, pass.limits, &|feed: &Feed| {
            let sink = |batch| if feed.push(batch) { Flow::Continue } else { Flow::Stop };
            let done = self.log.scan(&scan, &sink, &|bytes| pass.progress.advance(bytes));
            *scanned.lock().expect("one producer") = done;
        });
        (tables, scanned.into_inner().expect("one producer"))
    }
}

/// The ways in which rows are gathered, and which of the queries each is for.
fn ways(able: &[&Gathered]) -> Vec<(Grouping, Vec<usize>)> {
    let mut ways: Vec<(Grouping, Vec<usize>)> = Vec::new();
    for (at, gathered) in able.iter().enumerate() {
        match ways.iter_mut().find_map(|(way, members)| way.join(&gathered.grouping).then_some(members)) {
            Some(members) => members.push(at),
            None => ways.push((gathered.grouping.clone(), vec![at])),
        }
    }
    ways
}
