//! From the text of a rule to its words.

use super::{Comparison, RuleFault};

/// A word of a rule.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Token {
    Name(String),
    Number(f64),
    Plus,
    Minus,
    Times,
    Over,
    Open,
    Close,
    Comparison(Comparison),
}

/// The words of `text`, each with the place of its first character.
pub(super) fn tokens(text: &str) -> Result<Vec<(usize, Token)>, RuleFault> {
    let chars: Vec<char> = text.chars().collect();
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(&c) = chars.get(at) {
        if c.is_whitespace() {
            at += 1;
            continue;
        }
        let (token, length) = next(&chars[at..]).map_err(|message| RuleFault { at: at + 1, message })?;
        found.push((at + 1, token));
        at += length;
    }
    Ok(found)
}

/// The word that `chars` begin with, and how many they are.
fn next(chars: &[char]) -> Result<(Token, usize), String> {
    let simple = match chars {
        ['<', '=', ..] => (Token::Comparison(Comparison::AtMost), 2),
        ['>', '=', ..] => (Token::Comparison(Comparison::AtLeast), 2),
        ['=', '=', ..] => (Token::Comparison(Comparison::Equal), 2),
        ['!', '=', ..] => (Token::Comparison(Comparison::Unequal), 2),
        ['<', ..] => (Token::Comparison(Comparison::Less), 1),
        ['>', ..] => (Token::Comparison(Comparison::More), 1),
        ['+', ..] => (Token::Plus, 1),
        ['-', ..] => (Token::Minus, 1),
        ['*', ..] => (Token::Times, 1),
        ['/', ..] => (Token::Over, 1),
        ['(', ..] => (Token::Open, 1),
        [')', ..] => (Token::Close, 1),
        ['=', ..] => return Err("`=` does not compare: write `==`".to_owned()),
        ['`', rest @ ..] => return quoted(rest),
        [c, ..] if c.is_ascii_digit() => return number(chars),
        [c, ..] if c.is_alphabetic() || *c == '_' => return Ok(name(chars)),
        [c, ..] => {
            return Err(format!("{c:?} means nothing here: write names, numbers, `+ - * / ( )` and one comparison"));
        }
        [] => return Err("ends early".to_owned()),
    };
    Ok(simple)
}

fn quoted(rest: &[char]) -> Result<(Token, usize), String> {
    let length = rest.iter().position(|&c| c == '`').ok_or("the quote ` has no end: close it")?;
    Ok((Token::Name(rest[..length].iter().collect()), length + 2))
}

fn number(chars: &[char]) -> Result<(Token, usize), String> {
    let is_exponent = |at: usize| matches!(chars[at], '+' | '-') && matches!(chars[at - 1], 'e' | 'E');
    let belongs = |&at: &usize| chars[at].is_alphanumeric() || chars[at] == '.' || (at > 0 && is_exponent(at));
    let length = (0..chars.len()).take_while(belongs).count();
    let text: String = chars[..length].iter().collect();
    let value = text.parse().ok().filter(|value: &f64| value.is_finite());
    value.map(|value| (Token::Number(value), length)).ok_or_else(|| format!("`{text}` is no number"))
}

fn name(chars: &[char]) -> (Token, usize) {
    let length = chars.iter().take_while(|&&c| c.is_alphanumeric() || matches!(c, '_' | '.')).count();
    (Token::Name(chars[..length].iter().collect()), length)
}
