// One anomaly in full, under an address of its own: `#anomaly/<id>`.

import { ApiError, read } from './api.js';
import { byId, h, s, severityBadge } from './dom.js';
import { ago, duration, fullTime, shownName, utc } from './format.js';
import { mainReason } from './reason.js';
import { panel, shares, verdicts } from './reasons.js';

const ICONS = { previous: 'M10 3 5 8l5 5', next: 'm6 3 5 5-5 5', close: 'm4 4 8 8m0-8-8 8' };
/** Deeper values are shown as they are, in one line. */
const DEEPEST = 20;

export class Detail {
  #id = null;
  #shown = 0;

  constructor(state) {
    this.state = state;
    this.dialog = byId('detail');
    this.dialog.addEventListener('close', () => this.#leave());
    this.dialog.addEventListener('click', (event) => { if (event.target === this.dialog) this.dialog.close(); });
    this.dialog.addEventListener('keydown', (event) => {
      if (event.ctrlKey || event.metaKey || event.altKey) return;
      if (event.key === 'j' || event.key === 'ArrowRight') this.#step(1);
      if (event.key === 'k' || event.key === 'ArrowLeft') this.#step(-1);
    });
    addEventListener('hashchange', () => this.follow());
  }

  open(id) {
    location.hash = `anomaly/${id}`;
  }

  /** Shows what the address names. */
  async follow() {
    const id = /^#anomaly\/([0-9a-fA-F]+)$/.exec(location.hash)?.[1] ?? null;
    if (id === this.#id) return;
    this.#id = id;
    if (id === null) {
      this.dialog.close();
      return;
    }
    const turn = ++this.#shown;
    this.dialog.replaceChildren(this.#bar(null), h('p', { class: 'problem' }, 'Loading'));
    if (!this.dialog.open) this.dialog.showModal();
    try {
      const text = await read(`api/anomalies/${id}`);
      if (turn === this.#shown) this.#show(text);
    } catch (error) {
      if (turn === this.#shown) this.#fail(error);
    }
  }

  #leave() {
    this.#id = null;
    this.#shown += 1;
    if (location.hash.startsWith('#anomaly/')) history.replaceState(history.state, '', location.pathname + location.search);
  }

  #neighbour(step) {
    const at = this.state.rows.findIndex((row) => row.id === this.#id);
    return at < 0 ? undefined : this.state.rows[at + step]?.id;
  }

  #step(step) {
    const id = this.#neighbour(step);
    if (id) location.replace(`#anomaly/${id}`);
  }

  #icon(name, label, act, disabled) {
    return h('button', { type: 'button', class: 'button icon', 'aria-label': label, title: label, disabled, on: { click: act } },
      s('svg', { viewBox: '0 0 16 16', 'aria-hidden': 'true' }, s('path', { d: ICONS[name] })));
  }

  #bar(text) {
    const copy = (label, value) => h('button', { type: 'button', class: 'button', disabled: text === null, on: { click: (event) => copyText(event.currentTarget, value(), label) } }, label);
    return h('div', { class: 'detail-bar' },
      this.#icon('previous', 'Newer (k)', () => this.#step(-1), !this.#neighbour(-1)),
      this.#icon('next', 'Older (j)', () => this.#step(1), !this.#neighbour(1)),
      h('span', { class: 'grow' }),
      copy('Copy link', () => location.href),
      copy('Copy JSON', () => text),
      h('a', { class: 'button wide', href: `api/anomalies/${this.#id}`, target: '_blank', rel: 'noopener' }, 'Open JSON'),
      this.#icon('close', 'Close (Esc)', () => this.dialog.close()));
  }

  #show(text) {
    const anomaly = JSON.parse(text);
    const ms = Date.parse(anomaly.event_time);
    const head = h('header', { class: 'detail-head' },
      h('div', { class: 'line' }, severityBadge(anomaly.severity),
        h('time', { class: 'when', datetime: anomaly.event_time, title: utc(ms) }, `${fullTime(ms)}, ${ago(ms, Math.max(Date.now(), this.state.asOf()))}`)),
      h('h2', { id: 'detail-title' }, shownName(anomaly.entity)),
      h('p', { class: 'reason' }, mainReason(anomaly)));
    const marked = new Set(anomaly.detectors.map((verdict) => verdict.feature));
    const event = h('pre', { class: 'json', tabindex: 0, 'aria-label': 'The event', 'data-severity': anomaly.severity },
      pretty(exact(text).event, marked));
    this.dialog.replaceChildren(this.#bar(text), h('div', { class: 'detail-body' },
      head, verdicts(anomaly, this.#room()), shares(anomaly) ?? '', panel('Event', event, 'as it came'), facts(anomaly, ms)));
    this.dialog.scrollTop = 0;
  }

  /** The width of a panel's inside, in px. */
  #room() {
    return Math.max(240, this.dialog.clientWidth - (matchMedia('(max-width: 760px)').matches ? 50 : 66));
  }

  #fail(error) {
    const gone = error instanceof ApiError && error.status === 404;
    this.dialog.replaceChildren(this.#bar(null), h('div', { class: 'problem' },
      h('h2', { id: 'detail-title' }, gone ? 'This anomaly is not there' : 'This anomaly could not be read'), h('p', {}, error.message)));
  }
}

function facts(anomaly, ms) {
  const found = Date.parse(anomaly.detected_at);
  const models = [...new Set(anomaly.detectors.map((verdict) => verdict.model_version).filter(Boolean))];
  const rows = [
    ['Id', h('span', { class: 'code' }, anomaly.id)],
    ['Use case', anomaly.use_case],
    ['Position', h('span', { class: 'code' }, `${anomaly.topic}, partition ${anomaly.partition}, offset ${anomaly.offset}`)],
    ['Event time', h('time', { datetime: anomaly.event_time }, utc(ms))],
    ['Found', h('time', { datetime: anomaly.detected_at }, `${utc(found)}${found >= ms ? `, ${duration(found - ms)} after the event` : ''}`)],
    ['Configuration', h('span', { class: 'code' }, anomaly.config_version)],
    models.length > 0 && ['Model', h('span', { class: 'code' }, models.join(', '))],
  ].filter(Boolean);
  return panel('Record', h('dl', { class: 'inner facts' }, rows.flatMap(([name, value]) => [h('dt', {}, name), h('dd', {}, value)])));
}

/** A number whose digits a float cannot hold. */
class Digits {
  constructor(source) { this.source = source; }
}

/** Parses JSON without losing digits, where the browser can. */
function exact(text) {
  return JSON.parse(text, (_, value, context) =>
    (typeof value === 'number' && context?.source && String(value) !== context.source ? new Digits(context.source) : value));
}

/** JSON as coloured nodes; the members named in `marked` stand out. */
function pretty(value, marked, depth = 0, path = '') {
  const span = (kind, text) => h('span', { class: kind }, text);
  if (value instanceof Digits) return [span('number', value.source)];
  if (typeof value === 'number') return [span('number', String(value))];
  if (typeof value === 'string') return [span('string', JSON.stringify(value))];
  if (value === null || typeof value !== 'object') return [span('word', String(value))];
  const list = Array.isArray(value);
  const entries = Object.entries(value);
  const [open, close] = list ? '[]' : '{}';
  if (entries.length === 0) return [open + close];
  if (depth >= DEEPEST) return [`${open} … ${close}`];
  const indent = '  '.repeat(depth + 1);
  const nodes = [open];
  entries.forEach(([key, member], i) => {
    const here = path ? `${path}.${key}` : key;
    const inner = pretty(member, marked, depth + 1, here);
    const line = list ? inner : [span('key', JSON.stringify(key)), ': ', ...inner];
    nodes.push(`\n${indent}`, ...(marked.has(here) ? [h('mark', {}, line)] : line), i + 1 < entries.length ? ',' : '');
  });
  return [...nodes, `\n${'  '.repeat(depth)}${close}`];
}

/** Copies, also where the page is not served securely and the clipboard's interface is missing. */
async function copyText(button, text, label) {
  let done = false;
  try {
    await navigator.clipboard.writeText(text);
    done = true;
  } catch {
    const area = h('textarea', { class: 'visually-hidden', readonly: true });
    area.value = text;
    button.after(area);
    area.select();
    done = document.execCommand('copy');
    area.remove();
    button.focus();
  }
  button.textContent = done ? 'Copied' : 'Not copied';
  setTimeout(() => { button.textContent = label; }, 1500);
}
