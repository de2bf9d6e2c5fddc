//! What holds for every kind, whatever the input: tests over the whole model.

#![allow(clippy::unwrap_used, reason = "tests")]

use margay_core::{Direction, Entity, Period, Score, ScoreState, Time};
use proptest::prelude::*;

use crate::{History, Kind, Limit, Model, Observation, Past, Spec};

const BUCKET: Period = Period(300_000);
const START: Time = Time(1_600_041_600_000);

fn kinds() -> Vec<Kind> {
    vec![
        Kind::Limit(Limit { above: Some(5.0), below: None }),
        Kind::Seasonal(History::default()),
        Kind::Count(History::default()),
        Kind::Ratio(History::default()),
        Kind::Latency(History::default()),
        Kind::Auto(History::default()),
    ]
}

fn model(kind: Kind, direction: Direction) -> Model {
    let features: &[&str] = match kind {
        Kind::Ratio(_) => &["hits", "total"],
        Kind::Latency(_) => &["mean", "count"],
        _ => &["value"],
    };
    let features = features.iter().map(|&name| name.to_owned()).collect();
    Model::new(Spec { kind, direction, bucket: BUCKET, features, seed: 3, alone: true })
}

fn pod(name: &str) -> Entity {
    Entity::new(["pod".to_owned()].into(), vec![Some(name.to_owned())])
}

fn at(index: usize) -> Time {
    START.plus(BUCKET.times(index as i64))
}

/// Feeds one entity, training at midnight; returns its scores of the first feature.
fn feed(model: &mut Model, rows: &[Vec<f64>]) -> Vec<Score> {
    let entity = model.entity(&pod("a"));
    let mut past = Past { entity, start: START, values: vec![Vec::new(); rows.first().map_or(1, Vec::len)] };
    let mut scores = Vec::new();
    for (index, values) in rows.iter().enumerate() {
        if index > 0 && index % 288 == 0 {
            model.adopt(model.train(at(index), std::slice::from_ref(&past)));
        }
        let seen = [Observation::numbers(entity, values)];
        scores.push(model.score(at(index), &seen)[0][0]);
        model.learn(at(index), &seen, &[false]);
        past.values.iter_mut().zip(values).for_each(|(column, &value)| column.push(value));
    }
    scores
}

/// A number in -1 to 1 that looks random.
fn noise(index: usize) -> f64 {
    2.0 * crate::distribution::tie(5, 1, index as i64) - 1.0
}

fn nightly(days: usize) -> Vec<Vec<f64>> {
    let value = |index: usize| {
        let job = if (24..28).contains(&(index % 288)) { 50.0 } else { 1.0 };
        vec![1e6 * job * (0.2 * noise(index)).exp()]
    };
    (0..288 * days).map(value).collect()
}

#[test]
fn a_nightly_job_alerts_no_more_from_the_third_day_on() {
    let mut model = model(Kind::Seasonal(History::default()), Direction::Above);
    let scores = feed(&mut model, &nightly(8));
    let worst = scores[2 * 288..].iter().map(|score| score.score).fold(0.0, f64::max);
    assert!(worst < 50.0, "{worst}");
    let quiet = scores[5 * 288..].iter().filter(|score| score.score >= 40.0).count();
    assert_eq!(quiet, 0);
}

#[test]
fn a_burst_at_noon_alerts_although_the_night_is_used_to_it() {
    for kind in [Kind::Seasonal(History::default()), Kind::Auto(History::default())] {
        let mut rows = nightly(8);
        for row in &mut rows[7 * 288 + 144..7 * 288 + 148] {
            row[0] *= 50.0;
        }
        let scores = feed(&mut model(kind.clone(), Direction::Above), &rows);
        let wanted = if matches!(kind, Kind::Seasonal(_)) { 60.0 } else { 20.0 };
        assert!(scores[7 * 288 + 144].score > wanted, "{kind:?} {:?}", scores[7 * 288 + 144]);
    }
}

#[test]
fn a_tenfold_rise_of_a_steady_value_alerts_and_a_fall_does_not_when_only_rises_are_watched() {
    for kind in [Kind::Seasonal(History::default()), Kind::Count(History::default())] {
        let steady = |index: usize| vec![(100.0 + 10.0 * noise(index)).round()];
        let mut rows: Vec<Vec<f64>> = (0..288 * 5).map(steady).collect();
        rows[1300][0] = 1000.0;
        rows[1350][0] = 5.0;
        let scores = feed(&mut model(kind.clone(), Direction::Above), &rows);
        assert!(scores[1300].score >= 60.0, "{kind:?} {:?}", scores[1300]);
        assert_eq!(scores[1350].score, 0.0, "{kind:?}");
    }
}

#[test]
fn errors_are_judged_by_their_share_and_small_numbers_do_not_alert() {
    let usual = |index: usize| vec![f64::from(u8::from(index.is_multiple_of(2))), 50.0 + (10.0 * noise(index)).round()];
    let mut rows: Vec<Vec<f64>> = (0..288 * 4).map(usual).collect();
    rows[1000] = vec![25.0, 50.0];
    rows[1050] = vec![1.0, 1.0];
    rows[1100] = vec![0.0, 0.0];
    let scores = feed(&mut model(Kind::Ratio(History::default()), Direction::Above), &rows);
    assert!(scores[1000].score >= 60.0, "{:?}", scores[1000]);
    assert!((0.2..1.5).contains(&scores[1000].expected));
    assert!(scores[1050].score < 40.0, "{:?}", scores[1050]);
    assert_eq!((scores[1100].state, scores[1100].score), (ScoreState::NoData, 0.0));
}

#[test]
fn a_lasting_shift_is_accepted_after_about_a_day_of_an_open_episode() {
    for kind in [Kind::Seasonal(History::default()), Kind::Count(History::default()), Kind::Auto(History::default())] {
        let mut model = model(kind.clone(), Direction::Above);
        let entity = model.entity(&pod("a"));
        let mut last = 0.0;
        for index in 0..288 * 6 {
            let shifted = index >= 288 * 4;
            let value = [(if shifted { 600.0 } else { 100.0 }) + (10.0 * noise(index)).round()];
            let seen = [Observation::numbers(entity, &value)];
            let score = model.score(at(index), &seen)[0][0].score;
            model.learn(at(index), &seen, &[shifted && score >= 15.0]);
            last = score;
        }
        assert!(last < 30.0, "{kind:?} {last}");
    }
}

#[test]
fn a_new_entity_warms_and_stays_quiet_in_its_first_hours() {
    for kind in kinds().into_iter().skip(1) {
        let rows: Vec<Vec<f64>> = (0..60).map(|index| vec![20.0 + (5.0 * noise(index)).round(), 100.0]).collect();
        let rows: Vec<Vec<f64>> = if kind.name() == "ratio" || kind.name() == "latency" {
            rows
        } else {
            rows.iter().map(|row| vec![row[0]]).collect()
        };
        let scores = feed(&mut model(kind.clone(), Direction::Both), &rows);
        assert!(scores.iter().all(|score| score.score < 40.0 && score.state == ScoreState::Warming), "{kind:?}");
    }
}

#[test]
fn a_constant_value_does_not_alert_and_its_end_does() {
    let mut rows = vec![vec![45.0]; 288 * 4];
    rows.push(vec![4500.0]);
    let scores = feed(&mut model(Kind::Seasonal(History::default()), Direction::Both), &rows);
    assert!(scores[..288 * 4].iter().all(|score| score.score < 5.0));
    assert!(scores[288 * 4].score > 35.0, "{:?}", scores[288 * 4]);
}

#[test]
fn a_resumed_model_gives_the_same_bits() {
    for kind in kinds() {
        let rows: Vec<Vec<f64>> = (0..700).map(|index| vec![10.0 + (5.0 * noise(index)).round(), 40.0]).collect();
        let (mut whole, mut cut) = (model(kind.clone(), Direction::Both), model(kind.clone(), Direction::Both));
        for (index, values) in rows.iter().enumerate() {
            let entity = whole.entity(&pod("a"));
            cut = postcard::from_bytes(&postcard::to_allocvec(&cut).unwrap()).unwrap();
            assert_eq!(cut.entity(&pod("a")), entity);
            let seen = [Observation::numbers(entity, values)];
            let (left, right) = (whole.score(at(index), &seen), cut.score(at(index), &seen));
            assert_eq!(format!("{left:?}"), format!("{right:?}"), "{kind:?}");
            assert_eq!(format!("{left:?}"), format!("{:?}", whole.score(at(index), &seen)), "scoring does not learn");
            whole.learn(at(index), &seen, &[false]);
            cut.learn(at(index), &seen, &[false]);
        }
        let bytes = postcard::to_allocvec(&whole).unwrap();
        assert_eq!(bytes, postcard::to_allocvec(&cut).unwrap(), "{kind:?}");
    }
}

#[test]
fn training_reads_nothing_after_its_time_and_names_what_it_learnt() {
    let mut model = model(Kind::Seasonal(History::default()), Direction::Above);
    let entity = model.entity(&pod("a"));
    let values: Vec<f64> = nightly(4).into_iter().map(|row| row[0]).collect();
    let mut later = values.clone();
    later[2 * 288..].fill(1e12);
    let until = at(2 * 288);
    let snapshot = model.train(until, &[Past { entity, start: START, values: vec![values] }]);
    assert_eq!(snapshot, model.train(until, &[Past { entity, start: START, values: vec![later] }]));
    assert_eq!(snapshot.trained_until(), until);
    let digest = snapshot.digest().to_owned();
    model.adopt(snapshot);
    assert_eq!((model.info().digest, model.info().kind.as_str()), (digest, "seasonal"));
}

fn wild() -> impl Strategy<Value = f64> {
    prop_oneof![
        4 => -5.0..50.0f64,
        1 => Just(0.0),
        1 => prop_oneof![
            Just(f64::NAN),
            Just(f64::INFINITY),
            Just(f64::NEG_INFINITY),
            Just(1e300),
            Just(-1e300),
            Just(1e-300),
            Just(f64::MAX)
        ],
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn any_values_give_scores_in_range_and_finite_expectations(
        rows in prop::collection::vec(prop::collection::vec(wild(), 2), 1..700),
        held in prop::collection::vec(any::<bool>(), 1..20),
    ) {
        for kind in kinds() {
            for direction in [Direction::Above, Direction::Below, Direction::Both] {
                let mut model = model(kind.clone(), direction);
                let entity = model.entity(&pod("a"));
                let mut past = Past { entity, start: START, values: vec![Vec::new(); 2] };
                let mut seen_any = false;
                for (index, values) in rows.iter().enumerate() {
                    if index % 200 == 199 {
                        model.adopt(model.train(at(index), std::slice::from_ref(&past)));
                    }
                    let seen = [Observation::numbers(entity, values)];
                    for score in &model.score(at(index), &seen)[0] {
                        prop_assert!((0.0..=100.0).contains(&score.score), "{kind:?} {score:?}");
                    }
                    let first = model.score(at(index), &seen)[0][0];
                    if seen_any {
                        prop_assert!(first.expected.is_finite(), "{kind:?} {first:?}");
                    }
                    model.learn(at(index), &seen, &[held[index % held.len()]]);
                    seen_any |= values[0].is_finite() && (kind.name() != "ratio" || (values[1].is_finite() && values[1] > 0.0));
                    past.values.iter_mut().zip(values).for_each(|(column, &value)| column.push(value));
                }
            }
        }
    }
}
