//! Matrix products of the composed operations, which a GPU may carry out with operands rounded to half precision.
//!
//! Rounding is by burn's `flex32`: stored as float32, multiplied as float16 where the device can, summed in float32.
//! Weights, norms, softmax, losses and the optimizer stay in float32. The gradient of a mean over a batch is often
//! smaller than the smallest float16, so gradients are divided by their largest magnitude before they are rounded and
//! multiplied by it afterwards. That takes the place of a loss scale, and no number is read from the GPU for it.

use std::sync::atomic::{AtomicBool, Ordering};

use burn::backend::Backend;
use burn::backend::TensorMetadata;
use burn::tensor::{FloatDType, Shape};

use super::tensors::F;

/// Smallest divisor of a gradient: one of nothing but zeros stays one.
const SMALLEST: f64 = 1e-30;

static ROUNDED: AtomicBool = AtomicBool::new(false);

/// Says for the whole process whether a GPU's matrix products round their operands. The CPU's never do.
pub fn round_products(rounded: bool) {
    ROUNDED.store(rounded, Ordering::Relaxed);
}

/// What [`round_products`] said last.
pub fn products_are_rounded() -> bool {
    ROUNDED.load(Ordering::Relaxed)
}

/// What operands are rounded to, if they are.
fn rounding() -> Option<FloatDType> {
    products_are_rounded().then_some(FloatDType::Flex32)
}

/// One factor of a product.
pub struct Operand<B: Backend> {
    /// Rounded or as it was.
    value: F<B>,
    /// The type before it was rounded.
    exact: Option<FloatDType>,
    /// What the value has to be multiplied by, with one element.
    scale: Option<F<B>>,
}

impl<B: Backend> Clone for Operand<B> {
    fn clone(&self) -> Self {
        Operand {
            value: self.value.clone(),
            exact: self.exact,
            scale: self.scale.clone(),
        }
    }
}

impl<B: Backend> Operand<B> {
    /// Activations or weights, whose numbers are of ordinary size.
    pub fn plain(value: F<B>) -> Self {
        Operand::rounded(value, rounding())
    }

    /// A gradient, whose numbers may all be tiny.
    pub fn gradient(value: F<B>) -> Self {
        Operand::scaled(value, rounding())
    }

    fn rounded(value: F<B>, half: Option<FloatDType>) -> Self {
        let exact = half.map(|_| value.dtype().into());
        let value = match half {
            Some(half) => B::float_cast(value, half),
            None => value,
        };
        Operand { value, exact, scale: None }
    }

    fn scaled(value: F<B>, half: Option<FloatDType>) -> Self {
        if half.is_none() {
            return Operand::rounded(value, None);
        }
        let ones = vec![1; value.shape().num_dims()];
        let largest = B::float_clamp_min(B::float_max_abs(value.clone()), SMALLEST.into());
        let scale = B::float_reshape(largest, Shape::from(ones));
        Operand {
            scale: Some(scale.clone()),
            ..Operand::rounded(B::float_div(value, scale), half)
        }
    }

    /// The same with its last two dimensions exchanged.
    pub fn transposed(self) -> Self {
        let rank = self.value.shape().num_dims();
        Operand {
            value: B::float_swap_dims(self.value, rank - 2, rank - 1),
            ..self
        }
    }

    /// The product, in the type that the operands had. Either both are rounded or neither is.
    pub fn times(self, other: Operand<B>) -> F<B> {
        let product = B::float_matmul(self.value, other.value);
        let product = match self.exact {
            Some(exact) => B::float_cast(product, exact),
            None => product,
        };
        [self.scale, other.scale].into_iter().flatten().fold(product, B::float_mul)
    }
}

#[cfg(test)]
mod tests {
    use burn::backend::Flex;
    use burn::tensor::TensorData;

    use super::*;

    fn matrix<B: Backend>(rows: usize, columns: usize, scale: f64) -> F<B> {
        let values: Vec<f32> = (0..rows * columns).map(|i| ((0.7 * i as f64).sin() * scale) as f32).collect();
        B::float_from_data(TensorData::new(values, [rows, columns]), &B::Device::default())
    }

    fn numbers<B: Backend>(tensor: F<B>) -> Vec<f32> {
        let data = burn_std::reader::try_read_sync(B::float_into_data(tensor));
        data.expect("a CPU answers at once").unwrap().iter::<f32>().collect()
    }

    /// The product with operands rounded to `half`, and without.
    fn both(half: FloatDType, scale: f64, operand: fn(F<Flex>, Option<FloatDType>) -> Operand<Flex>) -> (Vec<f32>, Vec<f32>) {
        let product = |half| {
            let a = operand(matrix::<Flex>(5, 16, scale), half).transposed().transposed();
            let product = a.times(Operand::rounded(matrix::<Flex>(16, 3, 1.0), half));
            assert_eq!(product.dtype(), burn::tensor::DType::F32);
            numbers::<Flex>(product)
        };
        (product(Some(half)), product(None))
    }

    fn distance((rounded, exact): &(Vec<f32>, Vec<f32>)) -> f32 {
        let largest = exact.iter().fold(0.0_f32, |most, v| most.max(v.abs()));
        rounded.iter().zip(exact).fold(0.0, |most: f32, (a, b)| most.max((a - b).abs())) / largest
    }

    #[test]
    fn rounded_products_are_near_the_exact_ones() {
        let pair = both(FloatDType::F16, 1.0, Operand::rounded);
        assert!((1e-7..2e-3).contains(&distance(&pair)), "{}", distance(&pair));
    }

    #[test]
    fn a_gradient_below_the_smallest_half_keeps_its_digits() {
        let lost = both(FloatDType::F16, 1e-12, Operand::rounded);
        assert!(lost.0.iter().all(|v| *v == 0.0), "the case has to be one that rounding loses");
        let kept = both(FloatDType::F16, 1e-12, Operand::scaled);
        assert!((1e-7..2e-3).contains(&distance(&kept)), "{}", distance(&kept));
        let zero = both(FloatDType::F16, 0.0, Operand::scaled);
        assert!(zero.0.iter().all(|v| *v == 0.0));
    }
}
