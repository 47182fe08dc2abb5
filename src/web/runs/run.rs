//! `/runs/{id}`: everything about one run.

use axum::extract::State;
use axum::response::IntoResponse;

use crate::app::runs::{Gallery, LoaderSpeed, Member, RunRecord, SectionView, details};
use crate::experiment::Stage;
use crate::store::{Attempt, Load, Run, Warning};
use crate::web::App;
use crate::web::charts::cka_files::{Drawing, View, charts as cka_charts, found};
use crate::web::charts::curves::{ChartView, Look, chart};
use crate::web::error::Result;
use crate::web::fields::{InPath, InQuery};
use crate::web::filters;
use crate::web::page::{Layout, Page};
use crate::web::runs::view::RunView;
use crate::web::studies::choice::table_href;

#[derive(askama::Template)]
#[template(path = "runs/run.html")]
struct RunPage {
    layout: Layout,
    run: Run,
    parent: Option<Run>,
    children: Vec<Run>,
    /// How many runs made from it restart with it.
    made: u64,
    results: Vec<(String, f64)>,
    look: Look,
    charts: Vec<ChartView>,
    /// How alike features are, in two views, if the run compared them.
    cka: Vec<ChartView>,
    galleries: Vec<Gallery>,
    warnings: Vec<Warning>,
    attempts: Vec<Attempt>,
    load: Option<Load>,
    speeds: Option<LoaderSpeed>,
    settings: Vec<SectionView>,
    /// The tables it is part of.
    tables: Vec<MemberLink>,
    log: String,
    has_model: bool,
    /// Whether it keeps a list of the images it is trained on.
    has_list: bool,
    /// Stages that can start from this run.
    next_stages: Vec<Stage>,
    commands: Vec<String>,
}

/// A place of a table, and the way there.
struct MemberLink {
    /// The study's heading, and which scale and dataset.
    table: String,
    /// The row and the columns; empty for a run that others start from.
    place: String,
    /// The table at that row.
    href: String,
}

impl MemberLink {
    fn of(member: Member) -> MemberLink {
        let href = table_href(&member.study.name, &member.choice);
        MemberLink {
            table: format!("{}, {}", member.study.title, member.choice.title()),
            place: member.place,
            href: match member.row {
                Some(row) => format!("{href}#row-{row}"),
                None => href,
            },
        }
    }
}

/// The page.
pub async fn run(State(app): App, path: InPath, InQuery(query): InQuery) -> Result<impl IntoResponse> {
    let look = Look::read(&query)?;
    let known = details(&app, &app.jobs, &path.run()?).await?;
    let RunRecord {
        run,
        children,
        results,
        warnings,
        attempts,
        ..
    } = known.record;
    let mut charts = Vec::new();
    for curves in &known.charts {
        charts.push(chart(&app, std::slice::from_ref(&run), curves, &look).await?);
    }
    let compared = found(&app.store, vec![vec![run.clone()]]).await?;
    let cka = [View::Heatmap, View::Lines].into_iter();
    let cka = cka.flat_map(|view| cka_charts(&compared, &Drawing::new(view, &compared, None)));
    Ok(Page(RunPage {
        layout: Layout::new("runs", &app),
        cka: cka.collect(),
        charts,
        look,
        run,
        parent: known.parent,
        children,
        made: known.begun_descendants,
        results,
        galleries: known.galleries,
        warnings,
        attempts,
        load: known.load,
        speeds: known.speed,
        settings: known.settings,
        tables: known.tables.into_iter().map(MemberLink::of).collect(),
        log: known.log,
        has_model: known.has_model,
        has_list: known.has_list,
        next_stages: known.next_stages,
        commands: known.commands,
    }))
}
