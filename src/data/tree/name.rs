//! What a file's name tells.

/// Endings of the image formats that are read.
const IMAGES: [&str; 10] = [".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff"];

/// Whether the name is that of an image.
pub(in crate::data) fn is_image_name(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    IMAGES.iter().any(|ending| name.ends_with(ending))
}

/// Whether the file or folder of that name (without what it lies in) is none of a person's: operating systems and file
/// managers leave them beside images.
pub(super) fn is_system_name(name: &str) -> bool {
    name.starts_with('.') || name.starts_with('@') || ["__MACOSX", "Thumbs.db", "desktop.ini", "lost+found"].contains(&name)
}

/// A name as text: what is no UTF-8 is written as `\xNN`.
pub(super) fn text(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        chunk.invalid().iter().for_each(|byte| text.push_str(&format!("\\x{byte:02x}")));
    }
    text
}
