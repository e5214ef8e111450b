//! The books of a budget over a sliding window. Pure.
//!
//! ```text
//! available = ratio × first attempts + floor × window − retries      (all of the window alone)
//!
//! deposit    a first attempt enters the youngest tenth
//! withdraw   if available >= 1: a retry enters the youngest tenth
//! refund     a retry of the tenth it was entered in is taken back, if that is in the window
//! advance    the oldest tenth leaves whole, with its attempts and its retries
//! ```
use crate::clock::{Instant, nanos, nanos_since};
use std::time::Duration;

/// Parts of the window. What is counted leaves when it is between nine tenths of a window and a
/// whole window old.
const SLOTS: usize = 10;

/// Shares are counted in millionths of a retry, so that no sum depends on rounding.
const UNIT: u64 = 1_000_000;

#[derive(Clone, Debug)]
pub(super) struct Window {
    /// The youngest first.
    slots: [Slot; SLOTS],
    sum: Slot,
    ratio: u64,
    reserve: u64,
    epoch: Instant,
    /// How many slots have begun since `epoch`.
    begun: u64,
    slot_nanos: u64,
}

#[derive(Clone, Copy, Debug, Default)]
struct Slot {
    deposits: u64,
    retries: u64,
}

impl Window {
    pub(super) fn new(ratio: f64, over: Duration, floor_per_second: f64, now: Instant) -> Self {
        // A float becomes an integer by saturation.
        let units = |share: f64| (share * UNIT as f64).round() as u64;
        Window {
            slots: [Slot::default(); SLOTS],
            sum: Slot::default(),
            ratio: units(ratio),
            reserve: units(floor_per_second * over.as_secs_f64()),
            epoch: now,
            begun: 0,
            slot_nanos: (nanos(over) / SLOTS as u64).max(1),
        }
    }

    pub(super) fn deposit(&mut self, count: u64, now: Instant) {
        self.advance(now);
        self.add(count);
    }

    /// First attempts made at some time since the last entry: they count from there.
    pub(super) fn deposit_late(&mut self, count: u64) {
        self.add(count);
    }

    /// The number of the tenth that it is entered in.
    pub(super) fn withdraw(&mut self, now: Instant) -> Option<u64> {
        if self.available(now) == 0 {
            return None;
        }
        let [youngest, ..] = &mut self.slots;
        youngest.retries += 1;
        self.sum.retries += 1;
        Some(self.begun)
    }

    /// One that was entered so many tenths ago. Nothing, if it has left the window.
    pub(super) fn refund(&mut self, tenths: u8) {
        if let Some(slot) = self.slots.get_mut(usize::from(tenths))
            && slot.retries > 0
        {
            slot.retries -= 1;
            self.sum.retries = self.sum.retries.saturating_sub(1);
        }
    }

    /// The number of the youngest tenth.
    pub(super) fn begun(&mut self, now: Instant) -> u64 {
        self.advance(now);
        self.begun
    }

    /// Whole retries that are left.
    pub(super) fn available(&mut self, now: Instant) -> u64 {
        self.advance(now);
        let earned = self.sum.deposits.saturating_mul(self.ratio);
        (earned.saturating_add(self.reserve) / UNIT).saturating_sub(self.sum.retries)
    }

    /// How many first attempts may be left out of the books for a while: under one in a hundred of
    /// those in the window.
    pub(super) fn slack(&self) -> u64 {
        self.sum.deposits / 128
    }

    fn add(&mut self, deposits: u64) {
        let [youngest, ..] = &mut self.slots;
        youngest.deposits = youngest.deposits.saturating_add(deposits);
        self.sum.deposits = self.sum.deposits.saturating_add(deposits);
    }

    /// Time that arrives out of order belongs to the youngest slot.
    fn advance(&mut self, now: Instant) {
        let begun = nanos_since(self.epoch, now) / self.slot_nanos;
        let passed = begun.saturating_sub(self.begun);
        self.begun = self.begun.max(begun);
        for _ in 0..passed.min(SLOTS as u64) {
            self.slots.rotate_right(1);
            let [youngest, ..] = &mut self.slots;
            let left = std::mem::take(youngest);
            self.sum.deposits = self.sum.deposits.saturating_sub(left.deposits);
            self.sum.retries = self.sum.retries.saturating_sub(left.retries);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock;
    use proptest::prelude::*;

    const S: Duration = Duration::from_secs(1);

    #[test]
    fn retries_are_a_share_of_first_attempts() {
        let now = clock::now();
        let mut window = Window::new(0.2, 10 * S, 0.0, now);
        window.deposit(4, now);
        assert_eq!(window.withdraw(now), None);
        window.deposit(6, now);
        assert_eq!(window.available(now), 2);
        let drawn = [(); 3].map(|()| window.withdraw(now));
        assert_eq!(drawn, [Some(0), Some(0), None]);
    }

    #[test]
    fn deposits_and_retries_age_out() {
        let start = clock::now();
        let mut window = Window::new(1.0, 10 * S, 0.0, start);
        window.deposit(3, start);
        assert_eq!(window.withdraw(start + S), Some(1));
        assert_eq!(window.available(start + 9 * S), 2);
        assert_eq!(window.available(start + 10 * S), 0);
        window.deposit(1, start + 10 * S);
        assert_eq!(window.available(start + 10 * S), 0, "the retry counts on");
        assert_eq!(window.available(start + 11 * S), 1);
        assert_eq!(window.available(start + 1_000_000 * S), 0);
    }

    #[test]
    fn the_floor_is_there_without_traffic_and_comes_back_with_the_window() {
        let start = clock::now();
        let mut window = Window::new(0.1, 10 * S, 0.5, start);
        let drawn = (0..100).filter_map(|_| window.withdraw(start)).count();
        assert_eq!(drawn, 5);
        assert_eq!(window.available(start + 9 * S), 0);
        assert_eq!(window.available(start + 10 * S), 5);
    }

    #[test]
    fn a_refund_gives_back_once_and_never_more_than_was_taken() {
        let now = clock::now();
        let mut window = Window::new(1.0, 10 * S, 0.0, now);
        window.deposit(1, now);
        assert!(window.withdraw(now).is_some());
        window.refund(0);
        window.refund(0);
        assert_eq!(window.available(now), 1);
    }

    /// It took back that of another, which had been made.
    #[test]
    fn nothing_comes_back_of_a_retry_that_has_left_the_window() {
        let start = clock::now();
        let mut window = Window::new(0.1, 10 * S, 0.1, start);
        assert_eq!(window.withdraw(start), Some(0));
        let later = start + 12 * S;
        assert_eq!(window.withdraw(later), Some(12));
        window.refund(12);
        assert_eq!(window.available(later), 0);
    }

    #[test]
    fn an_older_now_counts_as_the_youngest() {
        let start = clock::now();
        let mut window = Window::new(1.0, 10 * S, 0.0, start);
        window.deposit(1, start + 20 * S);
        window.deposit(1, start);
        assert_eq!(window.available(start), 2);
    }

    #[test]
    fn the_largest_numbers_saturate() {
        let start = clock::now();
        let mut window = Window::new(1.0, Duration::MAX, f64::MAX, start);
        window.deposit(u64::MAX, start);
        window.deposit(u64::MAX, start);
        assert_eq!(window.available(start), u64::MAX / UNIT);
    }

    /// Keeps everything that ever happened, each with the tenth it happened in.
    #[derive(Default)]
    struct Model {
        deposits: Vec<u64>,
        retries: Vec<u64>,
    }

    impl Model {
        fn available(&self, tenth: u64, ratio_percent: u64, reserve: u64) -> u64 {
            let in_window = |all: &[u64]| {
                let recent = all.iter().filter(|at| **at + 10 > tenth);
                recent.count() as u64
            };
            let earned = (in_window(&self.deposits) * ratio_percent + reserve * 100) / 100;
            earned.saturating_sub(in_window(&self.retries))
        }
    }

    #[derive(Clone, Debug)]
    enum Step {
        Deposit(u64),
        Withdraw,
        Refund(prop::sample::Index),
        Pass(u64),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            (1..20_u64).prop_map(Step::Deposit),
            Just(Step::Withdraw),
            Just(Step::Withdraw),
            any::<prop::sample::Index>().prop_map(Step::Refund),
            (0..2_500_u64).prop_map(Step::Pass),
        ]
    }

    proptest! {
        #[test]
        fn it_agrees_with_a_model_that_forgets_nothing(
            ratio_percent in 1..=100_u64,
            reserve in 0..5_u64,
            steps in prop::collection::vec(step(), 0..200),
        ) {
            let start = clock::now();
            let floor = reserve as f64 / 10.0;
            let mut window = Window::new(ratio_percent as f64 / 100.0, 10 * S, floor, start);
            let mut model = Model::default();
            let mut ms = 0;
            for step in steps {
                let (now, tenth) = (start + Duration::from_millis(ms), ms / 1_000);
                match step {
                    Step::Deposit(n) => {
                        window.deposit(n, now);
                        model.deposits.extend(std::iter::repeat_n(tenth, n as usize));
                    }
                    Step::Withdraw => {
                        let may = model.available(tenth, ratio_percent, reserve) > 0;
                        prop_assert_eq!(window.withdraw(now), may.then_some(tenth));
                        model.retries.extend(may.then_some(tenth));
                    }
                    Step::Refund(which) if !model.retries.is_empty() => {
                        let at = model.retries.remove(which.index(model.retries.len()));
                        prop_assert_eq!(window.begun(now), tenth);
                        window.refund((tenth - at).min(255) as u8);
                    }
                    Step::Refund(_) => {}
                    Step::Pass(more) => ms += more,
                }
                let now = start + Duration::from_millis(ms);
                let left = model.available(ms / 1_000, ratio_percent, reserve);
                prop_assert_eq!(window.available(now), left);
            }
        }
    }
}
