//! What an alert says about itself: how severe, how likely by chance, and its name.

use margay_core::{Entity, Time, digest};

/// A detector's severity scaled by the score, 1 to 100: `base` at a score of 100, half of it at 50.
#[must_use]
pub fn severity(base: u8, score: f64) -> u8 {
    ((f64::from(base) * score / 100.0).round() as u8).clamp(1, 100)
}

/// Episodes a week at least as extreme as `score` that a detector raises on normal data: the share of buckets that
/// score so high by chance, times its tests a week, over the buckets that an episode takes.
///
/// Method: E of `p · tests / mean episode length`, p = 10^(-score/10).
#[must_use]
pub fn expected_false_per_week(score: f64, tests_per_week: f64, mean_episode_buckets: f64) -> f64 {
    10f64.powf(-score / 10.0) * tests_per_week / mean_episode_buckets.max(1.0)
}

/// The stable name of an alert: digest of its detector, entity and first anomalous bucket.
#[must_use]
pub fn alert_id(detector: &str, entity: &Entity, start: Time) -> String {
    digest(&[detector, &entity.to_json(), &start.to_string()])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entity(value: &str) -> Entity {
        Entity::new(["name".to_owned()].into(), vec![Some(value.to_owned())])
    }

    #[test]
    fn severity_scales_with_the_score_and_stays_in_range() {
        assert_eq!(severity(80, 100.0), 80);
        assert_eq!(severity(80, 50.0), 40);
        assert_eq!(severity(80, 0.0), 1);
        assert_eq!(severity(255, 100.0), 100);
        assert_eq!(severity(80, f64::NAN), 1);
    }

    #[test]
    fn a_score_of_sixty_on_a_million_tests_is_one_false_alert() {
        assert!((expected_false_per_week(60.0, 1e6, 1.0) - 1.0).abs() < 1e-9);
        assert!((expected_false_per_week(60.0, 1e6, 4.0) - 0.25).abs() < 1e-9);
        assert_eq!(expected_false_per_week(60.0, 1e6, 0.0), expected_false_per_week(60.0, 1e6, 1.0));
    }

    #[test]
    fn an_alert_is_named_by_detector_entity_and_start() {
        let id = alert_id("bytes-out", &entity("web"), Time(0));
        assert_eq!(id, alert_id("bytes-out", &entity("web"), Time(0)));
        assert_ne!(id, alert_id("bytes-in", &entity("web"), Time(0)));
        assert_ne!(id, alert_id("bytes-out", &entity("db"), Time(0)));
        assert_ne!(id, alert_id("bytes-out", &entity("web"), Time(1)));
    }
}
