// The filter bar, and the filters' place in the page's address.

import { byId, h } from './dom.js';
import { detectorName } from './format.js';
import { FILTERS, SEVERITIES, WINDOWS } from './state.js';

const LEVELS = [['', 'All'], ['high', 'High and critical'], ['critical', 'Critical']];

/** Reads filters and window from the address. */
export function fromAddress(state) {
  const query = new URLSearchParams(location.search);
  for (const name of FILTERS) state.filter[name] = query.get(name) ?? '';
  if (!SEVERITIES.includes(state.filter.severity)) state.filter.severity = '';
  state.window = WINDOWS.find((one) => one.key === query.get('window')) ?? WINDOWS[1];
}

/** Writes them there. */
export function toAddress(state) {
  const query = state.query();
  if (state.window !== WINDOWS[1]) query.set('window', state.window.key);
  history.replaceState(history.state, '', `${location.pathname}${query.size > 0 ? `?${query}` : ''}${location.hash}`);
}

function segments(name, legend, className, options, change) {
  const radio = ([value, label]) => h('label', {},
    h('input', { type: 'radio', name, value, on: { change: () => change(value) } }), h('span', {}, label));
  return h('fieldset', { class: `segments ${className}` }, h('legend', {}, legend), options.map(radio));
}

export class Filters {
  #known = { use_case: '', detector: '', entity: '' };

  /** `change(changes)` is called with what the user chose: filters by name, or `window`. */
  constructor(state, change) {
    this.form = byId('filters');
    this.state = state;
    this.useCase = h('select', { id: 'filter-use-case', on: { change: () => change({ use_case: this.useCase.value }) } });
    this.detector = h('select', { id: 'filter-detector', on: { change: () => change({ detector: this.detector.value }) } });
    this.names = h('datalist', { id: 'entity-names' });
    this.entity = h('input', { id: 'filter-entity', type: 'search', list: 'entity-names', placeholder: 'Any', autocomplete: 'off',
      spellcheck: 'false', maxlength: 300, on: { change: () => change({ entity: this.entity.value }) } });
    this.clear = h('button', { type: 'button', class: 'button clear', on: { click: () => change({ use_case: '', entity: '', detector: '', severity: '' }) } }, 'Clear filters');
    this.more = h('button', { type: 'button', class: 'button more', 'aria-expanded': 'false', on: { click: () => this.#toggle() } }, 'Filters');
    this.useCaseField = this.#field('Use case', this.useCase);
    this.form.addEventListener('submit', (event) => event.preventDefault());
    this.form.append(
      segments('window', 'Time window', 'window', WINDOWS.map((one) => [one.key, one.label]), (value) => change({ window: value })),
      this.more,
      h('div', { class: 'fields' },
        segments('severity', 'Severity', 'by-severity', LEVELS, (value) => change({ severity: value })),
        this.useCaseField, this.#field('Entity', this.entity), this.#field('Detector', this.detector), this.names),
      this.clear);
    this.show();
  }

  #field(label, control) {
    return h('label', { class: 'field', for: control.id }, label, control);
  }

  #toggle() {
    const open = this.form.classList.toggle('open');
    this.more.setAttribute('aria-expanded', String(open));
  }

  /** Shows what is chosen. */
  show() {
    const { filter, window } = this.state;
    const radio = (name, value) => this.form.querySelectorAll(`input[name="${name}"]`).forEach((one) => { one.checked = one.value === value; });
    radio('window', window.key);
    radio('severity', filter.severity);
    this.options();
    this.entity.value = filter.entity;
    for (const [control, name] of [[this.entity, 'entity'], [this.detector, 'detector'], [this.useCase, 'use_case']]) {
      control.dataset.set = String(filter[name] !== '');
    }
    const set = FILTERS.filter((name) => filter[name]).length;
    this.clear.hidden = set === 0;
    this.more.textContent = set > 0 ? `Filters (${set})` : 'Filters';
  }

  /** Offers what the counts know. */
  options() {
    this.#select(this.useCase, 'use_case', (name) => name);
    this.#select(this.detector, 'detector', detectorName);
    this.useCaseField.hidden = this.useCase.options.length <= 2 && this.state.filter.use_case === '';
    const names = [...this.state.tops.entity.keys()].sort();
    if (this.#changed('entity', names)) this.names.replaceChildren(...names.map((name) => h('option', { value: name })));
  }

  #select(select, by, label) {
    const names = new Set(this.state.tops[by].keys());
    if (this.state.filter[by]) names.add(this.state.filter[by]);
    const sorted = [...names].sort();
    // An open list is not exchanged under the pointer.
    if (document.activeElement !== select || select.options.length === 0) {
      if (this.#changed(by, sorted)) {
        select.replaceChildren(h('option', { value: '' }, 'Any'), ...sorted.map((name) => h('option', { value: name }, label(name))));
      }
    }
    select.value = this.state.filter[by];
  }

  #changed(by, names) {
    const key = JSON.stringify(names);
    if (this.#known[by] === key) return false;
    this.#known[by] = key;
    return true;
  }
}
