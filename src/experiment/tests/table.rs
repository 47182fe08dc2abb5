use super::*;

/// The toy study with the numbers `value` gives for (row, column, seed).
pub(super) fn table(value: impl Fn(&str, &str, u64) -> Option<f64>) -> Table {
    let (study, scale) = (study(), scale(""));
    let plan = plan(&study, &scale, &catalog(), &Request::default()).unwrap();
    let find = |run: &RunId, measure: &str| {
        let cell = plan
            .cells
            .iter()
            .find(|cell| cell.run == *run && measure.starts_with(&cell.column))?;
        value(&cell.row, &cell.column, cell.seed)
    };
    Table::build(&study, &plan, find, |_| "running, \"step 3\"".to_owned())
}

pub(super) fn some(row: &str, column: &str, seed: u64) -> Option<f64> {
    match (row, column) {
        ("mae", "finetune") => Some(80.0 + 2.0 * seed as f64),
        ("mae_long", "finetune") => (seed == 0).then_some(79.0),
        _ => None,
    }
}

#[test]
fn a_place_has_mean_deviation_and_count() {
    let table = table(some);
    let [both, one, none] = [0, 1, 2].map(|row| &table.rows[row].entries[0]);
    assert_eq!(both.mean(), Some(81.0));
    assert!(
        (both.sd().unwrap() - 2f64.sqrt()).abs() < 1e-12,
        "n - 1, so the deviation of 80 and 82 is the root of 2"
    );
    assert_eq!(both.text(1), "81.0 ± 1.4 (n=2)");
    assert_eq!((one.mean(), one.sd(), one.text(2)), (Some(79.0), None, "79.00 (n=1)".to_owned()));
    assert_eq!((none.mean(), none.sd(), none.text(1)), (None, None, String::new()));
}

#[test]
fn what_is_missing_is_listed_with_its_run_and_state() {
    let entry = &table(some).rows[1].entries[0];
    assert_eq!((entry.missing.len(), entry.missing[0].seed), (1, 1));
    assert_eq!(entry.missing[0].state, "running, \"step 3\"");
}

#[test]
fn the_best_mean_is_marked_if_there_are_two() {
    let best = |table: &Table| table.rows.iter().map(|row| row.entries[0].best).collect::<Vec<_>>();
    assert_eq!(best(&table(some)), [true, false, false]);
    assert_eq!(
        best(&table(|row, column, seed| some(row, column, seed).filter(|_| row == "mae"))),
        [false; 3]
    );
    let mut study = study();
    study.columns[0].better = Better::Lower;
    let plan = plan(&study, &scale(""), &catalog(), &Request::default()).unwrap();
    let by_row = |run: &RunId, _: &str| {
        plan.cells
            .iter()
            .find(|cell| cell.run == *run)
            .map(|cell| if cell.row == "mae" { 2.0 } else { 1.0 })
    };
    assert_eq!(best(&Table::build(&study, &plan, by_row, |_| String::new())), [false, true, true]);
    study.columns[0].better = Better::Neither;
    assert_eq!(best(&Table::build(&study, &plan, by_row, |_| String::new())), [false; 3]);
}

#[test]
fn markdown_has_our_number_and_the_papers_side_by_side() {
    let text = table(some).to_markdown();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines[0], "### Toy");
    assert_eq!(lines[2], "| | Fine-tuned (%) | paper | PSNR (dB) | paper |");
    assert_eq!(lines[3], "|---|---|---|---|---|");
    assert_eq!(lines[4], "| MAE | **81.0 ± 1.4 (n=2)** | 83.1 |  |  |");
    assert_eq!(lines[6], "| Random \\| none |  |  |  |  |");
}

#[test]
fn csv_has_a_line_a_seed_and_quotes_what_it_must() {
    let text = table(some).to_csv();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines[0], "row,column,seed,run,state,value,unit,paper,uncertain");
    let run = &table(some).rows[0].entries[0].values[1].run;
    assert_eq!(lines[2], format!("mae,finetune,1,{run},finished,82,%,83.1,"));
    let missing = lines.iter().find(|line| line.starts_with("mae_long,finetune,1,")).unwrap();
    assert!(missing.ends_with(",\"running, \"\"step 3\"\"\",,%,,"), "{missing}");
    assert_eq!(
        lines.len(),
        1 + 3 * 2 + 2 * 2,
        "three rows finetune, two reconstruct, two seeds each"
    );
}

#[test]
fn a_number_of_the_paper_that_may_be_another_rows_has_a_question_mark() {
    let mut study = study();
    study.rows[0].uncertain.push("finetune".to_owned());
    let plan = plan(&study, &scale(""), &catalog(), &Request::default()).unwrap();
    let table = Table::build(&study, &plan, |_, _| Some(80.0), |_| String::new());
    assert_eq!(table.rows[0].entries[0].paper_text(2).as_deref(), Some("83.10 ?"));
    assert_eq!(table.rows[1].entries[0].paper_text(2), None);
    assert!(table.to_markdown().contains(" | 83.1 ? | "), "{}", table.to_markdown());
    let line = table.to_csv().lines().nth(1).unwrap().to_owned();
    assert!(line.ends_with(",finished,80,%,83.1,?"), "the number stays a number: {line}");
}
