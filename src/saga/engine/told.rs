//! What an observer hears of sagas. Nothing is built where nobody listens.
use super::{action::Action, core::Core, drive::Drive};
use crate::{
    Name,
    event::{Event, SagaEvent, SagaEventKind, notify},
    saga::store::{SagaId, StoreError},
};

const SOURCE: Name = Name::from_static("saga engine");

impl Core {
    pub(super) fn tell_of<'a>(
        &self,
        (id, name, key): (SagaId, &'a str, &'a str),
        kind: impl FnOnce() -> SagaEventKind<'a>,
    ) {
        if let Some(observer) = &self.observer {
            let event = SagaEvent::new(id, name, key, kind());
            notify(&**observer, SOURCE, &Event::Saga(&event));
        }
    }

    pub(super) fn tell_closed(&self, cause: &StoreError) {
        if let Some(observer) = &self.observer {
            notify(&**observer, SOURCE, &Event::StoreClosed { cause });
        }
    }
}

impl Drive {
    pub(super) fn tell<'a>(&'a self, kind: impl FnOnce() -> SagaEventKind<'a>) {
        self.core.tell_of((self.id, &self.name, &self.key), kind);
    }
}

impl Action {
    /// Tells of this step: `kind` is given its number and its name.
    pub(super) fn tell<'a>(&'a self, kind: impl FnOnce(u32, &'a str) -> SagaEventKind<'a>) {
        let saga = (self.saga_id, &*self.saga_name, &*self.saga_key);
        self.core.tell_of(saga, || kind(self.op, self.name));
    }
}
