//! What follows an opening parenthesis.

use super::PatternError;
use super::node::{Look, Node};
use super::reader::{Flags, Item, Reader};

/// The longest name of a group in PCRE.
const MAX_NAME: usize = 32;

/// Constructs that are refused, by what follows the opening parenthesis.
const REFUSED: [(&str, &str); 10] = [
    ("*", "(*…) (a verb)"),
    ("?|", "(?|…) (groups that share numbers)"),
    ("?(", "(?(…)…) (a condition)"),
    ("?R", "(?R) (recursion)"),
    ("?&", "(?&…) (a subroutine)"),
    ("?P>", "(?P>…) (a subroutine)"),
    ("?+", "(?+…) (a subroutine)"),
    ("?C", "(?C) (a callout)"),
    ("?*", "(?*…) (a look-around that is not atomic)"),
    ("?<*", "(?<*…) (a look-around that is not atomic)"),
];

impl Reader<'_> {
    /// Behind the parenthesis.
    pub(super) fn group(&mut self, flags: &mut Flags) -> Result<Item, PatternError> {
        let refused = REFUSED
            .iter()
            .find(|(start, _)| self.rest().starts_with(start.as_bytes()));
        if let Some((_, construct)) = refused {
            return Err(PatternError::unsupported(construct));
        }
        let looks = [
            ("?=", Look::Ahead),
            ("?!", Look::NotAhead),
            ("?<=", Look::Behind),
            ("?<!", Look::NotBehind),
        ];
        if let Some((_, look)) = looks.into_iter().find(|(start, _)| self.eat(start)) {
            return self.look(look, *flags);
        }
        if self.eat("?>") {
            self.backtracks = true;
            return Ok(Item::Atom(Node::Atomic(self.enclosed(*flags)?.into())));
        }
        if self.eat("?:") {
            return self.uncaptured(*flags);
        }
        for (start, end) in [("?P<", ">"), ("?<", ">"), ("?'", "'")] {
            if self.eat(start) {
                let name = self.name(end)?;
                return self.captured(Some(name), *flags);
            }
        }
        if self.eat("?P=") {
            let name = self.name(")")?;
            return self.reference_by_name(&name, *flags);
        }
        if self.eat("?") {
            return self.set_flags(flags);
        }
        match flags.named_only {
            true => self.uncaptured(*flags),
            false => self.captured(None, *flags),
        }
    }

    fn look(&mut self, look: Look, flags: Flags) -> Result<Item, PatternError> {
        let repeated_lookbehinds = self.repeated_lookbehinds;
        let body = self.enclosed(flags)?;
        let is_behind = look.is_behind();
        if is_behind && self.repeated_lookbehinds > repeated_lookbehinds {
            // PCRE takes its length for unlimited.
            return Err(PatternError::unsupported(
                "(?<=…) or (?<!…) with a quantifier in another",
            ));
        }
        let branches = match &body {
            Node::Alternatives(branches) => branches.as_slice(),
            one => std::slice::from_ref(one),
        };
        if is_behind && branches.iter().any(|branch| branch.length().is_none()) {
            return Err(PatternError::unsupported(
                "(?<=…) or (?<!…) of a length that is not fixed",
            ));
        }
        self.backtracks = true;
        Ok(Item::Atom(Node::Look {
            look,
            body: body.into(),
        }))
    }

    fn uncaptured(&mut self, flags: Flags) -> Result<Item, PatternError> {
        Ok(Item::Atom(Node::Group {
            captures: false,
            body: self.enclosed(flags)?.into(),
        }))
    }

    fn captured(&mut self, name: Option<String>, flags: Flags) -> Result<Item, PatternError> {
        self.groups.count += 1;
        let number = self.groups.count;
        if let Some(name) = name {
            if self.groups.names.iter().any(|(known, _)| *known == name) {
                let message = format!("two groups with the name {name}");
                return Err(PatternError::new(&message));
            }
            self.groups.names.push((name, number as usize));
        }
        self.groups.open.push(number);
        let body = self.enclosed(flags)?.into();
        self.groups.open.pop();
        Ok(Item::Atom(Node::Group {
            captures: true,
            body,
        }))
    }

    /// A name and `end` behind it.
    pub(super) fn name(&mut self, end: &str) -> Result<String, PatternError> {
        let is_word = |byte: &&u8| byte.is_ascii_alphanumeric() || **byte == b'_';
        let name: Vec<u8> = self.rest().iter().take_while(is_word).copied().collect();
        self.at += name.len();
        let is_name = !name.is_empty() && name.len() <= MAX_NAME && !name[0].is_ascii_digit();
        if !is_name || !self.eat(end) {
            let message = format!(
                "a name of a group that is not up to 32 letters, digits and _ before {end}, and no digit first"
            );
            return Err(PatternError::new(&message));
        }
        Ok(name.into_iter().map(char::from).collect())
    }

    /// `(?i)` for the rest of the parentheses, `(?i:…)` for its own.
    fn set_flags(&mut self, outer: &mut Flags) -> Result<Item, PatternError> {
        let mut flags = *outer;
        if self.eat("^") {
            flags = Flags {
                lazy: flags.lazy,
                ..Flags::default()
            };
        }
        let mut on = true;
        loop {
            let Some(byte) = self.next() else {
                return Err(PatternError::new("an unclosed group: a ( without its )"));
            };
            let flag = match byte {
                b')' => {
                    *outer = flags;
                    return Ok(Item::Nothing);
                }
                b':' => return self.uncaptured(flags),
                b'-' if on => {
                    on = false;
                    continue;
                }
                b'i' => &mut flags.insensitive,
                b'm' => &mut flags.lines,
                b's' => &mut flags.dot_is_any,
                b'x' if self.peek() == Some(b'x') => {
                    return Err(PatternError::unsupported("(?xx)"));
                }
                b'x' => &mut flags.extended,
                b'n' => &mut flags.named_only,
                b'U' => &mut flags.lazy,
                b'J' => return Err(PatternError::unsupported("(?J) (names given twice)")),
                b'0'..=b'9' => return Err(PatternError::unsupported("(?1) (a subroutine)")),
                _ => {
                    let message = format!("(?{} is not known", char::from(byte).escape_default());
                    return Err(PatternError::new(&message));
                }
            };
            *flag = on;
        }
    }

    /// A reference to a group by its name.
    pub(super) fn reference_by_name(
        &mut self,
        name: &str,
        flags: Flags,
    ) -> Result<Item, PatternError> {
        let known = self.groups.names.iter().find(|(known, _)| known == name);
        let number = known.and_then(|(_, number)| u32::try_from(*number).ok());
        self.reference(number.unwrap_or_default(), flags)
    }

    /// A reference to a group, which must be closed: what one inside of its group or before it means depends on the engine.
    pub(super) fn reference(&mut self, group: u32, flags: Flags) -> Result<Item, PatternError> {
        if group == 0 || group > self.groups.count || self.groups.open.contains(&group) {
            return Err(PatternError::unsupported(
                "a reference to a group that is not closed before it",
            ));
        }
        self.backtracks = true;
        Ok(Item::Atom(Node::Reference {
            group,
            insensitive: flags.insensitive,
        }))
    }
}
