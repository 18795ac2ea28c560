// The elements of the picture: what stands where, and which act each control calls.
import { el, mark, roving } from "./dom.js"

const KINDS = [
  ["Picture (PNG)", "png"],
  ["Drawing (SVG)", "svg"],
  ["Numbers (CSV)", "csv"],
]

const button = (words, run, more = {}) => el("button", { type: "button", onclick: run, ...more }, words)
const menu = (words, ...inside) =>
  el("details", { class: "kx-menu" }, el("summary", {}, words), el("div", {}, ...inside))

/** Every element that changes later, by name. `act`: set(changes), play(), take(kind), leave(), open(). */
export function controls(act) {
  const check = (words, name) => {
    const box = el("input", { type: "checkbox", onchange: () => act.set({ [name]: box.checked }) })
    return [box, el("label", {}, box, words)]
  }
  const [hideBox, hide] = check("Hide special tokens", "hide")
  const [renormaliseBox, renormalise] = check("Let the rest sum to 1 again", "renormalise")
  const weakText = el("span")
  const weakSlider = el("input", {
    type: "range",
    min: 0,
    max: 0.5,
    step: 0.01,
    "aria-label": "Leave links blank that are weaker than",
    oninput: () => act.set({ weak: Number(weakSlider.value) }),
  })
  const sentence = el("div", {
    class: "kx-words",
    role: "listbox",
    "aria-label": "The sentence, word by word: a word lights its row and column",
    onkeydown: event => roving(sentence, event, { ArrowLeft: -1, ArrowRight: 1 }),
    onpointerleave: () => act.leave(),
  })
  const figure = Object.assign(el("canvas", { class: "kx-figure" }), { tabIndex: -1 })
  mark(figure, "role", "img")
  const curves = el("canvas", { class: "kx-curves" })
  const thumb = el("span", { class: "kx-thumb" })
  const slider = el(
    "div",
    {
      class: "kx-slider",
      role: "slider",
      tabindex: 0,
      "aria-label": "Moment of training",
      "aria-valuemin": 0,
    },
    curves,
    thumb,
  )
  const table = el("div", { class: "kx-table" })
  const numbers = el(
    "details",
    { class: "kx-numbers", ontoggle: () => act.open() },
    el("summary", {}, "Table of numbers"),
    table,
  )
  return {
    headline: el("p", { class: "kx-finding" }),
    behind: el("p", { class: "kx-behind" }),
    answers: el("p", { class: "kx-answers" }),
    readout: el("p", { class: "kx-readout" }),
    live: el("p", { class: "kx-hidden", "aria-live": "polite" }),
    foot: el("p", { class: "kx-foot" }),
    note: el("p", { class: "kx-note", role: "note" }),
    when: el("output", { class: "kx-when" }),
    playButton: button("", () => act.play(), { class: "kx-play" }),
    modes: ["maps", "lines"].map(mode =>
      button(mode === "maps" ? "Maps" : "Lines", () => act.set({ mode }), { "data-mode": mode }),
    ),
    filters: menu("Filters", hide, renormalise, el("label", {}, weakText, weakSlider)),
    save: menu("Save", ...KINDS.map(([words, kind]) => button(words, () => act.take(kind)))),
    sentence,
    figure,
    curves,
    thumb,
    slider,
    table,
    numbers,
    hideBox,
    renormaliseBox,
    weakText,
    weakSlider,
  }
}

/** All of it in its place. `tower`, `heads`: elements; without `chrome` only what a first look needs. */
export function arranged(parts, { chrome, tower, heads }) {
  const { readout, slider, numbers, foot, figure } = parts
  const modes = el(
    "span",
    { class: "kx-modes", role: "group", "aria-label": "How attention is drawn" },
    ...parts.modes,
  )
  const bar = el(
    "div",
    { class: "kx-bar" },
    parts.playButton,
    parts.when,
    el("span", { class: "kx-space" }),
    ...(chrome ? [modes, parts.filters] : []),
    parts.save,
  )
  return el(
    "section",
    { class: `kx${chrome ? "" : " kx-plain"}`, "aria-label": "Teacher and student attention, linked" },
    parts.headline,
    parts.behind,
    el("div", { class: "kx-top" }, parts.sentence, parts.answers),
    parts.note,
    chrome ? bar : null,
    el(
      "div",
      { class: "kx-main" },
      chrome ? tower : null,
      el("div", { class: "kx-stage" }, figure),
      chrome ? null : el("div", { class: "kx-aside" }, bar, slider, readout, foot),
    ),
    ...(chrome ? [readout, slider, heads, numbers, foot] : []),
    parts.live,
  )
}
