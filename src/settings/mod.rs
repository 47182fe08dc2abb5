//! What the process is told: flags and environment, in one place.

mod bench;
mod claims;
mod data;

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

pub use bench::Bench;
pub use claims::{ClaimChoice, ClaimOrder, Claims, NextRuns};
pub use data::{Clean, Data, Inspect, LoaderBench};

/// Launch, watch and compare self-supervised pretraining of Vision Transformers.
#[derive(Debug, Parser)]
#[command(name = "umbra", version, about, max_term_width = 100)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The roles of the one binary.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Start the server: the page, the queue and its workers.
    Serve(Serve),
    /// Run studies without a server: progress bars, then the tables.
    Run(RunStudy),
    /// Work on one run directory until it is done; what the server starts for each run.
    Work(Work),
    /// Answer the playground's questions about models and images; what the server starts for it.
    #[command(hide = true)]
    Look(Look),
    /// Write a study's table, a run's numbers or model, or a report on a whole scale, to a file or the terminal.
    Export(Export),
    /// Write a run's features of your own images to a safetensors file.
    Features(Features),
    /// Rebuild the database from the run directories.
    Reindex(DataDir),
    /// List the devices that can train.
    Devices(Devices),
    /// Look at images before training on them.
    #[command(subcommand)]
    Data(Data),
    /// List the methods with their options, defaults, meanings and sources.
    Methods(Listing),
    /// Judge what the paper concludes on your own runs, or say what to run next for a claim.
    Claims(Claims),
    /// List the studies and scales, or plan studies.
    Studies(Studies),
    /// Measure a method's training speed and memory on this machine.
    Bench(Bench),
}

/// Where everything is kept.
#[derive(Args, Clone, Debug)]
pub struct DataDir {
    /// Directory of the runs, the database and the image cache; made if missing.
    #[arg(long, env = "UMBRA_DATA_DIR", default_value = "./umbra-data")]
    pub data_dir: PathBuf,
}

impl DataDir {
    /// The folder of the image cache.
    pub fn cache(&self) -> PathBuf {
        self.data_dir.join("cache")
    }
}

/// How workers are started.
#[derive(Args, Clone, Debug)]
pub struct Workers {
    /// Devices to train on, one run at a time each: `cpu`, `gpu`, `gpu:1`, `gl`; the best one found if left out. One named
    /// twice takes two runs at a time: small models often use a device better so.
    #[arg(long = "device", env = "UMBRA_DEVICES", value_delimiter = ',')]
    pub devices: Vec<String>,
    /// Threads of a worker; all of the machine's divided by the number of devices if left out.
    #[arg(long, env = "UMBRA_THREADS")]
    pub threads: Option<usize>,
    /// Largest memory of a worker in MiB; above it the run fails with that reason.
    #[arg(long, env = "UMBRA_WORKER_MEMORY")]
    pub worker_memory: Option<u64>,
    /// Seconds a cancelled worker has to write its checkpoint before it is killed.
    #[arg(long, default_value_t = 30)]
    pub grace: u64,
}

/// `umbra serve`
#[derive(Args, Debug)]
pub struct Serve {
    #[command(flatten)]
    #[expect(missing_docs, reason = "the flags are documented where they are declared")]
    pub data: DataDir,
    #[command(flatten)]
    #[expect(missing_docs, reason = "the flags are documented where they are declared")]
    pub workers: Workers,
    /// Address to listen on; any other than this machine's own demands a token.
    #[arg(long, env = "UMBRA_LISTEN", default_value = "127.0.0.1:8787")]
    pub listen: SocketAddr,
    /// Secret that every request must carry, as a bearer token or through the login page.
    #[arg(long, env = "UMBRA_TOKEN", hide_env_values = true)]
    pub token: Option<String>,
}

/// Which runs of a study: they are the same runs only if all of it is the same.
#[derive(Args, Clone, Debug)]
pub struct StudyChoice {
    /// The scale.
    #[arg(long, default_value = "smoke")]
    pub scale: String,
    /// The images: `builtin`, a folder or an archive; the scale's own if left out.
    #[arg(long)]
    pub data: Option<String>,
    /// How many seeds; if left out, the scale's own number to run and as many as were begun to export.
    #[arg(long)]
    pub seeds: Option<u64>,
    /// A setting for every run that has it, such as `train.epochs=5`; may be given more than once.
    #[arg(long = "set", value_name = "SECTION.KEY=VALUE")]
    pub set: Vec<String>,
}

/// Which studies.
#[derive(Args, Clone, Debug)]
pub struct NamedStudies {
    /// The studies, as `umbra studies` lists them.
    #[arg(value_name = "STUDY", required_unless_present = "all", conflicts_with = "all")]
    pub studies: Vec<String>,
    /// The paper's eight tables and its figure.
    #[arg(long)]
    pub all: bool,
}

/// `umbra run`
#[derive(Args, Debug)]
pub struct RunStudy {
    #[command(flatten)]
    #[expect(missing_docs, reason = "the flags are documented where they are declared")]
    pub named: NamedStudies,
    #[command(flatten)]
    #[expect(missing_docs, reason = "the flags are documented where they are declared")]
    pub choice: StudyChoice,
    /// Print the table as JSON; of several studies, a list of them.
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    #[expect(missing_docs, reason = "the flags are documented where they are declared")]
    pub data_dir: DataDir,
    #[command(flatten)]
    #[expect(missing_docs, reason = "the flags are documented where they are declared")]
    pub workers: Workers,
}

/// `umbra work`
#[derive(Args, Debug)]
pub struct Work {
    /// The run directory.
    pub run_dir: PathBuf,
    /// The device: `cpu`, `gpu`, `gpu:N` or `gl`.
    #[arg(long, default_value = "cpu")]
    pub device: String,
    /// Threads; a CPU run repeats exactly only with the same number.
    #[arg(long)]
    pub threads: Option<usize>,
    /// Steps between checkpoints; by time alone if left out.
    #[arg(long, env = "UMBRA_CHECKPOINT_STEPS")]
    pub checkpoint_steps: Option<u64>,
    /// Use a GPU without comparing it with the CPU before its first run; workers of a server read the variable.
    #[arg(long, env = "UMBRA_SKIP_SELF_TEST", value_parser = clap::builder::FalseyValueParser::new())]
    pub skip_self_test: bool,
}

/// `umbra look`
#[derive(Args, Debug)]
pub struct Look {
    #[command(flatten)]
    #[expect(missing_docs, reason = "the flags are documented where they are declared")]
    pub data_dir: DataDir,
    /// Threads.
    #[arg(long, default_value_t = 1)]
    pub threads: usize,
    /// Seconds without a question after which it ends.
    #[arg(long, default_value_t = 600.0)]
    pub idle: f64,
}

/// `umbra export`
#[derive(Args, Debug)]
pub struct Export {
    /// A study's name, a run's id, or `report` for a page with all tables, claims and figures of a scale.
    pub what: String,
    /// csv, json, md; for a study also latex, and for a run safetensors, its model under timm's names.
    #[arg(long, default_value = "md", value_parser = ["csv", "json", "md", "latex", "safetensors"])]
    pub format: String,
    /// A study's columns by their ids, in this order; all if left out.
    #[arg(long, value_delimiter = ',')]
    pub columns: Vec<String>,
    /// Only a study's rows with this text in their title or id; a comma stands between alternatives.
    #[arg(long, default_value = "", hide_default_value = true)]
    pub rows: String,
    /// What a study's rows are sorted by: row.title, or a column's id, with .paper after it for the paper's numbers.
    #[arg(long, default_value = "", hide_default_value = true)]
    pub sort: String,
    /// Sort upwards or downwards; without it the best come first.
    #[arg(long, value_parser = ["asc", "desc"])]
    pub dir: Option<String>,
    #[command(flatten)]
    #[expect(missing_docs, reason = "the flags are documented where they are declared")]
    pub choice: StudyChoice,
    /// Where to write; the terminal if left out.
    #[arg(long, short)]
    pub output: Option<PathBuf>,
    #[command(flatten)]
    #[expect(missing_docs, reason = "the flags are documented where they are declared")]
    pub data_dir: DataDir,
}

/// `umbra features`
#[derive(Args, Debug)]
pub struct Features {
    /// The run's id.
    pub run: String,
    /// A folder of images.
    #[arg(long)]
    pub images: PathBuf,
    /// `all`, or block numbers such as `0,5,11`.
    #[arg(long, default_value = "all")]
    pub blocks: String,
    /// The safetensors file to write.
    #[arg(long, short)]
    pub output: PathBuf,
    /// The device.
    #[arg(long, default_value = "cpu")]
    pub device: String,
    #[command(flatten)]
    #[expect(missing_docs, reason = "the flags are documented where they are declared")]
    pub data_dir: DataDir,
}

/// `umbra devices`
#[derive(Args, Debug)]
pub struct Devices {
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
    /// Ask one kind of GPU driver in this process; a broken driver may end it.
    #[arg(long, hide = true, value_parser = ["gpu", "gl"])]
    pub probe: Option<String>,
}

/// `umbra studies`
#[derive(Args, Debug)]
#[command(args_conflicts_with_subcommands = true)]
pub struct Studies {
    /// More than the list.
    #[command(subcommand)]
    pub what: Option<StudiesCommand>,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    #[expect(missing_docs, reason = "the flags are documented where they are declared")]
    pub data_dir: DataDir,
}

/// `umbra studies ...`
#[derive(Debug, Subcommand)]
pub enum StudiesCommand {
    /// Say how many runs studies need together, how many are done, and how long the others will take here.
    Plan(PlanStudies),
}

/// `umbra studies plan`
#[derive(Args, Debug)]
pub struct PlanStudies {
    #[command(flatten)]
    #[expect(missing_docs, reason = "the flags are documented where they are declared")]
    pub named: NamedStudies,
    #[command(flatten)]
    #[expect(missing_docs, reason = "the flags are documented where they are declared")]
    pub choice: StudyChoice,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    #[expect(missing_docs, reason = "the flags are documented where they are declared")]
    pub data_dir: DataDir,
}

/// `umbra methods`
#[derive(Args, Debug)]
pub struct Listing {
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}
