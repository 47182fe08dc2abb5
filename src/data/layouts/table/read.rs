//! A table's rows, whatever its separator and encoding.

use anyhow::Context;

use crate::data::tree::{Entry, Tree, text};

/// Bytes of a table that are too many (ours: a million images have 60 million).
const MOST: u64 = 256 << 20;
/// Separators, the first of equals counts.
const SEPARATORS: [u8; 4] = [b',', b';', b'\t', b'|'];

/// A table as it is written.
#[derive(Debug)]
pub(super) struct Table {
    /// The file.
    pub name: String,
    /// Cells without spaces around them; the first row may be a header. All rows have the same number of cells.
    pub rows: Vec<Vec<String>>,
    /// Whether the first row is a header.
    pub header: bool,
    /// The number of the first row whose cells are more or fewer than the first row's.
    pub ragged: Option<usize>,
}

impl Table {
    /// Reads a file, if it is called a table and has one of at least two columns.
    pub(super) fn read(tree: &Tree, entry: &Entry) -> anyhow::Result<Option<Table>> {
        let name = entry.name.to_ascii_lowercase();
        let is_table = name.ends_with(".csv") || name.ends_with(".tsv");
        if !is_table || entry.place.size() > MOST {
            return Ok(None);
        }
        let bytes = decoded(
            tree.read(entry)
                .with_context(|| format!("cannot read `{}`", tree.show(&entry.name)))?,
        );
        Ok(Table::of(&entry.name, &bytes))
    }

    /// The table that `bytes` are.
    pub(super) fn of(name: &str, bytes: &[u8]) -> Option<Table> {
        let (separator, skipped) = separator(bytes)?;
        let mut reader = csv::ReaderBuilder::new()
            .has_headers(false)
            .flexible(true)
            .delimiter(separator)
            .from_reader(&bytes[skipped..]);
        let mut rows: Vec<Vec<String>> = Vec::new();
        let mut ragged = None;
        for record in reader.byte_records() {
            let record = record.ok()?;
            let mut row: Vec<String> = record.iter().map(|cell| plain(cell).trim().to_owned()).collect();
            let columns = rows.first().map_or(row.len(), Vec::len);
            // Some writers end each row with a separator.
            while row.len() > columns && row.last().is_some_and(String::is_empty) {
                row.pop();
            }
            if row.iter().all(String::is_empty) {
                continue;
            }
            if row.len() != columns && ragged.is_none() {
                ragged = Some(rows.len() + 1);
            }
            row.resize(columns, String::new());
            rows.push(row);
        }
        let columns = rows.first()?.len();
        (columns >= 2).then(|| Table {
            name: name.to_owned(),
            rows,
            header: false,
            ragged,
        })
    }

    /// Rows that are no header.
    pub(super) fn body(&self) -> &[Vec<String>] {
        &self.rows[usize::from(self.header)..]
    }

    /// What a person calls the row at `at` of the body.
    pub(super) fn row_number(&self, at: usize) -> usize {
        at + 1 + usize::from(self.header)
    }

    /// Number of columns.
    pub(super) fn columns(&self) -> usize {
        self.rows[0].len()
    }

    /// What a person calls a column.
    pub(super) fn title(&self, column: usize) -> String {
        match self.rows[0][column].as_str() {
            title if self.header && !title.is_empty() => title.to_owned(),
            _ => (column + 1).to_string(),
        }
    }
}

/// A cell as text; what is no UTF-8 is written as names of files write it.
fn plain(cell: &[u8]) -> String {
    match std::str::from_utf8(cell) {
        Ok(text) => text.to_owned(),
        Err(_) => text(cell),
    }
}

/// UTF-8 without a mark at its beginning; UTF-16 is told by its mark.
fn decoded(bytes: Vec<u8>) -> Vec<u8> {
    let wide = |read: fn([u8; 2]) -> u16| {
        let units: Vec<u16> = bytes[2..].chunks_exact(2).map(|pair| read([pair[0], pair[1]])).collect();
        String::from_utf16_lossy(&units).into_bytes()
    };
    match bytes[..] {
        [0xef, 0xbb, 0xbf, ..] => bytes[3..].to_vec(),
        [0xff, 0xfe, ..] => wide(u16::from_le_bytes),
        [0xfe, 0xff, ..] => wide(u16::from_be_bytes),
        _ => bytes,
    }
}

/// The separator by the first line, outside of quotes, and how many bytes before the table say so.
fn separator(bytes: &[u8]) -> Option<(u8, usize)> {
    let line = |bytes: &[u8]| {
        bytes
            .split(|byte| *byte == b'\n' || *byte == b'\r')
            .next()
            .unwrap_or_default()
            .to_vec()
    };
    let first = line(bytes);
    // A spreadsheet may say its separator in a line of its own.
    if let [b's', b'e', b'p', b'=', separator] = first[..] {
        return separator.is_ascii_punctuation().then_some((separator, first.len()));
    }
    let mut counts = [0; SEPARATORS.len()];
    let mut quoted = false;
    for byte in first {
        quoted ^= byte == b'"';
        if let Some(at) = SEPARATORS.iter().position(|separator| *separator == byte && !quoted) {
            counts[at] += 1;
        }
    }
    let most = counts.iter().copied().max().filter(|most| *most > 0)?;
    let at = counts.iter().position(|count| *count == most)?;
    Some((SEPARATORS[at], 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(text: &[u8]) -> Vec<Vec<String>> {
        Table::of("t.csv", &decoded(text.to_vec())).unwrap().rows
    }

    #[test]
    fn separators_quotes_marks_and_line_ends_make_no_difference() {
        let wanted = vec![
            vec!["id".to_owned(), "label".to_owned()],
            vec!["1".to_owned(), "great tit, adult".to_owned()],
        ];
        assert_eq!(rows(b"id,label\r\n1,\"great tit, adult\"\r\n"), wanted);
        assert_eq!(rows(b"\xef\xbb\xbfid;label\n1;great tit, adult\n\n"), wanted);
        assert_eq!(rows(b"id\tlabel\n1\t great tit, adult "), wanted);
        assert_eq!(rows(b"sep=;\nid;label\n1;great tit, adult"), wanted);
        assert_eq!(rows(b"id,label\n1,\"great tit, adult\",,\n"), wanted);
        let wide: Vec<u8> = "id\tlabel\n1\tgreat tit, adult".encode_utf16().flat_map(u16::to_le_bytes).collect();
        assert_eq!(rows(&[&[0xff, 0xfe], &wide[..]].concat()), wanted);
        assert!(Table::of("t.csv", b"only\none\n").is_none() && Table::of("t.csv", b"").is_none());
        assert_eq!(Table::of("t.csv", b"a,b\n1,2\n3\n").unwrap().ragged, Some(3));
    }
}
