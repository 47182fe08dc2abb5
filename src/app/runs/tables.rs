//! The way back from a run to the tables that it is part of.

use std::sync::Arc;

use crate::app::Workspace;
use crate::app::studies::Choice;
use crate::experiment::{Plan, Request, Study};
use crate::store::Run;

/// A place of a table that a run has.
#[derive(Clone, Debug)]
pub struct Member {
    /// The study.
    pub study: Arc<Study>,
    /// Which of its tables.
    pub choice: Choice,
    /// The row that the run has numbers for; none for a run that others start from.
    pub row: Option<String>,
    /// The titles of the row and of the columns; empty without a row.
    pub place: String,
}

/// The places of all studies that the run fills, and the tables whose other runs start from it.
pub fn tables_of(workspace: &Workspace, run: &Run) -> Vec<Member> {
    let studies = workspace.library.all().into_iter();
    studies.flat_map(|study| members(workspace, &study, run)).collect()
}

fn members(workspace: &Workspace, study: &Arc<Study>, run: &Run) -> Vec<Member> {
    let Some((choice, plan)) = table_of(workspace, study, run) else {
        return Vec::new();
    };
    let member = |row: Option<&str>, place: String| Member {
        study: Arc::clone(study),
        choice: choice.clone(),
        row: row.map(str::to_owned),
        place,
    };
    let mut members: Vec<Member> = Vec::new();
    for row in &study.rows {
        let own = || plan.cells.iter().filter(|cell| cell.run == run.id && cell.row == row.id);
        let columns = study.columns.iter().filter(|column| own().any(|cell| cell.column == column.id));
        let columns: Vec<&str> = columns.map(|column| column.title.as_str()).collect();
        if !columns.is_empty() {
            members.push(member(Some(&row.id), format!("{}: {}", row.title, columns.join("; "))));
        }
    }
    if members.is_empty() {
        members.push(member(None, String::new()));
    }
    members
}

/// The table of the study, at the run's scale and on its dataset, that has the run, if it has it at all.
fn table_of(workspace: &Workspace, study: &Study, run: &Run) -> Option<(Choice, Arc<Plan>)> {
    let scale = workspace.scale(&run.scale)?;
    let request = Request {
        data: Some(run.data.clone()),
        seeds: (run.seed >= scale.seeds).then_some(run.seed.saturating_add(1)),
        ..Request::default()
    };
    if run.seed >= request.seeds_of(study, scale) {
        return None;
    }
    // A run by hand may have a seed or a dataset that no study takes. Others of its seed are all that it can be among.
    let seeds = run.seed..run.seed + 1;
    let plan = workspace
        .index
        .plan_of_seeds(&workspace.catalog, study, scale, &request, seeds)
        .ok()?;
    let choice = Choice {
        scale: scale.name.clone(),
        data: if run.data == scale.source() {
            String::new()
        } else {
            run.data.clone()
        },
        seeds: request.seeds.map(|seeds| seeds.to_string()).unwrap_or_default(),
        ..Choice::default()
    };
    plan.runs.iter().any(|known| known.id == run.id).then_some((choice, plan))
}
