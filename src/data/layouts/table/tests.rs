//! Tables of many kinds beside images.

use super::*;

/// Writes files; an image's contents do not matter here.
fn written(files: &[(&str, &str)]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = dir.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    dir
}

fn found(files: &[(&str, &str)], label_column: &str) -> anyhow::Result<Found> {
    let dir = written(files);
    let settings = DataSettings {
        source: String::new(),
        image_size: 8,
        train_images: 0,
        val_images: 0,
        val_fraction: 0.25,
        max_broken: 0.0,
        label_column: label_column.to_owned(),
    };
    list(&Tree::open(dir.path(), dir.path()).unwrap(), &settings)
}

fn listed(files: &[(&str, &str)]) -> Listing {
    match found(files, "").unwrap() {
        Found::Labeled(listing) => *listing,
        Found::Folders(_) | Found::Nothing => panic!("it is a table"),
    }
}

fn refusal(files: &[(&str, &str)]) -> String {
    found(files, "").err().expect("must be refused").to_string()
}

fn labels(items: &[Item]) -> Vec<(&str, u32)> {
    items.iter().map(|item| (item.name.as_str(), item.label)).collect()
}

const IMAGES: [(&str, &str); 4] = [
    ("images/a.jpg", ""),
    ("images/b.jpg", ""),
    ("images/c.JPG", ""),
    ("images/d.jpg", ""),
];

fn with<'a>(tables: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    IMAGES.iter().chain(tables).copied().collect()
}

#[test]
fn names_are_told_with_ending_or_without_and_with_folders_or_without() {
    for names in [
        ["a", "b", "c", "d"],
        ["a.jpg", "b.jpg", "c.jpg", "d.jpg"],
        ["images/a.jpg", "images/b.jpg", "images/c.JPG", "images/d.jpg"],
        ["./images/a", "images\\b", "/home/x/images/c.JPG", "images/d"],
    ] {
        let rows: String = names
            .iter()
            .zip(["x", "y", "x", "10"])
            .map(|(name, label)| format!("{name},{label}\n"))
            .collect();
        for text in [format!("file,kind\n{rows}"), rows] {
            let listing = listed(&with(&[("labels.csv", &text)]));
            assert_eq!(listing.classes, ["10", "x", "y"]);
            let Pools::Whole(items) = &listing.pools else {
                panic!("it is one pool")
            };
            assert_eq!(
                labels(items),
                [("images/a.jpg", 1), ("images/b.jpg", 2), ("images/c.JPG", 1), ("images/d.jpg", 0)]
            );
        }
    }
}

#[test]
fn numbers_sort_as_numbers_and_images_without_a_label_are_counted() {
    let listing = listed(&with(&[("t.tsv", "id\tn\na\t10\nb\t2\nc\t10\nd\t\n"), ("README", "")]));
    assert_eq!(listing.classes, ["2", "10"]);
    assert_eq!(
        listing.passed.sentences(),
        [
            "1 files are no images and were passed over: `README`",
            "1 images have no label and were passed over: `images/d.jpg`"
        ]
    );
}

#[test]
fn a_column_or_two_tables_or_folders_divide() {
    let divided = |files: &[(&str, &str)]| match listed(files).pools {
        Pools::Divided { train, val } => (train.len(), val.len()),
        Pools::Whole(_) => panic!("it is divided"),
    };
    assert_eq!(
        divided(&with(&[(
            "t.csv",
            "id,label,data set\na,x,train\nb,y,TRAIN\nc,x,valid\nd,y,test\n"
        )])),
        (2, 1)
    );
    assert_eq!(
        divided(&with(&[("train.csv", "id,label\na,x\nb,y\n"), ("val.csv", "id,label\nc,x\nd,y\n")])),
        (2, 2)
    );
    let folders = [
        ("train/a.jpg", ""),
        ("train/b.jpg", ""),
        ("test/c.jpg", ""),
        ("t.csv", "id,label\na,x\nb,y\nc,y\n"),
    ];
    assert_eq!(divided(&folders), (2, 1));
    let unknown = with(&[("train.csv", "id,label\na,x\nb,y\n"), ("val.csv", "id,label\nc,z\nd,y\n")]);
    assert!(refusal(&unknown).contains("row 2 of `") && refusal(&unknown).contains("the class `z`, of which"));
}

#[test]
fn the_names_of_a_table_tell_which_of_equal_names_are_meant() {
    let files = [
        ("train/1.png", ""),
        ("train/2.png", ""),
        ("test/1.png", ""),
        ("trainLabels.csv", "id,label\n1,cat\n2,dog\n"),
        ("sampleSubmission.csv", "id,label\n1,cat\n"),
    ];
    let listing = listed(&files);
    let Pools::Whole(items) = &listing.pools else {
        panic!("it is one pool")
    };
    assert_eq!(labels(items), [("train/1.png", 0), ("train/2.png", 1)]);
    let mut unclear = files;
    unclear[3].0 = "labels.csv";
    assert!(refusal(&unclear[..4]).contains("names `1`, which may be `test/1.png` or `train/1.png`"));
}

#[test]
fn the_label_is_the_one_column_that_can_be_it() {
    let chosen = |text: &str| {
        let listing = listed(&with(&[("t.csv", text)]));
        (listing.classes.join(" "), listing.warnings)
    };
    let (classes, notes) = chosen("n,id,prob,kind\n7,a,0.5,x\n7,b,0.25,y\n7,c,0.1,x\n7,d,1,x\n");
    assert_eq!((&classes[..], notes.len()), ("x y", 0));
    let (classes, notes) = chosen("id,number,kind\na,5,x\nb,6,y\nc,5,x\nd,6,y\n");
    assert_eq!((&classes[..], notes.len()), ("x y", 0));
    let (classes, notes) = chosen("id,width,label\na,10,x\nb,10,y\nc,20,x\nd,20,x\n");
    assert_eq!(&classes[..], "x y");
    assert!(notes[0].ends_with("the column `label` is taken as the label"), "{notes:?}");
    let two = with(&[("t.csv", "id,species,genus\na,x,1\nb,y,1\nc,x,2\nd,y,2\n")]);
    assert!(found(&two, "genus").is_ok() && found(&two, "species").is_ok());
    let two = with(&[("t.csv", "id,fine,coarse\na,x,1\nb,y,1\nc,x,2\nd,y,2\n")]);
    let sentence = refusal(&two);
    assert!(sentence.ends_with("set data.label_column to one of `fine`, `coarse`"), "{sentence}");
    let error = found(&two, "other").err().unwrap().to_string();
    assert!(error.starts_with("data.label_column is `other`, but the columns of `") && error.ends_with("are `fine`, `coarse`"));
}

#[test]
fn what_is_no_class_is_refused_by_a_sentence() {
    for (text, sentence) in [
        ("id,y\na,0.5\nb,0.7\nc,1\nd,2\n", "the column `y` of `"),
        ("id,y\na,p|q\nb,p\nc,q|r\nd,r\n", "cells with several labels, such as `p|q`"),
        (
            "id,p,q,r\na,0,1,0\nb,1,0,0\nc,0,0,1\nd,0,1,0\n",
            "has a column of 0 and 1 for each of `p`, `q`, `r`",
        ),
        ("id,y\na,x\nb,y\nc,x\nd,x\na,y\n", "both name `a`, as `x` and as `y`"),
        ("id,y\na,x\nb,y\nc,x\nlost,x\ngone,y\n", "row 5 of `"),
        ("a,x\nb,y\nc,x\nlost.jpg,x\n", "row 4 of `"),
        ("id,y\na,x\nb,y\nc,x\nd,x,z\n", "row 5 of `"),
    ] {
        let error = found(&with(&[("t.csv", text)]), "").err().expect(text).to_string();
        assert!(error.contains(sentence), "{error}");
    }
}

#[test]
fn class_folders_are_none_but_numbered_parts_are() {
    let folders = [("cat/1.jpg", ""), ("dog/2.jpg", "")];
    let with = |text: &'static str| [folders[0], folders[1], ("meta.csv", text)];
    assert!(matches!(
        found(&with("f,label\ncat/1.jpg,cat\ndog/2.jpg,DOG\n"), "").unwrap(),
        Found::Nothing
    ));
    assert!(matches!(
        found(&with("f,width,height\ncat/1.jpg,5,6\ndog/2.jpg,6,6\n"), "").unwrap(),
        Found::Folders(_)
    ));
    assert!(matches!(found(&with("x,y\n3,4\n5,6\n"), "").unwrap(), Found::Nothing));
    let parts = [("part_1/a.jpg", ""), ("part_2/b.jpg", ""), ("meta.csv", "id,dx\na,nv\nb,mel\n")];
    assert_eq!(listed(&parts).classes, ["mel", "nv"]);
}
