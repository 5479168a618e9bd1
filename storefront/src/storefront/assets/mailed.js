// Puts the token of a mail's link into the form, and takes it out of the address. No server gets what is behind the `#`.

function take() {
  const token = location.hash.slice(1);
  const field = document.getElementById("token");
  if (token.length < 10 || !field) return; // #token or #main: a link within the page
  field.value = token;
  history.replaceState(null, "", location.pathname);
}

take();
addEventListener("hashchange", take); // a link that is opened where its page already is
