//! The services' names.
use std::{fmt, str::FromStr};

/// One of the processes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Name {
    Users,
    Inventory,
    Payments,
    Notifications,
    Orders,
    Gateway,
}

impl Name {
    /// In the order in which they start: whoever calls comes after those it calls.
    pub const ALL: [Name; 6] = [
        Name::Users,
        Name::Inventory,
        Name::Payments,
        Name::Notifications,
        Name::Orders,
        Name::Gateway,
    ];

    pub const fn as_str(self) -> &'static str {
        match self {
            Name::Users => "users",
            Name::Inventory => "inventory",
            Name::Payments => "payments",
            Name::Notifications => "notifications",
            Name::Orders => "orders",
            Name::Gateway => "gateway",
        }
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Name {
    type Err = ();

    fn from_str(text: &str) -> Result<Name, ()> {
        Name::ALL.into_iter().find(|n| n.as_str() == text).ok_or(())
    }
}
