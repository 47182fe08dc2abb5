//! VQ-VAE: neural discrete representation learning. arXiv 1711.00937.
//!
//! A reader turns a patch into a vector, the nearest code of a codebook stands for it, and a writer makes the patch of
//! that. Codes follow the mean of the vectors they stand for (appendix A.1); those that hardly stand for any begin anew
//! at a vector of the batch, as in Jukebox (arXiv 2005.00341).

use burn::module::{Module, Param};
use burn::tensor::{Device, Int, Tensor, TensorData};
use rand::RngExt;

use super::super::{Inputs, Losses, StepInfo, Trainable};
use super::nearest;
use super::patch_mlp::PatchMlp;
use crate::experiment::measure;
use crate::experiment::settings::TokenizerSettings;
use crate::rng::{Purpose, place, stream};
use crate::vit::{initialize, patchify, truncated_normal};

/// Reader, codebook and writer.
#[derive(Module, Debug)]
pub struct Vq {
    reader: PatchMlp,
    writer: PatchMlp,
    /// `[vocabulary, code_dim]`
    codebook: Param<Tensor<2>>,
    /// Vectors that a code stands for in a batch, a moving mean, `[vocabulary]`.
    sizes: Param<Tensor<1>>,
    /// Their sum, `[vocabulary, code_dim]`.
    sums: Param<Tensor<2>>,
    #[module(skip)]
    settings: TokenizerSettings,
    patch_size: usize,
}

/// The vectors of a batch and the codes that stand for them.
#[derive(Debug)]
struct Seen {
    /// `[count, code_dim]`
    rows: Vec<f32>,
    codes: Vec<usize>,
}

impl Seen {
    /// Of passes whose rows are a vector each, and behind it the number of its code.
    fn of(passes: Vec<Tensor<2>>) -> Seen {
        let (mut rows, mut codes) = (Vec::new(), Vec::new());
        for pass in passes {
            let [_, width] = pass.dims();
            for row in pass.into_data().iter::<f32>().collect::<Vec<f32>>().chunks_exact(width) {
                rows.extend_from_slice(&row[..width - 1]);
                codes.push(row[width - 1] as usize);
            }
        }
        Seen { rows, codes }
    }
}

impl Vq {
    /// Makes it with random codes, which all begin anew at the first batch.
    pub fn new(settings: &TokenizerSettings, patch_size: usize, seed: u64, device: &Device) -> Vq {
        let values = patch_size * patch_size * 3;
        let (vocabulary, width, dim) = (settings.vocabulary, settings.width, settings.code_dim);
        let mut rng = stream(seed, Purpose::Tokenizer, place("codebook"), 0);
        let vq = Vq {
            reader: PatchMlp::new(values, width, dim, device),
            writer: PatchMlp::new(dim, width, values, device),
            codebook: held(truncated_normal([vocabulary, dim], 1.0, &mut rng, device)),
            sizes: held(Tensor::zeros([vocabulary], device)),
            sums: held(Tensor::zeros([vocabulary, dim], device)),
            settings: settings.clone(),
            patch_size,
        };
        initialize(vq, seed)
    }

    /// Codes.
    pub fn vocabulary(&self) -> usize {
        self.settings.vocabulary
    }

    /// # Shapes
    /// patches: `[rows, values]`; output: `[rows]`
    pub fn tokens(&self, patches: Tensor<2>) -> Tensor<1, Int> {
        nearest(self.reader.forward(patches), self.codebook.val()).0
    }

    /// # Shapes
    /// patches and output: `[rows, values]`
    pub fn reconstruct(&self, patches: Tensor<2>) -> Tensor<2> {
        let tokens = self.tokens(patches);
        self.writer.forward(self.codebook.val().select(0, tokens))
    }
}

impl Trainable for Vq {
    fn loss(&self, inputs: &Inputs, _step: &StepInfo) -> Losses {
        let patches = rows_of(inputs.views[0].clone(), self.patch_size);
        let vectors = self.reader.forward(patches.clone()); // [M, C]
        let (held, codebook) = (vectors.clone().without_autodiff(), self.codebook.val().without_autodiff());
        let (codes, _) = nearest(held.clone(), codebook.clone());
        let nearest = codebook.select(0, codes.clone());
        let seen = Tensor::cat(vec![held.clone(), codes.float().unsqueeze_dim(1)], 1); // [M, C + 1]
        // The writer reads the codes, and its gradient goes to the vectors as if they were those.
        let restored = self.writer.forward(vectors.clone() + (nearest.clone() - held));
        let (error, commitment) = (mean_square(restored - patches), mean_square(vectors - nearest));
        Losses {
            total: error.clone() + commitment.clone() * self.settings.commitment,
            terms: vec![(&measure::MSE, error), (&measure::COMMITMENT, commitment)],
            seen: Some(seen),
        }
    }

    fn after_step(mut self, step: &StepInfo, seen: Vec<Tensor<2>>) -> Self {
        let seen = Seen::of(seen);
        let device = self.codebook.device();
        let mut codes = Codes {
            sizes: self.sizes.val().without_autodiff().into_data().iter::<f32>().collect(),
            sums: self.sums.val().without_autodiff().into_data().iter::<f32>().collect(),
        };
        codes.follow(&seen, &self.settings, step);
        let before: Vec<f32> = self.codebook.val().without_autodiff().into_data().iter::<f32>().collect();
        let shape = self.codebook.dims();
        let table = |values| held(Tensor::from_data(TensorData::new(values, shape), &device));
        self.codebook = table(codes.means(&before));
        self.sizes = held(Tensor::from_data(TensorData::new(codes.sizes, [shape[0]]), &device));
        self.sums = table(codes.sums);
        self
    }

    fn depth(&self) -> usize {
        0
    }
}

/// Vectors, on a moving mean, below which a code stands for nothing (ours).
const LEAST_SIZE: f32 = 1e-5;

/// Moving means of how many vectors each code stands for, and of their sum.
struct Codes {
    sizes: Vec<f32>,
    sums: Vec<f32>,
}

impl Codes {
    fn follow(&mut self, seen: &Seen, settings: &TokenizerSettings, step: &StepInfo) {
        let (decay, dim) = (settings.decay as f32, settings.code_dim);
        let share = 1.0 - decay;
        self.sizes.iter_mut().chain(&mut self.sums).for_each(|v| *v *= decay);
        for (row, &code) in seen.rows.chunks_exact(dim).zip(&seen.codes) {
            self.sizes[code] += share;
            let sum = &mut self.sums[code * dim..][..dim];
            sum.iter_mut().zip(row).for_each(|(sum, v)| *sum += share * v);
        }
        let even = seen.codes.len() as f32 / settings.vocabulary as f32;
        let mut rng = stream(step.seed, Purpose::Tokenizer, place("restart"), step.step);
        for (size, sum) in self.sizes.iter_mut().zip(self.sums.chunks_exact_mut(dim)) {
            if *size < settings.restart as f32 * even {
                let count = seen.codes.len();
                let row = ((rng.random::<f64>() * count as f64) as usize).min(count - 1);
                *size = even;
                sum.iter_mut().zip(&seen.rows[row * dim..]).for_each(|(sum, v)| *sum = even * v);
            }
        }
    }

    /// The codes: the mean of what each stands for. Where codes never begin anew, one may stand for nothing at all: it stays.
    fn means(&self, before: &[f32]) -> Vec<f32> {
        let dim = self.sums.len() / self.sizes.len();
        let codes = self.sums.chunks_exact(dim).zip(before.chunks_exact(dim)).zip(&self.sizes);
        let mean = |((sum, before), size): ((&[f32], &[f32]), &f32)| match *size {
            size if size < LEAST_SIZE => before.to_vec(),
            size => sum.iter().map(|v| v / size).collect(),
        };
        codes.flat_map(mean).collect()
    }
}

/// Patches of images as rows, `[batch * patches, p*p*3]`.
pub fn rows_of(images: Tensor<4>, patch_size: usize) -> Tensor<2> {
    let patches = patchify(images, patch_size);
    let [batch, count, values] = patches.dims();
    patches.reshape([batch * count, values])
}

/// The mean of the squares, `[1]`.
pub fn mean_square(x: Tensor<2>) -> Tensor<1> {
    (x.clone() * x).mean()
}

/// A tensor that belongs to the weights and has no gradient.
fn held<const D: usize>(tensor: Tensor<D>) -> Param<Tensor<D>> {
    Param::from_tensor(tensor).set_require_grad(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(restart: f64) -> TokenizerSettings {
        TokenizerSettings {
            decay: 0.5,
            restart,
            vocabulary: 2,
            code_dim: 2,
            ..super::super::tests::settings(crate::experiment::choices::TokenizerKind::Vq)
        }
    }

    fn step() -> StepInfo {
        StepInfo {
            seed: 1,
            step: 0,
            steps: 1,
            indices: vec![],
        }
    }

    #[test]
    fn a_code_moves_half_the_way_to_the_mean_of_what_it_stands_for() {
        let mut codes = Codes {
            sizes: vec![2.0, 4.0],
            sums: vec![2.0, 0.0, 8.0, 4.0],
        };
        let seen = Seen {
            rows: vec![3.0, 1.0, 5.0, 1.0],
            codes: vec![0, 0],
        };
        codes.follow(&seen, &settings(0.0), &step());
        // Sizes 0.5 * 2 + 0.5 * 2 and 0.5 * 4; sums 0.5 * (2, 0) + 0.5 * (8, 2) and 0.5 * (8, 4).
        assert_eq!(codes.sizes, [2.0, 2.0]);
        assert_eq!(codes.means(&[0.0; 4]), [2.5, 0.5, 2.0, 1.0]);
    }

    #[test]
    fn a_code_that_never_stood_for_anything_stays_where_it_was_drawn() {
        let mut codes = Codes {
            sizes: vec![0.0; 2],
            sums: vec![0.0; 4],
        };
        let seen = Seen {
            rows: vec![3.0, 1.0],
            codes: vec![0],
        };
        codes.follow(&seen, &settings(0.0), &step());
        assert_eq!(codes.means(&[7.0, 7.0, -0.3, 0.4]), [3.0, 1.0, -0.3, 0.4]);
    }

    #[test]
    fn a_code_that_stands_for_nothing_begins_anew_at_a_vector_of_the_batch() {
        let mut codes = Codes {
            sizes: vec![2.0, 0.1],
            sums: vec![2.0, 0.0, 8.0, 4.0],
        };
        let seen = Seen {
            rows: vec![3.0, 1.0, 5.0, 1.5],
            codes: vec![0, 0],
        };
        codes.follow(&seen, &settings(0.1), &step());
        let fresh = codes.means(&[0.0; 4])[2..].to_vec();
        assert!(fresh == [3.0, 1.0] || fresh == [5.0, 1.5], "{fresh:?}");
        assert_eq!(codes.sizes, [2.0, 1.0]);
    }

    #[test]
    fn the_readers_gradient_is_the_one_at_the_code() {
        let device = Device::flex().autodiff();
        let settings = TokenizerSettings {
            commitment: 0.0,
            ..settings(0.0)
        };
        let vq = Vq::new(&settings, 1, 3, &device);
        let images = Tensor::<4>::from_floats([[[[0.3]], [[-0.8]], [[0.5]]]], &device);
        let inputs = Inputs {
            views: vec![images.clone()],
            labels: Tensor::from_data([0], &device),
            targets: None,
        };
        let gradients = super::super::super::golden::gradients(&vq, &vq.loss(&inputs, &step()).total.backward());
        // The gradient of the vector, worked out at the code, arrives at the bias of the reader's last layer.
        let rows = rows_of(images, 1);
        let code = vq.codebook.val().select(0, vq.tokens(rows.clone())).detach().require_grad();
        let loss = mean_square(vq.writer.forward(code.clone()) - rows);
        let expected: Vec<f32> = code.grad(&loss.backward()).unwrap().into_data().iter::<f32>().collect();
        let found = &gradients["reader.fc2.bias"].data;
        assert!(
            found.iter().zip(&expected).all(|(f, e)| (f - e).abs() < 1e-6),
            "{found:?} {expected:?}"
        );
        assert!(!gradients.contains_key("codebook"));
    }
}
