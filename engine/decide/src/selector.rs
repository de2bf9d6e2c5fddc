//! Which alerts and buckets a file is about: patterns of detector, tag, log and entity.

use margay_core::Entity;
use wildmatch::WildMatch;

/// Patterns in which `*` stands for any text and `?` for any character. What is not named matches everything.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Selector {
    detectors: Vec<WildMatch>,
    tags: Vec<WildMatch>,
    logs: Vec<WildMatch>,
    entity: Vec<(String, WildMatch)>,
}

/// A detector as a selector sees it.
#[derive(Clone, Copy, Debug)]
pub struct Origin<'a> {
    /// Its name.
    pub detector: &'a str,
    /// Its tags.
    pub tags: &'a [String],
    /// The log that it reads.
    pub log: &'a str,
}

impl Selector {
    /// Of each list one pattern must match, of `entity` all: names of columns, or what remains of them without the side
    /// of the connection, with patterns of their values.
    #[must_use]
    pub fn new(detectors: &[String], tags: &[String], logs: &[String], entity: &[(String, String)]) -> Self {
        let patterns = |texts: &[String]| texts.iter().map(|text| WildMatch::new(text)).collect();
        let entity = entity.iter().map(|(column, text)| (column.clone(), WildMatch::new(text))).collect();
        Self { detectors: patterns(detectors), tags: patterns(tags), logs: patterns(logs), entity }
    }

    /// Whether it may be about alerts of the detector.
    #[must_use]
    pub fn covers_origin(&self, origin: &Origin) -> bool {
        let one_of = |patterns: &[WildMatch], texts: &[&str]| {
            patterns.is_empty() || patterns.iter().any(|pattern| texts.iter().any(|text| pattern.matches(text)))
        };
        let tags: Vec<&str> = origin.tags.iter().map(String::as_str).collect();
        one_of(&self.detectors, &[origin.detector]) && one_of(&self.tags, &tags) && one_of(&self.logs, &[origin.log])
    }

    /// Whether it is about the entity. An entity without such a column, or with null in it, is not meant.
    #[must_use]
    pub fn covers_entity(&self, entity: &Entity) -> bool {
        self.entity.iter().all(|(column, pattern)| entity.named(column).flatten().any(|value| pattern.matches(value)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(texts: &[&str]) -> Vec<String> {
        texts.iter().map(|text| (*text).to_owned()).collect()
    }

    fn entity(pairs: &[(&str, Option<&str>)]) -> Entity {
        let columns = pairs.iter().map(|(column, _)| (*column).to_owned()).collect();
        Entity::new(columns, pairs.iter().map(|(_, value)| value.map(str::to_owned)).collect())
    }

    #[test]
    fn each_list_must_match_and_an_absent_one_does() {
        let tags = texts(&["security"]);
        let origin = Origin { detector: "bytes-out", tags: &tags, log: "flows" };
        let covers = |detectors: &[&str], tags: &[&str], logs: &[&str]| {
            Selector::new(&texts(detectors), &texts(tags), &texts(logs), &[]).covers_origin(&origin)
        };
        assert!(covers(&[], &[], &[]));
        assert!(covers(&["dns-*", "bytes-*"], &["secur?ty"], &["flows"]));
        assert!(!covers(&["bytes"], &[], &[]));
        assert!(!covers(&["bytes-*"], &["performance"], &[]));
        assert!(!covers(&["bytes-*"], &[], &["dns"]));
        let untagged = Origin { tags: &[], ..origin };
        assert!(!Selector::new(&[], &texts(&["*"]), &[], &[]).covers_origin(&untagged));
    }

    #[test]
    fn an_entity_is_meant_by_its_columns_with_or_without_their_side() {
        let covers = |column: &str, pattern: &str, entity: &Entity| {
            Selector::new(&[], &[], &[], &[(column.to_owned(), pattern.to_owned())]).covers_entity(entity)
        };
        let web = entity(&[("source_namespace", Some("shop")), ("source_name_aggr", Some("web-*"))]);
        assert!(covers("source_namespace", "shop", &web));
        assert!(covers("namespace", "sh*", &web));
        assert!(covers("name_aggr", "web-*", &web));
        assert!(!covers("dest_namespace", "shop", &web));
        assert!(!covers("namespace", "sho", &web));
        assert!(!covers("namespace", "*", &entity(&[("source_namespace", None)])));
        assert!(!covers("app", "*", &web));
    }
}
