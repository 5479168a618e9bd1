// Stripe's Payment Element: the card's number goes to Stripe, and the form is sent with a token in its place.
// Source: https://docs.stripe.com/payments/accept-a-payment-deferred

const form = document.getElementById("checkout");
const token = document.getElementById("card-token");
const place = document.getElementById("card-element");
const kept = document.getElementById("card-kept");
const problem = document.getElementById("card-error");
let stripe = null;
let elements = null;
let isBusy = false;

function show() {
  const { key, amount, currency, locale } = place.dataset;
  kept.hidden = true;
  if (typeof Stripe === "undefined") {
    problem.textContent = problem.dataset.away;
    return;
  }
  stripe = Stripe(key, { locale });
  elements = stripe.elements({
    mode: "payment",
    amount: Number(amount),
    currency,
    paymentMethodCreation: "manual",
    paymentMethodTypes: ["card"],
    captureMethod: "manual",
    appearance: { theme: matchMedia("(prefers-color-scheme: dark)").matches ? "night" : "stripe" },
  });
  // Wallets would load scripts of others.
  elements.create("payment", { wallets: { applePay: "never", googlePay: "never" } }).mount(place);
}

async function makeToken() {
  const submitted = await elements.submit();
  if (submitted.error) return submitted;
  return stripe.createPaymentMethod({ elements });
}

async function send(event) {
  if (token.value || event.submitter?.name === "update") return;
  event.preventDefault();
  event.stopImmediatePropagation(); // the form is not sent yet
  if (isBusy || !elements) return;
  isBusy = true;
  problem.textContent = "";
  try {
    const { error, paymentMethod } = await makeToken();
    if (error) {
      problem.textContent = error.message;
    } else {
      token.value = paymentMethod.id;
      setTimeout(() => form.requestSubmit()); // a form is not sent while its event is being handled
    }
  } catch {
    problem.textContent = problem.dataset.away;
  } finally {
    isBusy = false;
  }
}

if (place) {
  form.addEventListener("submit", send);
  document.getElementById("other-card").addEventListener("click", () => {
    token.value = "";
    show();
  });
  if (token.value) kept.hidden = false;
  else show();
}
