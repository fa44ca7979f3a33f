// One thread that is followed: which events its reader has, and which come next.

import { ThreadkeepError } from "./errors.js";

/** What `subscribe` returns. One reader each. */
export class Subscription {
  /** How the service answered last: `resumed`, `snapshot` or `forked`. */
  verdict = null;
  phase = "idle"; // idle, joining, waiting (for its snapshot), live, paused, ended
  command = 0;

  #client;
  #limit;
  #queue = [];
  #waiting = null;
  #error = null;
  #epoch = null;
  #seq = -1;

  constructor(client, threadId, cursor, limit) {
    this.#client = client;
    this.#limit = limit;
    this.threadId = threadId;
    if (cursor) {
      [this.#epoch] = cursor.split("-");
      this.#seq = Number(cursor.split("-")[1]);
    }
  }

  get name() {
    return this.threadId ?? "user";
  }

  get target() {
    return this.threadId ? { thread_id: this.threadId } : { feed: "user" };
  }

  /** Up to where events were taken in, as `<epoch>-<seq>`; null before the first answer. */
  get cursor() {
    return this.#epoch && this.#seq >= 0 ? `${this.#epoch}-${this.#seq}` : null;
  }

  get place() {
    return this.cursor ? { cursor: this.cursor } : {};
  }

  get isJoined() {
    return ["joining", "waiting", "live"].includes(this.phase);
  }

  /** Stop following. */
  close() {
    this.#client._leave(this);
    this._end(null);
  }

  async next() {
    while (!this.#queue.length) {
      if (this.phase === "ended") {
        if (this.#error) throw this.#error;
        return { value: undefined, done: true };
      }
      await new Promise((resolve) => (this.#waiting = resolve));
    }
    const value = this.#queue.shift();
    if (this.phase === "paused" && this.#queue.length <= this.#limit / 4) this.#client._join(this);
    return { value, done: false };
  }

  async return() {
    this.close();
    return { value: undefined, done: true };
  }

  [Symbol.asyncIterator]() {
    return this;
  }

  _end(error) {
    if (this.phase === "ended") return;
    this.phase = "ended";
    this.#error = error;
    this.#waiting?.();
  }

  _answered(frame) {
    if (frame.type !== "error") return this.#joined(frame);
    const error = new ThreadkeepError(frame.error);
    if (!error.isTransient) {
      this.#client._leave(this);
      return this._end(error);
    }
    this.phase = "paused";
    setTimeout(() => this.phase === "paused" && this.#client._join(this), error.retryAfterMs ?? 1000);
  }

  _take(frame) {
    if (frame.type === "subscribed") {
      // Begun anew by the service; in any other phase this one is on its way out, or asked anew.
      return ["waiting", "live"].includes(this.phase) ? this.#joined(frame) : undefined;
    }
    if (frame.type === "error") {
      this.#client._leave(this);
      return this._end(new ThreadkeepError(frame.error));
    }
    if (frame.type === "snapshot" && this.phase === "waiting") return this.#snapshot(frame);
    if (this.phase !== "live") return;
    if (frame.seq === undefined) this.#put(frame);
    else if (frame.seq === this.#seq + 1) {
      this.#seq = frame.seq;
      this.#put(frame);
    } else if (frame.seq > this.#seq) {
      this.#client._unsubscribe(this);
      this.#client._join(this); // a hole: read it from the log
    }
    if (this.#queue.length >= this.#limit) {
      this.#client._unsubscribe(this);
      this.phase = "paused";
    }
  }

  #joined(frame) {
    if (!this.threadId) {
      this.phase = "live";
      return this.#put({ type: "subscribed", feed: "user" });
    }
    this.verdict = frame.verdict;
    const from = this.#seq;
    this.#epoch = frame.epoch;
    if (frame.verdict === "resumed") this.phase = "live";
    else {
      this.#seq = -1;
      this.phase = "waiting";
    }
    const { verdict, epoch, last_seq } = frame;
    this.#put({ type: "subscribed", thread_id: this.threadId, verdict, epoch, last_seq, from });
  }

  #snapshot(frame) {
    this.phase = "live";
    this.#seq = frame.payload.last_seq;
    this.#put(frame);
    for (const entry of frame.payload.entries) this.#put(entry);
  }

  #put(event) {
    this.#queue.push(event);
    this.#waiting?.();
    this.#waiting = null;
  }
}
