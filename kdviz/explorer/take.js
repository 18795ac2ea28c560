// What can be taken from the picture: a table, a drawing, a file of numbers.
import { drawCurves, plotOf } from "./curves.js"
import { el, save } from "./dom.js"
import { drawFigure } from "./figure.js"
import { keptPlaces, rowKl, sameMoment, shownMap } from "./format.js"
import { CanvasPen, SvgPen, linesOf, shifted, widthOf } from "./pen.js"
import { decimals, described, filterText, footText, toldApart } from "./words.js"

const EDGE = 8

function shownRows({ packs, state }) {
  const moments = packs.map(pack => sameMoment(packs[0], state.moment, pack))
  return {
    teacher: shownMap(packs[0], null, state.pair, state.head, state),
    students: packs.map((pack, run) => shownMap(pack, moments[run], state.pair, state.head, state)),
    kl: packs.map((pack, run) => rowKl(pack, moments[run], state.pair, state.head)),
  }
}

/** A plain table: for every word the strongest link of each model and the KL of its row. */
export function tableOf(scene) {
  const { packs, state } = scene
  const kept = keptPlaces(packs[0], state.hide)
  const words = toldApart(packs[0].tokens)
  const rows = shownRows(scene)
  const cell = (tag, text, more = {}) => el(tag, more, String(text))
  const strongest = (values, row) => {
    const part = values.subarray(row * kept.length, (row + 1) * kept.length)
    const best = part.indexOf(Math.max(...part))
    return best < 0 ? "–" : `${words[kept[best]]} ${decimals(part[best])}`
  }
  const head = [
    "word",
    "teacher looks most at",
    ...packs.flatMap(({ about }) => [`${about.name} looks most at`, `KL of the row, ${about.name}`]),
  ]
  const body = kept.map((place, row) =>
    el(
      "tr",
      {},
      cell("th", words[place], { scope: "row" }),
      cell("td", strongest(rows.teacher, row)),
      ...packs.flatMap((_, run) => [
        cell("td", strongest(rows.students[run], row)),
        cell("td", decimals(rows.kl[run][place])),
      ]),
    ),
  )
  return el(
    "table",
    {},
    el("caption", {}, described(packs, state)),
    el("thead", {}, el("tr", {}, ...head.map(text => cell("th", text, { scope: "col" })))),
    el("tbody", {}, ...body),
  )
}

/** Every cell that is shown, as comma-separated values; empty where a number is not finite. */
export function csvOf(scene) {
  const { packs, state } = scene
  const kept = keptPlaces(packs[0], state.hide)
  const rows = shownRows(scene)
  const words = toldApart(packs[0].tokens)
  const names = packs.map(pack => pack.about.name)
  // A cell that begins like a formula would be run by a spreadsheet.
  const quoted = text =>
    `"${String(text)
      .replace(/^[=+\-@\t\r]/, "'$&")
      .replaceAll('"', '""')}"`
  const number = (value, digits) => (Number.isFinite(value) ? value.toFixed(digits) : "")
  const lines = [
    [
      "query",
      "key",
      "teacher",
      ...names.map(name => `student ${name}`),
      ...names.map(name => `kl of the row ${name}`),
    ]
      .map(quoted)
      .join(","),
  ]
  kept.forEach((query, row) =>
    kept.forEach((key, column) => {
      const at = row * kept.length + column
      lines.push(
        [
          quoted(words[query]),
          quoted(words[key]),
          ...[rows.teacher, ...rows.students].map(values => number(values[at], 5)),
          ...rows.kl.map(values => number(values[query], 6)),
        ].join(","),
      )
    }),
  )
  return lines.join("\n") + "\n"
}

/** Sentence, maps, curves and what they mean as one drawing: its size, and what draws it with a pen. `ruler`
 * knows how wide that pen writes. */
export function posterOf(scene, ruler = { widthOf }) {
  const { packs, state, look, layout } = scene
  const { size } = look
  const width = Math.max(layout.width + 2 * EDGE, 900)
  const above = { size: size * 1.2, font: look.font, colour: look.text, bold: true }
  const below = { size, font: look.font, colour: look.muted }
  const lines = (words, style) => linesOf(ruler, words, width - 2 * EDGE, style)
  const sentence = lines(packs[0].about.text || packs[0].tokens.join(" "), above)
  const meaning = [`${described(packs, state)} ${filterText(state)}`, footText(packs)].flatMap(words =>
    lines(words, below),
  )
  const figureAt = size * (1.1 + 1.5 * sentence.length)
  const curvesAt = figureAt + layout.height
  const meaningAt = curvesAt + size * 11
  const draw = pen => {
    sentence.forEach((line, place) => pen.text(line, EDGE, size * (1.2 + 1.5 * place), above))
    drawFigure(shifted(pen, EDGE, figureAt), layout, scene)
    const plot = plotOf({ packs, width: width - 2 * EDGE, height: size * 10, size })
    drawCurves(shifted(pen, EDGE, curvesAt), plot, scene)
    meaning.forEach((line, place) => pen.text(line, EDGE, meaningAt + size * 1.4 * place, below))
  }
  return { width, height: Math.ceil(meaningAt + size * (1.4 * meaning.length - 0.2)), draw }
}

function svgOf(scene) {
  const { width, height, draw } = posterOf(scene)
  const pen = new SvgPen(width, height, scene.look.background)
  draw(pen)
  return pen.source()
}

function pngOf(scene, then) {
  const { width, height, draw } = posterOf(scene)
  const canvas = el("canvas", { width: 2 * width, height: 2 * height })
  const context = canvas.getContext("2d")
  context.scale(2, 2)
  context.fillStyle = scene.look.background
  context.fillRect(0, 0, width, height)
  draw(new CanvasPen(context))
  canvas.toBlob(then, "image/png")
}

/** Hand a file of the scene to the browser; `kind` png, svg or csv. */
export function take(scene, kind) {
  const { packs, state } = scene
  const runs = packs
    .map(pack => pack.about.run)
    .join("-")
    .replace(/[^\w.-]+/g, "-")
  const head = state.head === null ? "mean" : `head${state.head + 1}`
  const name = `kdviz-${runs}-pair${state.pair + 1}-${head}-step${packs[0].steps[state.moment]}.${kind}`
  if (kind === "png") pngOf(scene, blob => save(blob, name))
  if (kind === "svg") save(new Blob([svgOf(scene)], { type: "image/svg+xml" }), name)
  if (kind === "csv") save(new Blob([csvOf(scene)], { type: "text/csv" }), name)
}
