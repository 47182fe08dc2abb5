//! Small sets of CIFAR in both forms.

use std::path::Path;

use super::*;
use crate::data::Image;

/// Bytes of one color of an image.
const PLANE: usize = SIDE * SIDE;

fn listed(dir: &Path) -> anyhow::Result<Listing> {
    Ok(list(&Tree::open(dir, dir)?)?.expect("it is CIFAR"))
}

fn refusal(dir: &Path) -> String {
    match listed(dir) {
        Ok(_) => panic!("must be refused"),
        Err(e) => format!("{e:#}"),
    }
}

/// An image whose red, green and blue are 1, 2, 3 plus the label, except for its first pixel's red.
fn planes(label: u8) -> Vec<u8> {
    let mut bytes: Vec<u8> = (1..=3).flat_map(|color| [color + label; PLANE]).collect();
    bytes[0] = 200;
    bytes
}

/// A record of the binary form.
fn record(labels: &[u8]) -> Vec<u8> {
    [labels.to_vec(), planes(labels[labels.len() - 1])].concat()
}

/// A pickle as Python 2 wrote CIFAR's.
fn pickled(labels: &[u8], key: &str) -> Vec<u8> {
    let mut bytes = [b"\x80\x02}(U", &[key.len() as u8][..], key.as_bytes(), b"]("].concat();
    labels.iter().for_each(|label| bytes.extend([b'K', *label]));
    bytes.extend(b"eU\x04datacnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R(K\x01K");
    bytes.push(labels.len() as u8);
    bytes.extend(b"M\x00\x0c\x86cnumpy\ndtype\nU\x02u1K\x00K\x01\x87R(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89T");
    bytes.extend((labels.len() as u32 * IMAGE as u32).to_le_bytes());
    labels.iter().for_each(|label| bytes.extend(planes(*label)));
    bytes.extend(b"tbu.");
    bytes
}

fn write_binary(dir: &Path) {
    std::fs::create_dir_all(dir).unwrap();
    for (n, name) in FORMS[0].files().iter().enumerate() {
        std::fs::write(dir.join(name), [record(&[n as u8]), record(&[9])].concat()).unwrap();
    }
    std::fs::write(dir.join("batches.meta.txt"), "a\nb\nc\nd\ne\nf\ng\nh\ni\nj\n\n").unwrap();
}

fn write_python(dir: &Path) {
    std::fs::create_dir_all(dir).unwrap();
    for (n, name) in FORMS[1].files().iter().enumerate() {
        std::fs::write(dir.join(name), pickled(&[n as u8, 9], "labels")).unwrap();
    }
    let names: String = ('a'..='j').map(|letter| format!("U\x01{letter}")).collect();
    std::fs::write(dir.join("batches.meta"), format!("}}(U\x0blabel_names]({names}eu.")).unwrap();
}

fn check(listing: &Listing) {
    assert_eq!(listing.classes.join(""), "abcdefghij");
    let Pools::Divided { train, val } = &listing.pools else {
        panic!("CIFAR is divided")
    };
    assert_eq!((train.len(), val.len()), (10, 2));
    assert_eq!((train[2].label, train[3].label, val[0].label), (1, 9, 5));
    let Image { width, height, pixels } = listing.reader.image(&train[2]).unwrap();
    assert_eq!((width, height, &pixels[..6]), (32, 32, &[200, 3, 4, 2, 3, 4][..]));
}

#[test]
fn cifar10_is_read_record_by_record() {
    let dir = tempfile::tempdir().unwrap();
    write_binary(dir.path());
    std::fs::write(dir.path().join("readme.html"), "").unwrap();
    let listing = listed(dir.path()).unwrap();
    check(&listing);
    assert_eq!(
        listing.passed.sentences(),
        ["1 files are no images and were passed over: `readme.html`"]
    );
}

#[test]
fn pickles_are_read_as_the_binary_files_are() {
    let dir = tempfile::tempdir().unwrap();
    write_python(&dir.path().join("cifar-10-batches-py"));
    check(&listed(dir.path()).unwrap());
}

#[test]
fn both_forms_are_one_set_if_they_agree_and_refused_if_not() {
    let dir = tempfile::tempdir().unwrap();
    write_binary(&dir.path().join("bin"));
    write_python(&dir.path().join("py"));
    let listing = listed(dir.path()).unwrap();
    check(&listing);
    assert!(listing.warnings[0].ends_with("/py` have the same images and labels: the first is read"));
    std::fs::write(dir.path().join("py/test_batch"), pickled(&[6, 9], "labels")).unwrap();
    assert!(refusal(dir.path()).ends_with("/py` are both CIFAR-10, but not the same images and labels: give one of them"));
}

#[test]
fn cifar100_uses_the_fine_label() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("train.bin"), record(&[3, 77])).unwrap();
    std::fs::write(dir.path().join("test.bin"), record(&[4, 12])).unwrap();
    let python = tempfile::tempdir().unwrap();
    std::fs::write(python.path().join("train"), pickled(&[77], "fine_labels")).unwrap();
    std::fs::write(python.path().join("test"), pickled(&[12], "fine_labels")).unwrap();
    for dir in [dir, python] {
        let listing = listed(dir.path()).unwrap();
        assert_eq!(listing.classes.len(), 100);
        let Pools::Divided { train, val } = listing.pools else {
            panic!("CIFAR is divided")
        };
        assert_eq!((train[0].label, val[0].label), (77, 12));
        assert_eq!(listing.reader.image(&train[0]).unwrap().pixels[..3], [200, 79, 80]);
    }
}

#[test]
fn a_missing_truncated_or_mislabeled_file_is_refused_by_name() {
    let dir = tempfile::tempdir().unwrap();
    write_binary(dir.path());
    std::fs::write(dir.path().join("data_batch_3.bin"), [0; 3000]).unwrap();
    assert!(refusal(dir.path()).contains("data_batch_3.bin` is truncated"));
    std::fs::write(dir.path().join("data_batch_3.bin"), record(&[10])).unwrap();
    assert!(refusal(dir.path()).contains("data_batch_3.bin` has label 10: labels go from 0 to 9"));
    std::fs::remove_file(dir.path().join("data_batch_3.bin")).unwrap();
    assert!(refusal(dir.path()).contains("data_batch_3.bin` is missing"));
}

#[test]
fn a_pickle_that_asks_for_more_is_refused_by_name() {
    let dir = tempfile::tempdir().unwrap();
    write_python(dir.path());
    let put = |bytes: &[u8]| std::fs::write(dir.path().join("data_batch_2"), bytes).unwrap();
    put(b"cposix\nsystem\n(S'true'\ntR.");
    let sentence = refusal(dir.path());
    assert!(
        sentence.contains("data_batch_2` is no pickle") && sentence.contains("asks for `posix.system`"),
        "{sentence}"
    );
    put(&pickled(&[1, 2], "labels")[..200]);
    assert!(refusal(dir.path()).ends_with("it ends early"));
    put(&pickled(&[1, 2], "coarse_labels"));
    assert!(refusal(dir.path()).contains("no list of numbers under the key `labels`"));
}

#[test]
fn class_folders_with_a_file_of_such_a_name_are_none() {
    let tree = Tree::of_names("src", &["cat/1.png", "dog/1.png", "train.bin", "model/train", "model/x"]);
    assert!(list(&tree).unwrap().is_none());
}
