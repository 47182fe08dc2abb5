//! Data sets: which were looked at, what they have, which runs used them.

pub mod list;
pub mod one;
pub mod source;
