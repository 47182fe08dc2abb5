//! Values in a Python pickle, read by a reader that executes nothing.
//!
//! It knows the instructions for plain values, and of functions only those that make a `NumPy` array of bytes, which it
//! makes itself. Everything else is refused by name.

mod literal;
mod machine;
#[cfg(test)]
mod tests;

use std::ops::Range;

/// A place in the list of values.
pub(in crate::data::layouts) type Id = usize;

/// Bytes of a string or an array.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::data::layouts) enum Bytes {
    /// As they stand in the pickle.
    There(Range<usize>),
    /// Decoded from what stands there.
    Made(Vec<u8>),
}

/// One value.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::data::layouts) enum Value {
    /// Nothing, a truth value, or a number that is no integer: never asked for.
    Other,
    /// An integer.
    Int(i64),
    /// Bytes or text.
    Text(Bytes),
    /// A list or a tuple.
    List(Vec<Id>),
    /// A dictionary.
    Dict(Vec<(Id, Id)>),
    /// A function or a type by its name.
    Name(&'static str),
    /// The element type of an array, such as `u1`.
    Element(String),
    /// An array.
    Array {
        /// Size in each dimension.
        shape: Vec<usize>,
        /// Its elements, row by row.
        bytes: Bytes,
    },
}

/// A pickle, read.
#[derive(Debug)]
pub(in crate::data::layouts) struct Pickle<'a> {
    bytes: &'a [u8],
    values: Vec<Value>,
    root: Id,
}

impl<'a> Pickle<'a> {
    /// Reads all of `bytes`.
    pub(in crate::data::layouts) fn read(bytes: &'a [u8]) -> anyhow::Result<Pickle<'a>> {
        let (values, root) = machine::run(bytes)?;
        Ok(Pickle { bytes, values, root })
    }

    /// The value under `key` of the dictionary that the pickle is.
    pub(in crate::data::layouts) fn get(&self, key: &str) -> Option<&Value> {
        let Value::Dict(pairs) = &self.values[self.root] else { return None };
        let (_, value) = pairs.iter().rev().find(|(known, _)| self.text(*known) == Some(key.as_bytes()))?;
        Some(&self.values[*value])
    }

    /// A list of integers.
    pub(in crate::data::layouts) fn integers(&self, key: &str) -> Option<Vec<i64>> {
        let Value::List(ids) = self.get(key)? else { return None };
        let integer = |id: &Id| match self.values[*id] {
            Value::Int(value) => Some(value),
            _ => None,
        };
        ids.iter().map(integer).collect()
    }

    /// A list of texts.
    pub(in crate::data::layouts) fn texts(&self, key: &str) -> Option<Vec<String>> {
        let Value::List(ids) = self.get(key)? else { return None };
        let text = |id: &Id| self.text(*id).map(|bytes| String::from_utf8_lossy(bytes).into_owned());
        ids.iter().map(text).collect()
    }

    fn text(&self, id: Id) -> Option<&[u8]> {
        match &self.values[id] {
            Value::Text(Bytes::There(range)) => Some(&self.bytes[range.clone()]),
            Value::Text(Bytes::Made(bytes)) => Some(bytes),
            _ => None,
        }
    }
}
