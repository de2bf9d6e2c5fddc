//! Texts with a form of their own: periods, times, quantities, counts, days, zones, recurrences.

use std::str::FromStr;

use margay_core::{Period, Time};
use serde_json::Value;

use crate::calendar::{Date, Zone};
use crate::node::{Meaning, Scalar};
use crate::quantity::Quantity;
use crate::recurrence::Recurrence;
use crate::sustained::Sustained;

/// A form of text.
pub(crate) struct Form {
    /// Name of the type in the schema.
    definition: &'static str,
    /// Rule that a text without the form breaks.
    pub(crate) rule: &'static str,
    /// What is expected.
    pub(crate) what: &'static str,
    /// How it is written.
    pub(crate) hint: &'static str,
    /// Whether a number will do.
    takes_numbers: bool,
    /// Whether a text has the form.
    fits: fn(&str) -> bool,
}

const FORMS: [Form; 7] = [
    Form {
        definition: "Period",
        rule: "bad-period",
        what: "a length of time",
        hint: "numbers with the units ms, s, m, h, d or w, such as 30s, 5m, 1h30m or 4w",
        takes_numbers: false,
        fits: fits::<Period>,
    },
    Form {
        definition: "Time",
        rule: "bad-time",
        what: "a date or time",
        hint: "such as 2027-03-01, or 2027-03-01T08:00:00Z",
        takes_numbers: false,
        fits: fits::<Time>,
    },
    Form {
        definition: "Quantity",
        rule: "bad-quantity",
        what: "a quantity",
        hint: "a number, or one with the unit B, kB, MB, GB, TB, KiB, MiB, GiB, TiB, ns, us, ms, s, m, h, d or %",
        takes_numbers: true,
        fits: fits::<Quantity>,
    },
    Form {
        definition: "Sustained",
        rule: "bad-sustained",
        what: "a count of buckets",
        hint: "`n of m`, such as 2 of 3",
        takes_numbers: false,
        fits: fits::<Sustained>,
    },
    Form {
        definition: "Date",
        rule: "bad-date",
        what: "a day",
        hint: "such as 2026-12-25, from 1900 to 2099",
        takes_numbers: false,
        fits: fits::<Date>,
    },
    Form {
        definition: "Zone",
        rule: "bad-zone",
        what: "a time zone",
        hint: "as the time zone database names it, such as Europe/Berlin or UTC",
        takes_numbers: false,
        fits: fits::<Zone>,
    },
    Form {
        definition: "Recurrence",
        rule: "bad-recurrence",
        what: "a recurrence rule",
        hint: "such as FREQ=YEARLY or FREQ=MONTHLY;BYDAY=-1FR: days only, with FREQ, INTERVAL, COUNT, UNTIL, BYMONTH, \
            BYMONTHDAY, BYDAY and WKST",
        takes_numbers: false,
        fits: fits::<Recurrence>,
    },
];

/// The form of the values of a type, if it has one.
pub(crate) fn of(definition: &str) -> Option<&'static Form> {
    FORMS.iter().find(|form| form.definition == definition)
}

/// The value of a scalar that has the form.
pub(crate) fn read(form: &Form, scalar: &Scalar) -> Option<Value> {
    match scalar.meaning() {
        Meaning::Text if (form.fits)(&scalar.text) => Some(scalar.text.clone().into()),
        Meaning::Number(number) if form.takes_numbers => Some(number.into()),
        _ => None,
    }
}

fn fits<T: FromStr>(text: &str) -> bool {
    T::from_str(text).is_ok()
}
