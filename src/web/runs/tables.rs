//! The way back from a run to the tables that it is part of.

use std::sync::Arc;

use crate::experiment::{Plan, Request, Study};
use crate::store::Run;
use crate::web::AppState;
use crate::web::studies::arrangement::View;
use crate::web::studies::choice::Choice;

/// A place of a table.
pub struct Member {
    /// The study's heading, and which scale and images.
    pub table: String,
    /// The row and the columns that the run has a number for; empty for a run that others start from.
    pub place: String,
    /// The table at that row.
    pub href: String,
}

/// The places of all studies that the run fills, and the tables whose other runs start from it.
pub fn tables_of(app: &AppState, run: &Run) -> Vec<Member> {
    app.library.all().iter().flat_map(|study| members(app, study, run)).collect()
}

fn members(app: &AppState, study: &Study, run: &Run) -> Vec<Member> {
    let Some((choice, outline)) = table_of(app, study, run) else {
        return Vec::new();
    };
    let table = format!("{}, {}", study.title, choice.title());
    let href = View::default().href(&format!("/studies/{}", study.name), &choice);
    let mut members: Vec<Member> = Vec::new();
    for row in &study.rows {
        let own = || outline.cells.iter().filter(|cell| cell.run == run.id && cell.row == row.id);
        let columns = study.columns.iter().filter(|column| own().any(|cell| cell.column == column.id));
        let columns: Vec<&str> = columns.map(|column| column.title.as_str()).collect();
        if !columns.is_empty() {
            members.push(Member {
                table: table.clone(),
                place: format!("{}: {}", row.title, columns.join("; ")),
                href: format!("{href}#row-{}", row.id),
            });
        }
    }
    if members.is_empty() {
        let place = String::new();
        members.push(Member { table, place, href });
    }
    members
}

/// The table of the study, at the run's scale and on its images, that has the run, if it has it at all.
fn table_of(app: &AppState, study: &Study, run: &Run) -> Option<(Choice, Arc<Plan>)> {
    let scale = app.scale(&run.scale)?;
    let request = Request {
        data: Some(run.data.clone()),
        seeds: (run.seed >= scale.seeds).then_some(run.seed.saturating_add(1)),
        ..Request::default()
    };
    if run.seed >= request.seeds_of(study, scale) {
        return None;
    }
    // A run by hand may have a seed or images that no study takes. Others of its seed are all that it can be among.
    let seeds = run.seed..run.seed + 1;
    let outline = app.outlines.of_seeds(app, study, scale, &request, seeds).ok()?;
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
    outline.runs.iter().any(|known| known.id == run.id).then_some((choice, outline))
}
