//! `/api/v1`: the pages' facts and orders as JSON. Addresses and queries are those of the pages.

use axum::Json;
use axum::extract::State;
use serde_json::{Value, json};

use crate::app::launch;
use crate::experiment::Study;
use crate::store::Run;
use crate::web::App;
use crate::web::error::{Error, Failure};
use crate::web::fields::{InPath, InQuery};
use crate::web::runs::query::{PAGE_SIZE, RunsQuery};
use crate::web::runs::view::RunView;
use crate::web::studies::choice::Choice;
use crate::web::studies::tabs::with_seeds;

type Answer = Result<Json<Value>, Failure>;

/// The studies.
pub async fn studies(State(app): App) -> Json<Value> {
    let studies = app.library.all();
    Json(json!({ "studies": studies.iter().map(AsRef::as_ref).collect::<Vec<&Study>>(), "faults": app.library.faults() }))
}

/// The scales.
pub async fn scales(State(app): App) -> Json<Value> {
    Json(json!({ "scales": app.scales }))
}

/// The methods with their options.
pub async fn methods(State(app): App) -> Json<Value> {
    Json(json!(app.catalog))
}

/// A study's table, its runs and their states.
pub async fn study(State(app): App, path: InPath, InQuery(query): InQuery) -> Answer {
    let study = app.study(path.text("name")?)?;
    let plan = with_seeds(&app, &study, Choice::read(&query)).await?.outline(&app, &study)?;
    let filled = app.store.fill(&study, &plan).await?;
    let runs = plan.runs.iter().map(|spec| {
        let run = filled.runs.get(&spec.id);
        json!({ "id": spec.id, "label": spec.label, "stage": spec.stage, "state": run.map_or("not queued", |run| run.state.name()) })
    });
    Ok(Json(
        json!({ "study": study.as_ref(), "table": filled.table, "runs": runs.collect::<Vec<_>>() }),
    ))
}

/// A page of runs.
pub async fn runs(State(app): App, InQuery(query): InQuery) -> Answer {
    let query = RunsQuery::read(&query)?;
    let filter = query.filter(&app).await?;
    let (runs, total) = (app.store.runs(&filter).await?, app.store.count(&filter).await?);
    let runs: Vec<Value> = runs.iter().map(run_json).collect();
    Ok(Json(
        json!({ "runs": runs, "total": total, "page": query.page, "page_size": PAGE_SIZE }),
    ))
}

/// One run with its settings, results, attempts and warnings.
pub async fn run(State(app): App, path: InPath) -> Answer {
    let id = path.run()?;
    let run = app
        .store
        .run(&id)
        .await?
        .ok_or_else(|| Error::NotFound(format!("there is no run {id}")))?;
    let children: Vec<String> = app.store.children(&id).await?.iter().map(|child| child.id.to_string()).collect();
    let results = app.store.summaries(std::slice::from_ref(&id)).await?;
    let results: serde_json::Map<String, Value> = results.into_iter().map(|(_, name, value)| (name, json!(value))).collect();
    let attempts = app.store.attempts(&id).await?.into_iter().map(|a| {
        json!({ "attempt": a.attempt, "host": a.host, "pid": a.pid, "device": a.device, "threads": a.threads, "resumed_step": a.resumed_step,
            "started": a.started, "ended": a.ended, "outcome": a.outcome, "reason": a.reason })
    });
    let warnings = app
        .store
        .warnings(&id)
        .await?
        .into_iter()
        .map(|w| json!({ "time": w.time, "message": w.message }));
    let images = app.store.images(&id).await?.into_iter();
    let images = images.map(|p| json!({ "name": p.name, "step": p.step, "href": format!("/runs/{id}/images/{}/{}.png", p.step, p.name) }));
    Ok(Json(json!({
        "run": run_json(&run), "spec": *run.spec, "results": results, "children": children,
        "metrics": app.store.metric_names(&id).await?, "attempts": attempts.collect::<Vec<_>>(),
        "warnings": warnings.collect::<Vec<_>>(), "images": images.collect::<Vec<_>>(),
    })))
}

/// One curve: `name=train/loss`.
pub async fn metrics(State(app): App, path: InPath, InQuery(query): InQuery) -> Answer {
    let id = path.run()?;
    app.store
        .run(&id)
        .await?
        .ok_or_else(|| Error::NotFound(format!("there is no run {id}")))?;
    let name = query
        .get("name")
        .ok_or_else(|| Error::BadRequest("name: say which curve, such as ?name=train/loss".to_owned()))?;
    // What is not a number becomes null, which JSON has.
    let points: Vec<(u64, f64)> = app
        .store
        .metrics(&id, name)
        .await?
        .iter()
        .map(|point| (point.step, point.value))
        .collect();
    Ok(Json(json!({ "run": id, "name": name, "points": points })))
}

/// The waiting runs, next first.
pub async fn queue(State(app): App) -> Answer {
    let waiting: Vec<Value> = app.store.queue().await?.iter().map(run_json).collect();
    Ok(Json(json!({ "queue": waiting })))
}

/// The devices and who is on them.
pub async fn devices(State(app): App) -> Json<Value> {
    let slots = app
        .jobs
        .devices()
        .into_iter()
        .map(|slot| json!({ "device": slot.device, "run": slot.run }));
    Json(json!({ "devices": slots.collect::<Vec<_>>() }))
}

/// Stops a run.
pub async fn cancel(State(app): App, path: InPath) -> Answer {
    app.jobs.cancel(&path.run()?).await.map_err(Error::from)?;
    run(State(app), path).await
}

/// Lets a run go on from its checkpoint.
pub async fn retry(State(app): App, path: InPath) -> Answer {
    launch::retry(&app.store, &app.jobs, &path.run()?).await.map_err(Error::from)?;
    run(State(app), path).await
}

/// Lets a run restart from nothing.
pub async fn restart(State(app): App, path: InPath) -> Answer {
    launch::restart(&app.store, &app.jobs, &path.run()?).await.map_err(Error::from)?;
    run(State(app), path).await
}

fn run_json(run: &Run) -> Value {
    let progress = &run.progress;
    json!({
        "id": run.id, "label": run.label, "stage": run.stage, "method": run.method, "seed": run.seed, "scale": run.scale,
        "data": run.data, "parent": run.parent, "state": run.state, "blocked": run.is_blocked(), "reason": run.reason,
        "attempt": run.attempt, "priority": run.priority, "device": run.device, "created": run.created, "started": run.started,
        "ended": run.ended, "seconds": run.seconds(), "phase": progress.phase, "step": progress.step, "steps": progress.steps,
        "images_per_second": progress.images_per_second, "eta_seconds": progress.eta_seconds,
        "checkpoint_step": progress.checkpoint_step,
    })
}
