use std::ffi::OsStr;
use std::os::unix::fs::symlink;

use super::*;

/// Empty files at these paths.
fn folder(files: &[&str]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for file in files {
        let path = dir.path().join(file);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, file).unwrap();
    }
    dir
}

fn names(tree: &Tree) -> Vec<&str> {
    let mut names: Vec<&str> = tree.entries.iter().map(|entry| entry.name.as_str()).collect();
    names.sort_unstable();
    names
}

fn passed(tree: &Tree) -> Vec<(Reason, usize)> {
    tree.passed.0.iter().map(|(reason, passed)| (*reason, passed.count)).collect()
}

#[test]
fn links_upwards_in_circles_and_to_nothing_are_noted() {
    let dir = folder(&["src/oak/1.png", "src/elm/2.png", "src/elm/3.png", "other/4.png"]);
    let src = dir.path().join("src");
    for (target, link) in [
        ("..", "oak/latest"),
        ("../elm", "oak/elm"),
        ("nothing", "oak/none"),
        ("me", "oak/me"),
        ("../..", "elm/out"),
    ] {
        symlink(target, src.join(link)).unwrap();
    }
    symlink(dir.path().join("other"), src.join("ash")).unwrap();
    symlink("../src/oak", dir.path().join("other/back")).unwrap();
    let tree = walk(&src).unwrap();
    assert_eq!(names(&tree), ["ash/4.png", "elm/2.png", "elm/3.png", "oak/1.png"]);
    assert_eq!(tree.folders.iter().collect::<Vec<_>>(), ["ash", "elm", "oak"]);
    assert_eq!(passed(&tree), [(Reason::Link, 4), (Reason::Again, 2)]);
}

#[test]
fn other_names_of_one_file_are_told() {
    let dir = folder(&["b/1.png", "c/2.png"]);
    symlink("../b/1.png", dir.path().join("c/3.png")).unwrap();
    symlink("b/1.png", dir.path().join("0.png")).unwrap();
    std::fs::hard_link(dir.path().join("c/2.png"), dir.path().join("c/4.png")).unwrap();
    let tree = walk(dir.path()).unwrap();
    assert_eq!(names(&tree), ["0.png", "b/1.png", "c/2.png", "c/3.png", "c/4.png"]);
    let again: Vec<(&str, &str)> = tree.again.iter().map(|(name, first)| (name.as_str(), first.as_str())).collect();
    assert_eq!(again, [("0.png", "b/1.png"), ("c/3.png", "b/1.png"), ("c/4.png", "c/2.png")]);
}

#[test]
fn names_that_are_no_text_are_kept_as_bytes() {
    let dir = folder(&["tea/1.png", "caf\\xe9/2.png"]);
    let raw = dir.path().join(OsStr::from_bytes(b"caf\xe9"));
    std::fs::create_dir(&raw).unwrap();
    std::fs::write(raw.join("3.png"), "3").unwrap();
    let tree = walk(dir.path()).unwrap();
    assert_eq!(names(&tree), ["caf\\x5cxe9/2.png", "caf\\xe9/3.png", "tea/1.png"]);
    for entry in &tree.entries {
        assert_eq!(tree.read(entry).unwrap().len() as u64, entry.place.size(), "{}", entry.name);
    }
}

#[test]
fn what_systems_leave_and_what_is_no_file_is_counted_and_not_opened() {
    let dir = folder(&[
        "a/1.png",
        "a/@eaDir/1.png/x.png",
        "a/._1.png",
        "a/Thumbs.db",
        "__MACOSX/a/1.png",
        ".hidden/1.png",
    ]);
    let pipe = dir.path().join("a/pipe.png");
    rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, rustix::fs::Mode::RUSR, 0).unwrap();
    let tree = walk(dir.path()).unwrap();
    assert_eq!(names(&tree), ["a/1.png"]);
    assert_eq!(passed(&tree), [(Reason::SystemFile, 5), (Reason::NoFile, 1)]);
}

#[test]
fn what_is_too_deep_is_named() {
    let deep = format!("{}1.png", "d/".repeat(DEEPEST + 1));
    let dir = folder(&["a/1.png", &deep]);
    let tree = walk(dir.path()).unwrap();
    assert_eq!(names(&tree), ["a/1.png"]);
    assert!(
        tree.warnings[0].ends_with("lies more than 64 folders deep and is not looked into"),
        "{:?}",
        tree.warnings
    );
}

#[test]
fn the_stamp_follows_the_files() {
    let dir = folder(&["a/1.png", "b/c/2.png"]);
    let stamp = || walk(dir.path()).unwrap().stamp;
    let before = stamp();
    assert_eq!(before, stamp());
    std::fs::write(dir.path().join("b/c/2.png"), "longer than it was").unwrap();
    assert_ne!(before, stamp());
}
