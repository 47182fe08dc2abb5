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

/// Positions of a grid of `from * from` patches for one of `to * to`: bicubic with torch's constant -0.75 between the
/// centers of patches, the border repeated outwards, as DINO (arXiv 2104.14294) does for its small crops. DINO's code adds
/// 0.1 to the new side against rounding, which moves the centers a little; this does not.
///
/// # Shapes
/// positions: `[1, from * from, dim]`; output: `[1, to * to, dim]`
pub fn resized(positions: Tensor<3>, from: usize, to: usize) -> Tensor<3> {
    let rows = cubic_weights(from, to);
    let weight = |(to_row, to_column): (usize, usize)| {
        let rows = &rows;
        (0..from * from).map(move |at| (rows[to_row][at / from] * rows[to_column][at % from]) as f32)
    };
    let places = (0..to).flat_map(|row| (0..to).map(move |column| (row, column)));
    let weights: Vec<f32> = places.flat_map(weight).collect();
    let weights = Tensor::<3>::from_data(TensorData::new(weights, [1, to * to, from * from]), &positions.device().inner());
    weights.matmul(positions)
}

/// What each of `to` places takes of each of `from`, `[to][from]`; every row sums to 1.
fn cubic_weights(from: usize, to: usize) -> Vec<Vec<f64>> {
    const A: f64 = -0.75;
    let cubic = |distance: f64| match distance {
        d if d <= 1.0 => ((A + 2.0) * d - (A + 3.0)) * d * d + 1.0,
        d if d < 2.0 => ((d - 5.0) * d + 8.0) * d * A - 4.0 * A,
        _ => 0.0,
    };
    let row = |place: usize| {
        let at = (place as f64 + 0.5) * from as f64 / to as f64 - 0.5;
        let mut row = vec![0.0; from];
        for tap in -1..=2 {
            let neighbor = at.floor() + f64::from(tap);
            row[neighbor.clamp(0.0, (from - 1) as f64) as usize] += cubic((at - neighbor).abs());
        }
        row
    };
    (0..to).map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn between_two_places_is_the_cubic_worked_by_hand_and_the_same_grid_is_itself() {
        // Half way, the cubic takes -0.09375, 0.59375, 0.59375, -0.09375; what falls outside goes to the border.
        assert_eq!(cubic_weights(4, 2), [[0.5, 0.59375, -0.09375, 0.0], [0.0, -0.09375, 0.59375, 0.5]]);
        for (from, to) in [(3, 3), (14, 6), (4, 7), (8, 4)] {
            for (place, row) in cubic_weights(from, to).iter().enumerate() {
                assert!((row.iter().sum::<f64>() - 1.0).abs() < 1e-12);
                assert!(from != to || row[place] == 1.0);
            }
        }
    }

    #[test]
    fn resized_positions_keep_rows_and_columns_apart_and_pass_gradients() {
        // One channel holds the row of a place, the other its column: a straight line is kept but at the border.
        let device = Device::flex().autodiff();
        let values: Vec<f32> = (0..64).flat_map(|i| [(i / 8) as f32, (i % 8) as f32]).collect();
        let table = Tensor::<3>::from_data(TensorData::new(values, [1, 64, 2]), &device).require_grad();
        let small = resized(table.clone(), 8, 4);
        let numbers: Vec<f32> = small.clone().inner().into_data().iter().collect();
        for (place, (row, column)) in [(5, (2.5, 2.5)), (6, (2.5, 4.5)), (9, (4.5, 2.5))] {
            assert!((numbers[2 * place] - row).abs() < 1e-4 && (numbers[2 * place + 1] - column).abs() < 1e-4);
        }
        let gradient = table.grad(&small.sum().backward()).unwrap();
        // Every place is taken from equally often, all of 16 in all.
        assert!((gradient.sum().into_scalar::<f32>() - 32.0).abs() < 1e-3);
    }

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
