// Each anomaly's score, in multiples of its threshold: so that detectors with different units share one chart.

import { Chart, hideTooltip, showTooltip } from './chart.js';
import { byId, s, setText } from './dom.js';
import { clock, limit, plural, score, shownName, times } from './format.js';
import { ratioOf, reasonText } from './reason.js';
import { SEVERITIES } from './state.js';

// A value that leaves a constant window is 10¹² deviations away: what lies beyond the last mark is drawn on it.
const MARKS = [1, 1.5, 2, 3, 5, 10, 20, 50, 100, 200, 500, 1000];
/** How near the pointer must be to a dot, in px. */
const REACH = 18;

export class ScoreChart extends Chart {
  #dots = [];
  #hover = null;

  constructor(host, open) {
    super(host, 'Score against threshold');
    host.addEventListener('pointermove', (event) => this.#point(event));
    host.addEventListener('pointerleave', () => this.#leave());
    host.addEventListener('click', () => this.#hover && open(this.#hover.row.id));
  }

  draw(state) {
    this.state = state;
    this.to = state.asOf();
    this.from = this.to - state.window.ms;
    const rows = state.dots().filter((row) => row.ms >= this.from && row.ms <= this.to && Number.isFinite(ratioOf(row)));
    const most = Math.max(1.5, ...rows.map(ratioOf));
    this.most = MARKS.find((mark) => mark >= most) ?? MARKS.at(-1);
    this.isCut = most > this.most;
    this.#dots = rows.map((row) => ({ row, x: this.x(row.ms), y: this.y(ratioOf(row)) }));
    const paths = SEVERITIES.map((severity) => s('path', { class: 'dots', 'data-severity': severity, d: this.#path(severity) }));
    const parts = [...this.#grid(), ...paths, ...this.timeAxis(), ...this.#threshold()];
    if (this.#hover) {
      const dot = this.#dots.find(({ row }) => row.id === this.#hover.row.id);
      if (dot) parts.push(s('circle', { class: 'ring', cx: dot.x, cy: dot.y, r: 5.5 }));
    }
    if (rows.length === 0) parts.push(this.nothing(state.loaded ? 'Nothing scored above its threshold' : 'Loading'));
    this.svg.replaceChildren(...parts);
    this.#describe(rows, most, state.thinned);
  }

  /** A logarithmic scale from just below the threshold up. */
  y(ratio) {
    const low = Math.log(0.92);
    return this.bottom - ((Math.log(Math.min(this.most, Math.max(0.92, ratio))) - low) / (Math.log(this.most) - low)) * (this.bottom - this.top);
  }

  #grid() {
    const marks = MARKS.filter((mark) => mark > 1 && mark <= this.most);
    let last = this.y(1);
    return marks.flatMap((mark) => {
      const y = Math.round(this.y(mark)) + 0.5;
      if (last - y < 16) return [];
      last = y;
      const text = `${mark >= 1000 ? `${mark / 1000}k` : mark}×`;
      return this.valueLine(y, this.isCut && mark === this.most ? `≥${text}` : text);
    });
  }

  #threshold() {
    const y = Math.round(this.y(1)) + 0.5;
    return [
      s('line', { class: 'threshold', x1: this.left, x2: this.right, y1: y, y2: y }),
      s('text', { x: this.left - 6, y: y + 4, 'text-anchor': 'end' }, '1×'),
    ];
  }

  #path(severity) {
    return this.#dots.filter(({ row }) => row.severity === severity)
      .map(({ x, y }) => `M${x.toFixed(1)} ${y.toFixed(1)}h.01`).join('');
  }

  #point(event) {
    const box = this.svg.getBoundingClientRect();
    const [x, y] = [event.clientX - box.left, event.clientY - box.top];
    const distance = (dot) => Math.hypot(dot.x - x, dot.y - y);
    let nearest = null;
    for (const dot of this.#dots) if (nearest === null || distance(dot) < distance(nearest)) nearest = dot;
    if (nearest === null || distance(nearest) > REACH) return this.#leave();
    const moved = this.#hover?.row.id !== nearest.row.id;
    this.#hover = nearest;
    this.host.classList.add('hit');
    const { row } = nearest;
    showTooltip(event.clientX, event.clientY, shownName(row.entity), [
      [clock(row.ms), row.severity], [`${score(row.score)} of ${limit(row.threshold)}`, times(ratioOf(row))], [reasonText(row), ''],
    ]);
    if (moved) this.draw(this.state);
  }

  #leave() {
    if (this.#hover === null) return;
    this.#hover = null;
    this.host.classList.remove('hit');
    hideTooltip();
    this.draw(this.state);
  }

  #describe(rows, most, thinned) {
    setText(byId('scores-hint'), thinned ? 'times the threshold, the highest of each moment' : 'times the threshold');
    const label = rows.length === 0 ? 'No scores in this window' : `${plural(rows.length, 'score', 'scores')}, the highest ${times(most)} its threshold`;
    if (this.svg.getAttribute('aria-label') !== label) this.svg.setAttribute('aria-label', label);
  }
}
