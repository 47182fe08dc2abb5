//! Reading a choice and the options of a table from an address or a form, and writing them into links.

use crate::app::studies::{Choice, OF_IMAGES, TableOptions};
use crate::experiment::{Arrangement, Study, absolute};
use crate::web::error::Result;
use crate::web::fields::{Fields, query_of};

impl Choice {
    /// Reads the fields `scale`, `data` and `seeds`.
    pub(in crate::web) fn read(fields: &Fields) -> Choice {
        let field = |name: &str| fields.get(name).unwrap_or_default().to_owned();
        Choice {
            scale: field("scale"),
            data: absolute(&field("data")),
            seeds: field("seeds"),
            of_images: OF_IMAGES
                .iter()
                .map(|(place, ..)| ((*place).to_owned(), field(place).trim().to_owned()))
                .filter(|(_, typed)| !typed.is_empty())
                .collect(),
            ..Choice::default()
        }
    }

    /// The same with the scale `smallest` where none is named.
    pub(in crate::web) fn read_or(fields: &Fields, smallest: String) -> Choice {
        let choice = Choice::read(fields);
        if choice.scale.is_empty() {
            Choice { scale: smallest, ..choice }
        } else {
            choice
        }
    }

    /// Names and values for links and hidden fields; what is the scale's own is empty.
    pub(in crate::web) fn pairs(&self) -> impl Iterator<Item = (&'static str, String)> {
        let first = [
            ("scale", self.scale.clone()),
            ("data", self.data.clone()),
            ("seeds", self.seeds.clone()),
        ];
        let typed = OF_IMAGES.iter().map(|(place, ..)| (*place, self.typed(place).to_owned()));
        first.into_iter().chain(typed.filter(|(_, typed)| !typed.is_empty()))
    }

    /// The same as a query.
    pub(in crate::web) fn query(&self) -> String {
        query_of(self.pairs())
    }
}

impl TableOptions {
    /// Reads `columns`, `rows`, `sort`, `dir`, `show` and `against`.
    pub(in crate::web) fn read(fields: &Fields, study: &Study) -> TableOptions {
        let text = |name: &str| fields.get(name).unwrap_or_default().to_owned();
        let columns = fields.list("columns");
        // A form that has every box ticked asks for what no box at all does.
        let all = columns.iter().eq(study.columns.iter().map(|column| &column.id));
        TableOptions {
            columns: if all { Vec::new() } else { columns },
            rows: text("rows"),
            sort: text("sort"),
            descending: match fields.get("dir") {
                Some("desc") => Some(true),
                Some("asc") => Some(false),
                _ => None,
            },
            seeds: fields.list("show").iter().any(|part| part == "seeds"),
            against: text("against"),
        }
    }

    /// Names and values for links and hidden fields; what is as usual is empty.
    pub(in crate::web) fn pairs(&self) -> [(&'static str, String); 6] {
        let direction = |descending| if descending { "desc" } else { "asc" };
        [
            ("columns", self.columns.join(",")),
            ("rows", self.rows.clone()),
            ("sort", self.sort.clone()),
            ("dir", self.descending.map(direction).unwrap_or_default().to_owned()),
            ("show", if self.seeds { "seeds".to_owned() } else { String::new() }),
            ("against", self.against.clone()),
        ]
    }

    /// The address of a choice's table with these options, `path` being what stands before the query.
    pub(in crate::web) fn href(&self, path: &str, choice: &Choice) -> String {
        let query = query_of(choice.pairs().chain(self.pairs()));
        format!("{path}?{query}")
    }

    /// The same options sorted by `key`; the present order is turned round.
    pub(in crate::web) fn sorted_by(&self, key: &str, arrangement: &Arrangement) -> TableOptions {
        let present = arrangement.order.as_ref().filter(|_| self.sort == key);
        TableOptions {
            sort: key.to_owned(),
            descending: present.map(|order| !order.descending),
            ..self.clone()
        }
    }
}

/// How many runs the launch before this page queued, found there already and left out.
pub fn launched_in(query: &Fields) -> Result<Option<(u64, u64, u64)>> {
    let counts: Option<(u64, u64)> = query.parse("queued")?.zip(query.parse("shared")?);
    let left_out = query.parse("left_out")?.unwrap_or(0);
    Ok(counts.map(|(queued, shared)| (queued, shared, left_out)))
}

/// The address of a study's whole table.
pub fn table_href(study: &str, choice: &Choice) -> String {
    TableOptions::default().href(&format!("/studies/{study}"), choice)
}
