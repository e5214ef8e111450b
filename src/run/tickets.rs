//! The tickets a walk holds, outermost first: a stack of fixed depth, uninitialised above its
//! length.
//!
//! Zeroing the slots of a future that is moved right after costs more than a whole policy, and so
//! does a length that is read, changed and written for every policy. So slots stay uninitialised
//! until used, and the length is only ever written, from the walk's own index.
#![allow(unsafe_code)]

use std::mem::MaybeUninit;

/// At most `N` tickets.
///
/// Invariant: the first `len` slots are initialised, and `len <= N`.
#[derive(Clone)]
#[repr(C)]
pub struct Tickets<const N: usize> {
    len: u32,
    slots: [MaybeUninit<u64>; N],
}

/// What a walk needs of its tickets, whatever their number.
pub trait Held: Clone {
    fn none() -> Self;
    fn len(&self) -> usize;
    /// The ticket of frame `i`; 0 if there is none.
    fn get(&self, i: usize) -> u64;
    /// Writes frame `i`, which is held already or the next one inward.
    fn put(&mut self, i: usize, ticket: u64);
    /// Takes frame `i` and everything further in away; 0 if there is none.
    fn take(&mut self, i: usize) -> u64;
}

impl<const N: usize> Held for Tickets<N> {
    #[inline(always)]
    fn none() -> Self {
        Tickets {
            len: 0,
            slots: [MaybeUninit::uninit(); N],
        }
    }

    #[inline(always)]
    fn len(&self) -> usize {
        self.len as usize
    }

    #[inline(always)]
    fn get(&self, i: usize) -> u64 {
        match self.slots.get(i) {
            // SAFETY: `i < len`, so the slot is initialised, by the invariant.
            Some(slot) if i < self.len as usize => unsafe { slot.assume_init() },
            _ => 0,
        }
    }

    #[inline(always)]
    fn put(&mut self, i: usize, ticket: u64) {
        debug_assert!(
            i <= self.len as usize && i < N,
            "frames are held from the outside in, `N` at most"
        );
        // Keeps the invariant: nothing above `len + 1` is ever written.
        if i <= self.len as usize
            && let Some(slot) = self.slots.get_mut(i)
        {
            slot.write(ticket);
            self.len = self.len.max(i as u32 + 1);
        }
    }

    #[inline(always)]
    fn take(&mut self, i: usize) -> u64 {
        let ticket = self.get(i);
        self.len = self.len.min(i as u32);
        ticket
    }
}

/// The one ticket of a policy alone: plain fields, which the compiler keeps in registers.
#[derive(Clone)]
pub struct One {
    held: bool,
    ticket: u64,
}

impl Held for One {
    #[inline(always)]
    fn none() -> Self {
        One {
            held: false,
            ticket: 0,
        }
    }

    #[inline(always)]
    fn len(&self) -> usize {
        usize::from(self.held)
    }

    #[inline(always)]
    fn get(&self, i: usize) -> u64 {
        if i == 0 && self.held { self.ticket } else { 0 }
    }

    #[inline(always)]
    fn put(&mut self, i: usize, ticket: u64) {
        debug_assert!(i == 0, "there is one frame");
        (self.held, self.ticket) = (true, ticket);
    }

    #[inline(always)]
    fn take(&mut self, i: usize) -> u64 {
        let ticket = self.get(i);
        self.held &= i > 0;
        ticket
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// As a list would do it that takes `most` tickets.
    fn is_a_stack<H: Held>(most: usize, steps: &[(bool, usize, u64)]) -> Result<(), TestCaseError> {
        let (mut tickets, mut model) = (H::none(), Vec::new());
        for &(put, i, ticket) in steps {
            if put && i <= model.len() && i < most {
                tickets.put(i, ticket);
                if i < model.len() {
                    model[i] = ticket
                } else {
                    model.push(ticket)
                }
            } else if !put {
                prop_assert_eq!(tickets.take(i), model.get(i).copied().unwrap_or(0));
                model.truncate(i);
            }
            prop_assert_eq!(tickets.len(), model.len());
            for i in 0..5 {
                prop_assert_eq!(tickets.get(i), model.get(i).copied().unwrap_or(0));
            }
        }
        Ok(())
    }

    proptest! {
        #[test]
        fn it_is_a_stack(steps in prop::collection::vec((any::<bool>(), 0usize..5, any::<u64>()), 0..60)) {
            is_a_stack::<Tickets<4>>(4, &steps)?;
            is_a_stack::<One>(1, &steps)?;
        }
    }
}
