//! The same images as several runs reconstruct them, side by side.

use crate::experiment::RunId;
use crate::experiment::measure::EXAMPLES;
use crate::run_dir::Matrix;
use crate::store::Run;
use crate::web::AppState;
use crate::web::charts::psnr::Scored;
use crate::web::error::Result;

/// Versions of an image on the sheet that the stage `psnr` draws, a row an image: original, masked, composite and error.
const VERSIONS: u64 = 4;

/// Images by run.
pub struct Examples {
    /// A name an image.
    pub images: Vec<String>,
    /// A column a run; the first also shows what is given.
    pub columns: Vec<Column>,
    /// Runs that were given other images or masks, by their titles.
    pub others: Vec<String>,
}

/// The images of one run.
pub struct Column {
    /// The run's name among the others.
    pub title: String,
    /// Its page.
    pub href: String,
    /// The sheet.
    sheet: String,
    /// Pixels of an image's side.
    side: u64,
    matrix: Matrix,
}

impl Column {
    /// One version of an image, cut out of the sheet: an SVG element, safe to put into a page.
    pub fn tile(&self, image: usize, version: u64, says: &str) -> String {
        let (side, height) = (self.side, self.side * self.matrix.rows.labels.len() as u64);
        let (x, y, width) = (version * side, image as u64 * side, VERSIONS * side);
        // The name of a class may have any character.
        let says = askama::filters::escape(says, askama::filters::Html).map_or_else(|_| String::new(), |text| text.to_string());
        format!(
            "<svg class=\"tile\" viewBox=\"{x} {y} {side} {side}\" role=\"img\" aria-label=\"{says}\"><image href=\"{}\" \
             width=\"{width}\" height=\"{height}\" image-rendering=\"pixelated\"/></svg>",
            self.sheet
        )
    }

    /// The decibels of an image: masked patches, and the composite.
    pub fn decibels(&self, image: usize) -> [Option<f64>; 2] {
        [self.matrix.mean[image][0], self.matrix.mean[image][1]]
    }
}

/// The images of those runs that were given the same as the first; `None` if it drew none.
pub async fn examples(app: &AppState, scored: &[Scored]) -> Result<Option<Examples>> {
    let ids: Vec<RunId> = scored.iter().map(|one| one.run.id.clone()).collect();
    let found = app.store.matrices(&ids, EXAMPLES.name).await?;
    let (mut columns, mut others, mut given) = (Vec::new(), Vec::new(), None);
    for one in scored {
        let Some((_, matrix)) = found.iter().find(|(id, _)| *id == one.run.id) else {
            continue;
        };
        if *given.get_or_insert_with(|| given_to(&one.run)) != given_to(&one.run) {
            others.push(one.title.clone());
            continue;
        }
        let side = one
            .run
            .spec
            .value("data", "image_size")
            .and_then(|side| side.to_string().parse().ok());
        columns.push(Column {
            title: one.title.clone(),
            href: format!("/runs/{}", one.run.id),
            sheet: format!("/runs/{}/images/0/{}.png", one.run.id, EXAMPLES.name),
            side: side.unwrap_or(1),
            matrix: matrix.clone(),
        });
    }
    let images = columns.first().map(|first: &Column| first.matrix.rows.labels.clone());
    Ok(images.map(|images| Examples { images, columns, others }))
}

/// What decides which images and masks a run was given.
fn given_to(run: &Run) -> (String, u64) {
    let setting = |section: &str, key: &str| run.spec.value(section, key).map(ToString::to_string).unwrap_or_default();
    let data = run.spec.settings.get("data").map(|data| format!("{data:?}")).unwrap_or_default();
    let shape = [setting("model", "patch_size"), setting("psnr", "mask_ratio")].join(" ");
    (format!("{data} {shape}"), run.seed)
}
