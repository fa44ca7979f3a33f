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

  #render() {
    const focused = document.activeElement?.dataset?.thread;
    const byActivity = (a, b) => (a.last_activity_at < b.last_activity_at ? 1 : -1);
    const threads = [...this.#threads.values()].sort(byActivity);
    this.#list.replaceChildren(...threads.map((thread) => this.#item(thread)));
    if (!threads.length) this.#list.append(element("li", "none", "No threads."));
    if (focused) this.#list.querySelector(`[data-thread="${focused}"]`)?.focus();
    this.#more.hidden = !this.#next;
  }

  #item(thread) {
    const item = element("li");
    const button = element("button");
    button.type = "button";
    button.dataset.thread = thread.id;
    if (thread.id === this.current) button.setAttribute("aria-current", "true");
    const name = element("span", "name", nameOf(thread));
    name.dir = "auto";
    button.append(name);
    const unread = this.#unread.get(thread.id) ?? 0;
    if (unread) button.append(element("span", "unread", `${unread} new`));
    const when = WHEN.format(new Date(thread.last_activity_at));
    const state = thread.state === "active" ? "" : ` · ${thread.state}`;
    button.append(element("span", "about", `${thread.last_seq} entries · ${when}${state}`));
    button.onclick = () => this.#choose(thread.id);
    item.append(button);
    return item;
  }
}

/** What a thread is called. */
export function nameOf(thread) {
  return thread.title ?? thread.external_id ?? thread.id;
}
