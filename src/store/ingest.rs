//! Taking in events, each exactly once.
//!
//! The rows and the position up to which they were read stand in one transaction. A crash therefore loses
//! both or neither, and of two readers of the same lines the second finds the position moved and gives way.

use sqlx::{QueryBuilder, Sqlite, SqliteConnection};

use crate::experiment::RunId;
use crate::run_dir::{Event, EventKind, History, LogPosition, Matrix, RunFile, State};

use super::runs::fold;
use super::{Error, Progress, Result, Store};

/// Rows of one insert: with four values each they stay far below the database's limit of 32766 values.
const ROWS: usize = 1000;

/// What was read of a run.
#[derive(Clone, Copy, Debug)]
pub struct News<'a> {
    /// The run.
    pub run: &'a RunId,
    /// Where the reading began: the store's own mark, or `None` if it did not know the run.
    pub since: Option<&'a Mark>,
    /// The run's record, if everything known of the run is to be replaced: for a new run, and when the log was cut.
    pub afresh: Option<&'a RunFile>,
    /// The events, in order.
    pub events: &'a [Event],
    /// Where the reading ended.
    pub until: &'a Mark,
}

/// How far a run's events are in the store.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mark {
    /// Up to there.
    pub position: LogPosition,
    /// Why they cannot be read further.
    pub broken: Option<String>,
}

impl Store {
    /// How far the events of a run are in; `None` if the run is not known.
    pub async fn mark(&self, run: &RunId) -> Result<Option<Mark>> {
        mark(&mut *self.pool.acquire().await?, run).await
    }

    /// Takes in what was read and says where the run stands now; `None` if another reader was faster.
    pub async fn ingest(&self, news: &News<'_>) -> Result<Option<State>> {
        let mut transaction = self.pool.begin_with("begin immediate").await?;
        if mark(&mut transaction, news.run).await?.as_ref() != news.since {
            return Ok(None);
        }
        if let Some(file) = news.afresh {
            remove(&mut transaction, news.run).await?;
            insert_run(&mut transaction, file).await?;
        }
        let (mut history, mut progress) = if news.afresh.is_some() {
            Default::default()
        } else {
            fold(&mut transaction, news.run).await?
        };
        for event in news.events {
            progress.apply(event, history.state);
            history.apply(event);
            insert_event(&mut transaction, news.run, event, history.attempt).await?;
        }
        insert_metrics(&mut transaction, news.run, news.events).await?;
        if let Some(message) = &news.until.broken {
            // Nobody can go on with a history that cannot be read, so that is where the run stands.
            (history.state, history.reason) = (State::Failed, Some(message.clone()));
        }
        update_run(&mut transaction, news, &history, &progress).await?;
        transaction.commit().await?;
        Ok(Some(history.state))
    }

    /// Every run there is.
    pub async fn known(&self) -> Result<Vec<RunId>> {
        let ids = sqlx::query_scalar!("select run_id from run order by run_id")
            .fetch_all(&self.pool)
            .await?;
        ids.into_iter().map(|id| id.parse().map_err(Error::Broken)).collect()
    }

    /// Forgets a run whose directory is gone.
    pub async fn forget(&self, run: &RunId) -> Result<()> {
        remove(&mut *self.pool.acquire().await?, run).await
    }
}

async fn mark(connection: &mut SqliteConnection, run: &RunId) -> Result<Option<Mark>> {
    let run = run.as_str();
    let row = sqlx::query!("select offset, seq, last_len, broken from run where run_id = ?", run)
        .fetch_optional(connection)
        .await?;
    Ok(row.map(|row| Mark {
        position: LogPosition {
            offset: row.offset as u64,
            seq: row.seq as u64,
            last_len: row.last_len as u64,
        },
        broken: row.broken,
    }))
}

/// Removes the run; what hangs on it goes with it by `on delete cascade`.
async fn remove(connection: &mut SqliteConnection, run: &RunId) -> Result<()> {
    let run = run.as_str();
    sqlx::query!("delete from run where run_id = ?", run).execute(connection).await?;
    Ok(())
}

async fn insert_run(connection: &mut SqliteConnection, file: &RunFile) -> Result<()> {
    let run = &file.run;
    let spec = serde_json::to_string(run).map_err(|e| Error::Broken(format!("run {}: {e}", run.id)))?;
    let data = run.value("data", "source").map(ToString::to_string).unwrap_or_default();
    let (id, stage, parent) = (run.id.as_str(), run.stage.name(), run.parent.as_ref().map(RunId::as_str));
    // SQLite has no unsigned numbers; the bits of a large seed come back as they went.
    let (seed, created) = (run.seed as i64, file.created as i64);
    sqlx::query!(
        "insert into run (run_id, key, label, stage, method, seed, scale, data, parent_id, spec, created,
                          state, attempt, priority, step, steps, offset, seq, last_len)
         values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 'queued', 0, 0, 0, 0, 0, 0, 0)",
        id,
        run.key,
        run.label,
        stage,
        run.method,
        seed,
        run.scale,
        data,
        parent,
        spec,
        created
    )
    .execute(connection)
    .await?;
    Ok(())
}

async fn update_run(connection: &mut SqliteConnection, news: &News<'_>, history: &History, progress: &Progress) -> Result<()> {
    let (run, state, position) = (news.run.as_str(), history.state.name(), &news.until.position);
    let (step, steps) = (progress.step as i64, progress.steps as i64);
    let checkpoint_step = progress.checkpoint_step.map(|step| step as i64);
    let (offset, seq, last_len) = (position.offset as i64, position.seq as i64, position.last_len as i64);
    sqlx::query!(
        "update run set state = ?, attempt = ?, priority = ?, reason = ?, device = ?, started = ?, ended = ?,
                queued = ?, phase = ?, step = ?, steps = ?, images_per_second = ?, eta_seconds = ?, checkpoint_step = ?,
                offset = ?, seq = ?, last_len = ?, broken = ?
         where run_id = ?",
        state,
        history.attempt,
        history.priority,
        history.reason,
        history.device,
        history.started,
        history.ended,
        progress.queued,
        progress.phase,
        step,
        steps,
        progress.images_per_second,
        progress.eta_seconds,
        checkpoint_step,
        offset,
        seq,
        last_len,
        news.until.broken,
        run
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// The rows of one event beside the run's own; metrics come in bulk.
async fn insert_event(connection: &mut SqliteConnection, run: &RunId, event: &Event, attempt: u32) -> Result<()> {
    match &event.kind {
        EventKind::Started { .. } => insert_attempt(connection, run, event).await,
        EventKind::Finished { .. } => end_attempt(connection, run, event.time, attempt, State::Finished, None).await,
        EventKind::Failed { reason, .. } => end_attempt(connection, run, event.time, attempt, State::Failed, Some(reason.as_str())).await,
        EventKind::Cancelled { reason } => end_attempt(connection, run, event.time, attempt, State::Cancelled, Some(reason.as_str())).await,
        EventKind::Stopped => end_attempt(connection, run, event.time, attempt, State::Cancelled, Some(STOPPED)).await,
        EventKind::Summary { name, value } => insert_summary(connection, run, name, *value).await,
        EventKind::Matrix { name, matrix } => insert_matrix(connection, run, name, matrix).await,
        EventKind::Image { name, step, file } => insert_image(connection, run, name, *step, file).await,
        EventKind::Warning { message } => insert_warning(connection, run, event, message).await,
        EventKind::System { cpu_percent, memory_mib } => insert_load(connection, run, event, *cpu_percent, *memory_mib).await,
        EventKind::Queued { .. }
        | EventKind::Phase { .. }
        | EventKind::Progress { .. }
        | EventKind::Metric { .. }
        | EventKind::Checkpoint { .. } => Ok(()),
    }
}

async fn insert_attempt(connection: &mut SqliteConnection, run: &RunId, event: &Event) -> Result<()> {
    let EventKind::Started {
        attempt,
        pid,
        host,
        device,
        threads,
        resumed_step,
    } = &event.kind
    else {
        return Ok(());
    };
    let (run, threads, resumed_step) = (run.as_str(), *threads as i64, resumed_step.map(|step| step as i64));
    sqlx::query!(
        "insert or replace into attempt (run_id, attempt, pid, host, device, threads, resumed_step, started) values (?, ?, ?, ?, ?, ?, ?, ?)",
        run,
        attempt,
        pid,
        host,
        device,
        threads,
        resumed_step,
        event.time
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Why an attempt ended that was asked to.
const STOPPED: &str = "stopped; it goes on from its checkpoint";

/// Ends the latest attempt if it lives: a run may also fail or be cancelled between attempts.
async fn end_attempt(
    connection: &mut SqliteConnection,
    run: &RunId,
    time: f64,
    attempt: u32,
    outcome: State,
    reason: Option<&str>,
) -> Result<()> {
    let (run, outcome) = (run.as_str(), outcome.name());
    sqlx::query!(
        "update attempt set ended = ?, outcome = ?, reason = ? where run_id = ? and attempt = ? and ended is null",
        time,
        outcome,
        reason,
        run,
        attempt
    )
    .execute(connection)
    .await?;
    Ok(())
}

async fn insert_summary(connection: &mut SqliteConnection, run: &RunId, name: &str, value: f64) -> Result<()> {
    let run = run.as_str();
    sqlx::query!(
        "insert or replace into summary (run_id, name, value) values (?, ?, ?)",
        run,
        name,
        value
    )
    .execute(connection)
    .await?;
    Ok(())
}

async fn insert_matrix(connection: &mut SqliteConnection, run: &RunId, name: &str, matrix: &Matrix) -> Result<()> {
    let content = serde_json::to_string(matrix).map_err(|e| Error::Broken(format!("run {run}, matrix {name}: {e}")))?;
    let run = run.as_str();
    sqlx::query!(
        "insert or replace into matrix (run_id, name, content) values (?, ?, ?)",
        run,
        name,
        content
    )
    .execute(connection)
    .await?;
    Ok(())
}

async fn insert_image(connection: &mut SqliteConnection, run: &RunId, name: &str, step: u64, file: &str) -> Result<()> {
    let (run, step) = (run.as_str(), step as i64);
    sqlx::query!(
        "insert or replace into image (run_id, name, step, file) values (?, ?, ?, ?)",
        run,
        name,
        step,
        file
    )
    .execute(connection)
    .await?;
    Ok(())
}

async fn insert_warning(connection: &mut SqliteConnection, run: &RunId, event: &Event, message: &str) -> Result<()> {
    let (run, seq) = (run.as_str(), event.seq as i64);
    sqlx::query!(
        "insert or replace into warning (run_id, seq, time, message) values (?, ?, ?, ?)",
        run,
        seq,
        event.time,
        message
    )
    .execute(connection)
    .await?;
    Ok(())
}

async fn insert_load(connection: &mut SqliteConnection, run: &RunId, event: &Event, cpu_percent: f64, memory_mib: f64) -> Result<()> {
    if !cpu_percent.is_finite() || !memory_mib.is_finite() {
        return Ok(()); // A reading the system refused is no reading.
    }
    let (run, seq) = (run.as_str(), event.seq as i64);
    sqlx::query!(
        "insert or replace into load (run_id, seq, time, cpu_percent, memory_mib) values (?, ?, ?, ?, ?)",
        run,
        seq,
        event.time,
        cpu_percent,
        memory_mib
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Inserts the points of curves, many to a statement: they are nearly all of a long history. The one
/// statement that is not checked at compile time, because its number of rows varies.
async fn insert_metrics(connection: &mut SqliteConnection, run: &RunId, events: &[Event]) -> Result<()> {
    let points: Vec<(&str, u64, f64)> = events
        .iter()
        .filter_map(|event| match &event.kind {
            EventKind::Metric { name, step, value } => Some((name.as_str(), *step, *value)),
            _ => None,
        })
        .collect();
    for chunk in points.chunks(ROWS) {
        let mut insert = QueryBuilder::<Sqlite>::new("insert into metric (run_id, name, step, value) ");
        insert.push_values(chunk, |mut row, (name, step, value)| {
            // SQLite makes null of what is not a number.
            row.push_bind(run.as_str())
                .push_bind(*name)
                .push_bind(*step as i64)
                .push_bind(*value);
        });
        insert.push(" on conflict (run_id, name, step) do update set value = excluded.value");
        insert.build().execute(&mut *connection).await?;
    }
    Ok(())
}
