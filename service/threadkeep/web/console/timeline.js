// The timeline of one thread: entries as they come, text as it streams. Knows nothing of sockets.

const CLOCK = new Intl.DateTimeFormat(undefined, { timeStyle: "medium" });

/** An element with classes and text; text is never markup. */
export function element(name, className = "", text = "") {
  const made = document.createElement(name);
  if (className) made.className = className;
  if (text) made.textContent = text;
  return made;
}

function textOf(content) {
  if (typeof content === "string") return content;
  return content.map((part) => (part.type === "text" ? part.text : `[${part.type}]`)).join("\n");
}

function details(summary, ...values) {
  const made = element("details");
  const head = element("summary");
  head.append(...summary);
  made.append(head);
  for (const value of values) {
    if (value === undefined || value === null) continue;
    const shown = typeof value === "string" ? value : JSON.stringify(value, null, 2);
    made.append(element("pre", "", shown));
  }
  return made;
}

const strong = (text) => element("strong", "", text);

/** What is said of each kind of event: nodes, and values that can be unfolded. */
const EVENTS = {
  agent_started: (p) => [[strong(p.agent), " began"], p.request],
  agent_thinking: (p) => [[strong("thinks"), ` ${p.thought}`]],
  tool_executing: (p) => [[strong(p.tool_name), " is asked"], p.tool_input],
  tool_completed: (p) => [
    [strong(p.tool_name), p.error ? ` failed after ${p.duration_ms ?? 0} ms` : ` answered in ${p.duration_ms ?? 0} ms`],
    p.error ?? p.results,
  ],
  agent_completed: (p) => [[strong(p.status), ` in ${p.duration_ms ?? 0} ms`], p.error ?? p.usage],
  agent_resumed: (p) => [[strong("taken over"), ` (${p.reason})`], p],
  thread_created: () => [["Thread created"]],
  thread_state_changed: (p) => [[`State: ${p.from ?? ""} → `, strong(String(p.to ?? p.state ?? ""))], p],
};

export class Timeline {
  #list;
  #scroll;
  #streams = new Map();
  #partial = new Map();
  #runs = new Set();
  /** Entries up to this seq came after a break, and are shown so. */
  missedUpTo = 0;
  /** Seq of the first entry that is shown. */
  firstSeq = 0;

  constructor(list, scroll) {
    this.#list = list;
    this.#scroll = scroll;
  }

  /** Runs that have begun and not ended, the last one last. */
  get activeRuns() {
    return [...this.#runs];
  }

  clear() {
    this.#list.replaceChildren();
    this.#streams.clear();
    this.#partial.clear();
    this.#runs.clear();
    this.missedUpTo = 0;
    this.firstSeq = 0;
  }

  /** Begin with a snapshot; its entries follow one by one. */
  begin(snapshot) {
    this.clear();
    this.firstSeq = snapshot.first_seq;
    for (const run of snapshot.active_runs) this.#runs.add(run.id);
    for (const partial of snapshot.partial_messages) this.#partial.set(partial.message_id, partial);
    if (snapshot.last_seq === 0) this.#showPartials();
    this.lastOfSnapshot = snapshot.last_seq;
  }

  /** Show an entry at the end. */
  add(entry) {
    const isAtEnd = this.#isAtEnd();
    this.#track(entry);
    const item = this.#render(entry);
    if (entry.seq <= this.missedUpTo) item.classList.add("missed");
    this.#list.append(item);
    if (entry.seq === this.lastOfSnapshot) this.#showPartials();
    if (isAtEnd) this.#toEnd();
  }

  /** Show older entries at the beginning, without moving what is read. */
  prepend(entries) {
    const height = this.#scroll.scrollHeight;
    this.#list.prepend(...entries.map((entry) => this.#render(entry)));
    if (entries.length) this.firstSeq = entries[0].seq;
    this.#scroll.scrollTop += this.#scroll.scrollHeight - height;
  }

  /** A line of our own between the entries. */
  mark(text) {
    this.#list.append(element("li", "mark", text));
    this.#toEnd();
  }

  /** The next piece of a streaming message. Offsets count characters, not UTF-16 units. */
  stream({ run_id, payload }) {
    const isAtEnd = this.#isAtEnd();
    const stream = this.#streams.get(payload.message_id) ?? this.#openStream(payload.message_id, run_id);
    const known = Array.from(stream.text);
    // A piece was lost in a break: the whole message comes when it is complete.
    if (payload.offset > known.length) return;
    stream.text = known.slice(0, payload.offset).join("") + payload.text;
    stream.bubble.textContent = stream.text;
    if (isAtEnd) this.#toEnd();
  }

  #showPartials() {
    for (const { message_id, run_id, text } of this.#partial.values()) {
      this.stream({ run_id, payload: { message_id, offset: 0, text } });
    }
    this.#partial.clear();
  }

  #openStream(messageId, runId) {
    const item = element("li", "message assistant streaming");
    const bubble = element("div", "bubble");
    bubble.dir = "auto";
    item.append(bubble, element("span", "meta", "writing …"));
    this.#list.append(item);
    const stream = { item, bubble, runId, text: "" };
    this.#streams.set(messageId, stream);
    return stream;
  }

  #track(entry) {
    if (entry.type === "agent_started") this.#runs.add(entry.run_id);
    const isEnd = entry.type === "agent_completed";
    if (isEnd) this.#runs.delete(entry.run_id);
    for (const [id, stream] of this.#streams) {
      const isOver = isEnd || entry.type === "agent_resumed";
      if (id === entry.id || (isOver && stream.runId === entry.run_id)) {
        stream.item.remove();
        this.#streams.delete(id);
      }
    }
  }

  #render(entry) {
    const item = entry.type === "message" ? this.#message(entry) : this.#event(entry);
    item.dataset.seq = entry.seq;
    item.dataset.type = entry.type;
    return item;
  }

  #message(entry) {
    const { role, content, name } = entry.payload;
    const item = element("li", `message ${role}`);
    const bubble = element("div", "bubble", textOf(content));
    bubble.dir = "auto"; // many languages, some from right to left
    const when = CLOCK.format(new Date(entry.ts));
    item.append(bubble, element("span", "meta", `${name ?? role} · ${entry.seq} · ${when}`));
    return item;
  }

  #event(entry) {
    const { type, payload, seq } = entry;
    const [words, ...values] = (EVENTS[type] ?? (() => [[type.replaceAll("_", " ")], payload]))(payload);
    const item = element("li", entry.run_id ? "event of-run" : "event");
    if (payload.error || ["failed", "interrupted"].includes(payload.status)) item.classList.add("failed");
    const line = [...words, ` · ${seq}`];
    const isBare = values.every((value) => value == null || JSON.stringify(value) === "{}");
    if (isBare) item.append(...line);
    else item.append(details(line, ...values));
    return item;
  }

  #isAtEnd() {
    return this.#scroll.scrollHeight - this.#scroll.scrollTop - this.#scroll.clientHeight < 60;
  }

  #toEnd() {
    this.#scroll.scrollTop = this.#scroll.scrollHeight;
  }
}
