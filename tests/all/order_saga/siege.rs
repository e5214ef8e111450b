//! SIGKILL of any process of the system, of two, of all, and again while they recover, as long as
//! customers go on ordering. After each strike customers hold still for a moment, every order has to
//! end, and the books are compared: what the services have, what the journal says, what was told.
//!
//! The moments are drawn at random, in answers that customers have had. `SEAWALL_LONG=1` strikes a
//! thousand times instead of a few; `SEAWALL_SEED` draws again what a failure has named, as far as
//! processes allow.
#![cfg(target_os = "linux")]
mod books;
mod customers;
mod town;

use super::alone;
use customers::Customers;
use fastrand::Rng;
use tempfile::TempDir;
use tokio::task::JoinSet;
use town::Town;

/// Each with folders and customers of its own, so that books do not grow for ever.
const TOWNS: u64 = 10;
const STRIKES_IN_TOWN: u32 = 100;
/// Most of a strike is waiting, so several towns go side by side.
const AT_ONCE: usize = 10;
/// The quick form: one town.
const FEW: u32 = 8;

/// What became of it, for whoever reads the log.
#[derive(Debug, Default)]
struct Toll {
    strikes: u32,
    killed: u32,
    /// Of these, while they were starting or had just started.
    recovering: u32,
    orders: usize,
    confirmed: usize,
    cancelled: usize,
    /// Sagas that were found cut off, where orders was among those struck.
    cut_off: u32,
    /// Sagas that an operator had to send on their way again.
    stuck: u32,
    answers: u64,
    unanswered: u64,
}

impl Toll {
    fn add(&mut self, other: &Toll) {
        self.strikes += other.strikes;
        self.killed += other.killed;
        self.recovering += other.recovering;
        self.orders += other.orders;
        self.confirmed += other.confirmed;
        self.cancelled += other.cancelled;
        self.cut_off += other.cut_off;
        self.stuck += other.stuck;
        self.answers += other.answers;
        self.unanswered += other.unanswered;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn struck_at_any_moment_under_load_the_books_agree_each_time() {
    let _alone = alone().await;
    let long = std::env::var_os("SEAWALL_LONG").is_some();
    let (towns, strikes) = if long {
        (TOWNS, STRIKES_IN_TOWN)
    } else {
        (1, FEW)
    };
    let seed = std::env::var("SEAWALL_SEED").map(|seed| seed.parse().unwrap());
    let seed = seed.unwrap_or_else(|_| fastrand::u64(..));
    eprintln!("SEAWALL_SEED={seed}");
    let (mut sum, mut besieged) = (Toll::default(), JoinSet::new());
    for n in 0..towns {
        if besieged.len() == AT_ONCE {
            sum.add(&besieged.join_next().await.unwrap().unwrap());
        }
        besieged.spawn(besiege(Rng::with_seed(seed.wrapping_add(n)), strikes));
    }
    while let Some(toll) = besieged.join_next().await {
        sum.add(&toll.unwrap());
    }
    eprintln!("{sum:?}");
    assert_eq!(u64::from(sum.strikes), towns * u64::from(strikes));
    assert!(sum.killed >= sum.strikes && sum.recovering > 0, "{sum:?}");
    assert!(sum.confirmed > 0 && sum.cancelled > 0, "{sum:?}");
}

/// One town, struck again and again.
async fn besiege(mut rng: Rng, strikes: u32) -> Toll {
    let mut toll = Toll::default();
    let folder = Folder(tempfile::tempdir().unwrap());
    let data = folder.0.path();
    let mut town = Town::found(data, &mut rng).await;
    let mut customers = Customers::open(&town.gateway(), &mut rng);
    let mut sums = books::Sums::default();
    for _ in 0..strikes {
        customers.order();
        customers.answers(rng.u64(1..60)).await;
        strike(&mut town, &customers, &mut rng, &mut toll).await;
        customers.answers(rng.u64(0..20)).await;
        // Everybody still asks until they are told the end, with the system as it is now.
        toll.stuck += town.tended(customers.hold_still()).await;
        toll.stuck += town.all_sagas_have_ended().await;
        sums = books::agree(data, &customers.told());
        town.begin_all();
        town.all_are_ready().await;
        toll.strikes += 1;
        if toll.strikes.is_multiple_of(10) {
            eprintln!("{toll:?}");
        }
    }
    (toll.orders, toll.confirmed, toll.cancelled) = (sums.orders, sums.confirmed, sums.cancelled);
    (toll.answers, toll.unanswered) = customers.leave();
    town.end().await;
    toll
}

/// What is left of a town that fell is kept, to look at.
struct Folder(TempDir);

impl Drop for Folder {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.disable_cleanup(true);
            eprintln!("its databases and logs are in {}", self.0.path().display());
        }
    }
}

/// Kills some, perhaps some more before they have recovered, and leaves the system running.
async fn strike(town: &mut Town, customers: &Customers, rng: &mut Rng, toll: &mut Toll) {
    let all: Vec<usize> = (0..town.size()).collect();
    let some = match rng.u32(0..10) {
        0..5 => 1,
        5..9 => 2,
        _ => all.len(),
    };
    let victims = rng.choose_multiple(all.iter().copied(), some);
    toll.killed += town.kill(&victims).await;
    if !town.runs("orders") {
        toll.cut_off += books::unfinished(town.data());
    }
    customers.answers(rng.u64(0..8)).await;
    // Once more, while it recovers: before it is ready, or a few answers after.
    for _ in 0..rng.u32(0..4) {
        for victim in &victims {
            town.begin(*victim);
        }
        let again = *rng.choice(&victims).unwrap();
        if rng.u32(0..3) > 0 {
            town.has_spoken(again, rng).await;
            toll.recovering += 1;
        } else {
            town.is_ready(again).await;
            customers.answers(rng.u64(0..8)).await;
        }
        toll.killed += town.kill(&[again]).await;
    }
    town.begin_all();
    town.all_are_ready().await;
}
