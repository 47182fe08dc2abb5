//! Archives as trees, and what tests of them share.

use std::io::Write;

use flate2::Compression;
use flate2::write::{DeflateEncoder, GzEncoder};

use super::*;
use crate::data::passed::Reason;

/// A tar of these files.
pub(super) fn tar(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut builder = ::tar::Builder::new(Vec::new());
    for (path, bytes) in files {
        let mut header = ::tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        if path.starts_with('/') {
            // As archives of whole disks have it.
            header.as_gnu_mut().unwrap().name[..path.len()].copy_from_slice(path.as_bytes());
            header.set_cksum();
            builder.append(&header, *bytes).unwrap();
            continue;
        }
        builder.append_data(&mut header, path, *bytes).unwrap();
    }
    builder.into_inner().unwrap()
}

/// The same, compressed.
pub(super) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut gz = GzEncoder::new(Vec::new(), Compression::fast());
    gz.write_all(bytes).unwrap();
    gz.finish().unwrap()
}

/// A member of a ZIP archive.
struct ZipMember<'a> {
    name: &'a str,
    bytes: &'a [u8],
    method: u16,
    flags: u16,
    /// The size that it says it has.
    size: usize,
    mode: u32,
}

fn zip_member<'a>(name: &'a str, bytes: &'a [u8], method: u16) -> ZipMember<'a> {
    ZipMember {
        name,
        bytes,
        method,
        flags: 0,
        size: bytes.len(),
        mode: 0o100_644,
    }
}

/// A ZIP archive, which begins after `before`.
fn zip(before: &[u8], members: &[ZipMember<'_>]) -> Vec<u8> {
    let (mut body, mut directory) = (before.to_vec(), Vec::new());
    for member in members {
        let mut packed = member.bytes.to_vec();
        if member.method == 8 {
            let mut deflate = DeflateEncoder::new(Vec::new(), Compression::best());
            deflate.write_all(member.bytes).unwrap();
            packed = deflate.finish().unwrap();
        }
        let two = |number: usize| (number as u16).to_le_bytes();
        let four = |number: usize| (number as u32).to_le_bytes();
        let mut common = [two(20), two(member.flags.into()), two(member.method.into()), [0; 2], [0; 2]].concat();
        common.extend([[0; 4], four(packed.len()), four(member.size)].concat());
        common.extend([two(member.name.len()), [0; 2]].concat());
        let mode = (member.mode << 16) as usize;
        directory.extend([&b"PK\x01\x02\x14\x03"[..], &common].concat());
        directory.extend([&[0; 6][..], &four(mode), &four(body.len() - before.len())].concat());
        directory.extend(member.name.as_bytes());
        body.extend([&b"PK\x03\x04"[..], &common, member.name.as_bytes(), &packed].concat());
    }
    let two = (members.len() as u16).to_le_bytes();
    let four = |number: usize| (number as u32).to_le_bytes();
    let end = [
        &b"PK\x05\x06\0\0\0\0"[..],
        &two,
        &two,
        &four(directory.len()),
        &four(body.len() - before.len()),
        &[0; 2],
    ];
    [body, directory, end.concat()].concat()
}

/// Opens a file of these bytes.
fn opened(name: &str, bytes: &[u8]) -> anyhow::Result<Tree> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(name);
    std::fs::write(&path, bytes).unwrap();
    // An open file is read on when its name is gone.
    Tree::open(&path, &dir.path().join("scratch"))
}

fn refusal(name: &str, bytes: &[u8]) -> String {
    format!("{:#}", opened(name, bytes).unwrap_err())
}

fn contents(tree: &Tree) -> Vec<(&str, Vec<u8>)> {
    let read = |entry| tree.read(entry).unwrap();
    tree.entries.iter().map(|entry| (entry.name.as_str(), read(entry))).collect()
}

fn passed(tree: &Tree) -> Vec<(Reason, usize)> {
    tree.passed.0.iter().map(|(reason, passed)| (*reason, passed.count)).collect()
}

/// A tar with one member of that kind, and one file after it.
fn special(kind: u8, name: &str, target: &str, pax: &[(&str, &[u8])]) -> Vec<u8> {
    let mut builder = ::tar::Builder::new(Vec::new());
    builder.append_pax_extensions(pax.iter().copied()).unwrap();
    let mut header = ::tar::Header::new_gnu();
    header.set_entry_type(::tar::EntryType::new(kind));
    header.set_size(0);
    header.set_path(name).unwrap();
    if !target.is_empty() {
        header.set_link_name(target).unwrap();
    }
    header.set_cksum();
    builder.append(&header, std::io::empty()).unwrap();
    let mut whole = builder.into_inner().unwrap();
    whole.truncate(whole.len() - 1024);
    whole.extend(tar(&[("b/1.png", b"one")]));
    whole
}

#[test]
fn archives_are_told_by_their_bytes() {
    let plain = tar(&[("./a/1.png", b"one"), ("/b/2.png", b"two")]);
    let zstd = zstd::encode_all(&plain[..], 1).unwrap();
    let zipped = zip(b"", &[zip_member("a/1.png", b"one", 8), zip_member("b/2.png", b"two", 0)]);
    for bytes in [plain.clone(), gzip(&plain), zstd, zipped] {
        for name in ["a.tar", "a.tgz", "a.zip", "a"] {
            let tree = opened(name, &bytes).unwrap();
            assert_eq!(
                contents(&tree),
                [("a/1.png", b"one".to_vec()), ("b/2.png", b"two".to_vec())],
                "{name}"
            );
            assert_eq!(tree.folders.iter().collect::<Vec<_>>(), ["a", "b"]);
        }
    }
}

#[test]
fn a_file_that_is_no_archive_is_listed_alone_with_the_sentence_that_refuses_it() {
    for (name, bytes, what) in [
        ("a.png", &b"\x89PNG\r\n\x1a\n...."[..], "a single image"),
        ("a.parquet", b"PAR1....", "a Parquet file"),
        ("a.tar.xz", b"\xfd7zXZ\0", "packed by xz, which is not read"),
        ("a.tar", b"BZh9....", "packed by bzip2, which is not read"),
        ("notes", b"hello", "neither a folder nor an archive that is read"),
    ] {
        let tree = opened(name, bytes).unwrap();
        assert_eq!(contents(&tree), [(name, bytes.to_vec())]);
        let sentence = tree.alone.unwrap();
        assert!(sentence.contains(&format!("{name}`, which is {what}: ")), "{sentence}");
    }
    assert!(refusal("a.tar", b"hello").contains("a.tar` is truncated or damaged"));
    assert!(refusal("a", b"").contains("a` is truncated or damaged"));
}

#[test]
fn members_that_are_no_plain_files_are_counted_or_refused() {
    let only = [("b/1.png", b"one".to_vec())];
    for (bytes, reason) in [
        (special(b'6', "a/pipe", "", &[]), Some(Reason::NoFile)),
        (
            special(b'0', "a/holes", "", &[("GNU.sparse.major", b"1"), ("GNU.sparse.name", b"a/h")]),
            Some(Reason::Sparse),
        ),
        (special(b'1', "a/hard", "a/missing", &[]), Some(Reason::Link)),
        (special(b'2', "a/soft", "../../b/1.png", &[]), Some(Reason::Link)),
        (special(b'V', "label", "", &[]), None),
        (special(b'5', "a/", "", &[]), None),
    ] {
        let tree = opened("a.tar", &bytes).unwrap();
        assert_eq!(contents(&tree), only);
        assert_eq!(passed(&tree), reason.map(|reason| (reason, 1)).into_iter().collect::<Vec<_>>());
    }
    assert!(refusal("a.tar", &special(b'M', "a/part", "", &[])).contains("is one part of an archive of several volumes"));
}

#[test]
fn long_names_and_names_in_extensions_are_read() {
    let long = format!("{}/1.png", "folder".repeat(40));
    assert_eq!(contents(&opened("a", &tar(&[(&long, b"x")])).unwrap())[0].0, long);
    let tree = opened("a", &special(b'0', "short", "", &[("path", "c/\u{e9}.png".as_bytes())])).unwrap();
    assert_eq!(contents(&tree), [("b/1.png", b"one".to_vec()), ("c/\u{e9}.png", Vec::new())]);
}

#[test]
fn archives_one_after_the_other_are_all_read_and_what_follows_is_named() {
    let [first, second] = [tar(&[("a/1.png", b"one"), ("b/2.png", b"x")]), tar(&[("b/2.png", b"two")])];
    let both = [("a/1.png", b"one".to_vec()), ("b/2.png", b"two".to_vec())];
    for gap in [0, 512, 10240] {
        let tree = opened("a.tar", &[first.clone(), vec![0; gap], second.clone()].concat()).unwrap();
        assert_eq!(contents(&tree), both);
        assert!(tree.warnings[0].ends_with("is 2 archives one after the other: all of them are read, as `tar -xi` would"));
    }
    let tree = opened("a.tar", &[first.clone(), vec![0; 700], b"rubbish".to_vec()].concat()).unwrap();
    assert_eq!(contents(&tree).len(), 2);
    assert!(
        tree.warnings[0].contains(" bytes after the end of the archive"),
        "{:?}",
        tree.warnings
    );
    let torn = [first, second[..700].to_vec()].concat();
    assert!(refusal("a.tar", &torn).contains("is truncated or damaged"));
}

#[test]
fn members_of_zips_are_read_whole_and_in_parts() {
    let large: Vec<u8> = (0..100_000_u32).map(|n| (n / 7) as u8).collect();
    let link = ZipMember {
        mode: 0o120_777,
        ..zip_member("b/link.png", b"../a/1.bin", 8)
    };
    let members = [
        zip_member("a/1.bin", &large, 8),
        link,
        zip_member("c/", b"", 0),
        zip_member("a/2.bin", &large, 0),
    ];
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.zip");
    std::fs::write(&path, zip(b"", &members)).unwrap();
    let tree = Tree::open(&path, dir.path()).unwrap();
    assert_eq!(tree.entries.len(), 3);
    assert_eq!(tree.again["b/link.png"], "a/1.bin");
    assert!(tree.folders.contains("c"));
    for entry in &tree.entries {
        assert_eq!(tree.read(entry).unwrap(), large);
        assert_eq!(tree.first(entry, 9).unwrap(), large[..9]);
        assert_eq!(tree.files.part(&entry.name, entry.place, 777, 50).unwrap(), large[777..827]);
        assert!(tree.files.part(&entry.name, entry.place, 99_990, 50).is_err());
    }
}

#[test]
fn zips_that_are_not_read_are_refused_by_name() {
    let member = |method, flags, size| ZipMember {
        flags,
        size,
        ..zip_member("a/1.png", b"bytes of an image", method)
    };
    let sentence = refusal("a.zip", &zip(b"", &[member(0, 1, 17)]));
    assert!(sentence.contains("is encrypted (`a/1.png` is): unpack it"), "{sentence}");
    let sentence = refusal("a.zip", &zip(b"", &[member(14, 0, 17)]));
    assert!(sentence.contains("is packed as LZMA, which is not read"), "{sentence}");
    // One that unpacks to more or less than it says is an error when it is read.
    for size in [16, 18, 1 << 31] {
        let tree = opened("a.zip", &zip(b"", &[member(8, 0, size)])).unwrap();
        assert!(tree.read(&tree.entries[0]).is_err());
        assert!(tree.files.part("", tree.entries[0].place, 0, 4).is_err());
    }
    let whole = zip(b"", &[member(8, 0, 17)]);
    for length in [whole.len() - 1, whole.len() - 30, 40] {
        assert!(
            refusal("a.zip", &whole[..length]).contains("a.zip` is truncated or damaged"),
            "{length}"
        );
    }
}

#[test]
fn zips_inside_of_other_archives_are_read() {
    let dir = tempfile::tempdir().unwrap();
    let inner = tar(&[("1.png", b"one")]);
    let outer = zip(
        b"",
        &[
            zip_member("a.tar", &inner, 8),
            zip_member("b.tar", &inner, 0),
            zip_member("c.tgz", &gzip(&inner), 8),
        ],
    );
    let path = dir.path().join("a.tar");
    std::fs::write(&path, tar(&[("all.zip", &outer)])).unwrap();
    let tree = Tree::open(&path, dir.path()).unwrap();
    let zip = tree.open_member(&tree.entries[0], dir.path()).unwrap();
    assert_eq!(zip.entries.len(), 3);
    for entry in &zip.entries {
        let member = zip.open_member(entry, dir.path()).unwrap();
        assert_eq!(contents(&member), [("1.png", b"one".to_vec())]);
    }
}
