// The console: sign in, choose a thread, watch it live, write, run an agent, cut and resume.

import { Threadkeep, ThreadkeepError } from "/console/threadkeep.js";
import { ThreadList, nameOf } from "/console/threads.js";
import { Timeline, element } from "/console/timeline.js";

const TOKEN = "threadkeep.token";
const OLDER = 50;
const READ_MS = 1000;
const TYPED_MS = 250;
/** What can be tried with one click, where there is such an agent. */
const IDEAS = [
  { agent: "librarian", title: "Let the librarian calculate", text: "What is 12 * (3 + 4)?" },
  { agent: "librarian", title: "Let it search these threads", text: "Which planet is the hottest in the solar system?" },
  { agent: "scripted", title: "Watch text stream", text: "Play your script, please." },
];

const $ = (id) => document.getElementById(id);
const timeline = new Timeline($("timeline"), $("scroll"));

let client = null;
let threads = null;
let current = null; // { id, feed }
let readTimer = 0;

/** A token in the fragment never reaches a server; it is taken out of the address at once. */
function takeToken() {
  const given = new URLSearchParams(location.hash.slice(1)).get("token");
  if (given) {
    sessionStorage.setItem(TOKEN, given);
    history.replaceState(null, "", location.pathname);
  }
  return sessionStorage.getItem(TOKEN);
}

function userOf(token) {
  try {
    const bytes = atob(token.split(".")[1].replaceAll("-", "+").replaceAll("_", "/"));
    return JSON.parse(decodeURIComponent(escape(bytes))).sub;
  } catch {
    return "";
  }
}

async function start() {
  const token = takeToken();
  if (!token) return showSignIn("");
  client = new Threadkeep({ token });
  client.addEventListener("state", ({ detail }) => showState(detail));
  threads = new ThreadList(client, {
    list: $("thread-list"),
    more: $("more-threads"),
    choose: (id) => void open(id),
  });
  try {
    const [, agents] = await Promise.all([
      threads.search(""),
      client.request("GET", "/v1/agents", { query: { limit: 100 } }),
    ]);
    showConsole(userOf(token), agents.data);
  } catch (error) {
    if (error.code === "not_authenticated") sessionStorage.removeItem(TOKEN);
    return showSignIn(error.message);
  }
  void followThreads();
}

function showSignIn(error) {
  $("sign-in").hidden = false;
  $("console").hidden = true;
  $("sign-in-error").textContent = error;
  $("token").focus();
}

function showConsole(user, agents) {
  $("sign-in").hidden = true;
  $("console").hidden = false;
  $("who").hidden = $("sign-out").hidden = false;
  $("who").textContent = user;
  const options = agents.map(({ name }) => new Option(name, name));
  $("agent").replaceChildren(new Option("nobody", ""), ...options);
  const names = new Set(agents.map(({ name }) => name));
  if (names.has("librarian")) $("agent").value = "librarian";
  $("ideas").replaceChildren(...IDEAS.filter(({ agent }) => names.has(agent)).map(ideaButton));
}

function ideaButton({ agent, title, text }) {
  const button = element("button", "idea");
  button.type = "button";
  button.append(element("strong", "", title), element("span", "", `“${text}”`));
  button.onclick = acting(async () => {
    await begin(text);
    await client.run(current.id, agent, { message: text });
  });
  return button;
}

/** A new thread, opened. */
async function begin(title) {
  const thread = await client.createThread({ title });
  threads.put(thread);
  void open(thread.id);
}

function showState({ state, pauseMs, error }) {
  const words = {
    idle: "not connected",
    connecting: "connecting",
    open: "connected",
    waiting: `lost, next try in ${Math.ceil((pauseMs ?? 0) / 1000)} s`,
    cut: "socket cut",
    failed: error?.message ?? "failed",
  };
  $("connection").textContent = words[state];
  $("connection").dataset.state = state;
  $("cut").disabled = state !== "open";
  $("resume").disabled = !["cut", "waiting"].includes(state);
  if (state === "cut") notice("The socket is cut. Write, or let others write: Resume brings what was missed.");
  if (error?.code === "not_authenticated") {
    sessionStorage.removeItem(TOKEN);
    showSignIn(error.message);
  }
}

async function followThreads() {
  try {
    for await (const frame of client.subscribeUser()) {
      if (frame.type === "subscribed") await threads.search($("query").value.trim());
      else threads.take(frame);
    }
  } catch (error) {
    notice(error.message);
  }
}

async function open(id) {
  current?.feed.close();
  timeline.clear();
  $("welcome").hidden = true;
  if (client.state !== "cut") notice("");
  threads.open(id);
  const thread = threads.get(id);
  $("title").textContent = thread ? nameOf(thread) : id;
  showThreadState(thread?.state);
  for (const name of ["cursor", "epoch", "head", "verdict"]) $(name).textContent = "–";
  for (const name of ["text", "agent", "send"]) $(name).disabled = false;
  const feed = client.subscribe(id);
  current = { id, feed };
  try {
    for await (const event of feed) {
      if (current.feed !== feed) return;
      take(event);
    }
  } catch (error) {
    if (current.feed === feed) notice(error.message);
  }
}

function take(event) {
  if (event.type === "subscribed") joined(event);
  else if (event.type === "snapshot") timeline.begin(event.payload);
  else if (event.type === "message_delta") timeline.stream(event);
  else if (event.seq !== undefined) {
    timeline.add(event);
    if (event.type === "thread_state_changed") showThreadState(event.payload.to ?? event.payload.state);
    head = Math.max(head, event.seq);
    readSoon(event.seq);
  }
  showPlace();
}

let head = 0;

function joined({ verdict, epoch, last_seq, from }) {
  head = last_seq;
  $("epoch").textContent = epoch;
  $("verdict").textContent = verdict;
  const missed = last_seq - from;
  if (verdict === "forked") notice("The history of this thread was replaced; it is shown anew.");
  else if (verdict === "resumed") {
    const what = missed === 1 ? "1 entry was missed" : `${missed} entries were missed`;
    notice(missed ? `Resumed: ${what} and arrived now.` : "Resumed: nothing was missed.");
    timeline.mark(missed ? `resumed · ${what}` : "resumed · nothing was missed");
    timeline.missedUpTo = last_seq;
  } else notice("");
}

function showPlace() {
  $("cursor").textContent = current.feed.cursor ?? "–";
  $("head").textContent = head;
  $("older").hidden = timeline.firstSeq <= 1;
  $("stop").hidden = timeline.activeRuns.length === 0;
}

function showThreadState(state) {
  $("state").textContent = state ?? "";
  $("state").hidden = !state || state === "active";
}

function notice(text) {
  $("notice").textContent = text;
  $("notice").hidden = !text;
}

function readSoon(seq) {
  clearTimeout(readTimer);
  const { id } = current;
  readTimer = setTimeout(() => {
    const path = `/v1/threads/${id}/read_marker`;
    client.request("PUT", path, { body: { seq } }).catch((error) => notice(error.message));
  }, READ_MS);
}

async function showOlder() {
  const { id } = current;
  const query = { before_seq: timeline.firstSeq, backward: true, limit: OLDER };
  const page = await client.request("GET", `/v1/threads/${id}/entries`, { query });
  if (current.id !== id) return;
  timeline.prepend(page.data);
  showPlace();
}

async function send() {
  const text = $("text").value.trim();
  if (!text || !current) return;
  const agent = $("agent").value;
  $("send").disabled = true;
  $("send-error").textContent = "";
  try {
    if (agent) await client.run(current.id, agent, { message: text, ifBusy: "enqueue" });
    else await client.append(current.id, text);
    $("text").value = "";
  } catch (error) {
    $("send-error").textContent = error.message;
  } finally {
    $("send").disabled = false;
    $("text").focus();
  }
}

/** Do it, and tell what went wrong where everybody looks. */
function acting(work) {
  return (event) => {
    event.preventDefault();
    Promise.resolve(work(event)).catch((error) => {
      if (!(error instanceof ThreadkeepError)) throw error;
      notice(error.message);
    });
  };
}

$("sign-in-form").onsubmit = acting(async () => {
  sessionStorage.setItem(TOKEN, $("token").value.trim());
  $("token").value = "";
  await start();
});
$("sign-out").onclick = () => {
  sessionStorage.removeItem(TOKEN);
  client.close();
  location.reload();
};
$("new-thread").onclick = acting(async () => {
  await begin(`Conversation of ${new Date().toLocaleString()}`);
  $("text").focus();
});
let typed = 0;
$("query").oninput = () => {
  clearTimeout(typed);
  typed = setTimeout(() => threads.search($("query").value.trim()).catch((e) => notice(e.message)), TYPED_MS);
};
$("search").onsubmit = acting(() => threads.search($("query").value.trim()));
$("composer").onsubmit = acting(send);
$("text").onkeydown = (event) => {
  if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
    event.preventDefault();
    $("composer").requestSubmit();
  }
};
$("older").onclick = acting(showOlder);
$("cut").onclick = () => client.cut();
$("resume").onclick = () => client.resume();
$("stop").onclick = acting(async () => {
  const run = timeline.activeRuns.at(-1);
  if (run) await client.request("POST", `/v1/runs/${run}/cancel`, { isRepeatable: true });
});
window.addEventListener("hashchange", () => location.hash.includes("token=") && location.reload());

void start();
