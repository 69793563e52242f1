// The board as a value, and how an event changes it. Knows neither the page nor the network.

const TAIL = 160; // characters shown of what an agent is saying

export function fromState(state) {
  const byKey = (items, key) => new Map(items.map((item) => [item[key], item]));
  return {
    seq: state.seq,
    project: state.project,
    labels: byKey(state.labels, "id"),
    tickets: byKey(state.tickets, "key"),
    sessions: byKey(state.sessions, "id"),
    reviews: byKey(state.reviews, "id"),
    tails: new Map(), // session id -> the end of its newest text
  };
}

// Change the board as the event says. Returns the key of the ticket that looks different now.
export function apply(board, event) {
  const { type, payload } = event;
  const noun = type.split(".")[0];
  if (type === "ticket.deleted") return removeTicket(board, payload.key);
  if (noun === "ticket") {
    if (payload.archived) return removeTicket(board, payload.key);
    board.tickets.set(payload.key, payload);
  } else if (type === "project.updated") {
    if (payload.key === board.project.key) board.project = payload;
  } else if (noun === "label") {
    put(board.labels, payload.id, payload, type !== "label.deleted");
  } else if (noun === "session") {
    put(board.sessions, payload.id, payload, type !== "session.ended");
    if (type === "session.ended") board.tails.delete(payload.id);
  } else if (noun === "review") {
    put(board.reviews, payload.id, payload, payload.state === "requested");
  } else if (type === "message.delta") {
    grow(board, payload);
  } else if (noun === "message") {
    const text = payload.parts.map((part) => part.text).join(" ");
    if (board.sessions.has(payload.session)) board.tails.set(payload.session, text.slice(-TAIL));
  }
  return event.ticket;
}

export function columns(board) {
  const cards = new Map(board.project.columns.map((column) => [column.name, []]));
  for (const ticket of board.tickets.values()) cards.get(ticket.status)?.push(ticket);
  for (const list of cards.values()) list.sort(inOrder);
  return board.project.columns.map((column) => ({ ...column, tickets: cards.get(column.name) }));
}

function inOrder(a, b) {
  if (a.rank !== b.rank) return a.rank < b.rank ? -1 : 1;
  return a.id < b.id ? -1 : 1;
}

function put(map, key, value, stays) {
  if (stays) map.set(key, value);
  else map.delete(key);
}

function removeTicket(board, key) {
  board.tickets.delete(key);
  return key;
}

function grow(board, delta) {
  const known = board.tails.get(delta.session) ?? "";
  board.tails.set(delta.session, (known + delta.text).slice(-TAIL));
}
