//! A page of a search as its bytes: records and groups are handed on as they stand, nothing is built.

use std::collections::BTreeMap;

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
    /// Groups on it.
    pub(crate) groups: u64,
    /// The last group, as it stands: where the next page of groups begins.
    pub(crate) after: Option<String>,
    /// What else was counted, by name.
    pub(crate) counts: BTreeMap<String, u64>,
    timed_out: Option<bool>,
    failed: Option<u64>,
}

/// What a page holds, one after another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Item<'a> {
    /// A record: as it was written, and the values of it that are kept apart, each as far as it was asked for.
    Hit { source: Option<&'a [u8]>, fields: Option<&'a [u8]> },
    /// A group of records.
    Group(&'a [u8]),
}

/// Name of the aggregation whose groups are read.
pub(crate) const GROUPS: &str = "groups";

/// Reads a page, and hands each item to `visit`.
///
/// # Errors
/// The page is cut or no page at all, or not every shard took part.
pub(crate) fn read<'a>(body: &'a [u8], visit: &mut dyn FnMut(Item<'a>)) -> Result<Page, Fault> {
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
        b"aggregations" => object(cursor, &mut |key, cursor| match key {
            key if key == GROUPS.as_bytes() => groups(cursor, &mut page, visit),
            key => {
                let name = std::str::from_utf8(key).ok()?.to_owned();
                page.counts.insert(name, counted(cursor)?);
                Some(())
            }
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
fn hits<'a>(cursor: &mut Cursor<'a>, page: &mut Page, visit: &mut dyn FnMut(Item<'a>)) -> Option<()> {
    list(cursor, &mut |cursor| {
        let (mut source, mut fields, mut sort) = (None, None, None);
        object(cursor, &mut |key, cursor| {
            match key {
                b"_source" => source = Some(cursor.value().ok()?),
                b"fields" => fields = Some(cursor.value().ok()?),
                b"sort" => sort = Some(cursor.value().ok()?),
                _ => cursor.pass().ok()?,
            }
            Some(())
        })?;
        let bytes = |value: Option<Raw<'a>>| match value {
            None => Some(None),
            Some(Raw::Object(bytes)) => Some(Some(bytes)),
            Some(_) => None,
        };
        let hit = Item::Hit { source: bytes(source)?, fields: bytes(fields)? };
        if let Some(Raw::List(values)) = sort {
            page.last = Some(std::str::from_utf8(values).ok()?.to_owned());
        }
        page.hits += 1;
        visit(hit);
        Some(())
    })
}

/// The groups of an aggregation.
fn groups<'a>(cursor: &mut Cursor<'a>, page: &mut Page, visit: &mut dyn FnMut(Item<'a>)) -> Option<()> {
    object(cursor, &mut |key, cursor| match key {
        b"after_key" => {
            let Raw::Object(key) = cursor.value().ok()? else { return None };
            page.after = Some(std::str::from_utf8(key).ok()?.to_owned());
            Some(())
        }
        b"buckets" => list(cursor, &mut |cursor| {
            let Raw::Object(group) = cursor.value().ok()? else { return None };
            page.groups += 1;
            visit(Item::Group(group));
            Some(())
        }),
        _ => cursor.pass().ok(),
    })
}

/// `{"value":7}`, or `{"doc_count":7}`.
fn counted(cursor: &mut Cursor<'_>) -> Option<u64> {
    let mut found = None;
    object(cursor, &mut |key, cursor| {
        let value = cursor.value().ok()?;
        if key == b"value" || key == b"doc_count" {
            found = count(value);
        }
        Some(())
    })?;
    found
}

/// Moves through a list; `visit` moves past each element.
fn list<'a>(cursor: &mut Cursor<'a>, visit: &mut dyn FnMut(&mut Cursor<'a>) -> Option<()>) -> Option<()> {
    if !cursor.take(b'[') {
        return None;
    }
    if cursor.take(b']') {
        return Some(());
    }
    loop {
        visit(cursor)?;
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
        let page = read(body.as_bytes(), &mut |item| {
            let (Item::Hit { source: Some(text), .. } | Item::Group(text)) = item else { return };
            records.push(String::from_utf8(text.to_vec()).unwrap());
        })?;
        Ok((page, records))
    }

    const GROUPED: &str = r#"{"took":3,"timed_out":false,"_shards":{"total":2,"failed":0},"hits":{"total":{"value":3,
        "relation":"eq"},"hits":[]},"aggregations":{"v0":{"value":2},"x0":{"doc_count":1},"groups":{"after_key":{"b":1,"k0":null},"buckets":[
        {"key":{"b":0,"k0":"x"},"doc_count":2},{"key":{"b":1,"k0":null},"doc_count":1}]}}}"#;

    #[test]
    fn groups_are_handed_on_as_they_stand() {
        let (page, found) = records(GROUPED).unwrap();
        let groups = [r#"{"key":{"b":0,"k0":"x"},"doc_count":2}"#, r#"{"key":{"b":1,"k0":null},"doc_count":1}"#];
        assert_eq!(found, groups);
        assert_eq!((page.groups, page.total, page.hits), (2, Some(3), 0));
        assert_eq!(page.after.as_deref(), Some(r#"{"b":1,"k0":null}"#));
        assert_eq!(page.counts, BTreeMap::from([("v0".to_owned(), 2), ("x0".to_owned(), 1)]));
        for end in 0..GROUPED.len() {
            assert!(records(&GROUPED[..end]).is_err_and(|fault| fault.passes), "{end}");
        }
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
