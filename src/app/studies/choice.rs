//! What a person chooses of a study: scale, dataset and seeds, and how its table is looked at.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::app::datasets::Datasets;
use crate::app::fit::check_source;
use crate::app::launch::{LaunchError, LaunchRequest, LaunchTarget, Launched, Launcher};
use crate::app::{Error, Result, Workspace};
use crate::experiment::settings::{DataSettings, TrainSettings};
use crate::experiment::{Arrangement, Invalid, Plan, Request, Scale, Study, Values, plan};

/// Characters of a dataset's name.
const SHORT: usize = 24;

/// The settings of images that a study's form has beside the dataset: place, label, what an empty field means.
pub const OF_IMAGES: [(&str, &str, &str); 4] = [
    ("data.train_images", "Training images", "the scale's number; 0 is all"),
    ("data.val_images", "Validation images", "the scale's number; 0 is all"),
    ("train.batch_size", "Batch size", "the scale's, stage by stage"),
    (
        "data.label_column",
        "Label column",
        "of a table or Parquet file, where several could be meant",
    ),
];

/// The choice as it was typed, so that a form can show it again.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Choice {
    /// What is wrong with it.
    pub fault: Option<Invalid>,
    /// Name of a scale.
    pub scale: String,
    /// The dataset; empty is the scale's own.
    pub data: String,
    /// Number of seeds; empty is the scale's own.
    pub seeds: String,
    /// Settings for every run that has them.
    pub set: Values,
    /// What was typed of [`OF_IMAGES`], by place; empty fields are left out.
    pub of_images: BTreeMap<String, String>,
}

impl Choice {
    /// What is wrong with that field.
    pub fn fault_at(&self, place: &str) -> Option<&str> {
        let fault = self.fault.as_ref().filter(|fault| fault.place == place);
        fault.map(|fault| fault.message.as_str())
    }

    /// What is wrong, if it is with none of the three fields.
    pub fn other_fault(&self) -> Option<&Invalid> {
        let fault = self.fault.as_ref();
        let fields = ["scale", "data.source", "seeds"]
            .into_iter()
            .chain(OF_IMAGES.map(|(place, ..)| place));
        fault.filter(|fault| !fields.into_iter().any(|field| field == fault.place))
    }

    /// What was typed into the field of that place.
    pub fn typed(&self, place: &str) -> &str {
        self.of_images.get(place).map(String::as_str).unwrap_or_default()
    }

    /// Whether it asks for more images than there are.
    pub fn does_not_fit(&self) -> bool {
        let sizes = ["data.train_images", "data.val_images", "train.batch_size"];
        sizes.into_iter().any(|place| self.fault_at(place).is_some())
    }

    /// Whether the fields of images are of interest: something is typed there, or wrong.
    pub fn opens_images(&self) -> bool {
        !self.of_images.is_empty() || OF_IMAGES.iter().any(|(place, ..)| self.fault_at(place).is_some())
    }

    /// The same with what its images allow where it asks for more of them than there are.
    ///
    /// # Errors
    /// As [`Launcher::launch`].
    pub async fn fitted(mut self, launcher: &Launcher<'_>, names: Vec<String>) -> Result<Choice, LaunchError> {
        for (place, value) in launcher.remedy(&self.launch_request(launcher, names, 0)?).await? {
            self.of_images.insert(place, value.to_string());
        }
        Ok(self)
    }

    /// Scale and dataset in a word or two.
    pub fn title(&self) -> String {
        match self.data.as_str() {
            "" | "builtin" => self.scale.clone(),
            data => format!("{}, {}", self.scale, short_name(data)),
        }
    }

    /// The dataset asked for, unless it is the scale's own.
    pub fn source(&self) -> Option<&str> {
        Some(self.data.as_str()).filter(|data| !data.is_empty())
    }

    /// What it asks of a study.
    ///
    /// # Errors
    /// A number of seeds that is none.
    pub fn request(&self, datasets: &Datasets) -> Result<Request, Invalid> {
        let fault = |text: &str| Invalid::new("seeds", format!("`{text}` is not a whole number from 1 to 1000"));
        let seeds = match self.seeds.as_str() {
            "" => None,
            text => Some(text.parse().map_err(|_| fault(text))?),
        };
        let mut set = self.set.clone();
        for (place, text) in &self.of_images {
            let (section, key) = place.split_once('.').unwrap_or_default();
            let known = [DataSettings::SECTION, TrainSettings::SECTION]
                .into_iter()
                .find(|known| known.name == section);
            let setting = known.and_then(|known| known.settings.iter().find(|setting| setting.key == key));
            let setting = setting.ok_or_else(|| Invalid::new(place, "there is no such setting"))?;
            let value = setting.kind.parse(text).map_err(|message| Invalid::new(place, message))?;
            set.entry(section.to_owned()).or_default().insert(key.to_owned(), value);
        }
        Ok(Request {
            data: self.source().map(str::to_owned),
            seeds,
            set,
            fingerprints: datasets.fingerprints(),
        })
    }

    /// Launches these studies.
    ///
    /// # Errors
    /// The first field or setting that is not allowed, or a queue that does not take the runs.
    pub async fn launch(&self, launcher: &Launcher<'_>, names: Vec<String>, priority: i64) -> Result<Launched, LaunchError> {
        let launched = launcher.launch(&self.launch_request(launcher, names, priority)?).await?;
        if let Some(source) = self.source() {
            launcher.datasets.remember_typed(&self.scale, source, &self.of_images)?;
        }
        Ok(launched)
    }

    fn launch_request(&self, launcher: &Launcher<'_>, names: Vec<String>, priority: i64) -> Result<LaunchRequest, Invalid> {
        let Request { data, seeds, set, .. } = self.request(launcher.datasets)?;
        Ok(LaunchRequest {
            target: LaunchTarget::Studies { names, seeds },
            scale: self.scale.clone(),
            data,
            set,
            priority,
        })
    }

    /// Refuses a dataset that is not there.
    ///
    /// # Errors
    /// A path at which nothing is.
    pub fn check_source(&self) -> Result<(), Invalid> {
        self.source().map_or(Ok(()), check_source)
    }

    /// The runs it stands for, with their settings.
    ///
    /// # Errors
    /// The first field or setting that is not allowed.
    pub fn plan(&self, workspace: &Workspace, study: &Study) -> Result<Plan, Invalid> {
        plan(
            study,
            self.scale_in(workspace)?,
            &workspace.catalog,
            &self.request(&workspace.datasets)?,
        )
    }

    /// The same runs without their settings, which are at hand if they were asked for before.
    ///
    /// # Errors
    /// As [`Choice::plan`].
    pub fn indexed(&self, workspace: &Workspace, study: &Study) -> Result<Arc<Plan>, Invalid> {
        let scale = self.scale_in(workspace)?;
        let request = self.request(&workspace.datasets)?;
        workspace.index.plan(&workspace.catalog, study, scale, &request)
    }

    /// The scale it names.
    ///
    /// # Errors
    /// A name that no scale has.
    pub fn scale_in<'a>(&self, workspace: &'a Workspace) -> Result<&'a Scale, Invalid> {
        Scale::find(&workspace.scales, &self.scale)
    }
}

/// How a study's table is looked at, as it was asked for: columns, rows, order, seeds, another table beside it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TableOptions {
    /// Ids of the columns; empty is all.
    pub columns: Vec<String>,
    /// Text that rows must have.
    pub rows: String,
    /// What rows are sorted by, as [`Arrangement::read`] has it.
    pub sort: String,
    /// The direction; `None` is the order's own habit.
    pub descending: Option<bool>,
    /// Whether the number of every seed is shown.
    pub seeds: bool,
    /// The scale whose numbers stand beside, with a colon and the dataset unless it is the scale's own.
    pub against: String,
}

impl TableOptions {
    /// The part of the table it stands for.
    ///
    /// # Errors
    /// A column or an order that the study does not have.
    pub fn arrangement(&self, study: &Study) -> Result<Arrangement> {
        Arrangement::read(&self.columns, &self.rows, &self.sort, self.descending, &study.columns).map_err(Error::Unreadable)
    }

    /// Whether the column is shown.
    pub fn shows(&self, column: &str) -> bool {
        self.columns.is_empty() || self.columns.iter().any(|id| id == column)
    }

    /// Whether it is the whole table as its study has it.
    pub fn is_usual(&self) -> bool {
        *self == TableOptions::default()
    }

    /// The same with no table beside.
    pub fn alone(&self) -> TableOptions {
        let of_two = [".against", ".difference"].iter().any(|suffix| self.sort.ends_with(suffix));
        let mut alone = TableOptions {
            against: String::new(),
            ..self.clone()
        };
        if of_two {
            alone.sort = String::new();
            alone.descending = None;
        }
        alone
    }

    /// The choice whose numbers stand beside those of `choice`, if any.
    pub fn other(&self, choice: &Choice) -> Option<Choice> {
        let (scale, data) = self.against.split_once(':').unwrap_or((&self.against, ""));
        (!scale.is_empty()).then(|| Choice {
            fault: None,
            scale: scale.to_owned(),
            data: data.to_owned(),
            ..choice.clone()
        })
    }
}

/// The end of a dataset's path, which is what tells paths apart.
fn short_name(data: &str) -> String {
    let name = data.trim_end_matches('/').rsplit('/').next().unwrap_or_default();
    name.chars().take(SHORT).collect()
}
