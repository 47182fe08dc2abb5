//! A store in a directory of its own, and events as a run directory would give them.

mod lists;

use std::collections::{BTreeMap, HashMap};

use sqlx::{Row, Sqlite};

use super::*;
use crate::experiment::{RunId, RunSpec, Stage, Value};
use crate::run_dir::{Event, EventKind, LogPosition, Matrix, MatrixAxis, RunFile, State};

/// A run of a test; runs with different seeds are different.
pub(crate) fn spec(stage: Stage, seed: u64, parent: Option<&RunSpec>) -> RunSpec {
    let data = BTreeMap::from([("source".to_owned(), Value::Text("builtin".to_owned()))]);
    let mut spec = RunSpec::new(stage, "mae", seed, parent, BTreeMap::from([("data".to_owned(), data)]), &[]);
    spec.label = format!("MAE · {stage} · seed {seed}");
    spec
}

impl Store {
    /// Every row of every table but the claims, as text.
    pub(crate) async fn dump(&self) -> Vec<String> {
        let mut lines = Vec::new();
        for table in ["run", "attempt", "metric", "summary", "image", "warning", "load", "matrix"] {
            let mut select = sqlx::QueryBuilder::<Sqlite>::new("select * from ");
            let rows = select
                .push(table)
                .push(" order by 1, 2, 3")
                .build()
                .fetch_all(&self.pool)
                .await
                .unwrap();
            for row in rows {
                let cells = (0..row.len()).map(|i| row.try_get_unchecked::<Option<String>, _>(i).unwrap().unwrap_or_default());
                lines.push(format!("{table} {}", cells.collect::<Vec<_>>().join("|")));
            }
        }
        lines
    }
}

impl Store {
    /// A curve of that many points for every run there is, without the files it would come from.
    pub(crate) async fn draw_curves(&self, points: u32) {
        sqlx::query!(
            "with recursive step(n) as (select 1 union all select n + 1 from step where n < ?)
             insert into metric (run_id, name, step, value) select run_id, 'train/loss', n, 1.0 / n from run, step",
            points
        )
        .execute(&self.pool)
        .await
        .unwrap();
    }
}

struct Shelf {
    store: Store,
    _dir: tempfile::TempDir,
}

async fn shelf() -> Shelf {
    let dir = tempfile::tempdir().unwrap();
    Shelf {
        store: Store::open(dir.path()).await.unwrap(),
        _dir: dir,
    }
}

fn mark_at(seq: u64) -> Mark {
    Mark {
        position: LogPosition {
            offset: seq * 10,
            seq,
            last_len: 10,
        },
        broken: None,
    }
}

fn events(kinds: Vec<EventKind>, first: u64) -> Vec<Event> {
    kinds
        .into_iter()
        .zip(first..)
        .map(|(kind, seq)| Event {
            seq,
            time: seq as f64,
            kind,
        })
        .collect()
}

impl Shelf {
    /// Stores a new run with these events, the first at time `first`.
    async fn put_at(&self, run: &RunSpec, first: u64, kinds: Vec<EventKind>) {
        let file = RunFile {
            umbra: "0".to_owned(),
            created: first,
            run: run.clone(),
        };
        let events = events(kinds, first);
        let news = News {
            run: &run.id,
            since: None,
            afresh: Some(&file),
            events: &events,
            until: &mark_at(first),
        };
        assert!(self.store.ingest(&news).await.unwrap().is_some());
    }

    async fn put(&self, run: &RunSpec, kinds: Vec<EventKind>) {
        self.put_at(run, 1, kinds).await;
    }

    async fn listed(&self, filter: RunFilter) -> Vec<RunId> {
        self.store.runs(&filter).await.unwrap().into_iter().map(|run| run.id).collect()
    }
}

fn queued(priority: i64) -> EventKind {
    EventKind::Queued { priority }
}

fn started(attempt: u32) -> EventKind {
    EventKind::Started {
        attempt,
        pid: 7,
        host: "here".to_owned(),
        device: "cpu".to_owned(),
        threads: 2,
        resumed_step: None,
    }
}

fn metric(step: u64, value: f64) -> EventKind {
    EventKind::Metric {
        name: "train/loss".to_owned(),
        step,
        value,
    }
}

fn failed(reason: &str) -> EventKind {
    EventKind::Failed {
        reason: reason.to_owned(),
        causes: Vec::new(),
    }
}

const FINISHED: EventKind = EventKind::Finished { seconds: 1.0 };

#[tokio::test]
async fn what_the_events_say_is_what_the_store_answers() {
    let shelf = shelf().await;
    let run = spec(Stage::Pretrain, u64::MAX, None);
    let progress = EventKind::Progress {
        step: 2,
        steps: 9,
        images_per_second: 3.5,
        eta_seconds: 4.0,
    };
    shelf
        .put(
            &run,
            vec![
                queued(3),
                started(1),
                progress,
                EventKind::Checkpoint { step: 2 },
                failed("a fault"),
            ],
        )
        .await;
    let stored = shelf.store.run(&run.id).await.unwrap().unwrap();
    assert_eq!((&*stored.spec, stored.seed, stored.data.as_str()), (&run, u64::MAX, "builtin"));
    assert_eq!((stored.state, stored.reason.as_deref()), (State::Failed, Some("a fault")));
    assert_eq!((stored.attempt, stored.priority, stored.progress.checkpoint_step), (1, 3, Some(2)));
    assert_eq!(
        (stored.progress.step, stored.progress.steps, stored.started, stored.ended),
        (2, 9, Some(2.0), Some(5.0))
    );
    let attempt = &shelf.store.attempts(&run.id).await.unwrap()[0];
    assert_eq!(
        (attempt.pid, attempt.outcome, attempt.reason.as_deref()),
        (7, Some(State::Failed), Some("a fault"))
    );
    assert_eq!(shelf.store.run(&spec(Stage::Pretrain, 1, None).id).await.unwrap(), None);
}

#[tokio::test]
async fn a_matrix_comes_back_as_it_was_and_goes_with_its_run() {
    let shelf = shelf().await;
    let (run, other) = (spec(Stage::Cka, 0, None), spec(Stage::Cka, 1, None));
    let axis = |title: &str| MatrixAxis::new(title, 1..=2);
    let values = vec![vec![vec![Some(0.1 + 0.2)], vec![None]]; 2];
    let matrix = Matrix::of(axis("block"), axis("ratio"), &values);
    let event = |name: &str| EventKind::Matrix {
        name: name.to_owned(),
        matrix: matrix.clone(),
    };
    shelf.put(&run, vec![event("cka"), event("other"), FINISHED]).await;
    shelf.put(&other, vec![FINISHED]).await;
    let ids = [other.id, run.id.clone()];
    assert_eq!(shelf.store.matrices(&ids, "cka").await.unwrap(), [(run.id.clone(), matrix)]);
    shelf.store.forget(&run.id).await.unwrap();
    assert_eq!(shelf.store.matrices(&ids, "cka").await.unwrap(), []);
}

#[tokio::test]
async fn results_images_warnings_and_load_are_kept() {
    let shelf = shelf().await;
    let run = spec(Stage::Pretrain, 0, None);
    let summary = |value| EventKind::Summary {
        name: "pretrain.loss".to_owned(),
        value,
    };
    let image = EventKind::Image {
        name: "reconstruction".to_owned(),
        step: 2,
        file: "r-2.png".to_owned(),
    };
    let warning = EventKind::Warning {
        message: "a broken image".to_owned(),
    };
    let load = |cpu_percent| EventKind::System {
        cpu_percent,
        memory_mib: 80.0,
    };
    shelf
        .put(
            &run,
            vec![summary(0.7), image, warning, load(50.0), load(f64::NAN), summary(0.1 + 0.2)],
        )
        .await;
    let summaries = shelf.store.summaries(std::slice::from_ref(&run.id)).await.unwrap();
    assert_eq!(
        summaries,
        [(run.id.clone(), "pretrain.loss".to_owned(), 0.1 + 0.2)],
        "the last word counts"
    );
    assert_eq!(shelf.store.images(&run.id).await.unwrap()[0].file, "r-2.png");
    assert_eq!(shelf.store.warnings(&run.id).await.unwrap()[0].message, "a broken image");
    let load = shelf.store.latest_load(&run.id).await.unwrap().unwrap();
    assert_eq!((load.cpu_percent, load.memory_mib), (50.0, 80.0), "what is no number is not kept");
}

#[tokio::test]
async fn curves_come_back_bit_for_bit_also_where_they_are_no_numbers() {
    let shelf = shelf().await;
    let run = spec(Stage::Pretrain, 0, None);
    let mut values: Vec<f64> = (1..2500).map(|i| (f64::from(i) * 0.1).exp().sin() / 3.0).collect();
    values.extend([f64::NAN, f64::INFINITY, f64::NEG_INFINITY, f64::MIN_POSITIVE]);
    shelf
        .put(&run, values.iter().zip(0..).map(|(value, step)| metric(step, *value)).collect())
        .await;
    let points = shelf.store.metrics(&run.id, "train/loss").await.unwrap();
    assert_eq!(
        points.iter().map(|p| p.value.to_bits()).collect::<Vec<_>>(),
        values.iter().map(|v| v.to_bits()).collect::<Vec<_>>()
    );
    assert_eq!(shelf.store.metric_names(&run.id).await.unwrap(), ["train/loss"]);
    let latest = shelf.store.latest(&run.id, &["train/loss", "val/loss"]).await.unwrap();
    assert_eq!(latest, HashMap::from([("train/loss".to_owned(), f64::MIN_POSITIVE)]));
}

#[tokio::test]
async fn the_same_events_are_taken_in_once() {
    let shelf = shelf().await;
    let run = spec(Stage::Pretrain, 0, None);
    shelf.put(&run, vec![queued(0)]).await;
    let since = shelf.store.mark(&run.id).await.unwrap().unwrap();
    let events = events(vec![started(1), metric(1, 0.5)], 2);
    let news = News {
        run: &run.id,
        since: Some(&since),
        afresh: None,
        events: &events,
        until: &mark_at(3),
    };
    assert_eq!(shelf.store.ingest(&news).await.unwrap(), Some(State::Running));
    assert_eq!(
        shelf.store.ingest(&news).await.unwrap(),
        None,
        "the second reader began where the first one did"
    );
    assert_eq!(shelf.store.mark(&run.id).await.unwrap(), Some(mark_at(3)));
}

#[tokio::test]
async fn a_history_read_afresh_leaves_nothing_of_the_old_one() {
    let shelf = shelf().await;
    let run = spec(Stage::Pretrain, 0, None);
    shelf
        .put(&run, vec![queued(0), started(1), metric(1, 0.5), metric(2, 0.4), failed("killed")])
        .await;
    let since = shelf.store.mark(&run.id).await.unwrap().unwrap();
    let file = RunFile {
        umbra: "0".to_owned(),
        created: 1,
        run: run.clone(),
    };
    let events = events(vec![queued(0), started(1), metric(1, 0.5)], 1);
    let news = News {
        run: &run.id,
        since: Some(&since),
        afresh: Some(&file),
        events: &events,
        until: &mark_at(9),
    };
    shelf.store.ingest(&news).await.unwrap();
    assert_eq!(
        shelf.store.metrics(&run.id, "train/loss").await.unwrap(),
        [Point { step: 1, value: 0.5 }]
    );
    assert_eq!(shelf.store.run(&run.id).await.unwrap().unwrap().reason, None);
}

#[tokio::test]
async fn a_database_of_a_newer_version_is_refused_and_left_as_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).await.unwrap();
    let mut later =
        sqlx::QueryBuilder::<Sqlite>::new("insert into _sqlx_migrations (version, description, success, checksum, execution_time)");
    later
        .push(" values (9999, 'later', true, x'00', 0)")
        .build()
        .execute(&store.pool)
        .await
        .unwrap();
    store.close().await;
    let refusal = Store::open(dir.path()).await.unwrap_err();
    assert!(matches!(refusal, Error::Newer { found: 9999, .. }), "{refusal}");
    assert!(
        refusal
            .to_string()
            .starts_with(&format!("the database {} is of format 9999", dir.path().join("umbra.db").display()))
    );
}

#[tokio::test]
async fn a_place_that_cannot_hold_a_database_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    std::fs::write(&file, "").unwrap();
    let refusal = Store::open(&file).await.unwrap_err().to_string();
    assert!(
        refusal.starts_with(&format!("the database {} cannot be used: ", file.display())),
        "{refusal}"
    );
    std::fs::write(
        dir.path().join("umbra.db"),
        "this is a letter, not a database, and a long one at that",
    )
    .unwrap();
    let refusal = Store::open(dir.path()).await.unwrap_err().to_string();
    assert!(refusal.contains("umbra.db cannot be used: "), "{refusal}");
}
