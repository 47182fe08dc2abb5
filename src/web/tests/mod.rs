//! The pages over a real store, filled from real run directories. Nothing listens and nothing runs:
//! requests go straight to the router, and the server has no device.

mod cka;
mod claims;
mod datasets;
mod groups;
mod guard;
mod hostile;
mod launching;
mod many;
mod own;
mod pages;
mod playground;
mod proxy;
mod psnr;
mod report;
mod tables;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::BodyExt;
use tempfile::TempDir;
use tower::ServiceExt;

use super::{AppState, GuardConfig, router};
use crate::app::Workspace;
use crate::experiment::{Plan, RunSpec, Scale, Stage, Study, plan};
use crate::jobs::{self, Jobs, JobsConfig};
use crate::methods::catalog;
use crate::run_dir::{EventKind, EventLog, Lock, RunDir};
use crate::store::Store;

/// The address that the pages under test believe they have.
pub const HOST: &str = "127.0.0.1:8787";

/// A server without devices over a data directory of its own.
pub struct Site {
    pub dir: TempDir,
    pub store: Store,
    pub jobs: Jobs,
    pub router: Router,
}

/// A whole response.
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub text: String,
}

impl Answer {
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// Where lines break makes no difference, as on a page.
    #[track_caller]
    pub fn has(&self, parts: &[&str]) {
        let text = words(&self.text);
        for part in parts {
            assert!(text.contains(&words(part)), "{part:?} is not in:\n{}", self.text);
        }
    }
}

/// What a person reads of the element of that id, up to that closing tag: a line per row, a bar between cells.
pub fn read(page: &str, id: &str, end: &str) -> String {
    let start = page
        .find(&format!("id=\"{id}\""))
        .unwrap_or_else(|| panic!("{id} is not in:\n{page}"));
    let element = page[start..].split(end).next().unwrap_or_default();
    let rows = element.replace("</td>", " |").replace("</th>", " |").replace("</p>", "</tr>");
    let row = |row: &str| {
        let pieces = row.split('<').map(|piece| piece.split_once('>').map_or(piece, |(_, text)| text));
        words(&pieces.collect::<Vec<_>>().join(" "))
    };
    // The element itself begins inside its tag.
    let rows = format!("<{rows}");
    let rows: Vec<String> = rows.split("</tr>").map(row).filter(|row| !row.is_empty()).collect();
    rows.join("\n")
}

/// Text with single blanks.
pub fn words(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

impl Site {
    /// A server over what `fill` puts into the data directory.
    pub async fn new(fill: impl FnOnce(&Path)) -> Site {
        Site::with_token(None, fill).await
    }

    pub async fn with_token(token: Option<&str>, fill: impl FnOnce(&Path)) -> Site {
        let listen: SocketAddr = HOST.parse().unwrap();
        Site::guarded(GuardConfig::new(listen, token.map(str::to_owned)), fill).await
    }

    pub async fn guarded(guard: GuardConfig, fill: impl FnOnce(&Path)) -> Site {
        let dir = tempfile::tempdir().unwrap();
        fill(dir.path());
        let config = JobsConfig {
            data_dir: dir.path().to_owned(),
            worker: PathBuf::from("no worker is ever started"),
            devices: Vec::new(),
            threads: 1,
            grace: Duration::from_secs(1),
            worker_memory: None,
        };
        let lock = jobs::lock_data_dir(dir.path()).unwrap();
        let store = Store::open(dir.path()).await.unwrap();
        let jobs = jobs::start(store.clone(), lock, config).await.unwrap();
        let router = router(AppState {
            workspace: Workspace::new(store.clone(), dir.path(), catalog()),
            jobs: jobs.clone(),
            guard,
        });
        Site { dir, store, jobs, router }
    }

    pub async fn send(&self, request: Request<Body>) -> Answer {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        Answer {
            status: parts.status,
            headers: parts.headers,
            text: String::from_utf8_lossy(&bytes).into_owned(),
        }
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.send(request(Method::GET, path, &[], "")).await
    }

    /// Sends a form as the page itself would.
    pub async fn post(&self, path: &str, form: &str) -> Answer {
        let headers = [
            ("content-type", "application/x-www-form-urlencoded"),
            ("origin", "http://127.0.0.1:8787"),
            ("sec-fetch-site", "same-origin"),
        ];
        self.send(request(Method::POST, path, &headers, form)).await
    }

    /// The page, which must be there.
    pub async fn page(&self, path: &str) -> Answer {
        let answer = self.get(path).await;
        assert_eq!(answer.status, StatusCode::OK, "{path}: {}", answer.text);
        answer
    }
}

/// A request with our Host and these headers.
pub fn request(method: Method, path: &str, headers: &[(&str, &str)], body: &str) -> Request<Body> {
    let host = headers.iter().all(|(name, _)| *name != "host").then_some(("host", HOST));
    let builder = Request::builder().method(method).uri(path);
    let builder = headers
        .iter()
        .copied()
        .chain(host)
        .fold(builder, |builder, (name, value)| builder.header(name, value));
    builder.body(Body::from(body.to_owned())).unwrap()
}

/// The study that comes with Umbra, at scale smoke.
pub fn smoke_plan() -> Plan {
    let (study, scale) = (&Study::built_in()[0], &Scale::built_in()[0]);
    plan(study, scale, &catalog(), &Default::default()).unwrap()
}

/// The plan's first run of that method and stage.
pub fn find<'a>(plan: &'a Plan, method: &str, stage: Stage) -> &'a RunSpec {
    plan.runs.iter().find(|run| run.method == method && run.stage == stage).unwrap()
}

/// Writes a run's directory with these events.
pub fn write_run(data_dir: &Path, run: &RunSpec, kinds: Vec<EventKind>) -> RunDir {
    let dir = RunDir::create(data_dir, run).unwrap();
    let mut log = EventLog::open(&dir.events_file()).unwrap();
    for kind in kinds {
        log.append(kind).unwrap();
    }
    dir
}

pub fn started() -> EventKind {
    EventKind::Started {
        attempt: 1,
        pid: std::process::id(),
        host: "here".to_owned(),
        device: "cpu".to_owned(),
        threads: 2,
        resumed_step: None,
    }
}

pub fn queued() -> EventKind {
    EventKind::Queued { priority: 0 }
}

pub fn metric(name: &str, step: u64, value: f64) -> EventKind {
    EventKind::Metric {
        name: name.to_owned(),
        step,
        value,
    }
}

pub fn summary(name: &str, value: f64) -> EventKind {
    EventKind::Summary {
        name: name.to_owned(),
        value,
    }
}

pub fn finished() -> EventKind {
    EventKind::Finished { seconds: 12.0 }
}

/// A PNG of one black pixel.
pub const PNG: &[u8] = &[
    0x89, b'P', b'N', b'G', 13, 10, 26, 10, 0, 0, 0, 13, b'I', b'H', b'D', b'R', 0, 0, 0, 1, 0, 0, 0, 1, 8, 0, 0, 0, 0, 0x3a, 0x7e, 0x9b,
    0x55, 0, 0, 0, 10, b'I', b'D', b'A', b'T', 0x78, 0x9c, 0x63, 0x60, 0, 0, 0, 2, 0, 1, 0x48, 0xaf, 0xa4, 0x71, 0, 0, 0, 0, b'I', b'E',
    b'N', b'D', 0xae, 0x42, 0x60, 0x82,
];

/// MAE's pretraining finished with curves, images, a log and a model; its fine-tuning finished; its probe
/// at work under the lock that comes back; its PSNR waiting; the scratch encoder failed.
pub fn fill_study(data_dir: &Path) -> Lock {
    let plan = smoke_plan();
    let run = |method: &str, stage: Stage, kinds: Vec<EventKind>| write_run(data_dir, find(&plan, method, stage), kinds);
    fill_pretraining(&run("mae", Stage::Pretrain, pretraining()));
    let result = [metric("val/top1", 8, 61.25), summary("finetune.top1", 61.25), finished()];
    run("mae", Stage::Finetune, [queued(), started()].into_iter().chain(result).collect());
    run("mae", Stage::Psnr, vec![queued()]);
    let failed = EventKind::Failed {
        reason: "the loss is not a number at step 3".to_owned(),
        causes: vec![],
    };
    run("random_init", Stage::Pretrain, vec![queued(), started(), failed]);
    let progress = EventKind::Progress {
        step: 43,
        steps: 100,
        images_per_second: 812.5,
        eta_seconds: 90.0,
    };
    let probe = run("mae", Stage::Probe, vec![queued(), started(), progress]);
    Lock::take(probe.path()).unwrap()
}

/// The history of a whole pretraining.
fn pretraining() -> Vec<EventKind> {
    let mut kinds = vec![queued(), started()];
    for step in 1..=24 {
        kinds.push(metric("train/loss", step, 1.0 / step as f64));
        kinds.push(metric("train/lr", step, 1e-3));
    }
    for (name, value) in [("speed/loader", 5310.0), ("speed/trainer", 812.5), ("speed/wait_share", 0.004)] {
        kinds.push(metric(name, 24, value));
    }
    kinds.extend([8, 24].map(|step| EventKind::Image {
        name: "reconstruction".to_owned(),
        step,
        file: format!("reconstruction-{step}.png"),
    }));
    let warning = EventKind::Warning {
        message: "one image was skipped".to_owned(),
    };
    kinds.extend([warning, summary("pretrain.loss", 0.25), finished()]);
    kinds
}

/// The files of a whole pretraining.
fn fill_pretraining(dir: &RunDir) {
    std::fs::create_dir_all(dir.images()).unwrap();
    for step in [8, 24] {
        std::fs::write(dir.images().join(format!("reconstruction-{step}.png")), PNG).unwrap();
    }
    std::fs::write(dir.log_file(), "step 1\nstep 2\n").unwrap();
    std::fs::write(dir.model_file(), "weights").unwrap();
    std::fs::write(dir.subset_file(), "image\tclass\n#3\tcircle\n").unwrap();
}
