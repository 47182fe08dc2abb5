//! Archives in archives, and several as one.

use super::super::tests::{gzip, tar};
use super::*;

#[test]
fn archives_in_an_archive_and_in_a_folder_are_read_in_place_as_one_tree() {
    let dir = tempfile::tempdir().unwrap();
    let scratch = dir.path().join("scratch");
    let inner = |tone: u8| tar(&[("1.png", &[tone; 5]), ("2.png", &[tone; 3])]);
    let outer = tar(&[("a.tar", &inner(1)), ("b.tar.gz", &gzip(&inner(2)))]);
    for (name, bytes) in [("all.tar", outer.clone()), ("all.tgz", gzip(&outer))] {
        std::fs::write(dir.path().join(name), bytes).unwrap();
    }
    std::fs::create_dir(dir.path().join("folder")).unwrap();
    std::fs::write(dir.path().join("folder/a.tar"), inner(1)).unwrap();
    std::fs::write(dir.path().join("folder/b.tar.gz"), gzip(&inner(2))).unwrap();
    for source in ["all.tar", "all.tgz", "folder"] {
        let outer = Tree::open(&dir.path().join(source), &scratch).unwrap();
        let parts: Vec<(String, Tree)> = outer
            .entries
            .iter()
            .map(|entry| (entry.name[..1].to_owned(), outer.open_member(entry, &scratch).unwrap()))
            .collect();
        let joined = Tree::join(outer.root.clone(), parts);
        let read: Vec<(&str, Vec<u8>)> = joined
            .entries
            .iter()
            .map(|entry| (entry.name.as_str(), joined.read(entry).unwrap()))
            .collect();
        let expected = [
            ("a/1.png", vec![1; 5]),
            ("a/2.png", vec![1; 3]),
            ("b/1.png", vec![2; 5]),
            ("b/2.png", vec![2; 3]),
        ];
        assert_eq!(read, expected, "{source}");
        assert_eq!(joined.folders.iter().collect::<Vec<_>>(), ["a", "b"]);
    }
}

#[test]
fn more_archives_than_may_be_open_are_read_in_any_order() {
    let dir = tempfile::tempdir().unwrap();
    for n in 0..300 {
        std::fs::write(dir.path().join(format!("{n:03}.tar")), tar(&[("x.png", &[n as u8; 4])])).unwrap();
    }
    let outer = Tree::open(dir.path(), dir.path()).unwrap();
    let member = |entry: &Entry| (entry.name[..3].to_owned(), outer.open_member(entry, dir.path()).unwrap());
    let joined = Tree::join(outer.root.clone(), outer.entries.iter().map(member).collect());
    for _ in 0..2 {
        for (n, entry) in joined.entries.iter().enumerate() {
            assert_eq!(joined.read(entry).unwrap(), [n as u8; 4]);
        }
    }
    std::fs::write(dir.path().join("000.tar"), b"another").unwrap();
    let error = joined.read(&joined.entries[0]).unwrap_err().to_string();
    assert!(error.contains("000.tar` was replaced while it was in use"), "{error}");
}
