//! A person's own studies beside those that come with Umbra.

use std::fs;

use super::*;

/// A data directory with these files in its folder of studies.
fn with(files: &[(&str, &str)]) -> (tempfile::TempDir, Library) {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("studies")).unwrap();
    for (name, text) in files {
        fs::write(dir.path().join("studies").join(name), text).unwrap();
    }
    let library = Library::new(dir.path());
    (dir, library)
}

#[test]
fn own_studies_stand_behind_the_built_in_ones() {
    let (dir, library) = with(&[("toy.toml", STUDY), ("notes.txt", "no study")]);
    let names: Vec<String> = library.all().iter().map(|study| study.name.clone()).collect();
    assert_eq!(names.len(), Study::built_in().len() + 1);
    assert_eq!(names.last().unwrap(), "toy");
    assert!(library.is_custom("toy") && !library.is_custom("table1") && library.faults().is_empty());
    assert_eq!(*library.find("toy").unwrap(), study());
    let file = dir.path().join("studies/toy.toml");
    fs::write(&file, STUDY.replace("title = \"Toy\"", "title = \"Another\"")).unwrap();
    assert_eq!(library.find("toy").unwrap().title, "Another", "a changed file is read again");
    fs::remove_file(&file).unwrap();
    assert!(library.find("toy").is_none());
    assert_eq!(Library::new(&dir.path().join("nowhere")).all().len(), names.len() - 1);
}

#[test]
fn a_broken_file_is_a_sentence_and_the_others_are_there() {
    let (dir, library) = with(&[
        ("broken.toml", "name = \"broken\"\ntitle = 1\n"),
        ("other.toml", STUDY),
        ("table1.toml", &STUDY.replace("\"toy\"", "\"table1\"")),
        ("toy.toml", STUDY),
    ]);
    let at = |name: &str| dir.path().join("studies").join(name).display().to_string();
    let expected = [
        format!(
            "{}, line 2 (`title = 1`): invalid type: integer `1`, expected a string",
            at("broken.toml")
        ),
        format!("{}: its name is `toy`, so the file must be toy.toml", at("other.toml")),
        format!("{}: name `table1` is taken by Umbra: choose another", at("table1.toml")),
    ];
    assert_eq!(library.faults(), expected);
    assert!(library.is_custom("toy"));
    assert_ne!(library.find("table1").unwrap().title, "Toy", "a built-in name is not shadowed");
}

#[test]
fn a_name_is_a_safe_file_name() {
    let (_dir, library) = with(&[]);
    assert!(library.file("my-study_2").is_ok());
    for name in ["", "..", "a/b", "A", "a b", "new", "check", "table1", &"a".repeat(61)] {
        assert!(library.file(name).is_err(), "{name}");
    }
    let error = library.read(&STUDY.replace("\"toy\"", "\"../toy\"")).unwrap_err();
    assert_eq!(
        error,
        "study: name `../toy` is not allowed: it must be 1 to 60 of the characters a to z, 0 to 9, - and _"
    );
    assert!(
        library
            .read(&format!("# {}\n{STUDY}", "x".repeat(70_000)))
            .unwrap_err()
            .contains("at most 65536")
    );
}

#[test]
fn a_copy_has_a_free_name_and_is_otherwise_the_same() {
    let (dir, library) = with(&[]);
    let copy = library.copy_of("table7").unwrap();
    let (copied, original) = (library.read(&copy).unwrap(), library.find("table7").unwrap());
    assert_eq!((copied.name.as_str(), copied.place), ("table7-copy", 0));
    assert_eq!((&copied.rows, &copied.columns), (&original.rows, &original.columns));
    fs::write(dir.path().join("studies/table7-copy.toml"), copy).unwrap();
    let again = library.read(&library.copy_of("table7-copy").unwrap()).unwrap();
    assert_eq!(again.name, "table7-copy-2");
    assert_eq!(library.copy_of("nothing"), None);
}
