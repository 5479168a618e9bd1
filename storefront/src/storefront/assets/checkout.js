// Sends the form once, and says so. The server places one order in any case.

const form = document.getElementById("checkout");
const status = document.getElementById("placing");
let isSent = false;

form.addEventListener("submit", (event) => {
  if (event.submitter?.name === "update") return;
  if (isSent) {
    event.preventDefault();
    return;
  }
  isSent = true;
  status.textContent = status.dataset.text;
});

// Back from the order's page, or after the network was away.
addEventListener("pageshow", (event) => {
  if (!event.persisted) return;
  isSent = false;
  status.textContent = "";
});
