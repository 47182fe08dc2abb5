//! Numbers and texts as a pickle writes them.

use anyhow::{Context, bail};

use super::Value;

/// A little-endian integer of any length in two's complement.
pub(super) fn integer(bytes: &[u8]) -> anyhow::Result<Value> {
    let sign = bytes.last().is_some_and(|last| last & 0x80 != 0);
    let mut all = [if sign { 0xff } else { 0 }; 8];
    match all.get_mut(..bytes.len()) {
        Some(low) => low.copy_from_slice(bytes),
        None => bail!("it has an integer of {} bytes", bytes.len()),
    }
    Ok(Value::Int(i64::from_le_bytes(all)))
}

/// A text with Python's escapes; a Unicode one has only `\u` and `\U`.
pub(super) fn unescaped(text: &[u8], unicode: bool) -> anyhow::Result<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let [first, tail @ ..] = rest {
        rest = tail;
        if *first != b'\\' {
            // A Unicode text is Latin-1 beside its escapes.
            match unicode {
                true => bytes.extend(char::from(*first).to_string().bytes()),
                false => bytes.push(*first),
            }
            continue;
        }
        let [kind, tail @ ..] = rest else {
            bail!("a text in it ends within an escape")
        };
        let digits = match (kind, unicode) {
            (b'u', true) => 4,
            (b'U', true) => 8,
            (b'x', false) => 2,
            _ => 0,
        };
        if digits == 0 && unicode {
            bytes.push(b'\\');
            continue;
        }
        if digits == 0 {
            bytes.push(plain(*kind)?);
            rest = tail;
            continue;
        }
        let hex = tail.get(..digits).and_then(|hex| std::str::from_utf8(hex).ok());
        let value = hex
            .and_then(|hex| u32::from_str_radix(hex, 16).ok())
            .context("a text in it has a torn escape")?;
        match unicode {
            true => bytes.extend(
                char::from_u32(value)
                    .context("a text in it has no letter there")?
                    .to_string()
                    .bytes(),
            ),
            false => bytes.push(value as u8),
        }
        rest = &tail[digits..];
    }
    Ok(bytes)
}

/// What a single letter behind a backslash stands for.
fn plain(kind: u8) -> anyhow::Result<u8> {
    match kind {
        b'n' => Ok(b'\n'),
        b't' => Ok(b'\t'),
        b'r' => Ok(b'\r'),
        b'\\' | b'\'' | b'"' => Ok(kind),
        other => bail!("a text in it has the escape `\\{}`", char::from(other)),
    }
}
