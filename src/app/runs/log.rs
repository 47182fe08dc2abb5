//! The end of a run's log as text that is safe to show.

use std::io::SeekFrom;
use std::path::Path;

use tokio::fs::File;
use tokio::io::{AsyncReadExt, AsyncSeekExt};

use crate::app::{Error, Result};

/// The last `bytes` of a log, from the start of a line; empty if there is none.
///
/// # Errors
/// A file that cannot be read.
pub async fn tail(path: &Path, bytes: u64) -> Result<String> {
    read(path, bytes).await.map_err(|reason| Error::File {
        what: format!("cannot read {}", path.display()),
        reason,
    })
}

async fn read(path: &Path, bytes: u64) -> std::io::Result<String> {
    let mut file = match File::open(path).await {
        Ok(file) => file,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(String::new()),
        Err(e) => return Err(e),
    };
    let from = file.metadata().await?.len().saturating_sub(bytes);
    file.seek(SeekFrom::Start(from)).await?;
    let mut tail = Vec::new();
    file.take(bytes).read_to_end(&mut tail).await?;
    let text = String::from_utf8_lossy(&tail);
    let whole_lines = if from > 0 {
        text.split_once('\n').map_or("", |(_, rest)| rest)
    } else {
        &text
    };
    Ok(readable(whole_lines))
}

/// Without the control characters that a terminal would act on; a progress bar's rewritten line keeps its
/// last text.
fn readable(text: &str) -> String {
    let lines = text.lines().map(|line| {
        let last = line.trim_end_matches('\r').rsplit('\r').next().unwrap_or_default();
        last.chars().filter(|c| !c.is_control() || *c == '\t').collect::<String>()
    });
    lines.collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::readable;

    #[test]
    fn a_log_shows_no_control_characters_and_only_the_last_of_a_rewritten_line() {
        assert_eq!(
            readable("10 %\r20 %\r30 %\r\n\u{1b}[31mred\u{1b}[0m\u{0}\tend"),
            "30 %\n[31mred[0m\tend"
        );
    }
}
