// Puts the token of a mail's link into the form, and takes it out of the address. No server gets what is behind the `#`.

const token = location.hash.slice(1);
const field = document.getElementById("token");
if (token && field && !field.value) {
  field.value = token;
  history.replaceState(null, "", location.pathname);
}
