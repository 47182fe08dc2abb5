//! Runs: lists of them, groups with a mean, several side by side, and everything about one.

mod compared;
mod details;
mod groups;
mod list;
mod log;
mod query;
mod queue;
mod settings;
mod tables;

pub use compared::{CompareLine, different_settings, results_of, titles};
pub use details::{Gallery, LoaderSpeed, RunDetails, RunRecord, details, record};
pub use groups::{Group, group_words, groups};
pub use list::{ListChoices, RunList, list, list_choices};
pub use query::{PAGE_SIZE, RunsQuery, SORTS};
pub use queue::{Queue, queue};
pub use settings::{SectionView, SettingLine, section_views, usual};
pub use tables::{Member, tables_of};
