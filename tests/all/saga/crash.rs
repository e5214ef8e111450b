//! The process dies at every point there is: before and after each write and each effect, once and
//! twice, and every time the saga ends as it must.
use super::{
    life::{Story, Told},
    stories,
};

fn as_it_must(story: &Story, told: &Told, kills: &[usize]) {
    let Story { name, or, out, .. } = story;
    let (base, end, text) = (story.end, told.end, told.text());
    assert!(
        end == base || or.contains(&end),
        "{name}: killed at {kills:?} it ended as {end:?}, not {base:?}\n{text}"
    );
    if let (Some(told), Some(out)) = (&told.out, out) {
        assert_eq!(told, out, "{name}: killed at {kills:?}\n{text}");
    }
}

#[tokio::test(start_paused = true)]
async fn killed_at_any_point_a_saga_ends_as_it_must() {
    let mut runs = 0;
    for story in stories::all() {
        as_it_must(&story, &story.tell(&[]).await, &[]);
        for at in 0.. {
            let told = story.tell(&[at]).await;
            runs += 1;
            as_it_must(&story, &told, &[at]);
            if told.deaths == 0 {
                break;
            }
        }
    }
    assert!(runs > 200, "{runs}");
}

/// Both halves together would be the longest of all tests.
async fn killed_at_any_two_points(stories: impl Iterator<Item = Story>) {
    let mut runs = 0;
    for story in stories {
        as_it_must(&story, &story.tell(&[]).await, &[]);
        'first: for first in 0.. {
            for second in 0.. {
                let told = story.tell(&[first, second]).await;
                runs += 1;
                as_it_must(&story, &told, &[first, second]);
                if told.deaths == 0 {
                    break 'first;
                }
                if told.deaths == 1 {
                    break;
                }
            }
        }
    }
    assert!(runs > 500, "{runs}");
}

#[tokio::test(start_paused = true)]
async fn killed_at_any_two_points_a_saga_ends_as_it_must() {
    killed_at_any_two_points(stories::small().into_iter().step_by(2)).await;
}

#[tokio::test(start_paused = true)]
async fn killed_at_any_two_points_every_other_saga_ends_as_it_must() {
    killed_at_any_two_points(stories::small().into_iter().skip(1).step_by(2)).await;
}
