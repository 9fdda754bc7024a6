// What all pages can do in the browser.
const pictura = {
  // "light", "dark", or "system"
  theme(chosen) {
    if (chosen === undefined) return document.documentElement.dataset.theme || "system";
    if (chosen === "system") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = chosen;
    try {
      if (chosen === "system") localStorage.removeItem("pictura-theme");
      else localStorage.setItem("pictura-theme", chosen);
    } catch (error) {
      // it holds until the page is left
    }
    this.paintTheme();
    return chosen;
  },

  isDark() {
    const chosen = this.theme();
    return chosen === "system" ? matchMedia("(prefers-color-scheme: dark)").matches : chosen === "dark";
  },

  turn() {
    this.theme(this.isDark() ? "light" : "dark");
  },

  paintTheme() {
    const chosen = this.theme();
    if (window.Quasar) Quasar.Dark.set(chosen === "system" ? "auto" : chosen === "dark");
  },

  // Says something for a moment, and to screen readers.
  toast(sentence) {
    let place = document.getElementById("toasts");
    if (!place) {
      place = Object.assign(document.createElement("div"), { id: "toasts", className: "toasts" });
      place.setAttribute("role", "status");
      document.body.append(place);
    }
    // a modal dialog hides all that is not in it from readers and eyes
    (document.querySelector("dialog:modal") || document.body).append(place);
    const note = Object.assign(document.createElement("p"), { className: "toast", textContent: sentence });
    place.append(note);
    setTimeout(() => note.remove(), 3500);
  },

  // Says something to screen readers alone.
  announce(sentence) {
    let place = document.getElementById("announced");
    if (!place) {
      place = Object.assign(document.createElement("div"), { id: "announced", className: "hidden-label" });
      place.setAttribute("role", "status");
    }
    (document.querySelector("dialog:modal") || document.body).append(place);
    place.textContent = sentence;
  },

  // Sends the form of the login page; what is wrong is said in the line with the given id.
  async logIn(event, lineId) {
    event.preventDefault();
    const form = event.target;
    const line = document.getElementById(lineId);
    const button = form.querySelector("button[type=submit]");
    line.hidden = true;
    sessionStorage.clear(); // what somebody else was writing in this tab
    button.disabled = true;
    try {
      const answer = await fetch("/login" + location.search, { method: "POST", body: new FormData(form) });
      const told = await answer.json();
      if (answer.ok) {
        location.assign(told.next);
        return;
      }
      line.textContent = told.detail;
    } catch (error) {
      line.textContent = "The pages do not answer; try again in a moment.";
    }
    line.hidden = false;
    button.disabled = false;
    form.querySelector("input[type=password]").select();
  },
};
window.pictura = pictura;
addEventListener("load", () => pictura.paintTheme());
