//! The pages, their JSON twins and the one guard before them.
//!
//! One file a page: struct, handler and template share a stem. [`routes`] is the whole list of what can be
//! asked. Handlers read the store and give orders to the jobs; they hold no state of their own, so a page's
//! state lives in its address.

mod actions;
mod api;
mod api_launch;
mod assets;
mod charts;
mod cka;
mod cka_charts;
mod claim_view;
mod claims;
mod compare;
mod embedding;
mod error;
mod exports;
mod fields;
mod files;
mod filters;
mod guard;
mod home;
mod launch;
mod launch_draft;
mod launch_form;
mod live;
mod login;
mod matrices;
mod named;
mod number;
mod outlines;
mod own;
mod page;
mod plan;
mod playground;
mod playground_setup;
mod psnr;
mod psnr_examples;
mod queue;
mod report;
mod report_facts;
mod report_figures;
mod run;
mod run_groups;
mod run_settings;
mod run_tables;
mod runs;
mod runs_query;
mod session;
mod study;
mod study_choice;
mod study_sheet;
mod study_table;
mod study_tabs;
mod study_view;
#[cfg(test)]
mod tests;
mod uploads;
mod view;

use std::sync::Arc;

use axum::Router;
use axum::extract::{DefaultBodyLimit, FromRef, State};
use axum::http::Uri;
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get, post};

use crate::experiment::{Catalog, Library, Scale, Study};
use crate::jobs::Jobs;
use crate::store::Store;
use error::{Error, Failure};
use guard::{BODY_LIMIT, Guard};
use uploads::{UPLOAD_LIMIT, Uploads};

pub use guard::GuardConfig;
pub use outlines::Outlines;
pub use report::report;

/// What the pages are about.
#[derive(Clone)]
pub struct AppState {
    /// What runs did.
    pub store: Store,
    /// Where orders go.
    pub jobs: Jobs,
    /// The studies.
    pub library: Library,
    /// The scales, smallest first.
    pub scales: Vec<Scale>,
    /// The methods.
    pub catalog: Catalog,
    /// What studies consist of; empty at first.
    pub outlines: Outlines,
    /// Who may ask.
    pub guard: GuardConfig,
}

impl AppState {
    fn study(&self, name: &str) -> error::Result<Arc<Study>> {
        let missing = || format!("there is no such study: it must be one of {}", self.library.names());
        self.library.find(name).ok_or_else(|| Error::NotFound(missing()))
    }

    fn scale(&self, name: &str) -> Option<&Scale> {
        self.scales.iter().find(|scale| scale.name == name)
    }
}

/// What handlers take to know what the pages are about.
type App = State<Arc<AppState>>;

#[derive(Clone)]
struct Site {
    app: Arc<AppState>,
    guard: Guard,
    uploads: Arc<Uploads>,
}

impl FromRef<Site> for Arc<AppState> {
    fn from_ref(site: &Site) -> Self {
        Arc::clone(&site.app)
    }
}

impl FromRef<Site> for Guard {
    fn from_ref(site: &Site) -> Self {
        site.guard.clone()
    }
}

impl FromRef<Site> for Arc<Uploads> {
    fn from_ref(site: &Site) -> Self {
        Arc::clone(&site.uploads)
    }
}

/// The application: every route behind the guard.
pub fn router(state: AppState) -> Router {
    let guard = Guard::new(state.guard.clone());
    let site = Site {
        app: Arc::new(state),
        guard: guard.clone(),
        uploads: Arc::default(),
    };
    let router = routes()
        .into_iter()
        .fold(Router::new(), |router, (path, methods)| router.route(path, methods));
    router
        .fallback(not_found)
        .method_not_allowed_fallback(method_not_allowed)
        .layer(DefaultBodyLimit::max(BODY_LIMIT))
        .layer(from_fn_with_state(guard, guard::guard))
        .with_state(site)
}

/// Every route there is.
fn routes() -> Vec<(&'static str, MethodRouter<Site>)> {
    [pages(), charts(), interface()].concat()
}

fn pages() -> Vec<(&'static str, MethodRouter<Site>)> {
    vec![
        ("/", get(home::home)),
        ("/plan", get(plan::plan).post(plan::queue)),
        ("/studies", post(own::save)),
        ("/studies/new", get(own::page).post(own::write_out)),
        ("/studies/check", post(own::check)),
        ("/studies/{name}", get(study::study)),
        ("/studies/{name}/delete", post(own::delete)),
        ("/studies/{name}/launch", post(study::launch)),
        ("/studies/{name}/number", get(number::number)),
        ("/studies/{name}/{file}", get(exports::study_export)),
        ("/launch", get(launch::launch).post(launch::submit)),
        ("/runs", get(runs::runs)),
        ("/runs/{id}", get(run::run)),
        ("/runs/{id}/cancel", post(actions::cancel)),
        ("/runs/{id}/retry", post(actions::retry)),
        ("/runs/{id}/restart", post(actions::restart)),
        ("/runs/{id}/priority", post(actions::priority)),
        ("/runs/{id}/log", get(files::log)),
        ("/runs/{id}/run.toml", get(files::spec)),
        ("/runs/{id}/model.safetensors", get(files::model)),
        ("/runs/{id}/chosen.tsv", get(files::chosen)),
        ("/runs/{id}/pictures/{step}/{file}", get(files::picture)),
        ("/runs/{id}/matrices/{file}", get(matrices::matrix)),
        ("/runs/{id}/embedding", get(embedding::embedding)),
        ("/runs/{id}/embedding/map", get(embedding::map)),
        ("/runs/{id}/validation/{file}", get(embedding::picture)),
        ("/compare", get(compare::compare)),
        ("/playground", get(playground::playground)),
        ("/playground/answer", get(playground::answer)),
        (
            "/playground/upload",
            post(uploads::upload).layer(DefaultBodyLimit::max(UPLOAD_LIMIT)),
        ),
        ("/queue", get(queue::queue)),
        ("/claims", get(claims::claims)),
        ("/claims/{study}/{claim}/launch", post(claims::launch)),
        ("/report.html", get(report::download)),
        ("/cka", get(cka::cka)),
        ("/psnr", get(psnr::psnr)),
        ("/live", get(live::live)),
        ("/login", get(login::login).post(login::log_in)),
        ("/logout", post(login::log_out)),
        ("/static/{file}", get(assets::asset)),
    ]
}

fn charts() -> Vec<(&'static str, MethodRouter<Site>)> {
    vec![
        ("/charts/curves.svg", get(charts::curves)),
        ("/charts/psnr.svg", get(psnr::svg_file)),
        ("/charts/cka.svg", get(cka_charts::svg_file)),
        ("/charts/cka.png", get(cka_charts::png_file)),
        ("/charts/cka.csv", get(cka_charts::csv_file)),
        ("/charts/cka.json", get(cka_charts::json_file)),
    ]
}

fn interface() -> Vec<(&'static str, MethodRouter<Site>)> {
    vec![
        ("/api/v1/studies", get(api::studies)),
        ("/api/v1/studies/{name}", get(api::study)),
        ("/api/v1/claims", get(claims::json)),
        ("/api/v1/scales", get(api::scales)),
        ("/api/v1/methods", get(api::methods)),
        ("/api/v1/runs", get(api::runs)),
        ("/api/v1/runs/{id}", get(api::run)),
        ("/api/v1/runs/{id}/metrics", get(api::metrics)),
        ("/api/v1/runs/{id}/cancel", post(api::cancel)),
        ("/api/v1/runs/{id}/retry", post(api::retry)),
        ("/api/v1/runs/{id}/restart", post(api::restart)),
        ("/api/v1/queue", get(api::queue)),
        ("/api/v1/devices", get(api::devices)),
        ("/api/v1/launch", post(api_launch::launch)),
    ]
}

async fn not_found(uri: Uri) -> Response {
    answer(&uri, Error::NotFound("there is no such page".to_owned()))
}

async fn method_not_allowed(uri: Uri) -> Response {
    answer(&uri, Error::MethodNotAllowed)
}

fn answer(uri: &Uri, error: Error) -> Response {
    if uri.path().starts_with("/api/") {
        Failure::from(error).into_response()
    } else {
        error.into_response()
    }
}
