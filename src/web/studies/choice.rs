//! What a person chooses of a study: the scale, the images, the number of seeds.

use std::collections::HashMap;
use std::sync::Arc;

use crate::app::launch::{LaunchError, LaunchRequest, LaunchTarget, check_source};
use crate::experiment::{Invalid, Plan, Request, RunId, Scale, Study, plan};
use crate::jobs::Submitted;
use crate::run_dir::State;
use crate::store::Run;
use crate::web::AppState;
use crate::web::fields::{Fields, query_of};

/// The choice as it was typed, so that a form can show it again.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Choice {
    /// What is wrong with it.
    pub fault: Option<Invalid>,
    /// Name of a scale.
    pub scale: String,
    /// Data source; empty is the scale's own.
    pub data: String,
    /// Number of seeds; empty is the scale's own.
    pub seeds: String,
}

impl Choice {
    /// Reads the fields `scale`, `data` and `seeds`.
    pub fn read(fields: &Fields) -> Choice {
        let field = |name: &str| fields.get(name).unwrap_or_default().to_owned();
        Choice {
            fault: None,
            scale: field("scale"),
            data: field("data"),
            seeds: field("seeds"),
        }
    }

    /// The fault at that field.
    pub fn fault_at(&self, place: &str) -> Option<&str> {
        self.fault
            .as_ref()
            .filter(|fault| fault.place == place)
            .map(|fault| fault.message.as_str())
    }

    /// The fault, if it is at none of the three fields.
    pub fn other_fault(&self) -> Option<&Invalid> {
        self.fault
            .as_ref()
            .filter(|fault| !["scale", "data.source", "seeds"].contains(&fault.place.as_str()))
    }

    /// Scale and images in a word or two.
    pub fn title(&self) -> String {
        match self.data.as_str() {
            "" | "builtin" => self.scale.clone(),
            data => format!("{}, {}", self.scale, shortened(data)),
        }
    }

    /// The images asked for, unless they are the scale's own.
    pub fn source(&self) -> Option<&str> {
        Some(self.data.as_str()).filter(|data| !data.is_empty())
    }

    /// Names and values for links and hidden fields; what is the scale's own is empty.
    pub fn pairs(&self) -> [(&'static str, String); 3] {
        [
            ("scale", self.scale.clone()),
            ("data", self.data.clone()),
            ("seeds", self.seeds.clone()),
        ]
    }

    /// The same as a query.
    pub fn query(&self) -> String {
        query_of(self.pairs())
    }

    /// Launches these studies.
    ///
    /// # Errors
    /// The first field or setting that is not allowed, or a queue that does not take the runs.
    pub async fn launch(&self, app: &AppState, names: Vec<String>, priority: i64) -> Result<Submitted, LaunchError> {
        let Request { data, seeds, set } = self.request()?;
        let request = LaunchRequest {
            target: LaunchTarget::Studies { names, seeds },
            scale: self.scale.clone(),
            data,
            set,
            priority,
        };
        Ok(app.launcher().launch(&request).await?.submitted)
    }

    /// Refuses images that are not there.
    ///
    /// # Errors
    /// A path at which nothing is.
    pub fn check_source(&self) -> Result<(), Invalid> {
        self.source().map_or(Ok(()), check_source)
    }

    /// The wishes it stands for.
    ///
    /// # Errors
    /// A number of seeds that is none.
    pub fn request(&self) -> Result<Request, Invalid> {
        let seeds = match self.seeds.as_str() {
            "" => None,
            text => Some(
                text.parse()
                    .map_err(|_| Invalid::new("seeds", format!("`{text}` is not a whole number from 1 to 1000")))?,
            ),
        };
        Ok(Request {
            data: self.source().map(str::to_owned),
            seeds,
            ..Request::default()
        })
    }

    /// The runs it stands for.
    ///
    /// # Errors
    /// The first field or setting that is not allowed.
    pub fn plan(&self, app: &AppState, study: &Study) -> Result<Plan, Invalid> {
        plan(study, self.scale_of(app)?, &app.catalog, &self.request()?)
    }

    /// The same runs by name, which are at hand if they were asked for before.
    ///
    /// # Errors
    /// As [`Choice::plan`].
    pub fn outline(&self, app: &AppState, study: &Study) -> Result<Arc<Plan>, Invalid> {
        app.outlines.of(app, study, self.scale_of(app)?, &self.request()?)
    }

    /// The scale it names.
    ///
    /// # Errors
    /// A name that no scale has.
    pub fn scale_of<'a>(&self, app: &'a AppState) -> Result<&'a Scale, Invalid> {
        Scale::find(&app.scales, &self.scale)
    }
}

/// The end of a path, which is what tells paths apart.
pub fn shortened(data: &str) -> String {
    let name = data.trim_end_matches('/').rsplit('/').next().unwrap_or_default();
    name.chars().take(24).collect()
}

/// How far a plan is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Done {
    /// Runs that are finished.
    pub finished: u64,
    /// Runs that were ever queued.
    pub known: u64,
    /// Runs in all.
    pub total: u64,
}

impl Done {
    /// Counts the plan's runs by where they stand.
    pub fn among(plan: &Plan, states: &HashMap<RunId, State>) -> Done {
        let known = plan.runs.iter().filter_map(|run| states.get(&run.id));
        Done {
            finished: known.clone().filter(|state| **state == State::Finished).count() as u64,
            known: known.count() as u64,
            total: plan.runs.len() as u64,
        }
    }

    /// Counts the plan's runs.
    pub fn of(plan: &Plan, runs: &HashMap<RunId, Run>) -> Done {
        let finished = runs.values().filter(|run| run.state == State::Finished).count();
        Done {
            finished: finished as u64,
            known: runs.len() as u64,
            total: plan.runs.len() as u64,
        }
    }
}
