//! The thing that has a normal: a workload, a service, a client.

use std::fmt;
use std::sync::Arc;

use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The values of a detector's `entity` expressions, in their order. Ordered and compared by value.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Entity {
    values: Box<[Option<String>]>,
    columns: Arc<[String]>,
}

/// Prefixes that only say which side of a connection a column describes.
const SIDES: [&str; 5] = ["source_", "src_", "client_", "dest_", "host_"];

impl Entity {
    /// An entity of `columns`; missing values are null, surplus ones are dropped.
    #[must_use]
    pub fn new(columns: Arc<[String]>, values: Vec<Option<String>>) -> Self {
        let mut values = values;
        values.resize(columns.len(), None);
        Self { values: values.into(), columns }
    }

    /// Names of the columns.
    #[must_use]
    pub fn columns(&self) -> &Arc<[String]> {
        &self.columns
    }

    /// Values in the order of the columns; `None` is SQL's null.
    #[must_use]
    pub fn values(&self) -> &[Option<String>] {
        &self.values
    }

    /// The value of a column, if there is one and it is not null.
    #[must_use]
    pub fn get(&self, column: &str) -> Option<&str> {
        let at = self.columns.iter().position(|name| name == column)?;
        self.values[at].as_deref()
    }

    /// Values of the columns with this name, or with this name after the side of the connection:
    /// `namespace` finds `source_namespace` and `dest_namespace`.
    pub fn named<'a>(&'a self, name: &'a str) -> impl Iterator<Item = Option<&'a str>> {
        let columns = self.columns.iter().zip(&self.values);
        let is_meant = move |column: &str| column == name || without_side(column) == name;
        columns.filter(move |(column, _)| is_meant(column)).map(|(_, value)| value.as_deref())
    }

    /// JSON object in column order: how an entity is keyed, stored and shown to machines.
    #[must_use]
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("a map of texts is JSON")
    }

    /// What detectors of different logs have in common: column names without the side of the
    /// connection (`source_namespace`, `client_namespace` and `dest_namespace` are all
    /// `namespace`), in alphabetical order. Entities with equal identity share an incident.
    #[must_use]
    pub fn identity(&self) -> String {
        let mut parts: Vec<(&str, &str)> = self
            .columns
            .iter()
            .zip(&self.values)
            .filter_map(|(column, value)| value.as_deref().map(|value| (without_side(column), value)))
            .collect();
        parts.sort_unstable();
        serde_json::to_string(&parts).expect("pairs of texts are JSON")
    }
}

fn without_side(column: &str) -> &str {
    SIDES.iter().find_map(|side| column.strip_prefix(side)).unwrap_or(column)
}

impl fmt::Display for Entity {
    /// Values joined by `/`; null is `-`. For people: not a key, since values may hold a `/`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, value) in self.values.iter().enumerate() {
            if at > 0 {
                f.write_str("/")?;
            }
            f.write_str(value.as_deref().unwrap_or("-"))?;
        }
        Ok(())
    }
}

impl Serialize for Entity {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if !serializer.is_human_readable() {
            return (&self.columns[..], &self.values).serialize(serializer);
        }
        let mut map = serializer.serialize_map(Some(self.values.len()))?;
        for (column, value) in self.columns.iter().zip(&self.values) {
            map.serialize_entry(column, value)?;
        }
        map.end()
    }
}

impl<'de> Deserialize<'de> for Entity {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if !deserializer.is_human_readable() {
            let (columns, values) = <(Vec<String>, Vec<Option<String>>)>::deserialize(deserializer)?;
            return Ok(Self::new(columns.into(), values));
        }
        let map = serde_json::Map::deserialize(deserializer)?;
        let (columns, values): (Vec<String>, Vec<Option<String>>) =
            map.into_iter().map(|(column, value)| (column, value.as_str().map(str::to_owned))).unzip();
        Ok(Self::new(columns.into(), values))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entity(pairs: &[(&str, &str)]) -> Entity {
        Entity::new(
            pairs.iter().map(|(column, _)| (*column).to_owned()).collect(),
            pairs.iter().map(|(_, value)| Some((*value).to_owned())).collect(),
        )
    }

    #[test]
    fn json_keeps_the_order_of_the_columns_and_reads_back() {
        let shop = entity(&[("source_namespace", "shop"), ("source_name_aggr", "web-*")]);
        assert_eq!(shop.to_json(), r#"{"source_namespace":"shop","source_name_aggr":"web-*"}"#);
        assert_eq!(serde_json::from_str::<Entity>(&shop.to_json()).unwrap(), shop);
        assert_eq!(shop.to_string(), "shop/web-*");
    }

    #[test]
    fn a_workload_is_the_same_in_flows_and_in_dns() {
        let flows = entity(&[("source_namespace", "shop"), ("source_name_aggr", "web-*")]);
        let dns = entity(&[("client_name_aggr", "web-*"), ("client_namespace", "shop")]);
        assert_eq!(flows.identity(), dns.identity());
        assert_ne!(flows.identity(), entity(&[("source_namespace", "shop")]).identity());
    }
}
