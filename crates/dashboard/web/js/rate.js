// Anomalies per interval, stacked by severity.

import { Chart, hideTooltip, showTooltip, ticks } from './chart.js';
import { byId, s, setText } from './dom.js';
import { clock, count, day, duration, minutes, plural, sameDay } from './format.js';
import { SEVERITIES } from './state.js';

const total = (bucket) => bucket.warning + bucket.high + bucket.critical;

export class RateChart extends Chart {
  #hover = null;

  constructor(host) {
    super(host, 'Anomalies over time');
    host.addEventListener('pointermove', (event) => this.#point(event));
    host.addEventListener('pointerleave', () => this.#leave());
  }

  draw(state) {
    this.state = state;
    this.to = state.asOf();
    this.from = this.to - state.window.ms;
    const most = Math.max(0, ...[...state.buckets.values()].map(total));
    const marks = ticks(most);
    this.most = marks.at(-1);
    const grid = marks.slice(1).flatMap((mark) => this.valueLine(Math.round(this.y(mark)) + 0.5, count(mark)));
    const bars = SEVERITIES.map((severity) => s('path', { class: 'bar', 'data-severity': severity, d: this.#path(state, severity) }));
    const parts = [...grid, this.#pointer(state), ...bars, ...this.timeAxis()];
    if (most === 0) parts.push(this.nothing(state.loaded ? 'No anomalies in this window' : 'Loading'));
    this.svg.replaceChildren(...parts.filter(Boolean));
    this.#describe(state, most);
  }

  y(value) {
    return this.bottom - (value / this.most) * (this.bottom - this.top);
  }

  /** One path for all bars of a severity: hundreds of them cost one element. */
  #path(state, severity) {
    const below = SEVERITIES.slice(0, SEVERITIES.indexOf(severity));
    let path = '';
    for (const [start, bucket] of state.buckets) {
      if (bucket[severity] === 0) continue;
      const left = Math.max(this.left, this.x(start) + 0.5);
      const right = Math.min(this.right, this.x(start + state.bucketMs) - 0.5);
      if (right - left < 0.3) continue;
      const base = below.reduce((sum, name) => sum + bucket[name], 0);
      path += `M${left.toFixed(1)} ${this.y(base).toFixed(1)}H${right.toFixed(1)}V${this.y(base + bucket[severity]).toFixed(1)}H${left.toFixed(1)}Z`;
    }
    return path;
  }

  #pointer(state) {
    if (this.#hover === null) return null;
    const left = Math.max(this.left, this.x(this.#hover));
    const width = Math.min(this.right, this.x(this.#hover + state.bucketMs)) - left;
    return width > 0 ? s('rect', { class: 'pointer', x: left, y: this.top, width, height: this.bottom - this.top }) : null;
  }

  #point(event) {
    if (!this.state) return;
    const box = this.svg.getBoundingClientRect();
    const ms = this.from + ((event.clientX - box.left - this.left) / (this.right - this.left)) * (this.to - this.from);
    if (ms < this.from || ms > this.to) return this.#leave();
    const size = this.state.bucketMs;
    this.#hover = Math.floor(ms / size) * size;
    const bucket = this.state.buckets.get(this.#hover) ?? { warning: 0, high: 0, critical: 0 };
    const time = size < 60e3 ? clock : minutes;
    const date = sameDay(this.#hover, Date.now()) ? '' : `${day(this.#hover)}, `;
    showTooltip(event.clientX, event.clientY, `${date}${time(this.#hover)} to ${time(this.#hover + size)}`, [
      ['Critical', count(bucket.critical)], ['High', count(bucket.high)], ['Warning', count(bucket.warning)],
      ['All', count(total(bucket))],
    ]);
    this.draw(this.state);
  }

  #leave() {
    if (this.#hover === null) return;
    this.#hover = null;
    hideTooltip();
    this.draw(this.state);
  }

  #describe(state, most) {
    const { all, critical } = state.totals();
    setText(byId('rate-unit'), `per ${duration(state.bucketMs).replace(/^60 s$/, 'minute')}`);
    const label = `${plural(all, 'anomaly', 'anomalies')} in the last ${state.window.label}, ${count(critical)} of them critical; `
      + `at most ${count(most)} in an interval`;
    if (this.svg.getAttribute('aria-label') !== label) this.svg.setAttribute('aria-label', label);
  }
}
