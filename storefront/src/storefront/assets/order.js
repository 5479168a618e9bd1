// Updates the page of an order whenever something has happened to the order.

const PAUSE_MS = 400; // several events often come at once
const RECONNECT_MS = 3000;
let events = null;
let timer = null;

function later(milliseconds) {
  timer ??= setTimeout(read, milliseconds);
}

async function read() {
  timer = null;
  try {
    const response = await fetch(location.href, { headers: { Accept: "text/html" } });
    if (!response.ok) throw new Error(response.statusText);
    const page = new DOMParser().parseFromString(await response.text(), "text/html");
    const [shown, fresh] = [document.getElementById("order"), page.getElementById("order")];
    const focused = document.activeElement?.getAttribute("href") ?? document.activeElement?.textContent;
    const held = shown.contains(document.activeElement);
    shown.replaceWith(fresh);
    if (held) {
      const same = [...fresh.querySelectorAll("a, button")].find(
        (one) => (one.getAttribute("href") ?? one.textContent) === focused,
      );
      same?.focus();
    }
    document.querySelector(".top .count")?.replaceWith(page.querySelector(".top .count") ?? "");
    watch(fresh);
  } catch {
    later(RECONNECT_MS);
  }
}

function watch(order) {
  const { stream, refresh } = order.dataset;
  if (!stream) {
    events?.close();
    events = null;
    if (refresh) later(Number(refresh) * 1000);
    return;
  }
  if (events) return;
  events = new EventSource(stream);
  events.addEventListener("timeline", () => later(PAUSE_MS));
  events.addEventListener("order", () => later(PAUSE_MS));
  events.addEventListener("error", () => {
    // The ticket may be over: the page brings a new one.
    events?.close();
    events = null;
    later(RECONNECT_MS);
  });
}

watch(document.getElementById("order"));
