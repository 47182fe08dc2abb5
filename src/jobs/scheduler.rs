//! Which run starts where, and when.

use std::sync::Arc;
use std::time::Duration;

use super::inner::Inner;
use super::lifecycle;

/// The longest sleep: a look at the queue costs one statement for each free device.
const PAUSE: Duration = Duration::from_secs(2);

/// Gives runs to devices for ever.
pub(super) async fn run(inner: Arc<Inner>) {
    loop {
        step(&inner)
            .await
            .unwrap_or_else(|error| tracing::error!("starting runs failed: {error:#}"));
        tokio::select! {
            () = inner.wake.notified() => {}
            () = tokio::time::sleep(PAUSE) => {}
        }
    }
}

/// Starts the next ready run on each free device. One that cannot be started is set aside, and its place is the next one's.
pub(super) async fn step(inner: &Arc<Inner>) -> anyhow::Result<()> {
    let _turn = inner.turn.lock().await;
    inner.end_due_set_asides().await?;
    for slot in inner.slots().into_iter().filter(|slot| slot.run.is_none()) {
        let places = inner.config.devices.iter().filter(|device| **device == slot.device).count();
        while let Some(run) = inner.store.claim(&slot.device, places).await? {
            let Err(error) = lifecycle::start(inner, &run, &slot.device).await else {
                break;
            };
            tracing::error!("run {run} cannot be started and is set aside for now: {error:#}");
            inner.set_aside(&run, format!("cannot be started: {error:#}")).await?;
        }
    }
    Ok(())
}
