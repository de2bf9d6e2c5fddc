//! The hours and days of traffic.

/// Seconds of a day.
pub(crate) const DAY_S: i64 = 86_400;

/// When a link is busy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rhythm {
    /// Customers: quiet nights, a peak after noon and one in the evening, busier weekends.
    Shop,
    /// Staff: working hours from Monday to Friday.
    Office,
    /// Machines: always the same.
    Flat,
    /// The backup: from 02:00 for about half an hour, next to nothing otherwise.
    Nightly,
}

/// Level of the quiet hours of [`Rhythm::Nightly`].
const IDLE: f64 = 0.001;
/// Length of the nightly job in minutes; its last minute falls inside a five-minute bucket.
const NIGHTLY_MINUTES: f64 = 33.0;

impl Rhythm {
    /// Share of the peak at `time` (seconds since the epoch, UTC).
    pub(crate) fn level(self, time: i64) -> f64 {
        let hour = time.rem_euclid(DAY_S) as f64 / 3600.0;
        // 1970-01-01 was a Thursday; 0 is Monday here.
        let weekday = (time.div_euclid(DAY_S) + 3).rem_euclid(7);
        let weekend = weekday >= 5;
        match self {
            Self::Flat => 1.0,
            Self::Shop => {
                (0.22 + 0.62 * bump(hour, 14.0, 4.0) + 0.5 * bump(hour, 20.0, 2.2)) * if weekend { 0.9 } else { 0.75 }
            }
            Self::Office if weekend => 0.12,
            Self::Office => 0.12 + 0.88 * bump(hour, 13.0, 3.2),
            Self::Nightly => {
                let minute = (hour - 2.0) * 60.0;
                if (0.0..NIGHTLY_MINUTES).contains(&minute) { 1.0 } else { IDLE }
            }
        }
    }
}

/// A bell of height 1 around `centre`, on the circle of 24 hours.
fn bump(hour: f64, centre: f64, width: f64) -> f64 {
    let apart = (hour - centre).abs();
    let distance = apart.min(24.0 - apart);
    (-0.5 * (distance / width).powi(2)).exp()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-11-23T00:00:00Z, a Monday.
    const MONDAY: i64 = 1_795_392_000;

    #[test]
    fn offices_rest_at_night_and_on_saturday() {
        let noon = MONDAY + 12 * 3600;
        assert!(Rhythm::Office.level(noon) > 0.8);
        assert!(Rhythm::Office.level(MONDAY + 3 * 3600) < 0.2);
        assert!(Rhythm::Office.level(noon + 5 * DAY_S) < 0.2);
    }

    #[test]
    fn the_backup_runs_at_two_every_night() {
        for day in 0..7 {
            let two = MONDAY + day * DAY_S + 2 * 3600;
            assert_eq!(Rhythm::Nightly.level(two + 60), 1.0);
            assert_eq!(Rhythm::Nightly.level(two + 40 * 60), IDLE);
        }
    }

    #[test]
    fn levels_never_pass_the_peak() {
        for minute in 0..7 * 1440 {
            for rhythm in [Rhythm::Shop, Rhythm::Office, Rhythm::Flat, Rhythm::Nightly] {
                assert!((0.0..=1.01).contains(&rhythm.level(MONDAY + minute * 60)), "{rhythm:?} {minute}");
            }
        }
    }
}
