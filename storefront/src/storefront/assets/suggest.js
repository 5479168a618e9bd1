// Products while a search is typed. Source: ARIA Authoring Practices, "Editable combobox with list autocomplete".

const PAUSE_MS = 150; // between two keys of somebody who types
const form = document.querySelector(".find");
const input = form.querySelector("input");
const status = document.createElement("p");
let list = null;
let chosen = -1;
let timer = null;
let asking = null;

status.setAttribute("role", "status");
status.className = "hidden";
form.append(status);
input.setAttribute("role", "combobox");
input.setAttribute("aria-autocomplete", "list");
input.setAttribute("aria-controls", "suggestions");
input.setAttribute("aria-expanded", "false");

async function ask() {
  asking?.abort(); // only the last answer counts
  const typed = input.value.trim();
  if (!typed) return close();
  asking = new AbortController();
  const { signal } = asking;
  try {
    const response = await fetch(`/suggest?${new URLSearchParams({ q: typed })}`, { signal });
    if (!response.ok) throw new Error(response.statusText);
    const found = new DOMParser().parseFromString(await response.text(), "text/html").getElementById("suggestions");
    if (!signal.aborted) show(found);
  } catch {
    if (!signal.aborted) close();
  }
}

function show(found) {
  close();
  status.textContent = found.dataset.summary;
  if (!found.children.length || document.activeElement !== input) return;
  list = found;
  list.addEventListener("pointerdown", (event) => event.preventDefault()); // the input keeps the focus
  list.addEventListener("click", (event) => go(event.target.closest("[role=option]")));
  form.append(list);
  input.setAttribute("aria-expanded", "true");
}

function close() {
  list?.remove();
  list = null;
  chosen = -1;
  status.textContent = "";
  input.setAttribute("aria-expanded", "false");
  input.removeAttribute("aria-activedescendant");
}

function choose(index) {
  const count = list.children.length;
  list.children[chosen]?.removeAttribute("aria-selected");
  chosen = ((index + 1 + count + 1) % (count + 1)) - 1; // -1 is the input itself
  const option = list.children[chosen];
  if (!option) return input.removeAttribute("aria-activedescendant");
  option.setAttribute("aria-selected", "true");
  option.scrollIntoView({ block: "nearest" });
  input.setAttribute("aria-activedescendant", option.id);
}

function go(option) {
  if (option) location.assign(option.dataset.href);
}

function stop() {
  clearTimeout(timer);
  asking?.abort();
  close();
}

input.addEventListener("input", () => {
  clearTimeout(timer);
  timer = setTimeout(ask, PAUSE_MS);
});
input.addEventListener("keydown", (event) => {
  if (event.isComposing) return;
  if (event.key === "Escape" && list) {
    event.preventDefault(); // the first one closes the list, the next one empties the field
    stop();
  } else if (event.key === "Enter" && list?.children[chosen]) {
    event.preventDefault();
    go(list.children[chosen]);
  } else if (event.key === "ArrowDown" || event.key === "ArrowUp") {
    event.preventDefault();
    if (list) choose(chosen + (event.key === "ArrowDown" ? 1 : -1));
    else ask();
  }
});
input.addEventListener("blur", stop);
form.addEventListener("submit", stop);
