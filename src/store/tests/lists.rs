//! Lists of runs, and which goes first.

use super::*;

/// A finished parent, its waiting child and a failed run, in the order of their coming.
async fn three_runs() -> (Shelf, [RunId; 3]) {
    let shelf = shelf().await;
    let parent = spec(Stage::Pretrain, 0, None);
    let (child, other) = (spec(Stage::Probe, 0, Some(&parent)), spec(Stage::Pretrain, 5, None));
    shelf.put_at(&parent, 1, vec![queued(0), started(1), FINISHED]).await;
    shelf.put_at(&child, 5, vec![queued(0)]).await;
    shelf
        .put_at(&other, 9, vec![queued(0), started(1), metric(1, 0.1), failed("a fault")])
        .await;
    (shelf, [parent.id, child.id, other.id])
}

fn filter() -> RunFilter {
    RunFilter::default()
}

#[tokio::test]
async fn runs_are_filtered_and_counted() {
    let (shelf, [parent, child, other]) = three_runs().await;
    let only = |change: &dyn Fn(&mut RunFilter)| {
        let mut filter = filter();
        change(&mut filter);
        filter
    };
    let start_of_id = &other.as_str()[..5];
    let cases = [
        (filter(), vec![&other, &child, &parent]),
        (only(&|f| f.stage = Some(Stage::Probe)), vec![&child]),
        (only(&|f| f.state = Some(State::Failed)), vec![&other]),
        (only(&|f| f.method = Some("dino".to_owned())), vec![]),
        (only(&|f| f.ids = Some(vec![parent.clone(), child.clone()])), vec![&child, &parent]),
        (only(&|f| f.ids = Some(vec![])), vec![]),
        (only(&|f| f.text = Some("SEED 5".to_owned())), vec![&other]),
        (only(&|f| f.text = Some("%".to_owned())), vec![]),
        (only(&|f| f.text = Some(start_of_id.to_owned())), vec![&other]),
    ];
    for (filter, expected) in cases {
        assert_eq!(
            shelf.listed(filter.clone()).await.iter().collect::<Vec<_>>(),
            expected,
            "{filter:?}"
        );
        assert_eq!(
            shelf.store.count(&RunFilter { limit: 0, ..filter }).await.unwrap(),
            expected.len() as u64
        );
    }
    let counts = shelf.store.counts().await.unwrap();
    assert_eq!(counts.into_iter().map(|(_, runs)| runs).collect::<Vec<_>>(), [0, 1, 1, 1, 0]);
    assert_eq!(shelf.store.children(&parent).await.unwrap()[0].id, child);
}

#[tokio::test]
async fn runs_are_sorted_and_cut_into_pages() {
    let (shelf, [parent, child, other]) = three_runs().await;
    let up = |sort| RunFilter {
        sort,
        descending: false,
        ..filter()
    };
    assert_eq!(
        shelf.listed(up(Sort::Created)).await,
        [parent.clone(), child.clone(), other.clone()]
    );
    assert_eq!(
        shelf
            .listed(RunFilter {
                limit: 1,
                offset: 1,
                ..up(Sort::Created)
            })
            .await,
        std::slice::from_ref(&child)
    );
    assert_eq!(shelf.listed(up(Sort::State)).await, [child.clone(), parent.clone(), other.clone()]);
    assert_eq!(
        shelf
            .listed(RunFilter {
                sort: Sort::Duration,
                ..filter()
            })
            .await,
        [other.clone(), parent.clone(), child.clone()]
    );
    assert_eq!(shelf.listed(up(Sort::Stage)).await, [parent.clone(), other.clone(), child.clone()]);
    assert_eq!(shelf.listed(up(Sort::Label)).await, [parent, other, child]);
}

#[tokio::test]
async fn a_run_is_claimed_once_and_only_when_its_parent_is_finished() {
    let shelf = shelf().await;
    let parent = spec(Stage::Pretrain, 0, None);
    let (child, urgent) = (spec(Stage::Probe, 0, Some(&parent)), spec(Stage::Pretrain, 5, None));
    shelf.put_at(&parent, 1, vec![queued(0)]).await;
    shelf.put_at(&child, 2, vec![queued(9)]).await;
    shelf.put_at(&urgent, 3, vec![queued(5)]).await;
    assert_eq!(shelf.store.claim("cpu", 1).await.unwrap().as_ref(), Some(&urgent.id));
    assert_eq!(shelf.store.claim("cpu", 1).await.unwrap(), None, "the device is taken");
    let (a, b) = tokio::join!(shelf.store.claim("gpu:0", 1), shelf.store.claim("gpu:1", 1));
    let claimed: Vec<RunId> = [a.unwrap(), b.unwrap()].into_iter().flatten().collect();
    assert_eq!(claimed, [parent.id], "two devices never get the same run, and the child must wait");
    shelf.store.release(&urgent.id).await.unwrap();
    assert_eq!(shelf.store.claim("cpu", 1).await.unwrap(), Some(urgent.id));
}

#[tokio::test]
async fn the_queue_says_what_waits_in_vain() {
    let shelf = shelf().await;
    let (parent, gone) = (spec(Stage::Pretrain, 0, None), spec(Stage::Pretrain, 1, None));
    let (child, orphan, ready) = (
        spec(Stage::Probe, 0, Some(&parent)),
        spec(Stage::Probe, 1, Some(&gone)),
        spec(Stage::Pretrain, 2, None),
    );
    shelf.put_at(&parent, 1, vec![queued(0), failed("a fault")]).await;
    shelf.put_at(&child, 2, vec![queued(0)]).await;
    shelf.put_at(&orphan, 3, vec![queued(0)]).await;
    shelf.put_at(&ready, 4, vec![queued(0)]).await;
    let queue = shelf.store.queue().await.unwrap();
    assert_eq!(
        queue.iter().map(|run| &run.id).collect::<Vec<_>>(),
        [&ready.id, &child.id, &orphan.id]
    );
    assert_eq!(queue.iter().map(Run::is_blocked).collect::<Vec<_>>(), [false, true, true]);
    assert_eq!(queue[1].reason.as_deref(), Some("waits for MAE · pretrain · seed 0, which failed"));
    assert_eq!(queue[2].reason, Some(format!("waits for run {}, which is not here", gone.id)));
}

#[tokio::test]
async fn the_seeds_of_runs_are_known_and_how_many_are_finished() {
    let shelf = shelf().await;
    assert!(shelf.store.seeds().await.unwrap().is_empty());
    for (seed, kinds) in [
        (0, vec![queued(0), started(1), FINISHED]),
        (1, vec![queued(0), started(1), FINISHED]),
        (3, vec![queued(0)]),
    ] {
        shelf.put_at(&spec(Stage::Pretrain, seed, None), 10, kinds).await;
    }
    let seeds = shelf.store.seeds().await.unwrap();
    let seeds: Vec<_> = seeds.iter().map(|row| (row.data.as_str(), row.seed, row.finished)).collect();
    assert_eq!(seeds, [("builtin", 0, 1), ("builtin", 1, 1), ("builtin", 3, 0)]);
}

#[tokio::test]
async fn descendants_are_counted_once_they_were_begun() {
    let shelf = shelf().await;
    let parent = spec(Stage::Pretrain, 0, None);
    let child = spec(Stage::Finetune, 0, Some(&parent));
    let (grandchild, waiting) = (spec(Stage::Probe, 0, Some(&child)), spec(Stage::Cka, 0, Some(&parent)));
    shelf.put_at(&parent, 1, vec![queued(0), started(1), FINISHED]).await;
    shelf.put_at(&child, 2, vec![queued(0), started(1), FINISHED]).await;
    shelf.put_at(&grandchild, 3, vec![queued(0), started(1)]).await;
    shelf.put_at(&waiting, 4, vec![queued(0)]).await;
    assert_eq!(shelf.store.begun_descendants(&parent.id).await.unwrap(), 2);
    assert_eq!(shelf.store.made_from(&parent.id).await.unwrap().len(), 3);
    assert_eq!(shelf.store.begun_descendants(&grandchild.id).await.unwrap(), 0);
}
