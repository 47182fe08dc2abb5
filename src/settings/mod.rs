//! Flags and environment variables, in one place.

mod bench;
mod claims;
mod data;

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

pub use bench::Bench;
pub use claims::{ClaimChoice, ClaimOrder, Claims, NextRuns};
pub use data::{Clean, Data, DataList, Inspect, LoaderBench};

/// Launch, watch and compare self-supervised pretraining of Vision Transformers.
#[derive(Debug, Parser)]
#[command(name = "umbra", version, about, max_term_width = 100)]
pub struct Cli {
    /// The command.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Start the server: web pages, the queue and its workers.
    Serve(Serve),
    /// Run studies without a server: progress bars, then the tables.
    Run(RunStudy),
    /// Carry out the run of one run directory; the server starts this for every run.
    Work(Work),
    /// Answer the playground's questions about models and images; the server starts this once.
    #[command(hide = true)]
    InspectServer(InspectServer),
    /// Write a study's table, a run's metrics or weights, or a report of all studies, to a file or the terminal.
    Export(Export),
    /// Extract a run's features of your own images to a safetensors file.
    Features(Features),
    /// Rebuild the database from the run directories.
    Reindex(DataDir),
    /// List the devices that can train.
    Devices(Devices),
    /// Inspect a data set, measure the loader, or clean the image cache.
    #[command(subcommand)]
    Data(Data),
    /// List the methods and their options, with default, meaning and source.
    Methods(Listing),
    /// Judge the paper's conclusions on your own runs, or list the runs that a claim needs next.
    Claims(Claims),
    /// List the studies and scales, or plan the runs of studies.
    Studies(Studies),
    /// Measure a method's training speed and memory on this machine.
    Bench(Bench),
}

/// The data directory.
#[derive(Args, Clone, Debug)]
pub struct DataDir {
    /// Directory of runs, database and image cache; created if missing.
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
    /// Devices to train on, one run at a time each: `cpu`, `gpu`, `gpu:1`, `gl` [default: the best one found]. A device that is
    /// listed twice takes two runs at a time, which often uses it better for small models.
    #[arg(long = "device", env = "UMBRA_DEVICES", value_delimiter = ',')]
    pub devices: Vec<String>,
    /// Threads per worker [default: all of the machine, divided by the number of devices].
    #[arg(long, env = "UMBRA_THREADS")]
    pub threads: Option<usize>,
    /// Memory limit of a worker in MiB; a run that exceeds it fails with that reason.
    #[arg(long, env = "UMBRA_WORKER_MEMORY")]
    pub worker_memory: Option<u64>,
    /// Seconds that a cancelled worker has to write its checkpoint before it is killed.
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
    /// Address to listen on; any but a loopback address needs a token.
    #[arg(long, env = "UMBRA_LISTEN", default_value = "127.0.0.1:8787")]
    pub listen: SocketAddr,
    /// Secret that every request must carry, as a bearer token or after login.
    #[arg(long, env = "UMBRA_TOKEN", hide_env_values = true)]
    pub token: Option<String>,
    /// Address under which people reach the server through a proxy or by a name, such as `https://umbra.example`; the scheme may
    /// be left out. May be repeated or separated by commas.
    #[arg(long = "public-url", env = "UMBRA_PUBLIC_URL", value_delimiter = ',', value_name = "URL")]
    pub public_urls: Vec<String>,
    /// Believe the headers X-Forwarded-Host and X-Forwarded-Proto; only behind a proxy that sets both itself.
    #[arg(long, env = "UMBRA_TRUST_FORWARDED", value_parser = clap::builder::FalseyValueParser::new())]
    pub trust_forwarded: bool,
    /// Path below which a proxy shows the pages, such as `/umbra`.
    #[arg(long, env = "UMBRA_BASE_PATH", default_value = "", hide_default_value = true)]
    pub base_path: String,
}

/// Which runs of a study. Two commands mean the same runs only if all of these agree.
#[derive(Args, Clone, Debug)]
pub struct StudyChoice {
    /// The scale.
    #[arg(long, default_value = "smoke")]
    pub scale: String,
    /// Data set: `builtin`, a folder or an archive [default: the scale's].
    #[arg(long)]
    pub data: Option<String>,
    /// Number of seeds [default: the scale's to run, and as many as were started to export].
    #[arg(long)]
    pub seeds: Option<u64>,
    /// Change a setting of every run that has it, such as `train.epochs=5`; may be repeated.
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
    /// Print the table as JSON, or a list of tables for several studies.
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
    /// Number of threads; a CPU run is reproducible to the bit only with the same number.
    #[arg(long)]
    pub threads: Option<usize>,
    /// Steps between checkpoints [default: once a minute].
    #[arg(long, env = "UMBRA_CHECKPOINT_STEPS")]
    pub checkpoint_steps: Option<u64>,
    /// Skip the comparison of a GPU with the CPU before its first run; workers of a server read the variable.
    #[arg(long, env = "UMBRA_SKIP_SELF_TEST", value_parser = clap::builder::FalseyValueParser::new())]
    pub skip_self_test: bool,
}

/// `umbra inspect-server`
#[derive(Args, Debug)]
pub struct InspectServer {
    #[command(flatten)]
    #[expect(missing_docs, reason = "the flags are documented where they are declared")]
    pub data_dir: DataDir,
    /// Threads.
    #[arg(long, default_value_t = 1)]
    pub threads: usize,
    /// Exit after so many seconds without a question.
    #[arg(long, default_value_t = 600.0)]
    pub idle: f64,
}

/// `umbra export`
#[derive(Args, Debug)]
pub struct Export {
    /// A study's name, a run's id, or `report` for one page with all tables, claims and figures of a scale.
    pub what: String,
    /// csv, json or md; a study has latex too, and a run safetensors: its weights under timm's names.
    #[arg(long, default_value = "md", value_parser = ["csv", "json", "md", "latex", "safetensors"])]
    pub format: String,
    /// A study's columns, by id and in this order [default: all].
    #[arg(long, value_delimiter = ',')]
    pub columns: Vec<String>,
    /// Only the rows of a study whose title or id contains this text; separate alternatives by commas.
    #[arg(long, default_value = "", hide_default_value = true)]
    pub rows: String,
    /// Sort a study's rows by `row.title` or a column's id; append `.paper` for the paper's numbers.
    #[arg(long, default_value = "", hide_default_value = true)]
    pub sort: String,
    /// Sort direction [default: best first].
    #[arg(long, value_parser = ["asc", "desc"])]
    pub dir: Option<String>,
    #[command(flatten)]
    #[expect(missing_docs, reason = "the flags are documented where they are declared")]
    pub choice: StudyChoice,
    /// File to write [default: the terminal].
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
    /// Without it, the list.
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
    /// Count the runs that studies need together, those finished, and estimate how long the others take here.
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
