// Shows the fields of the country that was chosen. What was entered stays.

const country = document.getElementById("country");
const button = document.getElementById("update-fields");
let asking = null;

async function update() {
  asking?.abort();
  asking = new AbortController();
  const body = new URLSearchParams(new FormData(country.form));
  body.set("update", "fields");
  try {
    const response = await fetch(country.form.action, { method: "POST", body, signal: asking.signal });
    if (!response.ok) throw new Error(response.statusText);
    const page = new DOMParser().parseFromString(await response.text(), "text/html");
    const [shown, fresh] = [document.getElementById("by-country"), page.getElementById("by-country")];
    for (const input of fresh.querySelectorAll("input")) {
      const before = document.getElementById(input.id);
      if (before) input.value = before.value;
    }
    shown.replaceWith(fresh);
  } catch (error) {
    if (error.name !== "AbortError") button.hidden = false; // it does the same without a script
  }
}

button.hidden = true;
country.addEventListener("change", update);
