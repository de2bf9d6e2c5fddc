//! DNS tunnels: too much information in names below one domain.
//!
//! After ibHH, information-based heavy hitters (Ozery, Nadler and Shabtai, NDSS 2024): what leaves through DNS leaves
//! as fresh subdomains of one registered domain, so of each client and domain the information in *distinct* subdomains
//! is added up, here the length of a subdomain times the entropy of its characters, and only of names that the client
//! did not ask for in the last day, since a tunnel cannot repeat itself. The domain with most information is judged
//! against what this client and all clients usually see, a normal distribution of its logarithm that the tails of the
//! detector correct. Content networks and telemetry move information as well: what a domain is used for on a normal
//! day, by whomever, is learnt and taken off. Memory is constant: see the bounds below.

use std::collections::BTreeMap;

use margay_core::{Period, Score, ScoreState, Time};
use serde::{Deserialize, Serialize};

use crate::edges::{Edges, print};
use crate::level::buckets_a_day;
use crate::names::{plain, split};
use crate::panel::{Judge, Setting, slot};
use crate::spec::{Kind, Observation};
use crate::tails::Tails;
use crate::verdict::score;

/// Domains whose usual information is remembered at most; those with the least go first.
const DOMAINS_MOST: usize = 1_000;
/// A client's names are remembered for so long.
const NAMES_MEMORY: Period = Period::DAY;
/// Information of the domain with most of it in a usual bucket, in bytes, and the spread of its logarithm.
const USUAL: (f64, f64) = (6.0, 1.0);
/// How often its usual information a domain may carry.
const ALLOWANCE: f64 = 3.0;
/// A domain's usual information is what it had this long ago at the latest.
const KNOWN_AFTER: Period = Period::DAY;
/// A domain's usual information at most grows by this factor a bucket, so that a tunnel cannot teach itself.
const GROWTH_MOST: f64 = 1.5;
/// Days after which half of a domain's usual information is forgotten.
const DOMAIN_HALF_LIFE_DAYS: f64 = 7.0;
/// Score from which on information is a tunnel whatever was learnt.
const SURE: f64 = 100.0;

/// When names are a tunnel.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Tunnel {
    /// Less information than this, in bytes a bucket, is never a tunnel.
    pub least_bytes: f64,
    /// This much information is one, whatever was learnt.
    pub sure_bytes: f64,
}

impl Default for Tunnel {
    fn default() -> Self {
        Self { least_bytes: 150.0, sure_bytes: 1500.0 }
    }
}

/// What is known of all clients.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Tunnels {
    clients: Vec<Edges>,
    /// By print of the domain.
    domains: BTreeMap<u32, Usual>,
    tails: Tails,
}

impl Default for Tunnels {
    fn default() -> Self {
        Self { clients: Vec::new(), domains: BTreeMap::new(), tails: Tails::known() }
    }
}

/// What a domain is used for on a normal day.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Usual {
    /// Most information in a bucket of a client, in bytes, forgetting.
    bytes: f64,
    first: Time,
    last: Time,
}

/// Information below one domain.
#[derive(Clone, Debug)]
struct Load {
    domain: String,
    bytes: f64,
    names: Vec<String>,
}

impl Tunnels {
    /// Information of fresh names by domain, the most first.
    fn loads(&self, bucket: Time, seen: &Observation<'_>, setting: &Setting<'_>) -> Vec<Load> {
        let Some(place) = setting.place(NAMES) else { return Vec::new() };
        let known = self.clients.get(seen.entity);
        let members = seen.members(place);
        let scale = (seen.value(place) / members.len().max(1) as f64).max(1.0);
        let mut loads: BTreeMap<String, Load> = BTreeMap::new();
        for name in members.iter().filter(|name| !known.is_some_and(|known| known.knows(name, bucket, NAMES_MEMORY))) {
            let name = plain(name);
            let Some(parts) = split(&name) else { continue };
            let load = loads.entry(parts.domain.to_owned()).or_insert_with(|| Load {
                domain: parts.domain.to_owned(),
                bytes: 0.0,
                names: Vec::new(),
            });
            load.bytes += scale * information_bits(parts.sub) / 8.0;
            load.names.push(name);
        }
        let mut loads: Vec<Load> = loads.into_values().collect();
        for load in &mut loads {
            load.bytes = (load.bytes - ALLOWANCE * self.usual(&load.domain, bucket)).max(0.0);
        }
        loads.sort_by(|a, b| b.bytes.total_cmp(&a.bytes).then_with(|| a.domain.cmp(&b.domain)));
        loads
    }

    fn usual(&self, domain: &str, bucket: Time) -> f64 {
        let usual = self.domains.get(&print(domain));
        usual.filter(|usual| bucket.since(usual.first) >= KNOWN_AFTER).map_or(0.0, |usual| usual.kept(bucket))
    }

    fn judge(&self, bucket: Time, seen: &Observation<'_>, setting: &Setting<'_>) -> Score {
        let value = seen.value(setting.place(NAMES).unwrap_or(0));
        if value.is_nan() {
            return Score::absent(ScoreState::NoData);
        }
        let rules = rules(setting);
        let bytes = self.loads(bucket, seen, setting).first().map_or(0.0, |load| load.bytes);
        let judged = if bytes < rules.least_bytes {
            0.0
        } else if bytes >= rules.sure_bytes {
            SURE
        } else {
            score(self.tails.exceed(seen.entity, surprise(bytes)))
        };
        let young = self.tails.seen(seen.entity) < buckets_a_day(setting.bucket);
        let state = if young { ScoreState::Warming } else { ScoreState::Scored };
        Score { value, expected: f64::NAN, lower: f64::NAN, upper: f64::NAN, score: judged, state }
    }

    fn note(&mut self, bucket: Time, load: &Load) {
        let usual =
            self.domains.entry(print(&load.domain)).or_insert(Usual { bytes: load.bytes, first: bucket, last: bucket });
        let kept = usual.kept(bucket);
        usual.bytes = kept.max(load.bytes.min(kept.max(USUAL.0) * GROWTH_MOST));
        usual.last = bucket;
        if self.domains.len() > DOMAINS_MOST {
            let least = self.domains.iter().min_by(|a, b| a.1.kept(bucket).total_cmp(&b.1.kept(bucket)));
            if let Some(print) = least.map(|(print, _)| *print) {
                self.domains.remove(&print);
            }
        }
    }
}

/// The feature that lists the names asked for.
const NAMES: &str = "names";

fn rules<'a>(setting: &'a Setting<'_>) -> &'a Tunnel {
    match setting.kind {
        Kind::Tunnel(rules) => rules,
        other => unreachable!("a detector of the model `{}` looks for no tunnels", other.name()),
    }
}

impl Usual {
    /// What is left of it.
    fn kept(&self, now: Time) -> f64 {
        let days = now.since(self.last).seconds().max(0.0) / 86_400.0;
        self.bytes * (-std::f64::consts::LN_2 * days / DOMAIN_HALF_LIFE_DAYS).exp()
    }
}

fn surprise(bytes: f64) -> f64 {
    (bytes.max(0.1) / USUAL.0).ln() / USUAL.1
}

/// Length of a text times the entropy of its characters, in bits.
fn information_bits(text: &str) -> f64 {
    let mut counts = [0u32; 256];
    text.bytes().filter(|byte| *byte != b'.').for_each(|byte| counts[usize::from(byte)] += 1);
    let length = f64::from(counts.iter().sum::<u32>());
    counts.iter().filter(|count| **count > 0).map(|count| f64::from(*count) * (length / f64::from(*count)).log2()).sum()
}

impl Judge for Tunnels {
    fn score(&self, bucket: Time, seen: &[Observation<'_>], setting: &Setting<'_>) -> Vec<Vec<Score>> {
        let place = setting.place(NAMES).unwrap_or(0);
        seen.iter().map(|one| setting.around(one, place, self.judge(bucket, one, setting))).collect()
    }

    fn learn(&mut self, bucket: Time, seen: &[Observation<'_>], held: &[bool], setting: &Setting<'_>) {
        let place = setting.place(NAMES).unwrap_or(0);
        let day = buckets_a_day(setting.bucket);
        for (at, one) in seen.iter().enumerate().filter(|(_, one)| !one.value(place).is_nan()) {
            let loads = self.loads(bucket, one, setting);
            let names = one.members(place);
            if !names.is_empty() {
                slot(&mut self.clients, one.entity).meet(names.iter().copied(), bucket, NAMES_MEMORY);
            }
            if held.get(at).copied().unwrap_or(false) {
                continue;
            }
            self.tails.learn(one.entity, surprise(loads.first().map_or(0.0, |load| load.bytes)), day);
            loads.iter().filter(|load| load.bytes >= USUAL.0).for_each(|load| self.note(bucket, load));
        }
    }

    fn evidence(&self, bucket: Time, seen: &Observation<'_>, setting: &Setting<'_>) -> Vec<String> {
        let worst = self.loads(bucket, seen, setting).into_iter().next();
        worst.map_or_else(Vec::new, |load| [load.domain].into_iter().chain(load.names).collect())
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
        Trial::new(Kind::Tunnel(Tunnel::default()), Period::MINUTE, &["names"])
    }

    fn letters(random: &mut Numbers, length: usize) -> String {
        (0..length).map(|_| char::from(b'a' + (random.next() * 26.0) as u8)).collect()
    }

    fn usual(random: &mut Numbers) -> [Vec<String>; 1] {
        let common = ["www", "api", "mail", "cdn", "static", "img"];
        let pick = |random: &mut Numbers| {
            let sub = common[(random.next() * 6.0) as usize];
            format!("{sub}.site{}.com", (random.next() * 300.0) as usize)
        };
        [(0..3).map(|_| pick(random)).collect()]
    }

    fn tunnel(random: &mut Numbers, count: usize) -> Vec<String> {
        (0..count).map(|_| format!("{}.{}.t.evil-example.com", letters(random, 50), letters(random, 40))).collect()
    }

    #[test]
    fn a_tunnel_is_found_in_its_first_minute_even_by_a_detector_that_just_began() {
        let mut random = Numbers::new(1);
        let judged = trial().feed(&[[tunnel(&mut random, 60)]])[0];
        assert_eq!(judged.score, 100.0);
    }

    #[test]
    fn a_slow_tunnel_is_found_once_the_usual_is_known_and_its_domain_is_named_first() {
        let (mut trial, mut random) = (trial(), Numbers::new(2));
        for _ in 0..1500 {
            let row = usual(&mut random);
            assert!(trial.feed(&[row])[0].score < 60.0);
        }
        let names = [usual(&mut random)[0].clone(), tunnel(&mut random, 12)].concat();
        let row = [names];
        assert_eq!(trial.evidence(&row)[0], "evil-example.com");
        let judged = trial.feed(&[row])[0];
        assert!(judged.score >= 50.0, "{judged:?}");
    }

    #[test]
    fn names_that_repeat_and_a_domain_that_always_carries_much_are_no_tunnel() {
        let (mut trial, mut random) = (trial(), Numbers::new(3));
        let fixed = tunnel(&mut Numbers::new(9), 12);
        let telemetry = |random: &mut Numbers| format!("{}.telemetry.example.net", letters(random, 60));
        for at in 0..4000 {
            let mut names = usual(&mut random)[0].clone();
            if at % 3 == 0 {
                names.extend((0..4).map(|_| telemetry(&mut random)));
            }
            trial.feed(&[[names]]);
        }
        let burst = (0..8).map(|_| telemetry(&mut random)).collect();
        assert!(trial.feed(&[[burst]])[0].score < 60.0);
        trial.feed(&[[fixed.clone()]]);
        assert_eq!(trial.feed(&[[fixed]])[0].score, 0.0);
    }

    #[test]
    fn subdomains_of_many_domains_score_no_more_than_they_promise() {
        let mut trial = Trial::new(
            Kind::Tunnel(Tunnel { least_bytes: 0.0, sure_bytes: f64::MAX }),
            Period::MINUTE.times(5),
            &["names"],
        );
        let shares = trial.null(20, 10, &|random, _, _| {
            let count = (random.next() * 6.0) as usize;
            let name = |random: &mut Numbers| {
                let length = 3 + (random.next().powi(3) * 40.0) as usize;
                format!("{}.d{}.com", letters(random, length), (random.next() * 5000.0) as usize)
            };
            [(0..count).map(|_| name(random)).collect()]
        });
        for (share, promised) in shares.into_iter().zip([1e-2, 1e-3, 1e-4]) {
            assert!(share <= 2.0 * promised, "{shares:?}");
        }
    }

    #[test]
    fn information_is_length_times_entropy() {
        assert_eq!(information_bits("aaaa"), 0.0);
        assert_eq!(information_bits("ab"), 2.0);
        assert_eq!(information_bits("abcd.abcd"), 16.0);
    }
}
