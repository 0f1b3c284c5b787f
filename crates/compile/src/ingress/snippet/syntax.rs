//! The syntax of nginx configuration: directives with their arguments, blocks, quotes, escapes and comments.
//!
//! It knows no directive. Size and depth are bounded, and any text gives directives or one error with its line.

use std::iter::Peekable;
use std::str::Chars;

/// Longest text, bytes.
pub(crate) const MAX_TEXT: usize = 64 << 10;
/// Most blocks within each other.
pub(crate) const MAX_DEPTH: usize = 8;
/// Most directives of a text, with those in blocks.
pub(crate) const MAX_DIRECTIVES: usize = 2_000;
/// Longest word, bytes, as in nginx.
const MAX_WORD: usize = 4_096;

/// A directive as written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Written {
    pub(crate) name: String,
    /// Its line, from 1.
    pub(crate) line: u32,
    /// Without quotes and escapes.
    pub(crate) arguments: Vec<String>,
    /// What is between its braces.
    pub(crate) block: Option<Vec<Self>>,
}

/// Why a text is not configuration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {reason}")]
pub(crate) struct SyntaxError {
    /// From 1.
    pub(crate) line: u32,
    pub(crate) reason: String,
}

/// The directives of `text`.
///
/// # Errors
/// The first error of syntax, and a text beyond the bounds.
pub(crate) fn parse(text: &str) -> Result<Vec<Written>, SyntaxError> {
    let mut parser = Parser {
        rest: text.chars().peekable(),
        line: 1,
        directives: 0,
    };
    if text.len() > MAX_TEXT {
        return Err(parser.error(format!("the text is longer than {MAX_TEXT} bytes")));
    }
    parser.directives(0)
}

/// A piece of the text.
enum Token {
    Word(String),
    Semicolon,
    Open,
    Close,
    End,
}

struct Parser<'t> {
    rest: Peekable<Chars<'t>>,
    line: u32,
    directives: usize,
}

impl Parser<'_> {
    /// The directives up to the end of the block, or of the text at depth 0.
    fn directives(&mut self, depth: usize) -> Result<Vec<Written>, SyntaxError> {
        let mut list = Vec::new();
        loop {
            match self.token()? {
                Token::End if depth == 0 => return Ok(list),
                Token::End => return Err(self.error("\"}\" is missing at the end")),
                Token::Close if depth > 0 => return Ok(list),
                Token::Close => return Err(self.error("\"}\" without a block")),
                Token::Semicolon => return Err(self.error("\";\" without a directive")),
                Token::Open => return Err(self.error("\"{\" without a directive")),
                Token::Word(name) => list.push(self.directive(name, depth)?),
            }
        }
    }

    /// The directive that begins with `name`.
    fn directive(&mut self, name: String, depth: usize) -> Result<Written, SyntaxError> {
        self.directives += 1;
        if self.directives > MAX_DIRECTIVES {
            return Err(self.error(format!("there are more than {MAX_DIRECTIVES} directives")));
        }
        let mut written = Written {
            name,
            line: self.line,
            arguments: Vec::new(),
            block: None,
        };
        loop {
            match self.token()? {
                Token::Word(word) => written.arguments.push(word),
                Token::Semicolon => return Ok(written),
                Token::Open if depth >= MAX_DEPTH => {
                    return Err(self.error(format!("blocks are more than {MAX_DEPTH} deep")));
                }
                Token::Open => {
                    written.block = Some(self.directives(depth + 1)?);
                    return Ok(written);
                }
                Token::Close | Token::End => {
                    let reason = "\";\" is missing after a directive that begins here";
                    return Err(SyntaxError {
                        line: written.line,
                        reason: reason.to_owned(),
                    });
                }
            }
        }
    }

    fn token(&mut self) -> Result<Token, SyntaxError> {
        loop {
            match self.rest.peek() {
                None => return Ok(Token::End),
                Some(c) if is_space(*c) => drop(self.next()),
                Some('#') => {
                    while self.rest.peek().is_some_and(|c| *c != '\n') {
                        self.next();
                    }
                }
                Some(_) => break,
            }
        }
        match self.rest.peek() {
            Some(';') => self.single(Token::Semicolon),
            Some('{') => self.single(Token::Open),
            Some('}') => self.single(Token::Close),
            Some(quote @ ('"' | '\'')) => {
                let quote = *quote;
                self.quoted(quote)
            }
            _ => self.word(),
        }
    }

    fn single(&mut self, token: Token) -> Result<Token, SyntaxError> {
        self.next();
        Ok(token)
    }

    fn quoted(&mut self, quote: char) -> Result<Token, SyntaxError> {
        let line = self.line;
        self.next();
        let mut word = String::new();
        loop {
            match self.next() {
                None => {
                    return Err(SyntaxError {
                        line,
                        reason: format!("{quote} is not closed"),
                    });
                }
                Some('\\') => self.escape(&mut word),
                Some(c) if c == quote => break,
                Some(c) => word.push(c),
            }
            self.check(&word)?;
        }
        match self.rest.peek() {
            None | Some(';' | '{' | ')') => Ok(Token::Word(word)),
            Some(c) if is_space(*c) => Ok(Token::Word(word)),
            Some(c) => {
                let c = c.escape_default();
                Err(self.error(format!("\"{c}\" directly after a quote")))
            }
        }
    }

    /// A word without quotes. A brace belongs to it after `$`.
    fn word(&mut self) -> Result<Token, SyntaxError> {
        let mut word = String::new();
        let mut variable = false;
        while let Some(c) = self.rest.peek().copied() {
            if is_space(c) || c == ';' || (c == '{' && !variable) {
                break;
            }
            self.next();
            variable = c == '$';
            match c {
                '\\' => self.escape(&mut word),
                c => word.push(c),
            }
            self.check(&word)?;
        }
        Ok(Token::Word(word))
    }

    /// What follows a backslash. Only quotes, a backslash and letters of white space are escapes; before anything else, as in
    /// expressions, the backslash stays.
    fn escape(&mut self, word: &mut String) {
        match self.next() {
            Some(c @ ('"' | '\'' | '\\')) => word.push(c),
            Some('t') => word.push('\t'),
            Some('r') => word.push('\r'),
            Some('n') => word.push('\n'),
            Some(c) => word.extend(['\\', c]),
            None => word.push('\\'),
        }
    }

    fn check(&self, word: &str) -> Result<(), SyntaxError> {
        if word.len() > MAX_WORD {
            return Err(self.error(format!("a word is longer than {MAX_WORD} bytes")));
        }
        Ok(())
    }

    fn next(&mut self) -> Option<char> {
        let c = self.rest.next();
        if c == Some('\n') {
            self.line = self.line.saturating_add(1);
        }
        c
    }

    fn error(&self, reason: impl Into<String>) -> SyntaxError {
        SyntaxError {
            line: self.line,
            reason: reason.into(),
        }
    }
}

fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\r' | '\n')
}

#[cfg(test)]
mod tests;
