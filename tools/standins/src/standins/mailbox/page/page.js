// Lists mails and shows the one that the address names (#17); new ones come in while the page is open.
const API = "/api/v1/messages";
const EVERY = 3000;
const at = (id) => document.getElementById(id);
let messages = [];

function make(tag, text, className) {
  const element = document.createElement(tag);
  if (text !== undefined) element.textContent = text;
  if (className) element.className = className;
  return element;
}

function when(seconds) {
  const day = new Date(seconds * 1000);
  const today = day.toDateString() === new Date().toDateString();
  return today
    ? day.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", second: "2-digit" })
    : day.toLocaleDateString([], { day: "numeric", month: "short" });
}

function row(message) {
  const link = make("a");
  link.href = `#${message.ID}`;
  if (location.hash === link.hash) link.setAttribute("aria-current", "true");
  const marks = make("span", undefined, "marks");
  if (message.reason) marks.append(make("span", message.reason, "chip"));
  if (message.copies > 1) marks.append(make("span", `${message.copies} copies`, "chip twice"));
  if (message.order_id) marks.append(make("span", message.order_id, "order"));
  link.append(make("span", message.envelope_to.join(", "), "to"), make("time", when(message.received_at)));
  link.append(make("span", message.subject || "(no subject)", "subject"), marks);
  return link;
}

function list() {
  const wanted = at("filter").value.trim().toLowerCase();
  const fields = (one) => [one.subject, one.from, ...one.envelope_to, one.order_id, one.reason].join("\n");
  const shown = messages.filter((one) => fields(one).toLowerCase().includes(wanted));
  at("list").replaceChildren(...shown.map(row));
}

async function refresh() {
  const answer = await fetch(`${API}?limit=200`);
  if (!answer.ok) return;
  const found = await answer.json();
  at("count").textContent = found.total === 1 ? "1 message" : `${found.total} messages`;
  const changed = found.messages.length !== messages.length || found.messages[0]?.ID !== messages[0]?.ID;
  messages = found.messages;
  if (changed) list();
  at("empty").hidden = messages.length > 0;
  if (changed && !location.hash && messages.length) location.replace(`#${messages[0].ID}`);
}

async function show() {
  list();
  const id = location.hash.slice(1);
  const answer = /^\d+$/.test(id) ? await fetch(`${API}/${id}`) : null;
  at("shown").hidden = !answer?.ok;
  if (!answer?.ok) return;
  const mail = await answer.json();
  at("subject").textContent = mail.subject || "(no subject)";
  const facts = { From: mail.from, To: mail.envelope_to.join(", "), Sent: mail.date, Order: mail.order_id, Reason: mail.reason };
  const known = Object.entries(facts).filter(([, value]) => value);
  at("facts").replaceChildren(...known.flatMap(([name, value]) => [make("dt", name), make("dd", value)]));
  at("html").src = mail.html === null ? "about:blank" : `${API}/${id}/html`;
  at("text").textContent = mail.text ?? "";
  at("headers").replaceChildren(...mail.headers.map(([name, value]) => {
    const line = make("tr");
    line.append(make("th", name), make("td", value));
    return line;
  }));
  at("raw").href = `${API}/${id}/raw`;
  at("tab-html").disabled = mail.html === null;
  at("tab-text").disabled = mail.text === null;
  open(mail.html !== null ? "html" : mail.text !== null ? "text" : "headers");
}

function open(name) {
  for (const tab of document.querySelectorAll("[role=tab]")) {
    const chosen = tab.getAttribute("aria-controls") === name;
    tab.setAttribute("aria-selected", String(chosen));
    at(tab.getAttribute("aria-controls")).hidden = !chosen;
  }
}

at("tabs").addEventListener("click", (event) => {
  const panel = event.target.getAttribute("aria-controls");
  if (panel) open(panel);
});
at("filter").addEventListener("input", list);
at("clear").addEventListener("click", async () => {
  if (!confirm("Delete all messages?")) return;
  await fetch(API, { method: "DELETE" });
  history.replaceState(null, "", location.pathname);
  await refresh();
  await show();
});
addEventListener("hashchange", show);
await refresh();
await show();
setInterval(() => document.hidden || refresh().catch(() => {}), EVERY);
