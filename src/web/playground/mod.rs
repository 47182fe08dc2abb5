//! What one model, or two, make of an image with masked patches.

pub(super) mod page;
pub(super) mod setup;
pub(super) mod uploads;
