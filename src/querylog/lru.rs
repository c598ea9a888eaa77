//! A table in the order of last use, so that what was unused for longest can be forgotten.

/// The end of the list.
const NONE: u32 = u32::MAX;

/// Values at fixed indices, from the one that was used last to the one that was unused for longest.
#[derive(Debug)]
pub struct Lru<T> {
    values: Vec<Option<T>>,
    /// The neighbours of each value. They lie close together, apart from the values, because each use of a value changes
    /// those of three.
    links: Vec<Links>,
    free: Vec<u32>,
    newest: u32,
    oldest: u32,
}

/// The values that were used after and before one.
#[derive(Clone, Copy, Debug)]
struct Links {
    newer: u32,
    older: u32,
}

impl<T> Default for Lru<T> {
    fn default() -> Self {
        Self { values: Vec::new(), links: Vec::new(), free: Vec::new(), newest: NONE, oldest: NONE }
    }
}

impl<T> Lru<T> {
    /// Bytes that a place takes beside its value.
    pub const OVERHEAD: usize = size_of::<Option<T>>() - size_of::<T>() + size_of::<Links>() + size_of::<u32>();

    /// Puts a value in as the newest, and returns its index.
    pub fn insert(&mut self, value: T) -> u32 {
        let index = match self.free.pop() {
            Some(index) => {
                self.values[index as usize] = Some(value);
                index
            }
            None => {
                self.make_room();
                self.values.push(Some(value));
                self.links.push(Links { newer: NONE, older: NONE });
                // invariant: the memory limit ends the table long before 2^32 values
                (self.values.len() - 1) as u32
            }
        };
        self.link(index);
        index
    }

    /// Grows by an eighth at a time. A list that doubles would leave up to half of the memory limit unused or uncounted.
    fn make_room(&mut self) {
        if self.values.len() == self.values.capacity() {
            let more = (self.values.len() / 8).max(16);
            self.values.reserve_exact(more);
            self.links.reserve_exact(more);
        }
    }

    pub fn get(&self, index: u32) -> Option<&T> {
        self.values.get(index as usize)?.as_ref()
    }

    /// The value, which is the newest from now on.
    pub fn touch(&mut self, index: u32) -> Option<&mut T> {
        self.get(index)?;
        if self.newest != index {
            self.unlink(index);
            self.link(index);
        }
        self.get_mut(index)
    }

    pub fn get_mut(&mut self, index: u32) -> Option<&mut T> {
        self.values.get_mut(index as usize)?.as_mut()
    }

    pub fn remove(&mut self, index: u32) -> Option<T> {
        let value = self.values.get_mut(index as usize)?.take()?;
        self.unlink(index);
        self.free.push(index);
        Some(value)
    }

    /// The index of the value that was unused for longest.
    pub fn oldest(&self) -> Option<u32> {
        (self.oldest != NONE).then_some(self.oldest)
    }

    /// The indices of all values.
    pub fn indices(&self) -> Vec<u32> {
        let is_used = |(index, value): (usize, &Option<T>)| value.is_some().then_some(index as u32);
        self.values.iter().enumerate().filter_map(is_used).collect()
    }

    pub fn len(&self) -> usize {
        self.values.len() - self.free.len()
    }

    fn link(&mut self, index: u32) {
        let former = std::mem::replace(&mut self.newest, index);
        self.links[index as usize] = Links { newer: NONE, older: former };
        match former {
            NONE => self.oldest = index,
            former => self.links[former as usize].newer = index,
        }
    }

    fn unlink(&mut self, index: u32) {
        let Links { newer, older } = self.links[index as usize];
        match newer {
            NONE => self.newest = older,
            newer => self.links[newer as usize].older = older,
        }
        match older {
            NONE => self.oldest = newer,
            older => self.links[older as usize].newer = newer,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes everything out, from the oldest on.
    fn emptied(mut lru: Lru<u8>) -> Vec<u8> {
        std::iter::from_fn(|| lru.oldest().and_then(|index| lru.remove(index))).collect()
    }

    #[test]
    fn the_oldest_is_the_one_that_was_unused_for_longest() {
        let mut lru = Lru::default();
        let indices: Vec<u32> = (0..5).map(|value| lru.insert(value)).collect();
        lru.touch(indices[0]);
        lru.touch(indices[2]);
        lru.touch(indices[2]);
        assert_eq!(lru.remove(indices[3]), Some(3));
        assert_eq!((lru.remove(indices[3]), lru.get(indices[3]), lru.len()), (None, None, 4));
        assert_eq!(lru.insert(9), indices[3], "a free place is used again");
        assert_eq!(emptied(lru), [1, 4, 0, 2, 9]);
        assert_eq!(emptied(Lru::default()), [0; 0]);
    }
}
