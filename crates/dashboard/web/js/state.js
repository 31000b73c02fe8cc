// What the page knows: filters, rows, counts. No DOM here.

export const WINDOWS = [
  { key: '5m', label: '5 min', ms: 300e3, bucket: '5s' },
  { key: '15m', label: '15 min', ms: 900e3, bucket: '15s' },
  { key: '1h', label: '1 h', ms: 3600e3, bucket: '1m' },
  { key: '6h', label: '6 h', ms: 21600e3, bucket: '5m' },
  { key: '24h', label: '24 h', ms: 86400e3, bucket: '20m' },
];
export const FILTERS = ['use_case', 'entity', 'detector', 'severity'];
export const SEVERITIES = ['warning', 'high', 'critical'];
/** Rows kept for the list; it shows the first of them. */
export const KEPT = 300;
/** The score chart has this many slots over its window, and shows the highest scores of each. */
const SLOTS = 240;
const DOTS = 6;
/** Live rows remembered: more than arrive while an answer is under way. */
const RECENT = 1000;

const rank = (severity) => SEVERITIES.indexOf(severity);
const height = (row) => row.score / row.threshold;
const later = (a, b) => b.ms - a.ms || b.sequence - a.sequence;

export class State {
  filter = { use_case: '', entity: '', detector: '', severity: '' };
  window = WINDOWS[1];
  rows = [];
  /** Start of an interval in ms → counts by severity. */
  buckets = new Map();
  bucketMs = 15e3;
  tops = { entity: new Map(), detector: new Map(), use_case: new Map() };
  minute = 0;
  latest = null;
  everAny = false;
  loaded = false;
  /** Sequences up to which each answer of the server counts everything. */
  known = { rows: 0, series: 0, entity: 0, detector: 0, use_case: 0, summary: 0 };
  arrivals = new Set();
  /** Slot of time → its rows with the highest scores. */
  #dots = new Map();
  /** Whether a slot had more rows than it shows. */
  thinned = false;
  /** What arrived live of late: an answer that was under way meanwhile lacks it. */
  #recent = [];
  #ahead = 0;
  #newest = 0;
  #frozen = null;

  /** Where the window ends: the server's time, or the newest event where event time runs ahead. */
  asOf() {
    return this.#frozen ?? Math.max(Date.now() + this.#ahead, this.#newest);
  }

  from() {
    return this.asOf() - this.window.ms;
  }

  freeze(frozen) {
    this.#frozen = null;
    if (frozen) this.#frozen = this.asOf();
  }

  matches(anomaly, except) {
    const { use_case, entity, detector, severity } = this.filter;
    return (except === 'use_case' || !use_case || anomaly.use_case === use_case)
      && (except === 'entity' || !entity || anomaly.entity === entity)
      && (except === 'detector' || !detector || anomaly.detectors.some((verdict) => verdict.name === detector))
      && (!severity || rank(anomaly.severity) >= rank(severity));
  }

  /** The filter as query parameters, without the one named `except`. */
  query(except) {
    const query = new URLSearchParams();
    for (const name of FILTERS) if (this.filter[name] && name !== except) query.set(name, this.filter[name]);
    return query;
  }

  filtered() {
    return FILTERS.some((name) => this.filter[name]);
  }

  takeSummary(summary) {
    const asOf = Date.parse(summary.as_of);
    this.#ahead = asOf - Date.now();
    this.minute = summary.minute.total;
    this.latest = summary.latest === null ? null : Date.parse(summary.latest);
    this.everAny ||= summary.sequence > 0;
    this.known.summary = summary.sequence;
    for (const row of this.#missedBy(summary.sequence)) this.#countMinute(row);
  }

  /** Live rows that an answer with this sequence does not count. */
  #missedBy(sequence) {
    return this.#recent.filter((row) => row.sequence > sequence);
  }

  takeRows({ sequence, anomalies }) {
    const fetched = anomalies.map(prepare);
    const ids = new Set(fetched.map((row) => row.id));
    const live = this.rows.filter((row) => row.sequence > sequence && !ids.has(row.id) && this.matches(row));
    this.rows = [...live, ...fetched].sort(later).slice(0, KEPT);
    this.known.rows = sequence;
    this.arrivals.clear();
    this.takeDots(fetched);
  }

  /** Another question is asked: what the score chart shows belongs to the one before. */
  ask(filter, window) {
    Object.assign(this.filter, filter);
    this.window = window;
    this.rows = this.rows.filter((row) => this.matches(row));
    this.#dots.clear();
    this.thinned = false;
    this.takeDots(this.rows);
  }

  /** Shows rows in the score chart, as far as they are among the highest of their time. */
  takeDots(anomalies) {
    const width = this.window.ms / SLOTS;
    for (const row of anomalies.map(prepare)) {
      const key = Math.floor(row.ms / width);
      const slot = this.#dots.get(key) ?? [];
      if (slot.some((dot) => dot.id === row.id)) continue;
      slot.push(row);
      if (slot.length > DOTS) {
        slot.sort((a, b) => height(b) - height(a)).pop();
        this.thinned = true;
      }
      this.#dots.set(key, slot);
    }
  }

  /** The rows of the score chart. */
  dots() {
    return [...this.#dots.values()].flat();
  }

  takeSeries({ sequence, bucket_seconds, buckets }) {
    this.bucketMs = bucket_seconds * 1000;
    this.buckets = new Map(buckets.map(({ start, warning, high, critical }) => [Date.parse(start), { warning, high, critical }]));
    this.known.series = sequence;
    for (const row of this.#missedBy(sequence)) this.#countBucket(row);
  }

  takeTop(by, { sequence, groups }) {
    this.tops[by] = new Map(groups.map(({ name, count }) => [name, count]));
    this.known[by] = sequence;
    for (const row of this.#missedBy(sequence)) this.#countTop(by, row);
  }

  /** Up to which sequence every answer counts everything. */
  sequence() {
    return Math.min(...Object.values(this.known));
  }

  /** Takes anomalies that arrived live; what an answer has counted already is not counted again. */
  takeLive(anomalies) {
    const rows = anomalies.map(prepare);
    const ids = new Set(this.rows.map((row) => row.id));
    this.#recent = this.#recent.concat(rows).slice(-RECENT);
    for (const row of rows) {
      this.everAny = true;
      this.#newest = Math.max(this.#newest, row.ms);
      for (const by of Object.keys(this.tops)) if (row.sequence > this.known[by]) this.#countTop(by, row);
      if (row.sequence > this.known.summary) this.#countMinute(row);
      if (row.sequence > this.known.series) this.#countBucket(row);
      if (!this.matches(row)) continue;
      this.latest = Math.max(this.latest ?? 0, row.ms);
      if (ids.has(row.id) || row.ms < this.from()) continue;
      ids.add(row.id);
      this.rows.push(row);
      this.arrivals.add(row.id);
      this.takeDots([row]);
    }
    if (this.arrivals.size > 0) this.rows = this.rows.sort(later).slice(0, KEPT);
  }

  #countMinute(row) {
    if (this.matches(row) && row.ms > this.asOf() - 60e3) this.minute += 1;
  }

  #countBucket(row) {
    if (!this.matches(row)) return;
    const start = Math.floor(row.ms / this.bucketMs) * this.bucketMs;
    const bucket = this.buckets.get(start) ?? { warning: 0, high: 0, critical: 0 };
    bucket[row.severity] += 1;
    this.buckets.set(start, bucket);
  }

  #countTop(by, row) {
    if (!this.matches(row, by)) return;
    const names = by === 'detector' ? new Set(row.detectors.map((verdict) => verdict.name)) : [row[by]];
    for (const name of names) this.tops[by].set(name, (this.tops[by].get(name) ?? 0) + 1);
  }

  /** Forgets what has left the window. */
  prune() {
    const from = this.from();
    for (const start of this.buckets.keys()) if (start + this.bucketMs <= from) this.buckets.delete(start);
    for (const slot of this.#dots.keys()) if ((slot + 1) * (this.window.ms / SLOTS) < from) this.#dots.delete(slot);
    while (this.rows.length > 0 && this.rows.at(-1).ms < from) this.rows.pop();
  }

  totals() {
    const totals = { all: 0, warning: 0, high: 0, critical: 0 };
    for (const bucket of this.buckets.values()) {
      for (const severity of SEVERITIES) {
        totals[severity] += bucket[severity];
        totals.all += bucket[severity];
      }
    }
    return totals;
  }
}

function prepare(anomaly) {
  return Object.assign(anomaly, { ms: Date.parse(anomaly.event_time) });
}
