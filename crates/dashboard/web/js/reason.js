// Why an event is an anomaly, in words.

import { h } from './dom.js';
import { number, percent } from './format.js';

/** The value of a field, which may be a path into nested objects; undefined where the event has none. */
export function fieldOf(event, path) {
  if (event !== null && typeof event === 'object' && Object.hasOwn(event, path)) return event[path];
  let value = event;
  for (const part of path.split('.')) {
    if (value === null || typeof value !== 'object' || !Object.hasOwn(value, part)) return undefined;
    value = value[part];
  }
  return value;
}

/** The value a feature had: as a detector saw it, for a derived feature is not in the event; else as the event says. */
export function actualOf(anomaly, feature) {
  const seen = anomaly.features?.[feature]
    ?? anomaly.detectors.find((verdict) => verdict.feature === feature && verdict.value !== undefined)?.value;
  if (seen !== undefined) return seen;
  const value = fieldOf(anomaly.event, feature);
  if (typeof value === 'boolean') return Number(value);
  const asNumber = typeof value === 'string' && value.trim() !== '' ? Number(value) : value;
  return typeof asNumber === 'number' && Number.isFinite(asNumber) ? asNumber : undefined;
}

export const ratioOf = (verdict) => (verdict.threshold > 0 ? verdict.score / verdict.threshold : NaN);

/** Shares of the model's score, the largest first. */
export function sharesOf(anomaly) {
  return Object.entries(anomaly.contributions ?? {}).filter(([, share]) => share > 0).sort((a, b) => b[1] - a[1]);
}

/** The expected range that says most: that of the feature that contributes most; without shares, the one furthest out. */
function tellingVerdict(anomaly) {
  const withRange = anomaly.detectors.filter((verdict) => verdict.feature && verdict.expected);
  const shares = sharesOf(anomaly);
  if (shares.length > 0) return withRange.find((verdict) => verdict.feature === shares[0][0]);
  return withRange.sort((a, b) => ratioOf(b) - ratioOf(a))[0];
}

const feature = (name) => h('span', { class: 'feature' }, name);

function ofRange(anomaly, { feature: name, expected }) {
  const actual = actualOf(anomaly, name);
  const range = `${number(expected.low)} to ${number(expected.high)}`;
  return actual === undefined
    ? [feature(name), h('span', { class: 'expected' }, ' outside of the expected ', range)]
    : [feature(name), ' ', h('b', {}, number(actual)), h('span', { class: 'expected' }, ', expected ', range)];
}

function ofShares(anomaly, shares) {
  const parts = shares.slice(0, 2).map(([name, share], i) => {
    const actual = actualOf(anomaly, name);
    return [i > 0 ? ', ' : '', feature(name), actual === undefined ? '' : [' ', h('b', {}, number(actual))],
      h('span', { class: 'expected' }, ` (${percent(share)})`)].flat(2);
  });
  return [h('span', { class: 'expected' }, 'unusual '), ...parts.flat()];
}

/** The main reason, as nodes. */
export function mainReason(anomaly) {
  const verdict = tellingVerdict(anomaly);
  if (verdict) return ofRange(anomaly, verdict);
  const shares = sharesOf(anomaly);
  if (shares.length > 0) return ofShares(anomaly, shares);
  const named = anomaly.detectors.find((one) => one.feature);
  return named ? ['unusual ', feature(named.feature)] : ['an unusual event as a whole'];
}

/** The main reason, as one string. */
export const reasonText = (anomaly) => h('span', {}, mainReason(anomaly)).textContent;
