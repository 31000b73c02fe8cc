//! Rules between the fields of an event: two sides of arithmetic and one comparison, such as
//! `total_amount >= fare_amount + tip_amount`.
//!
//! A rule is compiled once and runs over the columns of an event. Where a column that it names is missing, or a side has no
//! value (`0 / 0`), it says nothing. Sides that differ by no more than what rounding to 64-bit numbers can add up to count as
//! equal, so that `fare + tip == total` holds for 0.1, 0.2 and 0.3.

mod parse;
mod token;

use pulse_core::use_case;
use serde_json::{Map, Value};

use crate::column::Column;
use crate::fault::Fault;

/// A compiled rule.
#[derive(Debug)]
pub(crate) struct Rule {
    text: String,
    message: Option<String>,
    left: Vec<Op>,
    comparison: Comparison,
    right: Vec<Op>,
}

/// What is wrong with a rule, and where.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct RuleFault {
    /// The character, counted from 1.
    pub(crate) at: usize,
    /// What is wrong, and the mend.
    pub(crate) message: String,
}

/// A step of a calculation; operands come before what is done with them.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Op {
    Column(usize),
    Number(f64),
    Negate,
    Add,
    Subtract,
    Multiply,
    Divide,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Comparison {
    Less,
    AtMost,
    More,
    AtLeast,
    Equal,
    Unequal,
}

/// A number and how far rounding may have moved it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rounded {
    value: f64,
    error: f64,
}

impl Rule {
    /// Compiles `rule` against `columns`.
    pub(crate) fn compile(rule: &use_case::Rule, columns: &[Column]) -> Result<Self, Vec<RuleFault>> {
        let parsed = parse::parse(&rule.text, columns)?;
        let (left, comparison, right) = (parsed.left, parsed.comparison, parsed.right);
        Ok(Self { text: rule.text.clone(), message: rule.message.clone(), left, comparison, right })
    }

    /// Whether the event with these values breaks it. `stack` is kept from event to event.
    pub(crate) fn is_broken(&self, row: &[f64], stack: &mut Vec<Rounded>) -> bool {
        let (left, right) = (run(&self.left, row, stack), run(&self.right, row, stack));
        !left.value.is_nan() && !right.value.is_nan() && !self.comparison.holds(left, right)
    }

    /// What is wrong with an event that breaks it, as rule number `index`.
    pub(crate) fn fault(&self, index: usize, row: &[f64], columns: &[Column]) -> Fault {
        let mut values = Map::new();
        for op in self.left.iter().chain(&self.right) {
            if let Op::Column(column) = op
                && let (Some(Column { name, .. }), Some(&value)) = (columns.get(*column), row.get(*column))
            {
                values.insert(name.clone(), Value::from(value));
            }
        }
        let why = self.message.as_deref().unwrap_or("send values that agree with it");
        let message = format!("is broken: `{}`: {why}", self.text);
        Fault::field(&format!("rules[{index}]"), Fault::quote(Value::Object(values).to_string()), message)
    }
}

fn run(ops: &[Op], row: &[f64], stack: &mut Vec<Rounded>) -> Rounded {
    stack.clear();
    for op in ops {
        let result = match *op {
            Op::Column(column) => Rounded::exact(row.get(column).copied().unwrap_or(f64::NAN)),
            Op::Number(value) => Rounded::exact(value),
            Op::Negate => {
                let Rounded { value, error } = pop(stack);
                Rounded { value: -value, error }
            }
            Op::Add | Op::Subtract | Op::Multiply | Op::Divide => {
                let right = pop(stack);
                pop(stack).combine(*op, right)
            }
        };
        stack.push(result);
    }
    pop(stack)
}

/// The parser leaves no operator without its operands.
fn pop(stack: &mut Vec<Rounded>) -> Rounded {
    stack.pop().unwrap_or(Rounded { value: f64::NAN, error: 0.0 })
}

impl Rounded {
    /// A number that was written in decimal: half a unit in the last place may be missing.
    fn exact(value: f64) -> Self {
        Self { value, error: value.abs() * f64::EPSILON }
    }

    /// Running error analysis: the errors of the operands as the operation carries them on, and its own rounding.
    fn combine(self, op: Op, right: Self) -> Self {
        let (a, b) = (self.value, right.value);
        let (value, carried) = match op {
            Op::Subtract => (a - b, self.error + right.error),
            Op::Multiply => (a * b, a.abs() * right.error + b.abs() * self.error),
            Op::Divide => (a / b, (self.error + (a / b).abs() * right.error) / b.abs()),
            _ => (a + b, self.error + right.error),
        };
        Self { value, error: carried + value.abs() * f64::EPSILON }
    }
}

impl Comparison {
    fn holds(self, left: Rounded, right: Rounded) -> bool {
        let (a, b) = (left.value, right.value);
        let equal = a == b || (a - b).abs() <= left.error + right.error && a.is_finite() && b.is_finite();
        match self {
            Self::Less => a < b && !equal,
            Self::AtMost => a < b || equal,
            Self::More => a > b && !equal,
            Self::AtLeast => a > b || equal,
            Self::Equal => equal,
            Self::Unequal => !equal,
        }
    }
}

#[cfg(test)]
mod tests;
