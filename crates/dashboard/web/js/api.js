// Talking to the server. Addresses are relative, so that the page also works under a path of a proxy.

/** A request that was answered with a problem. */
export class ApiError extends Error {
  constructor(status, detail) {
    super(detail);
    this.status = status;
  }
}

/** Reads a path as text. */
export async function read(path) {
  const response = await fetch(path, { headers: { accept: 'application/json' } });
  const text = await response.text();
  if (response.ok) return text;
  let detail = `the server answered with ${response.status}`;
  try {
    detail = JSON.parse(text).detail ?? detail;
  } catch {
    // Not a problem document: a proxy's own page, perhaps.
  }
  throw new ApiError(response.status, detail);
}

const json = async (path, query) => JSON.parse(await read(query.size > 0 ? `${path}?${query}` : path));

function period(state, except) {
  const query = state.query(except);
  query.set('from', new Date(state.from()).toISOString());
  return query;
}

export const summary = (state) => json('api/summary', state.query());

export function anomalies(state, limit) {
  const query = period(state);
  query.set('limit', limit);
  return json('api/anomalies', query);
}

/** A few anomalies of each of `parts` equal parts of the window: what the score chart shows of a window with very many. */
export async function sample(state, parts, each) {
  const [from, length] = [state.from(), state.window.ms / parts];
  const answers = await Promise.all(Array.from({ length: parts }, (_, i) => {
    const query = state.query();
    query.set('from', new Date(from + i * length).toISOString());
    query.set('to', new Date(from + (i + 1) * length).toISOString());
    query.set('limit', each);
    return json('api/anomalies', query);
  }));
  return answers.flatMap((answer) => answer.anomalies);
}

export function series(state) {
  const query = period(state);
  query.set('bucket', state.window.bucket);
  // Whole intervals only: the first one must not be cut.
  const ms = Number.parseInt(state.window.bucket, 10) * (state.window.bucket.endsWith('m') ? 60e3 : 1e3);
  query.set('from', new Date(Math.floor(state.from() / ms) * ms).toISOString());
  return json('api/series', query);
}

export function top(state, by, limit) {
  const query = period(state, by);
  query.set('by', by);
  query.set('limit', limit);
  return json('api/top', query);
}
