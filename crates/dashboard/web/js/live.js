// The live stream: connects, comes back after a break, and says how it stands.

const SOONEST = 1000;
const LATEST = 10000;

export class Live {
  #source = null;
  #timer = null;
  #delay = SOONEST;
  #last = null;
  #callbacks;

  /** `callbacks`: `batch(anomalies)`, `resync()` and `status('connecting' | 'live' | 'reconnecting')`. */
  constructor(callbacks) {
    this.#callbacks = callbacks;
  }

  /** Opens the stream behind a sequence. */
  open(sequence) {
    this.close();
    this.#last = sequence;
    this.#connect();
  }

  close() {
    clearTimeout(this.#timer);
    this.#source?.close();
    this.#source = null;
  }

  #connect() {
    const source = new EventSource(`api/stream?after=${this.#last}`);
    this.#source = source;
    source.addEventListener('open', () => {
      this.#delay = SOONEST;
      this.#callbacks.status('live');
    });
    source.addEventListener('anomalies', (event) => {
      this.#last = event.lastEventId;
      this.#callbacks.batch(JSON.parse(event.data));
    });
    source.addEventListener('resync', (event) => {
      this.#last = event.lastEventId;
      this.#callbacks.resync();
    });
    source.addEventListener('error', () => {
      this.#callbacks.status('reconnecting');
      // The browser tries again by itself, but gives up when the answer was an error.
      if (source.readyState !== EventSource.CLOSED) return;
      this.#timer = setTimeout(() => this.#connect(), this.#delay);
      this.#delay = Math.min(this.#delay * 2, LATEST);
    });
  }
}
