//! An event as text with holes where its changing values go.

use bytes::{BufMut, BytesMut};
use serde_json::{Map, Value};

use super::json;

/// Room for what fills a hole, in bytes: enough for times and most numbers, so that a buffer seldom grows twice.
const HOLE_BYTES: usize = 26;

/// A serialised event whose holes are filled in when it is sent.
#[derive(Debug)]
pub(super) struct Template<H> {
    text: Box<[u8]>,
    /// How much of the text stands before each hole, in rising order.
    holes: Box<[(usize, H)]>,
}

impl<H: Copy> Template<H> {
    /// The template of `event`, with a hole in the place of each value at these paths; one without a value gets no hole.
    pub(super) fn new(mut event: Map<String, Value>, holes: Vec<(&str, H)>) -> Self {
        let whole = json::to_text(&event);
        let mut marks = Vec::with_capacity(holes.len());
        for (index, (path, hole)) in holes.into_iter().enumerate() {
            let Some(value) = json::get_mut(&mut event, path) else { continue };
            let mark = mark(index, &whole);
            marks.push((format!("\"{mark}\""), hole));
            *value = Value::String(mark);
        }
        let text = json::to_text(&event);
        let mut found: Vec<(usize, usize, H)> =
            marks.iter().filter_map(|(mark, hole)| Some((text.find(mark)?, mark.len(), *hole))).collect();
        found.sort_by_key(|(at, ..)| *at);
        let (mut rest, mut from) = (String::with_capacity(text.len()), 0);
        let mut holes = Vec::with_capacity(found.len());
        for (at, length, hole) in found {
            rest.push_str(&text[from..at]);
            from = at + length;
            holes.push((rest.len(), hole));
        }
        rest.push_str(&text[from..]);
        Self { text: rest.into_bytes().into(), holes: holes.into() }
    }

    /// Appends the event to `out`; `fill` writes what goes into a hole.
    pub(super) fn render(&self, out: &mut BytesMut, mut fill: impl FnMut(H, &mut BytesMut)) {
        out.reserve(self.text.len() + HOLE_BYTES * self.holes.len());
        let mut from = 0;
        for &(at, hole) in &self.holes {
            out.put_slice(&self.text[from..at]);
            from = at;
            fill(hole, out);
        }
        out.put_slice(&self.text[from..]);
    }
}

/// Text that does not occur in `whole`, nor within another mark.
fn mark(index: usize, whole: &str) -> String {
    let mut mark = format!("hole-{index}");
    while whole.contains(&mark) {
        mark.push('-');
    }
    mark
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn holes_are_filled_and_nothing_else_changes() {
        let event = json!({"b": {"from": 1}, "at": "x", "hole-0": "hole-1", "x": [1.5], "hole-1-": "\"hole-1-\""});
        let holes = vec![("at", 7), ("b.from", 8), ("absent", 9)];
        let template = Template::new(event.as_object().unwrap().clone(), holes);
        let mut out = BytesMut::new();
        template.render(&mut out, |hole, out| json::write(&hole, out));
        let filled: Value = serde_json::from_slice(&out).unwrap();
        let expected = json!({"b": {"from": 8}, "at": 7, "hole-0": "hole-1", "x": [1.5], "hole-1-": "\"hole-1-\""});
        assert_eq!(filled, expected);
    }
}
