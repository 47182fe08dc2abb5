//! `umbra data`: images before they are trained on.

use std::io;
use std::time::Duration;

use super::{catalog, find_scale, print, settings, threads};
use crate::data::{self, Cleaned, Keep};
use crate::experiment::{Request, RunSpec, Scale, Stage, Value, single_run};
use crate::settings::{Clean, Inspect, LoaderBench};

/// The method whose pretraining is measured: what an image goes through before it hardly differs between methods.
const METHOD: &str = "mae";
const DAY: Duration = Duration::from_secs(24 * 3600);

/// Says what a source has.
///
/// # Errors
/// A source that cannot be opened, or a file that cannot be written.
pub fn inspect(args: &Inspect) -> anyhow::Result<()> {
    let cache = args.data_dir.cache();
    data::inspect(
        &args.source,
        args.image_size,
        &cache,
        &args.contact_sheet,
        &mut io::stdout(),
        args.json,
    )
}

/// Measures the loader.
///
/// # Errors
/// A setting that cannot be, or a source that cannot be opened.
pub fn bench(args: &LoaderBench) -> anyhow::Result<()> {
    let run = run_of(args, &find_scale(&args.scale)?)?;
    let keep = if args.decode { Keep::Nothing } else { Keep::Small };
    let report = data::bench(&run, keep, &args.data_dir.cache(), threads(args.threads), args.seconds)?;
    print(&if args.json {
        serde_json::to_string(&report)?
    } else {
        report.to_string()
    })
}

/// Removes cache files that were not used for a while.
///
/// # Errors
/// A folder or file that cannot be read or removed.
pub fn clean(args: &Clean) -> anyhow::Result<()> {
    let cache = args.data_dir.cache();
    let Cleaned { caches, bytes } = data::clean(&cache, DAY * args.days)?;
    print(&format!(
        "removed {caches} data sets, {:.1} MiB, from {}",
        bytes as f64 / f64::from(1 << 20),
        cache.display()
    ))
}

/// The run whose loader is measured.
fn run_of(args: &LoaderBench, scale: &Scale) -> anyhow::Result<RunSpec> {
    let catalog = catalog();
    let wanted = [("data", "image_size", args.image_size), ("train", "batch_size", args.batch)];
    let wanted = wanted.map(|(section, key, value)| value.map(|value| (section, key, Value::Int(value))));
    let request = Request {
        data: Some(args.source.clone()),
        ..Request::of(wanted.iter().flatten())
    };
    let resolve = |stage, request: &Request, parent: Option<&RunSpec>| single_run(stage, METHOD, scale, &catalog, request, 0, parent);
    let mut full = request.clone();
    for (section, keys) in settings(&args.set, &catalog)? {
        full.set.entry(section).or_default().extend(keys);
    }
    Ok(match args.stage.as_str() {
        "finetune" => resolve(Stage::Finetune, &full, Some(&resolve(Stage::Pretrain, &request, None)?))?,
        _ => resolve(Stage::Pretrain, &full, None)?,
    })
}
