// The maps (or the lines between words), drawn with any pen; and which cell lies under a point.
import { answerOf, keptPlaces, klOf, limitsOf, rowKl, sameMoment, shownMap } from "./format.js"
import { answerText, decimals, headName, signed } from "./words.js"

export const clipped = (words, most) => {
  const letters = [...words]
  return letters.length > most ? `${letters.slice(0, most - 1).join("")}…` : words
}

/** The first of these words that fits into `room` pixels; else the last, clipped. */
export function fitting(pen, choices, room, style) {
  let words = choices.find(each => pen.widthOf(each, style) <= room) ?? choices.at(-1)
  while (words.length > 2 && pen.widthOf(words, style) > room) words = clipped(words, [...words].length - 1)
  return words
}

/** Where everything stands. `columns` of maps, rows of panels; sizes in css pixels. */
export function laidOut({ packs, state, width, maxSide, size, differences }) {
  const kept = keptPlaces(packs[0], state.hide), k = kept.length, two = packs.length > 1
  const narrow = width < 620, longest = narrow ? 7 : 12
  const letters = Math.max(3, ...kept.map(place => Math.min(longest, [...packs[0].tokens[place]].length)))
  const label = Math.ceil(letters * size * 0.6) + 8, head = Math.ceil(size * 4.1), gap = narrow ? 10 : 18
  const panelsOf = kind => packs.map((_, run) => ({ kind, run }))
  if (state.mode === "lines") return linesLaidOut({ row: panelsOf("lines"), width, narrow, kept, k, size, head, gap, label })
  const maps = [{ kind: "teacher" }, ...panelsOf("student")], apart = panelsOf("difference"), byRow = { kind: "rows" }
  const rows = !differences ? [maps] : narrow ? [maps, [byRow, ...apart]] : two ? [[...maps, byRow], [null, ...apart]] : [[...maps, ...apart, byRow]]
  const gutter = narrow && !differences ? 0 : label, foot = label + Math.ceil(size * 2.8)
  const wide = rows[0].at(-1) === byRow, count = rows[0].length - wide
  const room = width - gap * (rows[0].length - 1) - gutter, forBars = Math.round(Math.max(size * 8.6, 0.42 * room / (count + 0.42)))
  const side = Math.max(48, Math.floor(Math.min(two && differences ? maxSide * 0.92 : maxSide, (room - (wide ? forBars + 8 : 0)) / count)))
  const panels = rows.flatMap((row, line) => row.map((panel, column) => panel && {
    ...panel, x: gutter + column * (side + gap), y: head + line * (side + head + foot), side,
    width: panel === byRow && wide ? Math.round(size * 8.6) : side, labels: gutter > 0 && (column === 0 || !row[column - 1]),
  })).filter(Boolean)
  return { panels, kept, cell: side / k, side, label, longest, gutter, width, height: rows.length * (side + head + foot), size, narrow, head }
}

function linesLaidOut({ row, width, narrow, kept, k, size, head, gap, label }) {
  const count = row.length, across = !(narrow && count > 1)
  const each = Math.min(720, across ? (width - gap * (count - 1)) / count : width)
  const step = Math.max(size * 1.25, Math.min(26, 380 / k)), tall = step * k
  const panels = row.map((panel, place) => ({ ...panel, x: across ? place * (each + gap) : 0,
    y: head + (across ? 0 : place * (tall + head + 14)), width: each, side: tall, step }))
  return { panels, kept, cell: step, side: tall, label, longest: narrow ? 7 : 14, gutter: 0, width, size, narrow, head,
    height: (across ? 1 : count) * (tall + head + 14) + size }
}

/** {query, key} (token places) under a point, null elsewhere. */
export function cellAt(layout, x, y) {
  for (const panel of layout.panels) {
    const row = Math.floor((y - panel.y) / (panel.side / layout.kept.length))
    if (row < 0 || row >= layout.kept.length || x < panel.x - panel.labels * layout.gutter || x >= panel.x + panel.width) continue
    if (panel.kind === "lines" || panel.kind === "rows" || x < panel.x) return { query: layout.kept[row], key: layout.kept[row], kind: panel.kind }
    const column = Math.floor((x - panel.x) / layout.cell)
    return { query: layout.kept[row], key: layout.kept[column], kind: panel.kind }
  }
  return null
}

/** Draw everything. `look`: colours, font and ramps. */
export function drawFigure(pen, layout, { packs, state, look }) {
  const limits = limitsOf(packs, state.pair, state.head, state)
  const moments = packs.map(pack => sameMoment(packs[0], state.moment, pack))
  for (const panel of layout.panels) {
    const drawing = { pen, layout, panel, packs, state, look, limits, moments }
    titles(drawing)
    if (panel.kind === "lines") { lines(drawing); continue }
    if (panel.kind === "rows") bars(drawing)
    else cells(drawing)
    if (panel.labels) labels(drawing, "query", (words, at, style) => pen.text(words, panel.x - 6, panel.y + at, { ...style, anchor: "end" }))
  }
}

const layerName = (layer, count, head) => [`layer ${layer + 1} of ${count} · ${headName(head)}`, `layer ${layer + 1} · ${headName(head)}`, `layer ${layer + 1}${head === null ? " · mean" : ""}`]
const teacherColour = look => look.teacher
const colourOf = (pack, look) => pack.about.colour || look.text

function titles({ pen, layout, panel, packs, state, look, moments }) {
  const { size } = layout, pack = packs[panel.run ?? 0], moment = moments[panel.run ?? 0]
  const [student, teacher] = pack.pairs[state.pair], two = packs.length > 1
  const kl = klOf(pack, moment, state.pair, state.head)
  const says = {
    teacher: [["Teacher"], layerName(teacher, pack.about.teacher_layers, state.head), [answerText(answerOf(pack, null))]],
    student: [[`Student: ${pack.about.name}`, pack.about.name],
      layout.compact ? [`KL ${decimals(klOf(pack, moment, state.pair, state.head))} nats`] : layerName(student, pack.about.student_layers, state.head),
      [answerText(answerOf(pack, moment))]],
    difference: [[two ? "Teacher − this student" : "Teacher − student", "Teacher − student", "difference"], [`KL ${decimals(kl)} nats`], [""]],
    rows: [["KL by row"], [two ? "in nats" : `mean ${decimals(kl)} nats`], [""]],
    lines: [[two ? `Teacher · ${pack.about.name}` : "Teacher · student"], [`layer ${teacher + 1} · layer ${student + 1}, ${headName(state.head)} · KL ${decimals(kl)} nats`],
      [`${answerText(answerOf(pack, null))} · ${answerText(answerOf(pack, moment))}`]],
  }[panel.kind]
  const badge = { teacher: teacherColour(look), student: colourOf(pack, look) }[panel.kind]
  const indent = badge ? size * 1.15 : 0, above = { size: size * 1.05, colour: look.text, font: look.font, bold: true }, below = { size, font: look.font }
  let y = panel.y - layout.head + size * 0.75
  if (badge) pen.rect(panel.x, y - size * 0.42, size * 0.8, size * 0.8, { fill: badge })
  const said = says.map((choices, place) => fitting(pen, choices, panel.width + 4 - (place ? 0 : indent), place ? below : above))
  pen.text(said[0], panel.x + indent, y, above)
  pen.text(said[1], panel.x, y += size * 1.25, { ...below, colour: look.muted })
  if (said[2]) pen.text(said[2], panel.x, y + size * 1.2, { ...below, colour: look.text })
}

/** What a map panel shows, as a grid for a pen. */
export function gridOf({ kind, run }, { packs, state, look, moments }) {
  const pack = packs[run ?? 0], limits = limitsOf(packs, state.pair, state.head, state), weak = state.weak
  const teacher = shownMap(packs[0], null, state.pair, state.head, state)
  const size = keptPlaces(pack, state.hide).length
  if (kind === "teacher") return { values: teacher, size, limit: limits.attention, ramp: look.sequential, isBlank: weak > 0 && (cell => teacher[cell] < weak) }
  const student = shownMap(pack, moments[run], state.pair, state.head, state)
  if (kind === "student") return { values: student, size, limit: limits.attention, ramp: look.sequential, isBlank: weak > 0 && (cell => student[cell] < weak) }
  return { values: teacher.map((value, cell) => value - student[cell]), size, limit: limits.difference, diverging: true, ramp: look.diverging,
    isBlank: weak > 0 && (cell => teacher[cell] < weak && student[cell] < weak) }
}

function cells(drawing) {
  const { pen, layout, panel, packs, state, look, limits, moments } = drawing
  const { x, y, side } = panel, { kept, cell, size } = layout
  pen.grid(x, y, side, gridOf(panel, { packs, state, look, moments }))
  pen.rect(x - 0.5, y - 0.5, side + 1, side + 1, { stroke: look.grid })
  const focus = state.focus
  labels(drawing, "key", (words, at, style) => pen.text(words, x + at, y + side + 5, { ...style, turn: 90 }))
  const row = focus ? kept.indexOf(focus.query) : -1, column = focus ? kept.indexOf(focus.key) : -1
  if (row >= 0 && column >= 0) {
    for (const [stroke, line] of [[look.background, 3], [look.text, 1.3]]) {
      pen.rect(x, y + row * cell, side, cell, { stroke, line })
      pen.rect(x + column * cell, y, cell, side, { stroke, line })
    }
  }
  scale({ pen, x, y: y + side + layout.label + size * 0.5, width: side, size, look, limits, diverging: panel.kind === "difference" })
}

/** The words beside the rows or below the columns (`along`: query or key), thinned out where they would meet. */
function labels({ layout, packs, look, state: { focus } }, along, draw) {
  const { kept, cell, size, longest } = layout, every = Math.max(1, Math.ceil(size * 0.95 / cell))
  const at = focus && every > 1 ? kept.indexOf(focus[along]) : -1
  kept.forEach((token, place) => {
    const lit = focus?.[along] === token, isNearLit = at >= 0 && Math.abs(at - place) < every
    if (!lit && (place % every || isNearLit)) return
    draw(clipped(packs[0].tokens[token], longest), (place + 0.5) * cell, { size, colour: lit ? look.text : look.muted, font: look.font, bold: lit })
  })
}

function scale({ pen, x, y, width, size, look, limits, diverging }) {
  const ramp = diverging ? look.diverging : look.sequential, steps = 48, bar = size * 0.55
  for (let step = 0; step < steps; step++) {
    pen.rect(x + step * width / steps, y, width / steps + 0.4, bar, { fill: ramp.css[Math.round(step * 255 / (steps - 1))] })
  }
  pen.rect(x, y, width, bar, { stroke: look.grid })
  const below = y + bar + size * 0.75, style = { size, colour: look.muted, font: look.font }
  if (!diverging) {
    const most = decimals(limits.attention, 2)
    pen.text("0", x, below, style)
    pen.text(fitting(pen, [`attention ${most}`, most], width - size, style), x + width, below, { ...style, anchor: "end" })
    return
  }
  const [least, most] = [-limits.difference, limits.difference].map(value => signed(value).slice(0, 5))
  const ends = [[`${least} student more`, `teacher more ${most}`], [least, most], ["", most.replace("+", "±")]]
  const [left, right] = ends.find(pair => pen.widthOf(pair[0], style) + pen.widthOf(pair[1], style) < width - size) ?? ends.at(-1)
  pen.text(left, x, below, style)
  pen.text(right, x + width, below, { ...style, anchor: "end" })
}

function bars({ pen, layout, panel, packs, state, look, limits, moments }) {
  const { kept, cell, size } = layout, room = panel.width - 2, thick = Math.max(1, cell * 0.72 / packs.length)
  packs.forEach((pack, run) => {
    const rows = rowKl(pack, moments[run], state.pair, state.head)
    kept.forEach((place, row) => {
      const top = panel.y + row * cell + cell * 0.14 + run * thick, value = rows[place]
      const length = Number.isFinite(value) ? room * Math.min(1, value / limits.kl) : 0
      pen.rect(panel.x, top, length, thick, { fill: colourOf(pack, look) })
    })
  })
  pen.path([[panel.x, panel.y, true], [panel.x, panel.y + panel.side]], { stroke: look.muted })
  const row = state.focus ? kept.indexOf(state.focus.query) : -1
  if (row >= 0) {
    const said = packs.map((pack, run) => decimals(rowKl(pack, moments[run], state.pair, state.head)[kept[row]])).join(" · ")
    pen.text(said, panel.x + panel.width, panel.y + (row + 0.5) * cell, { size, colour: look.text, font: look.font, bold: true, anchor: "end", halo: look.background })
  }
  const style = { size, colour: look.muted, font: look.font }, below = panel.y + panel.side + size * 0.8
  pen.text("0", panel.x, below, style)
  pen.text(decimals(limits.kl, 2), panel.x + panel.width, below, { ...style, anchor: "end" })
}

/** Lines from the words that look (left: teacher, right: student) to the words looked at, in the middle. */
function lines({ pen, layout, panel, packs, state, look, limits, moments }) {
  const { kept, size, longest } = layout, { x, y, width, step } = panel, k = kept.length
  const pack = packs[panel.run], word = Math.min(width * 0.24, layout.label)
  const middle = x + width / 2, half = word / 2
  const sides = [
    [shownMap(packs[0], null, state.pair, state.head, state), x + word + 4, middle - half, teacherColour(look)],
    [shownMap(pack, moments[panel.run], state.pair, state.head, state), x + width - word - 4, middle + half, colourOf(pack, look)],
  ]
  const only = state.focus ? kept.indexOf(state.focus.query) : -1, strengths = 8
  for (const [values, from, to, colour] of sides) {
    const bundles = Array.from({ length: strengths }, () => [])
    for (let query = 0; query < k; query++) {
      if (only >= 0 && query !== only) continue
      for (let key = 0; key < k; key++) {
        const share = values[query * k + key] / limits.attention
        if (share < 0.03 || values[query * k + key] < state.weak) continue
        bundles[Math.min(strengths - 1, Math.floor(share * strengths))].push([from, y + (query + 0.5) * step, true], [to, y + (key + 0.5) * step])
      }
    }
    bundles.forEach((points, strength) => points.length && pen.path(points, { stroke: colour, line: 0.7 + 2.2 * (strength + 1) / strengths, alpha: 0.12 + 0.88 * (strength + 0.5) / strengths }))
  }
  kept.forEach((place, row) => {
    const at = y + (row + 0.5) * step, words = clipped(packs[0].tokens[place], longest)
    const lit = state.focus?.query === place, style = { size, font: look.font, colour: lit || only < 0 ? look.text : look.muted, bold: lit }
    pen.text(words, x + word, at, { ...style, anchor: "end" })
    pen.text(words, middle, at, { ...style, anchor: "middle", bold: state.focus?.key === place })
    pen.text(words, x + width - word, at, style)
  })
}

/** The maps of one head as small pictures side by side: teacher, then each student. */
export function thumbnail(head, { packs, state, look, moments, canvas, scratch, pixels }) {
  const at = { ...state, head }, kept = keptPlaces(packs[0], state.hide).length
  const grids = [{ kind: "teacher" }, ...packs.map((_, run) => ({ kind: "student", run }))].map(panel => gridOf(panel, { packs, state: at, look, moments }))
  const gap = Math.max(1, Math.round(kept / 12)), wide = kept * grids.length + gap * (grids.length - 1)
  if (canvas.width !== wide || canvas.height !== kept) { canvas.width = wide; canvas.height = kept }
  const context = canvas.getContext("2d")
  context.clearRect(0, 0, wide, kept)
  grids.forEach((grid, place) => context.drawImage(pixels(grid, scratch), place * (kept + gap), 0))
}
