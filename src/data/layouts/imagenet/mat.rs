//! The table of classes in the devkit's `meta.mat`, a MATLAB 5 file: elements of a type, a length and bytes, compressed or
//! not, of which one is an array of records.

use std::io::Read;

use anyhow::{Context, bail};
use flate2::read::ZlibDecoder;

/// Bytes before the first element.
const HEAD: usize = 128;
/// Unpacked bytes that are too many (ours: the devkit's have 2 million).
const MOST: u64 = 64 << 20;
/// Types of elements.
const COMPRESSED: u32 = 15;
const MATRIX: u32 = 14;
/// The class of an array of records.
const RECORDS: u8 = 2;

/// Every number of a class with its wnid.
pub(super) fn wnids(bytes: &[u8]) -> anyhow::Result<Vec<(u32, String)>> {
    if bytes.get(HEAD - 2..HEAD) != Some(b"IM") {
        bail!("it is no MATLAB 5 file");
    }
    let mut rest = &bytes[HEAD..];
    while !rest.is_empty() {
        let (kind, data) = element(&mut rest)?;
        let mut unpacked = Vec::new();
        let found = if kind == COMPRESSED {
            ZlibDecoder::new(data)
                .take(MOST)
                .read_to_end(&mut unpacked)
                .context("it is damaged")?;
            let (kind, data) = element(&mut &unpacked[..])?;
            records(kind, data)?
        } else {
            records(kind, data)?
        };
        if let Some(found) = found {
            return Ok(found);
        }
    }
    bail!("it has no array of records with ILSVRC2012_ID and WNID")
}

/// The type and the bytes of the next element; `rest` begins behind it afterwards.
fn element<'a>(rest: &mut &'a [u8]) -> anyhow::Result<(u32, &'a [u8])> {
    const TORN: &str = "it ends early";
    let word = |at: usize| -> anyhow::Result<u32> {
        let bytes = rest.get(at..at + 4).context(TORN)?;
        Ok(u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
    };
    let first = word(0)?;
    // Up to four bytes stand within the tag.
    let (kind, size, from, whole) = if first >> 16 != 0 {
        (first & 0xffff, (first >> 16) as usize, 4, 8)
    } else {
        let size = word(4)? as usize;
        let padded = if first == COMPRESSED { size } else { size.next_multiple_of(8) };
        (first, size, 8, 8 + padded)
    };
    let data = rest.get(from..from + size).context(TORN)?;
    *rest = rest.get(whole..).unwrap_or_default();
    Ok((kind, data))
}

/// Numbers and wnids, if the element is an array of records that have them.
fn records(kind: u32, mut data: &[u8]) -> anyhow::Result<Option<Vec<(u32, String)>>> {
    if kind != MATRIX || data.is_empty() {
        return Ok(None);
    }
    let (_, flags) = element(&mut data)?;
    if flags.first() != Some(&RECORDS) {
        return Ok(None);
    }
    let (_, dims) = element(&mut data)?;
    let (_, _name) = element(&mut data)?;
    let (_, length) = element(&mut data)?;
    let (_, titles) = element(&mut data)?;
    let [length, ..] = length else { bail!("it is damaged") };
    let titles: Vec<&[u8]> = titles.chunks(usize::from(*length).max(1)).map(until_zero).collect();
    let place = |title: &[u8]| titles.iter().position(|known| *known == title);
    let (Some(id), Some(wnid)) = (place(b"ILSVRC2012_ID"), place(b"WNID")) else {
        return Ok(None);
    };
    let mut found = Vec::new();
    let counts = dims
        .chunks_exact(4)
        .map(|dim| u64::from(u32::from_le_bytes([dim[0], dim[1], dim[2], dim[3]])));
    for _ in 0..counts.product::<u64>() {
        let (mut number, mut name) = (None, None);
        for field in 0..titles.len() {
            let (kind, data) = element(&mut data)?;
            if kind != MATRIX {
                bail!("it is damaged");
            }
            if field == id {
                number = Some(value(data)?);
            } else if field == wnid {
                name = Some(text(data)?);
            }
        }
        let (Some(number), Some(name)) = (number, name) else {
            bail!("it is damaged")
        };
        found.push((number, name));
    }
    Ok(Some(found))
}

/// The type and the bytes of the elements of an array.
fn inside(mut data: &[u8]) -> anyhow::Result<(u32, &[u8])> {
    for _ in 0..3 {
        element(&mut data)?; // Flags, dimensions and name.
    }
    element(&mut data)
}

/// A single whole number.
fn value(data: &[u8]) -> anyhow::Result<u32> {
    let (kind, bytes) = inside(data)?;
    let number = match (kind, bytes) {
        (1 | 2, [byte, ..]) => u32::from(*byte),
        (3 | 4, [low, high, ..]) => u32::from(u16::from_le_bytes([*low, *high])),
        (5 | 6, [a, b, c, d, ..]) => u32::from_le_bytes([*a, *b, *c, *d]),
        (7, [a, b, c, d, ..]) => f32::from_le_bytes([*a, *b, *c, *d]) as u32,
        (9, [a, b, c, d, e, f, g, h, ..]) => f64::from_le_bytes([*a, *b, *c, *d, *e, *f, *g, *h]) as u32,
        (12 | 13, [a, b, c, d, 0, 0, 0, 0, ..]) => u32::from_le_bytes([*a, *b, *c, *d]),
        _ => bail!("an ILSVRC2012_ID in it is no number"),
    };
    Ok(number)
}

/// A text of plain letters, a byte or two each.
fn text(data: &[u8]) -> anyhow::Result<String> {
    let (kind, bytes) = inside(data)?;
    let letters: Vec<u8> = match kind {
        1 | 2 | 16 => bytes.to_vec(),
        4 | 17 => bytes.chunks_exact(2).map(|pair| pair[0]).collect(),
        _ => bail!("a WNID in it is no text"),
    };
    Ok(String::from_utf8_lossy(&letters).trim().to_owned())
}

fn until_zero(bytes: &[u8]) -> &[u8] {
    bytes.split(|byte| *byte == 0).next().unwrap_or_default()
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    fn tagged(kind: u32, data: &[u8]) -> Vec<u8> {
        let mut bytes = [kind.to_le_bytes(), (data.len() as u32).to_le_bytes()].concat();
        bytes.extend(data);
        bytes.resize(bytes.len().next_multiple_of(8), 0);
        bytes
    }

    fn matrix(class: u8, kind: u32, data: &[u8]) -> Vec<u8> {
        let parts = [
            tagged(6, &[class, 0, 0, 0, 0, 0, 0, 0]),
            tagged(5, &[1, 0, 0, 0, 1, 0, 0, 0]),
            tagged(1, b""),
        ];
        tagged(MATRIX, &[&parts.concat()[..], &tagged(kind, data)].concat())
    }

    /// What scipy writes, with two classes.
    pub(in crate::data::layouts::imagenet) fn meta(classes: &[(u8, &str)]) -> Vec<u8> {
        let mut inside = tagged(6, &[RECORDS, 0, 0, 0, 0, 0, 0, 0]);
        inside.extend(tagged(5, &[classes.len() as u8, 0, 0, 0, 1, 0, 0, 0]));
        inside.extend(tagged(1, b"synsets"));
        inside.extend([5, 0, 4, 0, 16, 0, 0, 0]);
        inside.extend(tagged(1, b"ILSVRC2012_ID\0\0\0WNID\0\0\0\0\0\0\0\0\0\0\0\0"));
        for (id, wnid) in classes {
            inside.extend(matrix(6, 9, &f64::from(*id).to_le_bytes()));
            let wide: Vec<u8> = wnid.bytes().flat_map(|letter| [letter, 0]).collect();
            inside.extend(matrix(4, 4, &wide));
        }
        let mut bytes = vec![b' '; 124];
        bytes.extend(b"\0\x01IM");
        bytes.extend(tagged(MATRIX, &inside));
        bytes
    }

    #[test]
    fn numbers_and_wnids_are_read() {
        let bytes = meta(&[(1, "n00000002"), (2, "n00000001")]);
        assert_eq!(wnids(&bytes).unwrap(), [(1, "n00000002".to_owned()), (2, "n00000001".to_owned())]);
    }

    #[test]
    fn a_torn_or_changed_file_is_an_error_or_a_table_but_no_panic() {
        let whole = meta(&[(1, "n00000002")]);
        for length in 0..whole.len() - 8 {
            assert!(wnids(&whole[..length]).is_err(), "{length}");
        }
        for at in HEAD..whole.len() {
            for new in [0, 1, 15, 0x7f, 0xff] {
                let mut changed = whole.clone();
                changed[at] = new;
                drop(wnids(&changed));
            }
        }
    }
}
