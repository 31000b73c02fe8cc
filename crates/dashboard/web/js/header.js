// The header: how the connection stands, the totals, and the pause button.

import { byId, setText } from './dom.js';
import { count, plural } from './format.js';

const WORDS = { connecting: 'Connecting', live: 'Live', reconnecting: 'Reconnecting', paused: 'Paused' };
/** How often screen readers are told of new anomalies, in ms. */
const ANNOUNCE = 10000;

export class Header {
  #status = 'connecting';
  #paused = false;
  #problem = '';
  #waited = false;
  #timer = null;
  #news = { all: 0, critical: 0 };

  constructor(pause) {
    this.connection = byId('connection');
    this.button = byId('pause');
    this.button.addEventListener('click', () => pause(!this.#paused));
    setInterval(() => this.#announce(), ANNOUNCE);
  }

  status(status) {
    // Each attempt that fails says so again; the wait goes on from the first.
    if (status === this.#status) return;
    this.#status = status;
    clearTimeout(this.#timer);
    this.#waited = false;
    // A short break heals before anybody could read about it.
    if (status === 'reconnecting') this.#timer = setTimeout(() => { this.#waited = true; this.#show(); }, 1200);
    this.#show();
  }

  /** Says what went wrong with a request; an empty text takes it back. */
  problem(text) {
    this.#problem = text;
    this.#show();
  }

  paused(paused, held) {
    this.#paused = paused;
    this.button.setAttribute('aria-pressed', String(paused));
    setText(this.button, paused ? (held > 0 ? `Resume (${count(held)} new)` : 'Resume') : 'Pause');
    this.#show();
  }

  #show() {
    const shown = this.#paused && this.#status === 'live' ? 'paused' : this.#status;
    this.connection.dataset.state = shown;
    setText(this.connection.lastElementChild, WORDS[shown]);
    const banner = byId('banner');
    const text = this.#waited
      ? 'The connection to the dashboard is lost. Trying again; nothing will be missed.'
      : this.#problem && `Some of this page could not be brought up to date: ${this.#problem}`;
    banner.hidden = !text;
    setText(banner, text || '');
  }

  totals(state) {
    const { all, critical } = state.totals();
    setText(byId('kpi-minute'), state.loaded ? count(state.minute) : '–');
    setText(byId('kpi-window'), state.loaded ? count(all) : '–');
    setText(byId('kpi-critical'), state.loaded ? count(critical) : '–');
    byId('kpi-critical').dataset.some = String(critical > 0);
    setText(byId('kpi-window-label'), `Last ${state.window.label}`);
  }

  arrived(anomalies) {
    this.#news.all += anomalies.length;
    this.#news.critical += anomalies.filter((anomaly) => anomaly.severity === 'critical').length;
  }

  #announce() {
    const { all, critical } = this.#news;
    this.#news = { all: 0, critical: 0 };
    setText(byId('announce'), all === 0 ? '' : `${plural(all, 'new anomaly', 'new anomalies')}${critical > 0 ? `, ${count(critical)} critical` : ''}`);
  }
}
