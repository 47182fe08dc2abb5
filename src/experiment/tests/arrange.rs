//! Parts of a table and their order.

use super::table::{some, table};
use super::*;

fn read(columns: &[&str], rows: &str, sort: &str, descending: Option<bool>) -> Result<Arrangement, String> {
    let columns: Vec<String> = columns.iter().map(|id| (*id).to_owned()).collect();
    Arrangement::read(&columns, rows, sort, descending, &study().columns)
}

/// The ids of the rows that are left, in their order.
fn rows(rows: &str, sort: &str, descending: Option<bool>) -> Vec<String> {
    let table = table(some).arranged(&read(&[], rows, sort, descending).unwrap());
    table.rows.into_iter().map(|row| row.id).collect()
}

#[test]
fn rows_are_sorted_and_those_without_a_number_come_last_either_way() {
    let cases = [
        ("", None, ["mae", "mae_long", "random"]),
        ("finetune", None, ["mae", "mae_long", "random"]),
        ("finetune", Some(false), ["mae_long", "mae", "random"]),
        ("finetune.paper", Some(false), ["mae", "mae_long", "random"]),
        ("row.title", Some(true), ["random", "mae_long", "mae"]),
        ("psnr", Some(true), ["mae", "mae_long", "random"]),
    ];
    for (sort, descending, expected) in cases {
        assert_eq!(rows("", sort, descending), expected, "{sort} {descending:?}");
    }
    let mut lower = study().columns;
    lower[0].better = Better::Lower;
    let order = Arrangement::read(&[], "", "finetune", None, &lower).unwrap().order.unwrap();
    assert!(!order.descending, "the best first, which is the lowest");
}

#[test]
fn rows_are_found_by_any_of_several_texts() {
    assert_eq!(rows("MAE", "", None), ["mae", "mae_long"]);
    assert_eq!(rows(" none , for long", "", None), ["mae_long", "random"]);
    assert_eq!(rows("mae_l", "", None), ["mae_long"], "by the id");
    assert_eq!(rows(" , ", "", None).len(), 3);
    assert!(rows("no such row", "", None).is_empty());
}

#[test]
fn columns_are_chosen_in_the_order_they_are_named() {
    let both = read(&["psnr", "finetune", "psnr"], "", "finetune", Some(false)).unwrap();
    let arranged = table(some).arranged(&both);
    let ids: Vec<&str> = arranged.columns.iter().map(|column| column.id.as_str()).collect();
    assert_eq!(ids, ["psnr", "finetune"]);
    assert_eq!(arranged.rows[1].entries[1].paper, Some(83.1));
    // A column that is not shown can still decide the order.
    let one = table(some).arranged(&read(&["psnr"], "", "finetune", Some(false)).unwrap());
    assert_eq!((one.columns.len(), one.rows[0].id.as_str()), (1, "mae_long"));
}

#[test]
fn the_best_of_the_rows_that_are_left_is_marked() {
    let left = |filter| {
        let table = table(|row, column, seed| some(row, column, seed).or((row == "random" && column == "finetune").then_some(20.0)));
        let left = table.arranged(&read(&[], filter, "", None).unwrap()).rows;
        left.into_iter().map(|row| row.entries[0].best).collect::<Vec<_>>()
    };
    assert_eq!(left("long, none"), [true, false]);
    assert_eq!(left("long"), [false], "one number is no contest");
}

#[test]
fn what_is_not_there_is_named_with_what_is() {
    let refused = |columns: &[&str], sort: &str| read(columns, "", sort, None).unwrap_err();
    assert_eq!(
        refused(&["knn"], ""),
        "columns: `knn` is not a column of this study: it must be one of finetune, psnr"
    );
    assert_eq!(
        refused(&[], "knn.paper"),
        "sort: `knn.paper` is not known: it must be row.title, or one of finetune, psnr, which may have .paper after it"
    );
}
