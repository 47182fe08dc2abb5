use super::*;
use crate::experiment::claim::{Bound, Place};

const CLAIM: &str = r#"
[[claim]]
id = "mae-above-random"
says = "MAE fine-tunes better than a random start."
where = "section 5"
kind = "order"
columns = ["finetune"]
above = ["mae", "mae_long"]
below = ["random"]
"#;

fn with(claim: &str) -> Result<Study, String> {
    Study::parse("a.toml", &format!("{STUDY}{claim}"))
}

#[track_caller]
fn refused(from: &str, to: &str, sentence: &str) {
    assert!(CLAIM.contains(from));
    assert_eq!(with(&CLAIM.replace(from, to)), Err(format!("a.toml: claim {sentence}")));
}

fn parts(claim: &str) -> Vec<(String, String, Bound)> {
    let name = |place: Place| format!("{}/{}", place.row, place.column);
    let parts = with(claim).unwrap().claims.remove(0).parts().into_iter();
    parts.map(|part| (name(part.upper), name(part.lower), part.bound)).collect()
}

fn named(upper: &str, lower: &str, bound: Bound) -> (String, String, Bound) {
    (upper.to_owned(), lower.to_owned(), bound)
}

#[test]
fn above_and_below_are_compared_each_with_each() {
    let above = Bound::AtLeast(0.0);
    assert_eq!(
        parts(CLAIM),
        [
            named("mae/finetune", "random/finetune", above),
            named("mae_long/finetune", "random/finetune", above)
        ]
    );
}

#[test]
fn a_chain_is_compared_link_by_link_and_in_every_column() {
    let chain = CLAIM
        .replace(
            "above = [\"mae\", \"mae_long\"]\nbelow = [\"random\"]",
            "chain = [\"mae\", \"mae_long\", \"random\"]",
        )
        .replace("[\"finetune\"]", "[\"finetune\", \"psnr\"]");
    let found: Vec<_> = parts(&chain).into_iter().map(|(upper, lower, _)| (upper, lower)).collect();
    let pair = |a: &str, b: &str| (a.to_owned(), b.to_owned());
    assert_eq!(
        found,
        [
            pair("mae/finetune", "mae_long/finetune"),
            pair("mae_long/finetune", "random/finetune"),
            pair("mae/psnr", "mae_long/psnr"),
            pair("mae_long/psnr", "random/psnr"),
        ]
    );
}

#[test]
fn columns_of_one_row_can_be_compared_within_a_margin_or_by_a_gap() {
    let columns = CLAIM.replace("columns = [\"finetune\"]", "rows = [\"mae\"]");
    let sides = "above = [\"mae\", \"mae_long\"]\nbelow = [\"random\"]";
    let equal = columns
        .replace(sides, "same = [\"finetune\", \"psnr\"]\nmargin_points = 1.5")
        .replace("\"order\"", "\"equal\"");
    assert_eq!(parts(&equal), [named("mae/finetune", "mae/psnr", Bound::Within(1.5))]);
    let gap = columns
        .replace(sides, "above = [\"finetune\"]\nbelow = [\"psnr\"]\nleast_points = 2")
        .replace("\"order\"", "\"gap\"");
    assert_eq!(parts(&gap), [named("mae/finetune", "mae/psnr", Bound::AtLeast(2.0))]);
}

#[test]
fn what_is_alike_is_compared_each_with_each() {
    let sides = "above = [\"mae\", \"mae_long\"]\nbelow = [\"random\"]";
    let equal = CLAIM
        .replace(sides, "same = [\"mae\", \"mae_long\", \"random\"]\nmargin_points = 0.5")
        .replace("\"order\"", "\"equal\"");
    let pair = |a: &str, b: &str| named(&format!("{a}/finetune"), &format!("{b}/finetune"), Bound::Within(0.5));
    assert_eq!(
        parts(&equal),
        [pair("mae", "mae_long"), pair("mae", "random"), pair("mae_long", "random")]
    );
}

#[test]
fn a_mistake_in_a_claim_is_one_sentence() {
    refused(
        "\"mae-above-random\"",
        "\"MAE/1\"",
        "`MAE/1` has an id that cannot stand in addresses: it must be of small letters, digits and hyphens",
    );
    refused(
        "\"section 5\"",
        "\" \"",
        "`mae-above-random` has an empty where: it must be a sentence, and where it stands",
    );
    refused(
        "[\"finetune\"]",
        "[\"knn\"]",
        "`mae-above-random` names `knn` in columns, which must be one of finetune, psnr",
    );
    refused(
        "below = [\"random\"]",
        "below = [\"scratch\"]",
        "`mae-above-random` compares the row `scratch`, which must be one of mae, mae_long, random",
    );
    refused(
        "below = [\"random\"]",
        "below = [\"mae\"]",
        "`mae-above-random` compares `mae` with itself: each name may stand in it once",
    );
    refused(
        "columns = [\"finetune\"]",
        "",
        "`mae-above-random` must have either columns, in which its rows are compared, or rows, in which its columns are",
    );
}

#[test]
fn a_claim_has_the_keys_of_its_kind_and_no_others() {
    refused(
        "below = [\"random\"]",
        "",
        "`mae-above-random` is of kind order with above: it must have chain, or above and below",
    );
    refused(
        "\"order\"",
        "\"gap\"",
        "`mae-above-random` is of kind gap with above, below: it must have above, below and least_points",
    );
    let equal = "same = [\"mae\"]\nmargin_points = 1";
    let sides = "kind = \"order\"\ncolumns = [\"finetune\"]\nabove = [\"mae\", \"mae_long\"]\nbelow = [\"random\"]";
    let kind = "kind = \"equal\"\ncolumns = [\"finetune\"]\n";
    refused(
        sides,
        &format!("{kind}{equal}"),
        "`mae-above-random` has one name in same: it must have at least two",
    );
    refused(
        sides,
        &format!("{kind}same = [\"mae\", \"random\"]\nmargin_points = 0"),
        "`mae-above-random` has margin_points = 0: it must be a number above 0",
    );
    let twice = with(&format!("{CLAIM}{CLAIM}")).unwrap_err();
    assert_eq!(
        twice,
        "a.toml: two of the [[claim]] have the id `mae-above-random`: each must have its own"
    );
    let unknown = with(&CLAIM.replace("\"order\"", "\"better\"")).unwrap_err();
    assert!(
        unknown.contains("a.toml, line ") && unknown.contains("expected one of `order`, `equal`, `gap`"),
        "{unknown}"
    );
}
