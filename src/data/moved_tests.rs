//! The same images in files that were written anew.

use super::*;

#[test]
fn images_that_stand_elsewhere_in_an_archive_than_they_did_are_found_there() {
    let (_dir, path) = archive("a.tar", &tar(&divided()));
    let (settings, cache) = (settings(&path), path.with_file_name("cache"));
    let opened = || prepare::open(locate::locate(&settings, &cache).unwrap(), &settings, 10, &cache, &mut |_, _| {}).unwrap();
    let before = opened();
    check_divided(&before);
    let tones_before = tones(&before.train);
    // Another file before them moves all images, which stay what they are.
    let mut files = vec![("notes.txt".to_owned(), vec![b'x'; 3000])];
    files.extend(divided());
    std::fs::write(&path, tar(&files)).unwrap();
    let after = opened();
    assert_eq!(after.fingerprint, before.fingerprint);
    assert_eq!(tones(&after.train), tones_before);
    assert_eq!(after.warnings, ["1 files are no images and were passed over: `notes.txt`"]);
}
