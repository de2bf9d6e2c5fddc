//! Clients that ask for generated names.
//!
//! One name proves little, ten do: of the registered domains that a client asks for within an hour and did not ask for
//! in the week before, the classifier's surprises are added up (Stouffer's method), a name that does not exist with the
//! full weight and one that resolves with less, since malware asks for hundreds of names of which one exists. Names that
//! begin or end alike are taken as one, as one service makes them. The sum is standard normal for a client that asks for
//! benign names; the tails of the detector correct it for what this cluster asks for.

mod classifier;
mod families;
mod looks;
mod words;

use margay_core::{Period, Score, ScoreState, Time};
use serde::{Deserialize, Serialize};

use crate::edges::Edges;
use crate::level::buckets_a_day;
use crate::names::{plain, split};
use crate::panel::{Judge, Setting, slot};
use crate::spec::{Kind, Observation};
use crate::tails::Tails;
use crate::verdict::score;

pub use classifier::classify;

/// Domains remembered of a client's window at most; the oldest go first.
const WINDOW_MOST: usize = 128;
/// A domain that was asked for within this time is old.
const MEMORY: Period = Period::WEEK;
/// Weight of a name that resolves, beside one that does not exist.
const RESOLVED_WEIGHT: f64 = 0.3;
/// Letters at either end by which names are taken as one batch.
const BATCH_LETTERS: usize = 6;

/// When names are generated.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Dga {
    /// Fewest new domains that are judged.
    pub names: usize,
    /// Time over which they are added up.
    pub window: Period,
}

impl Default for Dga {
    fn default() -> Self {
        Self { names: 5, window: Period::HOUR }
    }
}

/// What is known of all clients.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Dgas {
    clients: Vec<Client>,
    tails: Tails,
}

impl Default for Dgas {
    fn default() -> Self {
        Self { clients: Vec::new(), tails: Tails::known() }
    }
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Client {
    asked: Edges,
    /// New domains of the window, the oldest first.
    window: Vec<Asked>,
}

/// A domain that was new to the client.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Asked {
    at: Time,
    label: String,
    surprise: f64,
    weight: f64,
}

impl Dgas {
    /// New domains of the window with those of this bucket.
    fn window(&self, bucket: Time, seen: &Observation<'_>, setting: &Setting<'_>) -> Vec<Asked> {
        let rules = rules(setting);
        let client = self.clients.get(seen.entity);
        let earlier = client.map_or(&[][..], |client| &client.window[..]);
        let mut window: Vec<Asked> =
            earlier.iter().filter(|asked| bucket.since(asked.at) < rules.window).cloned().collect();
        let missing = setting.place(MISSING).map(|place| seen.members(place));
        for name in setting.place(NAMES).map_or(&[][..], |place| seen.members(place)) {
            let lower = plain(name);
            let Some(parts) = split(&lower) else { continue };
            let is_old = client.is_some_and(|client| client.asked.knows(parts.domain, bucket, MEMORY));
            if is_old || window.iter().any(|asked| is_one_batch(&asked.label, parts.label)) {
                continue;
            }
            let Some(surprise) = classifier::CLASSIFIER.surprise(parts.domain) else { continue };
            let exists = missing.is_some_and(|missing| missing.binary_search(name).is_err());
            let weight = if exists { RESOLVED_WEIGHT } else { 1.0 };
            window.push(Asked { at: bucket, label: parts.label.to_owned(), surprise, weight });
        }
        let surplus = window.len().saturating_sub(WINDOW_MOST);
        window.drain(..surplus);
        window
    }

    fn judge(&self, bucket: Time, seen: &Observation<'_>, setting: &Setting<'_>) -> Score {
        let value = seen.value(setting.place(NAMES).unwrap_or(0));
        if value.is_nan() {
            return Score::absent(ScoreState::NoData);
        }
        let window = self.window(bucket, seen, setting);
        let is_new = window.iter().any(|asked| asked.at == bucket);
        let judged = if is_new && window.len() >= rules(setting).names {
            score(self.tails.exceed(seen.entity, sum(&window)))
        } else {
            0.0
        };
        let young = self.tails.seen(seen.entity) < buckets_a_day(setting.bucket);
        let state = if young { ScoreState::Warming } else { ScoreState::Scored };
        Score { value, expected: f64::NAN, lower: f64::NAN, upper: f64::NAN, score: judged, state }
    }
}

/// The feature that lists the names asked for.
const NAMES: &str = "names";
/// The feature that lists those of them that do not exist; without it, none is taken to exist.
const MISSING: &str = "missing";

fn rules<'a>(setting: &'a Setting<'_>) -> &'a Dga {
    match setting.kind {
        Kind::Dga(rules) => rules,
        other => unreachable!("a detector of the model `{}` judges no names", other.name()),
    }
}

/// Stouffer's sum: standard normal where every surprise is.
fn sum(window: &[Asked]) -> f64 {
    let total: f64 = window.iter().map(|asked| asked.weight * asked.surprise).sum();
    total / window.iter().map(|asked| asked.weight.powi(2)).sum::<f64>().sqrt().max(1e-9)
}

/// Names such as `cdn-7f31` and `cdn-91ab`.
fn is_one_batch(one: &str, other: &str) -> bool {
    let (one, other) = (one.as_bytes(), other.as_bytes());
    if one.len().min(other.len()) < BATCH_LETTERS {
        return one == other;
    }
    one[..BATCH_LETTERS] == other[..BATCH_LETTERS]
        || one[one.len() - BATCH_LETTERS..] == other[other.len() - BATCH_LETTERS..]
}

impl Judge for Dgas {
    fn score(&self, bucket: Time, seen: &[Observation<'_>], setting: &Setting<'_>) -> Vec<Vec<Score>> {
        let place = setting.place(NAMES).unwrap_or(0);
        seen.iter().map(|one| setting.around(one, place, self.judge(bucket, one, setting))).collect()
    }

    fn learn(&mut self, bucket: Time, seen: &[Observation<'_>], held: &[bool], setting: &Setting<'_>) {
        let place = setting.place(NAMES).unwrap_or(0);
        let day = buckets_a_day(setting.bucket);
        for (at, one) in seen.iter().enumerate() {
            let names = one.members(place);
            if names.is_empty() {
                continue;
            }
            let window = self.window(bucket, one, setting);
            let is_new = window.iter().any(|asked| asked.at == bucket);
            let held = held.get(at).copied().unwrap_or(false);
            if is_new && window.len() >= rules(setting).names && !held {
                self.tails.learn(one.entity, sum(&window), day);
            }
            let client = slot(&mut self.clients, one.entity);
            let lower: Vec<String> = names.iter().map(|name| plain(name)).collect();
            let domains = lower.iter().filter_map(|name| split(name)).map(|parts| parts.domain);
            client.asked.meet(domains, bucket, MEMORY);
            client.window = window;
        }
    }

    fn evidence(&self, bucket: Time, seen: &Observation<'_>, setting: &Setting<'_>) -> Vec<String> {
        let mut window = self.window(bucket, seen, setting);
        window.sort_by(|a, b| b.surprise.total_cmp(&a.surprise).then_with(|| a.label.cmp(&b.label)));
        window.into_iter().map(|asked| asked.label).collect()
    }

    fn seen(&self, entity: usize) -> f64 {
        self.tails.seen(entity)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trial::{Numbers, Trial};

    fn trial() -> Trial {
        Trial::new(Kind::Dga(Dga::default()), Period::MINUTE.times(5), &["names", "missing"])
    }

    fn random_name(random: &mut Numbers) -> String {
        let label: String = (0..14).map(|_| char::from(b'a' + (random.next() * 26.0) as u8)).collect();
        format!("{label}.com")
    }

    #[test]
    fn ten_generated_names_that_do_not_exist_are_found_and_named() {
        let (mut trial, mut random) = (trial(), Numbers::new(1));
        let names: Vec<String> = (0..10).map(|_| random_name(&mut random)).collect();
        assert_eq!(trial.evidence(&[names.clone(), names.clone()]).len(), 10);
        let judged = trial.feed(&[[names.clone(), names]])[0];
        assert!(judged.score >= 60.0, "{judged:?}");
    }

    #[test]
    fn names_of_the_cluster_known_names_and_a_batch_of_one_service_are_no_evidence() {
        let (mut trial, mut random) = (trial(), Numbers::new(2));
        let inside: Vec<String> = (0..40).map(|_| random_name(&mut random) + ".shop.svc.cluster.local").collect();
        let batch: Vec<String> = (0..40).map(|at| format!("a1b2c3d4e5{at:04x}.com")).collect();
        assert_eq!(trial.feed(&[[inside.clone(), inside]])[0].score, 0.0);
        assert_eq!(trial.feed(&[[batch.clone(), batch]])[0].score, 0.0);
    }

    #[test]
    fn clients_that_ask_for_names_people_look_up_score_no_more_than_they_promise() {
        let names = words::benign();
        let shares = trial().null(20, 10, &|random, _, _| {
            let count = if random.next() < 0.5 { (random.next() * 4.0) as usize } else { 0 };
            let asked: Vec<String> =
                (0..count).map(|_| names[(random.next() * names.len() as f64) as usize].clone()).collect();
            let missing = asked.iter().filter(|_| random.next() < 0.1).cloned().collect();
            [asked, missing]
        });
        for (share, promised) in shares.into_iter().zip([1e-2, 1e-3, 1e-4]) {
            assert!(share <= 2.0 * promised, "{shares:?}");
        }
    }
}
