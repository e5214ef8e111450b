use super::Refused;
use crate::saga::{
    engine::core::Core,
    store::{Query, SagaId, Status, Summary},
};
use std::time::Duration;

/// Which sagas to look for, a page at a time. Everything given must hold.
///
/// # Defaults
/// - [`limit`](Find::limit): 100
/// - [`after`](Find::after): from the beginning
/// - [`name`](Find::name), [`key_prefix`](Find::key_prefix), [`older_than`](Find::older_than),
///   [`reason_contains`](Find::reason_contains): whatever it is
#[derive(Clone, Debug)]
#[must_use]
pub struct Find {
    query: Query,
    older_than: Option<Duration>,
}

/// A page of sagas, by number.
///
/// Numbers rise, so sagas that are added while you turn the pages come at the end, and none comes
/// twice. What sagas do meanwhile goes on: one whose status changes just then may be missing where
/// only some statuses are looked for.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Page {
    /// The sagas.
    pub sagas: Vec<Summary>,
    /// Where the next page begins: give it to [`Find::after`]. `None`: there is no more at present.
    pub next: Option<SagaId>,
}

/// Sagas on a page at most.
const MOST: usize = 1000;

impl Find {
    /// Sagas of these statuses; of any, where there are none.
    pub fn of(statuses: impl IntoIterator<Item = Status>) -> Self {
        let query = Query {
            statuses: statuses.into_iter().collect(),
            ..Query::new(100)
        };
        Find {
            query,
            older_than: None,
        }
    }

    /// All sagas that are kept.
    pub fn any() -> Self {
        Find::of([])
    }

    /// Those that wait for an operator.
    pub fn stuck() -> Self {
        Find::of([Status::Stuck])
    }

    /// Those that have not ended.
    pub fn unfinished() -> Self {
        Find::of(
            Status::ALL
                .iter()
                .copied()
                .filter(|status| !status.is_final()),
        )
    }

    /// Of this registered name. Default: of any.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.query.name = Some(name.into());
        self
    }

    /// Whose key begins so. Default: any.
    pub fn key_prefix(mut self, prefix: impl Into<String>) -> Self {
        self.query.key_prefix = Some(prefix.into());
        self
    }

    /// Started longer ago than this. Default: of any age.
    pub fn older_than(mut self, age: Duration) -> Self {
        self.older_than = Some(age);
        self
    }

    /// Parked for a reason that contains this. Default: parked or not.
    pub fn reason_contains(mut self, part: impl Into<String>) -> Self {
        self.query.reason_contains = Some(part.into());
        self
    }

    /// Sagas on the page, 1 to 1000. Default: 100.
    pub fn limit(mut self, sagas: usize) -> Self {
        self.query.limit = sagas;
        self
    }

    /// Only those after this one: [`Page::next`] of the page before. Default: from the beginning.
    pub fn after(mut self, last: impl Into<Option<SagaId>>) -> Self {
        self.query.after = last.into();
        self
    }
}

pub(super) async fn page(core: &Core, find: Find) -> Result<Page, Refused> {
    let Find {
        mut query,
        older_than,
    } = find;
    let limit = query.limit;
    if !(1..=MOST).contains(&limit) {
        return Err(Refused::Limit { limit, most: MOST });
    }
    // One more tells whether there is a next page.
    query.limit = limit.saturating_add(1);
    if let Some(age) = older_than {
        let ms = i64::try_from(age.as_millis()).unwrap_or(i64::MAX);
        query.created_before = Some(core.now().saturating_sub(ms));
    }
    let mut sagas = core.store.list(query).await?;
    let more = sagas.len() > limit;
    sagas.truncate(limit);
    let next = sagas.last().map(|saga| saga.id).filter(|_| more);
    Ok(Page { sagas, next })
}
