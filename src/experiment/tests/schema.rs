use super::*;

const RATIO: Kind = Kind::Between { min: 0.0, max: 1.0 };
const EPOCHS: Kind = Kind::Int { min: 1, max: 100 };
const SHARE: Kind = Kind::Float { min: 0.0, max: 1.0 };
const CROP: Kind = Kind::Choice {
    of: &["resized", "pad"],
    meanings: &["A part.", "The whole."],
};

#[track_caller]
fn refused(kind: Kind, value: Value, sentence: &str) {
    assert_eq!(kind.accept(&value), Err(sentence.to_owned()));
}

#[test]
fn ranges_hold_their_ends_or_leave_them_out() {
    for value in [0.0, 1.0] {
        assert_eq!(SHARE.accept(&Value::Float(value)), Ok(Value::Float(value)));
        assert!(RATIO.accept(&Value::Float(value)).is_err());
    }
    assert_eq!(RATIO.accept(&Value::Float(0.75)), Ok(Value::Float(0.75)));
    assert_eq!(EPOCHS.accept(&Value::Int(100)), Ok(Value::Int(100)));
}

#[test]
fn a_refusal_says_what_is_allowed() {
    refused(
        RATIO,
        Value::Float(1.2),
        "1.2 is not allowed: it must be a number between 0 and 1, neither included",
    );
    refused(SHARE, Value::Float(-0.1), "-0.1 is not allowed: it must be a number from 0 to 1");
    refused(EPOCHS, Value::Int(0), "0 is not allowed: it must be a whole number from 1 to 100");
    refused(
        EPOCHS,
        Value::Float(2.5),
        "2.5 is not allowed: it must be a whole number from 1 to 100",
    );
    refused(EPOCHS, text("many"), "many is not allowed: it must be a whole number from 1 to 100");
    refused(CROP, text("center"), "center is not allowed: it must be one of resized, pad");
    refused(Kind::Bool, Value::Int(1), "1 is not allowed: it must be true or false");
    refused(
        Kind::Int { min: 2, max: i64::MAX },
        Value::Int(1),
        "1 is not allowed: it must be a whole number of at least 2",
    );
    refused(Kind::Text, Value::Int(1), "1 is not allowed: it must be text");
}

#[test]
fn numbers_that_are_none_are_refused() {
    for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        assert!(SHARE.accept(&Value::Float(value)).is_err() && RATIO.accept(&Value::Float(value)).is_err());
        assert!(Kind::Float { min: 0.0, max: f64::MAX }.accept(&Value::Float(value)).is_err());
    }
}

#[test]
fn one_number_has_one_form() {
    assert_eq!(SHARE.accept(&Value::Int(1)), Ok(Value::Float(1.0)));
    let Ok(Value::Float(zero)) = SHARE.accept(&Value::Float(-0.0)) else {
        panic!("zero is allowed")
    };
    assert!(zero.is_sign_positive());
}

#[test]
fn a_list_of_numbers_has_one_form_and_no_other_things_in_it() {
    let list = Kind::Numbers { min: 0.0, max: 1.0 };
    assert_eq!(list.parse(" .50,1e-1 , 1"), Ok(text("0.5, 0.1, 1")));
    assert_eq!(list.accept(&Value::Int(1)), Ok(text("1")));
    for bad in ["", "0.5,", "0.5 0.6", "2", "NaN", "-0.1"] {
        assert!(list.parse(bad).is_err(), "{bad}");
    }
}

#[test]
fn text_of_a_form_is_read_by_kind() {
    assert_eq!(EPOCHS.parse(" 7 "), Ok(Value::Int(7)));
    assert_eq!(RATIO.parse("5e-1"), Ok(Value::Float(0.5)));
    assert_eq!(Kind::Bool.parse("true"), Ok(Value::Bool(true)));
    assert_eq!(CROP.parse("pad"), Ok(text("pad")));
    assert_eq!(Kind::Text.parse("1"), Ok(text("1")));
    assert_eq!(
        EPOCHS.parse("3.0"),
        Err("3.0 is not allowed: it must be a whole number from 1 to 100".to_owned())
    );
    assert!(RATIO.parse("NaN").is_err() && EPOCHS.parse("").is_err());
}

#[test]
fn every_default_is_allowed_and_every_setting_is_explained() {
    let catalog = catalog();
    for section in catalog
        .methods
        .iter()
        .flat_map(|m| Stage::ALL.into_iter().flat_map(move |stage| catalog::sections(stage, m)))
    {
        for setting in section.settings {
            let place = format!("{}.{}", section.name, setting.key);
            let default = Value::from(setting.default);
            assert_eq!(setting.kind.accept(&default), Ok(default), "{place}");
            if let Some(before) = setting.before.map(Value::from) {
                assert_eq!(setting.kind.accept(&before), Ok(before), "{place}");
            }
            assert!(
                setting.meaning.ends_with('.') && !setting.source.is_empty(),
                "{place} is not explained"
            );
        }
    }
}
