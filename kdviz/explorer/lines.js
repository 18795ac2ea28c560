// The mode of lines: the teacher's and the student's words facing each other, a line for every look.
import { colourOf } from "./colour.js"
import { shownMap } from "./format.js"
import { clipped } from "./pen.js"

/** Where the panels of lines stand; as `laidOut` of figure.js. */
export function linesLaidOut({ row, width, narrow, kept, k, size, head, gap, label }) {
  const count = row.length
  const across = !(narrow && count > 1)
  const each = Math.min(720, across ? (width - gap * (count - 1)) / count : width)
  const step = Math.max(size * 1.25, Math.min(26, 380 / k))
  const tall = step * k
  const panels = row.map((panel, place) => ({
    ...panel,
    x: across ? place * (each + gap) : 0,
    y: head + (across ? 0 : place * (tall + head + 14)),
    width: each,
    side: tall,
    step,
  }))
  return {
    panels,
    kept,
    cell: step,
    side: tall,
    label,
    longest: narrow ? 7 : 14,
    gutter: 0,
    width,
    size,
    narrow,
    head,
    height: (across ? 1 : count) * (tall + head + 14) + size,
  }
}

/** Lines from the words that look (left: teacher, right: student) to the words looked at, in the middle. */
export function drawLines({ pen, layout, panel, packs, state, look, limits, moments }) {
  const { kept, size, longest } = layout
  const { x, y, width, step } = panel
  const k = kept.length
  const pack = packs[panel.run]
  const word = Math.min(width * 0.24, layout.label)
  const middle = x + width / 2
  const half = word / 2
  const sides = [
    [shownMap(packs[0], null, state.pair, state.head, state), x + word + 4, middle - half, look.teacher],
    [
      shownMap(pack, moments[panel.run], state.pair, state.head, state),
      x + width - word - 4,
      middle + half,
      colourOf(pack, look),
    ],
  ]
  const only = state.focus ? kept.indexOf(state.focus.query) : -1
  for (const [values, from, to, colour] of sides) {
    const lines = []
    for (let query = 0; query < k; query++) {
      if (only >= 0 && query !== only) continue
      for (let key = 0; key < k; key++) {
        const share = values[query * k + key] / limits.attention
        if (Number.isNaN(share) || share < 0.03 || values[query * k + key] < state.weak) continue
        lines.push({
          share,
          ends: [
            [from, y + (query + 0.5) * step, true],
            [to, y + (key + 0.5) * step],
          ],
        })
      }
    }
    // The strongest on top. Each by itself: a browser paints hundreds in one path half as fast.
    for (const { share, ends } of lines.toSorted((one, other) => one.share - other.share))
      pen.path(ends, { stroke: colour, line: 0.7 + 2.2 * share, alpha: 0.12 + 0.88 * share })
  }
  kept.forEach((place, row) => {
    const at = y + (row + 0.5) * step
    const words = clipped(packs[0].tokens[place], longest)
    const lit = state.focus?.query === place
    const style = { size, font: look.font, colour: lit || only < 0 ? look.text : look.muted, bold: lit }
    pen.text(words, x + word, at, { ...style, anchor: "end" })
    pen.text(words, middle, at, { ...style, anchor: "middle", bold: state.focus?.key === place })
    pen.text(words, x + width - word, at, style)
  })
}
