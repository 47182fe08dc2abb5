//! `umbra data`: images before they are trained on.

use std::io::{self, Write};
use std::time::{Duration, Instant};

use super::{catalog, find_scale, print, runtime, settings, threads};
use crate::app::Workspace;
use crate::app::datasets::{Datasets, KnownDataset, Unseen, known_datasets, settings_of};
use crate::data::{self, Cleaned, Keep};
use crate::experiment::settings::DataSettings;
use crate::experiment::{Request, RunSpec, Scale, Stage, Value, single_run};
use crate::settings::{Clean, DataList, Inspect, LoaderBench};

/// The method whose pretraining is measured: what an image goes through before it hardly differs between methods.
const METHOD: &str = "mae";
const DAY: Duration = Duration::from_secs(24 * 3600);

/// Says what a source has.
///
/// # Errors
/// A source that cannot be opened, or a file that cannot be written.
pub fn inspect(args: &Inspect) -> anyhow::Result<()> {
    let settings = DataSettings {
        image_size: args.image_size,
        ..settings_of(&args.source, args.label_column.as_deref().unwrap_or_default())
    };
    let mut progress = Progress::new();
    let inspection =
        Datasets::new(&args.data_dir.data_dir).inspect(&settings, &args.contact_sheet, &mut |done, total| progress.say(done, total));
    progress.end();
    let inspection = inspection?;
    print(&if args.json {
        serde_json::to_string_pretty(&inspection)?
    } else {
        inspection.to_string()
    })
}

/// Lists the data sets that were looked at.
///
/// # Errors
/// A database that cannot be read.
pub fn list(args: &DataList) -> anyhow::Result<()> {
    let (known, unseen) = runtime()?.block_on(async {
        let workspace = Workspace::open(&args.data_dir.data_dir, catalog()).await?;
        known_datasets(&workspace).await
    })?;
    if args.json {
        return print(&serde_json::to_string_pretty(
            &serde_json::json!({ "datasets": known, "unseen": unseen }),
        )?);
    }
    let mut lines = Vec::new();
    for KnownDataset { report, places, runs, .. } in &known {
        let paths = places.iter().map(|place| match &place.now {
            Some(now) => format!("{} (other images now: {now})", place.source),
            None => place.source.clone(),
        });
        let paths = paths.collect::<Vec<_>>().join(", ");
        lines.push(format!("{:32}  {paths}: {}; {runs} runs", report.id(), report.summary()));
    }
    lines.extend(
        unseen
            .iter()
            .map(|Unseen { source, runs }| format!("{:32}  {source}: not looked at yet; {runs} runs", "-")),
    );
    print(&lines.join("\n"))
}

/// How far a long look is, on the error stream.
struct Progress {
    begin: Instant,
    said: Instant,
    any: bool,
}

impl Progress {
    fn new() -> Progress {
        let now = Instant::now();
        Progress {
            begin: now,
            said: now,
            any: false,
        }
    }

    /// Says it once a second; decoding begins to count anew.
    fn say(&mut self, done: usize, total: usize) {
        if done >= total {
            self.begin = Instant::now();
        }
        if self.said.elapsed() < Duration::from_secs(1) {
            return;
        }
        self.said = Instant::now();
        self.any = true;
        let left = self.begin.elapsed().as_secs_f64() / done.max(1) as f64 * total.saturating_sub(done) as f64;
        let _ = write!(io::stderr(), "\r{done} of {total} images, about {left:.0} s left      ");
    }

    fn end(&self) {
        if self.any {
            let _ = writeln!(io::stderr());
        }
    }
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
