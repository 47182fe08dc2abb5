//! The figures of a report: CKA heat maps and the chart of PSNR over ratios, where runs have them.

use crate::app::report::ReportPart;
use crate::charts::Theme;
use crate::experiment::{RunId, Stage};
use crate::store::{Run, Store};
use crate::web::charts::cka_files::{Drawing, View, found};
use crate::web::charts::psnr::{scored_runs, usual_chart};
use crate::web::error::Result;

/// Pixels of a heat map, and of the chart.
const MAP: (u32, u32) = (420, 260);
const CHART: (u32, u32) = (760, 360);
/// Most lines of the chart.
const LINES: usize = 12;

/// Charts under one caption.
pub struct Figure {
    /// What they show.
    pub caption: String,
    /// SVG elements.
    pub charts: Vec<String>,
}

/// The figures of a study's finished runs.
pub async fn figures(store: &Store, part: &ReportPart) -> Result<Vec<Figure>> {
    let mut figures = Vec::new();
    let groups = groups(part, Stage::Cka);
    let maps = found(store, groups).await?;
    let drawing = Drawing::new(View::Heatmap, &maps, None);
    if !maps.is_empty() {
        figures.push(Figure {
            caption: "CKA between features of full images and of the same images with masked patches, by block and mask ratio; mean over seeds, one color scale from 0 to 1."
                .to_owned(),
            charts: maps.iter().map(|one| drawing.svg(one, MAP, Theme::Light)).collect(),
        });
    }
    let first = self::groups(part, Stage::Psnr).into_iter();
    let first: Vec<Run> = first.filter_map(|group| group.into_iter().next()).take(LINES).collect();
    if let Some(chart) = usual_chart(&scored_runs(store, first).await?, CHART) {
        figures.push(Figure {
            caption: "PSNR over the mask ratio, one seed per row, next to two untrained baselines.".to_owned(),
            charts: vec![chart],
        });
    }
    Ok(figures)
}

/// The runs of that stage, the seeds of each row and what they start from together, each once.
fn groups(part: &ReportPart, stage: Stage) -> Vec<Vec<Run>> {
    let mut groups: Vec<Vec<Run>> = Vec::new();
    let mut known: Vec<&RunId> = Vec::new();
    for row in &part.study.rows {
        for column in part.study.columns.iter().filter(|column| column.stage == stage) {
            let cells = part.plan.cells.iter().filter(|cell| cell.row == row.id && cell.column == column.id);
            let fresh: Vec<&RunId> = cells.map(|cell| &cell.run).filter(|run| !known.contains(run)).collect();
            known.extend(&fresh);
            let group: Vec<Run> = fresh.iter().filter_map(|id| part.known.get(*id).cloned()).collect();
            if !group.is_empty() {
                groups.push(group);
            }
        }
    }
    groups
}
