//! What follows a backslash.

use super::PatternError;
use super::bytes::ByteSet;
use super::node::{Node, Position};
use super::reader::{Flags, Item, Reader, literal};

/// One byte, or a set such as `\d`.
pub(super) enum Escape {
    Byte(u8),
    Set(ByteSet),
}

impl Reader<'_> {
    /// Outside of a class, behind the backslash.
    pub(super) fn escape(&mut self, flags: Flags) -> Result<Item, PatternError> {
        let start = self.at;
        let byte = self.escaped()?;
        let position = match byte {
            b'A' | b'G' => Some(Position::Start),
            // Texts have no final line feed, before which `\Z` and `$` match as well.
            b'Z' | b'z' => Some(Position::End),
            b'b' => Some(Position::WordBoundary),
            b'B' => Some(Position::NoWordBoundary),
            _ => None,
        };
        if let Some(position) = position {
            return Ok(Item::Alone(Node::Position(position)));
        }
        Ok(match byte {
            b'1'..=b'9' => match self.back_reference(byte, flags)? {
                Some(item) => item,
                None => {
                    self.at = start + 1;
                    literal(self.octal(byte)?, flags)
                }
            },
            b'g' | b'k' => self.marked_reference(byte, flags)?,
            b'C' => Item::Atom(Node::Byte(ByteSet::ALL)),
            b'N' if self.peek() == Some(b'{') && !self.has_count() => {
                return Err(PatternError::unsupported(r"\N{…}"));
            }
            b'N' => Item::Atom(Node::Byte(ByteSet::of(b'\n').complement())),
            b'R' => self.line_break(),
            _ => match self.common(byte)? {
                Escape::Byte(byte) => literal(byte, flags),
                Escape::Set(set) => Item::Atom(Node::Byte(set)),
            },
        })
    }

    /// In a class, behind the backslash.
    pub(super) fn escape_in_class(&mut self) -> Result<Escape, PatternError> {
        let byte = self.escaped()?;
        match byte {
            b'b' => Ok(Escape::Byte(0x08)),
            b'8' | b'9' => Ok(Escape::Byte(byte)),
            b'1'..=b'7' => Ok(Escape::Byte(self.octal(byte)?)),
            b'Q' | b'E' => Err(PatternError::unsupported(r"\Q and \E in a class")),
            _ => self.common(byte),
        }
    }

    fn escaped(&mut self) -> Result<u8, PatternError> {
        let byte = self.next();
        byte.ok_or_else(|| PatternError::new("a \\ at the end"))
    }

    /// Whether `{n}` and the like is next.
    fn has_count(&mut self) -> bool {
        let start = self.at;
        let count = self.counted();
        self.at = start;
        matches!(count, Ok(Some(_)))
    }

    /// Escapes with the same meaning in a class and outside.
    fn common(&mut self, byte: u8) -> Result<Escape, PatternError> {
        let known = match byte {
            b'a' => Some(0x07),
            b'e' => Some(0x1b),
            b'f' => Some(0x0c),
            b'n' => Some(b'\n'),
            b'r' => Some(b'\r'),
            b't' => Some(b'\t'),
            b'0' => Some(self.octal(byte)?),
            b'o' => Some(self.braced(8)?),
            b'x' => Some(self.hexadecimal()?),
            b'c' => Some(self.control()?),
            _ => None,
        };
        if let Some(byte) = known {
            return Ok(Escape::Byte(byte));
        }
        if let Some(set) = set(byte) {
            return Ok(Escape::Set(set));
        }
        if byte.is_ascii_alphanumeric() {
            let escape = format!("\\{}", char::from(byte));
            return Err(PatternError::unsupported(&escape));
        }
        Ok(Escape::Byte(byte))
    }

    /// `\12` refers to group 12 if there are as many groups before it, and is octal otherwise.
    fn back_reference(&mut self, first: u8, flags: Flags) -> Result<Option<Item>, PatternError> {
        let mut number = u32::from(first - b'0');
        while let Some(digit) = self.peek().filter(u8::is_ascii_digit) {
            self.at += 1;
            let next = number.saturating_mul(10);
            number = next.saturating_add(u32::from(digit - b'0'));
        }
        if number < 10 || first >= b'8' || number <= self.groups.count {
            return self.reference(number, flags).map(Some);
        }
        Ok(None)
    }

    /// `\g1`, `\g{1}`, `\g{-1}`, `\g{name}`, `\k{name}`, `\k<name>`, `\k'name'`.
    fn marked_reference(&mut self, letter: u8, flags: Flags) -> Result<Item, PatternError> {
        if letter == b'k' {
            for (start, end) in [("{", "}"), ("<", ">"), ("'", "'")] {
                if self.eat(start) {
                    let name = self.name(end)?;
                    return self.reference_by_name(&name, flags);
                }
            }
            return Err(PatternError::new(r"\k without a name"));
        }
        if matches!(self.peek(), Some(b'<' | b'\'')) {
            return Err(PatternError::unsupported(r"\g<…> (a subroutine)"));
        }
        let braced = self.eat("{");
        if braced
            && self
                .peek()
                .is_some_and(|byte| !matches!(byte, b'-' | b'+' | b'0'..=b'9'))
        {
            let name = self.name("}")?;
            return self.reference_by_name(&name, flags);
        }
        let relative = self.eat("-");
        let digits = self.rest().iter().take_while(|byte| byte.is_ascii_digit());
        let digits: Vec<u8> = digits.copied().collect();
        self.at += digits.len();
        let number = digits.iter().try_fold(0_u32, |number, digit| {
            number.checked_mul(10)?.checked_add(u32::from(digit - b'0'))
        });
        let number = number.filter(|number| *number > 0 && (!braced || self.eat("}")));
        let number =
            number.ok_or_else(|| PatternError::new(r"\g without the number of a group"))?;
        let group = match relative {
            true => (self.groups.count + 1).saturating_sub(number),
            false => number,
        };
        self.reference(group, flags)
    }

    /// Up to three octal digits, of which `first` is read.
    fn octal(&mut self, first: u8) -> Result<u8, PatternError> {
        let mut number = u32::from(first - b'0');
        for _ in 0..2 {
            let Some(digit @ b'0'..=b'7') = self.peek() else {
                break;
            };
            self.at += 1;
            number = number * 8 + u32::from(digit - b'0');
        }
        u8::try_from(number).map_err(|_| PatternError::new(r"an octal number above \377"))
    }

    /// Up to two digits, or any number of them in braces; none are zero.
    fn hexadecimal(&mut self) -> Result<u8, PatternError> {
        if self.peek() == Some(b'{') {
            return self.braced(16);
        }
        let mut number = 0;
        for _ in 0..2 {
            let digit = self.peek().and_then(|byte| char::from(byte).to_digit(16));
            let Some(digit) = digit.and_then(|digit| u8::try_from(digit).ok()) else {
                break;
            };
            self.at += 1;
            number = number * 16 + digit;
        }
        Ok(number)
    }

    fn braced(&mut self, radix: u32) -> Result<u8, PatternError> {
        let invalid = || {
            PatternError::new(
                r"\x{…} or \o{…} without the number of one byte: bytes are matched, not characters",
            )
        };
        if !self.eat("{") {
            return Err(invalid());
        }
        let mut number = None;
        loop {
            let byte = self.next().ok_or_else(invalid)?;
            if byte == b'}' {
                return number.ok_or_else(invalid);
            }
            let digit = char::from(byte).to_digit(radix).ok_or_else(invalid)?;
            let value = u32::from(number.unwrap_or(0_u8)) * radix + digit;
            number = Some(u8::try_from(value).map_err(|_| invalid())?);
        }
    }

    fn control(&mut self) -> Result<u8, PatternError> {
        let byte = self.next().filter(|byte| matches!(byte, b' '..=b'~'));
        let byte = byte.ok_or_else(|| PatternError::new(r"\c without a character of ASCII"))?;
        Ok(byte.to_ascii_uppercase() ^ 0x40)
    }

    /// Any line break; CR and LF together are one, also where the rest does not match then.
    fn line_break(&mut self) -> Item {
        self.backtracks = true;
        let byte = |byte| Node::Byte(ByteSet::of(byte));
        let both = Node::Sequence(vec![byte(b'\r'), byte(b'\n')]);
        let branches = vec![both, Node::Byte(vertical())];
        Item::Atom(Node::Atomic(Node::Alternatives(branches).into()))
    }
}

/// The set of `\d` and the like.
fn set(letter: u8) -> Option<ByteSet> {
    let set = match letter.to_ascii_lowercase() {
        b'd' => ByteSet::range(b'0', b'9'),
        b'w' => word(),
        b's' => space(),
        b'h' => ByteSet::of(b'\t')
            .with(ByteSet::of(b' '))
            .with(ByteSet::of(0xa0)),
        b'v' => vertical(),
        _ => return None,
    };
    Some(match letter.is_ascii_uppercase() {
        true => set.complement(),
        false => set,
    })
}

/// Letters, digits and `_`.
pub(super) fn word() -> ByteSet {
    ByteSet::range(b'0', b'9')
        .with(ByteSet::range(b'a', b'z').without_case())
        .with(ByteSet::of(b'_'))
}

pub(super) fn space() -> ByteSet {
    ByteSet::range(b'\t', b'\r').with(ByteSet::of(b' '))
}

fn vertical() -> ByteSet {
    ByteSet::range(b'\n', b'\r').with(ByteSet::of(0x85))
}
