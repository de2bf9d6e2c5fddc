//! Findings of one entity and one detector over time: when an episode opens, gets worse and closes.

use margay_core::{Gate, GateName, JOINT, Period, Reading, Score, ScoreState, Time};
use serde::{Deserialize, Serialize};

use crate::episode::{Episode, Event, Peak};
use crate::gate::{Choice, choose, points, trace};
use crate::rule::{Judged, Rule};

/// By how much the highest score must rise for an open episode to be told again.
const WORSE_SCORE: f64 = 10.0;

/// Scores at which an open episode is told again although it rose by less.
const SEVERITY_SCORES: [f64; 3] = [50.0, 90.0, 99.0];

/// Text of a limit or value that is not there.
const NONE: &str = "none";

/// What is remembered of an entity between buckets. `Default` is an entity never seen before.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Tracker {
    /// Start of the last judged bucket.
    last: Option<Time>,
    /// Those of the last m buckets that passed the gates before `sustained`, in order of time.
    recent: Vec<Peak>,
    ongoing: Option<Box<Ongoing>>,
    /// When the last episode closed.
    closed: Option<Time>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Ongoing {
    episode: Episode,
    /// Start of the last bucket that kept the episode open.
    last_loud: Time,
    /// The highest score when people were last told.
    told: f64,
}

/// What one bucket came to.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Verdict {
    /// Verdicts of all gates on the feature that drives, in order; empty where [`judge`] saw nothing near a finding.
    pub gates: Vec<Gate>,
    /// Place of the feature that drives: it gets through most gates, and of such features scores highest.
    pub feature: usize,
    /// Whether the bucket passed every gate.
    pub finding: bool,
    /// The highest score of a feature that passes every gate but perhaps the score's; 0 where none does.
    pub effect_score: f64,
    /// What people are to be told, in order: a bucket after a gap may close one episode and open the next.
    pub events: Vec<Event>,
    /// Whether an episode is open after this bucket.
    pub open: bool,
    /// All features, in their order; empty where `gates` is.
    pub readings: Vec<Reading>,
}

/// Judges the next bucket of an entity: `judged` holds one entry for each of the rule's features, `excluded` the
/// reason of an exclusion that covers the bucket.
///
/// Buckets come in order of time; those left out count as missing. A bucket that is not after the last one judged
/// changes nothing and tells nothing, so that a run that was cut off can be repeated. While no episode is open and no
/// feature reaches half of the rule's score, gates and readings are not written out; [`explain`] always does.
pub fn judge(rule: &Rule, tracker: &mut Tracker, bucket: Time, judged: &[Judged], excluded: Option<&str>) -> Verdict {
    step(&Moment { rule, bucket, judged, excluded }, tracker, false)
}

/// What [`judge`] would say of the bucket, with all gates and readings, the tracker left as it is.
#[must_use]
pub fn explain(rule: &Rule, tracker: &Tracker, bucket: Time, judged: &[Judged], excluded: Option<&str>) -> Verdict {
    step(&Moment { rule, bucket, judged, excluded }, &mut tracker.clone(), true)
}

/// Closes the entity's episode if it is over once `bucket` (its start) turned out to hold nothing of the entity.
/// [`judge`] does so by itself when the entity comes back; this is for entities that do not.
pub fn expire(rule: &Rule, tracker: &mut Tracker, bucket: Time) -> Option<Event> {
    let last_loud = tracker.ongoing.as_ref()?.last_loud;
    if rule.is_over(last_loud, bucket) { tracker.close(rule) } else { None }
}

/// A bucket to be judged.
struct Moment<'a> {
    rule: &'a Rule,
    bucket: Time,
    judged: &'a [Judged],
    excluded: Option<&'a str>,
}

fn step(moment: &Moment, tracker: &mut Tracker, in_full: bool) -> Verdict {
    let Moment { rule, bucket, judged, .. } = *moment;
    let choice = choose(rule, judged);
    let mut events = Vec::new();
    let is_new = tracker.last.is_none_or(|last| bucket > last);
    if is_new {
        tracker.last = Some(bucket);
        events.extend(expire(rule, tracker, bucket.minus(rule.bucket)));
        tracker.forget(rule, bucket);
    }
    if !in_full && tracker.ongoing.is_none() && choice.highest_score < rule.score / 2.0 {
        let effect_score = choice.effect_score;
        return Verdict { feature: choice.feature, effect_score, events, ..Verdict::default() };
    }
    let seen = tracker.look(moment, &choice);
    if is_new {
        events.extend(tracker.advance(rule, &seen));
    }
    Verdict {
        finding: seen.finding,
        effect_score: seen.effect_score,
        feature: seen.peak.feature,
        gates: seen.peak.gates,
        readings: seen.peak.readings,
        events,
        open: tracker.ongoing.is_some(),
    }
}

/// A bucket as the gates saw it.
struct Seen {
    peak: Peak,
    /// Passed the gates before `sustained` and is not excluded.
    passing: bool,
    /// Passed every gate.
    finding: bool,
    /// The score that keeps an episode open: the highest of a feature whose value is far enough out to matter.
    effect_score: f64,
}

impl Tracker {
    /// Whether an episode is open.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.ongoing.is_some()
    }

    /// The open episode.
    #[must_use]
    pub fn episode(&self) -> Option<&Episode> {
        self.ongoing.as_ref().map(|ongoing| &ongoing.episode)
    }

    /// Passes the bucket through the gates.
    fn look(&self, moment: &Moment, choice: &Choice) -> Seen {
        let Moment { rule, bucket, judged, excluded } = *moment;
        let mut gates = trace(rule, judged, choice);
        let passed = choice.checks.passed();
        gates.push(self.sustained(rule, bucket, passed));
        let exclusion = exclusion(judged, choice, excluded);
        let included = exclusion.passed;
        gates.push(exclusion);
        gates.push(self.refractory(rule, bucket));
        Seen {
            passing: passed && included,
            finding: gates.iter().all(|gate| gate.passed),
            effect_score: if included { choice.effect_score } else { 0.0 },
            peak: Peak {
                bucket,
                score: choice.score,
                feature: choice.feature,
                readings: readings(rule, judged),
                gates,
            },
        }
    }

    /// Takes note of a new bucket.
    fn advance(&mut self, rule: &Rule, seen: &Seen) -> Option<Event> {
        if seen.passing {
            self.recent.push(seen.peak.clone());
        }
        let bucket = seen.peak.bucket;
        let Some(ongoing) = &mut self.ongoing else {
            return if seen.finding { Some(self.open(rule, seen)) } else { None };
        };
        let episode = &mut ongoing.episode;
        if seen.passing {
            episode.end = bucket.plus(rule.bucket);
            episode.buckets = episode.buckets.saturating_add(1);
            if seen.peak.score > episode.peak.score {
                episode.peak = seen.peak.clone();
            }
        }
        if Rule::is_loud(episode.opening_score, seen.effect_score) {
            ongoing.last_loud = bucket;
        } else if rule.is_over(ongoing.last_loud, bucket) {
            return self.close(rule);
        }
        ongoing.tell_worse()
    }

    /// Opens an episode that reaches back to the first of the buckets that let the present one pass `sustained`.
    fn open(&mut self, rule: &Rule, seen: &Seen) -> Event {
        let bucket = seen.peak.bucket;
        let worst =
            self.recent.iter().fold(&seen.peak, |worst, peak| if peak.score > worst.score { peak } else { worst });
        let episode = Episode {
            start: self.recent.first().map_or(bucket, |first| first.bucket),
            end: bucket.plus(rule.bucket),
            opening_score: seen.peak.score,
            gates: seen.peak.gates.clone(),
            peak: worst.clone(),
            buckets: u32::try_from(self.recent.len()).unwrap_or(u32::MAX),
        };
        let told = episode.peak.score;
        self.ongoing = Some(Box::new(Ongoing { episode: episode.clone(), last_loud: bucket, told }));
        Event::Opened(episode)
    }

    fn close(&mut self, rule: &Rule) -> Option<Event> {
        let ongoing = self.ongoing.take()?;
        self.closed = Some(rule.closing_time(ongoing.last_loud));
        Some(Event::Closed(ongoing.episode))
    }

    /// Drops buckets that no longer count towards `sustained` when `bucket` is the present one.
    fn forget(&mut self, rule: &Rule, bucket: Time) {
        if !self.recent.is_empty() {
            let start = self.counts_from(rule, bucket);
            self.recent.retain(|peak| peak.bucket >= start);
        }
    }

    /// Start of the earliest bucket that counts: a bucket belongs to one episode only.
    fn counts_from(&self, rule: &Rule, bucket: Time) -> Time {
        rule.window_start(bucket).max(self.closed.unwrap_or(Time::MIN))
    }

    fn sustained(&self, rule: &Rule, bucket: Time, passed: bool) -> Gate {
        let (least, window) = rule.sustained();
        let start = self.counts_from(rule, bucket);
        let earlier = self.recent.iter().filter(|peak| start <= peak.bucket && peak.bucket < bucket).count();
        let count = earlier + usize::from(passed);
        Gate {
            gate: GateName::Sustained,
            value: format!("{count} of {window}"),
            limit: format!("{least} of {window}"),
            passed: passed && count >= least,
        }
    }

    fn refractory(&self, rule: &Rule, bucket: Time) -> Gate {
        let (value, passed) = match self.closed {
            _ if self.ongoing.is_some() => ("episode open".to_owned(), true),
            None => ("no episode before".to_owned(), true),
            Some(closed) => (bucket.since(closed).max(Period(0)).to_string(), rule.is_rested(self.closed, bucket)),
        };
        Gate { gate: GateName::Refractory, value, limit: rule.rest().to_string(), passed }
    }
}

impl Ongoing {
    fn tell_worse(&mut self) -> Option<Event> {
        let score = self.episode.peak.score;
        let class = |score: f64| SEVERITY_SCORES.iter().filter(|least| score >= **least).count();
        if score - self.told < WORSE_SCORE && class(score) <= class(self.told) {
            return None;
        }
        self.told = score;
        Some(Event::Worsened(self.episode.clone()))
    }
}

fn exclusion(judged: &[Judged], choice: &Choice, excluded: Option<&str>) -> Gate {
    let state = judged.get(choice.feature).map(|judged| judged.score.state);
    let by_model = (state == Some(ScoreState::Excluded)).then_some("excluded");
    let reason = excluded.or(by_model);
    Gate {
        gate: GateName::Exclusion,
        value: reason.unwrap_or(NONE).to_owned(),
        limit: NONE.to_owned(),
        passed: reason.is_none(),
    }
}

/// Readings whose contributions are shares of the summed scores; equal shares where no feature scores. What stands for
/// all features has no share.
fn readings(rule: &Rule, judged: &[Judged]) -> Vec<Reading> {
    let is_feature = |at: usize| rule.features.get(at).is_none_or(|name| name != JOINT);
    let features: Vec<f64> =
        judged.iter().enumerate().filter(|(at, _)| is_feature(*at)).map(|(_, one)| points(one)).collect();
    let total: f64 = features.iter().sum();
    let share = |points: f64| if total > 0.0 { points / total } else { 1.0 / features.len() as f64 };
    let reading = |(at, one): (usize, &Judged)| {
        let Score { value, expected, lower, upper, .. } = one.score;
        let score = points(one);
        let contribution = if is_feature(at) { share(score) } else { 0.0 };
        Reading { value, expected, lower, upper, score, contribution }
    };
    judged.iter().enumerate().map(reading).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use margay_core::Direction;
    use proptest::prelude::*;

    use super::*;
    use crate::fixture::{at, judged, rule};

    /// Events of one bucket after the other as letters; `.` where there is none, `/` where a bucket is missing.
    fn play(rule: &Rule, scores: &[f64]) -> String {
        let mut tracker = Tracker::default();
        let mut told = String::new();
        for (bucket, score) in (0i64..).zip(scores) {
            if score.is_nan() {
                told.push('/');
                continue;
            }
            let verdict = judge(rule, &mut tracker, at(bucket), &[judged(*score)], None);
            told.extend(if verdict.events.is_empty() { vec!['.'] } else { letters(&verdict.events) });
        }
        told
    }

    fn letters(events: &[Event]) -> Vec<char> {
        let letter = |event: &Event| match event {
            Event::Opened(_) => 'O',
            Event::Worsened(_) => 'W',
            Event::Closed(_) => 'C',
        };
        events.iter().map(letter).collect()
    }

    /// Names of the gates that a fresh entity fails.
    fn failing(rule: &Rule, judged: Judged, excluded: Option<&str>) -> Vec<GateName> {
        let verdict = explain(rule, &Tracker::default(), at(0), &[judged], excluded);
        assert_eq!(verdict.gates.len(), 9);
        assert_eq!(verdict.finding, verdict.gates.iter().all(|gate| gate.passed));
        verdict.gates.iter().filter(|gate| !gate.passed).map(|gate| gate.gate).collect()
    }

    fn with_state(state: ScoreState) -> Judged {
        let mut judged = judged(80.0);
        judged.score.state = state;
        judged
    }

    #[test]
    fn a_bucket_that_passes_every_gate_opens_an_episode() {
        let rule = Rule { min_dev: Some(50.0), min_rel_dev: Some(0.5), min_value: Some(150.0), ..rule() };
        assert_eq!(failing(&rule, judged(60.0), None), []);
        assert_eq!(failing(&rule, with_state(ScoreState::Warming), None), []);
        let mut tracker = Tracker::default();
        let verdict = judge(&rule, &mut tracker, at(3), &[judged(60.0)], None);
        assert!(verdict.finding && verdict.open);
        let [Event::Opened(episode)] = &verdict.events[..] else { panic!("{:?}", verdict.events) };
        assert_eq!((episode.start, episode.end, episode.buckets), (at(3), at(4), 1));
        assert_eq!((episode.opening_score, episode.peak.score, episode.peak.bucket), (60.0, 60.0, at(3)));
        assert_eq!(episode.gates, verdict.gates);
        assert_eq!(tracker.episode(), Some(episode));
    }

    #[test]
    fn each_gate_of_a_feature_alone_stops_a_bucket() {
        for state in [ScoreState::NoData, ScoreState::InsufficientDetail, ScoreState::OverLimit, ScoreState::Error] {
            assert_eq!(failing(&rule(), with_state(state), None), [GateName::State, GateName::Sustained]);
        }
        let stopped = |rule: Rule| failing(&rule, judged(80.0), None);
        let below = Rule { direction: Direction::Below, ..rule() };
        assert_eq!(stopped(below), [GateName::Direction, GateName::Sustained]);
        assert_eq!(stopped(Rule { score: 80.1, ..rule() }), [GateName::Score, GateName::Sustained]);
        assert_eq!(stopped(Rule { min_dev: Some(50.1), ..rule() }), [GateName::MinDev, GateName::Sustained]);
        assert_eq!(stopped(Rule { min_rel_dev: Some(0.51), ..rule() }), [GateName::MinRelDev, GateName::Sustained]);
        assert_eq!(stopped(Rule { min_value: Some(150.1), ..rule() }), [GateName::MinValue, GateName::Sustained]);
    }

    #[test]
    fn each_gate_of_an_entity_alone_stops_a_bucket() {
        assert_eq!(failing(&Rule { sustained: (2, 3), ..rule() }, judged(80.0), None), [GateName::Sustained]);
        assert_eq!(failing(&rule(), judged(80.0), Some("load test")), [GateName::Exclusion]);
        assert_eq!(failing(&rule(), with_state(ScoreState::Excluded), None), [GateName::Exclusion]);
        let closed = Tracker { closed: Some(at(0)), ..Tracker::default() };
        let verdict = explain(&rule(), &closed, at(5), &[judged(80.0)], None);
        let refractory = verdict.gates.last().unwrap();
        assert_eq!((refractory.value.as_str(), refractory.limit.as_str(), refractory.passed), ("25m", "30m", false));
        assert!(!verdict.finding && verdict.gates[..8].iter().all(|gate| gate.passed));
        assert!(explain(&rule(), &closed, at(6), &[judged(80.0)], None).finding);
    }

    #[test]
    fn gates_after_a_failure_are_still_judged_and_read_well() {
        let rule = Rule { min_dev: Some(1e6), min_rel_dev: Some(0.2), min_value: Some(100.0), ..rule() };
        let verdict = explain(&rule, &Tracker::default(), at(0), &[judged(12.345_6)], Some("backup"));
        let lines: Vec<String> = verdict
            .gates
            .iter()
            .map(|gate| format!("{} {} {} {}", gate.gate, gate.value, gate.limit, gate.passed))
            .collect();
        assert_eq!(
            lines,
            [
                "state scored scored or warming true",
                "direction above above true",
                "score 12.35 60 false",
                "min_dev 50 1000000 false",
                "min_rel_dev 0.5 0.2 true",
                "min_value 150 100 true",
                "sustained 0 of 1 1 of 1 false",
                "exclusion backup none false",
                "refractory no episode before 30m true",
            ]
        );
    }

    #[test]
    fn any_distance_passes_where_nothing_was_expected() {
        let rule = Rule { min_rel_dev: Some(5.0), ..rule() };
        let mut sudden = judged(80.0);
        sudden.score.expected = 0.0;
        assert_eq!(failing(&rule, sudden, None), []);
        sudden.score.value = 0.0;
        assert_eq!(failing(&rule, sudden, None), [GateName::MinRelDev, GateName::Sustained]);
    }

    #[test]
    fn a_low_value_counts_where_both_sides_or_the_lower_one_are_watched() {
        let mut low = judged(80.0);
        low.score.value = 50.0;
        assert_eq!(failing(&rule(), low, None), [GateName::Direction, GateName::Sustained]);
        assert_eq!(failing(&Rule { direction: Direction::Below, ..rule() }, low, None), []);
        assert_eq!(failing(&Rule { direction: Direction::Both, ..rule() }, low, None), []);
    }

    #[test]
    fn an_episode_closes_after_three_buckets_below_half_of_its_opening_score() {
        assert_eq!(play(&rule(), &[80.0, 39.0, 39.0, 40.0, 39.0, 39.0, 39.0, 39.0]), "O.....C.");
        assert_eq!(play(&rule(), &[59.0, 80.0, 0.0, 0.0, 0.0]), ".O..C");
    }

    #[test]
    fn an_episode_ends_with_its_last_anomalous_bucket_and_counts_those() {
        let mut tracker = Tracker::default();
        let mut last = None;
        for (bucket, score) in (0i64..).zip([80.0, 45.0, 85.0, 45.0, 10.0, 10.0, 10.0]) {
            last = judge(&rule(), &mut tracker, at(bucket), &[judged(score)], None).events.pop().or(last);
        }
        let Some(Event::Closed(episode)) = last else { panic!("{last:?}") };
        assert_eq!((episode.start, episode.end, episode.buckets), (at(0), at(3), 2));
        assert_eq!((episode.opening_score, episode.peak.score, episode.peak.bucket), (80.0, 85.0, at(2)));
    }

    #[test]
    fn missing_buckets_close_an_episode_only_by_the_time_they_take() {
        let gap = f64::NAN;
        assert_eq!(play(&rule(), &[80.0, gap, gap, 80.0]), "O//.");
        assert_eq!(play(&rule(), &[80.0, gap, gap, gap, 80.0]), "O///C");
        assert_eq!(play(&rule(), &[80.0, 0.0, gap, 0.0]), "O./C");
        let after = [&[80.0][..], &[gap; 9], &[80.0]].concat();
        assert_eq!(play(&rule(), &after), "O/////////CO");
    }

    #[test]
    fn an_entity_that_stays_away_is_closed_by_time() {
        let mut tracker = Tracker::default();
        judge(&rule(), &mut tracker, at(0), &[judged(80.0)], None);
        let mut returning = tracker.clone();
        assert_eq!(expire(&rule(), &mut tracker, at(2)), None);
        let Some(Event::Closed(expired)) = expire(&rule(), &mut tracker, at(3)) else { panic!("still open") };
        assert_eq!(expire(&rule(), &mut tracker, at(9)), None);
        let verdict = judge(&rule(), &mut returning, at(100), &[judged(0.0)], None);
        assert_eq!(verdict.events, [Event::Closed(expired)]);
        assert_eq!(returning.closed, tracker.closed);
    }

    #[test]
    fn no_episode_opens_in_the_refractory_time() {
        let mut scores = vec![80.0, 0.0, 0.0, 0.0];
        scores.extend([100.0; 8]);
        assert_eq!(play(&rule(), &scores), "O..C......O.");
    }

    #[test]
    fn an_episode_is_told_again_when_it_gets_clearly_worse() {
        assert_eq!(play(&rule(), &[60.0, 69.0, 70.0, 79.0, 80.0, 89.0, 90.0, 98.0, 99.0, 60.0]), "O.W.W.W.W.");
        assert_eq!(play(&rule(), &[62.0, 62.0, 60.0, 62.0]), "O...");
    }

    #[test]
    fn two_of_three_buckets_open_an_episode_that_reaches_back_to_the_first() {
        let rule = Rule { sustained: (2, 3), ..rule() };
        let gap = f64::NAN;
        assert_eq!(play(&rule, &[80.0, 0.0, 0.0, 80.0, 0.0, 0.0]), "......");
        assert_eq!(play(&rule, &[80.0, gap, gap, 80.0]), ".//.");
        assert_eq!(play(&rule, &[80.0, gap, 80.0]), "./O");
        let mut tracker = Tracker::default();
        judge(&rule, &mut tracker, at(0), &[judged(90.0)], None);
        judge(&rule, &mut tracker, at(1), &[judged(5.0)], None);
        let verdict = judge(&rule, &mut tracker, at(2), &[judged(70.0)], None);
        let [Event::Opened(episode)] = &verdict.events[..] else { panic!("{:?}", verdict.events) };
        assert_eq!((episode.start, episode.end, episode.buckets), (at(0), at(3), 2));
        assert_eq!((episode.opening_score, episode.peak.score, episode.peak.bucket), (70.0, 90.0, at(0)));
        assert!(episode.gates.iter().all(|gate| gate.passed));
    }

    #[test]
    fn excluded_buckets_neither_count_nor_keep_an_episode_open() {
        let rule = Rule { sustained: (2, 3), ..rule() };
        let mut tracker = Tracker::default();
        let mut play = |bucket, excluded| judge(&rule, &mut tracker, at(bucket), &[judged(80.0)], excluded).events;
        assert!(play(0, Some("maintenance")).is_empty());
        assert!(play(1, None).is_empty());
        assert_eq!(letters(&play(2, None)), ['O']);
        assert!(play(3, Some("maintenance")).is_empty());
        assert!(play(4, Some("maintenance")).is_empty());
        assert_eq!(letters(&play(5, Some("maintenance"))), ['C']);
    }

    #[test]
    fn a_deviation_too_small_to_matter_does_not_keep_an_episode_open() {
        let rule = Rule { min_dev: Some(40.0), ..rule() };
        let mut small = judged(100.0);
        small.score.value = 101.0;
        let mut tracker = Tracker::default();
        judge(&rule, &mut tracker, at(0), &[judged(80.0)], None);
        let last = (1..=3).map(|bucket| judge(&rule, &mut tracker, at(bucket), &[small], None)).last().unwrap();
        assert_eq!(letters(&last.events), ['C']);
    }

    #[test]
    fn the_feature_with_the_highest_score_that_passes_drives() {
        let rule = Rule { features: ["a", "b", "c"].map(str::to_owned).into(), min_value: Some(100.0), ..rule() };
        let idle = Judged { volume: 1.0, ..judged(100.0) };
        let verdict = explain(&rule, &Tracker::default(), at(0), &[judged(60.0), judged(80.0), idle], None);
        assert!(verdict.finding);
        assert_eq!(verdict.feature, 1);
        let shares: Vec<f64> = verdict.readings.iter().map(|reading| reading.contribution).collect();
        assert_eq!(shares, [0.25, 80.0 / 240.0, 100.0 / 240.0]);
        let quiet = explain(&rule, &Tracker::default(), at(0), &[judged(0.0), judged(0.0)], None);
        assert_eq!(quiet.readings.iter().map(|reading| reading.contribution).sum::<f64>(), 1.0);
    }

    #[test]
    fn a_bucket_without_features_is_a_bucket_without_data() {
        let mut tracker = Tracker::default();
        assert_eq!(judge(&rule(), &mut tracker, at(0), &[], None), Verdict::default());
        let verdict = explain(&rule(), &tracker, at(1), &[], None);
        assert_eq!(verdict.gates[0].value, "no_data");
        assert!(!verdict.finding);
    }

    #[test]
    fn nothing_is_written_out_where_nothing_is_near_a_finding() {
        let mut tracker = Tracker::default();
        let verdict = judge(&rule(), &mut tracker, at(0), &[judged(29.9)], None);
        assert!(verdict.gates.is_empty() && verdict.readings.is_empty());
        assert_eq!(judge(&rule(), &mut tracker, at(1), &[judged(30.0)], None).gates.len(), 9);
        assert_eq!(explain(&rule(), &tracker, at(2), &[judged(0.0)], None).gates.len(), 9);
    }

    #[test]
    fn a_bucket_that_was_judged_before_changes_nothing() {
        let mut tracker = Tracker::default();
        judge(&rule(), &mut tracker, at(5), &[judged(80.0)], None);
        let before = tracker.clone();
        for bucket in [5, 4, -100] {
            let verdict = judge(&rule(), &mut tracker, at(bucket), &[judged(100.0)], None);
            assert!(verdict.events.is_empty() && verdict.open);
        }
        assert_eq!(tracker, before);
    }

    #[test]
    fn numbers_that_are_none_and_times_at_the_end_of_time_do_no_harm() {
        let odd = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -1.0, 1e300];
        for score in odd {
            let mut judged = judged(score);
            (judged.score.value, judged.score.expected, judged.volume) = (score, -score, score);
            let mut tracker = Tracker::default();
            for bucket in [Time(i64::MIN), Time::MIN, Time(0), Time::MAX, Time(i64::MAX)] {
                let rule = Rule { sustained: (0, 0), bucket: Period(0), min_dev: Some(score), ..rule() };
                judge(&rule, &mut tracker, bucket, &[judged, judged], None);
                let rule = Rule { sustained: (u32::MAX, u32::MAX), bucket: Period(i64::MAX), ..rule };
                assert!(!explain(&rule, &tracker, bucket, &[judged], None).gates.is_empty());
            }
        }
    }

    #[test]
    fn an_episode_with_a_feature_that_was_not_measured_can_be_stored_as_text() {
        let absent = Judged { score: Score::absent(ScoreState::NoData), volume: f64::NAN };
        let mut tracker = Tracker::default();
        judge(&rule(), &mut tracker, at(0), &[absent, judged(80.0)], None);
        let text = serde_json::to_string(&tracker).unwrap();
        let back: Tracker = serde_json::from_str(&text).unwrap();
        let peak = &back.episode().unwrap().peak;
        assert!(peak.readings[0].value.is_nan());
        assert_eq!((peak.feature, peak.readings[0].contribution, peak.readings[1].contribution), (1, 0.0, 1.0));
    }

    /// What one bucket brings: buckets since the last one, score, whether it is excluded.
    fn buckets() -> impl Strategy<Value = Vec<(i64, f64, bool)>> {
        let score = prop_oneof![3 => 0.0..100.0f64, 1 => Just(f64::NAN), 2 => 60.0..100.0f64];
        proptest::collection::vec(
            (prop_oneof![5 => Just(1i64), 1 => 0i64..12], score, prop::bool::weighted(0.1)),
            0..80,
        )
    }

    fn rules() -> impl Strategy<Value = Rule> {
        let sustained = prop::sample::select(vec![(1, 1), (2, 3), (2, 2), (3, 5)]);
        (sustained, 0i64..10).prop_map(|(sustained, refractory)| Rule {
            sustained,
            refractory: Some(rule().bucket.times(refractory)),
            ..rule()
        })
    }

    /// Judges bucket after bucket, changing the tracker by `between` before each.
    fn replay(rule: &Rule, buckets: &[(i64, f64, bool)], between: impl Fn(Tracker, usize) -> Tracker) -> Vec<Event> {
        let (mut tracker, mut bucket, mut events) = (Tracker::default(), 0, Vec::new());
        for (number, (step, score, excluded)) in buckets.iter().enumerate() {
            bucket += step;
            tracker = between(tracker, number);
            let excluded = excluded.then_some("maintenance");
            let expected = explain(rule, &tracker, at(bucket), &[judged(*score)], excluded);
            let verdict = judge(rule, &mut tracker, at(bucket), &[judged(*score)], excluded);
            assert_eq!(verdict.finding, expected.finding);
            assert_eq!(verdict.events, expected.events);
            assert_eq!(verdict.open, tracker.is_open());
            events.extend(verdict.events);
        }
        events
    }

    proptest! {
        #[test]
        fn episodes_open_and_close_in_turn_and_never_share_a_bucket(rule in rules(), buckets in buckets()) {
            let (mut open, mut end) = (false, Time::MIN);
            for event in replay(&rule, &buckets, |tracker, _| tracker) {
                let (before, after, episode) = match event {
                    Event::Opened(episode) => {
                        prop_assert!(episode.start >= end);
                        (false, true, episode)
                    }
                    Event::Worsened(episode) => (true, true, episode),
                    Event::Closed(episode) => (true, false, episode),
                };
                prop_assert_eq!(open, before);
                prop_assert!(episode.start < episode.end && episode.buckets >= rule.sustained.0);
                prop_assert!(episode.peak.score >= episode.opening_score);
                prop_assert!(episode.start <= episode.peak.bucket && episode.peak.bucket < episode.end);
                (open, end) = (after, episode.end);
            }
        }

        #[test]
        fn explaining_changes_nothing(rule in rules(), buckets in buckets()) {
            let plain = replay(&rule, &buckets, |tracker, _| tracker);
            let explained = replay(&rule, &buckets, |tracker, number| {
                let before = tracker.clone();
                assert!(!explain(&rule, &tracker, at(number as i64 * 3), &[judged(90.0)], None).gates.is_empty());
                assert_eq!(tracker, before);
                tracker
            });
            prop_assert_eq!(plain, explained);
        }

        #[test]
        fn a_tracker_that_was_stored_goes_on_as_if_it_had_not_been(rule in rules(), buckets in buckets(), cut in 0usize..80) {
            let plain = replay(&rule, &buckets, |tracker, _| tracker);
            let resumed = replay(&rule, &buckets, |tracker, number| {
                if number != cut {
                    return tracker;
                }
                let binary: Tracker = postcard::from_bytes(&postcard::to_allocvec(&tracker).unwrap()).unwrap();
                let text: Tracker = serde_json::from_str(&serde_json::to_string(&tracker).unwrap()).unwrap();
                assert_eq!(binary, text);
                binary
            });
            prop_assert_eq!(plain, resumed);
        }
    }
}
