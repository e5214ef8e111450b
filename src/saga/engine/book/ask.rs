//! What the code asks for, against what the journal has.
use super::{Around, Book, Open, Park, What};
use crate::saga::{
    flow::Ask,
    journal::{Event, Raw, StuckKind},
};

impl Book {
    /// Books what the code asks for. `Some`: it is new, and the journal has to have it.
    pub(in crate::saga::engine) fn ask(
        &mut self,
        op: u32,
        ask: Ask,
        around: &Around<'_>,
    ) -> Result<Option<Event>, Park> {
        let beside_a_pivot = |ask: &Ask| {
            matches!(
                ask,
                Ask::Unwait | Ask::PutBack(_) | Ask::Forget | Ask::Patch { .. }
            )
        };
        if self.has_open_pivot() && !beside_a_pivot(&ask) {
            let why = "the saga asks for another operation while its pivot is open; \
                       a pivot is issued alone";
            return Err(Park::new(StuckKind::Saga, why));
        }
        let known = self.recorded.remove(&op);
        match ask {
            Ask::Step {
                name, cmd, pivot, ..
            } => self.step(op, name, cmd, pivot, known, around),
            Ask::Child {
                name,
                saga,
                version,
                cmd,
                ..
            } => {
                let key = format!("{}/{op}", around.step_keys);
                self.child(op, name, (saga, version, key), cmd, known, around)
            }
            Ask::Timer { after } => {
                let (at, new) = match known {
                    None => {
                        let at = later((around.now)(), after);
                        (at, Some(Event::Timer { op, at }))
                    }
                    Some(Event::Timer { at, .. }) => (at, None),
                    Some(other) => return Err(Park::misfit("sleeps here now", &other)),
                };
                self.waits.add_timer(op, at);
                Ok(new)
            }
            Ask::Wait { name, within } => {
                let (until, new) = match known {
                    None => {
                        let until = within.map(|within| later((around.now)(), within));
                        (
                            until,
                            Some(Event::Wait {
                                op,
                                name: name.to_owned(),
                                until,
                            }),
                        )
                    }
                    Some(Event::Wait { name: n, until, .. }) if n == name => (until, None),
                    Some(other) => {
                        let what = format!("waits for signal `{name}` here now");
                        return Err(Park::misfit(&what, &other));
                    }
                };
                self.waits.add_wait(op, name.to_owned(), until);
                Ok(new)
            }
            Ask::Unwait => {
                self.waits.end_wait(op);
                let known = self.unwaited.remove(&op);
                Ok((!known).then_some(Event::Unwait { op }))
            }
            Ask::PutBack(letter) => {
                self.waits.put_back(*letter);
                Ok(None)
            }
            Ask::Forget => {
                self.waits.end_timer(op);
                Ok(None)
            }
            Ask::Undo { target } => {
                if self.undoing.contains_key(&target) {
                    let why = format!("the saga undoes operation {target} twice at a time");
                    return Err(Park::new(StuckKind::Saga, why).at(target));
                }
                let new = match known {
                    None => Some(Event::UndoAsked { op, target }),
                    Some(Event::UndoAsked { target: t, .. }) if t == target => None,
                    Some(other) => return Err(Park::misfit("undoes a step here now", &other)),
                };
                self.undoing.insert(target, op);
                self.open(op, What::Undo { target }, false);
                Ok(new)
            }
            Ask::Patch { name } => match known {
                None => Ok(Some(Event::Patch { op, name })),
                Some(Event::Patch { name: n, .. }) if n == name => Ok(None),
                Some(other) => {
                    let what = format!("has the patch `{name}` here now");
                    Err(Park::misfit(&what, &other))
                }
            },
            Ask::Foreign(name) => {
                let why = format!(
                    "step `{name}` was registered with another engine's builder; call \
                     what this one's builder has given"
                );
                Err(Park::new(StuckKind::Code, why).at(op))
            }
            Ask::Unusable(why) => Err(Park::new(StuckKind::Saga, why).at(op)),
        }
    }

    fn step(
        &mut self,
        op: u32,
        name: &'static str,
        cmd: Raw,
        pivot: bool,
        known: Option<Event>,
        around: &Around<'_>,
    ) -> Result<Option<Event>, Park> {
        if pivot && !self.is_idle() {
            let why = format!(
                "the pivot `{name}` is asked for while other operations are open; \
                 a pivot is issued alone"
            );
            return Err(Park::new(StuckKind::Saga, why).at(op));
        }
        let (cmd, new) = match known {
            None => {
                fits("the command of step", name, &cmd, around.most)?;
                let new = Event::Step {
                    op,
                    name: name.to_owned(),
                    cmd: cmd.clone(),
                    pivot,
                };
                (cmd, Some(new))
            }
            Some(Event::Step {
                name: n,
                cmd: recorded,
                pivot: p,
                ..
            }) if n == name && p == pivot && means_the_same(name, &recorded, &cmd, around) => {
                (recorded, None)
            }
            Some(other) => {
                let same = matches!(&other, Event::Step { name: n, pivot: p, .. }
                    if n == name && *p == pivot);
                let with = if same { " with another command" } else { "" };
                let pivot = if pivot { "pivot" } else { "step" };
                let what = format!("runs {pivot} `{name}`{with} here now");
                return Err(Park::misfit(&what, &other));
            }
        };
        self.open(op, What::Step { name, cmd }, pivot);
        Ok(new)
    }

    fn child(
        &mut self,
        op: u32,
        name: &str,
        (saga, version, key): (&str, u32, String),
        cmd: Raw,
        known: Option<Event>,
        around: &Around<'_>,
    ) -> Result<Option<Event>, Park> {
        let (saga, name) = (saga.to_owned(), name.to_owned());
        let (what, new) = match known {
            None => {
                fits("the input of child", &name, &cmd, around.most)?;
                let what = What::Child {
                    saga: saga.clone(),
                    version,
                    key: key.clone(),
                    cmd: cmd.clone(),
                };
                (
                    what,
                    Some(Event::Child {
                        op,
                        name,
                        saga,
                        version,
                        key,
                        cmd,
                    }),
                )
            }
            Some(Event::Child {
                name: n,
                saga: s,
                version,
                key,
                cmd: recorded,
                ..
            }) if n == name && s == saga && means_the_same(&name, &recorded, &cmd, around) => (
                What::Child {
                    saga,
                    version,
                    key,
                    cmd: recorded,
                },
                None,
            ),
            Some(other) => {
                let same = matches!(&other, Event::Child { name: n, saga: s, .. }
                    if *n == name && *s == saga);
                let with = if same { " with another input" } else { "" };
                let what = format!("runs child `{name}`{with} here now");
                return Err(Park::misfit(&what, &other));
            }
        };
        self.open(op, what, false);
        Ok(new)
    }

    fn open(&mut self, op: u32, what: What, pivot: bool) {
        self.open.insert(op, Open { what, pivot });
        self.to_start.push(op);
    }
}

fn means_the_same(name: &str, recorded: &Raw, new: &Raw, around: &Around<'_>) -> bool {
    recorded.get() == new.get()
        || around
            .steps
            .get(name)
            .is_some_and(|step| step.same(recorded, new))
}

fn fits(what: &str, name: &str, payload: &Raw, most: usize) -> Result<(), Park> {
    let bytes = payload.get().len();
    if bytes <= most {
        return Ok(());
    }
    let why = format!("{what} `{name}` is {bytes} bytes, at most {most} are allowed (max_payload)");
    Err(Park::new(StuckKind::Saga, why))
}

fn later(now: i64, after: std::time::Duration) -> i64 {
    // Rounded up: never early.
    let ms = after.as_nanos().div_ceil(1_000_000);
    now.saturating_add(i64::try_from(ms).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::saga::step::Steps;
    use std::time::Duration;

    /// What operation 3 comes to where the journal has this: the event that is new, or what is wrong.
    fn asked(recorded: &[&str], ask: Ask) -> Result<Option<String>, String> {
        let events = recorded
            .iter()
            .map(|json| serde_json::from_str::<Event>(json));
        let events: Vec<_> = events.map(Result::unwrap).collect();
        let mut book = Book::default();
        book.record(events);
        let around = Around {
            steps: &Steps::new(),
            now: &|| 1_000,
            most: 8,
            step_keys: "k",
        };
        let new = book.ask(3, ask, &around).map_err(|park| park.why)?;
        Ok(new.map(|event| serde_json::to_string(&event).unwrap()))
    }

    fn raw(json: &str) -> Raw {
        serde_json::from_str(json).unwrap()
    }

    fn step(name: &'static str, cmd: &str, pivot: bool) -> Ask {
        Ask::Step {
            name,
            origin: None,
            cmd: raw(cmd),
            pivot,
        }
    }

    fn child(name: &'static str, saga: &'static str, cmd: &str) -> Ask {
        Ask::Child {
            name,
            origin: 0,
            saga,
            version: 2,
            cmd: raw(cmd),
        }
    }

    fn wait(name: &'static str, within: Option<Duration>) -> Ask {
        Ask::Wait { name, within }
    }

    fn patch(name: &str) -> Ask {
        let name = name.to_owned();
        Ask::Patch { name }
    }

    const TIMER: Ask = Ask::Timer {
        after: Duration::from_micros(1_500),
    };
    const STEP: &str = r#"{"step":{"op":3,"name":"pay","cmd":7}}"#;
    const CHILD: &str =
        r#"{"child":{"op":3,"name":"c","saga":"s","version":2,"key":"k/3","cmd":7}}"#;
    const AT: &str = r#"{"timer":{"op":3,"at":1002}}"#;
    const WAIT: &str = r#"{"wait":{"op":3,"name":"paid","until":1002}}"#;
    const UNDO: &str = r#"{"undo_asked":{"op":3,"target":2}}"#;
    const PATCH: &str = r#"{"patch":{"op":3,"name":"p"}}"#;

    fn as_recorded() -> [(&'static str, Ask); 6] {
        [
            (STEP, step("pay", "7", false)),
            (CHILD, child("c", "s", "7")),
            (AT, TIMER),
            (WAIT, wait("paid", Some(Duration::from_micros(1_500)))),
            (UNDO, Ask::Undo { target: 2 }),
            (PATCH, patch("p")),
        ]
    }

    #[test]
    fn what_is_asked_for_the_first_time_is_written_and_never_again() {
        for (event, ask) in as_recorded() {
            assert_eq!(asked(&[], ask), Ok(Some(event.to_owned())));
        }
        for (event, ask) in as_recorded() {
            assert_eq!(asked(&[event], ask), Ok(None));
        }
    }

    #[test]
    fn what_is_asked_for_otherwise_than_recorded_does_not_fit() {
        let otherwise = [
            (STEP, step("charge", "7", false)),
            (STEP, step("pay", "8", false)),
            (STEP, step("pay", "7", true)),
            (CHILD, child("d", "s", "7")),
            (CHILD, child("c", "t", "7")),
            (CHILD, child("c", "s", "8")),
            (WAIT, wait("sent", None)),
            (UNDO, Ask::Undo { target: 1 }),
            (PATCH, patch("q")),
        ];
        let of_another_kind = as_recorded().into_iter().map(|(event, ask)| match event {
            AT => (WAIT, ask),
            _ => (AT, ask),
        });
        for (event, ask) in otherwise.into_iter().chain(of_another_kind) {
            let why = asked(&[event], ask).unwrap_err();
            assert!(why.contains("does not fit its journal"), "{event}: {why}");
        }
    }

    #[test]
    fn what_is_sent_is_at_most_so_long() {
        assert!(asked(&[], step("pay", "12345678", false)).is_ok());
        for ask in [
            step("pay", "123456789", false),
            child("c", "s", "123456789"),
        ] {
            let why = asked(&[], ask).unwrap_err();
            assert!(why.contains("is 9 bytes, at most 8 are allowed"), "{why}");
        }
    }

    #[test]
    fn a_wait_that_is_let_go_is_written_once() {
        let unwait = r#"{"unwait":{"op":3}}"#;
        assert_eq!(asked(&[], Ask::Unwait), Ok(Some(unwait.to_owned())));
        assert_eq!(asked(&[unwait], Ask::Unwait), Ok(None));
    }
}
