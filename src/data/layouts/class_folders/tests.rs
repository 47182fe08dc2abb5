//! Arrangements by name alone.

use super::*;

fn listed(paths: &[&str]) -> anyhow::Result<Listing> {
    let tree = Tree::of_names("src", paths);
    list(tree)
}

fn refusal(paths: &[&str]) -> String {
    match listed(paths) {
        Ok(listing) => panic!("{paths:?} must be refused, but is {:?}", listing.pools),
        Err(error) => error.to_string(),
    }
}

fn names(items: &[Item]) -> Vec<(&str, u32)> {
    items.iter().map(|item| (item.name.as_str(), item.label)).collect()
}

/// Classes, names of train and of val with their labels.
fn check(paths: &[&str], classes: &[&str], train: &[(&str, u32)], val: &[(&str, u32)]) -> Listing {
    let listing = listed(paths).unwrap();
    assert_eq!(listing.classes, classes, "{paths:?}");
    match &listing.pools {
        Pools::Divided {
            train: in_train,
            val: in_val,
        } => {
            assert_eq!((names(in_train), names(in_val)), (train.to_vec(), val.to_vec()), "{paths:?}");
        }
        Pools::Whole(items) => assert_eq!((names(items), 0), (train.to_vec(), val.len()), "{paths:?}"),
    }
    listing
}

fn passed(listing: &Listing) -> Vec<(Reason, usize)> {
    listing.passed.0.iter().map(|(reason, passed)| (*reason, passed.count)).collect()
}

#[test]
fn val_wins_over_test_which_is_counted() {
    let paths = ["train/b/1.png", "train/a/2.jpg", "val/b/3.JPEG", "test/b/4.png"];
    let listing = check(
        &paths,
        &["a", "b"],
        &[("train/a/2.jpg", 0), ("train/b/1.png", 1)],
        &[("val/b/3.JPEG", 1)],
    );
    assert_eq!(passed(&listing), [(Reason::OtherSplit, 1)]);
    assert_eq!(listing.layout, Layout::ClassFolders);
}

#[test]
fn splits_may_have_any_usual_name_below_any_folders() {
    for (train, val) in [
        ("Train", "Val"),
        ("TRAINING", "valid"),
        ("training_set", "test_set"),
        ("home/me/train", "home/me/validation"),
        ("a/b/c/d/e/f/g/h/i/j/Train", "a/b/c/d/e/f/g/h/i/j/Testing"),
        ("train/images", "val/images"),
        ("training_set/training_set", "test_set/test_set"),
    ] {
        let paths = [format!("{train}/x/1.png"), format!("{train}/y/2.png"), format!("{val}/y/3.png")];
        let [x, y, z] = paths.each_ref().map(String::as_str);
        let listing = check(&[x, y, z, "README"], &["x", "y"], &[(x, 0), (y, 1)], &[(z, 1)]);
        assert_eq!(passed(&listing), [(Reason::NoImage, 1)]);
    }
}

#[test]
fn what_lies_beside_the_folder_of_the_splits_is_counted() {
    let paths = [
        "data/train/x/1.png",
        "data/train/y/1.png",
        "data/val/x/1.png",
        "docs/figure.png",
        "logo.png",
    ];
    let train = [("data/train/x/1.png", 0), ("data/train/y/1.png", 1)];
    let listing = check(&paths, &["x", "y"], &train, &[("data/val/x/1.png", 0)]);
    assert_eq!(passed(&listing), [(Reason::OutsideClasses, 2)]);
    let listing = check(
        &["north/1.png", "south/2.png", "3.png"],
        &["north", "south"],
        &[("north/1.png", 0), ("south/2.png", 1)],
        &[],
    );
    assert_eq!(passed(&listing), [(Reason::OutsideClasses, 1)]);
}

#[test]
fn a_folder_around_classes_is_named() {
    let listing = check(
        &["top/b/1.png", "top/c/4.png"],
        &["b", "c"],
        &[("top/b/1.png", 0), ("top/c/4.png", 1)],
        &[],
    );
    assert_eq!(
        listing.warnings,
        [
            "`src/top` was taken for the folder around the classes, which are the 2 folders in it: if `top` is a class, put its \
          images into it without folders"
        ]
    );
    let listing = check(
        &["only/1.png", "only/4.png"],
        &["only"],
        &[("only/1.png", 0), ("only/4.png", 0)],
        &[],
    );
    assert!(listing.warnings.is_empty());
}

#[test]
fn splits_inside_of_classes_are_read_as_splits() {
    let paths = [
        "cat/train/1.png",
        "cat/val/2.png",
        "dog/Train/3.png",
        "dog/Val/4.png",
        "dog/test/5.png",
    ];
    let listing = check(
        &paths,
        &["cat", "dog"],
        &[("cat/train/1.png", 0), ("dog/Train/3.png", 1)],
        &[("cat/val/2.png", 0), ("dog/Val/4.png", 1)],
    );
    assert_eq!(passed(&listing), [(Reason::OtherSplit, 1)]);
    let sentence = refusal(&["cat/train/1.png", "cat/val/2.png", "dog/3.png"]);
    assert!(
        sentence.starts_with("`src/cat` is divided into folders for training and validation and `src/dog` is not"),
        "{sentence}"
    );
    let sentence = refusal(&["a/train/x/1.png", "a/val/x/1.png", "b/train/x/1.png", "b/val/x/1.png"]);
    assert!(
        sentence.starts_with("`src/a` and others beside it have folders for training"),
        "{sentence}"
    );
}

#[test]
fn a_lone_split_is_one_pool() {
    let train = [("train/x/1.png", 0), ("train/y/1.png", 1)];
    let listing = check(&["train/x/1.png", "train/y/1.png"], &["x", "y"], &train, &[]);
    assert!(listing.warnings.is_empty());
    let listing = check(
        &["val/x/1.png", "val/y/1.png"],
        &["x", "y"],
        &[("val/x/1.png", 0), ("val/y/1.png", 1)],
        &[],
    );
    assert!(listing.warnings[0].starts_with("there is no folder for training beside `src/val`"));
    assert!(refusal(&["val/x/1.png", "test/x/1.png"]).starts_with("there is no folder for training"));
}

#[test]
fn classes_that_look_like_splits_are_named() {
    for (paths, names) in [
        (&["bus/1.png", "train/2.png"][..], "`train`"),
        (&["test/1.png", "tree/2.png"][..], "`test`"),
        (&["train2017/1.png", "val2017/2.png"][..], "`train2017`, `val2017`"),
    ] {
        let listing = listed(paths).unwrap();
        assert_eq!(listing.classes.len(), 2);
        assert!(
            listing.warnings[0].starts_with(&format!("{names} were taken for classes, but look like splits")),
            "{:?}",
            listing.warnings
        );
    }
}

#[test]
fn images_without_class_folders_are_unlabeled() {
    let listing = check(&["1.png", "2.png"], &[UNLABELED], &[("1.png", 0), ("2.png", 0)], &[]);
    assert_eq!((listing.layout, listing.is_labeled()), (Layout::Unlabeled, false));
    let listing = check(
        &["a/train/1.png", "a/val/2.png"],
        &[UNLABELED],
        &[("a/train/1.png", 0)],
        &[("a/val/2.png", 0)],
    );
    assert_eq!(listing.layout, Layout::Unlabeled);
    // Images to be judged by somebody else have no labels.
    let listing = check(
        &["train/x/1.png", "train/y/2.png", "test/3.png"],
        &["x", "y"],
        &[("train/x/1.png", 0), ("train/y/2.png", 1)],
        &[],
    );
    assert_eq!(passed(&listing), [(Reason::Unlabeled, 1)]);
    assert!(listing.warnings[0].starts_with("`src/test` has no class folders: its 1 images have no labels"));
}

#[test]
fn names_that_differ_in_unicode_form_alone_are_one_class() {
    let paths = ["train/caf\u{e9}/1.png", "train/tea/2.png", "val/cafe\u{301}/3.png"];
    let train = [("train/caf\u{e9}/1.png", 0), ("train/tea/2.png", 1)];
    let listing = check(&paths, &["caf\u{e9}", "tea"], &train, &[("val/cafe\u{301}/3.png", 0)]);
    let sentence = "the class `caf\u{e9}` is written in 2 Unicode forms, which were taken for one class";
    assert_eq!(listing.warnings, [sentence]);
    let listing = listed(&["caf\u{e9}/1.png", "cafe\u{301}/2.png", "Tea/3.png", "tea/4.png"]).unwrap();
    assert_eq!(listing.classes, ["Tea", "caf\u{e9}", "tea"]);
    assert_eq!(listing.warnings.len(), 2);
}

#[test]
fn an_image_counts_once_in_a_class() {
    let mut tree = Tree::of_names("src", &["a/1.png", "a/2.png", "b/3.png"]);
    tree.again = [("a/2.png", "a/1.png"), ("b/3.png", "a/1.png")]
        .map(|(name, first)| (name.to_owned(), first.to_owned()))
        .into();
    let listing = list(tree).unwrap();
    assert!(matches!(&listing.pools, Pools::Whole(items) if names(items) == [("a/1.png", 0), ("b/3.png", 1)]));
    assert_eq!(passed(&listing), [(Reason::Again, 1)]);
    assert_eq!(listing.warnings, ["1 images are, by links, in more than one class"]);
}

#[test]
fn a_folder_of_other_things_is_no_class() {
    let listing = check(&["a/1.png", "b/readme.txt"], &["a"], &[("a/1.png", 0)], &[]);
    assert_eq!(listing.warnings, ["the folder `src/b` has no images and was not taken for a class"]);
    let listing = check(&["a/1.png", "a/2.heic", "a/3.HEIC"], &["a"], &[("a/1.png", 0)], &[]);
    assert_eq!(passed(&listing), [(Reason::OtherFormat, 2)]);
    assert_eq!(
        listing.warnings,
        ["2 files end in `.heic`, which is not read (the first are in `src/a`): convert them to JPEG, PNG or WebP"]
    );
}

#[test]
fn a_wrong_layout_is_refused_by_name() {
    for (paths, sentence) in [
        (
            &["a/1.png", "b/2.heic"][..],
            "the class folder `src/b` has no images: fill it or remove it",
        ),
        (
            &["a.txt"][..],
            "`src` has no images: put them into it, in a folder for each class if they have labels",
        ),
        (
            &["train/a/1.png", "val/1.png"][..],
            "`src/val` has no class folders: each class must be a folder of images",
        ),
        (
            &["train/a/1.png", "val/b/1.png"][..],
            "`src/val` has the class `b`, which `src/train` has not",
        ),
        (
            &["train/a/1.png", "val/notes.txt"][..],
            "`src/val` has no images: fill it or remove it",
        ),
        (
            &["train/a/1.png", "Train/a/1.png"][..],
            "`src/Train` and `src/train` are folders of the same split: put their images into one of them",
        ),
    ] {
        assert_eq!(refusal(paths), sentence);
    }
}
