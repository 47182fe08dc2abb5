//! The methods as people see them: what each is called, where it comes from, which options it has.

use serde::{Serialize, Serializer};

use super::measure::Measure;
use super::run::Stage;
use super::schema::{Literal, Section, Setting};
use super::settings::{
    AugmentSettings, CachedSettings, CkaSettings, ClassifySettings, CompareSettings, DataSettings, KnnSettings, LabelsSettings,
    ModelSettings, ProbeSettings, PsnrSettings, RepeatSettings, SnapshotSettings, SubsetSettings, TokenizerSettings, TrainSettings,
};

/// A default that differs from the section's own: section, key, value.
pub type Recipe = &'static [(&'static str, &'static str, Literal)];

/// A value at which a curve shows that training went wrong. The first one that is met in a run becomes a warning.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Alarm {
    /// The term of the loss.
    #[serde(serialize_with = "short")]
    pub term: &'static Measure,
    /// On which side of the value things are wrong.
    pub side: Side,
    /// The value.
    pub value: f64,
    /// What it means and what helps.
    pub sentence: &'static str,
}

/// A side of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Side {
    /// Smaller.
    Below,
    /// Larger.
    Above,
}

fn short<S: Serializer>(term: &&Measure, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(term.short())
}

impl Alarm {
    /// Whether `value` is on the wrong side.
    pub fn rings(&self, value: f64) -> bool {
        match self.side {
            Side::Below => value < self.value,
            Side::Above => value > self.value,
        }
    }
}

/// One pretraining method.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct MethodInfo {
    /// The name in TOML and on the command line.
    pub name: &'static str,
    /// The name people use.
    pub title: &'static str,
    /// Where it was published.
    pub paper: &'static str,
    /// What it does, in one sentence.
    pub summary: &'static str,
    /// Its options: the section `method`.
    pub options: Section,
    /// Its published recipe, where that differs from the sections' defaults.
    pub recipe: Recipe,
    /// Where its curves show that training went wrong.
    pub alarms: &'static [Alarm],
    /// Whether its pretraining trains at all; `random_init` only makes an encoder.
    pub trains: bool,
    /// Whether it trains with labels, and so has the section `classify`.
    pub labels: bool,
    /// Whether it can fill in masked patches, and so has the stage `psnr`.
    pub reconstructs: bool,
    /// Whether it predicts the tokens of a tokenizer, and so has the section `tokenizer` and such a run as its parent.
    pub tokens: bool,
}

/// Every method this binary knows.
#[derive(Clone, Debug, Serialize)]
pub struct Catalog {
    /// The methods, in the order pages list them.
    pub methods: Vec<MethodInfo>,
}

impl Catalog {
    /// The method of that name.
    pub fn get(&self, name: &str) -> Option<&MethodInfo> {
        self.methods.iter().find(|method| method.name == name)
    }

    /// The setting of that section and key, of any method and stage.
    pub fn setting(&self, section: &str, key: &str) -> Option<&'static Setting> {
        let all = self
            .methods
            .iter()
            .flat_map(|method| Stage::ALL.into_iter().flat_map(move |stage| sections(stage, method)));
        all.filter(|known| known.name == section)
            .find_map(|known| known.settings.iter().find(|setting| setting.key == key))
    }

    /// The sections of a run, none if its method is not known.
    pub fn sections_of(&self, stage: Stage, method: &str) -> Vec<Section> {
        match stage {
            Stage::Tokenizer => tokenizer_sections(),
            _ => self.get(method).map(|method| sections(stage, method)).unwrap_or_default(),
        }
    }

    /// The names, for a sentence that says what is allowed.
    pub fn names(&self) -> String {
        self.methods.iter().map(|m| m.name).collect::<Vec<_>>().join(", ")
    }
}

/// The sections that a run of `stage` has, in the order forms show them.
pub fn sections(stage: Stage, method: &MethodInfo) -> Vec<Section> {
    let (data, model) = (DataSettings::SECTION, ModelSettings::SECTION);
    let (augment, train) = (AugmentSettings::SECTION, TrainSettings::SECTION);
    let (classify, knn) = (ClassifySettings::SECTION, KnnSettings::SECTION);
    match stage {
        Stage::Pretrain if !method.trains => vec![method.options, data, model, knn],
        Stage::Pretrain => {
            let mut all = vec![method.options];
            all.extend(method.tokens.then_some(TokenizerSettings::SECTION));
            all.extend([data, SubsetSettings::SECTION, model, augment, train, RepeatSettings::SECTION]);
            all.extend(method.labels.then_some(classify));
            all.extend([knn, SnapshotSettings::SECTION]);
            all
        }
        Stage::Finetune => vec![data, LabelsSettings::SECTION, model, augment, train, classify],
        Stage::Probe => vec![data, model, augment, train, ProbeSettings::SECTION],
        Stage::ProbeCached => vec![data, model, CachedSettings::SECTION],
        Stage::Psnr => vec![data, model, PsnrSettings::SECTION],
        Stage::Cka => vec![data, model, CkaSettings::SECTION],
        Stage::Compare => vec![data, model, CompareSettings::SECTION],
        Stage::Tokenizer => tokenizer_sections(),
    }
}

/// The sections of a tokenizer, of which there are several kinds and no methods. Of `model` it has the patch alone, and
/// it learns from the images that its pretraining sees.
pub(super) fn tokenizer_sections() -> Vec<Section> {
    vec![
        TokenizerSettings::SECTION,
        DataSettings::SECTION,
        SubsetSettings::SECTION,
        ModelSettings::SECTION,
    ]
}

/// What a stage's protocol and the method's recipe change in the sections' defaults, later ones last.
///
/// Sources: MAE repository, FINETUNE.md and LINPROBE.md; learning rates of fine-tuning are the paper's (section 5).
pub fn recipe(stage: Stage, method: &MethodInfo) -> impl DoubleEndedIterator<Item = &'static (&'static str, &'static str, Literal)> {
    let own = match stage {
        Stage::Pretrain => method.recipe,
        Stage::Finetune if !method.trains => FROM_SCRATCH,
        _ => &[],
    };
    protocol(stage).iter().chain(own)
}

/// Fine-tuning of an encoder that was never trained: its layers learn alike (ours; the paper's text would apply finetuning's
/// decay of layers to them too).
const FROM_SCRATCH: Recipe = &[("train", "layer_decay", Literal::Float(1.0))];

fn protocol(stage: Stage) -> Recipe {
    use Literal::{Float, Int};
    match stage {
        Stage::Tokenizer | Stage::Pretrain | Stage::ProbeCached | Stage::Psnr | Stage::Cka | Stage::Compare => &[],
        Stage::Finetune => &[
            ("train", "warmup_epochs", Float(5.0)),
            ("train", "base_lr", Float(1e-3)),
            ("train", "min_lr", Float(1e-6)),
            ("train", "beta2", Float(0.999)),
            ("train", "layer_decay", Float(0.75)),
            ("train", "drop_path", Float(0.1)),
            ("augment", "crop_scale_min", Float(0.08)),
            ("augment", "rand_augment", Float(9.0)),
            ("augment", "random_erasing", Float(0.25)),
        ],
        Stage::Probe => &[
            ("train", "epochs", Int(90)),
            ("train", "warmup_epochs", Float(10.0)),
            ("train", "batch_size", Int(16_384)),
            ("train", "base_lr", Float(0.1)),
            ("train", "weight_decay", Float(0.0)),
            ("augment", "crop_scale_min", Float(0.08)),
        ],
    }
}
