// What both charts share: scales, axes and the tooltip.

import { byId, h, s } from './dom.js';
import { clock, day, minutes } from './format.js';

export const PAD = { left: 36, right: 8, top: 8, bottom: 22 };

/** Round numbers from 0 to beyond `most`, about `wanted` of them. */
export function ticks(most, wanted = 4) {
  const rough = Math.max(most, 1) / wanted;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = Math.max(1, [1, 2, 5, 10].map((factor) => factor * power).find((size) => size >= rough));
  const all = [];
  for (let tick = 0; tick < most + step; tick += step) all.push(tick);
  return all;
}

const STEPS = [10, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 14400, 21600].map((seconds) => seconds * 1000);

/** Round local times between two instants, at most `most` of them. */
export function timeTicks(from, to, most) {
  const step = STEPS.find((size) => (to - from) / size <= most) ?? 21600e3;
  const zone = new Date(to).getTimezoneOffset() * 60e3;
  const all = [];
  for (let tick = Math.ceil((from - zone) / step) * step + zone; tick <= to; tick += step) all.push(tick);
  const label = step < 60e3 ? clock : minutes;
  return all.map((ms) => ({ ms, label: new Date(ms).getHours() + new Date(ms).getMinutes() === 0 ? day(ms) : label(ms) }));
}

/** A chart that draws itself into `host` whenever its size or its data changes. */
export class Chart {
  constructor(host, label) {
    this.host = host;
    this.svg = s('svg', { role: 'img', 'aria-label': label });
    host.append(this.svg);
    new ResizeObserver(() => this.resize()).observe(host);
    this.resize(false);
  }

  resize(draw = true) {
    this.width = Math.max(160, this.svg.clientWidth || this.host.clientWidth);
    this.height = Math.max(80, this.svg.clientHeight || this.host.clientHeight);
    this.svg.setAttribute('viewBox', `0 0 ${this.width} ${this.height}`);
    if (draw && this.state) this.draw(this.state);
  }

  get left() { return PAD.left; }
  get right() { return this.width - PAD.right; }
  get top() { return PAD.top; }
  get bottom() { return this.height - PAD.bottom; }

  /** The horizontal place of an instant. */
  x(ms) {
    return this.left + ((ms - this.from) / (this.to - this.from)) * (this.right - this.left);
  }

  timeAxis() {
    const marks = timeTicks(this.from, this.to, Math.max(2, Math.floor((this.right - this.left) / 84)));
    const labels = marks
      .filter(({ ms }) => this.x(ms) > this.left + 14 && this.x(ms) < this.right - 14)
      .map(({ ms, label }) => s('text', { x: this.x(ms).toFixed(1), y: this.height - 6, 'text-anchor': 'middle' }, label));
    return [s('line', { class: 'base', x1: this.left, x2: this.right, y1: this.bottom, y2: this.bottom }), ...labels];
  }

  valueLine(y, label) {
    return [
      s('line', { class: 'grid', x1: this.left, x2: this.right, y1: y, y2: y }),
      s('text', { x: this.left - 6, y: y + 4, 'text-anchor': 'end' }, label),
    ];
  }

  nothing(text) {
    return s('text', { class: 'none', x: (this.left + this.right) / 2, y: (this.top + this.bottom) / 2, 'text-anchor': 'middle' }, text);
  }
}

/** Shows a tooltip beside a point of the screen, within its edges. */
export function showTooltip(x, y, title, lines) {
  const tooltip = byId('tooltip');
  tooltip.replaceChildren(h('b', {}, title), ...lines.map(([name, value]) => h('span', {}, name, h('em', {}, value))));
  tooltip.hidden = false;
  const { width, height } = tooltip.getBoundingClientRect();
  const left = x + 14 + width > innerWidth - 8 ? x - width - 14 : x + 14;
  tooltip.style.left = `${Math.max(8, left)}px`;
  tooltip.style.top = `${Math.max(8, Math.min(y - height / 2, innerHeight - height - 8))}px`;
}

export function hideTooltip() {
  byId('tooltip').hidden = true;
}
