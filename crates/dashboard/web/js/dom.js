// Building elements. Text is always set as text: what comes from events can never become markup.

const SVG = 'http://www.w3.org/2000/svg';

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined || value === null || value === false) continue;
    if (name === 'on') {
      for (const [type, listener] of Object.entries(value)) element.addEventListener(type, listener);
    } else if (name === 'vars') {
      for (const [variable, text] of Object.entries(value)) element.style.setProperty(variable, text);
    } else {
      element.setAttribute(name, value === true ? '' : String(value));
    }
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

/** An HTML element; `on` holds listeners, `vars` CSS variables, all else is an attribute. */
export function h(tag, attributes = {}, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

/** An SVG element. */
export function s(tag, attributes = {}, ...children) {
  return fill(document.createElementNS(SVG, tag), attributes, children);
}

export const byId = (id) => document.getElementById(id);

/** Sets text only where it changes, so that nothing is laid out anew for nothing. */
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

const BARS = { warning: 1, high: 2, critical: 3 };

/** A severity as one to three bars and a word: not told by colour alone. */
export function severityBadge(severity) {
  const bars = [0, 1, 2].map((i) =>
    s('rect', { x: i * 4.5, y: 8 - i * 3, width: 3, height: 4 + i * 3, rx: 1, class: i < BARS[severity] ? 'on' : 'off' }));
  return h('span', { class: 'severity', 'data-severity': severity },
    s('svg', { viewBox: '0 0 12 12', width: 12, height: 12, 'aria-hidden': 'true' }, bars),
    severity.charAt(0).toUpperCase() + severity.slice(1));
}

/** A bar that reaches its threshold at two fifths. */
export function gauge(ratio, severity) {
  const part = Number.isFinite(ratio) ? Math.max(0, Math.min(1, ratio * 0.4)) : 1;
  return h('span', { class: 'gauge', 'data-severity': severity, 'aria-hidden': 'true', vars: { '--fill': `${part * 100}%` } }, h('i'));
}
