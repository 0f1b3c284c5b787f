//! Classes in brackets. `[`, `&&`, `--` and `~~` have no meaning in one.

use super::PatternError;
use super::bytes::ByteSet;
use super::escapes::{Escape, space, word};
use super::reader::Reader;

impl Reader<'_> {
    /// Behind the bracket.
    pub(super) fn class(&mut self, insensitive: bool) -> Result<ByteSet, PatternError> {
        self.at -= 1;
        let is_posix = self.posix_name()?.is_some();
        self.at += 1;
        if is_posix {
            return Err(PatternError::new(
                "[:…:] outside of a class; right is [[:…:]]",
            ));
        }
        if self.rest().starts_with(b"[:<:]]") || self.rest().starts_with(b"[:>:]]") {
            return Err(PatternError::unsupported("[[:<:]] and [[:>:]]"));
        }
        let is_negated = self.eat("^");
        let mut set = ByteSet::EMPTY;
        let mut is_first = true;
        while is_first || self.peek() != Some(b']') {
            set = set.with(self.member(insensitive)?);
            is_first = false;
        }
        self.at += 1;
        if insensitive {
            set = set.without_case();
        }
        Ok(match is_negated {
            true => set.complement(),
            false => set,
        })
    }

    /// A byte, a range or a set.
    fn member(&mut self, insensitive: bool) -> Result<ByteSet, PatternError> {
        let invalid = || PatternError::new("a range in a class that has no first or no last byte");
        let first = self.one(insensitive)?;
        let is_range =
            self.peek() == Some(b'-') && !matches!(self.rest().get(1), None | Some(b']'));
        let first = match first {
            Escape::Set(_) if is_range => return Err(invalid()),
            Escape::Set(set) => return Ok(set),
            Escape::Byte(first) if !is_range => return Ok(ByteSet::of(first)),
            Escape::Byte(first) => first,
        };
        self.at += 1;
        match self.one(insensitive)? {
            Escape::Byte(last) if first <= last => Ok(ByteSet::range(first, last)),
            Escape::Byte(_) => Err(PatternError::new(
                "a range in a class whose last byte is before the first",
            )),
            Escape::Set(_) => Err(invalid()),
        }
    }

    fn one(&mut self, insensitive: bool) -> Result<Escape, PatternError> {
        if let Some(name) = self.posix_name()? {
            return posix(&name, insensitive).map(Escape::Set);
        }
        match self.next() {
            Some(b'\\') => self.escape_in_class(),
            Some(byte) => Ok(Escape::Byte(byte)),
            None => Err(PatternError::new("an unclosed class: a [ without its ]")),
        }
    }

    /// Steps over `[:name:]`, if it is next. A bracket that does not start one stands for itself.
    fn posix_name(&mut self) -> Result<Option<Vec<u8>>, PatternError> {
        let Some((b'[', [mark @ (b':' | b'.' | b'='), inner @ ..])) = self.rest().split_first()
        else {
            return Ok(None);
        };
        let Some(length) = posix_length(*mark, inner) else {
            return Ok(None);
        };
        if *mark != b':' {
            return Err(PatternError::unsupported("[.….] and [=…=]"));
        }
        let name = inner.get(..length).unwrap_or_default().to_vec();
        self.at += length + 4;
        Ok(Some(name))
    }
}

/// The length of the name before `mark` and `]`, if both follow before anything that ends the search.
fn posix_length(mark: u8, text: &[u8]) -> Option<usize> {
    let mut at = 0;
    while let [byte, next, ..] = *text.get(at..)? {
        match (byte, next) {
            (b'\\', b']' | b'\\') => at += 1,
            (b'[', next) if next == mark => return None,
            (b']', _) => return None,
            (byte, b']') if byte == mark => return Some(at),
            _ => {}
        }
        at += 1;
    }
    None
}

fn posix(name: &[u8], insensitive: bool) -> Result<ByteSet, PatternError> {
    let (is_negated, name) = match name {
        [b'^', name @ ..] => (true, name),
        _ => (false, name),
    };
    let range = ByteSet::range;
    let alpha = range(b'a', b'z').without_case();
    let alnum = alpha.with(range(b'0', b'9'));
    let set = match name {
        b"alpha" => alpha,
        b"lower" | b"upper" if insensitive => alpha,
        b"lower" => range(b'a', b'z'),
        b"upper" => range(b'A', b'Z'),
        b"alnum" => alnum,
        b"ascii" => range(0, 0x7f),
        b"blank" => ByteSet::of(b'\t').with(ByteSet::of(b' ')),
        b"cntrl" => range(0, 0x1f).with(ByteSet::of(0x7f)),
        b"digit" => range(b'0', b'9'),
        b"graph" => range(b'!', b'~'),
        b"print" => range(b' ', b'~'),
        b"punct" => range(b'!', b'/')
            .with(range(b':', b'@'))
            .with(range(b'[', b'`'))
            .with(range(b'{', b'~')),
        b"space" => space(),
        b"word" => word(),
        b"xdigit" => range(b'0', b'9').with(range(b'a', b'f').without_case()),
        _ => {
            let name = String::from_utf8_lossy(name);
            return Err(PatternError::new(&format!("[:{name}:] is no class")));
        }
    };
    Ok(match is_negated {
        true => set.complement(),
        false => set,
    })
}
