//! The few things used last, kept at hand.

use anyhow::Result;

/// Things by key, the one used last at the end, each with its weight in bytes.
pub(crate) struct LruCache<K, V> {
    things: Vec<(K, V, usize)>,
    most: usize,
}

/// Two are always kept, however heavy: models are looked at side by side.
const FEWEST: usize = 2;

impl<K: PartialEq, V> LruCache<K, V> {
    /// A cache of at most so many bytes.
    pub(crate) fn new(most: usize) -> LruCache<K, V> {
        LruCache { things: Vec::new(), most }
    }

    /// The thing of that key, made if it is not there; what was not used for longest makes room for it.
    pub(crate) fn get(&mut self, key: K, make: impl FnOnce(&K) -> Result<(V, usize)>) -> Result<&mut V> {
        let thing = match self.things.iter().position(|(known, ..)| *known == key) {
            Some(at) => self.things.remove(at),
            None => {
                let (made, weight) = make(&key)?;
                (key, made, weight)
            }
        };
        self.things.push(thing);
        while self.things.len() > FEWEST && self.things.iter().map(|(.., weight)| weight).sum::<usize>() > self.most {
            self.things.remove(0);
        }
        Ok(&mut self.things.last_mut().expect("one was just put there").1)
    }
}

#[cfg(test)]
mod tests {
    use crate::inspect::cache::*;

    #[test]
    fn what_was_not_used_for_longest_makes_room_and_two_always_stay() {
        let mut cache = LruCache::new(10);
        let made = std::cell::RefCell::new(String::new());
        let mut get = |key: char, weight: usize| {
            let make = |key: &char| {
                made.borrow_mut().push(*key);
                Ok((*key, weight))
            };
            assert_eq!(*cache.get(key, make).unwrap(), key);
        };
        for (key, weight) in [('a', 4), ('b', 4), ('a', 4), ('c', 4), ('a', 4), ('b', 4)] {
            get(key, weight);
        }
        assert_eq!(*made.borrow(), "abcb");
        for (key, weight) in [('x', 100), ('y', 100), ('x', 100), ('y', 100)] {
            get(key, weight);
        }
        assert_eq!(*made.borrow(), "abcbxy");
        assert!(cache.get('z', |_| anyhow::bail!("no")).is_err());
    }
}
