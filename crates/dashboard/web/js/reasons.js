// The reasons in the detail view: each detector, the expected range, and the shares of the model's score.

import { gauge, h, s } from './dom.js';
import { detectorName, limit, number, percent, score, times } from './format.js';
import { actualOf, ratioOf, sharesOf } from './reason.js';

/** Places in the drawing of a range, in px; its width is that of the view. */
const RANGE = { height: 76, line: 40, pad: 40, above: 24 };

/** Every detector that fired, with its score against its threshold. */
export function verdicts(anomaly, width) {
  const each = anomaly.detectors.map((verdict, i) => {
    const actual = verdict.feature ? actualOf(anomaly, verdict.feature) : undefined;
    return h('article', { class: 'verdict', 'data-severity': anomaly.severity },
      h('div', { class: 'verdict-head' },
        h('h3', { title: verdict.name }, detectorName(verdict.name)),
        verdict.feature ? h('span', { class: 'feature' }, verdict.feature) : null,
        i === 0 ? h('span', { class: 'tag' }, 'decided') : null,
        h('span', { class: 'numbers' }, 'score ', h('b', {}, score(verdict.score)), ` (${times(ratioOf(verdict))})`)),
      gauge(ratioOf(verdict), anomaly.severity),
      h('div', { class: 'gauge-marks' }, h('span', {}, `threshold ${limit(verdict.threshold)}`)),
      verdict.expected ? range(verdict.expected, actual, width) : null,
      verdict.expected && actual === undefined
        ? h('p', { class: 'note' }, `The event itself does not hold ${verdict.feature ?? 'the value'}: it is derived from its fields.`) : null,
      verdict.model_version ? h('p', { class: 'note' }, `Model ${verdict.model_version}`) : null);
  });
  return panel('Why', h('div', { class: 'inner' }, each));
}

/** The expected range as a band, with the actual value where the event holds it. */
function range(expected, actual, width) {
  const values = [expected.low, expected.high, expected.value, actual].filter((value) => Number.isFinite(value));
  const [low, high] = [Math.min(...values), Math.max(...values)];
  const spread = high - low || Math.abs(high) || 1;
  const inner = width - 2 * RANGE.pad;
  const x = (value) => RANGE.pad + ((value - low) / spread) * inner;
  const [left, right] = [x(expected.low), x(expected.high)];
  const { line } = RANGE;
  const words = `expected ${number(expected.low)} to ${number(expected.high)}${actual === undefined ? '' : `, actual ${number(actual)}`}`;
  const above = actual === undefined ? RANGE.above : 0;
  const height = RANGE.height - above;
  return s('svg', { class: 'range', width, height, viewBox: `0 ${above} ${width} ${height}`, role: 'img', 'aria-label': words },
    s('line', { class: 'axis', x1: 0, x2: width, y1: line, y2: line }),
    actual === undefined ? null : s('line', { class: 'gap', x1: Math.max(left, Math.min(right, x(actual))), x2: x(actual), y1: line, y2: line }),
    s('rect', { class: 'band', x: left, y: line - 9, width: Math.max(3, right - left), height: 18, rx: 3 }),
    s('line', { class: 'likely', x1: x(expected.value), x2: x(expected.value), y1: line - 9, y2: line + 9 }),
    bandLabels(expected, left, right, width),
    actual === undefined ? null : s('circle', { class: 'actual', cx: x(actual), cy: line, r: 7 }),
    actual === undefined ? null : label(x(actual), line - 18, number(actual), width, 'actual-label'));
}

function bandLabels(expected, left, right, width) {
  const y = RANGE.line + 26;
  if (right - left < 190) return [label((left + right) / 2, y, `expected ${number(expected.low)} to ${number(expected.high)}`, width)];
  return [
    label(left, y, number(expected.low), width),
    label((left + right) / 2, y, `expected ${number(expected.value)}`, width),
    label(right, y, number(expected.high), width),
  ];
}

/** A label that keeps within the drawing. */
function label(x, y, text, width, className) {
  const half = text.length * 3.6;
  const at = Math.max(half, Math.min(width - half, x));
  return s('text', { x: at, y, 'text-anchor': 'middle', class: className }, text);
}

/** How much each feature contributed to the model's score; none where the model did not fire. */
export function shares(anomaly) {
  const all = sharesOf(anomaly);
  if (all.length === 0) return null;
  const most = all[0][1];
  const rows = all.flatMap(([name, share]) => {
    const actual = actualOf(anomaly, name);
    return [
      h('span', { class: 'feature' }, name, actual === undefined ? null : h('span', { class: 'value' }, ` ${number(actual)}`)),
      h('span', { class: 'track', 'aria-hidden': 'true', vars: { '--fill': `${(share / most) * 100}%` } }, h('i')),
      h('span', { class: 'percent' }, percent(share)),
    ];
  });
  return panel('What the model looked at', h('div', { class: 'inner shares' }, rows), 'share of its score');
}

/** A titled panel. */
export function panel(title, content, hint) {
  return h('section', { class: 'panel' },
    h('header', { class: 'panel-head' }, h('h2', {}, title), hint ? h('span', { class: 'hint' }, hint) : null), content);
}
