// Numbers, times and names in words.

const digits = (most, least = 0) => new Intl.NumberFormat(undefined, { maximumFractionDigits: most, minimumFractionDigits: least });
const WHOLE = digits(0);
const ONE = digits(1);
const TWO = digits(2, 2);
const SMALL = new Intl.NumberFormat(undefined, { maximumSignificantDigits: 3 });
const LARGE = new Intl.NumberFormat(undefined, { notation: 'compact', maximumSignificantDigits: 4 });
const COMPACT = new Intl.NumberFormat(undefined, { notation: 'compact', maximumFractionDigits: 1 });

/** A measured value, with as many digits as its size bears. */
export function number(value) {
  if (typeof value !== 'number' || !Number.isFinite(value)) return 'not a number';
  const size = Math.abs(value);
  if (size >= 1e7) return LARGE.format(value);
  if (size >= 1000) return WHOLE.format(value);
  if (Number.isInteger(value)) return WHOLE.format(value);
  if (size >= 1) return TWO.format(value);
  return SMALL.format(value);
}

/** A score: two digits behind the point below ten, one above. */
export function score(value) {
  if (typeof value !== 'number' || !Number.isFinite(value)) return '–';
  return Math.abs(value) >= 1000 ? LARGE.format(value) : Math.abs(value) >= 10 ? ONE.format(value) : TWO.format(value);
}

/** A threshold: whole ones without digits behind the point. */
export const limit = (value) => (Number.isInteger(value) ? WHOLE.format(value) : score(value));

export const count = (value) => (value >= 100000 ? COMPACT.format(value) : WHOLE.format(value));
export const plural = (value, one, many) => `${count(value)} ${value === 1 ? one : many}`;
export const percent = (share) => new Intl.NumberFormat(undefined, { style: 'percent', maximumFractionDigits: 0 }).format(share);
export const times = (ratio) => (Number.isFinite(ratio) ? `${ratio >= 10 ? ONE.format(ratio) : TWO.format(ratio)}×` : '–');

const CLOCK = new Intl.DateTimeFormat(undefined, { hour: '2-digit', minute: '2-digit', second: '2-digit', hourCycle: 'h23' });
const MINUTES = new Intl.DateTimeFormat(undefined, { hour: '2-digit', minute: '2-digit', hourCycle: 'h23' });
const DAY = new Intl.DateTimeFormat(undefined, { day: 'numeric', month: 'short' });
const FULL = new Intl.DateTimeFormat(undefined, {
  weekday: 'short', day: 'numeric', month: 'short', year: 'numeric', hour: '2-digit', minute: '2-digit', second: '2-digit',
  hourCycle: 'h23', timeZoneName: 'short',
});

export const clock = (ms) => CLOCK.format(ms);
export const minutes = (ms) => MINUTES.format(ms);
export const day = (ms) => DAY.format(ms);
export const fullTime = (ms) => FULL.format(ms);
export const utc = (ms) => `${new Date(ms).toISOString().replace('T', ' ').replace(/\.000Z$|Z$/, '')} UTC`;
export const sameDay = (a, b) => new Date(a).toDateString() === new Date(b).toDateString();

/** How long something took. */
export function duration(ms) {
  if (ms < 1000) return `${WHOLE.format(ms)} ms`;
  if (ms < 120000) return `${ONE.format(ms / 1000)} s`;
  if (ms < 7200000) return `${WHOLE.format(ms / 60000)} min`;
  return `${ONE.format(ms / 3600000)} h`;
}

/** How long ago something was. */
export function ago(ms, now) {
  const past = now - ms;
  if (past < 2000) return past < -2000 ? `${duration(-past)} ahead` : 'just now';
  return past < 86400000 * 2 ? `${past < 120000 ? `${Math.round(past / 1000)} s` : duration(past)} ago` : `${WHOLE.format(past / 86400000)} days ago`;
}

const DETECTORS = { isolation_forest: 'Isolation forest', rolling_zscore: 'Rolling z-score' };

/** A detector's name in words. */
export function detectorName(name) {
  if (Object.hasOwn(DETECTORS, name)) return DETECTORS[name];
  const words = name.replaceAll('_', ' ').trim();
  return words ? words.charAt(0).toUpperCase() + words.slice(1) : '(no name)';
}

export const shownName = (name) => (name === '' ? '(empty)' : name);
