//! `array_agg(DISTINCT x)` of groups: who was seen, as a bounded, sorted list of texts.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, ListBuilder, StringBuilder};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::{Result, not_impl_err, plan_err};
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::{
    Accumulator, AggregateUDFImpl, EmitTo, GroupsAccumulator, ReversedUDAF, Signature, Volatility,
};
use margay_core::fnv1a;
use margay_core::members::{MEMBER_BYTES_MOST, MEMBERS_MOST};

use super::single::Single;
use super::totals::each_row;
use crate::sql::functions::MEMBERS;
use crate::sql::table::is_scalar;

/// The type of a list of texts.
pub(crate) fn list_type() -> DataType {
    DataType::List(Arc::new(Field::new_list_field(DataType::Utf8, true)))
}

/// Takes the place of DataFusion's function of the same name, whose result has no bound and no order.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct Listing {
    signature: Signature,
}

impl Default for Listing {
    fn default() -> Self {
        Self { signature: Signature::user_defined(Volatility::Immutable) }
    }
}

impl AggregateUDFImpl for Listing {
    fn name(&self) -> &str {
        MEMBERS
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        match types {
            [text @ (DataType::Utf8 | DataType::Utf8View)] => Ok(vec![text.clone()]),
            [other] if is_scalar(other) => Ok(vec![DataType::Utf8]),
            [other] => plan_err!("{MEMBERS} takes a single value of each row, not {other}"),
            _ => plan_err!("{MEMBERS} takes one value, not {}", types.len()),
        }
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(list_type())
    }

    fn state_fields(&self, args: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        Ok(vec![Arc::new(Field::new(format!("{}[state]", args.name), list_type(), true))])
    }

    fn accumulator(&self, _: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        Ok(Box::new(Single(Lists::default())))
    }

    fn groups_accumulator_supported(&self, _: AccumulatorArgs) -> bool {
        true
    }

    fn create_groups_accumulator(&self, _: AccumulatorArgs) -> Result<Box<dyn GroupsAccumulator>> {
        Ok(Box::new(Lists::default()))
    }

    fn reverse_expr(&self) -> ReversedUDAF {
        ReversedUDAF::Identical
    }
}

/// Distinct texts by group, of each group those with the smallest prints: a fair sample, the same in any order of
/// the rows.
#[derive(Debug, Default)]
struct Lists {
    groups: Vec<BTreeMap<u64, Box<str>>>,
    bytes: usize,
}

impl Lists {
    fn add(&mut self, group: usize, text: &str) {
        let text = cut(text);
        let print = print(text);
        let kept = &mut self.groups[group];
        if kept.len() >= MEMBERS_MOST && kept.last_key_value().is_some_and(|(largest, _)| print > *largest) {
            return;
        }
        match kept.entry(print) {
            // Two texts of one print are as good as never seen; should they be, the smaller one stays.
            Entry::Occupied(mut same) if text < &same.get()[..] => *same.get_mut() = text.into(),
            Entry::Occupied(_) => return,
            Entry::Vacant(free) => drop(free.insert(text.into())),
        }
        self.bytes += cost(text);
        if kept.len() > MEMBERS_MOST
            && let Some((_, gone)) = kept.pop_last()
        {
            self.bytes = self.bytes.saturating_sub(cost(&gone));
        }
    }
}

/// Memory that a text takes, about.
fn cost(text: &str) -> usize {
    text.len() + 2 * size_of::<(u64, Box<str>)>()
}

/// The text, or as much of it as is kept.
fn cut(text: &str) -> &str {
    &text[..text.floor_char_boundary(MEMBER_BYTES_MOST)]
}

/// 64 bits that stand for a text: FNV-1a, mixed once more. The same in every version of everything.
fn print(text: &str) -> u64 {
    let folded = fnv1a(text);
    let mixed = (folded ^ (folded >> 32)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed ^ (mixed >> 29)
}

impl GroupsAccumulator for Lists {
    fn update_batch(
        &mut self,
        values: &[ArrayRef],
        groups: &[usize],
        filter: Option<&BooleanArray>,
        group_count: usize,
    ) -> Result<()> {
        self.groups.resize(group_count, BTreeMap::new());
        let texts = if *values[0].data_type() == DataType::Utf8View {
            values[0].clone()
        } else {
            cast(&values[0], &DataType::Utf8View)?
        };
        let texts = texts.as_string_view();
        each_row(texts, groups, filter, |row, group| self.add(group, texts.value(row)));
        Ok(())
    }

    fn evaluate(&mut self, emit: EmitTo) -> Result<ArrayRef> {
        let mut lists = ListBuilder::new(StringBuilder::new());
        for group in emit.take_needed(&mut self.groups) {
            let mut texts: Vec<Box<str>> = group.into_values().collect();
            texts.sort_unstable();
            for text in &texts {
                self.bytes = self.bytes.saturating_sub(cost(text));
                lists.values().append_value(text);
            }
            lists.append(true);
        }
        Ok(Arc::new(lists.finish()))
    }

    one_stage!("members are gathered in one stage");

    fn size(&self) -> usize {
        self.bytes + self.groups.capacity() * size_of::<BTreeMap<u64, Box<str>>>()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use arrow::array::StringArray;

    use super::*;

    fn listed(texts: &[String]) -> Vec<String> {
        let mut lists = Lists::default();
        let values: ArrayRef = Arc::new(StringArray::from_iter_values(texts));
        lists.update_batch(&[values], &vec![0; texts.len()], None, 1).unwrap();
        let list = lists.evaluate(EmitTo::All).unwrap();
        assert_eq!(lists.bytes, 0);
        let items = list.as_list::<i32>().value(0);
        items.as_string::<i32>().iter().map(|text| text.unwrap().to_owned()).collect()
    }

    #[test]
    fn members_are_distinct_and_sorted_and_long_ones_are_cut() {
        let long = "ä".repeat(400);
        assert_eq!(listed(&["b".to_owned(), "a".to_owned(), "b".to_owned()]), ["a", "b"]);
        assert_eq!(listed(&[long])[0].len(), MEMBER_BYTES_MOST);
    }

    #[test]
    fn of_too_many_members_the_same_ones_stay_in_any_order() {
        let mut texts: Vec<String> = (0..5000).map(|number| format!("host-{number}")).collect();
        let kept = listed(&texts);
        assert_eq!(kept.len(), MEMBERS_MOST);
        texts.reverse();
        assert_eq!(listed(&texts), kept);
    }
}
