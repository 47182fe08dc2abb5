//! `/live`: which runs are new, as server-sent events. Pages then ask for themselves again.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::time::Duration;

use axum::extract::State;
use axum::response::Sse;
use axum::response::sse::{Event, KeepAlive};
use futures::Stream;
use futures::stream::{self, StreamExt};
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::{RecvError, TryRecvError};

use crate::experiment::RunId;
use crate::jobs::Change;
use crate::run_dir::State as RunState;
use crate::web::App;

/// Changes are gathered for so long, so that a page hears of a run twice a second at most.
const GATHER: Duration = Duration::from_millis(500);

/// A comment keeps proxies from closing a quiet connection.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// The stream. It begins with `hello`; then `runs` has `[{"run": …, "state": …}]`, and `missed` says that
/// changes were too many to list.
///
/// The header keeps nginx from holding it back until a buffer is full.
pub async fn live(
    State(app): App,
) -> (
    [(&'static str, &'static str); 1],
    Sse<impl Stream<Item = Result<Event, Infallible>>>,
) {
    let hello = Event::default().event("hello").data("{}").retry(Duration::from_secs(2));
    let changes = stream::unfold(app.jobs.subscribe(), |mut changes| async move {
        let event = next(&mut changes).await?;
        Some((Ok(event), changes))
    });
    let stream = Sse::new(stream::once(async { Ok(hello) }).chain(changes)).keep_alive(KeepAlive::new().interval(KEEP_ALIVE));
    ([("x-accel-buffering", "no")], stream)
}

/// The next event, or nothing once the server ends.
async fn next(changes: &mut Receiver<Change>) -> Option<Event> {
    let mut runs = BTreeMap::new();
    match changes.recv().await {
        Ok(change) => runs.insert(change.run, change.state),
        Err(RecvError::Lagged(_)) => return Some(missed()),
        Err(RecvError::Closed) => return None,
    };
    tokio::time::sleep(GATHER).await;
    loop {
        match changes.try_recv() {
            Ok(change) => runs.insert(change.run, change.state),
            Err(TryRecvError::Lagged(_)) => return Some(missed()),
            Err(TryRecvError::Empty | TryRecvError::Closed) => return Some(listed(&runs)),
        };
    }
}

fn missed() -> Event {
    Event::default().event("missed").data("{}")
}

fn listed(runs: &BTreeMap<RunId, RunState>) -> Event {
    let list: Vec<_> = runs
        .iter()
        .map(|(run, state)| serde_json::json!({"run": run, "state": state.name()}))
        .collect();
    Event::default().event("runs").data(serde_json::Value::Array(list).to_string())
}
