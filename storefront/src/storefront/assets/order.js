// Keeps the page of an order up to date: with the order's event stream while there is one, and by reading the page
// again while something is under way. Only what has changed is replaced.

const PAUSE_MS = 400; // several events often come at once
const WATCHED_MS = 30_000; // beside an open stream, in case it is silent
const LONGEST_MS = 60_000;
const LASTED_MS = 60_000; // a stream that was open for so long was not displaced by other tabs
const order = document.getElementById("order");
let events = null;
let opened = 0;
let failures = 0;
let timer = null;
let due = Infinity;

function later(milliseconds) {
  const at = Date.now() + milliseconds;
  if (at >= due) return;
  clearTimeout(timer);
  due = at;
  timer = setTimeout(read, milliseconds);
}

function stop() {
  clearTimeout(timer);
  due = Infinity;
  events?.close();
  events = null;
}

function afterFailure() {
  failures += 1;
  later(Math.min(LONGEST_MS, 1000 * 2 ** failures) * (0.5 + Math.random() / 2));
}

async function read() {
  due = Infinity;
  if (document.hidden) return;
  try {
    const response = await fetch(location.href, { headers: { Accept: "text/html" } });
    if (response.status === 404) return stop(); // the shopper has logged out
    if (!response.ok) throw new Error(response.statusText);
    const page = new DOMParser().parseFromString(await response.text(), "text/html");
    const fresh = page.getElementById("order");
    if (!fresh) return stop();
    for (const part of fresh.querySelectorAll("[data-part]")) update(part);
    document.querySelector(".top .count")?.replaceWith(page.querySelector(".top .count") ?? "");
    if (!events) failures = fresh.dataset.stream ? failures : 0;
    watch(fresh.dataset);
  } catch {
    afterFailure();
  }
}

function update(fresh) {
  const shown = order.querySelector(`[data-part="${fresh.dataset.part}"]`);
  if (content(shown) === content(fresh)) return;
  if (fresh.dataset.part === "state") {
    shown.textContent = fresh.textContent; // a live region is read out when its text changes
    return;
  }
  for (const input of shown.querySelectorAll("input[id]")) {
    const same = fresh.querySelector(`#${input.id}`);
    if (same && input.value !== input.defaultValue) same.value = input.value;
  }
  for (const details of shown.querySelectorAll("details[id]")) {
    const same = fresh.querySelector(`#${details.id}`);
    if (same) same.open = details.open;
  }
  const focused = shown.contains(document.activeElement) ? label(document.activeElement) : null;
  shown.replaceWith(fresh);
  if (focused) [...fresh.querySelectorAll("a, button, input, summary")].find((one) => label(one) === focused)?.focus();
}

// What a shopper can see of it: the tokens of forms are others each time.
function content(part) {
  const copy = part.cloneNode(true);
  for (const input of copy.querySelectorAll("input[type=hidden]")) input.remove();
  for (const details of copy.querySelectorAll("details")) details.open = true;
  return copy.innerHTML;
}

function label(element) {
  return element.id || element.getAttribute("href") || element.textContent;
}

function watch({ stream, refresh }) {
  if (!stream) {
    events?.close();
    events = null;
    if (refresh) later(Number(refresh) * 1000);
    return;
  }
  if (!events) open(stream);
  later(WATCHED_MS);
}

function open(stream) {
  opened = Date.now();
  events = new EventSource(stream);
  events.addEventListener("timeline", () => later(PAUSE_MS));
  events.addEventListener("order", () => later(PAUSE_MS));
  events.addEventListener("error", () => {
    // The order has ended, the service restarts, the ticket is over, or another tab has taken the place: the page
    // says which, and brings a new ticket.
    if (Date.now() - opened > LASTED_MS) failures = 0;
    events?.close();
    events = null;
    afterFailure();
  });
}

document.addEventListener("visibilitychange", () => {
  if (document.hidden) stop();
  else read();
});
addEventListener("pagehide", stop);
addEventListener("pageshow", (event) => {
  if (event.persisted) read();
});
watch(order.dataset);
