//! One run outside a study: of a stage, a method, a seed, and the run it starts from.

use std::collections::BTreeMap;

use super::catalog::{Catalog, sections};
use super::check::{check_asked, check_inherited, check_parent, check_scale, check_values};
use super::invalid::Invalid;
use super::resolve::{Layers, Request, find, resolve};
use super::run::{RunSpec, Stage};
use super::scale::Scale;
use super::schema::{Value, Values};
use super::settings::DataSettings;
use super::study::Factors;

/// Resolves one run outside a study. Its dataset is its parent's where the request does not say otherwise.
///
/// # Errors
/// The first setting that is unknown, of the wrong type, out of range or in conflict with another, or a parent that the run
/// cannot start from.
pub fn single_run(
    stage: Stage,
    method: &str,
    scale: &Scale,
    catalog: &Catalog,
    request: &Request,
    seed: u64,
    parent: Option<&RunSpec>,
) -> Result<RunSpec, Invalid> {
    check_asked("stage", stage)?;
    if stage != Stage::Pretrain || parent.is_some() {
        check_parent(stage, method, parent)?;
    }
    let method = find(catalog, method)?;
    if stage == Stage::Psnr && !method.reconstructs {
        return Err(Invalid::new(
            "stage",
            format!("{} does not reconstruct images, so it has no psnr", method.title),
        ));
    }
    check_scale(scale, catalog)?;
    check_values("", &request.set, &sections(stage, method))?;
    check_inherited(&request.set, parent)?;
    let layers = Layers {
        scale,
        dataset: &dataset_of(parent, request),
        column: &Values::new(),
        times: &Factors::new(),
        row: &Values::new(),
        here: &Values::new(),
        request,
    };
    let mut run = resolve(stage, method, seed, parent, &layers)?;
    let after = parent.map(|parent| parent.stage).filter(|stage| *stage != Stage::Pretrain);
    let after = after.map(|stage| format!("{stage} · ")).unwrap_or_default();
    let other = run
        .value("compare", "other")
        .map(ToString::to_string)
        .filter(|other| !other.is_empty());
    let with = other.map(|other| format!(" with {other}")).unwrap_or_default();
    run.label = format!("{} · {after}{stage}{with} · {} · seed {seed}", method.title, scale.name);
    run.scale = scale.name.clone();
    Ok(run)
}

/// The dataset of a child: where its parent's images are, how they are split and how many of them are used. The request may
/// change it setting by setting; of another source the parent has nothing to say, and the scale decides.
fn dataset_of(parent: Option<&RunSpec>, request: &Request) -> Values {
    let theirs = parent.and_then(|parent| parent.completed(&[DataSettings::SECTION]).remove("data"));
    let same = |data: &BTreeMap<String, Value>| {
        let source = data.get("source").map(ToString::to_string);
        request.source().is_none_or(|asked| Some(asked) == source)
    };
    theirs.filter(same).map(|data| ("data".to_owned(), data)).into_iter().collect()
}
