//! Single rows of a column of bytes, without unpacking more than the page they are in.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, OnceLock};

use ::bytes::Bytes;
use ::parquet::basic::Compression;
use ::parquet::column::page::PageReader;
use ::parquet::column::reader::ColumnReaderImpl;
use ::parquet::data_type::{ByteArray, ByteArrayType, DataType};
use ::parquet::file::metadata::{ParquetMetaData, ParquetMetaDataReader};
use ::parquet::file::page_index::offset_index::PageLocation;
use ::parquet::file::reader::{ChunkReader, Length};
use ::parquet::file::serialized_reader::SerializedPageReader;
use anyhow::{Context, anyhow, bail};

use crate::data::guard::guarded;
use crate::data::source::{Item, Reader};
use crate::data::tree::Place;
use crate::data::{Image, decode};

use super::bytes::{Source, Watched, taken};

/// Bytes of unpacked pages that are kept at hand (ours).
const KEPT: usize = 256 << 20;
/// Bytes at either end of a page that tell it from others.
const MARK: usize = 1 << 10;

/// One page of the column of images.
struct Page {
    place: PageLocation,
    /// Where the bytes of its rows are in the file, where they are there as they are.
    spots: OnceLock<Option<Vec<Spot>>>,
}

/// Where a row is: its row group and the pages of it, its page, its place in that.
struct Spotted<'a> {
    group: usize,
    pages: &'a [Page],
    page: usize,
    at: usize,
}

/// Begin and length of a row's bytes; nothing for null.
type Spot = Option<(u64, usize)>;

/// One file, its footer read.
pub(super) struct File {
    /// Its bytes.
    pub source: Arc<Source>,
    /// Its footer.
    pub footer: ParquetMetaData,
    /// Number of the first row of every row group, and of the one there would be next.
    firsts: Vec<u64>,
    /// Which column has the images, of the leaves.
    pub column: usize,
    /// The pages of that column by row group, once they are known.
    pages: Vec<OnceLock<Result<Vec<Page>, String>>>,
}

impl File {
    /// Reads a footer; the column is that of the number 0 until it is chosen.
    pub(super) fn open(source: Source) -> anyhow::Result<File> {
        let footer = guarded(|| Ok(ParquetMetaDataReader::new().parse_and_finish(&source)?))?;
        let mut firsts = vec![0_u64];
        for group in footer.row_groups() {
            let rows = u64::try_from(group.num_rows()).context("a row group has less than no rows")?;
            let before = firsts.last().copied().unwrap_or_default();
            firsts.push(before.checked_add(rows).context("there are too many rows")?);
        }
        let pages = footer.row_groups().iter().map(|_| OnceLock::new()).collect();
        let file = File {
            source: Arc::new(source),
            footer,
            firsts,
            column: 0,
            pages,
        };
        // No file is so well packed: a number that large is damage, and a list of that length no use.
        if file.rows() > 64 * file.source.len() {
            bail!("it claims {} rows", file.rows());
        }
        Ok(file)
    }

    /// How many rows it has.
    pub(super) fn rows(&self) -> u64 {
        self.firsts.last().copied().unwrap_or_default()
    }

    /// Bytes of an image on average: a footer knows no more.
    pub(super) fn usual(&self) -> u64 {
        let groups = self.footer.row_groups().iter();
        let bytes: i64 = groups
            .map(|group| group.column(self.column).uncompressed_size().max(0))
            .fold(0, i64::saturating_add);
        bytes as u64 / self.rows().max(1)
    }

    /// How many rows have no image, where the footer says it.
    pub(super) fn nulls(&self) -> Option<u64> {
        let groups = self.footer.row_groups().iter();
        groups.map(|group| group.column(self.column).statistics()?.null_count_opt()).sum()
    }

    /// Whether the first value of a column is an image.
    pub(super) fn is_image(&self, leaf: usize) -> anyhow::Result<bool> {
        let Some(group) = self.footer.row_groups().first() else {
            return Ok(false);
        };
        let column = group.column(leaf);
        let rows = usize::try_from(group.num_rows())?.min(16);
        let values = guarded(|| {
            let pages = SerializedPageReader::new(self.source.clone(), column, rows, None)?;
            let mut reader = ColumnReaderImpl::<ByteArrayType>::new(column.column_descr_ptr(), Box::new(pages));
            read::<ByteArrayType>(&mut reader, rows, column.column_descr().max_def_level())
        })?;
        let first = values.into_iter().flatten().next();
        Ok(first.is_some_and(|bytes| image::guess_format(bytes.data()).is_ok()))
    }

    /// Where a row is.
    fn spot(&self, row: u64) -> anyhow::Result<Spotted<'_>> {
        let group = self.firsts.partition_point(|first| *first <= row) - 1;
        let inside = row - self.firsts[group];
        let pages = self.pages.get(group).context("there is no such row")?;
        let pages = pages.get_or_init(|| self.find_pages(group).map_err(|e| format!("{e:#}")));
        let pages = pages.as_ref().map_err(|e| anyhow!("{e}"))?;
        let page = pages
            .partition_point(|page| page.place.first_row_index as u64 <= inside)
            .checked_sub(1)
            .context("there is no page of this row")?;
        let at = usize::try_from(inside - pages[page].place.first_row_index as u64)?;
        Ok(Spotted { group, pages, page, at })
    }

    /// What tells a row from others without its page being unpacked: the ends of the page, and the place in it.
    fn mark(&self, row: u64) -> anyhow::Result<Vec<u8>> {
        let Spotted { pages, page, at, .. } = self.spot(row)?;
        let place = &pages[page].place;
        let size = usize::try_from(place.compressed_page_size)?;
        let end = size.min(MARK);
        let mut mark = (at as u64).to_le_bytes().to_vec();
        mark.extend(self.source.get_bytes(place.offset as u64, end)?);
        mark.extend(self.source.get_bytes(place.offset as u64 + (size - end) as u64, end)?);
        Ok(mark)
    }

    /// The bytes in a row of this file of that number; none where it is null.
    pub(super) fn bytes(&self, number: usize, row: u64, kept: &Pages) -> anyhow::Result<Option<Bytes>> {
        let Spotted { group, pages, page, at } = self.spot(row)?;
        if self.footer.row_group(group).column(self.column).compression() == Compression::UNCOMPRESSED {
            let spots = pages[page].spots.get_or_init(|| self.spots(group, page, pages).ok().flatten());
            if let Some(spots) = spots {
                let spot = spots.get(at).context("its page has too few rows")?;
                return Ok(spot.map(|(start, length)| self.source.get_bytes(start, length)).transpose()?);
            }
        }
        let size = usize::try_from(pages[page].place.compressed_page_size)?;
        let rows = kept.get((number, group, page), size, || self.page(group, page, pages, self.source.clone()));
        let rows = rows.map_err(|e| anyhow!("{e}"))?;
        let row = rows.get(at).context("its page has too few rows")?;
        Ok(row.as_ref().map(|row| Bytes::copy_from_slice(row.data())))
    }

    /// Where the rows of an unpacked page are in the file, if they are there as they are.
    fn spots(&self, group: usize, page: usize, pages: &[Page]) -> anyhow::Result<Option<Vec<Spot>>> {
        let watched = Watched::new(&self.source);
        let rows = self.page(group, page, pages, watched.clone())?;
        let pieces = std::mem::take(&mut *taken(&watched.pieces));
        // A row is a part of what was read, not a copy: its address tells its place.
        let spot = |row: Option<ByteArray>| {
            let Some(row) = row else {
                return Some(None);
            };
            let address = row.data().as_ptr() as usize;
            let place = pieces.iter().find_map(|(start, piece)| {
                let inside = address.checked_sub(piece.as_ptr() as usize)?;
                (inside + row.len() <= piece.len()).then_some(start + inside as u64)
            });
            place.map(|place| Some((place, row.len())))
        };
        Ok(rows.into_iter().map(spot).collect())
    }

    /// Where the pages of a row group are, from header to header.
    fn find_pages(&self, group: usize) -> anyhow::Result<Vec<Page>> {
        guarded(|| {
            let column = self.footer.row_group(group).column(self.column);
            let (start, length) = column.byte_range();
            let end = start + length;
            let watched = Watched::new(&self.source);
            let mut reader = SerializedPageReader::new(watched.clone(), column, 0, None)?;
            let mut found: Vec<PageLocation> = Vec::new();
            let mut rows = 0;
            while let Some(page) = reader.peek_next_page()? {
                let starts = std::mem::take(&mut *taken(&watched.starts));
                if !page.is_dict {
                    let offset = starts.last().copied().unwrap_or(start) as i64;
                    found.push(PageLocation {
                        offset,
                        compressed_page_size: 0,
                        first_row_index: rows,
                    });
                    rows += page.num_rows.or(page.num_levels).context("a page tells no number of rows")? as i64;
                }
                reader.skip_next_page()?;
            }
            let ends: Vec<i64> = found.iter().skip(1).map(|place| place.offset).chain([end as i64]).collect();
            for (place, end) in found.iter_mut().zip(ends) {
                place.compressed_page_size = i32::try_from(end - place.offset)?;
            }
            let page = |place| Page {
                place,
                spots: OnceLock::new(),
            };
            Ok(found.into_iter().map(page).collect())
        })
    }

    /// The rows of one page, read from `source`.
    fn page<S: ChunkReader + 'static>(
        &self,
        group: usize,
        page: usize,
        pages: &[Page],
        source: Arc<S>,
    ) -> anyhow::Result<Vec<Option<ByteArray>>> {
        let group = self.footer.row_group(group);
        let column = group.column(self.column);
        let total = usize::try_from(group.num_rows())?;
        let places: Vec<PageLocation> = pages.iter().map(|page| page.place.clone()).collect();
        let first = usize::try_from(places[page].first_row_index)?;
        let next = places
            .get(page + 1)
            .map_or(total, |place| place.first_row_index as usize)
            .min(total);
        guarded(|| {
            let reader = SerializedPageReader::new(source, column, total, Some(places))?;
            let mut reader = ColumnReaderImpl::<ByteArrayType>::new(column.column_descr_ptr(), Box::new(reader));
            reader.skip_records(first)?;
            read::<ByteArrayType>(&mut reader, next.saturating_sub(first), column.column_descr().max_def_level())
        })
    }

    /// All values of another column of bytes, numbers or truths.
    pub(super) fn values<T: DataType>(&self, leaf: usize) -> anyhow::Result<Vec<Option<T::T>>> {
        guarded(|| {
            let mut all = Vec::new();
            for group in self.footer.row_groups() {
                let (column, rows) = (group.column(leaf), usize::try_from(group.num_rows())?);
                let pages = SerializedPageReader::new(self.source.clone(), column, rows, None)?;
                let mut reader = ColumnReaderImpl::<T>::new(column.column_descr_ptr(), Box::new(pages));
                let found = read::<T>(&mut reader, rows, column.column_descr().max_def_level())?;
                if found.len() != rows {
                    bail!("a column has {} rows of {rows}", found.len());
                }
                all.extend(found);
            }
            Ok(all)
        })
    }
}

/// The next values of a column, at most so many.
fn read<T: DataType>(reader: &mut ColumnReaderImpl<T>, rows: usize, most: i16) -> anyhow::Result<Vec<Option<T::T>>> {
    let (mut levels, mut values) = (Vec::new(), Vec::new());
    reader.read_records(rows, Some(&mut levels), None, &mut values)?;
    if most == 0 {
        return Ok(values.into_iter().map(Some).collect());
    }
    let mut values = values.into_iter();
    let found = levels.into_iter().map(|level| if level == most { values.next() } else { None });
    Ok(found.collect())
}

/// A page: file, row group, number.
type Key = (usize, usize, usize);
/// The rows of a page, or what is wrong with it.
type Rows = Result<Arc<Vec<Option<ByteArray>>>, String>;

type Kept = (Key, usize, Arc<OnceLock<Rows>>);

/// The pages used last.
#[derive(Default)]
pub(super) struct Pages {
    /// Each with its bytes.
    kept: Mutex<VecDeque<Kept>>,
}

impl Pages {
    /// A page of so many bytes, read once however many ask for it at a time.
    fn get(&self, key: Key, bytes: usize, read: impl FnOnce() -> anyhow::Result<Vec<Option<ByteArray>>>) -> Rows {
        let page = {
            let mut kept = taken(&self.kept);
            let page = match kept.iter().position(|(known, ..)| *known == key) {
                Some(at) => kept.remove(at).map(|(.., page)| page).unwrap_or_default(),
                None => Arc::default(),
            };
            kept.push_back((key, bytes, page.clone()));
            let mut total: usize = kept.iter().map(|(_, bytes, _)| bytes).sum();
            while total > KEPT && kept.len() > 1 {
                total -= kept.pop_front().map_or(0, |(_, bytes, _)| bytes);
            }
            page
        };
        page.get_or_init(|| read().map(Arc::new).map_err(|e| format!("{e:#}"))).clone()
    }
}

/// Gets the images of all files.
pub(super) struct Images {
    /// The files.
    pub files: Vec<File>,
    /// What is kept of them.
    pub pages: Pages,
}

impl Reader for Images {
    fn bytes(&self, item: &Item) -> anyhow::Result<Vec<u8>> {
        let Place::Part { file, offset, .. } = item.place else {
            bail!("an image is a row of a file")
        };
        let number = file as usize;
        let row = self.files[number].bytes(number, offset, &self.pages)?;
        Ok(row.context("the row has no image")?.into())
    }

    fn ends(&self, item: &Item, bytes: u64) -> anyhow::Result<Vec<u8>> {
        match item.place {
            Place::Part { file, offset, size } if size > 2 * bytes => self.files[file as usize].mark(offset),
            Place::Part { .. } | Place::Own { .. } | Place::Deflated { .. } => self.bytes(item),
        }
    }

    fn upright(&self, item: &Item) -> anyhow::Result<(Image, bool)> {
        decode::decode(&self.bytes(item)?)
    }
}
