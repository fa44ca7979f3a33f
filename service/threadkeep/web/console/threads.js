// The list of threads: read once, then kept live by the user's feed.

import { element } from "/console/timeline.js";

const PAGE = 50;
const WHEN = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });

export class ThreadList {
  #client;
  #list;
  #more;
  #choose;
  #threads = new Map();
  #unread = new Map();
  #items = new Map();
  #none = element("li", "none", "No threads.");
  #next = null;
  #query = "";
  #asked = 0;
  current = null;

  constructor(client, { list, more, choose }) {
    this.#client = client;
    this.#list = list;
    this.#more = more;
    this.#choose = choose;
    more.onclick = () => void this.#read(this.#next);
  }

  /** Show threads that match; the first page. */
  async search(query) {
    this.#query = query;
    await this.#read(null);
  }

  async #read(after) {
    const asked = ++this.#asked;
    const query = { limit: PAGE, after, q: this.#query };
    const page = await this.#client.request("GET", "/v1/threads", { query });
    if (asked !== this.#asked) return; // typed on meanwhile
    if (!after) this.#threads.clear();
    for (const thread of page.data) this.#threads.set(thread.id, thread);
    this.#next = page.has_more ? page.next : null;
    this.#render();
  }

  /** Take in a frame of the user's feed. */
  take(frame) {
    if (!frame.thread) return;
    if (frame.type === "thread_deleted") this.#threads.delete(frame.thread_id);
    else if (this.#threads.has(frame.thread_id) || !this.#query) {
      this.#threads.set(frame.thread_id, frame.thread);
      this.#unread.set(frame.thread_id, frame.thread_id === this.current ? 0 : frame.unread);
    }
    this.#render();
  }

  /** The thread is read now. */
  open(id) {
    this.current = id;
    this.#unread.delete(id);
    this.#render();
  }

  get(id) {
    return this.#threads.get(id);
  }

  put(thread) {
    this.#threads.set(thread.id, thread);
    this.#render();
  }

  /** Elements are kept and moved only where the order changed: a click must find what it meant. */
  #render() {
    const byActivity = (a, b) => (a.last_activity_at < b.last_activity_at ? 1 : -1);
    const threads = [...this.#threads.values()].sort(byActivity);
    for (const [id, item] of this.#items) {
      if (this.#threads.has(id)) continue;
      item.remove();
      this.#items.delete(id);
    }
    let place = this.#list.firstElementChild;
    for (const thread of threads) {
      const item = this.#item(thread);
      if (item === place) place = place.nextElementSibling;
      else this.#list.insertBefore(item, place);
    }
    this.#none.hidden = threads.length > 0;
    this.#list.append(this.#none);
    this.#more.hidden = !this.#next;
  }

  #item(thread) {
    const item = this.#items.get(thread.id) ?? this.#newItem(thread.id);
    const [button, name, unread, about] = [".button", ".name", ".unread", ".about"].map((c) =>
      item.querySelector(c),
    );
    if (thread.id === this.current) button.setAttribute("aria-current", "true");
    else button.removeAttribute("aria-current");
    name.textContent = nameOf(thread);
    const fresh = this.#unread.get(thread.id) ?? 0;
    unread.textContent = `${fresh} new`;
    unread.hidden = !fresh;
    const when = WHEN.format(new Date(thread.last_activity_at));
    const state = thread.state === "active" ? "" : ` · ${thread.state}`;
    const entries = thread.last_seq === 1 ? "1 entry" : `${thread.last_seq.toLocaleString()} entries`;
    about.textContent = `${entries} · ${when}${state}`;
    return item;
  }

  #newItem(id) {
    const item = element("li");
    const button = element("button", "button");
    button.type = "button";
    button.dataset.thread = id;
    button.onclick = () => this.#choose(id);
    const name = element("span", "name");
    name.dir = "auto";
    button.append(name, element("span", "unread"), element("span", "about"));
    item.append(button);
    this.#items.set(id, item);
    return item;
  }
}

/** What a thread is called. */
export function nameOf(thread) {
  return thread.title?.trim() || thread.external_id?.trim() || thread.id;
}
