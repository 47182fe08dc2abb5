//! The studies: the home page, one study with its table, numbers, exports, claims, plan and report, and custom studies.

pub(super) mod choice;
pub(super) mod claim_view;
pub(super) mod claims;
pub(super) mod custom;
pub(super) mod export;
pub(super) mod home;
pub(super) mod number;
pub(super) mod plan;
pub(super) mod report;
pub(super) mod report_figures;
pub(super) mod study;
pub(super) mod table;
