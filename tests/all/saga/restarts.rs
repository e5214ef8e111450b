//! Restarts that went wrong once.
use super::{
    gate::Stop,
    life::{End, In, Paid, Story},
    stories::{abc, soon, step, verified},
    world::{Habit, Way, World},
};
use seawall::{
    retry::Backoff,
    saga::{Abort, Flow, Outcome, StepContext, StepRetry},
};
use std::{sync::Arc, time::Duration};

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

/// The row that begins a run also has what ended the one before it, and was taken for damage.
/// A signal that came in the first run and was not waited for there was lost.
#[tokio::test(start_paused = true)]
async fn a_saga_that_continues_goes_on_with_the_signals_it_has_not_read() {
    let story = Story::new("rounds", |b| {
        b.saga("rounds", |saga: Flow, round: In| async move {
            let round = round.unwrap_or(0);
            if round < 2 {
                saga.sleep(Duration::from_secs(1)).await;
                return saga.continue_as(Some(round + 1));
            }
            let first = saga.wait_for::<Paid>().await;
            let second = saga.wait_for::<Paid>().await;
            Ok::<_, Abort>(format!("{round}: {} {}", first.0, second.0))
        })
    });
    let told = story.signal(10, true).signal(10, true).tell(&[]).await;
    assert_eq!(told.out.as_deref(), Some("2: 0 1"), "{}", told.text());
}

/// A signal that nobody reads any more made the compensation's long wait end at once, and begin
/// again, with a row each time, for ever.
#[tokio::test(start_paused = true)]
async fn a_signal_to_a_saga_that_is_being_undone_brings_it_back_once() {
    let late = StepRetry::attempts(3).backoff(Backoff::constant(Duration::from_secs(20)));
    let story = Story::new("undone", move |b| {
        let x = step(b, "a", late.clone());
        b.saga("undone", move |saga: Flow, _: In| async move {
            saga.call(x, 1).await?;
            Err::<String, _>(Abort::new("no more"))
        })
    });
    let story = story.script("undo a", &[Way::Transient]);
    let told = story.signal(50, true).ends(End::Undone).tell(&[]).await;
    assert_eq!(told.end, End::Undone, "{}", told.text());
    assert_eq!(told.world.log(), ["run a", "undo a", "undo a"]);
}

/// The signal that was handed on made the next run look like one that had been here before.
#[tokio::test(start_paused = true)]
async fn a_run_that_was_handed_a_signal_meets_changes_of_the_code_for_the_first_time() {
    let story = Story::new("patched", |b| {
        b.saga("patched", |saga: Flow, round: In| async move {
            let new = saga.patched("new");
            if round.is_none() {
                saga.sleep(Duration::from_secs(1)).await;
                return saga.continue_as(Some(1));
            }
            let paid = saga.wait_for::<Paid>().await;
            Ok::<_, Abort>(format!("{new} {}", paid.0))
        })
    });
    let told = story.signal(10, true).tell(&[]).await;
    assert_eq!(told.out.as_deref(), Some("true 0"), "{}", told.text());
}

/// What was settled because the deadline had passed was told to the code after a restart, which went
/// on with it, here to its pivot.
#[tokio::test(start_paused = true)]
async fn a_saga_that_its_deadline_has_ended_stays_given_up_through_a_restart() {
    let story = Story::new("late", |b| {
        let [x, y, z] = abc(b);
        b.saga("late", move |saga: Flow, _: In| async move {
            let short = saga.sleep(Duration::from_millis(1));
            saga.race(saga.call(x, 1), short).await;
            match saga.call(y, 2).await {
                Err(_) => Ok::<_, Abort>(saga.pivot(z, 3).await?),
                Ok(done) => Ok(done),
            }
        })
    });
    let story = story.deadline(8).ends(End::Undone);
    let story = story
        .script("a", &[Way::Slow])
        .script("b", &[Way::Transient]);
    ends_wherever_it_is_stopped(&story).await;
}

#[tokio::test(start_paused = true)]
async fn a_wait_that_is_written_down_is_not_shortened_by_a_restart() {
    let late = StepRetry::attempts(3).backoff(Backoff::constant(Duration::from_secs(20)));
    let story = Story::new("beside", move |b| {
        let (x, y) = (step(b, "a", late.clone()), step(b, "b", soon()));
        b.saga("beside", move |saga: Flow, _: In| async move {
            let others = async {
                saga.call(y, 2).await?;
                saga.call(y, 3).await
            };
            Ok::<_, Abort>(tokio::try_join!(saga.call(x, 1), others)?.0)
        })
    });
    let story = story.script("a", &[Way::Transient]);
    ends_wherever_it_is_stopped(&story).await;
}

/// Both had brought their process down twice, so each was to run alone; and the parent, which waited
/// for the end of its child, was let in first.
#[tokio::test(start_paused = true)]
async fn a_suspect_that_waits_for_its_child_lets_the_child_run() {
    let story = Story::new("parent", |b| {
        let [x, y, _] = abc(b);
        let inner = b.saga("inner", move |saga: Flow, (): ()| async move {
            Ok::<_, Abort>(saga.call(y, 1).await?)
        });
        let undo = |_: Arc<World>, _: StepContext, (): (), _: Outcome<String>| async { Ok(()) };
        let child = b.child("child", inner, undo);
        b.saga("parent", move |saga: Flow, _: In| async move {
            let (x, y) = (saga.call(x, 1), saga.child(child, ()));
            Ok::<_, Abort>(tokio::try_join!(x, y)?.0)
        })
    });
    let story = story.habit("a", Habit::Refuses).ends(End::Undone);
    let story = story.script("b", &[Way::Slow, Way::Slow, Way::Slow]);
    for at in 0.. {
        let told = story.tell(&[at, 1]).await;
        assert_eq!(told.end, End::Undone, "killed at {at}\n{}", told.text());
        if told.deaths == 0 {
            break;
        }
    }
}

async fn ends_wherever_it_is_stopped(story: &Story) {
    for how in [Stop::Killed, Stop::Drained] {
        for at in 0.. {
            let told = story.tell_through(&[(at, how)]).await;
            assert_eq!(told.end, story.end, "{how:?} at {at}\n{}", told.text());
            if told.deaths == 0 {
                break;
            }
        }
    }
}
