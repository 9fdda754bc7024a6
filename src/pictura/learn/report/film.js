for (const film of document.querySelectorAll(".film")) {
  const slider = film.querySelector("input"), shown = film.querySelector("output"), frames = [...film.querySelectorAll("img")];
  const show = () => {
    frames.forEach((frame, number) => { frame.hidden = number !== Number(slider.value); });
    shown.textContent = frames[slider.value].dataset.update;
  };
  slider.addEventListener("input", show);
  show();
}
