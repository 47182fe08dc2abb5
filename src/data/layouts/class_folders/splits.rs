//! What names of folders say about splits.

/// What a split is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Role {
    /// Training.
    Train,
    /// Validation; where there are several, the lowest number is used.
    Val(u8),
}

impl Role {
    /// Whether it is of test images, which often have no labels.
    pub(super) fn is_test(self) -> bool {
        matches!(self, Role::Val(3..))
    }
}

/// Names of folders for validation, the first that is there counts.
const VAL: [&str; 5] = ["val", "valid", "validation", "test", "testing"];
/// What may follow the name of a split, after `_`, `-`, a space or nothing.
const AFTER: [&str; 4] = ["set", "split", "images", "data"];
/// Parts of names that look like a split's.
const LIKE: [&str; 11] = [
    "train",
    "training",
    "trainset",
    "val",
    "valid",
    "validation",
    "test",
    "testing",
    "testset",
    "dev",
    "eval",
];

/// The split that a folder of this name is of.
pub(super) fn role_of(name: &str) -> Option<Role> {
    let lower = name.to_lowercase();
    let after = AFTER.iter().find_map(|after| lower.strip_suffix(after));
    [lower.as_str(), after.unwrap_or_default()].into_iter().find_map(|name| {
        let name = name.trim_end_matches(['_', '-', ' ']);
        if name == "train" || name == "training" {
            return Some(Role::Train);
        }
        let rank = VAL.iter().position(|val| *val == name)?;
        Some(Role::Val(rank as u8))
    })
}

/// Whether a folder of this name looks like a split.
pub(super) fn looks_like_split(name: &str) -> bool {
    let lower = name.to_lowercase();
    let mut parts = lower.split(|letter: char| !letter.is_alphabetic());
    role_of(name).is_some() || parts.any(|part| LIKE.contains(&part))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usual_names_are_known_in_any_case() {
        for name in ["train", "Train", "TRAINING", "training_set", "train-images", "Train "] {
            assert_eq!(role_of(name), Some(Role::Train), "{name}");
        }
        for (name, rank) in [
            ("val", 0),
            ("Valid", 1),
            ("VALIDATION", 2),
            ("test", 3),
            ("Testing", 4),
            ("test_set", 3),
        ] {
            assert_eq!(role_of(name), Some(Role::Val(rank)), "{name}");
        }
        for name in ["trains", "trainer", "contest", "set", "data", "valley"] {
            assert_eq!(role_of(name), None, "{name}");
            assert!(!looks_like_split(name), "{name}");
        }
        assert!(looks_like_split("train2017") && looks_like_split("my_test") && looks_like_split("dev"));
    }
}
