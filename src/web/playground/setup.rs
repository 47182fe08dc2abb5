//! What the playground is asked for: read from the address, written into its links, turned into questions.

use crate::experiment::RunId;
use crate::experiment::choices::PatchStatistics;
use crate::playground::{Chosen, Hidden, Mask, Patches, Question};
use crate::store::Run;
use crate::web::error::{Error, Result};
use crate::web::fields::{Fields, query_of};

/// The query, as a form shows it again.
#[derive(Clone, Debug, PartialEq)]
pub struct Setup {
    /// The run that looks, if one is named.
    pub a: Option<RunId>,
    /// The run beside it.
    pub b: Option<RunId>,
    /// Place of the image in the validation split of `a`.
    pub image: usize,
    /// The name of an image that was handed in; it goes before the other.
    pub upload: Option<String>,
    /// Masked patches as digits, if a person selected them.
    pub hide: Option<String>,
    /// The mask ratio, if none were selected.
    pub ratio: f64,
    /// Seed of that draw.
    pub seed: u64,
    /// As `psnr.denorm`.
    pub denorm: PatchStatistics,
    /// Whether the page is to wait for the answers, as browsers without script need it.
    pub show: bool,
    /// Patches ticked one by one, as browsers without script send them.
    ticked: Vec<usize>,
}

/// Where mean and standard deviation of normalized predictions may come from, and its meaning.
pub const DENORMS: [(PatchStatistics, &str); 2] = [
    (PatchStatistics::Oracle, "of the true patch, as in the MAE demo"),
    (PatchStatistics::VisibleStats, "of the visible patches: nothing leaks"),
];

impl Setup {
    /// Reads the query of a request.
    ///
    /// # Errors
    /// A value that is not allowed, with what is.
    pub fn read(fields: &Fields) -> Result<Setup> {
        let ratio = fields.parse::<f64>("ratio")?.unwrap_or(0.75);
        if !(0.0..=0.99).contains(&ratio) {
            return Err(Error::BadRequest(format!(
                "ratio: {ratio} is not allowed: it must be a number from 0 to 0.99"
            )));
        }
        let image = fields.parse::<usize>("image")?.unwrap_or(0).min(u32::MAX as usize - 1);
        let ticks = fields.0.iter().filter(|(name, _)| name == "p");
        let ticked: Vec<usize> = ticks.filter_map(|(_, value)| value.parse().ok()).collect();
        let own = fields.get("mask") == Some("own") || fields.get("hide").is_some();
        Ok(Setup {
            a: fields.parse("a")?,
            b: fields.parse("b")?,
            image: match fields.get("go") {
                Some("previous") => image.saturating_sub(1),
                Some("next") => image + 1,
                _ => image,
            },
            // The images beside are of the validation split.
            upload: fields.get("upload").filter(|_| fields.get("go").is_none()).map(str::to_owned),
            hide: own.then(|| fields.get("hide").unwrap_or_default().to_owned()),
            ratio,
            seed: fields.parse("seed")?.unwrap_or(0),
            denorm: fields.parse("denorm")?.unwrap_or(DENORMS[0].0),
            show: fields.get("show").is_some() || fields.get("go").is_some(),
            ticked,
        })
    }

    /// Brings a mask that was ticked into the form that addresses have.
    ///
    /// # Errors
    /// Digits that do not fit the model's patches.
    pub fn fit(mut self, grid: usize) -> Result<Setup> {
        let patches = grid * grid;
        if let Some(digits) = &self.hide {
            let chosen = if digits.is_empty() {
                Patches((0..patches).map(|patch| self.ticked.contains(&patch)).collect())
            } else {
                Patches::parse(digits, patches).map_err(|fault| Error::BadRequest(format!("hide: {fault}")))?
            };
            self.hide = Some(chosen.digits());
        }
        Ok(self)
    }

    /// The mask, on the grid of run `a`.
    pub fn mask(&self, grid: usize) -> Mask {
        let chosen = self.hide.as_ref().and_then(|digits| Patches::parse(digits, grid * grid).ok());
        let hidden = chosen.map_or(
            Hidden::Drawn {
                ratio: self.ratio,
                seed: self.seed,
            },
            Hidden::Given,
        );
        Mask { grid, hidden }
    }

    /// The question to the model of `run`, where images are those of `a`. `written` is when the model was.
    pub fn question(&self, run: &Run, written: u64, a: &Run, grid: usize) -> Question {
        let image = match &self.upload {
            Some(hash) => Chosen::Given { hash: hash.clone() },
            None => Chosen::Validation {
                of: a.id.clone(),
                index: self.image,
            },
        };
        Question {
            run: run.id.clone(),
            written,
            image,
            mask: self.mask(grid),
            denorm: self.denorm,
        }
    }

    /// The address of the page as it stands.
    pub fn href(&self) -> String {
        let id = |run: &Option<RunId>| run.as_ref().map(RunId::to_string).unwrap_or_default();
        let drawn = |value: String| if self.hide.is_some() { String::new() } else { value };
        let denorm = Some(self.denorm).filter(|denorm| *denorm != DENORMS[0].0);
        let image = if self.upload.is_some() {
            String::new()
        } else {
            self.image.to_string()
        };
        let query = query_of([
            ("a", id(&self.a)),
            ("b", id(&self.b)),
            ("image", image),
            ("upload", self.upload.clone().unwrap_or_default()),
            ("hide", self.hide.clone().unwrap_or_default()),
            ("ratio", drawn(self.ratio.to_string())),
            ("seed", drawn(self.seed.to_string())),
            ("denorm", denorm.map(|denorm| denorm.to_string()).unwrap_or_default()),
        ]);
        format!("/playground?{query}")
    }
}

/// Patches along one side of the images that a run's model sees.
pub fn grid_of(run: &Run) -> Option<usize> {
    let number = |section: &str, key: &str| run.spec.value(section, key)?.to_string().parse::<usize>().ok();
    let (side, patch) = (number("data", "image_size")?, number("model", "patch_size")?);
    (patch > 0 && side >= patch).then(|| side / patch)
}

#[cfg(test)]
mod tests {
    use crate::web::playground::setup::*;

    fn setup(pairs: &[(&str, &str)]) -> Result<Setup> {
        Setup::read(&Fields(
            pairs
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect(),
        ))
    }

    fn back(setup: &Setup) -> Setup {
        let href = setup.href();
        let pairs = href.split_once('?').unwrap().1.split('&').map(|pair| pair.split_once('=').unwrap());
        crate::web::playground::setup::tests::setup(&pairs.collect::<Vec<_>>()).unwrap()
    }

    #[test]
    fn the_address_says_everything() {
        let drawn = setup(&[("a", "0123456789abcdef"), ("image", "7"), ("ratio", "0.5"), ("seed", "3")]).unwrap();
        assert_eq!(back(&drawn), drawn);
        let own = setup(&[
            ("b", "0123456789abcdef"),
            ("hide", "f0f0"),
            ("upload", "ab"),
            ("denorm", "visible_stats"),
        ])
        .unwrap();
        assert_eq!(back(&own.clone().fit(4).unwrap()), own);
        assert!(matches!(own.mask(4).hidden, Hidden::Given(patches) if patches.hidden() == 8));
    }

    #[test]
    fn ticked_patches_become_digits_only_when_asked_for() {
        let ticks = [("p", "0"), ("p", "5"), ("p", "99"), ("p", "x")];
        let own = setup(&[&[("mask", "own")][..], &ticks].concat()).unwrap().fit(4).unwrap();
        assert_eq!(own.hide.as_deref(), Some("8400"));
        assert_eq!(setup(&ticks).unwrap().fit(4).unwrap().hide, None);
        // Nothing ticked is nothing hidden.
        assert_eq!(setup(&[("mask", "own")]).unwrap().fit(4).unwrap().hide.as_deref(), Some("0000"));
    }

    #[test]
    fn what_is_not_allowed_is_refused_by_name() {
        for (name, value) in [
            ("ratio", "1"),
            ("ratio", "-0.1"),
            ("ratio", "NaN"),
            ("seed", "x"),
            ("image", "-1"),
            ("a", "../x"),
            ("denorm", "no"),
        ] {
            let error = setup(&[(name, value)]).unwrap_err().to_string();
            assert!(error.starts_with(&format!("{name}: ")), "{error}");
        }
        let error = setup(&[("hide", "ff")]).unwrap().fit(4).unwrap_err().to_string();
        assert_eq!(error, "hide: 16 patches are 4 hexadecimal digits, not 2");
    }

    #[test]
    fn buttons_go_to_the_images_beside() {
        let image = |go: &str, at: &str| setup(&[("image", at), ("go", go)]).unwrap().image;
        assert_eq!((image("next", "3"), image("previous", "3"), image("previous", "0")), (4, 2, 0));
    }
}
