// The live page: one EventSource on one board, and everything that came as text on the screen.

import { apply, columns, fromState } from "./board.js";

const CARDS_SHOWN = 200; // in one column
const LOG_SHOWN = 50;
const KEPT = 5000; // received events that window.cortex remembers
const RETRY_MS = 3000;
const SILENT_HEARTBEATS = 3;

const $ = (id) => document.getElementById(id);
const page = {
  types: [], // every event type of the catalogue
  project: null,
  board: null,
  source: null,
  cursor: null, // the last id that was applied
  seenAt: 0, // when the last frame came, performance clock
  asOf: null,
  heartbeatMs: 15000,
  fresh: new Set(), // keys of cards that just changed
  painting: false,
  retry: 0,
};
// What came, for whoever looks from outside: tests and the console.
window.cortex = { status: "connecting", events: [], counts: {}, opened: 0, resumed: 0, page };

start().catch((error) => notice(`This page could not start: ${error.message}`));

async function start() {
  document.addEventListener("visibilitychange", () => (document.hidden ? pause() : resume()));
  window.addEventListener("pagehide", pause);
  window.addEventListener("pageshow", (event) => event.persisted && resume());
  window.addEventListener("hashchange", () => choose(named()));
  $("picker").addEventListener("change", (event) => { location.hash = event.target.value; });
  setInterval(watch, 1000);
  const who = await fetch("/api/whoami");
  if (who.status === 401) return askForLogin();
  const catalogue = await (await fetch("/api/asyncapi.json")).json();
  page.types = Object.keys(catalogue.components.messages);
  await listProjects();
}

async function listProjects() {
  const keys = await fillPicker();
  if (keys.length > 0) return choose(keys.includes(named()) ? named() : keys[0]);
  setStatus("ended", "no project");
  notice("There is no project yet. Make one: cortex project create KEY");
}

// Offer every project that the token may read. Returns their keys.
async function fillPicker() {
  const found = [];
  let cursor = "";
  do {
    const answer = await fetch(`/api/projects?limit=500${cursor}`);
    const list = await answer.json();
    if (!answer.ok) throw new Error(list.detail);
    found.push(...list.items);
    cursor = list.next_cursor && `&cursor=${encodeURIComponent(list.next_cursor)}`;
  } while (cursor);
  $("picker").replaceChildren(...found.map((project) => {
    const option = element("option", "", `${project.name} (${project.key})`);
    option.value = project.key;
    return option;
  }));
  $("picker").disabled = found.length === 0;
  $("picker").value = page.project ?? "";
  return found.map((project) => project.key);
}

function named() {
  return decodeURIComponent(location.hash.slice(1));
}

function choose(key) {
  if (!key || key === page.project) return;
  close();
  Object.assign(page, { project: key, board: null, cursor: null });
  $("picker").value = key;
  notice("");
  if (document.hidden) setStatus("paused", "paused");
  else open();
}

// The stream

function open() {
  close();
  setStatus("connecting", page.board ? "reconnecting" : "connecting");
  const address = new URLSearchParams({ project: page.project, deltas: "*" });
  if (page.cursor) address.set("since", page.cursor);
  const source = new EventSource(`/events?${address}`);
  page.source = source;
  page.seenAt = performance.now();
  window.cortex.opened += 1;
  const on = (name, handler) => source.addEventListener(name, (frame) => {
    if (page.source !== source) return; // closed in the meantime
    page.seenAt = performance.now();
    handler(frame, frame.data ? JSON.parse(frame.data) : null);
  });
  on("hello", onHello);
  on("reset", () => { page.cursor = null; });
  on("state", onState);
  on("heartbeat", onHeartbeat);
  on("end", onEnd);
  // named frames never reach onmessage, so each type needs a listener of its own
  for (const type of page.types) on(type, onEvent);
  source.onerror = () => page.source === source && onLost(source);
}

function onHello(_frame, hello) {
  page.heartbeatMs = hello.heartbeat_s * 1000;
  page.retry = 0;
  if (hello.resumed) {
    window.cortex.resumed += 1;
    live();
  }
}

function onState(frame, state) {
  page.board = fromState(state);
  page.cursor = frame.lastEventId;
  page.fresh.clear();
  live();
  paint();
}

function onHeartbeat(frame, beat) {
  if (frame.lastEventId) page.cursor = frame.lastEventId;
  if (page.board && beat.seq !== null && beat.seq !== page.board.seq) return startOver();
  live();
}

function onEvent(frame, event) {
  remember(event);
  live();
  if (event.snapshot || !page.board) return;
  if (event.id) {
    if (page.cursor && position(event.id) <= position(page.cursor)) return; // came before
    if (event.seq !== null) {
      if (event.seq !== page.board.seq + 1) return startOver(); // something is missing
      page.board.seq = event.seq;
    }
    page.cursor = event.id;
  }
  const key = apply(page.board, event);
  if (key && event.id) page.fresh.add(key);
  paint();
}

function onEnd(_frame, end) {
  if (end.reconnect) return; // the browser comes back by itself, with the last id
  close();
  if (end.reason === "revoked" || end.reason === "expired") return askForLogin();
  setStatus("ended", end.reason.replace("_", " "));
  notice("The project was deleted. Choose another one.");
  page.project = null;
  fillPicker().catch(() => {});
}

function onLost(source) {
  setStatus("reconnecting", "reconnecting");
  if (source.readyState !== EventSource.CLOSED) return; // the browser tries again
  // an answer that is no stream: the browser gives up for good, we ask why
  close();
  page.retry += 1;
  setTimeout(async () => {
    if (page.source || document.hidden || !page.project) return;
    const who = await fetch("/api/whoami").catch(() => null);
    if (who?.status === 401) askForLogin();
    else open();
  }, RETRY_MS * Math.min(page.retry, 4) * (0.5 + Math.random()));
}

function startOver() {
  page.cursor = null;
  open();
}

function pause() {
  if (!page.source) return;
  close();
  setStatus("paused", "paused");
}

function resume() {
  if (page.project && !page.source) open();
}

function close() {
  page.source?.close();
  page.source = null;
}

function watch() {
  const silent = performance.now() - page.seenAt;
  if (page.source && silent > SILENT_HEARTBEATS * page.heartbeatMs) open();
  if (page.asOf && window.cortex.status !== "live") setStatus(window.cortex.status, null);
}

function position(id) {
  return Number(id.slice(id.lastIndexOf(".") + 1));
}

// The screen: text only, whatever came

function live() {
  page.asOf = new Date();
  setStatus("live", "live");
}

function setStatus(status, words) {
  window.cortex.status = status;
  document.body.dataset.status = status;
  page.words = words ?? page.words;
  const since = page.asOf && `as of ${page.asOf.toLocaleTimeString()}`;
  const text = status === "live" || !since ? page.words : `${page.words}, ${since}`;
  if ($("status-text").textContent !== text) $("status-text").textContent = text;
}

function remember(event) {
  const seen = window.cortex;
  seen.events.push({ type: event.type, id: event.id ?? null, seq: event.seq ?? null });
  if (seen.events.length > KEPT) seen.events.shift();
  seen.counts[event.type] = (seen.counts[event.type] ?? 0) + 1;
  if (!event.id) return;
  const time = new Date(event.at).toLocaleTimeString();
  const who = `${event.actor.kind} ${event.actor.name}`;
  const line = element("li", "", `${time}  ${event.type}  ${event.ticket ?? ""}  ${who}`);
  const list = $("log").querySelector("ol");
  list.prepend(line);
  while (list.children.length > LOG_SHOWN) list.lastChild.remove();
}

function paint() {
  if (page.painting) return;
  page.painting = true;
  requestAnimationFrame(() => {
    page.painting = false;
    if (!page.board || !page.project) return;
    document.title = `${page.board.project.name} · Cortex`;
    document.body.dataset.cursor = page.cursor ?? "";
    document.body.dataset.seq = page.board.seq;
    $("board").hidden = $("log").hidden = false;
    $("board").replaceChildren(...columns(page.board).map(columnElement));
    page.fresh.clear();
  });
}

function columnElement(column) {
  const count = column.tickets.length;
  const limit = column.wip_limit ? ` / ${column.wip_limit}` : "";
  const head = element("h2", column.wip_limit && count > column.wip_limit ? "over" : "", `${column.title} `);
  head.append(element("b", "", `${count}${limit}`));
  const cards = column.tickets.slice(0, CARDS_SHOWN).map(cardElement);
  const more = count > CARDS_SHOWN ? [element("small", "", `and ${count - CARDS_SHOWN} more`)] : [];
  const section = element("section", "column");
  section.dataset.column = column.name;
  section.append(head, ...cards, ...more);
  return section;
}

function cardElement(ticket) {
  const card = element("article", page.fresh.has(ticket.key) ? "card fresh" : "card");
  card.dataset.ticket = ticket.key;
  const facts = [ticket.key, ticket.type, ticket.assignee, ticket.due && `due ${ticket.due}`];
  card.append(element("small", "", facts.filter(Boolean).join(" · ")), element("p", "", ticket.title));
  if (ticket.priority !== "none") card.append(element("span", `chip ${ticket.priority}`, ticket.priority));
  for (const name of ticket.labels) card.append(labelElement(name));
  const reviews = [...page.board.reviews.values()].filter((review) => review.ticket === ticket.key);
  if (reviews.length) card.append(element("span", "chip high", "review requested"));
  for (const session of page.board.sessions.values()) {
    if (session.ticket === ticket.key) card.append(sessionElement(session));
  }
  return card;
}

function labelElement(name) {
  const chip = element("span", "chip", name);
  const label = [...page.board.labels.values()].find((each) => each.name === name);
  if (/^(#[0-9a-f]{3,6}|[a-z]+)$/i.test(label?.color ?? "")) {
    chip.style.setProperty("--chip", label.color);
  }
  return chip;
}

function sessionElement(session) {
  const line = element("div", `session ${session.status}`);
  const doing = [session.tool, session.work].filter(Boolean).join(": ");
  line.append(
    element("b", "", session.status.replace("_", " ")),
    ` ${[session.agent, session.title, doing].filter(Boolean).join(" · ")}`,
  );
  const tail = page.board.tails.get(session.id);
  if (tail) line.append(element("q", "", tail));
  return line;
}

function element(name, className, text) {
  const made = document.createElement(name);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = text;
  return made;
}

function notice(text) {
  $("notice").hidden = !text;
  $("notice").firstElementChild.textContent = text;
  if (text) $("board").hidden = $("log").hidden = true;
}

function askForLogin() {
  close();
  page.project = null;
  $("login").hidden = false;
  $("board").hidden = $("log").hidden = true;
  setStatus("login", "not logged in");
}
