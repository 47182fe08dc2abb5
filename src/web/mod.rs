//! The pages, their JSON twins and the one guard before them.
//!
//! One file a page: struct, handler and template share a stem. [`routes`] is the whole list of what can be
//! asked. Handlers read the store and give orders to the jobs; they hold no state of their own, so a page's
//! state lives in its address.

mod api;
mod assets;
mod charts;
mod error;
mod fields;
mod filters;
mod guard;
mod launch;
mod live;
mod page;
mod playground;
mod runs;
mod session;
mod studies;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use axum::Router;
use axum::extract::{DefaultBodyLimit, FromRef, State};
use axum::http::Uri;
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get, post};

use crate::app::launch::Launcher;
use crate::experiment::{Catalog, Library, Scale, Study};
use crate::jobs::Jobs;
use crate::store::Store;
use error::{Error, Failure};
use fields::BODY_LIMIT;
use guard::Guard;
use playground::uploads::{UPLOAD_LIMIT, Uploads};

pub use guard::GuardConfig;
pub use studies::index::Outlines;
pub use studies::report::report;

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

    fn launcher(&self) -> Launcher<'_> {
        Launcher {
            library: &self.library,
            scales: &self.scales,
            catalog: &self.catalog,
            store: &self.store,
            jobs: &self.jobs,
        }
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
        ("/", get(studies::home::home)),
        ("/plan", get(studies::plan::plan).post(studies::plan::queue)),
        ("/studies", post(studies::custom::save)),
        ("/studies/new", get(studies::custom::page).post(studies::custom::write_out)),
        ("/studies/check", post(studies::custom::check)),
        ("/studies/{name}", get(studies::study::study)),
        ("/studies/{name}/delete", post(studies::custom::delete)),
        ("/studies/{name}/launch", post(studies::study::launch)),
        ("/studies/{name}/number", get(studies::number::number)),
        ("/studies/{name}/{file}", get(studies::export::study_export)),
        ("/launch", get(launch::page::launch).post(launch::page::submit)),
        ("/runs", get(runs::list::runs)),
        ("/runs/{id}", get(runs::run::run)),
        ("/runs/{id}/cancel", post(runs::actions::cancel)),
        ("/runs/{id}/retry", post(runs::actions::retry)),
        ("/runs/{id}/restart", post(runs::actions::restart)),
        ("/runs/{id}/priority", post(runs::actions::priority)),
        ("/runs/{id}/log", get(runs::files::log)),
        ("/runs/{id}/run.toml", get(runs::files::spec)),
        ("/runs/{id}/model.safetensors", get(runs::files::model)),
        ("/runs/{id}/subset.tsv", get(runs::files::chosen)),
        ("/runs/{id}/images/{step}/{file}", get(runs::files::image)),
        ("/runs/{id}/matrices/{file}", get(runs::matrices::matrix)),
        ("/runs/{id}/embedding", get(runs::embedding::embedding)),
        ("/runs/{id}/embedding/map", get(runs::embedding::map)),
        ("/runs/{id}/validation/{file}", get(runs::embedding::image)),
        ("/compare", get(runs::compare::compare)),
        ("/playground", get(playground::page::playground)),
        ("/playground/answer", get(playground::page::answer)),
        (
            "/playground/upload",
            post(playground::uploads::upload).layer(DefaultBodyLimit::max(UPLOAD_LIMIT)),
        ),
        ("/queue", get(runs::queue::queue)),
        ("/claims", get(studies::claims::claims)),
        ("/claims/{study}/{claim}/launch", post(studies::claims::launch)),
        ("/report.html", get(studies::report::download)),
        ("/cka", get(charts::cka::cka)),
        ("/psnr", get(charts::psnr::psnr)),
        ("/live", get(live::live)),
        ("/login", get(session::login::login).post(session::login::log_in)),
        ("/logout", post(session::login::log_out)),
        ("/static/{file}", get(assets::asset)),
    ]
}

fn charts() -> Vec<(&'static str, MethodRouter<Site>)> {
    vec![
        ("/charts/curves.svg", get(charts::curves::curves)),
        ("/charts/psnr.svg", get(charts::psnr::svg_file)),
        ("/charts/cka.svg", get(charts::cka_files::svg_file)),
        ("/charts/cka.png", get(charts::cka_files::png_file)),
        ("/charts/cka.csv", get(charts::cka_files::csv_file)),
        ("/charts/cka.json", get(charts::cka_files::json_file)),
    ]
}

fn interface() -> Vec<(&'static str, MethodRouter<Site>)> {
    vec![
        ("/api/v1/studies", get(api::studies)),
        ("/api/v1/studies/{name}", get(api::study)),
        ("/api/v1/claims", get(studies::claims::json)),
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
        ("/api/v1/launch", post(launch::api::launch)),
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
