// The picture of the product that is opened moves to its place on the product's page, and back. Where motion is not
// wanted there is no transition between pages at all (shop.css).

const NAME = "picture"; // as the product's page calls its own

function name(url, transition) {
  if (!url || !transition) return;
  const path = new URL(url).pathname;
  const link = [...document.querySelectorAll(".card a")].find((one) => one.pathname === path);
  const picture = link?.querySelector("img");
  if (!picture) return;
  picture.style.viewTransitionName = NAME;
  transition.ready.catch(() => {}); // a page that comes too late has no transition
  transition.finished.catch(() => {}).then(() => { picture.style.viewTransitionName = ""; });
}

addEventListener("pageswap", (event) => name(event.activation?.entry.url, event.viewTransition));
addEventListener("pagereveal", (event) => name(window.navigation?.activation?.from?.url, event.viewTransition));
