// Stands in for Stripe's script: an input for the card, and a token that the sandbox knows.

window.Stripe = (key, { locale }) => ({
  elements(options) {
    window.asked = { key, locale, ...options };
    return {
      create: () => ({
        mount(place) {
          place.innerHTML = '<label>Card number <input id="number"></label>';
        },
      }),
      async submit() {
        if (document.getElementById("number").value) return {};
        return { error: { message: "Your card number is incomplete." } };
      },
    };
  },
  async createPaymentMethod() {
    return { paymentMethod: { id: "pm_card_visa" } };
  },
});
