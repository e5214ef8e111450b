//! Restarts that went wrong once.
use super::{
    life::{End, In, Story},
    stories::{step, verified},
    world::Way,
};
use seawall::{
    retry::Backoff,
    saga::{Abort, Flow, StepRetry},
};
use std::time::Duration;

/// It waited, left memory, came back, doubted the attempt that the crash had cut off, waited again,
/// and so on for ever.
#[tokio::test(start_paused = true)]
async fn a_step_cut_off_by_a_crash_is_tried_again_after_one_long_wait() {
    let slow = StepRetry::attempts(3).backoff(Backoff::constant(Duration::from_secs(20)));
    for asked in [false, true] {
        let slow = slow.clone();
        let story = Story::new("one", move |b| {
            let x = match asked {
                true => verified(b, "a", slow.clone()),
                false => step(b, "a", slow.clone()),
            };
            b.saga("one", move |saga: Flow, _: In| async move {
                Ok::<_, Abort>(saga.call(x, 1).await?)
            })
        });
        // In the first attempt, before its effect.
        let told = story.script("a", &[Way::Slow]).tell(&[4]).await;
        assert_eq!((told.deaths, told.end), (1, End::Finished));
        let log = told.world.log();
        assert_eq!(log, ["run a", "run a"], "{}", told.text());
    }
}
