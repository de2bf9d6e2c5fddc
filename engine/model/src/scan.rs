//! Port scans and sweeps: too many first contacts, above all failing ones.
//!
//! Three tests, of which the strongest one counts. *Failing first contacts*: the sequential test of Jung, Paxson, Berger and
//! Balakrishnan, "Fast portscan detection using sequential hypothesis testing" (IEEE S&P 2004): every member that
//! the entity did not meet within the memory moves a walk up when it failed and down when it answered; the walk is
//! kept at or above zero (Page's CUSUM) and forgets half in six hours, so that a scan of one port a minute adds up
//! and years of good behaviour do not buy a scan. By Wald's inequality a walk at height h is reached by chance with
//! a probability of at most e^-h. *New members*: their number in a bucket against what this entity and its peers
//! meet at its age, a negative binomial distribution calibrated by the tail of all entities. *Failing members*: their
//! number in a bucket, met before or not, unless they answered in the past, against what usually fails, so that a second
//! scan of the same ports is seen and an outage is not.

use margay_core::{Period, Score, ScoreState, Time};
use serde::{Deserialize, Serialize};

use crate::distribution::{count_score, tie};
use crate::edges::Edges;
use crate::level::buckets_a_day;
use crate::panel::{Judge, Setting, slot};
use crate::pool::Moments;
use crate::spec::{Kind, Observation};
use crate::tails::Tails;
use crate::verdict::score;

/// Share of first contacts that fail during a scan.
const SCAN_FAILS: f64 = 0.8;
/// Share of first contacts that fail otherwise, and how many contacts that belief is worth.
const USUAL_FAILS: (f64, f64) = (0.2, 10.0);
/// Range of the share that an entity's own past may teach.
const OWN_FAILS: (f64, f64) = (0.05, 0.5);
/// Hours after which the walk has half come down.
const WALK_HALF_LIFE_HOURS: f64 = 6.0;
/// Below this height a walk came to nothing.
const WALK_OVER: f64 = 0.5;
/// The walk goes no higher, so that it comes down within hours.
const WALK_MOST: f64 = 40.0;
/// First contacts by which an entity's own share of failures is known; older ones are forgotten.
const CONTACTS_MOST: f64 = 500.0;
/// New members of a bucket before anything is known, by age: mean and how many buckets that is worth.
const USUAL_NEWS: [(f64, f64); 4] = [(10.0, 20.0), (3.0, 20.0), (1.0, 20.0), (0.3, 40.0)];
/// Extra variance of the number of new members: they come in bursts.
const NEWS_DISPERSION: f64 = 2.0;
/// Failing members of a bucket before anything is known, how many buckets that is worth, and their extra variance.
const USUAL_FAILING: (f64, f64, f64) = (0.2, 20.0, 2.0);
/// Days after which half of an entity's own pace is forgotten.
const OWN_HALF_LIFE_DAYS: f64 = 3.0;

/// When members are a scan.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Scan {
    /// Failing first contacts below this number are never a scan.
    pub failed: f64,
    /// New members of one bucket below this number are never a scan, unless they fail.
    pub any: f64,
    /// New members of one bucket from this number on are a scan, whatever was learnt.
    pub sure: f64,
    /// A member that was not met for so long is new again.
    pub memory: Period,
}

impl Default for Scan {
    fn default() -> Self {
        Self { failed: 8.0, any: 100.0, sure: 500.0, memory: Period::WEEK }
    }
}

/// What is known of all entities.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Scans {
    ledgers: Vec<Ledger>,
    /// New members of a bucket by age of the entity.
    news: [Moments; 4],
    tails: Tails,
    failing_tails: Tails,
}

impl Default for Scans {
    fn default() -> Self {
        let (ledgers, news) = (Vec::new(), Default::default());
        Self { ledgers, news, tails: Tails::default(), failing_tails: Tails::known() }
    }
}

/// What is known of one entity.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Ledger {
    edges: Edges,
    /// Those that answered: when they are down, that is an outage and no scan.
    friends: Edges,
    /// Height of the walk, and failing contacts on the way, as of `walked`.
    walk: f64,
    failures: f64,
    walked: Option<Time>,
    /// First contacts that failed, and all, of walks that came to nothing.
    failed: f64,
    contacts: f64,
    /// The same of the present walk: were they learnt at once, a scan would make itself usual.
    pending: (f64, f64),
    /// Members of a bucket, and new ones among them.
    members: Moments,
    news: Moments,
    /// Members of a bucket that did not answer and never did.
    failing: Moments,
    seen: f64,
}

/// First contacts of a bucket.
#[derive(Clone, Debug, Default)]
struct Contacts<'a> {
    failed: Vec<&'a str>,
    answered: Vec<&'a str>,
    /// Members that did not answer and never did, met before or not.
    failing: usize,
    /// Members for each one that is listed: above 1 where the list is a sample.
    scale: f64,
}

impl Contacts<'_> {
    fn failed(&self) -> f64 {
        self.failed.len() as f64 * self.scale
    }

    fn answered(&self) -> f64 {
        self.answered.len() as f64 * self.scale
    }

    fn all(&self) -> f64 {
        self.failed() + self.answered()
    }

    fn failing(&self) -> f64 {
        self.failing as f64 * self.scale
    }
}

impl Scans {
    fn contacts<'a>(&self, bucket: Time, seen: &Observation<'a>, setting: &Setting<'_>) -> Contacts<'a> {
        let rules = rules(setting);
        let Some(tried) = setting.place(TRIED) else { return Contacts::default() };
        let members = seen.members(tried);
        let answers = setting.place(ANSWERED).map(|at| seen.members(at));
        let ledger = self.ledgers.get(seen.entity);
        let is_new = |member: &&&str| !ledger.is_some_and(|ledger| ledger.edges.knows(member, bucket, rules.memory));
        let answers = |member: &&str| answers.is_none_or(|answers| answers.binary_search(member).is_ok());
        let (answered, failed) = members.iter().filter(is_new).partition(|member| answers(member));
        let is_friend = |member: &&str| ledger.is_some_and(|ledger| ledger.friends.knows(member, bucket, rules.memory));
        let failing = members.iter().filter(|member| !answers(member) && !is_friend(member)).count();
        let scale = (seen.value(tried) / members.len().max(1) as f64).max(1.0);
        Contacts { failed, answered, failing, scale }
    }

    /// Probability of so many new members.
    fn news(&self, bucket: Time, seen: &Observation<'_>, contacts: &Contacts<'_>, setting: &Setting<'_>) -> f64 {
        self.tails.exceed(seen.entity, self.surprise(bucket, seen.entity, contacts.all(), setting))
    }

    /// The number of new members as a standard normal score, were their distribution right.
    fn surprise(&self, bucket: Time, entity: usize, news: f64, setting: &Setting<'_>) -> f64 {
        let ledger = self.ledgers.get(entity);
        let age = age(ledger, setting.bucket);
        let (usual, worth) = USUAL_NEWS[age];
        let peers = self.news[age].get(worth).map_or(usual, |(mean, _)| mean);
        let own = ledger.filter(|_| age == USUAL_NEWS.len() - 1).and_then(|ledger| ledger.news.get(1.0));
        let seen = ledger.map_or(0.0, |ledger| ledger.seen);
        let mean = own.map_or(peers, |(own, _)| (worth * peers + seen * own) / (worth + seen));
        count_score(news, mean.max(0.01), NEWS_DISPERSION, tie(setting.seed, setting.key(entity), bucket.0))
    }

    /// The number of failing members as a standard normal score, were their distribution right.
    fn failure(&self, bucket: Time, entity: usize, failing: f64, setting: &Setting<'_>) -> f64 {
        let (usual, worth, dispersion) = USUAL_FAILING;
        let ledger = self.ledgers.get(entity);
        let own = ledger.and_then(|ledger| Some((ledger.failing.get(1.0)?.0, ledger.seen)));
        let mean = own.map_or(usual, |(own, seen)| (worth * usual + seen * own) / (worth + seen));
        count_score(failing, mean.max(0.01), dispersion, tie(setting.seed, !setting.key(entity), bucket.0))
    }

    fn judge(&self, bucket: Time, seen: &Observation<'_>, setting: &Setting<'_>) -> Score {
        let rules = rules(setting);
        let place = setting.place(TRIED).unwrap_or(0);
        let value = seen.value(place);
        if value.is_nan() {
            return Score::absent(ScoreState::NoData);
        }
        let contacts = self.contacts(bucket, seen, setting);
        let nobody = Ledger::default();
        let ledger = self.ledgers.get(seen.entity).unwrap_or(&nobody);
        let (expected, spread) = ledger.members.get(1.0).unwrap_or((value, value.sqrt()));
        let step = ledger.step(bucket, &contacts);
        let walked =
            if contacts.failed() > 0.0 && step.failures >= rules.failed { score((-step.walk).exp()) } else { 0.0 };
        let news = if contacts.all() >= rules.any { score(self.news(bucket, seen, &contacts, setting)) } else { 0.0 };
        let failing = if contacts.failing() >= rules.failed {
            let z = self.failure(bucket, seen.entity, contacts.failing(), setting);
            score(self.failing_tails.exceed(seen.entity, z))
        } else {
            0.0
        };
        let sure = if contacts.all() >= rules.sure { SURE } else { 0.0 };
        Score {
            value,
            expected,
            lower: (expected - TWO_SIDED_95 * spread).max(0.0),
            upper: expected + TWO_SIDED_95 * spread.max(expected.sqrt()),
            score: walked.max(news).max(failing).max(sure),
            state: if ledger.seen < buckets_a_day(setting.bucket) { ScoreState::Warming } else { ScoreState::Scored },
        }
    }
}

/// The feature that lists whom or what the entity tried.
const TRIED: &str = "tried";
/// The feature that lists those of them that answered; without it, all are taken to have answered.
const ANSWERED: &str = "answered";
/// Score of a number that no honest program reaches.
const SURE: f64 = 100.0;
/// Standard deviations to either side that hold 95 % of a normal distribution.
const TWO_SIDED_95: f64 = 1.96;

fn rules<'a>(setting: &'a Setting<'_>) -> &'a Scan {
    match setting.kind {
        Kind::Scan(rules) => rules,
        other => unreachable!("a detector of the model `{}` does not scan", other.name()),
    }
}

/// First bucket, first hour, first day, later.
fn age(ledger: Option<&Ledger>, bucket: Period) -> usize {
    let seen = ledger.map_or(0.0, |ledger| ledger.seen);
    let day = buckets_a_day(bucket);
    [seen >= 1.0, seen >= (day / 24.0).max(2.0), seen >= day].into_iter().filter(|older| *older).count()
}

/// Where the walk stands.
struct Step {
    walk: f64,
    failures: f64,
}

impl Ledger {
    /// The walk after these contacts.
    fn step(&self, bucket: Time, contacts: &Contacts<'_>) -> Step {
        let hours = self.walked.map_or(0.0, |walked| bucket.since(walked).seconds() / 3600.0);
        let kept = (-std::f64::consts::LN_2 * hours.max(0.0) / WALK_HALF_LIFE_HOURS).exp();
        let (usual, worth) = USUAL_FAILS;
        let own = (worth * usual + self.failed) / (worth + self.contacts);
        let own = own.clamp(OWN_FAILS.0, OWN_FAILS.1);
        let (up, down) = ((SCAN_FAILS / own).ln(), ((1.0 - SCAN_FAILS) / (1.0 - own)).ln());
        let walk = (self.walk * kept + contacts.failed() * up + contacts.answered() * down).clamp(0.0, WALK_MOST);
        Step { walk, failures: if walk > 0.0 { self.failures * kept + contacts.failed() } else { 0.0 } }
    }

    fn learn(&mut self, bucket: Time, contacts: &Contacts<'_>, held: bool) {
        let step = self.step(bucket, contacts);
        (self.walk, self.failures, self.walked) = (step.walk, step.failures, Some(bucket));
        self.pending = (self.pending.0 + contacts.failed(), self.pending.1 + contacts.all());
        if held {
            self.pending = (0.0, 0.0);
        } else if self.walk < WALK_OVER {
            self.failed += self.pending.0;
            self.contacts += self.pending.1;
            self.pending = (0.0, 0.0);
            if self.contacts > CONTACTS_MOST {
                self.failed *= CONTACTS_MOST / self.contacts;
                self.contacts = CONTACTS_MOST;
            }
        }
    }
}

impl Judge for Scans {
    fn score(&self, bucket: Time, seen: &[Observation<'_>], setting: &Setting<'_>) -> Vec<Vec<Score>> {
        let place = setting.place(TRIED).unwrap_or(0);
        seen.iter().map(|one| setting.around(one, place, self.judge(bucket, one, setting))).collect()
    }

    fn learn(&mut self, bucket: Time, seen: &[Observation<'_>], held: &[bool], setting: &Setting<'_>) {
        let memory = rules(setting).memory;
        let place = setting.place(TRIED).unwrap_or(0);
        let day = buckets_a_day(setting.bucket);
        for (at, one) in seen.iter().enumerate().filter(|(_, one)| !one.value(place).is_nan()) {
            let held = held.get(at).copied().unwrap_or(false);
            let contacts = self.contacts(bucket, one, setting);
            let z = self.surprise(bucket, one.entity, contacts.all(), setting);
            let failure = self.failure(bucket, one.entity, contacts.failing(), setting);
            let age = age(self.ledgers.get(one.entity), setting.bucket);
            let ledger = slot(&mut self.ledgers, one.entity);
            ledger.learn(bucket, &contacts, held);
            ledger.edges.meet(one.members(place).iter().copied(), bucket, memory);
            if let Some(answered) = setting.place(ANSWERED) {
                ledger.friends.meet(one.members(answered).iter().copied(), bucket, memory);
            }
            if held {
                continue;
            }
            ledger.members.learn(one.value(place), OWN_HALF_LIFE_DAYS * day);
            ledger.news.learn(contacts.all(), OWN_HALF_LIFE_DAYS * day);
            ledger.failing.learn(contacts.failing(), OWN_HALF_LIFE_DAYS * day);
            ledger.seen += 1.0;
            self.news[age].learn(contacts.all(), day * OWN_HALF_LIFE_DAYS * setting.entities.len().max(1) as f64);
            self.tails.learn(one.entity, z, day);
            self.failing_tails.learn(one.entity, failure, day);
        }
    }

    fn evidence(&self, bucket: Time, seen: &Observation<'_>, setting: &Setting<'_>) -> Vec<String> {
        let contacts = self.contacts(bucket, seen, setting);
        contacts.failed.iter().chain(&contacts.answered).map(|member| (*member).to_owned()).collect()
    }

    fn seen(&self, entity: usize) -> f64 {
        self.ledgers.get(entity).map_or(0.0, |ledger| ledger.seen)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trial::Trial;

    fn trial(rules: Scan) -> Trial {
        Trial::new(Kind::Scan(rules), Period::MINUTE.times(5), &["tried", "answered"])
    }

    fn names(range: std::ops::Range<usize>) -> Vec<String> {
        range.map(|at| format!("{at:05}")).collect()
    }

    /// A week of the usual: the same ten members, now and then a new one that answers.
    fn usual(at: usize) -> [Vec<String>; 2] {
        let mut tried = names(0..10);
        if at.is_multiple_of(97) {
            tried.push(format!("{:05}", 100 + at));
        }
        [tried.clone(), tried]
    }

    #[test]
    fn a_slow_scan_of_one_failing_member_a_minute_is_found_in_its_second_bucket() {
        let mut trial = trial(Scan::default());
        let quiet: Vec<f64> = (0..2016).map(|at| trial.feed(&[usual(at)])[0].score).collect();
        assert!(quiet.iter().all(|score| *score < 20.0), "{:?}", quiet.iter().copied().fold(0.0, f64::max));
        let scores: Vec<f64> = (0..4)
            .map(|step| {
                let probes = names(9000 + 5 * step..9005 + 5 * step);
                trial.feed(&[[[names(0..10), probes].concat(), names(0..10)]])[0].score
            })
            .collect();
        assert!(scores[1] >= 60.0, "{scores:?}");
    }

    #[test]
    fn a_second_scan_of_the_same_ports_is_found_as_the_first_was() {
        let mut trial = trial(Scan::default());
        (0..600).for_each(|at| drop(trial.feed(&[usual(at)])));
        let scan = [[names(0..10), names(9000..9200)].concat(), names(0..10)];
        assert!(trial.feed(std::slice::from_ref(&scan))[0].score >= 60.0);
        (0..20).for_each(|at| drop(trial.feed(&[usual(at)])));
        let again = trial.feed(&[scan])[0];
        assert!(again.score >= 60.0, "{again:?}");
    }

    #[test]
    fn failures_that_are_no_news_and_news_that_answer_are_no_scan() {
        let mut trial = trial(Scan::default());
        (0..600).for_each(|at| drop(trial.feed(&[usual(at)])));
        for step in 0..20 {
            let broken = [names(0..10), Vec::new()];
            assert!(trial.feed(&[broken])[0].score < 30.0);
            let rollout = [names(0..10), names(20_000 + 10 * step..20_010 + 10 * step)].concat();
            assert!(trial.feed(&[[rollout.clone(), rollout]])[0].score < 30.0, "{step}");
        }
    }

    #[test]
    fn without_word_of_failure_the_number_of_new_members_decides() {
        let mut trial = trial(Scan::default());
        (0..600).for_each(|at| drop(trial.feed(&[usual(at)])));
        let judged = trial.feed(&[[names(0..400), names(0..400)]])[0];
        assert!(judged.score >= 60.0, "{judged:?}");
        assert_eq!(judged.value, 400.0);
        assert!(trial.evidence(&[names(0..12), names(0..12)]).is_empty(), "all were met");
        let evidence = trial.evidence(&[names(398..403), names(0..402)]);
        assert_eq!(evidence, ["00402", "00400", "00401"]);
    }

    #[test]
    fn a_number_that_no_honest_program_reaches_is_a_scan_in_the_first_bucket() {
        let mut fresh = trial(Scan::default());
        assert!(fresh.feed(&[[names(0..60), names(0..60)]])[0].score < 30.0);
        assert_eq!(trial(Scan::default()).feed(&[[names(0..600), names(0..600)]])[0].score, 100.0);
    }

    #[test]
    fn bursts_of_news_without_a_scan_score_no_more_than_they_promise() {
        let mut trial = trial(Scan { any: 1.0, ..Scan::default() });
        let shares = trial.null(40, 12, &|random, entity, at| {
            let burst = random.next() < 0.01 * (1 + entity % 3) as f64;
            let count = if burst { (random.next() * 8.0) as usize + 1 } else { 0 };
            let failing = count > 2 && random.next() < 0.1;
            let fresh = names(50_000 + 40 * at..50_000 + 40 * at + count);
            let answered = if failing { fresh[1..].to_vec() } else { fresh.clone() };
            [[names(0..5), fresh].concat(), [names(0..5), answered].concat()]
        });
        for (share, promised) in shares.into_iter().zip([1e-2, 1e-3, 1e-4]) {
            assert!(share <= 2.0 * promised, "{shares:?}");
        }
    }
}
