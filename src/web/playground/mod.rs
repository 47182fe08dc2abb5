//! What a model, or two, make of one image with patches masked.

pub(super) mod page;
pub(super) mod setup;
pub(super) mod uploads;
