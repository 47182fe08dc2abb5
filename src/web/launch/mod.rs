//! One run, launched by hand from the form or by a program.

pub(super) mod api;
pub(super) mod draft;
pub(super) mod form;
pub(super) mod page;
