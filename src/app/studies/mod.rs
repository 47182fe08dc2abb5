//! Studies: what a person chose of one, its table, its tabs, its claims, and how long what is missing will take.

mod choice;
mod claims;
mod custom;
mod evidence;
mod expected;
mod filled;
mod index;
mod judged;
mod number;
mod sheet;
mod tabs;

pub use choice::{Choice, OF_IMAGES, TableOptions};
pub use claims::{ClaimScope, StudyClaims};
pub use custom::{DraftVerdict, SoundStudy, StudyDraft, remove};
pub use evidence::{Evidence, evidence};
pub use expected::{expected, past};
pub use filled::{Done, Filled, fill, runs_of};
pub use index::StudyIndex;
pub use judged::{JudgedClaim, Next, judge};
pub use number::{NumberDetails, SeedDetails, number};
pub use sheet::{Numbers, Sheet, sheet};
pub use tabs::{Tab, tabs, tabs_of, usual_choice, with_seeds};
