//! Reading TOML so that a mistake in it is one sentence: the file, the line, what stands there.

use serde::de::DeserializeOwned;

/// Reads `text`; `file` is named in errors.
///
/// # Errors
/// One sentence with file and line, the line's text unless the sentence already names the key, and
/// what is allowed.
pub(super) fn read<T: DeserializeOwned>(file: &str, text: &str) -> Result<T, String> {
    toml::from_str(text).map_err(|error| {
        let message = error.message().split_whitespace().collect::<Vec<_>>().join(" ");
        let Some(span) = error.span().filter(|span| !span.is_empty()) else {
            return format!("{file}: {message}");
        };
        let before = text.get(..span.start).unwrap_or(text);
        let number = before.matches('\n').count() + 1;
        let line = text.lines().nth(number - 1).unwrap_or_default().trim();
        format!("{file}, line {number} (`{line}`): {message}")
    })
}
