"use strict";

// One Swagger UI for all services: changing the document keeps the token, because every service names its
// security schemes alike. The token stays in memory and is gone with the page.
const services = ["auth", "product", "cart", "order"];
const documentOf = (service) => `/docs/openapi/${service}.json`;

function chosen() {
  const requested = new URLSearchParams(location.search).get("service");
  return services.includes(requested) ? requested : "product";
}

function mark(service) {
  for (const link of document.querySelectorAll("#services a")) {
    if (link.dataset.service === service) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
}

function show(service) {
  mark(service);
  ui.specActions.updateUrl(documentOf(service));
  ui.specActions.download(documentOf(service));
}

for (const service of services) {
  const link = document.createElement("a");
  link.href = `/docs?service=${service}`;
  link.dataset.service = service;
  link.textContent = service;
  link.addEventListener("click", (event) => {
    event.preventDefault();
    history.pushState(null, "", link.href);
    show(service);
  });
  document.getElementById("services").append(link);
}
addEventListener("popstate", () => show(chosen()));
mark(chosen());

const ui = SwaggerUIBundle({
  url: documentOf(chosen()),
  dom_id: "#api",
  deepLinking: true,
  tryItOutEnabled: true,
  displayRequestDuration: true,
  defaultModelsExpandDepth: 0,
  validatorUrl: null,
});
