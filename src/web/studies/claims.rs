//! `/claims`: what the paper concludes, judged on the runs that are here, and what to run next.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Redirect, Response};
use serde_json::{Value, json};

use crate::app::launch::queue;
use crate::experiment::forecast::Speed;
use crate::experiment::next::seeds_to_plan;
use crate::experiment::{Request, RunSpec, Scale, Study, Verdict, plan};
use crate::store::{Ground, Judged};
use crate::web::error::{Error, Failure, Result};
use crate::web::fields::{Fields, InForm, InPath, InQuery, query_of};
use crate::web::filters;
use crate::web::page::{Layout, Page};
use crate::web::studies::choice::Choice;
use crate::web::studies::claim_view::{ClaimView, anchor};
use crate::web::{App, AppState};

#[derive(askama::Template)]
#[template(path = "studies/claims.html")]
struct ClaimsPage<'a> {
    layout: Layout,
    scales: &'a [Scale],
    /// Sources that runs have, and the built-in one.
    sources: Vec<String>,
    choice: Choice,
    /// The seeds that are judged.
    seeds: u64,
    /// Whether anything was ever run on this ground.
    begun: bool,
    counts: Vec<(Verdict, u64)>,
    only: Option<Verdict>,
    studies: Vec<Card>,
    /// Studies that cannot be run as they stand.
    faults: Vec<String>,
    /// How many runs the order before this page queued.
    launched: Option<u64>,
}

/// A study with its claims.
struct Card {
    study: Arc<Study>,
    claims: Vec<ClaimView>,
}

/// The scale, images and seeds on which claims are judged.
struct Stand<'a> {
    choice: Choice,
    scale: &'a Scale,
    seeds: u64,
    begun: bool,
    grounds: Vec<Ground>,
}

impl<'a> Stand<'a> {
    /// What the address names; what it leaves out is where most runs are finished, and all seeds that were begun there.
    async fn read(app: &'a AppState, fields: &Fields) -> Result<Stand<'a>> {
        let mut choice = Choice::read(fields);
        choice.check_source()?;
        let grounds = app.store.grounds().await?;
        let fits = |ground: &&Ground| {
            let known = app.scale(&ground.scale).is_some();
            let scale = choice.scale.is_empty() || choice.scale == ground.scale;
            known && scale && (choice.data.is_empty() || choice.data == ground.data)
        };
        let ground = grounds.iter().find(fits);
        if choice.scale.is_empty() {
            let smallest = app.scales.first().map(|scale| scale.name.clone()).unwrap_or_default();
            choice.scale = ground.map_or(smallest, |ground| ground.scale.clone());
        }
        if let Some(ground) = ground.filter(|_| choice.data.is_empty()) {
            choice.data.clone_from(&ground.data);
        }
        let seeds = match choice.request()?.seeds {
            Some(seeds) => seeds.clamp(1, 999),
            None => ground.map_or(1, Ground::begun),
        };
        Ok(Stand {
            scale: choice.scale_of(app)?,
            begun: ground.is_some(),
            seeds,
            choice,
            grounds,
        })
    }

    async fn judge(&self, app: &AppState, study: &Study) -> Result<Judged> {
        let request = Request {
            seeds: Some(seeds_to_plan(self.seeds)),
            ..self.choice.request()?
        };
        let plan = plan(study, self.scale, &app.catalog, &request)?;
        Ok(app.store.judge(study, &plan, self.seeds).await?)
    }

    /// Every study that claims anything, and why some cannot be judged: a person's own may not fit the scale.
    async fn judge_all(&self, app: &AppState) -> Result<(Vec<(Arc<Study>, Judged)>, Vec<String>)> {
        let (mut judged, mut faults) = (Vec::new(), Vec::new());
        for study in app.library.all().into_iter().filter(|study| !study.claims.is_empty()) {
            match self.judge(app, &study).await {
                Ok(found) => judged.push((study, found)),
                Err(Error::Invalid(fault)) => faults.push(format!("Study {}: {fault}.", study.name)),
                Err(fault) => return Err(fault),
            }
        }
        Ok((judged, faults))
    }

    /// The query that leads here again.
    fn query(&self, only: Option<Verdict>) -> String {
        let verdict = only.map(|verdict| verdict.name().to_owned()).unwrap_or_default();
        let (choice, verdict) = (self.choice.query(), query_of([("verdict", verdict)]));
        [choice, verdict]
            .into_iter()
            .filter(|part| !part.is_empty())
            .collect::<Vec<_>>()
            .join("&")
    }
}

impl ClaimsPage<'_> {
    /// The query of this page with another verdict.
    fn with(&self, verdict: Option<&Verdict>) -> String {
        let name = verdict.map(|verdict| verdict.name().to_owned()).unwrap_or_default();
        [self.choice.query(), query_of([("verdict", name)])].join("&")
    }

    fn total(&self) -> u64 {
        self.counts.iter().map(|(_, n)| n).sum()
    }
}

/// The page.
pub async fn claims(State(app): App, InQuery(query): InQuery) -> Result<impl IntoResponse + use<>> {
    let only = query.parse::<Verdict>("verdict")?;
    let stand = Stand::read(&app, &query).await?;
    let past = app.store.past(&stand.scale.name, Speed::kept(app.jobs.data_dir())).await?;
    let (mut studies, mut counts) = (Vec::new(), Verdict::ALL.map(|verdict| (verdict, 0)));
    let (all, faults) = stand.judge_all(&app).await?;
    for (study, judged) in all {
        for (judgment, _) in &judged.claims {
            counts
                .iter_mut()
                .filter(|(verdict, _)| *verdict == judgment.verdict)
                .for_each(|(_, n)| *n += 1);
        }
        let shown = judged
            .claims
            .iter()
            .filter(|(judgment, _)| only.is_none_or(|only| judgment.verdict == only));
        let claims: Vec<ClaimView> = shown
            .map(|(judgment, next)| ClaimView::with_next(&study.name, judgment, next, &past))
            .collect();
        if !claims.is_empty() {
            studies.push(Card { study, claims });
        }
    }
    let page = ClaimsPage {
        layout: Layout::new("claims", &app),
        scales: &app.scales,
        sources: sources(&stand.grounds),
        seeds: stand.seeds,
        begun: stand.begun,
        choice: stand.choice,
        counts: counts.to_vec(),
        only,
        studies,
        faults,
        launched: query.parse("queued")?,
    };
    Ok(Page(page).into_response())
}

/// Queues what a claim wants next, and shows the claim again.
pub async fn launch(State(app): App, path: InPath, InForm(form): InForm) -> Result<Response> {
    let (id, only) = (path.text("claim")?, form.parse::<Verdict>("verdict")?);
    let stand = Stand::read(&app, &form).await?;
    let study = app.study(path.text("study")?)?;
    if !study.claims.iter().any(|claim| claim.id == id) {
        return Err(Error::NotFound(format!("there is no claim {id} in that study")));
    }
    let judged = stand.judge(&app, &study).await?;
    let next = judged.claims.into_iter().find(|(judgment, _)| judgment.claim.id == id);
    let next = next.map(|(_, next)| next).unwrap_or_default();
    let runs: Vec<RunSpec> = next.runs().into_iter().cloned().collect();
    let queued = queue(&app.store, &app.jobs, &runs, 0).await?.queued.len();
    Ok(Redirect::to(&format!(
        "/claims?{}&queued={queued}#{}",
        stand.query(only),
        anchor(&study.name, id)
    ))
    .into_response())
}

/// The same as JSON.
pub async fn json(State(app): App, InQuery(query): InQuery) -> Result<Json<Value>, Failure> {
    let stand = Stand::read(&app, &query).await?;
    let mut claims = Vec::new();
    let (all, faults) = stand.judge_all(&app).await?;
    for (study, judged) in all {
        for (judgment, next) in judged.claims {
            let runs: Vec<_> = next.runs().iter().map(|run| json!({ "id": run.id, "label": run.label })).collect();
            claims.push(json!({
                "study": study.name, "claim": judgment.claim, "verdict": judgment.verdict, "findings": judgment.findings,
                "next": { "runs": runs, "under_way": next.under_way, "seeds_estimate": next.estimate },
            }));
        }
    }
    Ok(Json(
        json!({ "scale": stand.scale.name, "data": stand.choice.data, "seeds": stand.seeds, "claims": claims, "faults": faults }),
    ))
}

fn sources(grounds: &[Ground]) -> Vec<String> {
    let mut sources = vec!["builtin".to_owned()];
    sources.extend(grounds.iter().map(|ground| ground.data.clone()));
    sources.sort();
    sources.dedup();
    sources
}
