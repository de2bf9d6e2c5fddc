//! Features that are lists: who or what was seen in a bucket, not only how often.

/// Members kept of one feature in one bucket of an entity at most; their number is counted in full.
pub const MEMBERS_MOST: usize = 1024;
/// Bytes kept of one member at most.
pub const MEMBER_BYTES_MOST: usize = 256;

/// Lists of distinct texts, one a row, each in alphabetical order. All texts lie in one buffer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Members {
    text: String,
    /// Where each text ends.
    text_ends: Vec<usize>,
    /// How many texts there are up to the end of each row.
    row_ends: Vec<usize>,
}

impl Members {
    /// Adds a row.
    pub fn push<'a>(&mut self, row: impl IntoIterator<Item = &'a str>) {
        for text in row {
            self.text.push_str(text);
            self.text_ends.push(self.text.len());
        }
        self.row_ends.push(self.text_ends.len());
    }

    /// The texts of a row; none where there is no such row.
    pub fn row(&self, row: usize) -> impl ExactSizeIterator<Item = &str> {
        let end = self.row_ends.get(row).copied().unwrap_or(0);
        let start = if end == 0 { 0 } else { row.checked_sub(1).map_or(0, |before| self.row_ends[before]) };
        (start..end)
            .map(|at| &self.text[at.checked_sub(1).map_or(0, |before| self.text_ends[before])..self.text_ends[at]])
    }

    /// Number of rows.
    #[must_use]
    pub fn len(&self) -> usize {
        self.row_ends.len()
    }

    /// True where there is no row.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.row_ends.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_read_back_as_they_were_pushed() {
        let mut members = Members::default();
        let rows: [&[&str]; 4] = [&[], &["a", "bb"], &[], &["", "ç"]];
        rows.iter().for_each(|row| members.push(row.iter().copied()));
        for (at, row) in rows.iter().enumerate() {
            assert_eq!(members.row(at).collect::<Vec<_>>(), *row);
        }
        assert_eq!((members.len(), members.row(9).len()), (4, 0));
    }
}
