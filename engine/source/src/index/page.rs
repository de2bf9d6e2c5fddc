//! A page of a search as its bytes: the records are handed on as they stand, nothing is built.

use super::client::{Fault, whole};
use crate::json::{Cursor, unescape};
use crate::raw::Raw;

/// What stands around the records of a page.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Page {
    /// Records on it.
    pub(crate) hits: u64,
    /// Records that the search finds in all, where it was asked to count.
    pub(crate) total: Option<u64>,
    /// The sort values of the last record, as they stand.
    pub(crate) last: Option<String>,
    /// The handle for the next page: a point in time, or a scroll.
    pub(crate) handle: Option<String>,
    timed_out: Option<bool>,
    failed: Option<u64>,
}

/// Reads a page, and hands each record to `visit`.
///
/// # Errors
/// The page is cut or no page at all, or not every shard took part.
pub(crate) fn read<'a>(body: &'a [u8], visit: &mut dyn FnMut(&'a [u8])) -> Result<Page, Fault> {
    let mut page = Page::default();
    let mut cursor = Cursor::new(body);
    let read = object(&mut cursor, &mut |key, cursor| match key {
        b"timed_out" => {
            page.timed_out = cursor.value().ok()?.bool();
            Some(())
        }
        b"_shards" => object(cursor, &mut |key, cursor| {
            let value = cursor.value().ok()?;
            if key == b"failed" {
                page.failed = count(value);
            }
            Some(())
        }),
        b"pit_id" | b"_scroll_id" => {
            page.handle = cursor.value().ok()?.text().map(Into::into);
            Some(())
        }
        b"hits" => object(cursor, &mut |key, cursor| match key {
            b"total" => total(cursor, &mut page.total),
            b"hits" => hits(cursor, &mut page, visit),
            _ => cursor.pass().ok(),
        }),
        _ => cursor.pass().ok(),
    });
    cursor.skip_space();
    if read.is_none() || !cursor.rest().is_empty() {
        return Err(Fault::passing("the answer is cut or no page of a search"));
    }
    whole(page.timed_out, page.failed)?;
    Ok(page)
}

/// The records of a list of hits.
fn hits<'a>(cursor: &mut Cursor<'a>, page: &mut Page, visit: &mut dyn FnMut(&'a [u8])) -> Option<()> {
    if !cursor.take(b'[') {
        return None;
    }
    if cursor.take(b']') {
        return Some(());
    }
    loop {
        let (mut source, mut sort) = (None, None);
        object(cursor, &mut |key, cursor| {
            match key {
                b"_source" => source = Some(cursor.value().ok()?),
                b"sort" => sort = Some(cursor.value().ok()?),
                _ => cursor.pass().ok()?,
            }
            Some(())
        })?;
        let Some(Raw::Object(record)) = source else { return None };
        if let Some(Raw::List(values)) = sort {
            page.last = Some(std::str::from_utf8(values).ok()?.to_owned());
        }
        page.hits += 1;
        visit(record);
        if cursor.take(b']') {
            return Some(());
        }
        if !cursor.take(b',') {
            return None;
        }
    }
}

/// `{"value":7,"relation":"eq"}`; an estimate is no count.
fn total(cursor: &mut Cursor<'_>, total: &mut Option<u64>) -> Option<()> {
    let (mut value, mut is_exact) = (None, false);
    object(cursor, &mut |key, cursor| {
        let raw = cursor.value().ok()?;
        match key {
            b"value" => value = count(raw),
            b"relation" => is_exact = raw == Raw::Text(b"eq"),
            _ => {}
        }
        Some(())
    })?;
    *total = value.filter(|_| is_exact);
    Some(())
}

fn count(raw: Raw<'_>) -> Option<u64> {
    raw.int().and_then(|count| u64::try_from(count).ok())
}

/// Moves through an object; `visit` moves past each value.
fn object<'a>(cursor: &mut Cursor<'a>, visit: &mut dyn FnMut(&[u8], &mut Cursor<'a>) -> Option<()>) -> Option<()> {
    if !cursor.take(b'{') {
        return None;
    }
    if cursor.take(b'}') {
        return Some(());
    }
    loop {
        cursor.skip_space();
        if cursor.peek() != Some(b'"') {
            return None;
        }
        let key = cursor.string().ok()?;
        if !cursor.take(b':') {
            return None;
        }
        match key {
            Raw::Text(key) => visit(key, cursor)?,
            Raw::Escaped(key) => visit(unescape(key).as_bytes(), cursor)?,
            _ => return None,
        }
        if cursor.take(b'}') {
            return Some(());
        }
        if !cursor.take(b',') {
            return None;
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    const PAGE: &str = r#"{"pit_id":"a+b=","took":3,"timed_out":false,"_shards":{"total":2,"successful":2,"skipped":0,
        "failed":0},"hits":{"total":{"value":2,"relation":"eq"},"max_score":null,"hits":[
        {"_index":"x","_id":"1","_score":null,"_source":{"a":"}]\"","b":[{"c":1}]},"sort":[17,"k"]},
        {"_index":"x","_id":"2","_score":null,"_source":{},"sort":[4294967298]}]}}"#;

    fn records(body: &str) -> Result<(Page, Vec<String>), Fault> {
        let mut records = Vec::new();
        let page = read(body.as_bytes(), &mut |record| records.push(String::from_utf8(record.to_vec()).unwrap()))?;
        Ok((page, records))
    }

    #[test]
    fn records_are_handed_on_as_they_stand() {
        let (page, found) = records(PAGE).unwrap();
        assert_eq!(found, [r#"{"a":"}]\"","b":[{"c":1}]}"#, "{}"]);
        assert_eq!((page.hits, page.total), (2, Some(2)));
        assert_eq!((page.last.as_deref(), page.handle.as_deref()), (Some("[4294967298]"), Some("a+b=")));
    }

    #[test]
    fn a_page_that_is_cut_anywhere_is_none() {
        for end in 0..PAGE.len() {
            assert!(records(&PAGE[..end]).is_err_and(|fault| fault.passes), "{end}");
        }
        for body in ["[]", "{}", r#"{"hits":{"hits":[{"_source":1}]}}"#, &format!("{PAGE}{PAGE}")] {
            assert!(records(body).is_err(), "{body}");
        }
    }

    #[test]
    fn failed_shards_a_timeout_and_an_estimate_are_not_taken_for_all() {
        assert!(records(&PAGE.replace(r#""failed":0"#, r#""failed":1"#)).is_err());
        assert!(records(&PAGE.replace(r#""timed_out":false"#, r#""timed_out":true"#)).is_err());
        assert!(records(&PAGE.replace(r#""timed_out":false,"#, "")).is_err());
        assert_eq!(records(&PAGE.replace(r#""eq""#, r#""gte""#)).unwrap().0.total, None);
    }
}
