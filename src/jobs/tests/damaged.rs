//! Run directories that a full disk, a power cut or a person left in a state that is no run's.

use std::fs;
use std::path::Path;

use super::*;

const QUEUED: EventKind = EventKind::Queued { priority: 0 };
const FINISHED: EventKind = EventKind::Finished { seconds: 1.0 };

/// Four finished runs.
fn four(bench: &Bench) -> [RunSpec; 4] {
    let runs = [0, 1, 2, 3].map(|seed| spec(Stage::Pretrain, seed, None));
    for run in &runs {
        bench.left_behind(run, vec![QUEUED, started(1), FINISHED]);
        fs::write(bench.run_dir(run).model_file(), "weights").unwrap();
    }
    runs
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    for file in ["run.toml", "events.jsonl"] {
        fs::copy(from.join(file), to.join(file)).unwrap();
    }
}

fn no_leftovers(data_dir: &Path) {
    for file in ["umbra.db.new", "umbra.db.new-wal", "umbra.db.new-shm"] {
        assert!(!data_dir.join(file).exists(), "{file}");
    }
}

#[tokio::test]
async fn directories_that_are_no_run_are_named_and_all_others_are_indexed() {
    let bench = Bench::without_devices();
    let [cut, empty, gone, sound] = four(&bench);
    let spec_of = |run: &RunSpec| bench.run_dir(run).spec_file();
    let text = fs::read(spec_of(&cut)).unwrap();
    fs::write(spec_of(&cut), &text[..200]).unwrap();
    fs::write(spec_of(&empty), "").unwrap();
    fs::remove_file(spec_of(&gone)).unwrap();
    let runs = bench.dir.path().join("runs");
    let aside = runs.join(format!("{}.old", sound.id));
    copy(bench.run_dir(&sound).path(), &aside);
    let renamed = runs.join("0123456789abcdef");
    copy(bench.run_dir(&sound).path(), &renamed);
    fs::write(runs.join(".DS_Store"), "no directory").unwrap();

    let reindexed = reindex(bench.dir.path()).await.unwrap();
    assert_eq!(reindexed.runs, 1);
    let named = [spec_of(&cut), spec_of(&empty), spec_of(&gone), aside, renamed];
    assert_eq!(reindexed.passed_over.len(), named.len(), "{reindexed:?}");
    for path in named {
        let path = path.display().to_string();
        assert!(
            reindexed.passed_over.iter().any(|sentence| sentence.starts_with(&path)),
            "{path}: {reindexed:?}"
        );
    }
    no_leftovers(bench.dir.path());
    let jobs = bench.serve("").await;
    assert_eq!(jobs.inner.store.known().await.unwrap(), [sound.id]);
}

#[tokio::test]
async fn a_run_that_lost_its_record_has_failed_with_that_reason_and_can_be_retried() {
    let bench = Bench::without_devices();
    let [empty, missing, zeros, sound] = four(&bench);
    let events = |run: &RunSpec| bench.run_dir(run).events_file();
    // The server knew them before.
    bench.serve("").await.stop().await;
    fs::write(events(&empty), "").unwrap();
    fs::remove_file(events(&missing)).unwrap();
    fs::write(events(&zeros), [0; 64]).unwrap();
    for round in ["followed", "indexed anew"] {
        let jobs = bench.serve("").await;
        for run in [&empty, &missing, &zeros] {
            let found = jobs.find(run).await;
            let reason = found.reason.unwrap_or_default();
            assert_eq!(found.state, State::Failed, "{round}");
            assert!(
                reason.contains("events.jsonl is empty or missing") && reason.contains("retry"),
                "{reason}"
            );
        }
        assert_eq!(jobs.find(&sound).await.state, State::Finished);
        jobs.stop().await;
        assert_eq!(
            reindex(bench.dir.path()).await.unwrap(),
            Reindexed {
                runs: 4,
                passed_over: Vec::new()
            }
        );
    }
    let jobs = bench.serve("").await;
    jobs.retry(&empty.id).await.unwrap();
    jobs.retry(&zeros.id).await.unwrap();
    jobs.restart(&missing.id).await.unwrap();
    for run in [&empty, &missing, &zeros] {
        assert_eq!(jobs.find(run).await.state, State::Queued);
    }
}

#[tokio::test]
async fn a_directory_that_cannot_be_indexed_leaves_no_half_database() {
    let bench = Bench::without_devices();
    four(&bench);
    reindex(bench.dir.path()).await.unwrap();
    let before = fs::read(bench.dir.path().join("umbra.db")).unwrap();
    fs::rename(bench.dir.path().join("runs"), bench.dir.path().join("elsewhere")).unwrap();
    fs::write(bench.dir.path().join("runs"), "no directory").unwrap();
    assert!(reindex(bench.dir.path()).await.is_err());
    no_leftovers(bench.dir.path());
    assert_eq!(fs::read(bench.dir.path().join("umbra.db")).unwrap(), before);
}

#[tokio::test]
async fn runs_that_the_database_lacks_are_counted() {
    let bench = Bench::without_devices();
    let [damaged, ..] = four(&bench);
    fs::write(bench.run_dir(&damaged).spec_file(), "").unwrap();
    let store = Store::open(bench.dir.path()).await.unwrap();
    assert_eq!(
        unindexed(&store, bench.dir.path()).await.unwrap(),
        3,
        "one that cannot be read is not lacking"
    );
    store.close().await;
    reindex(bench.dir.path()).await.unwrap();
    let store = Store::open(bench.dir.path()).await.unwrap();
    assert_eq!(unindexed(&store, bench.dir.path()).await.unwrap(), 0);
}
