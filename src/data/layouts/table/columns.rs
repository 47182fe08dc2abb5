//! What the columns of a table are: which names images, which is the label, which says the split.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use anyhow::bail;

use super::images::{Images, Named};
use super::read::Table;
use crate::data::layouts::found::split_word;
use crate::data::tree::{Tree, is_image_name};

/// Rows from which on a column of values that are all different is no label (ours).
const FEW: usize = 10;
/// Rows that tell which column names images (ours).
const SAMPLED: usize = 1000;
/// Words in the titles of columns that are labels.
const LABEL_WORDS: [&str; 5] = ["label", "class", "category", "target", "species"];

/// Words in the titles of columns that name images.
const NAME_WORDS: [&str; 6] = ["id", "name", "file", "image", "path", "key"];

/// A table and what its columns are.
#[derive(Debug)]
pub(super) struct Columns {
    /// The table.
    pub table: Table,
    /// The column that names images.
    pub names: usize,
    /// The column of labels.
    pub label: usize,
    /// The column that says the split.
    pub split: Option<usize>,
    /// How the label was chosen, where more than one column could be one.
    pub note: Option<String>,
}

/// The column that names most images, and whether there is a header. None where no cell names one.
pub(super) fn find_names(table: &mut Table, images: &Images<'_>) -> Option<usize> {
    let mut best: Option<(usize, usize)> = None;
    for column in 0..table.columns() {
        let mut named = HashSet::new();
        for row in table.rows.iter().take(SAMPLED) {
            match images.named(&row[column], &table.name) {
                Named::Image(at) | Named::Several(at, _) => _ = named.insert(at),
                Named::Nothing => {}
            }
        }
        if !named.is_empty() && best.is_none_or(|(_, most)| named.len() > most) {
            best = Some((column, named.len()));
        }
    }
    let (names, _) = best?;
    table.header = has_header(table, names, images);
    Some(names)
}

/// Whether the first row says what the columns are.
fn has_header(table: &Table, names: usize, images: &Images<'_>) -> bool {
    let first = &table.rows[0];
    let is_image = is_image_name(&first[names]) || images.named(&first[names], &table.name) != Named::Nothing;
    // A title says what names are, or at least does not stand among the values below it.
    let title = first[names].to_lowercase();
    if !is_image && NAME_WORDS.iter().any(|word| title.contains(word)) && !title.contains(|letter: char| letter.is_ascii_digit()) {
        return true;
    }
    let again = |column: usize| !first[column].is_empty() && table.rows[1..].iter().any(|row| row[column] == first[column]);
    !is_image && !(0..table.columns()).filter(|column| *column != names).any(again)
}

/// The values of a column.
struct Values<'a> {
    /// Different ones that are not empty.
    distinct: BTreeSet<&'a str>,
    /// Cells that are not empty.
    filled: usize,
}

impl<'a> Values<'a> {
    fn of(table: &'a Table, column: usize) -> Values<'a> {
        let cells = table.body().iter().map(|row| row[column].as_str()).filter(|cell| !cell.is_empty());
        Values {
            filled: cells.clone().count(),
            distinct: cells.collect(),
        }
    }

    /// Numbers between whole ones are measurements or probabilities.
    fn are_fractions(&self) -> bool {
        let number = |cell: &&str| cell.parse::<f64>().ok().filter(|number| number.is_finite());
        self.distinct.iter().all(|cell| number(cell).is_some())
            && self
                .distinct
                .iter()
                .any(|cell| number(cell).is_some_and(|number| number.fract() != 0.0))
    }

    /// Whether hardly any two rows have the same.
    fn are_all_different(&self) -> bool {
        let numbers = self.distinct.iter().all(|cell| cell.parse::<f64>().is_ok());
        self.filled >= FEW && (self.distinct.len() == self.filled || numbers && 2 * self.distinct.len() > self.filled)
    }

    fn are_splits(&self) -> bool {
        !self.distinct.is_empty()
            && self.distinct.iter().all(|cell| split_word(cell).is_some())
            && self.distinct.iter().any(|cell| split_word(cell) == Some("train"))
    }

    /// Whether it can be a label.
    fn can_label(&self) -> bool {
        self.distinct.len() > 1 && !self.are_fractions() && !self.are_all_different()
    }
}

/// Finds the label among the columns; `asked` is what the user says, or nothing. None where no column can be one.
pub(super) fn find_label(table: Table, names: usize, images: &Images<'_>, tree: &Tree, asked: &str) -> anyhow::Result<Option<Columns>> {
    let path = tree.show(&table.name);
    // A second column that names the same images is no label.
    let mut others: Vec<usize> = (0..table.columns()).filter(|column| *column != names).collect();
    if !asked.is_empty() {
        let mut fitting = others.iter().filter(|column| table.title(**column) == asked);
        let Some(label) = fitting.next() else {
            bail!(
                "data.label_column is `{asked}`, but the columns of `{path}` are `{}`",
                titles(&table, &others)
            )
        };
        let (label, split) = (*label, find_split(&table, &others, Some(*label)));
        check(&table, label, &path)?;
        return Ok(Some(columns(table, names, label, split, None)));
    }
    let split = find_split(&table, &others, None);
    others.retain(|column| Some(*column) != split && !names_images(&table, *column, images));
    let mut able: Vec<usize> = others
        .iter()
        .copied()
        .filter(|column| Values::of(&table, *column).can_label())
        .collect();
    if let [only] = others[..] {
        check(&table, only, &path)?;
        able = vec![only];
    }
    merge_equal(&table, &mut able);
    let note = narrow(&table, &mut able, &path)?;
    let Some(label) = able.first().copied() else { return Ok(None) };
    check(&table, label, &path)?;
    Ok(Some(columns(table, names, label, split, note)))
}

/// Leaves the one of several columns whose title says that it is the label, and a sentence about it.
fn narrow(table: &Table, able: &mut Vec<usize>, path: &str) -> anyhow::Result<Option<String>> {
    if able.len() < 2 {
        return Ok(None);
    }
    let all = titles(table, able);
    let is_flag = |column: &usize| Values::of(table, *column).distinct.iter().all(|cell| ["0", "1"].contains(cell));
    if able.iter().all(is_flag) {
        bail!("`{path}` has a column of 0 and 1 for each of `{all}`: one column with the class of each image is needed");
    }
    let says_label = |column: &usize| {
        let title = table.title(*column).to_lowercase();
        table.header && LABEL_WORDS.iter().any(|word| title.contains(word))
    };
    able.retain(says_label);
    let [one] = able[..] else {
        bail!("`{path}` has several columns that may be the label: set data.label_column to one of `{all}`")
    };
    let title = table.title(one);
    Ok(Some(format!("of `{all}` in `{path}`, the column `{title}` is taken as the label")))
}

/// What a person calls columns.
fn titles(table: &Table, columns: &[usize]) -> String {
    let titles: Vec<String> = columns.iter().map(|column| table.title(*column)).collect();
    titles.join("`, `")
}

fn columns(table: Table, names: usize, label: usize, split: Option<usize>, note: Option<String>) -> Columns {
    Columns {
        table,
        names,
        label,
        split,
        note,
    }
}

/// Whether a column names images too.
fn names_images(table: &Table, column: usize, images: &Images<'_>) -> bool {
    let is_name = |row: &Vec<String>| is_image_name(&row[column]) && images.named(&row[column], &table.name) != Named::Nothing;
    table.body().iter().all(is_name)
}

fn find_split(table: &Table, columns: &[usize], label: Option<usize>) -> Option<usize> {
    let is_split = |column: &&usize| Some(**column) != label && Values::of(table, **column).are_splits();
    columns.iter().find(is_split).copied()
}

/// Of columns that say the same in other words, leaves one: that of names rather than that of numbers.
fn merge_equal(table: &Table, columns: &mut Vec<usize>) {
    let mut kept: Vec<usize> = Vec::new();
    for column in std::mem::take(columns) {
        let same = |other: &usize| says_the_same(table, *other, column) && says_the_same(table, column, *other);
        match kept.iter().position(same) {
            None => kept.push(column),
            Some(at) if Values::of(table, kept[at]).distinct.iter().all(|cell| cell.parse::<f64>().is_ok()) => kept[at] = column,
            Some(_) => {}
        }
    }
    *columns = kept;
}

/// Whether the value of `one` tells that of `other`.
fn says_the_same(table: &Table, one: usize, other: usize) -> bool {
    let mut told: HashMap<&str, &str> = HashMap::new();
    let fits = |row: &Vec<String>| -> bool { row[one].is_empty() == row[other].is_empty() };
    table
        .body()
        .iter()
        .all(|row| fits(row) && *told.entry(&row[one]).or_insert(&row[other]) == row[other].as_str())
}

/// Refuses a column that is not one class for each image.
fn check(table: &Table, label: usize, path: &str) -> anyhow::Result<()> {
    let (values, title) = (Values::of(table, label), table.title(label));
    let example = values.distinct.first().copied().unwrap_or_default();
    if values.are_fractions() {
        let example = values
            .distinct
            .iter()
            .find(|cell| cell.parse::<f64>().is_ok_and(|number| number.fract() != 0.0));
        bail!(
            "the column `{title}` of `{path}` has numbers such as {}, which are no classes: a column of class names or whole numbers is needed",
            example.copied().unwrap_or_default()
        );
    }
    if values.are_all_different() {
        bail!(
            "the column `{title}` of `{path}` has {} values for {} images, such as `{example}`: these are no classes",
            values.distinct.len(),
            values.filled
        );
    }
    if let Some(several) = several_labels(&values.distinct) {
        bail!("the column `{title}` of `{path}` has cells with several labels, such as `{several}`: one class for each image is needed");
    }
    Ok(())
}

/// A cell that has several labels, if cells do.
fn several_labels<'a>(cells: &BTreeSet<&'a str>) -> Option<&'a str> {
    ['|', ';', ',', ' '].into_iter().find_map(|mark| {
        let mut pieces: BTreeMap<&str, usize> = BTreeMap::new();
        let mut lengths = BTreeSet::new();
        let mut several = None;
        for cell in cells {
            let parts: BTreeSet<&str> = cell.split(mark).map(str::trim).filter(|part| !part.is_empty()).collect();
            lengths.insert(parts.len());
            if parts.len() > 1 {
                several = several.or(Some(*cell));
            }
            parts.into_iter().for_each(|part| *pieces.entry(part).or_default() += 1);
        }
        let cell = several?;
        let often = |part: &str| pieces.get(part.trim()).is_some_and(|count| *count > 1);
        // A class may be called `great tit, adult`: of several labels, each stands elsewhere too.
        let all_often = cells
            .iter()
            .filter(|cell| cell.contains(mark))
            .all(|cell| cell.split(mark).filter(|part| !part.trim().is_empty()).all(often));
        let is_list = match mark {
            '|' | ';' => all_often,
            _ => all_often && lengths.len() > 1 && cells.len() > pieces.len(),
        };
        is_list.then_some(cell)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn several_labels_are_told_from_names_with_commas() {
        let several = |cells: &[&'static str]| several_labels(&cells.iter().copied().collect());
        assert_eq!(several(&["a|b", "a", "b|c", "c"]), Some("a|b"));
        assert_eq!(
            several(&["haze primary", "primary", "haze", "haze primary water", "water", "water haze"]),
            Some("haze primary")
        );
        assert_eq!(several(&["great tit, adult", "moon", "boat"]), None);
        assert_eq!(several(&["red apple", "green apple", "red car", "green car"]), None);
        assert_eq!(several(&["siamese cat", "persian cat", "dog"]), None);
    }
}
