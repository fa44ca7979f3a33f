// Threadkeep's client for browsers: this ES module and the two that it imports, no dependency.
//
//   const client = new Threadkeep({ token });
//   await client.append(threadId, "Hello");
//   for await (const event of client.subscribe(threadId)) console.log(event.type, event.payload);
//
// Appends have an idempotency key and are repeated until they are answered. A subscription is
// resumed from its cursor after every break: full jitter, drain hints obeyed, repeats dropped by
// seq. A reader that does not keep up makes it pause, which loses nothing.

import { ThreadkeepError, errorOf } from "./errors.js";
import { Subscription } from "./subscription.js";

export { ThreadkeepError };

const FINAL_CODES = new Set([1008, 4401, 4403]);
const STABLE_MS = 5000;
const QUEUE_EVENTS = 1024;

export const POLICY = {
  totalMs: 30000, // after this an operation fails
  attemptMs: 10000, // how long one attempt may take
  firstPauseMs: 100, // upper end of the first pause; it doubles with every attempt
  longestPauseMs: 5000,
};

/** A new idempotency key. */
export function newKey() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** Full jitter above the service's own hint, so that many clients do not come back in step. */
function pauseFor(policy, attempt, hint = 0) {
  const ceiling = Math.min(policy.longestPauseMs, policy.firstPauseMs * 2 ** Math.min(attempt, 16));
  return hint + Math.random() * ceiling;
}

const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** One user's threads. Says by `state` events how its socket stands; see `state`. */
export class Threadkeep extends EventTarget {
  /** `idle`, `connecting`, `open`, `waiting` (for the next attempt), `cut` or `failed`. */
  state = "idle";

  #url;
  #token;
  #policy;
  #socket = null;
  #feeds = new Map();
  #number = 0;
  #attempt = 0;
  #openedAt = 0;
  #notBefore = 0;
  #timer = 0;
  #generation = 0;

  constructor({ url = location.origin, token, policy = {} }) {
    super();
    this.#url = url.replace(/\/$/, "");
    this.#token = token;
    this.#policy = { ...POLICY, ...policy };
  }

  /** Send a request; repeated after a break when it reads, or has a key. The answer is JSON. */
  async request(method, path, { body, key, query, isRepeatable = method === "GET" || !!key } = {}) {
    const given = Object.entries(query ?? {}).filter(([, value]) => value != null && value !== "");
    const search = given.length ? `?${new URLSearchParams(given)}` : "";
    const headers = { Authorization: `Bearer ${this.#token}` };
    if (body !== undefined) headers["Content-Type"] = "application/json";
    if (key) headers["Idempotency-Key"] = key;
    const options = { method, headers, body: body === undefined ? undefined : JSON.stringify(body) };
    const deadline = Date.now() + this.#policy.totalMs;
    for (let attempt = 0; ; attempt++) {
      try {
        return await this.#fetch(this.#url + path + search, options, deadline - Date.now());
      } catch (error) {
        const isSafe = isRepeatable || !error.outcomeUnknown;
        const pause = pauseFor(this.#policy, attempt, error.retryAfterMs);
        if (!error.isTransient || !isSafe || Date.now() + pause >= deadline) throw error;
        await sleep(pause);
      }
    }
  }

  async #fetch(url, options, ms) {
    const signal = AbortSignal.timeout(Math.max(1, Math.min(ms, this.#policy.attemptMs)));
    let response, text;
    try {
      response = await fetch(url, { ...options, signal, cache: "no-store", redirect: "error" });
      text = await response.text();
    } catch (cause) {
      const message = "The service cannot be reached.";
      throw new ThreadkeepError({ code: "unreachable", message, outcome: "unknown" });
    }
    let body = null;
    try {
      body = text ? JSON.parse(text) : null;
    } catch {
      if (response.ok) throw new ThreadkeepError({ message: "The answer is no JSON." });
    }
    if (!response.ok) throw errorOf(response, body);
    return body;
  }

  /** A new thread, or the one that has `external_id` already. */
  createThread({ title, external_id, metadata } = {}) {
    const body = { title, external_id, metadata: metadata ?? {} };
    return this.request("POST", "/v1/threads", { body, isRepeatable: !!external_id });
  }

  /** Append one message or up to 100 together; resolves once they are committed. */
  append(threadId, messages, { key = newKey() } = {}) {
    const list = (Array.isArray(messages) ? messages : [messages]).map(messageOf);
    return this.request("POST", `/v1/threads/${threadId}/messages`, { body: { messages: list }, key });
  }

  /** Start an agent; `message` is appended in the same commit. */
  run(threadId, agent, { message, input = {}, ifBusy = "reject", key = newKey() } = {}) {
    const body = { agent, input, if_busy: ifBusy };
    if (message !== undefined) body.message = messageOf(message);
    return this.request("POST", `/v1/threads/${threadId}/runs`, { body, key });
  }

  /**
   * Follow a thread: an async iterator of events, with `cursor`, `verdict` and `close()`.
   * Beside entries it yields `subscribed`, `snapshot` (its entries follow one by one),
   * `message_delta` and other frames without a place in the log.
   */
  subscribe(threadId, { cursor = null, limit = QUEUE_EVENTS } = {}) {
    return this.#follow(new Subscription(this, threadId, cursor, limit));
  }

  /** Follow all threads of the user: `thread_created`, `thread_updated` and so on. */
  subscribeUser({ limit = QUEUE_EVENTS } = {}) {
    return this.#follow(new Subscription(this, null, null, limit));
  }

  /** Drop the socket on purpose and stay away until `resume()`. */
  cut() {
    this.#drop();
    this.#say("cut");
  }

  /** Come back after `cut()`, or at once instead of waiting for the next attempt. */
  resume() {
    if (this.state === "open" || this.state === "connecting") return;
    this.#attempt = 0;
    this.#drop();
    void this.#open();
  }

  /** End all subscriptions and the socket. */
  close() {
    for (const feed of [...this.#feeds.values()]) feed.close();
    this.#drop();
    this.#say("idle");
  }

  #follow(feed) {
    if (this.#feeds.has(feed.name)) throw new Error("This thread is followed already.");
    this.#feeds.set(feed.name, feed);
    if (this.state === "open") this._join(feed);
    else if (this.state === "idle" || this.state === "failed") void this.#open();
    return feed;
  }

  _leave(feed) {
    if (this.#feeds.get(feed.name) !== feed) return;
    this.#feeds.delete(feed.name);
    this._unsubscribe(feed);
  }

  _unsubscribe(feed) {
    if (feed.isJoined) this.#send({ type: "unsubscribe", ...feed.target });
  }

  _join(feed) {
    feed.phase = "joining";
    feed.command = this.#send({ type: "subscribe", ...feed.target, ...feed.place });
  }

  #send(command) {
    const id = ++this.#number;
    if (this.#socket?.readyState === WebSocket.OPEN) {
      this.#socket.send(JSON.stringify({ id, ...command }));
    }
    return id;
  }

  async #open() {
    const generation = ++this.#generation;
    this.#say("connecting");
    let ticket;
    try {
      const body = { origin: location.origin, seconds: 60 };
      // An unused ticket does nothing: asking for another one is always safe.
      ({ ticket } = await this.request("POST", "/v1/tickets", { body, isRepeatable: true }));
    } catch (error) {
      if (generation !== this.#generation) return;
      if (error.isTransient) this.#again(error.retryAfterMs);
      else this.#fail(error);
      return;
    }
    if (generation !== this.#generation) return;
    this.#openedAt = 0; // one that never opens was not stable
    const socket = new WebSocket(`${this.#url.replace(/^http/, "ws")}/v1/ws?ticket=${ticket}`);
    this.#socket = socket;
    socket.onopen = () => this.#opened();
    socket.onmessage = ({ data }) => this.#receive(JSON.parse(data), data.length);
    socket.onclose = ({ code, reason }) => this.#closed(socket, code, reason);
  }

  #opened() {
    this.#openedAt = Date.now();
    this.#say("open");
    for (const feed of this.#feeds.values()) this._join(feed);
  }

  #closed(socket, code, reason) {
    if (socket !== this.#socket) return;
    this.#forget();
    if (FINAL_CODES.has(code)) {
      const known = code === 4401 ? "not_authenticated" : "forbidden";
      this.#fail(new ThreadkeepError({ code: known, message: reason || `Closed with ${code}.` }));
      return;
    }
    if (this.#openedAt && Date.now() - this.#openedAt > STABLE_MS) this.#attempt = 0;
    this.#again(0);
  }

  #again(hint) {
    const hinted = this.#notBefore - Date.now();
    // The service spreads its drain hints itself; only without one do we spread ourselves.
    const pause = hinted > 0 ? hinted : pauseFor(this.#policy, this.#attempt, hint);
    this.#attempt++;
    this.#say("waiting", { pauseMs: pause });
    this.#timer = setTimeout(() => void this.#open(), pause);
  }

  #drop() {
    clearTimeout(this.#timer);
    this.#generation++;
    const socket = this.#socket;
    this.#forget();
    if (socket) {
      socket.onopen = socket.onmessage = socket.onclose = null;
      socket.close();
    }
  }

  #forget() {
    this.#socket = null;
    for (const feed of this.#feeds.values()) if (feed.isJoined) feed.phase = "idle";
  }

  #fail(error) {
    this.#say("failed", { error });
    for (const feed of [...this.#feeds.values()]) feed._end(error);
    this.#feeds.clear();
  }

  #say(state, detail = {}) {
    this.state = state;
    this.dispatchEvent(new CustomEvent("state", { detail: { state, ...detail } }));
  }

  #receive(frame, size) {
    if (frame.type === "drain") {
      const ms = frame.payload.reconnect_after_ms;
      const socket = this.#socket;
      this.#notBefore = Date.now() + ms;
      setTimeout(() => socket?.close(1000), ms);
    } else if (frame.re != null) {
      for (const feed of this.#feeds.values()) {
        if (feed.command === frame.re && feed.phase === "joining") feed._answered(frame);
      }
    } else {
      this.#feeds.get(frame.feed === "user" ? "user" : frame.thread_id)?._take(frame, size);
    }
  }
}

function messageOf(message) {
  return typeof message === "string" ? { content: message } : message;
}
