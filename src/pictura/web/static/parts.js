// What the components of several pages share.

export const Icon = {
  props: { name: String },
  template: `<svg class="icon" aria-hidden="true" focusable="false"><use :href="'/static/icons.svg#' + name"></use></svg>`,
};

// A dash that begins a parameter: two hyphens, or the long one that telephones make of them, and a letter behind it.
const DASH = /(^|\s)(--|—)(?=[A-Za-z{])/g;

// Words and parameters of a prompt, each with where it stands. Parameters inside braces belong to the braces' text.
export function pieces(text) {
  const starts = [];
  for (const found of text.matchAll(DASH)) {
    const start = found.index + found[1].length;
    if (depthAt(text, start) === 0) starts.push(start);
  }
  const parameters = starts.map((start, i) => {
    const end = i + 1 < starts.length ? starts[i + 1] : text.length;
    return { start, end, text: text.slice(start, end).trim() };
  });
  return { words: (starts.length ? text.slice(0, starts[0]) : text).trim(), parameters };
}

function depthAt(text, end) {
  let depth = 0;
  for (let i = 0; i < end; i++) {
    if (text[i] === "\\") i++;
    else if (text[i] === "{") depth++;
    else if (text[i] === "}") depth--;
  }
  return depth;
}

// The prompt with one parameter set to a value, or without it where the value is empty.
export function withParameter(text, names, value) {
  const found = pieces(text);
  const isIt = (one) => names.includes(one.text.replace(/^(--|—)/, "").split(/\s/)[0].toLowerCase());
  const kept = found.parameters.filter((one) => !isIt(one)).map((one) => one.text);
  if (value) kept.push(`--${names[0]} ${value}`);
  return [found.words, ...kept].filter(Boolean).join(" ");
}

// The value of a parameter in a prompt; empty where there is none.
export function parameter(text, names) {
  for (const one of pieces(text).parameters) {
    const [name, ...value] = one.text.replace(/^(--|—)/, "").split(/\s+/);
    if (names.includes(name.toLowerCase())) return value.join(" ");
  }
  return "";
}
