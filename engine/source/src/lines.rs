//! Whole lines of a file or of a part of it, in blocks.

use std::io::{self, Read};

use memchr::{memchr, memrchr};

/// Bytes that are read at once. Fits the second-level cache, where they are looked at next.
const BLOCK_BYTES: usize = 256 * 1024;
/// Bytes read at once behind the end of a part, to complete its last line.
const TAIL_BYTES: usize = 4 * 1024;
/// Length of a line at which it is given up, in bytes.
pub(crate) const LINE_BYTES_MOST: usize = 16 * 1024 * 1024;

/// What comes next in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Piece<'a> {
    /// Whole lines; only the last of the file may lack its line feed.
    Lines(&'a [u8]),
    /// A line longer than [`LINE_BYTES_MOST`], passed over.
    TooLong,
}

/// Reads whole lines in blocks.
pub(crate) struct LineBlocks<R> {
    reader: R,
    buffer: Vec<u8>,
    /// Bytes of the buffer that are filled, and those of them that were handed out.
    filled: usize,
    taken: usize,
    /// Place in the file of the buffer's first byte.
    offset: u64,
    /// Lines that start here or later belong to others.
    end: u64,
    ended: bool,
}

impl<R: Read> LineBlocks<R> {
    /// All lines of a stream.
    pub(crate) fn new(reader: R) -> Self {
        Self::part(reader, 0, u64::MAX)
    }

    /// Lines that start before `end`, of a reader that stands at `offset`.
    pub(crate) fn part(reader: R, offset: u64, end: u64) -> Self {
        Self { reader, buffer: vec![0; BLOCK_BYTES], filled: 0, taken: 0, offset, end, ended: false }
    }

    /// Lines that start in `start..end`, of a file whose first `start - 1` bytes are passed.
    ///
    /// # Errors
    /// The file cannot be read.
    pub(crate) fn part_after(reader: R, start: u64, end: u64) -> io::Result<Self> {
        let mut lines = Self::part(reader, start - 1, end);
        lines.pass_line()?;
        Ok(lines)
    }

    /// The next lines; `None` at the end.
    ///
    /// # Errors
    /// The file cannot be read; a line that was begun is lost.
    pub(crate) fn next_piece(&mut self) -> io::Result<Option<Piece<'_>>> {
        self.drop_taken();
        loop {
            if self.offset >= self.end || (self.ended && self.filled == 0) {
                return Ok(None);
            }
            let cut = if self.ended { Some(self.filled) } else { self.whole_lines() };
            if let Some(cut) = cut {
                self.taken = cut;
                return Ok(Some(Piece::Lines(&self.buffer[..cut])));
            }
            if self.filled >= LINE_BYTES_MOST {
                self.taken = self.filled;
                self.pass_line()?;
                return Ok(Some(Piece::TooLong));
            }
            self.fill()?;
        }
    }

    /// Length of the whole lines at the start of the buffer that belong here.
    fn whole_lines(&self) -> Option<usize> {
        let here = &self.buffer[..self.filled];
        let left = self.end - self.offset;
        if left >= self.filled as u64 {
            return memrchr(b'\n', here).map(|at| at + 1);
        }
        let last = left as usize - 1;
        memchr(b'\n', &here[last..]).map(|at| last + at + 1)
    }

    /// Passes over the rest of a line.
    fn pass_line(&mut self) -> io::Result<()> {
        loop {
            self.drop_taken();
            if self.filled == 0 {
                self.fill()?;
            }
            match memchr(b'\n', &self.buffer[..self.filled]) {
                Some(at) => self.taken = at + 1,
                None => self.taken = self.filled,
            }
            if self.ended || self.taken > 0 && self.buffer[self.taken - 1] == b'\n' {
                self.drop_taken();
                return Ok(());
            }
        }
    }

    fn drop_taken(&mut self) {
        self.buffer.copy_within(self.taken..self.filled, 0);
        self.offset += self.taken as u64;
        self.filled -= self.taken;
        self.taken = 0;
    }

    fn fill(&mut self) -> io::Result<()> {
        let read_until = self.offset + self.filled as u64;
        let wanted = match usize::try_from(self.end.saturating_sub(read_until)) {
            Ok(0) => TAIL_BYTES,
            Ok(left) => left.min(BLOCK_BYTES),
            Err(_) => BLOCK_BYTES,
        };
        if self.filled == self.buffer.len() {
            self.buffer.resize(self.filled * 2, 0);
        }
        let space = self.buffer.len().min(self.filled + wanted);
        loop {
            match self.reader.read(&mut self.buffer[self.filled..space]) {
                Ok(count) => {
                    self.filled += count;
                    self.ended = count == 0;
                    return Ok(());
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use std::io::Cursor;

    use proptest::prelude::*;

    use super::*;

    fn gather<R: Read>(mut blocks: LineBlocks<R>, all: &mut Vec<u8>) -> usize {
        let mut too_long = 0;
        while let Some(piece) = blocks.next_piece().unwrap() {
            match piece {
                Piece::Lines(block) => all.extend_from_slice(block),
                Piece::TooLong => too_long += 1,
            }
        }
        too_long
    }

    proptest! {
        #[test]
        fn parts_add_up_to_the_file(
            lengths in prop::collection::vec(prop_oneof![9 => 0usize..50, 1 => 0usize..9000], 0..60),
            closed in any::<bool>(),
            size in 1u64..5000,
        ) {
            let mut text: Vec<u8> = Vec::new();
            for (at, length) in lengths.iter().enumerate() {
                text.extend(std::iter::repeat_n(b'a' + (at % 26) as u8, *length));
                text.push(b'\n');
            }
            if !closed {
                text.pop();
            }
            let mut all = Vec::new();
            for start in (0..text.len() as u64).step_by(size as usize) {
                let mut reader = Cursor::new(&text);
                reader.set_position(start.saturating_sub(1));
                let blocks = match start {
                    0 => LineBlocks::part(reader, 0, size),
                    start => LineBlocks::part_after(reader, start, start + size).unwrap(),
                };
                gather(blocks, &mut all);
            }
            prop_assert_eq!(all, text);
        }
    }

    #[test]
    fn a_line_beyond_the_limit_is_passed_over() {
        let long = vec![b'x'; LINE_BYTES_MOST + BLOCK_BYTES];
        let text = [b"one\n".as_slice(), &long, b"\ntwo\n", &long].concat();
        let mut all = Vec::new();
        assert_eq!(gather(LineBlocks::new(&text[..]), &mut all), 2);
        assert_eq!(all, b"one\ntwo\n");
    }
}
