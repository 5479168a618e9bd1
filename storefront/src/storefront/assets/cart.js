// The cart in a drawer beside the page: what the page of the cart shows, read from there. Whatever does not work
// here is done as without a script.

const template = document.getElementById("drawer");
const link = document.querySelector('.top a[href="/cart"]');
let drawer = null;

function open() {
  if (!drawer) {
    drawer = template.content.firstElementChild.cloneNode(true);
    document.body.append(drawer);
    drawer.addEventListener("submit", send);
    drawer.addEventListener("click", (event) => {
      if (event.target === drawer) drawer.close(); // beside it
    });
  }
  if (!drawer.open) drawer.showModal();
}

// Shows the cart's page; false if it is another page.
async function show(response) {
  const page = new DOMParser().parseFromString(await response.text(), "text/html");
  const cart = page.getElementById("cart");
  if (!cart) return false;
  const notice = page.querySelector("main > .notice");
  for (const heading of cart.querySelectorAll("h1")) {
    const smaller = document.createElement("h2");
    smaller.append(...heading.childNodes);
    heading.replaceWith(smaller);
  }
  open();
  const held = drawer.querySelector(".held");
  const focused = held.contains(document.activeElement) ? nameOf(document.activeElement) : null;
  held.replaceChildren(...(notice ? [notice] : []), cart);
  notice?.removeAttribute("role"); // said by the drawer's own region, which was there before
  say(notice?.firstChild ? notice.textContent.trim().replace(/\s+/g, " ") : "");
  link.replaceChildren(...page.querySelector('.top a[href="/cart"]').childNodes);
  const token = page.querySelector("input[name=csrf]")?.value;
  for (const input of document.querySelectorAll("input[name=csrf]")) if (token) input.value = token;
  if (focused) {
    const controls = [...held.querySelectorAll("a, button, input")];
    const same = controls.find((one) => nameOf(one) === focused);
    (same ?? notice?.querySelector("button") ?? drawer.querySelector("button")).focus();
  }
  return true;
}

function nameOf(control) {
  return control.getAttribute("aria-label") ?? control.labels?.[0]?.textContent ?? control.textContent;
}

function say(text) {
  const status = drawer.querySelector("[role=status]");
  status.textContent = "";
  setTimeout(() => { status.textContent = text; }, 100); // the same text twice is said twice
}

// Sends a form of the cart; without an answer, as the browser does.
async function send(event) {
  const form = event.target;
  if (form.method !== "post") return;
  event.preventDefault();
  if (form.dataset.sending) return;
  form.dataset.sending = "yes";
  const fields = new URLSearchParams(new FormData(form, event.submitter));
  if (form.getAttribute("action") === "/cart/add") fields.set("to", "cart");
  try {
    const response = await fetch(form.getAttribute("action"), { method: "POST", body: fields });
    if (new URL(response.url).pathname !== "/cart" || !response.ok || !(await show(response))) {
      throw new Error(response.statusText);
    }
    const key = form.querySelector("input[name=key]");
    if (key) key.value = newKey(); // once more is meant as once more
  } catch {
    form.submit();
  } finally {
    delete form.dataset.sending;
  }
}

function newKey() {
  return [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

link.addEventListener("click", async (event) => {
  if (event.button || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
  event.preventDefault();
  try {
    const response = await fetch(link.href, { headers: { Accept: "text/html" } });
    if (!response.ok || !(await show(response))) throw new Error(response.statusText);
  } catch {
    location.assign(link.href);
  }
});

document.querySelector("main form.buy")?.addEventListener("submit", send);
