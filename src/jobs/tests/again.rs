//! What the next server, a repair or a person finds, and what it makes of it.

use super::*;

#[tokio::test]
async fn a_living_worker_is_adopted_by_the_next_server() {
    let bench = Bench::new();
    let script = [BEGIN, WAIT, FINISH].concat();
    let run = spec(Stage::Pretrain, 0, None);
    let jobs = bench.serve(&script).await;
    jobs.submit(std::slice::from_ref(&run), 0).await.unwrap();
    jobs.until(&run, State::Running).await;
    jobs.stop().await;
    let jobs = bench.serve(&script).await;
    assert_eq!(jobs.devices()[0].run.as_ref(), Some(&run.id));
    std::fs::write(bench.run_dir(&run).path().join("go"), "").unwrap();
    assert_eq!(jobs.until(&run, State::Finished).await.attempt, 1);
    assert_eq!(jobs.inner.store.attempts(&run.id).await.unwrap().len(), 1);
}

#[tokio::test]
async fn an_adopted_worker_can_be_cancelled() {
    let bench = Bench::new();
    let script = [BEGIN, WAIT].concat();
    let run = spec(Stage::Pretrain, 0, None);
    let jobs = bench.serve(&script).await;
    jobs.submit(std::slice::from_ref(&run), 0).await.unwrap();
    jobs.until(&run, State::Running).await;
    jobs.stop().await;
    let jobs = bench.serve(&script).await;
    jobs.cancel(&run.id).await.unwrap();
    assert_eq!(
        jobs.until(&run, State::Cancelled).await.reason.as_deref(),
        Some("cancelled by a person")
    );
}

/// Works on until it is asked to stop, and then waits for the file `go` before it does.
const SLOW_TO_STOP: &str = "trap 'asked=1' TERM; touch ready\n\
    for i in $(seq 600); do [ -z \"$asked\" ] || [ ! -e go ] || { say $((last+2)) stopped; exit 10; }; sleep 0.05 9>&-; done\n";

/// A server whose worker was asked to stop and did not yet, when the server ended.
async fn cancelled_and_left(bench: &Bench, run: &RunSpec) {
    let jobs = bench.serve(&[BEGIN, SLOW_TO_STOP].concat()).await;
    jobs.submit(std::slice::from_ref(run), 0).await.unwrap();
    jobs.until(run, State::Running).await;
    while !bench.run_dir(run).path().join("ready").exists() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    jobs.cancel(&run.id).await.unwrap();
    jobs.stop().await;
}

#[tokio::test]
async fn a_run_stays_cancelled_whose_worker_stopped_after_its_server() {
    let (bench, run) = (Bench::new(), spec(Stage::Pretrain, 0, None));
    cancelled_and_left(&bench, &run).await;
    let dir = bench.run_dir(&run);
    std::fs::write(dir.path().join("go"), "").unwrap();
    while Lock::holder(dir.path()).unwrap().is_some() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(
        dir.history().unwrap().unwrap().state,
        State::Queued,
        "the worker cannot say who asked"
    );
    let jobs = bench.serve(&[BEGIN, FINISH].concat()).await;
    let found = jobs.find(&run).await;
    assert_eq!(
        (found.state, found.reason.as_deref()),
        (State::Cancelled, Some("cancelled by a person"))
    );
    jobs.retry(&run.id).await.unwrap();
    jobs.until(&run, State::Finished).await;
}

#[tokio::test]
async fn a_worker_that_has_not_stopped_when_its_server_ends_is_stopped_by_the_next() {
    let bench = Bench {
        grace: Duration::from_millis(500),
        ..Bench::new()
    };
    let run = spec(Stage::Pretrain, 0, None);
    cancelled_and_left(&bench, &run).await;
    let jobs = bench.serve(&[BEGIN, FINISH].concat()).await;
    let reason = "cancelled by a person; the worker did not stop within 0.5 s and was killed";
    assert_eq!(jobs.until(&run, State::Cancelled).await.reason.as_deref(), Some(reason));
    assert!(!bench.run_dir(&run).cancel_file().exists());
}

#[tokio::test]
async fn a_worker_that_died_with_its_server_is_tried_once_more() {
    let bench = Bench::without_devices();
    let (first, second) = (spec(Stage::Pretrain, 0, None), spec(Stage::Pretrain, 1, None));
    bench.left_behind(&first, vec![QUEUED, started(1)]);
    bench.left_behind(&second, vec![QUEUED, started(1), failed(), QUEUED, started(2)]);
    let jobs = bench.serve("").await;
    let reason = "the worker died while no server was watching";
    assert_eq!(jobs.find(&first).await.state, State::Queued);
    assert_eq!(
        jobs.inner.store.attempts(&first.id).await.unwrap()[0].reason.as_deref(),
        Some(reason)
    );
    let second = jobs.find(&second).await;
    assert_eq!((second.state, second.reason.as_deref()), (State::Failed, Some(reason)));
}

#[tokio::test]
async fn events_written_while_no_server_ran_are_taken_in_once() {
    let bench = Bench::without_devices();
    let run = spec(Stage::Pretrain, 0, None);
    bench.left_behind(&run, vec![QUEUED, started(1), metric(1), metric(2), failed()]);
    bench.serve("").await.stop().await;
    // A worker resumed from step 1 while the server was away: the log was cut behind what is stored.
    let mut log = EventLog::resume(&bench.run_dir(&run).events_file(), 3).unwrap();
    for kind in [started(2), metric(2), metric(3), EventKind::Finished { seconds: 1.0 }] {
        log.append(kind).unwrap();
    }
    let jobs = bench.serve("").await;
    assert_eq!(jobs.find(&run).await.state, State::Finished);
    let steps: Vec<u64> = jobs
        .inner
        .store
        .metrics(&run.id, "train/loss")
        .await
        .unwrap()
        .iter()
        .map(|p| p.step)
        .collect();
    assert_eq!(steps, [1, 2, 3]);
    assert_eq!(jobs.inner.store.attempts(&run.id).await.unwrap().len(), 2);
}

#[tokio::test]
async fn a_line_that_is_no_event_stops_its_run_and_nothing_else() {
    let bench = Bench::new();
    let (broken, sound) = (spec(Stage::Pretrain, 0, None), spec(Stage::Pretrain, 1, None));
    bench.left_behind(&broken, vec![QUEUED, started(1), metric(1)]);
    let file = bench.run_dir(&broken).events_file();
    let whole = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, format!("{whole}scribble\n")).unwrap();
    let jobs = bench.serve(&[BEGIN, FINISH].concat()).await;
    jobs.submit(std::slice::from_ref(&sound), 0).await.unwrap();
    jobs.until(&sound, State::Finished).await;
    let run = jobs.find(&broken).await;
    let place = format!("the line at byte {} is not an event", whole.len());
    assert!(run.state == State::Failed && run.reason.unwrap().contains(&place));
    assert!(jobs.inner.store.warnings(&broken.id).await.unwrap()[0].message.contains(&place));
    assert_eq!(
        jobs.inner.store.metrics(&broken.id, "train/loss").await.unwrap().len(),
        1,
        "what came before counts"
    );
    std::fs::write(&file, whole).unwrap();
    jobs.inner.catch_up(&bench.run_dir(&broken)).await.unwrap();
    assert_eq!(
        jobs.find(&broken).await.state,
        State::Running,
        "after a repair the run stands where it says"
    );
}

#[tokio::test]
async fn a_restarted_run_begins_from_nothing() {
    let bench = Bench::without_devices();
    let run = spec(Stage::Pretrain, 0, None);
    bench.left_behind(
        &run,
        vec![
            EventKind::Queued { priority: 4 },
            started(1),
            metric(1),
            EventKind::Finished { seconds: 1.0 },
        ],
    );
    let dir = bench.run_dir(&run);
    std::fs::create_dir_all(dir.checkpoints().join("step-1")).unwrap();
    std::fs::write(dir.checkpoints().join("latest"), "step-1").unwrap();
    std::fs::write(dir.model_file(), "weights").unwrap();
    let jobs = bench.serve("").await;
    jobs.restart(&run.id).await.unwrap();
    assert!(!dir.checkpoints().exists() && !dir.model_file().exists());
    let found = jobs.find(&run).await;
    assert_eq!(
        (found.state, found.attempt, found.priority, found.progress.checkpoint_step),
        (State::Queued, 0, 4, None)
    );
    assert!(jobs.inner.store.metric_names(&run.id).await.unwrap().is_empty());
}

/// A pretraining that is finished, what was made from it, and something else.
fn family(bench: &Bench) -> [RunSpec; 6] {
    let finished = || EventKind::Finished { seconds: 1.0 };
    let stopped = |reason: &str| EventKind::Cancelled { reason: reason.to_owned() };
    let root = spec(Stage::Pretrain, 0, None);
    let tuned = spec(Stage::Finetune, 0, Some(&root));
    let compared = spec(Stage::Cka, 0, Some(&tuned));
    let broken = spec(Stage::Probe, 0, Some(&root));
    let unbegun = spec(Stage::Psnr, 0, Some(&root));
    let other = spec(Stage::Pretrain, 1, None);
    bench.left_behind(&root, vec![QUEUED, started(1), finished()]);
    bench.left_behind(&tuned, vec![QUEUED, started(1), metric(1), finished()]);
    bench.left_behind(&compared, vec![EventKind::Queued { priority: 7 }, started(1), finished()]);
    bench.left_behind(&broken, vec![QUEUED, started(1), failed()]);
    bench.left_behind(&unbegun, vec![QUEUED, stopped("before it began")]);
    bench.left_behind(&other, vec![QUEUED, started(1), finished()]);
    [root, tuned, compared, broken, unbegun, other]
}

#[tokio::test]
async fn what_was_made_from_a_restarted_run_begins_again_after_it() {
    let bench = Bench::without_devices();
    let [root, tuned, compared, broken, unbegun, other] = family(&bench);
    let checkpoints = bench.run_dir(&broken).checkpoints();
    std::fs::create_dir_all(checkpoints.join("step-1")).unwrap();
    std::fs::write(checkpoints.join("latest"), "step-1").unwrap();
    let jobs = bench.serve("").await;
    jobs.restart(&root.id).await.unwrap();
    for run in [&root, &tuned, &compared, &broken] {
        let found = jobs.find(run).await;
        assert_eq!((found.state, found.attempt), (State::Queued, 0), "{}", run.label);
    }
    assert!(!checkpoints.exists(), "it would go on with what it learned from the old encoder");
    assert!(jobs.inner.store.metric_names(&tuned.id).await.unwrap().is_empty());
    assert_eq!(
        jobs.find(&root).await.priority,
        7,
        "what waits with a priority is waited for with it"
    );
    assert_eq!(jobs.find(&unbegun).await.state, State::Cancelled, "it holds nothing of the old run");
    assert_eq!(jobs.find(&other).await.state, State::Finished);
}

#[tokio::test]
async fn a_run_is_not_restarted_while_one_made_from_it_is_worked_on() {
    let bench = Bench::without_devices();
    let [root, tuned, compared, ..] = family(&bench);
    let jobs = bench.serve("").await;
    let _worker = Lock::take(bench.run_dir(&compared).path()).unwrap();
    let refusal = jobs.restart(&root.id).await.unwrap_err().to_string();
    let beginning = format!(
        "MAE · cka · seed 0 was made from it, and run {} is worked on by process ",
        compared.id
    );
    assert!(refusal.starts_with(&beginning), "{refusal}");
    for run in [&root, &tuned, &compared] {
        assert_eq!(jobs.find(run).await.state, State::Finished, "nothing was begun again");
    }
}

#[tokio::test]
async fn a_run_whose_directory_is_gone_is_forgotten() {
    let bench = Bench::without_devices();
    let run = spec(Stage::Pretrain, 0, None);
    bench.left_behind(&run, vec![QUEUED]);
    bench.serve("").await.stop().await;
    std::fs::remove_dir_all(bench.run_dir(&run).path()).unwrap();
    let jobs = bench.serve("").await;
    assert!(jobs.inner.store.known().await.unwrap().is_empty());
}

#[tokio::test]
async fn reindexing_gives_the_database_that_was_there() {
    let bench = Bench::new();
    let (died, unsaid) = (spec(Stage::Pretrain, 7, None), spec(Stage::Pretrain, 8, None));
    bench.left_behind(
        &died,
        vec![
            QUEUED,
            started(2),
            metric(1),
            metric(2),
            EventKind::Warning { message: "hot".to_owned() },
        ],
    );
    RunDir::create(bench.dir.path(), &unsaid).unwrap();
    let jobs = bench.serve(&[BEGIN, "[ -e go ] && exit 4\n", FINISH].concat()).await;
    let parent = spec(Stage::Pretrain, 0, None);
    let (child, other) = (spec(Stage::Probe, 0, Some(&parent)), spec(Stage::Pretrain, 1, None));
    jobs.submit(&[parent.clone(), child.clone()], 2).await.unwrap();
    jobs.until(&child, State::Finished).await;
    std::fs::create_dir_all(bench.run_dir(&other).path()).unwrap();
    std::fs::write(bench.run_dir(&other).path().join("go"), "").unwrap();
    jobs.submit(std::slice::from_ref(&other), 0).await.unwrap();
    jobs.until(&other, State::Failed).await;
    jobs.restart(&parent.id).await.unwrap();
    jobs.until(&child, State::Finished).await;
    let before = jobs.inner.store.dump().await;
    assert!(reindex(bench.dir.path()).await.is_err(), "a server holds the directory");
    jobs.stop().await;

    let reindexed = reindex(bench.dir.path()).await.unwrap();
    let never_queued = format!("{}: it has no event", bench.run_dir(&unsaid).path().display());
    assert!(reindexed.runs == 4 && reindexed.passed_over.len() == 1, "{reindexed:?}");
    assert!(reindexed.passed_over[0].starts_with(&never_queued), "{reindexed:?}");
    let after = Store::open(bench.dir.path()).await.unwrap().dump().await;
    assert!(before.iter().any(|line| line.starts_with("metric ")) && before.iter().any(|line| line.starts_with("attempt ")));
    assert_eq!(before, after);
}
