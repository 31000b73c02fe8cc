//! From the words of a rule to its calculation.

use pulse_core::nearest;

use super::token::{self, Token};
use super::{Comparison, Op, RuleFault};
use crate::column::Column;

/// The longest rule, in characters.
const MAX_CHARS: usize = 1000;
/// Parentheses and signs within each other.
const MAX_DEPTH: usize = 32;

/// A rule in the form in which it runs.
pub(super) struct Parsed {
    pub(super) left: Vec<Op>,
    pub(super) comparison: Comparison,
    pub(super) right: Vec<Op>,
}

/// Parses `text`. Names that are no columns are all reported at once; of faults in the form, the first.
pub(super) fn parse(text: &str, columns: &[Column]) -> Result<Parsed, Vec<RuleFault>> {
    let end = text.chars().count();
    let fault = |at, message: &str| vec![RuleFault { at, message: message.to_owned() }];
    if end > MAX_CHARS {
        return Err(fault(MAX_CHARS, &format!("has {end} characters: make several rules of at most {MAX_CHARS}")));
    }
    let tokens = token::tokens(text).map_err(|fault| vec![fault])?;
    let mut parser = Parser { tokens: &tokens, end: end + 1, columns, ops: Vec::new(), depth: 0, unknown: Vec::new() };
    let parsed = parser.rule().map_err(|fault| vec![fault])?;
    if !parser.unknown.is_empty() {
        return Err(parser.unknown);
    }
    let is_column = |op: &Op| matches!(op, Op::Column(_));
    if !parsed.left.iter().chain(&parsed.right).any(is_column) {
        return Err(fault(1, "names no field, so that it says nothing of an event: name one"));
    }
    Ok(parsed)
}

struct Parser<'a> {
    tokens: &'a [(usize, Token)],
    /// Where the text ends.
    end: usize,
    columns: &'a [Column],
    ops: Vec<Op>,
    depth: usize,
    unknown: Vec<RuleFault>,
}

impl<'a> Parser<'a> {
    fn rule(&mut self) -> Result<Parsed, RuleFault> {
        self.sum()?;
        let left = std::mem::take(&mut self.ops);
        let comparison = match self.next() {
            (_, Some(Token::Comparison(comparison))) => *comparison,
            (at, _) => return Err(wanted(at, "a comparison: one of `<`, `<=`, `>`, `>=`, `==` and `!=`")),
        };
        self.sum()?;
        match self.next() {
            (_, None) => Ok(Parsed { left, comparison, right: std::mem::take(&mut self.ops) }),
            (at, Some(Token::Comparison(_))) => {
                Err(RuleFault { at, message: "compares a second time: make a rule of its own of it".to_owned() })
            }
            (at, Some(_)) => Err(wanted(at, "the end, or one of `+`, `-`, `*` and `/`")),
        }
    }

    fn sum(&mut self) -> Result<(), RuleFault> {
        self.product()?;
        while let Some(op) = self.operator(&[(Token::Plus, Op::Add), (Token::Minus, Op::Subtract)]) {
            self.product()?;
            self.ops.push(op);
        }
        Ok(())
    }

    fn product(&mut self) -> Result<(), RuleFault> {
        self.operand()?;
        while let Some(op) = self.operator(&[(Token::Times, Op::Multiply), (Token::Over, Op::Divide)]) {
            self.operand()?;
            self.ops.push(op);
        }
        Ok(())
    }

    fn operand(&mut self) -> Result<(), RuleFault> {
        self.depth += 1;
        let (at, token) = self.next();
        if self.depth > MAX_DEPTH {
            let message = format!("is nested deeper than {MAX_DEPTH} levels: make it flatter");
            return Err(RuleFault { at, message });
        }
        match token {
            Some(Token::Number(value)) => self.ops.push(Op::Number(*value)),
            Some(Token::Name(name)) => {
                let column = self.column(at, name);
                self.ops.push(Op::Column(column));
            }
            Some(Token::Minus) => {
                self.operand()?;
                self.ops.push(Op::Negate);
            }
            Some(Token::Open) => {
                self.sum()?;
                let (at, close) = self.next();
                if close != Some(&Token::Close) {
                    return Err(wanted(at, "`)`"));
                }
            }
            _ => return Err(wanted(at, "a field, a number or `(`")),
        }
        self.depth -= 1;
        Ok(())
    }

    /// The next token, past which it goes, and its place.
    fn next(&mut self) -> (usize, Option<&'a Token>) {
        let Some(((at, token), rest)) = self.tokens.split_first() else { return (self.end, None) };
        self.tokens = rest;
        (*at, Some(token))
    }

    fn operator(&mut self, known: &[(Token, Op)]) -> Option<Op> {
        let (_, token) = self.tokens.first()?;
        let (_, op) = known.iter().find(|(known, _)| known == token)?;
        self.tokens = &self.tokens[1..];
        Some(*op)
    }

    /// The index of the column `name`; any, with a fault, where there is none.
    fn column(&mut self, at: usize, name: &str) -> usize {
        if let Some(index) = self.columns.iter().position(|column| column.name == name) {
            return index;
        }
        let known = self.columns.iter().map(|column| column.name.as_str());
        let mend = nearest(name, known.clone()).map_or_else(
            || format!("there are {}", known.collect::<Vec<_>>().join(", ")),
            |near| format!("did you mean `{near}`?"),
        );
        self.unknown.push(RuleFault { at, message: format!("`{name}` is no numeric column: {mend}") });
        0
    }
}

fn wanted(at: usize, what: &str) -> RuleFault {
    RuleFault { at, message: format!("wants {what} here") }
}
