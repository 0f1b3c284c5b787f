//! Reads an expression as PCRE reads it in nginx: bytes without UTF, letters of ASCII, `$` not in every line.
//!
//! A construct that the engines cannot match as PCRE does is refused by name, as is one that PCRE itself refuses.

use super::PatternError;
use super::bytes::ByteSet;
use super::node::{Node, Position, Times};

/// Nesting of parentheses in PCRE; it also bounds the recursion here.
const MAX_DEPTH: usize = 250;
/// The highest number in a quantifier in PCRE.
const MAX_TIMES: u32 = 65_535;

/// What an expression means.
pub(super) struct Parsed {
    pub(super) node: Node,
    pub(super) groups: Groups,
    /// It needs the engine that backtracks.
    pub(super) backtracks: bool,
}

/// Options that `(?…)` changes.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Flags {
    /// `i`
    pub(super) insensitive: bool,
    /// `m`
    pub(super) lines: bool,
    /// `s`
    pub(super) dot_is_any: bool,
    /// `x`
    pub(super) extended: bool,
    /// `U`
    pub(super) lazy: bool,
    /// `n`
    pub(super) named_only: bool,
}

/// The capture groups that were read so far.
#[derive(Default)]
pub(super) struct Groups {
    pub(super) count: u32,
    pub(super) names: Vec<(String, usize)>,
    /// Not yet closed.
    pub(super) open: Vec<u32>,
}

/// A position in an expression.
pub(super) struct Reader<'p> {
    pub(super) text: &'p [u8],
    pub(super) at: usize,
    pub(super) groups: Groups,
    pub(super) backtracks: bool,
    /// How many lookbehinds with a quantifier were read.
    pub(super) repeated_lookbehinds: usize,
    /// Between `\Q` and `\E`.
    quoted: bool,
    depth: usize,
}

/// What stands at a position.
pub(super) enum Item {
    /// Nothing that matches, such as `(?i)`.
    Nothing,
    /// Something that no quantifier may follow.
    Alone(Node),
    /// Something that a quantifier may follow.
    Atom(Node),
}

/// Reads a whole expression.
pub(super) fn read(text: &str, insensitive: bool) -> Result<Parsed, PatternError> {
    let mut reader = Reader {
        text: text.as_bytes(),
        at: 0,
        groups: Groups::default(),
        backtracks: false,
        repeated_lookbehinds: 0,
        quoted: false,
        depth: 0,
    };
    let flags = Flags {
        insensitive,
        ..Flags::default()
    };
    let node = reader.alternatives(flags)?;
    if reader.peek().is_some() {
        return Err(PatternError::new("a ) without its ("));
    }
    Ok(Parsed {
        node,
        groups: reader.groups,
        backtracks: reader.backtracks,
    })
}

impl Reader<'_> {
    pub(super) fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    pub(super) fn next(&mut self) -> Option<u8> {
        let byte = self.peek()?;
        self.at += 1;
        Some(byte)
    }

    pub(super) fn rest(&self) -> &[u8] {
        self.text.get(self.at..).unwrap_or_default()
    }

    /// Steps over `expected`, if it is next.
    pub(super) fn eat(&mut self, expected: &str) -> bool {
        let found = self.rest().starts_with(expected.as_bytes());
        if found {
            self.at += expected.len();
        }
        found
    }

    /// Up to the end of the text or of the parentheses. A flag that one branch sets holds in the next ones, too.
    fn alternatives(&mut self, mut flags: Flags) -> Result<Node, PatternError> {
        let mut branches = vec![self.sequence(&mut flags)?];
        while self.eat("|") {
            branches.push(self.sequence(&mut flags)?);
        }
        Ok(match branches.len() {
            1 => branches.remove(0),
            _ => Node::Alternatives(branches),
        })
    }

    /// The contents of parentheses, and the closing one.
    pub(super) fn enclosed(&mut self, flags: Flags) -> Result<Node, PatternError> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(PatternError::new("parentheses nested more than 250 deep"));
        }
        let node = self.alternatives(flags)?;
        if !self.eat(")") {
            return Err(PatternError::new("an unclosed group: a ( without its )"));
        }
        self.depth -= 1;
        Ok(node)
    }

    fn sequence(&mut self, flags: &mut Flags) -> Result<Node, PatternError> {
        let mut items = Vec::new();
        loop {
            self.skip(*flags)?;
            if !self.quoted && matches!(self.peek(), None | Some(b'|' | b')')) {
                return Ok(Node::Sequence(items));
            }
            match self.item(flags)? {
                Item::Nothing => self.no_quantifier(*flags)?,
                Item::Alone(node) => {
                    items.push(node);
                    self.no_quantifier(*flags)?;
                }
                Item::Atom(node) => {
                    let node = self.repeated(node, *flags)?;
                    items.push(node);
                }
            }
        }
    }

    /// Steps over what has no meaning: comments, `\Q` and `\E`, and white space under `x`.
    fn skip(&mut self, flags: Flags) -> Result<(), PatternError> {
        loop {
            if self.eat(r"\E") {
                self.quoted = false;
            } else if self.quoted {
                break;
            } else if self.eat(r"\Q") {
                self.quoted = true;
            } else if self.eat("(?#") {
                while self
                    .next()
                    .ok_or_else(|| PatternError::new("an unclosed comment (?#"))?
                    != b')'
                {}
            } else if flags.extended && matches!(self.peek(), Some(b'\t'..=b'\r' | b' ' | 0x85)) {
                self.at += 1;
            } else if flags.extended && self.eat("#") {
                while self.next().is_some_and(|byte| byte != b'\n') {}
            } else {
                break;
            }
        }
        // An unclosed quotation ends with the text.
        self.quoted &= self.peek().is_some();
        Ok(())
    }

    fn item(&mut self, flags: &mut Flags) -> Result<Item, PatternError> {
        let Some(byte) = self.next() else {
            return Ok(Item::Nothing);
        };
        if self.quoted {
            return Ok(literal(byte, *flags));
        }
        Ok(match byte {
            b'.' if flags.dot_is_any => Item::Atom(Node::Byte(ByteSet::ALL)),
            b'.' => Item::Atom(Node::Byte(ByteSet::of(b'\n').complement())),
            b'^' if flags.lines => Item::Alone(Node::Position(Position::LineStart)),
            b'^' => Item::Alone(Node::Position(Position::Start)),
            b'$' if flags.lines => Item::Alone(Node::Position(Position::LineEnd)),
            b'$' => Item::Alone(Node::Position(Position::End)),
            b'[' => Item::Atom(Node::Byte(self.class(flags.insensitive)?)),
            b'(' => self.group(flags)?,
            b'\\' => self.escape(*flags)?,
            _ => {
                self.at -= 1;
                self.no_quantifier(*flags)?;
                self.at += 1;
                literal(byte, *flags)
            }
        })
    }

    /// # Errors
    /// A quantifier is next, which has nothing to repeat.
    fn no_quantifier(&mut self, flags: Flags) -> Result<(), PatternError> {
        self.skip(flags)?;
        match self.quantifier()? {
            Some(_) => Err(PatternError::new(
                "a quantifier (* + ? {n}) that follows nothing to repeat",
            )),
            None => Ok(()),
        }
    }

    /// `node` with the quantifier that follows it, if one does.
    fn repeated(&mut self, node: Node, flags: Flags) -> Result<Node, PatternError> {
        self.skip(flags)?;
        let Some(times) = self.quantifier()? else {
            return Ok(node);
        };
        let possessive = self.eat("+");
        let lazy = !possessive && self.eat("?");
        let greedy = possessive || lazy == flags.lazy;
        let repetition = match node {
            Node::Look { look, .. } => {
                self.repeated_lookbehinds += usize::from(look.is_behind());
                repeated_look(node, times, greedy)?
            }
            node if times.most.is_none() && is_ended_by_nothing(&node) => {
                return Err(PatternError::unsupported(
                    "an unlimited repetition of what can be empty, as in (a*)*",
                ));
            }
            node => Node::Repetition {
                body: Box::new(node),
                times,
                greedy,
            },
        };
        self.no_quantifier(flags)?;
        if !possessive {
            return Ok(repetition);
        }
        self.backtracks = true;
        Ok(Node::Atomic(Box::new(repetition)))
    }

    fn quantifier(&mut self) -> Result<Option<Times>, PatternError> {
        if self.quoted {
            return Ok(None);
        }
        let times = |least, most| Some(Times { least, most });
        let times = match self.peek() {
            Some(b'*') => times(0, None),
            Some(b'+') => times(1, None),
            Some(b'?') => times(0, Some(1)),
            Some(b'{') => return self.counted(),
            _ => return Ok(None),
        };
        self.at += 1;
        Ok(times)
    }

    /// `{n}`, `{n,}` or `{n,m}`; any other brace is literal text.
    pub(super) fn counted(&mut self) -> Result<Option<Times>, PatternError> {
        let Some(length) = self.rest().iter().position(|byte| *byte == b'}') else {
            return Ok(None);
        };
        let inner = self.rest().get(1..length).unwrap_or_default();
        let is_blank = |byte: &u8| matches!(byte, b' ' | b'\t');
        let compact: Vec<u8> = inner
            .iter()
            .copied()
            .filter(|byte| !is_blank(byte))
            .collect();
        let (least, most) = match compact.iter().position(|byte| *byte == b',') {
            Some(comma) => (compact.get(..comma), compact.get(comma + 1..)),
            None => (Some(&*compact), None),
        };
        let least = least.unwrap_or_default();
        let digits = |text: &[u8]| text.iter().all(u8::is_ascii_digit);
        let is_bounded = most.is_some_and(|most| !most.is_empty());
        if !digits(least) || !most.is_none_or(digits) || (least.is_empty() && !is_bounded) {
            return Ok(None);
        }
        if least.is_empty() || inner.len() != compact.len() {
            return Err(PatternError::new(
                "{,n} or spaces in {n,m}: literal text in PCRE before 10.43 and a quantifier since; write {0,n}, or \\{ for the \
                 brace",
            ));
        }
        let least = number(least)?;
        let most = match most {
            None => Some(least),
            Some([]) => None,
            Some(most) => Some(number(most)?),
        };
        if most.is_some_and(|most| most < least) {
            return Err(PatternError::new("{n,m} with m below n"));
        }
        self.at += length + 1;
        Ok(Some(Times { least, most }))
    }
}

/// Whether an unlimited repetition of `node` can end with a time that matches nothing, and the engines differ in what was matched
/// by then: in the extent, or in the groups.
fn is_ended_by_nothing(node: &Node) -> bool {
    node.can_be_empty() && (node.captures() || node.prefers_empty())
}

/// A look-around matches once or not at all, as a second time changes nothing.
fn repeated_look(node: Node, times: Times, greedy: bool) -> Result<Node, PatternError> {
    if times.most == Some(0) {
        return Err(PatternError::unsupported("a look-around with {0}"));
    }
    if node.captures() {
        return Err(PatternError::unsupported(
            "a look-around with a group and a quantifier, as in (?=(a))*",
        ));
    }
    if times.least > 0 {
        return Ok(node);
    }
    let nothing = Node::Sequence(Vec::new());
    let branches = match greedy {
        true => vec![node, nothing],
        false => vec![nothing, node],
    };
    Ok(Node::Group {
        captures: false,
        body: Node::Alternatives(branches).into(),
    })
}

/// A byte that stands for itself.
pub(super) fn literal(byte: u8, flags: Flags) -> Item {
    let set = ByteSet::of(byte);
    Item::Atom(Node::Byte(match flags.insensitive {
        true => set.without_case(),
        false => set,
    }))
}

fn number(digits: &[u8]) -> Result<u32, PatternError> {
    let number = digits.iter().try_fold(0_u32, |number, digit| {
        let number = number * 10 + u32::from(digit - b'0');
        (number <= MAX_TIMES).then_some(number)
    });
    number.ok_or_else(|| PatternError::new("a number above 65535 in a quantifier"))
}
