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

/// The labels of runs, without what they all have in common.
pub fn titles<'a>(runs: impl IntoIterator<Item = &'a Run>) -> Vec<String> {
    let runs: Vec<&Run> = runs.into_iter().collect();
    let common = |part: fn(&Run) -> String| {
        runs.first()
            .map(|run| part(run))
            .filter(|first| runs.iter().all(|run| part(run) == *first))
    };
    let parts: [fn(&Run) -> String; 3] = [
        |run| run.stage.name().to_owned(),
        |run| run.scale.clone(),
        |run| format!("seed {}", run.seed),
    ];
    let dropped: Vec<String> = parts.into_iter().filter_map(common).collect();
    let title = |run: &&Run| {
        let kept = run.label.split(" · ").filter(|part| !dropped.iter().any(|common| common == part));
        kept.collect::<Vec<_>>().join(" · ")
    };
    runs.iter().map(title).collect()
}
