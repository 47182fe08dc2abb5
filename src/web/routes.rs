//! Every address that can be asked for, and who answers.

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::Uri;
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get, post};

use crate::web::base_path::{BasePath, below};
use crate::web::error::{Error, Failure};
use crate::web::fields::BODY_LIMIT;
use crate::web::guard::guard;
use crate::web::playground::uploads::UPLOAD_LIMIT;
use crate::web::state::{AppState, Site};
use crate::web::{api, assets, charts, datasets, launch, live, playground, runs, session, studies};

/// The application: every route behind the guard.
pub fn router(state: AppState) -> Router {
    let base = state.guard.base_path.clone();
    let site = Site::new(state);
    let routes = routes().into_iter();
    let pages = routes
        .fold(Router::new(), |router, (path, methods)| router.route(path, methods))
        .fallback(not_found)
        .method_not_allowed_fallback(method_not_allowed)
        .layer(DefaultBodyLimit::max(BODY_LIMIT))
        .layer(from_fn_with_state(site.guard.clone(), guard))
        .with_state(site);
    if base.is_some() {
        // Around the router, which else would look for the route before the path is taken away.
        Router::new().fallback_service(pages).layer(from_fn_with_state(base, below))
    } else {
        pages
    }
}

/// The path below which pages are to stand, which must not begin like one of them.
///
/// # Errors
/// What is no such path, with what is.
pub fn base_path(text: &str) -> Result<BasePath, String> {
    let base: BasePath = text.parse()?;
    if routes().iter().any(|(route, _)| base.begins_like(route)) {
        return Err(format!("`{text}` begins like a page of Umbra: choose another path, such as /umbra"));
    }
    Ok(base)
}

/// Every route there is.
pub fn routes() -> Vec<(&'static str, MethodRouter<Site>)> {
    [pages(), files(), interface()].concat()
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
        ("/studies/{name}/check", post(studies::study::check)),
        ("/studies/{name}/launch", post(studies::study::launch)),
        ("/studies/{name}/number", get(studies::number::number)),
        ("/launch", get(launch::page::launch).post(launch::page::submit)),
        ("/runs", get(runs::list::runs)),
        ("/runs/{id}", get(runs::run::run)),
        ("/runs/{id}/cancel", post(runs::actions::cancel)),
        ("/runs/{id}/retry", post(runs::actions::retry)),
        ("/runs/{id}/restart", post(runs::actions::restart)),
        ("/runs/{id}/priority", post(runs::actions::priority)),
        ("/runs/{id}/embedding", get(runs::embedding::embedding)),
        ("/runs/{id}/embedding/map", get(runs::embedding::map)),
        ("/datasets", get(datasets::list::datasets)),
        ("/datasets/look", post(datasets::list::look)),
        ("/datasets/{fingerprint}", get(datasets::one::dataset)),
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
        ("/cka", get(charts::cka::cka)),
        ("/psnr", get(charts::psnr::psnr)),
        ("/live", get(live::live)),
        ("/login", get(session::login::login).post(session::login::log_in)),
        ("/logout", post(session::login::log_out)),
    ]
}

fn files() -> Vec<(&'static str, MethodRouter<Site>)> {
    vec![
        ("/studies/{name}/{file}", get(studies::export::study_export)),
        ("/runs/{id}/log", get(runs::files::log)),
        ("/runs/{id}/run.toml", get(runs::files::spec)),
        ("/runs/{id}/model.safetensors", get(runs::files::model)),
        ("/runs/{id}/subset.tsv", get(runs::files::subset)),
        ("/runs/{id}/images/{step}/{file}", get(runs::files::image)),
        ("/runs/{id}/matrices/{file}", get(runs::matrices::matrix)),
        ("/runs/{id}/validation/{file}", get(runs::embedding::image)),
        ("/datasets/{fingerprint}/sheet.png", get(datasets::one::sheet)),
        ("/report.html", get(studies::report::download)),
        ("/static/{file}", get(assets::asset)),
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
        ("/api/v1/datasets", get(datasets::list::json)),
        ("/api/v1/datasets/{fingerprint}", get(datasets::one::json)),
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
