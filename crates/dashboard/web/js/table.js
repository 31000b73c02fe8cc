// The list of anomalies, newest first: rows are kept and moved, never built twice.

import { byId, gauge, h, s, setText, severityBadge } from './dom.js';
import { ago, clock, count, day, detectorName, fullTime, limit, sameDay, score, shownName, times, utc } from './format.js';
import { mainReason, ratioOf } from './reason.js';

/** More rows than this are not shown at once. */
const SHOWN = 200;
/** With more arrivals than this at once, fading in would only flicker. */
const MOST_FADING = 5;

const cell = (name, ...children) => h('td', { role: 'cell', class: name }, ...children);

function build(row, many) {
  const time = h('time', { datetime: row.event_time, title: `${fullTime(row.ms)}\n${utc(row.ms)}` }, clock(row.ms));
  const date = sameDay(row.ms, Date.now()) ? null : h('span', { class: 'date' }, day(row.ms));
  const link = h('a', { href: `#anomaly/${row.id}` }, shownName(row.entity));
  const names = [...new Set(row.detectors.map((verdict) => detectorName(verdict.name)))];
  return h('tr', { role: 'row', 'data-id': row.id, 'data-severity': row.severity },
    cell('time', time, date),
    cell('level', severityBadge(row.severity)),
    cell('entity', link, many ? h('span', { class: 'use-case' }, row.use_case) : null),
    cell('reason', mainReason(row)),
    cell('score',
      h('span', {}, score(row.score), h('span', { class: 'times' }, ` of ${limit(row.threshold)}, ${times(ratioOf(row))}`)),
      gauge(ratioOf(row), row.severity)),
    cell('detectors', names.join(', ')));
}

export class Table {
  #rows = new Map();
  #many = false;

  constructor(open) {
    this.body = byId('rows');
    this.body.addEventListener('click', (event) => {
      const row = event.target.closest('tr');
      if (row && !event.target.closest('a') && getSelection().isCollapsed) open(row.dataset.id);
    });
    this.body.addEventListener('animationend', (event) => event.target.classList.remove('fresh'));
    this.body.addEventListener('keydown', (event) => this.#move(event));
    const zone = new Intl.DateTimeFormat(undefined, { timeZoneName: 'short' }).formatToParts().find((part) => part.type === 'timeZoneName');
    byId('time-head').title = `Local time, ${zone?.value ?? 'unknown zone'}`;
  }

  /** Arrow keys walk from row to row. */
  #move(event) {
    if (event.key !== 'ArrowDown' && event.key !== 'ArrowUp') return;
    const row = event.target.closest('tr');
    const next = event.key === 'ArrowDown' ? row?.nextElementSibling : row?.previousElementSibling;
    if (!next) return;
    event.preventDefault();
    next.querySelector('a').focus();
  }

  draw(state) {
    const many = state.tops.use_case.size > 1;
    if (many !== this.#many) this.#rows.clear();
    this.#many = many;
    const shown = state.rows.slice(0, SHOWN);
    const fade = state.arrivals.size <= MOST_FADING;
    let cursor = this.body.firstElementChild;
    const kept = new Set();
    for (const row of shown) {
      kept.add(row.id);
      let element = this.#rows.get(row.id);
      if (!element) {
        element = build(row, many);
        if (fade && state.arrivals.has(row.id)) element.classList.add('fresh');
        this.#rows.set(row.id, element);
      }
      if (element === cursor) cursor = cursor.nextElementSibling;
      else this.body.insertBefore(element, cursor);
    }
    while (cursor) {
      const gone = cursor;
      cursor = cursor.nextElementSibling;
      gone.remove();
    }
    for (const id of this.#rows.keys()) if (!kept.has(id)) this.#rows.delete(id);
    state.arrivals.clear();
    this.body.parentElement.hidden = shown.length === 0;
    const all = state.totals().all;
    setText(byId('list-hint'), shown.length === 0 ? '' : all > shown.length ? `the latest ${shown.length} of ${count(all)}` : `${count(all)} in the last ${state.window.label}`);
  }
}

/** What stands in place of the list when it is empty: what it waits for, and what can be done. */
export class Empty {
  #shown = '';

  constructor(actions) {
    this.host = byId('empty');
    this.actions = actions;
  }

  draw(state) {
    const kind = state.rows.length > 0 || !state.loaded ? '' : !state.everAny ? 'none' : state.filtered() ? 'filtered' : 'quiet';
    const key = `${kind} ${state.window.key} ${Math.floor((state.latest ?? 0) / 60e3)}`;
    this.host.hidden = kind === '';
    if (key === this.#shown || kind === '') return;
    this.#shown = key;
    const line = s('svg', { viewBox: '0 0 160 40', 'aria-hidden': 'true' }, s('path', { d: 'M4 22h48l6-6 8 14 8-24 8 22 6-6h68' }));
    this.host.replaceChildren(line, ...this.#words(kind, state));
  }

  #words(kind, state) {
    const button = (text, act) => h('button', { type: 'button', class: 'button', on: { click: act } }, text);
    const longer = state.window.key === '24h' ? null : button('Show 24 hours', () => this.actions.window('24h'));
    const last = state.latest === null ? '' : ` The latest was found for ${fullTime(state.latest)} (${ago(state.latest, state.asOf())}).`;
    if (kind === 'none') {
      return [h('h3', {}, 'No anomalies yet'),
        h('p', {}, 'Connected and waiting for the first one. Events are being judged as they come; whatever stands out appears here at '
          + 'once. Detectors that learn an entity’s usual values need a few dozen of its events first.')];
    }
    if (kind === 'filtered') {
      return [h('h3', {}, `Nothing matches in the last ${state.window.label}`), h('p', {}, `The filters leave no anomaly.${last}`),
        h('div', { class: 'actions' }, button('Clear filters', () => this.actions.clear()), longer)];
    }
    return [h('h3', {}, `All quiet in the last ${state.window.label}`), h('p', {}, `No anomaly in this window.${last}`),
      h('div', { class: 'actions' }, longer)];
  }
}
