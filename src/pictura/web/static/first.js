// Runs before anything is drawn: the light or dark that was chosen, so that a page never flashes in the other.
(() => {
  try {
    const chosen = localStorage.getItem("pictura-theme");
    if (chosen === "light" || chosen === "dark") document.documentElement.dataset.theme = chosen;
  } catch (error) {
    // a browser that keeps nothing follows its system
  }
})();
