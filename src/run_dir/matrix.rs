//! A result that is a table of numbers, such as one for every block and ratio.

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

use crate::experiment::csv::field;

/// One side of a [`Matrix`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MatrixAxis {
    /// What it counts, such as `block`.
    pub title: String,
    /// One label a row or column.
    pub labels: Vec<String>,
}

/// Numbers by row and column. A number that is not defined is `None`, and `null` in JSON.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Matrix {
    /// The rows.
    pub rows: MatrixAxis,
    /// The columns.
    pub columns: MatrixAxis,
    /// The mean over repetitions, `[rows][columns]`.
    pub mean: Vec<Vec<Option<f64>>>,
    /// The least of the repetitions.
    pub low: Vec<Vec<Option<f64>>>,
    /// The largest of the repetitions.
    pub high: Vec<Vec<Option<f64>>>,
}

impl MatrixAxis {
    /// An axis of these labels.
    pub fn new(title: &str, labels: impl IntoIterator<Item = impl ToString>) -> MatrixAxis {
        MatrixAxis {
            title: title.to_owned(),
            labels: labels.into_iter().map(|label| label.to_string()).collect(),
        }
    }
}

impl Matrix {
    /// Folds repetitions, `values[row][column]`, into mean and range. A place where one of them is undefined is undefined.
    pub fn of(rows: MatrixAxis, columns: MatrixAxis, values: &[Vec<Vec<Option<f64>>>]) -> Matrix {
        let fold = |with: fn(&[f64]) -> f64| {
            let place = |repeated: &Vec<Option<f64>>| {
                let defined: Option<Vec<f64>> = repeated.iter().copied().collect();
                defined.filter(|values| !values.is_empty()).map(|values| with(&values))
            };
            values.iter().map(|row| row.iter().map(place).collect()).collect()
        };
        Matrix {
            rows,
            columns,
            mean: fold(|values| values.iter().sum::<f64>() / values.len() as f64),
            low: fold(|values| values.iter().copied().fold(f64::INFINITY, f64::min)),
            high: fold(|values| values.iter().copied().fold(f64::NEG_INFINITY, f64::max)),
        }
    }

    /// Several tables as one: the mean of their means, and the least and largest of all. A place where one of them is
    /// undefined is undefined. `None` without any, or if their rows and columns are not the same.
    pub fn pooled(all: &[&Matrix]) -> Option<Matrix> {
        let first = all.first()?;
        if all.iter().any(|one| (&one.rows, &one.columns) != (&first.rows, &first.columns)) {
            return None;
        }
        let places = |of: fn(&Matrix) -> &Vec<Vec<Option<f64>>>| {
            let place = |row: usize, column: usize| all.iter().map(|one| of(one)[row][column]).collect();
            let row = |row: usize| (0..first.columns.labels.len()).map(|column| place(row, column)).collect();
            let values: Vec<Vec<Vec<Option<f64>>>> = (0..first.rows.labels.len()).map(row).collect();
            Matrix::of(first.rows.clone(), first.columns.clone(), &values)
        };
        Some(Matrix {
            low: places(|one| &one.low).low,
            high: places(|one| &one.high).high,
            ..places(|one| &one.mean)
        })
    }

    /// The mean of the defined numbers of a column.
    pub fn column_mean(&self, column: usize) -> Option<f64> {
        mean(self.mean.iter().filter_map(|row| row[column]))
    }

    /// The mean of the defined numbers of a row.
    pub fn row_mean(&self, row: usize) -> Option<f64> {
        mean(self.mean[row].iter().copied().flatten())
    }

    /// The mean of all defined numbers.
    pub fn overall_mean(&self) -> Option<f64> {
        mean(self.mean.iter().flatten().copied().flatten())
    }

    /// Long form: a line a number, with the labels of its place.
    pub fn to_csv(&self) -> String {
        let mut text = format!("{},{},mean,low,high\n", field(&self.rows.title), field(&self.columns.title));
        let number = |value: Option<f64>| value.map(|value| value.to_string()).unwrap_or_default();
        for (row, label) in self.rows.labels.iter().enumerate() {
            for (column, ratio) in self.columns.labels.iter().enumerate() {
                let [mean, low, high] = [&self.mean, &self.low, &self.high].map(|values| number(values[row][column]));
                let _ = writeln!(text, "{},{},{mean},{low},{high}", field(label), field(ratio));
            }
        }
        text
    }
}

fn mean(values: impl Iterator<Item = f64>) -> Option<f64> {
    let (sum, count) = values.fold((0.0, 0), |(sum, count), value| (sum + value, count + 1));
    (count > 0).then(|| sum / f64::from(count))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matrix() -> Matrix {
        let values = vec![
            vec![vec![Some(0.5), Some(1.0)], vec![Some(0.25), None]],
            vec![vec![Some(-0.5), Some(0.0)], vec![None, None]],
        ];
        Matrix::of(MatrixAxis::new("block", 1..=2), MatrixAxis::new("ratio", [0.1, 0.9]), &values)
    }

    #[test]
    fn repetitions_become_mean_and_range_and_one_undefined_leaves_the_place_undefined() {
        let matrix = matrix();
        assert_eq!(matrix.mean, [[Some(0.75), None], [Some(-0.25), None]]);
        assert_eq!((matrix.low[0][0], matrix.high[0][0]), (Some(0.5), Some(1.0)));
        assert_eq!((matrix.column_mean(0), matrix.column_mean(1)), (Some(0.25), None));
        assert_eq!((matrix.row_mean(1), matrix.overall_mean()), (Some(-0.25), Some(0.25)));
    }

    #[test]
    fn several_tables_become_one_with_the_range_of_all() {
        let (one, mut two) = (matrix(), matrix());
        two.mean[0][0] = Some(0.25);
        two.low[0][0] = Some(0.0);
        let pooled = Matrix::pooled(&[&one, &two]).unwrap();
        assert_eq!(
            (pooled.mean[0][0], pooled.low[0][0], pooled.high[0][0]),
            (Some(0.5), Some(0.0), Some(1.0))
        );
        assert_eq!((pooled.mean[0][1], pooled.mean[1][0]), (None, Some(-0.25)));
        assert_eq!(Matrix::pooled(&[&one]), Some(one.clone()));
        two.rows.labels[1] = "last".to_owned();
        assert_eq!((Matrix::pooled(&[&one, &two]), Matrix::pooled(&[])), (None, None));
    }

    #[test]
    fn what_is_undefined_is_null_in_json_and_empty_in_a_table() {
        let json = serde_json::to_string(&matrix()).unwrap();
        assert!(json.contains("\"mean\":[[0.75,null],[-0.25,null]]"), "{json}");
        assert_eq!(serde_json::from_str::<Matrix>(&json).unwrap(), matrix());
        assert_eq!(
            matrix().to_csv(),
            "block,ratio,mean,low,high\n1,0.1,0.75,0.5,1\n1,0.9,,,\n2,0.1,-0.25,-0.5,0\n2,0.9,,,\n"
        );
    }
}
