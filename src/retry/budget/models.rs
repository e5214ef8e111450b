//! Every interleaving of a few attempts that share one budget.
use super::*;
use loom::thread;

/// A retry for each first attempt, and none besides, over so long that nothing leaves.
fn one_for_one() -> RetryBudget {
    let budget = RetryBudget::new(1.0).over(Duration::from_secs(86_400));
    budget.floor_per_second(0.0).build().unwrap()
}

#[test]
fn no_deposit_is_lost_and_none_spent_twice() {
    loom::model(|| {
        let budget = one_for_one();
        let now = clock::now();
        let other = {
            let budget = budget.clone();
            thread::spawn(move || {
                budget.deposit(|| now);
                budget.withdraw(now).is_some()
            })
        };
        budget.deposit(|| now);
        let mine = budget.withdraw(now).is_some();
        let other = other.join().unwrap();
        let left = budget.entered(now, |books| books.available(now));
        assert_eq!(u64::from(mine) + u64::from(other) + left, 2);
    });
}

#[test]
fn deposits_that_are_entered_late_are_entered_once() {
    loom::model(|| {
        let budget = one_for_one();
        // As after many: two may be late.
        budget.0.slack.store(2, Relaxed);
        let now = clock::now();
        let other = {
            let budget = budget.clone();
            thread::spawn(move || (0..2).for_each(|_| budget.deposit(|| now)))
        };
        budget.deposit(|| now);
        let drawn = budget.withdraw(now).is_some();
        other.join().unwrap();
        let left = budget.entered(now, |books| books.available(now));
        assert_eq!(u64::from(drawn) + left, 3);
    });
}
