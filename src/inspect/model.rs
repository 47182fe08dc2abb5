//! A model read to be looked at.

use anyhow::{Context as _, Error, Result, bail};
use burn::tensor::{Device, Tensor};

use crate::data::augment::Augment;
use crate::experiment::Stage;
use crate::methods::{Masks, Method, MethodVisitor, with_method};
use crate::metrics::validation::plain_views;
use crate::run_dir::RunDir;
use crate::stages::model_file::ModelNotes;
use crate::stages::parent::Parent;
use crate::vit::Vit;
use crate::weights;

/// Predicts the patches of `[batch, 3, side, side]`, as [`Method::reconstruct`].
type Predict = Box<dyn Fn(Tensor<4>, &Masks) -> Tensor<3>>;

/// An encoder, what it was trained on, and what predicts pixels behind it.
pub(super) struct Model {
    pub(super) encoder: Vit,
    pub(super) notes: ModelNotes,
    /// Makes the view that evaluation sees.
    pub(super) augment: Augment,
    pub(super) predict: Option<Predict>,
    pub(super) normalizes_targets: bool,
    pub(super) device: Device,
    /// Size of its weights in memory.
    pub(super) bytes: usize,
}

impl Model {
    /// Reads the model of a finished run: with its decoder if its method reconstructs, else the encoder alone.
    ///
    /// # Errors
    /// A run without a model, one of a stage that makes no encoder, a file that does not fit.
    pub(super) fn read(dir: &RunDir, device: &Device) -> Result<Model> {
        let parent = Parent::read(dir)?;
        if !matches!(parent.run.stage, Stage::Pretrain | Stage::Finetune) {
            bail!(
                "run {} is a {}: only pretraining and fine-tuning make an encoder to look at",
                parent.run.id,
                parent.run.stage
            );
        }
        let method = parent.run.method.clone();
        with_method(&method, Read { parent, device }).map_err(Error::msg)?
    }
}

struct Read<'a> {
    parent: Parent,
    device: &'a Device,
}

impl MethodVisitor for Read<'_> {
    type Out = Result<Model>;

    fn visit<M: Method>(self) -> Result<Model> {
        let Read { parent, device } = self;
        let notes = ModelNotes::read(&parent.notes).with_context(|| parent.file.clone())?;
        let (encoder, predict, normalizes_targets): (Vit, Option<Predict>, bool) =
            if M::INFO.reconstructs && parent.run.stage == Stage::Pretrain {
                let model = M::new(&parent.run, notes.classes.len(), device).map_err(Error::msg)?;
                let model = weights::from_timm(model, &parent.weights).map_err(|e| Error::msg(format!("{}: {e}", parent.file)))?;
                let (encoder, normalizes) = (model.encoder().clone(), model.normalizes_targets());
                let predict = move |images, masks: &Masks| model.reconstruct(images, masks).expect("its method says that it reconstructs");
                (encoder, Some(Box::new(predict)), normalizes)
            } else {
                (parent.encoder(&parent.run, device)?, None, false)
            };
        let augment = Augment::new(&plain_views(), encoder.config().image_size, notes.mean, notes.std);
        Ok(Model {
            encoder,
            notes,
            augment,
            predict,
            normalizes_targets,
            device: device.clone(),
            bytes: parent.weights.values().map(|tensor| 4 * tensor.data.len()).sum(),
        })
    }
}
