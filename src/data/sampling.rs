//! Which images are used: dividing one pool in two, and subsets of one.
//!
//! The first choices are part of what a data set is, so they have a seed of their own and do not follow a run's. Those
//! of [`super::subset`] are part of a stage, and their seed is a setting.

use rand::seq::SliceRandom;

use super::SplitName;
use super::source::Item;
use crate::rng::{Purpose, stream};

/// The seed of every choice of images (ours). Another one would make another data set.
const SEED: u64 = 0;

/// What a choice is for; part of the address of its random numbers.
///
/// Choices of one purpose are parts of one another; those of two are independent.
#[derive(Clone, Copy)]
pub enum For {
    /// The division of one pool in two.
    Dividing = 0,
    /// Fewer training images than there are.
    Train = 1,
    /// Fewer validation images than there are.
    Val = 2,
    /// What a pretraining sees.
    Few = 3,
    /// Whose labels are known.
    Labels = 4,
    /// The neighbors that vote.
    Voters = 5,
    /// The images on which learning rates are compared.
    HeldOut = 6,
}

/// The address of a choice's random numbers: its seed and what it is for.
#[derive(Clone, Copy)]
struct Address {
    seed: u64,
    purpose: For,
}

impl From<For> for Address {
    fn from(purpose: For) -> Address {
        Address { seed: SEED, purpose }
    }
}

/// Divides one pool into train and val, as near to `val_fraction` in every class as full images allow.
///
/// Both get at least one image; items keep their order. `None` if there are not two images.
pub(super) fn divide(items: Vec<Item>, classes: usize, val_fraction: f64) -> Option<(Vec<Item>, Vec<Item>)> {
    if items.len() < 2 {
        return None;
    }
    let members = members(labels(&items), classes, For::Dividing);
    let wanted = ((items.len() as f64 * val_fraction).round() as usize).clamp(1, items.len() - 1);
    // Largest remainders: floors first, then one more for the classes that lost most to rounding down.
    let share = wanted as f64 / items.len() as f64;
    let mut quotas: Vec<usize> = members.iter().map(|of| (of.len() as f64 * share).floor() as usize).collect();
    let mut by_loss = shuffled(classes, For::Dividing);
    by_loss.sort_by(|&a, &b| {
        (members[b].len() as f64 * share)
            .fract()
            .total_cmp(&(members[a].len() as f64 * share).fract())
    });
    let mut left = wanted - quotas.iter().sum::<usize>();
    while left > 0 {
        for &class in &by_loss {
            if left > 0 && quotas[class] < members[class].len() {
                quotas[class] += 1;
                left -= 1;
            }
        }
    }
    let mut in_val = vec![false; items.len()];
    for (of, quota) in members.iter().zip(quotas) {
        of[..quota].iter().for_each(|&index| in_val[index] = true);
    }
    let (val, train): (Vec<_>, Vec<_>) = items.into_iter().zip(in_val).partition(|(_, val)| *val);
    let strip = |pairs: Vec<(Item, bool)>| pairs.into_iter().map(|(item, _)| item).collect();
    Some((strip(train), strip(val)))
}

/// Chooses `wanted` items, as evenly over the classes as their numbers allow; 0 or all of them is all.
///
/// Items keep their order, and a smaller choice is part of a larger one as far as whole rounds go.
/// `None` if there are fewer than wanted.
pub(super) fn subset(items: Vec<Item>, classes: usize, wanted: usize, split: SplitName) -> Option<Vec<Item>> {
    if wanted == 0 || wanted == items.len() {
        return Some(items);
    }
    if wanted > items.len() {
        return None;
    }
    let purpose = match split {
        SplitName::Train => For::Train,
        SplitName::Val => For::Val,
    };
    let mut chosen = vec![false; items.len()];
    let even = evenly(labels(&items), classes, wanted, purpose);
    even.into_iter().for_each(|index| chosen[index] = true);
    Some(
        items
            .into_iter()
            .zip(chosen)
            .filter_map(|(item, chosen)| chosen.then_some(item))
            .collect(),
    )
}

/// Places of `wanted` images, as evenly over the classes as their numbers allow. There must be as many.
pub(super) fn even(labels: &[u32], classes: usize, wanted: usize, seed: u64, purpose: For) -> Vec<usize> {
    evenly(labels.iter().copied(), classes, wanted, Address { seed, purpose })
}

/// Places of `wanted` images, whatever their classes. There must be as many.
pub(super) fn random(images: usize, classes: usize, wanted: usize, seed: u64) -> Vec<usize> {
    let mut places: Vec<usize> = (0..images).collect();
    // Two past the last class: the address of no class's own order and not that of the order of classes.
    places.shuffle(&mut stream(seed, Purpose::Split, For::Few as u64, classes as u64 + 1));
    places.truncate(wanted);
    places
}

/// Places of `wanted` images of one class; `None` if it has fewer.
pub(super) fn of_class(labels: &[u32], classes: usize, class: usize, wanted: usize, seed: u64) -> Option<Vec<usize>> {
    let mut places = members(labels.iter().copied(), classes, of_few(seed)).swap_remove(class);
    let enough = places.len() >= wanted;
    places.truncate(wanted);
    enough.then_some(places)
}

/// All classes, in the order in which a choice of one class tries them.
pub(super) fn classes_by_chance(classes: usize, seed: u64) -> Vec<usize> {
    shuffled(classes, of_few(seed))
}

fn of_few(seed: u64) -> Address {
    Address { seed, purpose: For::Few }
}

/// Places of `wanted` items: in every round each class gives as many as the others, until it has no more.
fn evenly(labels: impl Iterator<Item = u32>, classes: usize, wanted: usize, address: impl Into<Address>) -> Vec<usize> {
    let address = address.into();
    let members = members(labels, classes, address);
    let mut quotas = vec![0; classes];
    let mut left = wanted;
    while left > 0 {
        let mut open = shuffled(classes, address);
        open.retain(|&class| quotas[class] < members[class].len());
        let each = (left / open.len()).max(1);
        for class in open {
            let more = each.min(members[class].len() - quotas[class]).min(left);
            quotas[class] += more;
            left -= more;
        }
    }
    let parts = members.into_iter().zip(quotas);
    parts.flat_map(|(of, quota)| of.into_iter().take(quota)).collect()
}

fn labels(items: &[Item]) -> impl Iterator<Item = u32> {
    items.iter().map(|item| item.label)
}

/// Per class the places of its items, in an order of chance.
fn members(labels: impl Iterator<Item = u32>, classes: usize, address: impl Into<Address>) -> Vec<Vec<usize>> {
    let Address { seed, purpose } = address.into();
    let mut members = vec![Vec::new(); classes];
    for (index, label) in labels.enumerate() {
        members[label as usize].push(index);
    }
    for (class, of) in members.iter_mut().enumerate() {
        of.shuffle(&mut stream(seed, Purpose::Split, purpose as u64, class as u64));
    }
    members
}

/// All classes, in an order of chance.
fn shuffled(classes: usize, address: impl Into<Address>) -> Vec<usize> {
    let Address { seed, purpose } = address.into();
    let mut order: Vec<usize> = (0..classes).collect();
    // One past the last class: the address of no class's own order.
    order.shuffle(&mut stream(seed, Purpose::Split, purpose as u64, classes as u64));
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    fn items(counts: &[usize]) -> Vec<Item> {
        let of = |(label, count): (usize, &usize)| {
            let item = move |n| Item {
                label: label as u32,
                name: format!("{label}/{n}"),
                place: crate::data::tree::Place::Own { size: 0 },
            };
            (0..*count).map(item).collect::<Vec<_>>()
        };
        counts.iter().enumerate().flat_map(of).collect()
    }

    fn counts(items: &[Item], classes: usize) -> Vec<usize> {
        (0..classes)
            .map(|class| items.iter().filter(|item| item.label as usize == class).count())
            .collect()
    }

    #[test]
    fn dividing_takes_the_same_share_of_every_class_and_loses_nothing() {
        let (train, val) = divide(items(&[50, 20, 30]), 3, 0.2).unwrap();
        assert_eq!(counts(&val, 3), [10, 4, 6]);
        assert_eq!(counts(&train, 3), [40, 16, 24]);
        assert!(train.iter().all(|item| !val.contains(item)));
    }

    #[test]
    fn dividing_is_the_same_every_time_and_not_the_first_images() {
        let (_, val) = divide(items(&[100]), 1, 0.1).unwrap();
        assert_eq!(val, divide(items(&[100]), 1, 0.1).unwrap().1);
        assert_ne!(val, items(&[10]));
    }

    #[test]
    fn classes_of_one_image_are_still_divided_at_the_right_share() {
        let (train, val) = divide(items(&[1; 50]), 50, 0.2).unwrap();
        assert_eq!((train.len(), val.len()), (40, 10));
        let (train, val) = divide(items(&[2]), 1, 0.001).unwrap();
        assert_eq!((train.len(), val.len()), (1, 1));
        assert!(divide(items(&[1]), 1, 0.5).is_none());
    }

    #[test]
    fn a_subset_is_balanced_where_the_classes_are_large_enough() {
        let chosen = subset(items(&[100, 3, 100]), 3, 43, SplitName::Train).unwrap();
        assert_eq!(chosen.len(), 43);
        assert_eq!(counts(&chosen, 3), [20, 3, 20]);
        let uneven = counts(&subset(items(&[10, 10, 10]), 3, 8, SplitName::Val).unwrap(), 3);
        assert!(uneven.iter().all(|count| (2..=3).contains(count)), "{uneven:?}");
    }

    #[test]
    fn a_subset_is_fixed_and_the_splits_differ() {
        let train = subset(items(&[50, 50]), 2, 10, SplitName::Train).unwrap();
        assert_eq!(train, subset(items(&[50, 50]), 2, 10, SplitName::Train).unwrap());
        assert_ne!(train, subset(items(&[50, 50]), 2, 10, SplitName::Val).unwrap());
        let larger = subset(items(&[50, 50]), 2, 20, SplitName::Train).unwrap();
        assert!(train.iter().all(|item| larger.contains(item)));
    }

    #[test]
    fn none_and_all_are_everything_and_more_is_refused() {
        for wanted in [0, 6] {
            assert_eq!(subset(items(&[3, 3]), 2, wanted, SplitName::Train).unwrap(), items(&[3, 3]));
        }
        assert!(subset(items(&[3, 3]), 2, 7, SplitName::Train).is_none());
    }
}
