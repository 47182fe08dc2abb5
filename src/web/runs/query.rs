//! Reading what the list of runs is asked for from the address, and writing it into links.

use crate::app::runs::{Group, RunsQuery};
use crate::experiment::Stage;
use crate::run_dir::State;
use crate::web::error::Result;
use crate::web::fields::{Fields, query_of};

impl RunsQuery {
    /// Reads the query of a request.
    ///
    /// # Errors
    /// A state or stage that is not known, or a page that is no number.
    pub(in crate::web) fn read(fields: &Fields) -> Result<RunsQuery> {
        let text = |name: &str| fields.get(name).unwrap_or_default().to_owned();
        let descending = match fields.get("dir") {
            Some("desc") => Some(true),
            Some("asc") => Some(false),
            _ => None,
        };
        let (state, stage) = (fields.parse("state")?, fields.parse("stage")?);
        let page = fields.parse::<u64>("page")?.unwrap_or(1).clamp(1, 1_000_000);
        Ok(RunsQuery {
            state,
            stage,
            method: text("method"),
            study: text("study"),
            scale: text("scale"),
            data: text("data"),
            images: text("images"),
            set: text("set"),
            seeds: fields.parse("seeds")?,
            group: text("group"),
            measure: text("measure"),
            q: text("q"),
            sort: text("sort"),
            descending,
            page,
        })
    }

    /// The address that sorts by that column, turning the order round if it is the present one.
    pub(in crate::web) fn sorted_by(&self, column: &str) -> String {
        let (name, descending) = self.present_order();
        let turned = (name == column).then_some(!descending);
        RunsQuery {
            sort: column.to_owned(),
            descending: turned,
            page: 1,
            ..self.clone()
        }
        .href()
    }

    /// The order of what is listed, runs or groups: name, whether the largest come first.
    pub(in crate::web) fn present_order(&self) -> (&'static str, bool) {
        if self.group.is_empty() {
            let (name, _, descending) = self.order();
            (name, descending)
        } else {
            self.group_order()
        }
    }

    /// The address of another page of the same list.
    pub(in crate::web) fn at_page(&self, page: u64) -> String {
        RunsQuery { page, ..self.clone() }.href()
    }

    /// The address of the list.
    pub(in crate::web) fn href(&self) -> String {
        let pairs = [
            ("state", self.state.map(State::name).unwrap_or_default().to_owned()),
            ("method", self.method.clone()),
            ("stage", self.stage.map(Stage::name).unwrap_or_default().to_owned()),
            ("study", self.study.clone()),
            ("scale", self.scale.clone()),
            ("data", self.data.clone()),
            ("images", self.images.clone()),
            ("set", self.set.clone()),
            ("seeds", self.seeds.map(|seeds| seeds.to_string()).unwrap_or_default()),
            ("group", self.group.clone()),
            ("measure", self.measure.clone()),
            ("q", self.q.clone()),
            ("sort", self.sort.clone()),
            (
                "dir",
                self.descending
                    .map_or("", |descending| if descending { "desc" } else { "asc" })
                    .to_owned(),
            ),
            ("page", if self.page > 1 { self.page.to_string() } else { String::new() }),
        ];
        let query = query_of(pairs);
        if query.is_empty() {
            "/runs".to_owned()
        } else {
            format!("/runs?{query}")
        }
    }

    /// The address of a group's runs; empty where there is none, as runs without a study, or of one seed, cannot be asked for.
    pub(in crate::web) fn group_href(&self, group: &Group) -> String {
        let mut list = RunsQuery {
            group: String::new(),
            measure: String::new(),
            sort: String::new(),
            descending: None,
            page: 1,
            ..self.clone()
        };
        let text = group.key.clone().unwrap_or_default();
        match (self.group.as_str(), &group.key) {
            ("method", Some(_)) => list.method = text,
            ("scale", Some(_)) if !text.is_empty() => list.scale = text,
            ("data", Some(_)) if !text.is_empty() => list.data = text,
            ("study", Some(_)) => list.study = text,
            ("state", Some(_)) => list.state = text.parse().ok(),
            ("stage", Some(_)) => list.stage = text.parse().ok(),
            (setting, _) if setting.contains('.') => list.set = format!("{setting}={text}"),
            _ => return String::new(),
        }
        list.href()
    }
}
