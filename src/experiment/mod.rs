//! What is run and compared, as plain data: settings, runs, studies, scales, tables.
//!
//! Nothing here trains, stores or serves; everything else speaks these words.

mod arrange;
pub mod catalog;
mod check;
pub mod choices;
pub mod claim;
pub mod csv;
pub mod forecast;
pub mod grid;
mod inputs;
mod invalid;
mod latex;
mod latex_text;
pub mod library;
pub mod measure;
pub mod next;
mod overlay;
pub mod renamed;
pub mod resolve;
pub mod run;
pub mod scale;
pub mod schema;
pub mod settings;
mod single_run;
pub mod statistics;
pub mod study;
pub mod table;
mod toml_file;
pub mod verdict;
pub mod views;

#[cfg(test)]
mod tests;

pub use arrange::{Arrangement, By, Order};
pub use catalog::{Alarm, Catalog, MethodInfo, Side};
pub use claim::{Claim, ClaimKind};
pub use forecast::{Past, Together};
pub use inputs::{Fingerprints, Inputs, absolute, files};
pub use latex::Caption;
pub use library::Library;
pub use measure::{Better, Measure, Unit};
pub use resolve::{Cell, Invalid, Plan, Request, plan, plan_seeds, tokenizer_of};
pub use run::{RunId, RunSpec, Stage};
pub use scale::Scale;
pub use schema::{Described, Kind, Literal, Section, Setting, Value, Values};
pub use single_run::single_run;
pub use study::{Column, Row, Study};
pub use table::Table;
pub use verdict::{Judgment, Verdict, judge};
pub use views::ViewPlan;
