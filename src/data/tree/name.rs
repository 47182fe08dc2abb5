//! What a file's name tells.

/// Endings of the image formats that are read.
const IMAGES: [&str; 10] = [".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff"];
/// Names that operating systems, file managers and network disks give, in small letters.
const SYSTEM: [&str; 9] = [
    "__macosx",
    "thumbs.db",
    "ehthumbs.db",
    "desktop.ini",
    "lost+found",
    "eadir",
    "$recycle.bin",
    "system volume information",
    "icon\r",
];

/// Whether the name is that of an image.
pub(in crate::data) fn is_image_name(name: &str) -> bool {
    let name = name.as_bytes();
    let ends = |ending: &&str| {
        let start = name.len().checked_sub(ending.len());
        start.is_some_and(|start| name[start..].eq_ignore_ascii_case(ending.as_bytes()))
    };
    IMAGES.iter().any(ends)
}

/// Whether the file or folder of that name (without what it lies in) is none of a person's: operating systems and file
/// managers leave them beside images.
pub(super) fn is_system_name(name: &str) -> bool {
    name.starts_with(['.', '@']) || SYSTEM.iter().any(|known| known.eq_ignore_ascii_case(name))
}

/// The beginning of a path that ends with the first such name.
pub(super) fn system_part(path: &str) -> Option<&str> {
    let mut from = 0;
    for part in path.split('/') {
        let end = from + part.len();
        if is_system_name(part) {
            return Some(&path[..end]);
        }
        from = end + 1;
    }
    None
}

/// A name as text: what is no UTF-8 is written as `\xNN`, and a backslash that could be taken for such a note as `\x5c`.
pub(in crate::data) fn text(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        text.push_str(&chunk.valid().replace("\\x", "\\x5cx"));
        chunk.invalid().iter().for_each(|byte| text.push_str(&format!("\\x{byte:02x}")));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn system_names_are_told_at_any_depth() {
        assert_eq!(system_part("a/@eaDir/1.png/x.png"), Some("a/@eaDir"));
        assert_eq!(system_part("a/THUMBS.DB"), Some("a/THUMBS.DB"));
        assert_eq!(system_part("._1.png"), Some("._1.png"));
        assert_eq!(system_part("a/b.png"), None);
    }

    #[test]
    fn different_bytes_are_different_text() {
        assert_eq!(text(b"caf\xe9"), "caf\\xe9");
        assert_eq!(text(b"caf\\xe9"), "caf\\x5cxe9");
        assert_eq!(text("café".as_bytes()), "café");
    }

    #[test]
    fn endings_count_in_any_case() {
        assert!(is_image_name("a/1.JPG") && is_image_name("é.png") && !is_image_name("png") && !is_image_name("a.txt"));
    }
}
