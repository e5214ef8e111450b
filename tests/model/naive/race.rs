//! A hedge's box, which holds several at once.
use super::boxes::{Frame, Inner};
use super::ends::{End, Fate};
use super::ways_in::{Pass, Turn};
use crate::case::{Ms, Policy};
use crate::told::{Bad, How, Told};
use seawall::Class;

/// The attempts beside each other, the first first.
pub struct Race {
    pub lanes: Vec<Lane>,
    /// When the next begins; not known before the call has to wait, or there is none to come.
    next: Next,
    kept: Option<End>,
    /// No lane that is over forbids another attempt.
    pub may: bool,
}

pub enum Lane {
    Fresh,
    Going(Inner),
    Over,
}

enum Next {
    Waits,
    At(Ms),
    Never,
}

impl Race {
    pub fn new() -> Self {
        Race {
            lanes: vec![Lane::Fresh],
            next: Next::Waits,
            kept: None,
            may: true,
        }
    }

    pub fn start_clock(&mut self, at: Ms) {
        if let Next::Waits = self.next {
            self.next = Next::At(at);
        }
    }

    pub fn going(&mut self) -> impl Iterator<Item = &mut Inner> {
        self.lanes.iter_mut().filter_map(|lane| match lane {
            Lane::Going(inner) => Some(inner),
            _ => None,
        })
    }

    pub fn due(&self) -> Option<Ms> {
        let next = match self.next {
            Next::At(at) => Some(at),
            _ => None,
        };
        let lanes = self.lanes.iter().filter_map(|lane| match lane {
            Lane::Going(inner) => inner.due(),
            _ => None,
        });
        lanes.chain(next).min()
    }
}

/// Nothing another attempt could improve on.
fn is_final(how: &How) -> bool {
    !matches!(
        how,
        How::Answered(Class::Transient | Class::Throttled(_) | Class::Pushback(Some(_)))
            | How::TimedOut
            | How::Rejected(_)
    )
}

/// After it no further attempt is begun at once.
fn holds_off(how: &How) -> bool {
    matches!(
        how,
        How::Answered(Class::Throttled(_) | Class::Pushback(_)) | How::Rejected(_)
    )
}

fn weight(how: &How) -> u8 {
    match how {
        How::Answered(_) => 2,
        How::TimedOut => 1,
        _ => 0,
    }
}

impl Turn<'_> {
    /// Each lane in its turn; a failure begins the next.
    pub fn race(&mut self, frame: &mut Frame, pass: Pass, around: Option<Ms>) -> Option<End> {
        let Inner::Lanes(mut race) = std::mem::replace(&mut frame.inner, Inner::Over) else {
            unreachable!("a hedge holds lanes");
        };
        let end = self.run_lanes(frame.i, &mut race, pass, around);
        frame.inner = Inner::Lanes(race);
        let mut end = end?;
        frame.inner = Inner::Over;
        if let Err(Bad::Refused(refused)) = &mut end.answer {
            // By now others have been sent too.
            refused.started = self.call.ended;
            if let How::Rejected(known) = &mut end.how {
                known.started = self.call.ended;
            }
        }
        self.after(frame, end, around)
    }

    fn run_lanes(
        &mut self,
        i: usize,
        race: &mut Race,
        pass: Pass,
        around: Option<Ms>,
    ) -> Option<End> {
        if pass == Pass::Fired
            && !self.extended
            && matches!(race.next, Next::At(at) if at <= self.world.now)
        {
            // The attempt that is out may have arrived.
            self.launch(i, race, around, self.call.may_repeat(true));
        }
        loop {
            let mut more = false;
            let is_alone = race.lanes.len() == 1;
            for n in 0..race.lanes.len() {
                let lane = &mut race.lanes[n];
                let Some(end) = self.run_lane(i, lane, is_alone, pass, around) else {
                    if self.panicked {
                        return None;
                    }
                    continue;
                };
                if is_final(&end.how) {
                    let lanes = std::mem::take(&mut race.lanes);
                    let rest = Race {
                        lanes,
                        ..Race::new()
                    };
                    self.settle(Inner::Lanes(rest), Fate::Dropped);
                    return Some(end);
                }
                more |= !holds_off(&end.how) && end.may;
                race.may &= end.may;
                let better = |kept: &End| weight(&end.how) >= weight(&kept.how);
                if race.kept.as_ref().is_none_or(better) {
                    race.kept = Some(end);
                }
            }
            if !more || !self.launch(i, race, around, true) {
                break;
            }
        }
        let over = race.lanes.iter().all(|lane| matches!(lane, Lane::Over));
        let kept = race.kept.filter(|_| over)?;
        let may = race.may && self.call.may_repeat(false);
        Some(End { may, ..kept })
    }

    fn run_lane(
        &mut self,
        i: usize,
        lane: &mut Lane,
        is_alone: bool,
        pass: Pass,
        around: Option<Ms>,
    ) -> Option<End> {
        let end = match lane {
            Lane::Over => return None,
            // Nothing races yet: as without the hedge.
            Lane::Going(inner) if is_alone => self.poll(inner, pass, around)?,
            Lane::Going(inner) => self.poll_lane(inner, pass, around)?,
            Lane::Fresh => match self.enter(i + 1, around) {
                Ok(inner) => {
                    *lane = Lane::Going(inner);
                    return None;
                }
                Err(end) => end,
            },
        };
        *lane = Lane::Over;
        Some(end)
    }

    /// At equal instants a wait ends before a deadline cuts it off, and another lane may have given
    /// its permit back in this very pass.
    fn poll_lane(&mut self, inner: &mut Inner, pass: Pass, around: Option<Ms>) -> Option<End> {
        let moved = std::mem::replace(&mut self.moved, false);
        let mut end = self.poll(inner, Pass::Asked, around);
        if pass == Pass::Fired && end.is_none() && !self.moved {
            end = self.poll(inner, pass, around);
        }
        self.moved |= moved;
        end
    }

    /// One more beside the others.
    fn launch(&mut self, i: usize, race: &mut Race, around: Option<Ms>, may: bool) -> bool {
        let Policy::Hedge { attempts, .. } = self.stack[i].policy else {
            unreachable!("a hedge");
        };
        let out = race.lanes.len() as u32;
        if !may || out >= attempts {
            race.next = Next::Never;
            return false;
        }
        if around.is_some_and(|deadline| deadline <= self.world.now) {
            return false;
        }
        self.moved = true;
        race.lanes.push(Lane::Fresh);
        race.next = if out + 1 < attempts {
            Next::Waits
        } else {
            Next::Never
        };
        self.tell(Told::Hedged(self.name(i), out + 1));
        true
    }
}
