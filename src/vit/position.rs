//! The fixed 2-D sine-cosine position table of MAE.

use burn::module::Param;
use burn::tensor::{Device, Tensor, TensorData};

/// The table for a class token (zeros) and `grid * grid` patches, `[1, 1 + patches, dim]`.
///
/// The first half of the channels encodes the column, the second the row; each half is sines then cosines at
/// the frequencies `10000^(-k / (dim / 4))`. `dim` is a multiple of 4.
pub fn sincos_table(dim: usize, grid: usize, device: &Device) -> Param<Tensor<3>> {
    let quarter = dim / 4;
    let mut table = vec![0.0f32; dim];
    for row in 0..grid {
        for column in 0..grid {
            for position in [column, row] {
                let angle = |k: usize| position as f64 / 10_000f64.powf(k as f64 / quarter as f64);
                table.extend((0..quarter).map(|k| angle(k).sin() as f32));
                table.extend((0..quarter).map(|k| angle(k).cos() as f32));
            }
        }
    }
    Param::from_tensor(Tensor::from_data(TensorData::new(table, [1, 1 + grid * grid, dim]), device))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_maes_with_the_columns_half_first() {
        // Width 8, a grid of 3 by 3, computed with NumPy in float64.
        let table: Vec<f32> = sincos_table(8, 3, &Device::flex()).val().into_data().try_into_vec().unwrap();
        let token = |index: usize| &table[index * 8..][..8];
        let right = [0.841_471, 0.01, 0.540_302, 0.999_95, 0.0, 0.0, 1.0, 1.0];
        let below = [0.0, 0.0, 1.0, 1.0, 0.841_471, 0.01, 0.540_302, 0.999_95];
        assert_eq!(token(0), [0.0; 8], "the class token has no position");
        for (actual, expected) in token(2).iter().chain(token(4)).zip(right.iter().chain(&below)) {
            assert!((actual - expected).abs() < 1e-6, "{actual} is not {expected}");
        }
    }
}
