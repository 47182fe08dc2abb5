//! The commands: each reads its flags, calls the part that does the work and writes the answer.

mod claims;
mod export;
mod images;
mod listing;
mod plan;
mod serve;
mod study;

use std::io::{self, IsTerminal, Write};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use tracing_subscriber::EnvFilter;

use crate::app::Workspace;
use crate::app::datasets::Datasets;
use crate::app::launch::plan_studies;
use crate::experiment::forecast::Speed;
use crate::experiment::{Catalog, Library, Plan, Request, Scale, Study, Values, absolute};
use crate::inspect::{Inspector, serve};
use crate::run_dir::RunDir;
use crate::settings::{Bench, Command, Data, InspectServer, NamedStudies, StudyChoice, Work};
use crate::worker;
use crate::worker::WorkOptions;
use crate::{bench, device, jobs, methods};

/// Runs one command.
///
/// # Errors
/// One sentence that names the file, key or path, and what is allowed.
pub fn run(command: Command) -> anyhow::Result<ExitCode> {
    device::prepare_process();
    match command {
        Command::Serve(args) => serve::serve(args).map(|()| ExitCode::SUCCESS),
        Command::Run(args) => study::run(args),
        Command::Work(args) => work(&args),
        Command::InspectServer(args) => inspect_server(&args).map(|()| ExitCode::SUCCESS),
        Command::Export(args) => export::export(&args).map(|()| ExitCode::SUCCESS),
        Command::Features(args) => export::features(&args).map(|()| ExitCode::SUCCESS),
        Command::Reindex(args) => reindex(&args.data_dir).map(|()| ExitCode::SUCCESS),
        Command::Devices(args) => listing::devices(&args).map(|()| ExitCode::SUCCESS),
        Command::Data(Data::Inspect(args)) => images::inspect(&args).map(|()| ExitCode::SUCCESS),
        Command::Data(Data::List(args)) => images::list(&args).map(|()| ExitCode::SUCCESS),
        Command::Data(Data::Bench(args)) => images::bench(&args).map(|()| ExitCode::SUCCESS),
        Command::Data(Data::Clean(args)) => images::clean(&args).map(|()| ExitCode::SUCCESS),
        Command::Methods(args) => listing::methods(args.json).map(|()| ExitCode::SUCCESS),
        Command::Claims(args) => claims::claims(args),
        Command::Studies(args) => listing::studies(args).map(|()| ExitCode::SUCCESS),
        Command::Bench(args) => bench(&args).map(|()| ExitCode::SUCCESS),
    }
}

/// Measures the method, or all that train one after another.
fn bench(args: &Bench) -> anyhow::Result<()> {
    let trained = methods::METHODS.iter().filter(|method| method.trains).map(|method| method.name);
    let names = if args.method == "all" {
        trained.collect()
    } else {
        vec![args.method.as_str()]
    };
    for method in names {
        let report = bench::bench(&bench::BenchRequest {
            method,
            scale: &find_scale(&args.scale)?,
            set: settings(&args.set, &methods::catalog())?,
            batch: args.batch,
            steps: args.steps,
            device: &args.device,
            threads: threads(args.threads),
        })?;
        print(&if args.json {
            serde_json::to_string(&report)?
        } else {
            report.to_string()
        })?;
        if args.keep {
            let speed = Speed {
                method: report.method,
                scale: report.scale,
                device: report.device,
                images_per_second: report.images_per_second,
            };
            let data_dir = &args.data_dir.data_dir;
            speed
                .keep(data_dir)
                .with_context(|| format!("cannot write to {}", data_dir.display()))?;
        }
    }
    Ok(())
}

/// Prints an error with its causes on one line.
pub fn complain(error: &anyhow::Error) {
    let _ = writeln!(io::stderr(), "umbra: {error:#}");
}

/// Writes a line to the terminal; a closed pipe is not an error.
fn print(text: &str) -> anyhow::Result<()> {
    match writeln!(io::stdout(), "{}", text.trim_end()) {
        Err(e) if e.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => Ok(written?),
    }
}

/// Writes what happens to the error stream, which is the log of a worker.
fn start_log() {
    tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::try_from_env("UMBRA_LOG").unwrap_or_else(|_| "umbra=info".into()))
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal())
        .init();
}

fn work(args: &Work) -> anyhow::Result<ExitCode> {
    start_log();
    let options = WorkOptions {
        self_test: !args.skip_self_test,
        ..WorkOptions::new(&args.device, threads(args.threads), args.checkpoint_steps)
    };
    Ok(worker::work(&RunDir::at(&args.run_dir), &options).exit_code())
}

/// Questions come through the standard input, answers leave through the standard output.
fn inspect_server(args: &InspectServer) -> anyhow::Result<()> {
    start_log();
    device::use_threads(args.threads.max(1));
    let mut inspector = Inspector::new(&args.data_dir.data_dir);
    let idle = Duration::try_from_secs_f64(args.idle).context("--idle: it must be a number of seconds")?;
    Ok(serve(&mut inspector, io::stdin(), io::stdout().lock(), idle)?)
}

/// Opens a data directory to read from. A database that lacks runs whose directories are there is not read as if they were not.
async fn open_workspace(data_dir: &Path) -> anyhow::Result<Workspace> {
    let workspace = Workspace::open(data_dir, methods::catalog()).await?;
    let way_out = || {
        format!(
            "`umbra reindex --data-dir {}` takes them in from {}",
            data_dir.display(),
            data_dir.join("runs").display()
        )
    };
    match jobs::unindexed(&workspace.store, data_dir).await? {
        0 => {}
        n if workspace.store.known().await?.is_empty() => bail!("the database has no run, but {n} are there: {}", way_out()),
        n => complain(&anyhow!("the database lacks {n} runs that are there: {}", way_out())),
    }
    Ok(workspace)
}

fn reindex(data_dir: &Path) -> anyhow::Result<()> {
    let runtime = runtime()?;
    let jobs::Reindexed { runs, passed_over } = runtime.block_on(jobs::reindex(data_dir))?;
    for sentence in &passed_over {
        complain(&anyhow!("passed over: {sentence}"));
    }
    let others = match passed_over.len() {
        0 => String::new(),
        n => format!("; directories passed over: {n}"),
    };
    print(&format!("{runs} runs indexed from {}{others}", data_dir.join("runs").display()))
}

/// All the machine's threads unless told otherwise.
fn threads(asked: Option<usize>) -> usize {
    asked.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from))
}

fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .context("cannot start the runtime")
}

fn catalog() -> Catalog {
    methods::catalog()
}

/// The studies that were chosen with their runs, each once.
fn all_planned(named: &NamedStudies, choice: &StudyChoice, data_dir: &Path) -> anyhow::Result<Vec<(Arc<Study>, Plan)>> {
    if named.all {
        let papers = Study::built_in().into_iter().filter(Study::is_of_paper);
        let names: Vec<String> = papers.map(|study| study.name).collect();
        return plans_of(&names, choice, data_dir);
    }
    plans_of(&named.studies, choice, data_dir)
}

fn plans_of(names: &[String], choice: &StudyChoice, data_dir: &Path) -> anyhow::Result<Vec<(Arc<Study>, Plan)>> {
    let catalog = catalog();
    let request = Request {
        data: choice.data.as_deref().map(absolute),
        seeds: choice.seeds,
        set: settings(&choice.set, &catalog)?,
        fingerprints: Datasets::new(data_dir).fingerprints(),
    };
    let (library, scales) = (Library::new(data_dir), Scale::built_in());
    Ok(plan_studies(&library, &scales, &catalog, names, &choice.scale, &request)?)
}

fn find_study(library: &Library, name: &str) -> anyhow::Result<Arc<Study>> {
    // One of a person's own that cannot be read is not unknown: its fault names the file.
    let faults = || library.faults().iter().map(|fault| format!("; {fault}")).collect::<String>();
    let unknown = || format!("study `{name}` is not known: it must be one of {}{}", library.names(), faults());
    library.find(name).with_context(unknown)
}

fn find_scale(name: &str) -> anyhow::Result<Scale> {
    Ok(Scale::find(&Scale::built_in(), name)?.clone())
}

/// Reads `section.key=value` settings; the kind of each value is the setting's own.
fn settings(pairs: &[String], catalog: &Catalog) -> anyhow::Result<Values> {
    let mut values = Values::new();
    for pair in pairs {
        let (place, text) = pair
            .split_once('=')
            .with_context(|| format!("--set {pair}: it must be section.key=value"))?;
        let (section, key) = place
            .split_once('.')
            .with_context(|| format!("--set {pair}: it must be section.key=value"))?;
        let setting = catalog
            .setting(section, key)
            .with_context(|| format!("--set {place}: no such setting; `umbra methods` lists them all"))?;
        let value = setting.kind.parse(text).map_err(|e| anyhow::anyhow!("--set {place}: {e}"))?;
        values.entry(section.to_owned()).or_default().insert(key.to_owned(), value);
    }
    Ok(values)
}
