//! Small copies of ImageNet in its forms.

use super::*;

/// A folder of files; a name that ends with `.tar` and files in it by `!` are archives.
fn written(files: &[(&str, Vec<u8>)]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (name, bytes) in files {
        let path = dir.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }
    dir
}

fn tar(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (path, bytes) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        builder.append_data(&mut header, path, *bytes).unwrap();
    }
    builder.into_inner().unwrap()
}

const ONE: &str = "n00000001";
const TWO: &str = "n00000002";

fn train_tar() -> Vec<u8> {
    let one = tar(&[("n00000001_5.JPEG", b"one"), ("n00000001_6.JPEG", b"uno")]);
    let two = tar(&[("n00000002_5.JPEG", b"two")]);
    tar(&[("n00000002.tar", &two), ("n00000001.tar", &one)])
}

fn val_tar() -> Vec<u8> {
    tar(&[("ILSVRC2012_val_00000001.JPEG", b"v1"), ("ILSVRC2012_val_00000002.JPEG", b"v2")])
}

/// The first image is of the second class: its number is 1.
fn devkit() -> Vec<u8> {
    let meta = mat::tests::meta(&[(1, TWO), (2, ONE)]);
    let kit = "ILSVRC2012_devkit_t12/data";
    tar(&[
        (&format!("{kit}/meta.mat"), &meta),
        (&format!("{kit}/ILSVRC2012_validation_ground_truth.txt"), b"1\n2\n"),
    ])
}

fn solution(one: &str, two: &str) -> Vec<u8> {
    format!("ImageId,PredictionString\nILSVRC2012_val_00000001,{one} 0 0 9 9 \nILSVRC2012_val_00000002,{two} 1 1 2 2 {two} 3 3 4 4 \n")
        .into()
}

fn listed(files: &[(&str, Vec<u8>)]) -> anyhow::Result<Listing> {
    let dir = written(files);
    let tree = Tree::open(dir.path(), &dir.path().join("scratch")).unwrap();
    assert!(is_imagenet(&tree));
    list(tree, &dir.path().join("scratch"))
}

fn refusal(files: &[(&str, Vec<u8>)]) -> String {
    format!("{:#}", listed(files).err().expect("must be refused"))
}

/// Folder and label of every image of both splits.
fn check(listing: &Listing) {
    assert_eq!(listing.classes, [ONE, TWO]);
    let Pools::Divided { train, val } = &listing.pools else {
        panic!("it is divided")
    };
    let labels = |items: &[Item]| {
        items
            .iter()
            .map(|item| (name_of(&item.name).to_owned(), item.label))
            .collect::<Vec<_>>()
    };
    let named = |name: &str, label| (name.to_owned(), label);
    assert_eq!(
        labels(train),
        [
            named("n00000001_5.JPEG", 0),
            named("n00000001_6.JPEG", 0),
            named("n00000002_5.JPEG", 1)
        ]
    );
    assert_eq!(
        labels(val),
        [named("ILSVRC2012_val_00000001.JPEG", 1), named("ILSVRC2012_val_00000002.JPEG", 0)]
    );
}

#[test]
fn archives_are_read_in_place_with_either_file_of_labels_or_both() {
    let kit = ("ILSVRC2012_devkit_t12.tar", devkit());
    let kaggle = ("LOC_val_solution.csv", solution(TWO, ONE));
    for labels in [vec![kit.clone()], vec![kaggle.clone()], vec![kit.clone(), kaggle]] {
        let archives = vec![("ILSVRC2012_img_train.tar", train_tar()), ("ILSVRC2012_img_val.tar", val_tar())];
        check(&listed(&[archives, labels].concat()).unwrap());
    }
    let wrong = ("LOC_val_solution.csv", solution(ONE, ONE));
    let archives = [
        ("ILSVRC2012_img_train.tar", train_tar()),
        ("ILSVRC2012_img_val.tar", val_tar()),
        kit,
        wrong,
    ];
    assert!(refusal(&archives).contains("`ILSVRC2012_val_00000001` is of the class `n00000001` by `"));
}

fn folders(base: &str) -> Vec<(String, Vec<u8>)> {
    let names = [
        "train/n00000001/n00000001_5.JPEG",
        "train/n00000001/n00000001_6.JPEG",
        "train/n00000002/n00000002_5.JPEG",
        "val/ILSVRC2012_val_00000001.JPEG",
        "val/ILSVRC2012_val_00000002.JPEG",
        "test/ILSVRC2012_test_00000001.JPEG",
    ];
    names
        .iter()
        .map(|name| (format!("{base}{name}"), name.as_bytes().to_vec()))
        .collect()
}

#[test]
fn folders_are_read_as_they_are_unpacked_and_as_kaggle_has_them() {
    for (base, label_files) in [
        (
            "",
            vec![("imagenet_2012_validation_synset_labels.txt", format!("{TWO}\n{ONE}\n").into_bytes())],
        ),
        ("ILSVRC/Data/CLS-LOC/", vec![("LOC_val_solution.csv", solution(TWO, ONE))]),
        ("", vec![("ILSVRC2012_devkit_t12.tar", devkit())]),
    ] {
        let files = folders(base);
        let files: Vec<(&str, Vec<u8>)> = files
            .iter()
            .map(|(name, bytes)| (name.as_str(), bytes.clone()))
            .chain(label_files)
            .collect();
        let listing = listed(&files).unwrap();
        check(&listing);
        assert!(
            listing.passed.sentences()[0].starts_with("1 images have no label"),
            "{:?}",
            listing.passed
        );
        let bare = refusal(&files[..6]);
        assert!(
            bare.contains("no file says their classes: put ImageNet's ILSVRC2012_devkit_t12.tar.gz"),
            "{bare}"
        );
    }
}

#[test]
fn what_is_missing_is_named() {
    let train = ("ILSVRC2012_img_train.tar", train_tar());
    let val = ("ILSVRC2012_img_val.tar", val_tar());
    assert!(refusal(std::slice::from_ref(&train)).contains("ILSVRC2012_img_val.tar` or the folder `val` is missing"));
    assert!(refusal(std::slice::from_ref(&val)).contains("ILSVRC2012_img_train.tar` or the folder `train` is missing"));
    let short = ("LOC_val_solution.csv", solution(TWO, ONE)[..60].to_vec());
    assert!(refusal(&[train.clone(), val.clone(), short]).contains("does not say the class of `"));
    let third = ("LOC_val_solution.csv", solution("n00000003", ONE));
    assert!(refusal(&[train.clone(), val, third]).contains("is `n00000003.tar` or the folder missing?"));
    let half = ("ILSVRC2012_img_val.tar", tar(&[("ILSVRC2012_val_00000001.JPEG", b"v1")]));
    assert!(
        refusal(&[train, half, ("LOC_val_solution.csv", solution(TWO, ONE))])
            .contains("1 images that are not there, such as `ILSVRC2012_val_00000002`")
    );
}

#[test]
fn class_folders_are_none() {
    for names in [
        ["train/cat/1.jpg", "val/2.jpg", "val/n00000001/3.jpg"],
        ["train/n00000001/1.jpg", "train/n00000002/2.jpg", "val/n00000001/3.jpg"],
        ["n00000001/1.jpg", "n00000002/2.jpg", "other/3.jpg"],
    ] {
        assert!(!is_imagenet(&Tree::of_names("src", &names)));
    }
}
