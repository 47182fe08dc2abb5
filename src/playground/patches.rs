//! Masked patches as a few hexadecimal digits, for messages and addresses.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Patches row by row, true where hidden. As text: how many there are, then four of them a digit, the first the highest.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Patches(pub Vec<bool>);

impl Patches {
    /// Reads the digits of exactly `count` patches.
    ///
    /// # Errors
    /// Other characters than digits, or a number of them that does not fit.
    pub fn parse(digits: &str, count: usize) -> Result<Patches, String> {
        if digits.len() != count.div_ceil(4) {
            return Err(format!(
                "{count} patches are {} hexadecimal digits, not {}",
                count.div_ceil(4),
                digits.len()
            ));
        }
        let mut hidden = Vec::with_capacity(digits.len() * 4);
        for digit in digits.chars() {
            let value = digit.to_digit(16).ok_or_else(|| format!("`{digit}` is not a hexadecimal digit"))?;
            hidden.extend([8, 4, 2, 1].map(|bit| value & bit != 0));
        }
        hidden.truncate(count);
        Ok(Patches(hidden))
    }

    /// The digits alone.
    pub fn digits(&self) -> String {
        let digit = |four: &[bool]| {
            let value = (0..4).fold(0, |value, at| value << 1 | u32::from(four.get(at) == Some(&true)));
            char::from_digit(value, 16).expect("four bits are a digit")
        };
        self.0.chunks(4).map(digit).collect()
    }

    /// How many are hidden.
    pub fn hidden(&self) -> usize {
        self.0.iter().filter(|hidden| **hidden).count()
    }

    /// Places of the visible ones, in order.
    pub fn visible(&self) -> Vec<usize> {
        (0..self.0.len()).filter(|&at| !self.0[at]).collect()
    }

    /// The same image cut into another grid: a patch is masked where its middle is. `from` and `to` are patches a side.
    pub fn on_grid(&self, from: usize, to: usize) -> Patches {
        let at = |place: usize| (2 * place + 1) * from / (2 * to);
        Patches((0..to * to).map(|patch| self.0[at(patch / to) * from + at(patch % to)]).collect())
    }
}

impl fmt::Display for Patches {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.0.len(), self.digits())
    }
}

impl Serialize for Patches {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Patches {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let (count, digits) = text.split_once(':').unwrap_or_default();
        let count = count.parse().map_err(serde::de::Error::custom)?;
        Patches::parse(digits, count).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patches_come_back_from_their_digits() {
        let patches = Patches(vec![true, false, true, false, false, true]);
        assert_eq!(patches.digits(), "a4");
        assert_eq!(Patches::parse("a4", 6).unwrap(), patches);
        assert_eq!(
            serde_json::from_str::<Patches>(&serde_json::to_string(&patches).unwrap()).unwrap(),
            patches
        );
        assert_eq!((patches.hidden(), patches.visible()), (3, vec![1, 3, 4]));
    }

    #[test]
    fn digits_that_do_not_fit_are_refused() {
        assert_eq!(Patches::parse("a", 6).unwrap_err(), "6 patches are 2 hexadecimal digits, not 1");
        assert!(Patches::parse("ag", 6).unwrap_err().contains("`g`"));
        assert!(Patches::parse("aö", 12).is_err());
        assert!(serde_json::from_str::<Patches>("\"99999999999999999999:a\"").is_err());
        assert!(serde_json::from_str::<Patches>("\"a4\"").is_err());
    }

    #[test]
    fn another_grid_hides_the_same_parts_of_the_image() {
        let coarse = Patches(vec![true, false, false, true]);
        let fine = coarse.on_grid(2, 4);
        let rows: Vec<String> = fine
            .0
            .chunks(4)
            .map(|row| row.iter().map(|hidden| if *hidden { '#' } else { '.' }).collect())
            .collect();
        assert_eq!(rows, ["##..", "##..", "..##", "..##"]);
        assert_eq!(fine.on_grid(4, 2), coarse);
        // The middle of the middle patch of three falls on the second of two.
        assert_eq!(coarse.on_grid(2, 3).0, [true, false, false, false, true, true, false, true, true]);
    }
}
