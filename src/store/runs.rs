//! Runs: what pages list, filter and open.

use std::collections::HashMap;
use std::sync::Arc;

use sqlx::{SqliteConnection, query_scalar};

use crate::experiment::forecast::PastRun;
use crate::experiment::{RunId, RunSpec, Stage};
use crate::run_dir::{self, History, State};

use super::filter::{Given, filtered};
use super::{Error, Progress, Result, RunFilter, Store};

/// Runs of which durations are read, at most.
const MOST_DURATIONS: i64 = 2000;

/// Selects runs with what their parents say about them; takes the rest of the query, in pieces, and its arguments.
macro_rules! select_runs {
    ($rest:tt $(+ $more:tt)* $(, $argument:expr)* $(,)?) => {
        sqlx::query_as!(
            RunRow,
            r#"select run.spec, run.state, run.attempt, run.priority, run.reason, run.device, run.created, run.started, run.ended,
                      run.queued, run.phase, run.step, run.steps, run.images_per_second, run.eta_seconds, run.checkpoint_step,
                      parent.label as "parent_label?", parent.state as "parent_state?"
               from run left join run as parent on parent.run_id = run.parent_id "# + $rest $(+ $more)*
            $(, $argument)*
        )
    };
}

/// A run as pages show it.
#[derive(Clone, Debug, PartialEq)]
pub struct Run {
    /// Name of the run and of its directory.
    pub id: RunId,
    /// The name for people.
    pub label: String,
    /// The kind of work.
    pub stage: Stage,
    /// The method of the encoder.
    pub method: String,
    /// The seed of every random draw.
    pub seed: u64,
    /// The scale the settings came from.
    pub scale: String,
    /// Where the images come from: `data.source`.
    pub data: String,
    /// The run this one starts from.
    pub parent: Option<RunId>,
    /// Where it stands.
    pub state: State,
    /// Attempts so far.
    pub attempt: u32,
    /// Higher goes first.
    pub priority: i64,
    /// Why it failed or was cancelled, or what a waiting run waits for in vain.
    pub reason: Option<String>,
    /// Device of the latest attempt.
    pub device: Option<String>,
    /// Seconds since 1970 when it was queued first.
    pub created: i64,
    /// When it was started first.
    pub started: Option<f64>,
    /// When it ended.
    pub ended: Option<f64>,
    /// How far it is.
    pub progress: Progress,
    /// The run with all its settings.
    pub spec: Arc<RunSpec>,
}

impl Run {
    /// Whether it waits for a parent that failed, was cancelled or is gone, as `reason` says.
    pub fn is_blocked(&self) -> bool {
        self.state == State::Queued && self.reason.is_some()
    }

    /// Whether a worker ever began it, so that there may be results and checkpoints.
    pub fn was_begun(&self) -> bool {
        self.attempt > 0
    }

    /// Seconds from the first start to the end, or to now.
    pub fn seconds(&self) -> Option<f64> {
        let end = if self.state == State::Running {
            Some(run_dir::now())
        } else {
            self.ended
        };
        Some((end? - self.started?).max(0.0))
    }

    /// Percent done, while that is known.
    pub fn percent(&self) -> Option<u64> {
        let Progress { step, steps, .. } = self.progress;
        (steps > 0).then(|| (step.min(steps) * 100) / steps)
    }

    /// `running 43 %`, `failed`, `blocked`.
    pub fn state_text(&self) -> String {
        match (self.state, self.percent()) {
            (State::Running, Some(percent)) => format!("running {percent} %"),
            _ if self.is_blocked() => "blocked".to_owned(),
            (state, _) => state.name().to_owned(),
        }
    }
}

impl Store {
    /// One run.
    pub async fn run(&self, id: &RunId) -> Result<Option<Run>> {
        let id = id.as_str();
        let row = select_runs!("where run.run_id = ?", id).fetch_optional(&self.pool).await?;
        row.map(|row| self.read(row)).transpose()
    }

    /// The runs a filter lets through.
    pub async fn runs(&self, filter: &RunFilter) -> Result<Vec<Run>> {
        let given = Given::from(filter);
        let (sort, descending) = (filter.sort.key(), filter.descending);
        let (limit, offset) = (
            i64::try_from(filter.limit).unwrap_or(i64::MAX),
            i64::try_from(filter.offset).unwrap_or(i64::MAX),
        );
        // States and stages are sorted by the place of their names in the lists, not by the alphabet. Rows are large, so
        // only those of the page are read whole.
        let rows = filtered!(
            select_runs:
            r#"join (
                   select run_id as chosen_id, queued as chosen_queued, case ?11
                       when 'label' then lower(label)
                       when 'state' then instr('running queued finished failed cancelled', state)
                       when 'stage' then instr('pretrain finetune probe probe_cached psnr cka compare', stage)
                       when 'method' then method
                       when 'duration' then coalesce(ended, unixepoch('subsec')) - started
                       else created end as sort_key
                   from run"#,
            r#"order by case when ?12 then null else sort_key end, sort_key desc,
                            case when ?12 then null else chosen_queued end, chosen_queued desc, chosen_id
                   limit ?13 offset ?14
               ) on chosen_id = run.run_id
               order by case when ?12 then null else sort_key end, sort_key desc,
                        case when ?12 then null else chosen_queued end, chosen_queued desc, chosen_id"#;
            given, sort, descending, limit, offset
        )
        .fetch_all(&self.pool)
        .await?;
        rows.into_iter().map(|row| self.read(row)).collect()
    }

    /// How many runs a filter lets through, whatever its limit and offset.
    pub async fn count(&self, filter: &RunFilter) -> Result<u64> {
        let given = Given::from(filter);
        let count = filtered!(query_scalar: "select count(*) from run", ""; given)
            .fetch_one(&self.pool)
            .await?;
        Ok(count as u64)
    }

    /// How many runs stand where; every state is there, in the order of [`State::ALL`].
    pub async fn counts(&self) -> Result<Vec<(State, u64)>> {
        let rows = sqlx::query!("select state, count(*) as runs from run group by state")
            .fetch_all(&self.pool)
            .await?;
        let runs = |state: State| rows.iter().find(|row| row.state == state.name()).map_or(0, |row| row.runs as u64);
        Ok(State::ALL.into_iter().map(|state| (state, runs(state))).collect())
    }

    /// The runs that start from this one.
    pub async fn children(&self, id: &RunId) -> Result<Vec<Run>> {
        let id = id.as_str();
        let rows = select_runs!("where run.parent_id = ? order by run.queued, run.run_id", id)
            .fetch_all(&self.pool)
            .await?;
        rows.into_iter().map(|row| self.read(row)).collect()
    }

    /// Where those of the runs stand that were ever queued.
    pub async fn states(&self, ids: &[RunId]) -> Result<HashMap<RunId, State>> {
        let ids = serde_json::json!(ids).to_string();
        let rows = sqlx::query!(
            "select run_id, state from run where run_id in (select value from json_each(?))",
            ids
        )
        .fetch_all(&self.pool)
        .await?;
        let read = |id: String, state: String| Ok::<_, String>((id.parse()?, state.parse()?));
        rows.into_iter()
            .map(|row| read(row.run_id, row.state).map_err(Error::Broken))
            .collect()
    }

    /// How many of the runs that start from this one, or from one of those in turn, were ever begun.
    pub async fn begun_descendants(&self, id: &RunId) -> Result<u64> {
        let id = id.as_str();
        let count = sqlx::query_scalar!(
            r#"with recursive made (id) as (
                   select run_id from run where parent_id = ?
                   union select run_id from run join made on parent_id = id)
               select count(*) as "count!: i64" from made join run on run.run_id = made.id where run.attempt > 0"#,
            id
        )
        .fetch_one(&self.pool)
        .await?;
        Ok(count as u64)
    }

    /// The runs that start from this one, and those that start from them in turn, each behind the one it starts from.
    pub async fn made_from(&self, id: &RunId) -> Result<Vec<Run>> {
        let id = id.as_str();
        let rows = select_runs!(
            "join (with recursive made (id, generation) as (
                       select run_id, 1 from run where parent_id = ?
                       union select run_id, generation + 1 from run join made on parent_id = id)
                   select id, generation from made) as made on made.id = run.run_id
             order by made.generation, run.queued, run.run_id",
            id
        )
        .fetch_all(&self.pool)
        .await?;
        rows.into_iter().map(|row| self.read(row)).collect()
    }

    /// How long the newest runs of a scale took that were finished in one go, the newest first.
    pub async fn durations(&self, scale: &str) -> Result<Vec<PastRun>> {
        let rows = sqlx::query!(
            r#"select run.spec, attempt.ended - attempt.started as "seconds!: f64"
               from run join attempt on attempt.run_id = run.run_id and attempt.attempt = run.attempt
               where run.scale = ? and run.state = 'finished' and attempt.outcome = 'finished'
                 and attempt.resumed_step is null and attempt.ended is not null
               order by attempt.ended desc limit ?"#,
            scale,
            MOST_DURATIONS
        )
        .fetch_all(&self.pool)
        .await?;
        let took = rows.into_iter().map(|row| {
            Ok(PastRun {
                run: self.specs.read(row.spec)?,
                seconds: row.seconds,
            })
        });
        took.collect()
    }

    /// The waiting runs in the order they will be started; those that wait for a parent in vain come last.
    pub async fn queue(&self) -> Result<Vec<Run>> {
        let rows = select_runs!(
            "where run.state = 'queued'
             order by run.parent_id is not null and coalesce(parent.state in ('failed', 'cancelled'), true),
                      run.priority desc, run.queued, run.run_id"
        )
        .fetch_all(&self.pool)
        .await?;
        rows.into_iter().map(|row| self.read(row)).collect()
    }
}

/// A row of `select_runs!`.
struct RunRow {
    spec: String,
    state: String,
    attempt: i64,
    priority: i64,
    reason: Option<String>,
    device: Option<String>,
    created: i64,
    started: Option<f64>,
    ended: Option<f64>,
    queued: Option<f64>,
    phase: Option<String>,
    step: i64,
    steps: i64,
    images_per_second: Option<f64>,
    eta_seconds: Option<f64>,
    checkpoint_step: Option<i64>,
    parent_label: Option<String>,
    parent_state: Option<String>,
}

/// What is known so far of the run, which must be there.
pub(super) async fn fold(connection: &mut SqliteConnection, run: &RunId) -> Result<(History, Progress)> {
    let run = run.as_str();
    let row = select_runs!("where run.run_id = ?", run).fetch_one(connection).await?;
    let history = History {
        state: row.state.parse().map_err(Error::Broken)?,
        attempt: row.attempt as u32,
        priority: row.priority,
        reason: row.reason.clone(),
        device: row.device.clone(),
        started: row.started,
        ended: row.ended,
    };
    Ok((history, row.progress()))
}

impl RunRow {
    fn progress(&self) -> Progress {
        Progress {
            queued: self.queued,
            phase: self.phase.clone(),
            step: self.step as u64,
            steps: self.steps as u64,
            images_per_second: self.images_per_second,
            eta_seconds: self.eta_seconds,
            checkpoint_step: self.checkpoint_step.map(|step| step as u64),
        }
    }
}

impl Store {
    fn read(&self, mut row: RunRow) -> Result<Run> {
        let spec = self.specs.read(std::mem::take(&mut row.spec))?;
        let state: State = row.state.parse().map_err(Error::Broken)?;
        let progress = row.progress();
        let reason = if state == State::Queued {
            waits_in_vain(&spec, &row)
        } else {
            row.reason
        };
        Ok(Run {
            id: spec.id.clone(),
            label: spec.label.clone(),
            stage: spec.stage,
            method: spec.method.clone(),
            seed: spec.seed,
            scale: spec.scale.clone(),
            data: spec.value("data", "source").map(ToString::to_string).unwrap_or_default(),
            parent: spec.parent.clone(),
            state,
            attempt: row.attempt as u32,
            priority: row.priority,
            reason,
            device: row.device,
            created: row.created,
            started: row.started,
            ended: row.ended,
            progress,
            spec,
        })
    }
}

/// Why a waiting run will not start until a person does something.
fn waits_in_vain(spec: &RunSpec, row: &RunRow) -> Option<String> {
    let parent = spec.parent.as_ref()?;
    let label = row.parent_label.as_deref().unwrap_or_default();
    match row.parent_state.as_deref() {
        None => Some(format!("waits for run {parent}, which is not here")),
        Some("failed") => Some(format!("waits for {label}, which failed")),
        Some("cancelled") => Some(format!("waits for {label}, which was cancelled")),
        Some(_) => None,
    }
}
