//! What a line of the API declares.

/// `pub const fn seawall::Bulkhead::new(limit: u32) -> ..`, taken apart.
pub struct Declared<'a> {
    /// `mod`, `struct`, `fn` and so on; `variant` and `field` where Rust has no word.
    pub kind: &'a str,
    pub is_async: bool,
    /// Without arguments of generic types.
    pub path: String,
    /// The parameters, or the type of a field.
    rest: &'a str,
    /// What a function returns.
    pub returns: &'a str,
}

impl<'a> Declared<'a> {
    pub fn of(line: &'a str) -> Self {
        let mut line = line;
        while let Some((_, after)) = line.strip_prefix("#[").and_then(|l| l.split_once("] ")) {
            line = after;
        }
        let mut line = line.trim_start_matches("pub ");
        let mut is_async = false;
        let mut kind = "";
        while let Some((word, after)) = line
            .split_once(' ')
            .filter(|(word, _)| KINDS.contains(word))
        {
            is_async |= word == "async";
            kind = word;
            line = after;
        }
        let (path, rest) = path(line);
        if kind.is_empty() {
            kind = if rest.starts_with(": ") {
                "field"
            } else {
                "variant"
            };
        }
        let (inside, after) = parenthesis(rest);
        let returns = after.strip_prefix(" -> ").unwrap_or_default();
        let returns = returns.split(" where ").next().unwrap_or_default();
        Declared {
            kind,
            is_async,
            path,
            rest: inside,
            returns,
        }
    }

    pub fn name(&self) -> &str {
        self.path.rsplit("::").next().unwrap_or_default()
    }

    pub fn is_function(&self) -> bool {
        self.kind == "fn"
    }

    pub fn is_type(&self) -> bool {
        matches!(self.kind, "struct" | "enum" | "union")
    }

    /// Takes itself and gives itself back, changed.
    pub fn is_setter(&self) -> bool {
        let returned = path(self.returns).0;
        let other_builder = returned.ends_with("Builder") && returned == self.of_type();
        let by_value = self.rest.starts_with("self") && (self.returns == "Self" || other_builder);
        by_value || self.rest.starts_with("&mut self") && self.returns == "&mut Self"
    }

    fn of_type(&self) -> &str {
        self.path.rsplit_once("::").map_or("", |(of, _)| of)
    }

    /// The names of what has one of these types: parameters, the field, or the function itself.
    pub fn having(&self, types: &[&str]) -> Vec<&str> {
        let is_one = |of: &str| {
            let of = of.trim_end_matches([',', ')', '>']);
            types.contains(&of.trim_start_matches("core::option::Option<"))
        };
        let mut names = Vec::new();
        if self.kind == "field" && is_one(self.rest.trim_start_matches(": ")) {
            names.push(self.name());
        }
        if self.is_function() {
            let parameters = self.rest.split(", ");
            names.extend(
                parameters
                    .filter_map(|p| p.split_once(": "))
                    .filter(|(_, of)| is_one(of))
                    .map(|(n, _)| n),
            );
            if is_one(self.returns) {
                names.push(self.name());
            }
        }
        names
    }
}

const KINDS: [&str; 11] = [
    "async", "const", "enum", "fn", "mod", "static", "struct", "trait", "type", "union", "unsafe",
];

/// A path without its generic arguments, and what follows it.
fn path(line: &str) -> (String, &str) {
    let (mut path, mut depth) = (String::new(), 0_u32);
    let mut before = ' ';
    for (at, c) in line.char_indices() {
        let next = line[at + c.len_utf8()..].chars().next();
        match c {
            '<' => depth += 1,
            '>' if before != '-' => depth = depth.saturating_sub(1),
            _ if depth > 0 => {}
            ':' if next != Some(':') && before != ':' => return (path, &line[at..]),
            '(' | ' ' | '{' => return (path, &line[at..]),
            _ => path.push(c),
        }
        before = c;
    }
    (path, "")
}

/// What is between the parentheses, and what follows them; all of it where there are none.
fn parenthesis(rest: &str) -> (&str, &str) {
    let mut depth = 0_u32;
    for (at, c) in rest.char_indices() {
        match c {
            '(' => depth += 1,
            ')' if depth == 1 => return (&rest[1..at], &rest[at + 1..]),
            ')' => depth -= 1,
            _ if at == 0 => return (rest, ""),
            _ => {}
        }
    }
    (rest, "")
}

#[cfg(test)]
mod tests {
    use super::Declared;

    #[test]
    fn a_function_is_its_path_its_numbers_and_what_it_returns() {
        let it =
            Declared::of("pub const fn seawall::a::B<T>::new<F>(self, limit: u32, of: F) -> Self");
        assert_eq!(
            (it.kind, it.path.as_str(), it.returns),
            ("fn", "seawall::a::B::new", "Self")
        );
        assert!(it.is_setter() && !it.is_async);
        assert_eq!(it.having(&["u32"]), ["limit"]);
    }

    #[test]
    fn a_function_that_returns_a_number_counts_as_one() {
        let it =
            Declared::of("pub async fn seawall::a::B::left(&self) -> core::option::Option<u64>");
        assert!(it.is_async && !it.is_setter());
        assert_eq!(it.having(&["u64"]), ["left"]);
    }

    #[test]
    fn what_a_parameter_returns_is_not_what_the_function_does() {
        let it =
            Declared::of("pub fn seawall::a::B::of(again: impl Fn(u32) -> u8, n: u16) where u8: A");
        assert_eq!(it.returns, "");
        assert_eq!(it.having(&["u16", "u8"]), ["n"]);
    }

    #[test]
    fn fields_and_variants_are_told_apart() {
        let field = Declared::of("pub seawall::a::E::V::failures: u64");
        assert_eq!((field.kind, field.name()), ("field", "failures"));
        assert_eq!(field.having(&["u64"]), ["failures"]);
        assert_eq!(Declared::of("pub seawall::a::E::V(u64)").kind, "variant");
        assert_eq!(
            Declared::of("#[non_exhaustive] pub enum seawall::a::E").kind,
            "enum"
        );
    }
}
