//! JSON, read without building what nobody asked for.

mod cursor;
mod digits;
mod paths;
mod row;

pub(crate) use cursor::{Broken, Cursor, elements, entries, only_entry, unescape};
pub(crate) use paths::Paths;
pub(crate) use row::RowReader;
