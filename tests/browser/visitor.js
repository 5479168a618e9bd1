// Runs in every page of a visitor: reports what moves without an input, and what is wider than the window.

new PerformanceObserver((list) => {
  for (const shift of list.getEntries()) {
    if (shift.hadRecentInput) continue;
    const moved = shift.sources.map(({ node }) => (node?.nodeType === Node.TEXT_NODE ? node.parentElement : node));
    const names = moved.map((one) => one?.outerHTML.split("\n")[0].slice(0, 80));
    reportFault(`layout shift of ${shift.value.toFixed(4)} at ${location.pathname}: ${names.join(", ")}`);
  }
}).observe({ type: "layout-shift", buffered: true });

function measure() {
  const { scrollWidth, clientWidth } = document.documentElement;
  if (scrollWidth <= Math.max(clientWidth, screen.width)) return; // a new window is 1 px wide at first
  const wide = [...document.querySelectorAll("main *, header *, footer *")].find(
    (one) => one.getBoundingClientRect().right > clientWidth + 1,
  );
  reportFault(`${location.pathname} is ${scrollWidth} px wide in a window of ${clientWidth}: ${wide?.outerHTML.slice(0, 120)}`);
}

addEventListener("load", () => new ResizeObserver(measure).observe(document.documentElement));
