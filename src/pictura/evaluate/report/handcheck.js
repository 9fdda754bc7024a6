const answers = {};
const figures = [...document.querySelectorAll("figure")];
const tally = document.querySelector("#tally span");

function count() {
  const given = Object.entries(answers);
  const parts = judges.map((name, j) => {
    const falsely = given.filter(([i, says]) => verdicts[i][j] && !says).length;
    const missed = given.filter(([i, says]) => !verdicts[i][j] && says).length;
    return `${name} disagrees ${falsely + missed} times (accepts ${falsely} wrong ones, refuses ${missed} right ones)`;
  });
  tally.textContent = `${given.length} of ${figures.length} checked. ${parts.join(" · ")}`;
}

figures.forEach((figure, i) => {
  const image = figure.querySelector("img");
  const title = image.title;
  image.title = title.split("\n")[0];
  image.dataset.title = title;
  for (const button of figure.querySelectorAll("button")) {
    button.onclick = () => {
      answers[i] = Number(button.dataset.says);
      for (const other of figure.querySelectorAll("button")) other.ariaPressed = String(other === button);
      count();
    };
  }
});

document.querySelector("#show").onclick = (event) => {
  const hidden = document.querySelector(".pictures").classList.toggle("hidden");
  event.target.ariaPressed = String(!hidden);
  for (const image of document.querySelectorAll("figure img")) {
    image.title = hidden ? image.dataset.title.split("\n")[0] : image.dataset.title;
  }
};
document.querySelector("#copy").onclick = () => {
  const rows = Object.entries(answers).map(([i, says]) => ({ number: Number(i) + 1, right: Boolean(says) }));
  navigator.clipboard.writeText(JSON.stringify(rows));
};
count();
