//! `/api/v1`: the pages' facts and orders as JSON. Addresses and queries are those of the pages.

use axum::Json;
use axum::extract::State;
use serde_json::{Value, json};

use crate::app::runs::{PAGE_SIZE, RunList, RunRecord, RunsQuery, list, record};
use crate::app::studies::{Choice, TableOptions, sheet, with_seeds};
use crate::experiment::Study;
use crate::store::Run;
use crate::web::App;
use crate::web::error::{Error, Failure};
use crate::web::fields::{InPath, InQuery};

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
    let choice = with_seeds(&app, &study, Choice::read(&query)).await?;
    let sheet = sheet(&app, &study, &choice, &TableOptions::default()).await??;
    let runs = sheet.plan.runs.iter().map(|spec| {
        let run = sheet.own.runs.get(&spec.id);
        json!({ "id": spec.id, "label": spec.label, "stage": spec.stage, "state": run.map_or("not queued", |run| run.state.name()) })
    });
    Ok(Json(
        json!({ "study": study.as_ref(), "table": sheet.whole, "runs": runs.collect::<Vec<_>>() }),
    ))
}

/// A page of runs.
pub async fn runs(State(app): App, InQuery(query): InQuery) -> Answer {
    let query = RunsQuery {
        group: String::new(),
        ..RunsQuery::read(&query)?
    };
    let RunList { runs, total, .. } = list(&app, &query).await?;
    let runs: Vec<Value> = runs.iter().map(run_json).collect();
    Ok(Json(
        json!({ "runs": runs, "total": total, "page": query.page, "page_size": PAGE_SIZE }),
    ))
}

/// One run with its settings, results, attempts and warnings.
pub async fn run(State(app): App, path: InPath) -> Answer {
    let RunRecord {
        run,
        children,
        results,
        curves,
        images,
        warnings,
        attempts,
    } = record(&app, &path.run()?).await?;
    let children: Vec<&str> = children.iter().map(|child| child.id.as_str()).collect();
    let results: serde_json::Map<String, Value> = results.into_iter().map(|(name, value)| (name, json!(value))).collect();
    let attempts = attempts.into_iter().map(|a| {
        json!({ "attempt": a.attempt, "host": a.host, "pid": a.pid, "device": a.device, "threads": a.threads, "resumed_step": a.resumed_step,
            "started": a.started, "ended": a.ended, "outcome": a.outcome, "reason": a.reason })
    });
    let warnings = warnings.into_iter().map(|w| json!({ "time": w.time, "message": w.message }));
    let images = images.into_iter();
    let images =
        images.map(|p| json!({ "name": p.name, "step": p.step, "href": format!("/runs/{}/images/{}/{}.png", run.id, p.step, p.name) }));
    Ok(Json(json!({
        "run": run_json(&run), "spec": *run.spec, "results": results, "children": children,
        "metrics": curves, "attempts": attempts.collect::<Vec<_>>(),
        "warnings": warnings.collect::<Vec<_>>(), "images": images.collect::<Vec<_>>(),
    })))
}

/// One curve: `name=train/loss`.
pub async fn metrics(State(app): App, path: InPath, InQuery(query): InQuery) -> Answer {
    let id = path.run()?;
    app.run(&id).await?;
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
    app.launcher().retry(&path.run()?).await.map_err(Error::from)?;
    run(State(app), path).await
}

/// Lets a run restart from nothing.
pub async fn restart(State(app): App, path: InPath) -> Answer {
    app.launcher().restart(&path.run()?).await.map_err(Error::from)?;
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
