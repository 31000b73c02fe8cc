// The groups with the most anomalies, as bars that set the filter.

import { byId, h, setText } from './dom.js';
import { count, shownName } from './format.js';

export class TopList {
  #items = new Map();

  /** `label(name)` says a group in words; `toggle(name)` is called with the group clicked. */
  constructor(id, by, shown, label, toggle) {
    this.host = h('div', { class: 'bars' });
    byId(id).append(this.host);
    this.nothing = h('p', { class: 'nothing' }, 'None in this window');
    Object.assign(this, { by, shown, label, toggle });
  }

  draw(state) {
    const groups = [...state.tops[this.by]].sort((a, b) => b[1] - a[1] || a[0].localeCompare(b[0]));
    const chosen = state.filter[this.by];
    const shown = groups.slice(0, this.shown);
    if (chosen && !shown.some(([name]) => name === chosen)) {
      shown.splice(Math.max(0, Math.min(shown.length, this.shown - 1)), 1, [chosen, state.tops[this.by].get(chosen) ?? 0]);
    }
    const most = Math.max(1, ...shown.map(([, size]) => size));
    const elements = shown.map(([name, size]) => this.#item(name, size, size / most, name === chosen));
    for (const name of this.#items.keys()) if (!shown.some(([kept]) => kept === name)) this.#items.delete(name);
    const wanted = elements.length > 0 ? elements : [this.nothing];
    const same = wanted.length === this.host.children.length && wanted.every((element, i) => this.host.children[i] === element);
    if (!same) this.#replace(wanted);
  }

  /** Keeps the keyboard's focus while items change places. */
  #replace(wanted) {
    const focused = this.host.contains(document.activeElement) ? document.activeElement : null;
    this.host.replaceChildren(...wanted);
    if (focused?.isConnected) focused.focus({ preventScroll: true });
  }

  #item(name, size, share, chosen) {
    let element = this.#items.get(name);
    if (!element) {
      element = h('button', { type: 'button', title: name, on: { click: () => this.toggle(name) } },
        h('span', { class: 'name' }, shownName(this.label(name))), h('span', { class: 'size' }),
        h('span', { class: 'meter', 'aria-hidden': 'true' }, h('i')));
      this.#items.set(name, element);
    }
    element.setAttribute('aria-pressed', String(chosen));
    setText(element.children[1], count(size));
    element.children[2].firstElementChild.style.setProperty('--share', `${share * 100}%`);
    return element;
  }
}
