//! Rows that whoever holds a log gathers by bucket and keys before they are read.

use crate::time::Period;

/// How rows may be gathered so that what is computed of them stays the same to the bit.
///
/// One gathered row stands for all rows of a bucket with equal keys, and lies at the start of that bucket. It has the
/// keys; in the place of each measured column its sum, or where no sum is asked for its least value; and the columns
/// that [`crate::log`] names beside them. Only rows that lie within one bucket are gathered: the share of one that
/// reaches into the next is rounded by itself, so it is read by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grouping {
    /// Length of the buckets.
    pub bucket: Period,
    /// Columns whose values matter one by one; all rows of a group have the same.
    pub keys: Vec<String>,
    /// Columns with numbers of which totals are enough, by name.
    pub measures: Vec<Measure>,
}

/// What is needed of a column's values in a group, besides how many there are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Measure {
    /// Name of the column.
    pub column: String,
    /// Whether they are added up.
    pub sum: bool,
    /// Whether the least and the greatest are needed.
    pub extremes: bool,
}

impl Grouping {
    /// Takes in what another needs of the same groups; false where its groups are others.
    pub fn join(&mut self, other: &Self) -> bool {
        if (self.bucket, &self.keys) != (other.bucket, &other.keys) {
            return false;
        }
        for measure in &other.measures {
            match self.measures.binary_search_by(|known| known.column.cmp(&measure.column)) {
                Ok(at) => {
                    self.measures[at].sum |= measure.sum;
                    self.measures[at].extremes |= measure.extremes;
                }
                Err(at) => self.measures.insert(at, measure.clone()),
            }
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measure(column: &str, sum: bool) -> Measure {
        Measure { column: column.to_owned(), sum, extremes: !sum }
    }

    #[test]
    fn groups_of_the_same_keys_are_gathered_once() {
        let one = |keys: &[&str], measures: Vec<Measure>| Grouping {
            bucket: Period::MINUTE,
            keys: keys.iter().map(|key| (*key).to_owned()).collect(),
            measures,
        };
        let mut both = one(&["a"], vec![measure("x", true)]);
        assert!(both.join(&one(&["a"], vec![measure("w", true), measure("x", false)])));
        let x = Measure { column: "x".to_owned(), sum: true, extremes: true };
        assert_eq!(both.measures, [measure("w", true), x]);
        assert!(!both.join(&one(&["a", "b"], Vec::new())));
    }
}
