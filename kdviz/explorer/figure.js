// The maps (or the lines between words), drawn with any pen; and which cell lies under a point.
import { colourOf } from "./colour.js"
import { answerOf, keptPlaces, klOf, limitsOf, rowKl, sameMoment, shownMap } from "./format.js"
import { drawLines, linesLaidOut } from "./lines.js"
import { clipped, fitting } from "./pen.js"
import { answerText, decimals, digitsOf, headName, otherEpoch, signed } from "./words.js"

/** Where everything stands. `columns` of maps, rows of panels; sizes in css pixels. */
export function laidOut({ packs, state, width, maxSide, size, differences }) {
  const kept = keptPlaces(packs[0], state.hide)
  const k = kept.length
  const two = packs.length > 1
  const narrow = width < 620
  const longest = narrow ? 7 : 12
  const letters = Math.max(3, ...kept.map(place => Math.min(longest, [...packs[0].tokens[place]].length)))
  const label = Math.ceil(letters * size * 0.6) + 8
  const head = Math.ceil(size * 4.1)
  const gap = narrow ? 10 : 18
  const panelsOf = kind => packs.map((_, run) => ({ kind, run }))
  if (state.mode === "lines")
    return linesLaidOut({ row: panelsOf("lines"), width, narrow, kept, k, size, head, gap, label })
  const maps = [{ kind: "teacher" }, ...panelsOf("student")]
  const apart = panelsOf("difference")
  const byRow = { kind: "rows" }
  const rows = !differences
    ? [maps]
    : narrow
      ? [maps, [byRow, ...apart]]
      : two
        ? [
            [...maps, byRow],
            [null, ...apart],
          ]
        : [[...maps, ...apart, byRow]]
  const gutter = narrow && !differences ? 0 : label
  const foot = label + Math.ceil(size * 2.8)
  const wide = rows[0].at(-1) === byRow
  const count = rows[0].length - wide
  const room = width - gap * (rows[0].length - 1) - gutter
  const forBars = Math.round(Math.max(size * 8.6, (0.42 * room) / (count + 0.42)))
  const side = Math.max(
    48,
    Math.floor(
      Math.min(two && differences ? maxSide * 0.92 : maxSide, (room - (wide ? forBars + 8 : 0)) / count),
    ),
  )
  const panels = rows
    .flatMap((row, line) =>
      row.map(
        (panel, column) =>
          panel && {
            ...panel,
            x: gutter + column * (side + gap),
            y: head + line * (side + head + foot),
            side,
            width: panel === byRow && wide ? Math.round(size * 8.6) : side,
            labels: gutter > 0 && (column === 0 || !row[column - 1]),
          },
      ),
    )
    .filter(Boolean)
  return {
    panels,
    kept,
    cell: side / k,
    side,
    label,
    longest,
    gutter,
    width,
    height: rows.length * (side + head + foot),
    size,
    narrow,
    head,
  }
}

/** {query, key} (token places) under a point, null elsewhere. */
export function cellAt(layout, x, y) {
  for (const panel of layout.panels) {
    const row = Math.floor((y - panel.y) / (panel.side / layout.kept.length))
    if (
      row < 0 ||
      row >= layout.kept.length ||
      x < panel.x - panel.labels * layout.gutter ||
      x >= panel.x + panel.width
    )
      continue
    if (panel.kind === "lines" || panel.kind === "rows" || x < panel.x)
      return { query: layout.kept[row], key: layout.kept[row], kind: panel.kind }
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
    if (panel.kind === "lines") {
      drawLines(drawing)
      continue
    }
    if (panel.kind === "rows") bars(drawing)
    else cells(drawing)
    if (panel.labels)
      labels(drawing, "query", (words, at, style) =>
        pen.text(words, panel.x - 6, panel.y + at, { ...style, anchor: "end" }),
      )
  }
}

const layerName = (layer, count, head) => [
  `layer ${layer + 1} of ${count} · ${headName(head)}`,
  `layer ${layer + 1} · ${headName(head)}`,
  `layer ${layer + 1}${head === null ? " · mean" : ""}`,
]

/** What is said last in a run's name: what tells it from the run beside it (see names.py). */
const lastOf = name => name.split(", ").at(-1)

function titles({ pen, layout, panel, packs, state, look, moments }) {
  const { size } = layout
  const pack = packs[panel.run ?? 0]
  const moment = moments[panel.run ?? 0]
  const [student, teacher] = pack.pairs[state.pair]
  const two = packs.length > 1
  const kl = klOf(pack, moment, state.pair, state.head)
  const at = otherEpoch(packs[0], state.moment, pack)
  const says = {
    teacher: [
      ["Teacher"],
      layerName(teacher, pack.about.teacher_layers, state.head),
      [answerText(answerOf(pack, null))],
    ],
    student: [
      [`Student: ${pack.about.name}`, pack.about.name, lastOf(pack.about.name)],
      layout.compact
        ? [`KL ${decimals(kl)} nats${at}`, `${decimals(kl)}${at}`]
        : layerName(student, pack.about.student_layers, state.head).map(name => name + at),
      [answerText(answerOf(pack, moment))],
    ],
    difference: [
      [two ? "Teacher − this student" : "Teacher − student", "Teacher − student", "difference"],
      [`KL ${decimals(kl)} nats${at}`],
      [""],
    ],
    rows: [["KL by row"], [two ? "in nats" : `mean ${decimals(kl)} nats`], [""]],
    lines: [
      two ? [`Teacher · ${pack.about.name}`, `Teacher · ${lastOf(pack.about.name)}`] : ["Teacher · student"],
      [`layer ${teacher + 1} · layer ${student + 1}, ${headName(state.head)} · KL ${decimals(kl)} nats${at}`],
      [`${answerText(answerOf(pack, null))} · ${answerText(answerOf(pack, moment))}`],
    ],
  }[panel.kind]
  const badge = { teacher: look.teacher, student: colourOf(pack, look) }[panel.kind]
  const indent = badge ? size * 1.15 : 0
  const above = { size: size * 1.05, colour: look.text, font: look.font, bold: true }
  const below = { size, font: look.font }
  let y = panel.y - layout.head + size * 0.75
  if (badge) pen.rect(panel.x, y - size * 0.42, size * 0.8, size * 0.8, { fill: badge })
  const said = says.map((choices, place) =>
    fitting(pen, choices, panel.width + 4 - (place ? 0 : indent), place ? below : above),
  )
  pen.text(said[0], panel.x + indent, y, above)
  pen.text(said[1], panel.x, (y += size * 1.25), { ...below, colour: look.muted })
  if (said[2]) pen.text(said[2], panel.x, y + size * 1.2, { ...below, colour: look.text })
}

/** What a map panel shows, as a grid for a pen. */
export function gridOf({ kind, run }, { packs, state, look, moments }) {
  const pack = packs[run ?? 0]
  const limits = limitsOf(packs, state.pair, state.head, state)
  const weak = state.weak
  const teacher = shownMap(packs[0], null, state.pair, state.head, state)
  const size = keptPlaces(pack, state.hide).length
  if (kind === "teacher")
    return {
      values: teacher,
      size,
      limit: limits.attention,
      ramp: look.sequential,
      isBlank: weak > 0 && (cell => teacher[cell] < weak),
    }
  const student = shownMap(pack, moments[run], state.pair, state.head, state)
  if (kind === "student")
    return {
      values: student,
      size,
      limit: limits.attention,
      ramp: look.sequential,
      isBlank: weak > 0 && (cell => student[cell] < weak),
    }
  return {
    values: teacher.map((value, cell) => value - student[cell]),
    size,
    limit: limits.difference,
    diverging: true,
    ramp: look.diverging,
    isBlank: weak > 0 && (cell => teacher[cell] < weak && student[cell] < weak),
  }
}

function cells(drawing) {
  const { pen, layout, panel, packs, state, look, limits, moments } = drawing
  const { x, y, side } = panel
  const { kept, cell, size } = layout
  pen.grid(x, y, side, gridOf(panel, { packs, state, look, moments }))
  pen.rect(x - 0.5, y - 0.5, side + 1, side + 1, { stroke: look.grid })
  const focus = state.focus
  labels(drawing, "key", (words, at, style) => pen.text(words, x + at, y + side + 5, { ...style, turn: 90 }))
  const row = focus ? kept.indexOf(focus.query) : -1
  const column = focus ? kept.indexOf(focus.key) : -1
  if (row >= 0 && column >= 0) {
    for (const [stroke, line] of [
      [look.background, 3],
      [look.text, 1.3],
    ]) {
      pen.rect(x, y + row * cell, side, cell, { stroke, line })
      pen.rect(x + column * cell, y, cell, side, { stroke, line })
    }
  }
  scale({
    pen,
    x,
    y: y + side + layout.label + size * 0.5,
    width: side,
    size,
    look,
    limits,
    diverging: panel.kind === "difference",
  })
}

/** The words beside the rows or below the columns (`along`: query or key), thinned out where they'd meet. */
function labels({ layout, packs, look, state: { focus } }, along, draw) {
  const { kept, cell, size, longest } = layout
  const every = Math.max(1, Math.ceil((size * 0.95) / cell))
  const at = focus && every > 1 ? kept.indexOf(focus[along]) : -1
  kept.forEach((token, place) => {
    const lit = focus?.[along] === token
    const isNearLit = at >= 0 && Math.abs(at - place) < every
    if (!lit && (place % every || isNearLit)) return
    draw(clipped(packs[0].tokens[token], longest), (place + 0.5) * cell, {
      size,
      colour: lit ? look.text : look.muted,
      font: look.font,
      bold: lit,
    })
  })
}

function scale({ pen, x, y, width, size, look, limits, diverging }) {
  const ramp = diverging ? look.diverging : look.sequential
  const steps = 48
  const bar = size * 0.55
  for (let step = 0; step < steps; step++) {
    pen.rect(x + (step * width) / steps, y, width / steps + 0.4, bar, {
      fill: ramp.css[Math.round((step * 255) / (steps - 1))],
    })
  }
  pen.rect(x, y, width, bar, { stroke: look.grid })
  const below = y + bar + size * 0.75
  const style = { size, colour: look.muted, font: look.font }
  if (!diverging) {
    const most = decimals(limits.attention, digitsOf(limits.attention))
    pen.text("0", x, below, style)
    pen.text(fitting(pen, [`attention ${most}`, most], width - size, style), x + width, below, {
      ...style,
      anchor: "end",
    })
    return
  }
  const [least, most] = [-limits.difference, limits.difference].map(value => signed(value, digitsOf(value)))
  const ends = [
    [`${least} student more`, `teacher more ${most}`],
    [least, most],
    ["", most.replace("+", "±")],
  ]
  const [left, right] =
    ends.find(pair => pen.widthOf(pair[0], style) + pen.widthOf(pair[1], style) < width - size) ?? ends.at(-1)
  pen.text(left, x, below, style)
  pen.text(right, x + width, below, { ...style, anchor: "end" })
}

function bars({ pen, layout, panel, packs, state, look, limits, moments }) {
  const { kept, cell, size } = layout
  const room = panel.width - 2
  const thick = Math.max(1, (cell * 0.72) / packs.length)
  packs.forEach((pack, run) => {
    const rows = rowKl(pack, moments[run], state.pair, state.head)
    kept.forEach((place, row) => {
      const top = panel.y + row * cell + cell * 0.14 + run * thick
      const value = rows[place]
      const length = Number.isFinite(value) ? room * Math.min(1, value / limits.kl) : 0
      pen.rect(panel.x, top, length, thick, { fill: colourOf(pack, look) })
    })
  })
  pen.path(
    [
      [panel.x, panel.y, true],
      [panel.x, panel.y + panel.side],
    ],
    { stroke: look.muted },
  )
  const row = state.focus ? kept.indexOf(state.focus.query) : -1
  if (row >= 0) {
    const said = packs
      .map((pack, run) => decimals(rowKl(pack, moments[run], state.pair, state.head)[kept[row]]))
      .join(" · ")
    pen.text(said, panel.x + panel.width, panel.y + (row + 0.5) * cell, {
      size,
      colour: look.text,
      font: look.font,
      bold: true,
      anchor: "end",
      halo: look.background,
    })
  }
  const style = { size, colour: look.muted, font: look.font }
  const below = panel.y + panel.side + size * 0.8
  pen.text("0", panel.x, below, style)
  pen.text(decimals(limits.kl, digitsOf(limits.kl)), panel.x + panel.width, below, {
    ...style,
    anchor: "end",
  })
}

/** The maps of one head as small pictures side by side: teacher, then each student. */
export function thumbnail(head, { packs, state, look, moments, canvas, scratch, pixels }) {
  const at = { ...state, head }
  const kept = keptPlaces(packs[0], state.hide).length
  const grids = [{ kind: "teacher" }, ...packs.map((_, run) => ({ kind: "student", run }))].map(panel =>
    gridOf(panel, { packs, state: at, look, moments }),
  )
  const gap = Math.max(1, Math.round(kept / 12))
  const wide = kept * grids.length + gap * (grids.length - 1)
  if (canvas.width !== wide || canvas.height !== kept) {
    canvas.width = wide
    canvas.height = kept
  }
  const context = canvas.getContext("2d")
  context.clearRect(0, 0, wide, kept)
  grids.forEach((grid, place) => context.drawImage(pixels(grid, scratch), place * (kept + gap), 0))
}
