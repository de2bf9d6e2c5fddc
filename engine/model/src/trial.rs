//! A bench for models of members: feeds buckets, counts scores.

use margay_core::{Direction, Entity, Period, Score, Time};

use crate::distribution::{score_of_tail, tie};
use crate::{Kind, Model, Observation, Spec};

/// Scores above which null shares are counted.
const LIMITS: [f64; 3] = [20.0, 30.0, 40.0];
/// Days that are not counted, so that the model knows its entities.
const WARM_UP_DAYS: usize = 4;

/// Lists of an entity in a bucket: by number of the entity and of the bucket.
type Draw<'a, const N: usize> = &'a dyn Fn(&mut Numbers, usize, usize) -> [Vec<String>; N];

/// A model and the next bucket.
pub(crate) struct Trial {
    pub(crate) model: Model,
    pub(crate) bucket: Period,
    pub(crate) now: Time,
}

/// A stream of numbers that look random.
pub(crate) struct Numbers {
    seed: u64,
    drawn: i64,
}

impl Numbers {
    pub(crate) fn new(seed: u64) -> Self {
        Self { seed, drawn: 0 }
    }

    /// The next one, 0 to 1.
    pub(crate) fn next(&mut self) -> f64 {
        self.drawn += 1;
        tie(self.seed, 17, self.drawn)
    }

    /// One that looks drawn from the standard normal distribution.
    pub(crate) fn normal(&mut self) -> f64 {
        score_of_tail(self.next())
    }
}

impl Trial {
    pub(crate) fn new(kind: Kind, bucket: Period, features: &[&str]) -> Self {
        let features = features.iter().map(|&name| name.to_owned()).collect();
        let model = Model::new(Spec { kind, direction: Direction::Above, bucket, features, seed: 5, alone: true });
        Self { model, bucket, now: Time(1_699_920_000_000) }
    }

    /// Judges and learns one bucket, in which each entity has these lists; returns the scores of the first feature.
    pub(crate) fn feed<const N: usize>(&mut self, entities: &[[Vec<String>; N]]) -> Vec<Score> {
        let lists: Vec<Vec<Vec<&str>>> =
            entities.iter().map(|lists| lists.iter().map(|one| sorted(one)).collect()).collect();
        let values: Vec<Vec<f64>> =
            lists.iter().map(|lists| lists.iter().map(|one| one.len() as f64).collect()).collect();
        let indices: Vec<usize> = (0..entities.len()).map(|at| self.entity(at)).collect();
        let seen: Vec<Observation<'_>> = indices
            .iter()
            .zip(values.iter().zip(&lists))
            .map(|(&entity, (values, members))| Observation { entity, values, members })
            .collect();
        self.judge(&seen)
    }

    /// Judges and learns one bucket, in which each entity has this value of the one feature.
    pub(crate) fn feed_numbers(&mut self, values: &[f64]) -> Vec<Score> {
        let indices: Vec<usize> = (0..values.len()).map(|at| self.entity(at)).collect();
        let seen: Vec<Observation<'_>> =
            indices.iter().zip(values.chunks(1)).map(|(&entity, value)| Observation::numbers(entity, value)).collect();
        self.judge(&seen)
    }

    fn judge(&mut self, seen: &[Observation<'_>]) -> Vec<Score> {
        let scores: Vec<Score> = self.model.score(self.now, seen).into_iter().map(|scores| scores[0]).collect();
        let held: Vec<bool> = scores.iter().map(|score| score.score >= 60.0).collect();
        self.model.learn(self.now, seen, &held);
        self.now = self.now.plus(self.bucket);
        scores
    }

    /// What the model would name of the first entity with these lists.
    pub(crate) fn evidence<const N: usize>(&mut self, lists: &[Vec<String>; N]) -> Vec<String> {
        let members: Vec<Vec<&str>> = lists.iter().map(|one| sorted(one)).collect();
        let values: Vec<f64> = members.iter().map(|one| one.len() as f64).collect();
        let entity = self.entity(0);
        self.model.evidence(self.now, &Observation { entity, values: &values, members: &members })
    }

    /// Shares of buckets above 20, 30 and 40 on what `draw` gives for each entity and bucket.
    pub(crate) fn null<const N: usize>(&mut self, entities: usize, days: usize, draw: Draw<'_, N>) -> [f64; 3] {
        self.count(days, &mut |trial, random, at| {
            let lists: Vec<[Vec<String>; N]> = (0..entities).map(|entity| draw(random, entity, at)).collect();
            trial.feed(&lists)
        })
    }

    /// The same for a model of numbers: `draw` gives the value of each entity in a bucket.
    pub(crate) fn null_numbers(&mut self, days: usize, draw: &dyn Fn(&mut Numbers, usize) -> Vec<f64>) -> [f64; 3] {
        self.count(days, &mut |trial, random, at| {
            let values = draw(random, at);
            trial.feed_numbers(&values)
        })
    }

    fn count(&mut self, days: usize, feed: &mut dyn FnMut(&mut Self, &mut Numbers, usize) -> Vec<Score>) -> [f64; 3] {
        let mut random = Numbers::new(3);
        let a_day = Period::DAY.per(self.bucket) as usize;
        let (mut above, mut total) = ([0.0; 3], 0.0);
        for at in 0..days * a_day {
            let scores = feed(self, &mut random, at);
            if at >= WARM_UP_DAYS * a_day {
                total += scores.len() as f64;
                for (count, limit) in above.iter_mut().zip(LIMITS) {
                    *count += scores.iter().filter(|score| score.score > limit).count() as f64;
                }
            }
        }
        above.map(|count| count / total)
    }

    fn entity(&mut self, at: usize) -> usize {
        self.model.entity(&Entity::new(
            ["deployment".to_owned(), "pod".to_owned()].into(),
            vec![Some("web".to_owned()), Some(at.to_string())],
        ))
    }
}

fn sorted(list: &[String]) -> Vec<&str> {
    let mut list: Vec<&str> = list.iter().map(String::as_str).collect();
    list.sort_unstable();
    list.dedup();
    list
}
