//! Every claim that studies make, judged on the runs of one scale and dataset.

use std::sync::Arc;

use super::{Choice, Evidence, JudgedClaim, evidence, judge};
use crate::app::{Result, Workspace};
use crate::experiment::next::seeds_to_plan;
use crate::experiment::{Invalid, Plan, Request, Scale, Study, plan};

/// Most seeds that are judged: a plan has one more, and a thousand at most.
const MOST_SEEDS: u64 = 999;

/// The scale, dataset and seeds on which claims are judged.
#[derive(Clone, Debug)]
pub struct ClaimScope<'a> {
    /// What was chosen, completed by what there is.
    pub choice: Choice,
    /// The scale.
    pub scale: &'a Scale,
    /// How many seeds are judged.
    pub seeds: u64,
    /// Whether anything was ever run there.
    pub begun: bool,
    /// All the evidence there is.
    pub evidence: Vec<Evidence>,
}

/// A study that claims anything, with its claims; or why it cannot be planned there.
pub type StudyClaims = (Arc<Study>, Result<Vec<JudgedClaim>, Invalid>);

impl<'a> ClaimScope<'a> {
    /// What the choice names; what it leaves out is where most runs are finished, and all seeds that were begun there.
    ///
    /// # Errors
    /// A field that is not allowed, or a database that cannot be read.
    pub async fn of(workspace: &'a Workspace, mut choice: Choice) -> Result<ClaimScope<'a>> {
        let all = evidence(&workspace.store).await?;
        let fits = |one: &&Evidence| {
            let known = workspace.scale(&one.scale).is_some();
            let scale = choice.scale.is_empty() || choice.scale == one.scale;
            known && scale && (choice.data.is_empty() || choice.data == one.data)
        };
        let found = all.iter().find(fits);
        if choice.scale.is_empty() {
            choice.scale = found.map_or_else(|| workspace.smallest_scale(), |one| one.scale.clone());
        }
        if let Some(found) = found.filter(|_| choice.data.is_empty()) {
            choice.data.clone_from(&found.data);
        }
        let seeds = match choice.request(&workspace.datasets)?.seeds {
            Some(seeds) => seeds.clamp(1, MOST_SEEDS),
            None => found.map_or(1, Evidence::begun),
        };
        Ok(ClaimScope {
            scale: choice.scale_in(workspace)?,
            begun: found.is_some(),
            seeds,
            choice,
            evidence: all,
        })
    }

    /// A study's runs, a seed more than those that are judged, so that they hold what is wanted next.
    fn plan(&self, workspace: &Workspace, study: &Study) -> Result<Plan, Invalid> {
        let request = Request {
            seeds: Some(seeds_to_plan(self.seeds)),
            ..self.choice.request(&workspace.datasets)?
        };
        plan(study, self.scale, &workspace.catalog, &request)
    }

    /// A study's claims.
    ///
    /// # Errors
    /// A setting that the study does not have, or a database that cannot be read.
    pub async fn judge(&self, workspace: &Workspace, study: &Study) -> Result<Vec<JudgedClaim>> {
        let plan = self.plan(workspace, study)?;
        Ok(judge(&workspace.store, study, &plan, self.seeds).await?)
    }

    /// The claims of every study that makes any. One that a person made need not be possible at every scale.
    ///
    /// # Errors
    /// A database that cannot be read.
    pub async fn judge_all(&self, workspace: &Workspace) -> Result<Vec<StudyClaims>> {
        let mut all = Vec::new();
        for study in workspace.library.all().into_iter().filter(|study| !study.claims.is_empty()) {
            let claims = match self.plan(workspace, &study) {
                Ok(plan) => Ok(judge(&workspace.store, &study, &plan, self.seeds).await?),
                Err(invalid) => Err(invalid),
            };
            all.push((study, claims));
        }
        Ok(all)
    }
}
