//! Files of a run: log, record, model, list of images, images. A request names a run by its id and an image by name and
//! step; the file names come from the run directory's own layout and the store, never from the request.

use std::path::{Component, Path};

use axum::body::{Body, Bytes};
use axum::extract::State;
use futures::stream;
use tokio::io::AsyncReadExt;

use crate::run_dir::{RunDir, State as RunState};
use crate::web::error::{Error, Result};
use crate::web::fields::InPath;
use crate::web::file::{Cache, File, Kind};
use crate::web::{App, AppState};

/// How much is read at a time, in bytes.
const CHUNK: usize = 256 * 1024;

/// The whole log.
pub async fn log(State(app): App, path: InPath) -> Result<File> {
    let dir = dir_of(&app, &path).await?;
    sent(Kind::Text, &dir.log_file(), "the run has written no log yet").await
}

/// `run.toml`, the resolved settings.
pub async fn spec(State(app): App, path: InPath) -> Result<File> {
    let dir = dir_of(&app, &path).await?;
    sent(Kind::Text, &dir.spec_file(), "the run's record is gone").await
}

/// The trained model.
pub async fn model(State(app): App, path: InPath) -> Result<File> {
    let dir = dir_of(&app, &path).await?;
    let file = sent(Kind::Weights, &dir.model_file(), "the run has no model yet").await?;
    Ok(file.saved_as(format!("umbra-{}.safetensors", path.run()?)))
}

/// The names of the training images of a run that uses a part of them.
pub async fn subset(State(app): App, path: InPath) -> Result<File> {
    let dir = dir_of(&app, &path).await?;
    let missing = "the run has no list of images: it trains on all of them, or has not started";
    let file = sent(Kind::Tsv, &dir.subset_file(), missing).await?;
    Ok(file.saved_as(format!("umbra-{}-images.tsv", path.run()?)))
}

/// An image, by step and `<name>.png`.
pub async fn image(State(app): App, path: InPath) -> Result<File> {
    let none = || Error::NotFound("the run has no such image".to_owned());
    let id = path.run()?;
    let run = app.store.run(&id).await?.ok_or_else(none)?;
    let name = path.text("file")?.strip_suffix(".png").ok_or_else(none)?;
    let step: u64 = path.text("step")?.parse().map_err(|_| none())?;
    let rows = app.store.images(&id).await?;
    let row = rows.iter().find(|row| row.step == step && row.name == name).ok_or_else(none)?;
    let mut parts = Path::new(&row.file).components();
    let (Some(Component::Normal(file)), None) = (parts.next(), parts.next()) else {
        return Err(none());
    };
    let path = RunDir::of(app.jobs.data_dir(), &id).images().join(file);
    let cache = if run.state == RunState::Finished { Cache::Day } else { Cache::Ask };
    Ok(sent(Kind::Png, &path, "the image's file is gone").await?.cached(cache))
}

/// The directory of the run that the path names, if the store knows the run.
async fn dir_of(app: &AppState, path: &InPath) -> Result<RunDir> {
    let id = path.run()?;
    let known = app.store.run(&id).await?;
    known
        .map(|run| RunDir::of(app.jobs.data_dir(), &run.id))
        .ok_or_else(|| Error::NotFound(format!("there is no run {id}")))
}

/// A plain file, read piece by piece while it is sent; a link is not followed.
async fn sent(kind: Kind, path: &Path, missing: &str) -> Result<File> {
    let known = tokio::fs::symlink_metadata(path).await;
    if !known.is_ok_and(|meta| meta.is_file()) {
        return Err(Error::NotFound(missing.to_owned()));
    }
    let file = tokio::fs::File::open(path).await?;
    let length = file.metadata().await?.len();
    let pieces = stream::try_unfold((file, length), |(mut file, left)| async move {
        let mut piece = vec![0; CHUNK.min(left as usize)];
        let read = if piece.is_empty() { 0 } else { file.read(&mut piece).await? };
        piece.truncate(read);
        Ok::<_, std::io::Error>((read > 0).then(|| (Bytes::from(piece), (file, left - read as u64))))
    });
    // A log may grow meanwhile; only what was there is sent, so the length holds.
    Ok(File::new(kind, Body::from_stream(pieces)).of_length(length))
}
