// Puts the page together: reads, listens, draws.

import * as api from './api.js';
import { byId } from './dom.js';
import { Detail } from './detail.js';
import { Filters, fromAddress, toAddress } from './filters.js';
import { detectorName } from './format.js';
import { Header } from './header.js';
import { Live } from './live.js';
import { RateChart } from './rate.js';
import { ScoreChart } from './scores.js';
import { KEPT, State, WINDOWS } from './state.js';
import { Empty, Table } from './table.js';
import { TopList } from './toplist.js';

/** At least this long between two drawings, in ms: more often, nobody could read. */
const CALM = 200;
/** More anomalies than this are not held back; the page reads everything again instead. */
const MOST_HELD = 2000;
/** After this long out of sight the page lets go of its stream, in ms: browsers allow few connections to one server. */
const HIDDEN = 30000;
/** Where there are very many, the score chart is filled from this many parts of the window, with so many of each. */
const PARTS = 15;
const EACH = 40;
/** How long to wait when the first reading failed, in ms. */
const AGAIN = 2000;

const state = new State();
let turn = 0;
let held = [];
let paused = false;
let stale = false;
let pending = false;
let earliest = 0;

fromAddress(state);
const detail = new Detail(state);
const open = (id) => detail.open(id);
const header = new Header(pause);
const filters = new Filters(state, change);
const toggle = (by) => (name) => change({ [by]: state.filter[by] === name ? '' : name });
const views = [
  new RateChart(byId('rate')),
  new ScoreChart(byId('scores'), open),
  new TopList('entities', 'entity', 8, (name) => name, toggle('entity')),
  new TopList('detectors', 'detector', 6, detectorName, toggle('detector')),
  new TopList('use-cases', 'use_case', 6, (name) => name, toggle('use_case')),
  new Table(open),
  new Empty({ clear: () => change({ use_case: '', entity: '', detector: '', severity: '' }), window: (key) => change({ window: key }) }),
];
const live = new Live({
  batch: take,
  resync: () => refresh(),
  status: (status) => header.status(status),
});

/** Draws soon, but calmly: bursts end in one drawing. */
function schedule() {
  if (pending) return;
  pending = true;
  setTimeout(() => requestAnimationFrame(() => {
    pending = false;
    const begun = performance.now();
    if (!paused) state.prune();
    header.totals(state);
    views.forEach((view) => view.draw(state));
    filters.options();
    byId('use-cases-panel').hidden = state.tops.use_case.size < 2;
    // Where drawing is slow, most of the time is left to whoever uses the page.
    const ended = performance.now();
    earliest = ended + Math.max(CALM, 4 * (ended - begun));
  }), Math.max(0, earliest - performance.now()));
}

function take(anomalies) {
  header.arrived(anomalies);
  if (!paused && !document.hidden) {
    state.takeLive(anomalies);
    return schedule();
  }
  stale ||= held.length + anomalies.length > MOST_HELD;
  held = stale ? [] : held.concat(anomalies);
  if (paused) header.paused(true, held.length);
}

/** Applies what was held back. */
function release() {
  if (stale) refresh();
  else if (held.length > 0) state.takeLive(held);
  held = [];
  stale = false;
  schedule();
}

function pause(wanted) {
  paused = wanted;
  state.freeze(paused);
  header.paused(paused, held.length);
  if (!paused) release();
}

function change(changes) {
  const { window: key, ...wanted } = changes;
  // What no longer matches goes at once; the rest comes with the answers.
  state.ask(wanted, WINDOWS.find((one) => one.key === key) ?? state.window);
  toAddress(state);
  filters.show();
  refresh();
}

/** Reads everything anew; an answer to an older question is dropped. */
async function refresh() {
  const mine = ++turn;
  const current = (apply) => (answer) => { if (mine === turn) apply(answer); };
  try {
    // First, for it says where the window ends.
    await api.summary(state).then(current((answer) => state.takeSummary(answer)));
    await Promise.all([
      api.anomalies(state, KEPT).then(current((answer) => state.takeRows(answer))),
      ...counts(current),
    ]);
    if (mine === turn) state.loaded = true;
    if (state.rows.length >= KEPT) await api.sample(state, PARTS, EACH).then(current((rows) => state.takeDots(rows)));
    header.problem('');
    return true;
  } catch (error) {
    if (mine === turn) header.problem(error.message);
    return false;
  } finally {
    schedule();
  }
}

/** Reads what is counted over the whole window. */
function counts(current) {
  return [
    api.series(state).then(current((answer) => state.takeSeries(answer))),
    ...Object.keys(state.tops).map((by) => api.top(state, by, 50).then(current((answer) => state.takeTop(by, answer)))),
  ];
}

/** Brings counts up to date now and then: what leaves the window leaves the counts. */
async function recount(all) {
  if (paused || document.hidden || !state.loaded) return;
  const mine = turn;
  const current = (apply) => (answer) => { if (mine === turn && !paused) apply(answer); };
  try {
    await api.summary(state).then(current((answer) => state.takeSummary(answer)));
    if (all) await Promise.all(counts(current));
    header.problem('');
  } catch (error) {
    header.problem(error.message);
  }
  schedule();
}

async function start() {
  schedule();
  detail.follow();
  while (!(await refresh())) await new Promise((done) => { setTimeout(done, AGAIN); });
  live.open(state.sequence());
}

let hiddenTimer = null;
let closed = false;
document.addEventListener('visibilitychange', () => {
  clearTimeout(hiddenTimer);
  if (document.hidden) {
    hiddenTimer = setTimeout(() => { closed = true; live.close(); }, HIDDEN);
  } else if (closed) {
    closed = false;
    start();
  } else if (!paused) {
    release();
  }
});

setInterval(() => { if (!paused && !document.hidden) schedule(); }, 1000);
setInterval(() => recount(false), 5000);
setInterval(() => recount(true), 20000);
start();
