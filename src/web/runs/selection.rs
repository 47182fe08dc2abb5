//! The runs that an address names.

use crate::experiment::RunId;
use crate::store::Run;
use crate::web::AppState;
use crate::web::error::{Error, Result};
use crate::web::fields::Fields;

/// The runs that `runs=a,b` or `runs=a&runs=b` names, in that order and each once.
///
/// # Errors
/// More than `most`, or one that is not there.
pub async fn named(app: &AppState, query: &Fields, most: usize) -> Result<Vec<Run>> {
    let mut runs: Vec<Run> = Vec::new();
    for run in groups(app, query, most).await?.into_iter().flatten() {
        if !runs.iter().any(|known| known.id == run.id) {
            runs.push(run);
        }
    }
    Ok(runs)
}

/// The same where `a_b` stands for runs that belong together, such as the seeds of one encoder.
///
/// # Errors
/// More than `most` runs, or one that is not there.
pub async fn groups(app: &AppState, query: &Fields, most: usize) -> Result<Vec<Vec<Run>>> {
    let (mut groups, mut count): (Vec<Vec<Run>>, usize) = (Vec::new(), 0);
    for text in query.list("runs") {
        let mut group = Vec::new();
        for id in text.split('_') {
            count += 1;
            if count > most {
                return Err(Error::BadRequest(format!("runs: at most {most} beside each other")));
            }
            let id: RunId = id.parse().map_err(|e: String| Error::BadRequest(format!("runs: {e}")))?;
            let none = || Error::NotFound(format!("there is no run {id}"));
            group.push(app.store.run(&id).await?.ok_or_else(none)?);
        }
        groups.push(group);
    }
    Ok(groups)
}
