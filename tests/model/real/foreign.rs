//! A policy written elsewhere, which tells of its exits where events are told.
use super::{Ears, now};
use crate::case::{Custom, ms};
use crate::told::{How, Told, name};
use seawall::policy::{Call, Enter, Exit, Outcome, Policy, Ticket};
use seawall::{Name, Reason};
use std::sync::Mutex;
use tokio::time::Instant;

pub struct Foreign {
    i: usize,
    custom: Custom,
    count: Mutex<u32>,
    ears: Ears,
    began: Instant,
}

impl Foreign {
    pub fn new(i: usize, custom: Custom, ears: Ears) -> Self {
        Foreign {
            i,
            custom,
            count: Mutex::new(0),
            ears,
            began: now(),
        }
    }
}

impl Policy for Foreign {
    fn name(&self) -> Name {
        name(self.i)
    }

    fn enter(&self, call: &Call<'_>) -> Enter {
        let (ticket, since) = (Ticket(7), call.now());
        match self.custom {
            Custom::Every(n) => {
                let mut count = self.count.lock().unwrap();
                *count += 1;
                if (*count).is_multiple_of(n) {
                    return Enter::Reject(Reason::Other("every so many"));
                }
                Enter::Proceed(ticket)
            }
            Custom::Delay(wait) => Enter::Delay {
                ticket,
                until: since + ms(wait),
            },
            Custom::Within { after, .. } => Enter::Within(ms(after)),
            Custom::Wait(wait) => {
                let until = since + ms(wait);
                Enter::Wait {
                    ticket: Ticket((until - self.began).as_millis() as u64),
                    until: Some(until),
                }
            }
        }
    }

    fn resume(&self, ticket: Ticket, call: &Call<'_>) -> Enter {
        match self.custom {
            Custom::Within { more, times, .. } => {
                let mut granted = self.count.lock().unwrap();
                if *granted >= times {
                    return Enter::Reject(Reason::Other("late"));
                }
                *granted += 1;
                Enter::Within(ms(more))
            }
            Custom::Wait(_) => match self.began + ms(ticket.0) {
                until if until <= call.now() => Enter::Proceed(ticket),
                until => Enter::Wait {
                    ticket,
                    until: Some(until),
                },
            },
            _ => Enter::Reject(Reason::Expired),
        }
    }

    fn exit(&self, _: Ticket, outcome: &Outcome<'_>, _: &Call<'_>) -> Exit {
        let told = Told::Exit(name(self.i), How::of(outcome));
        self.ears.lock().unwrap().push((None, told));
        Exit::Pass
    }
}
