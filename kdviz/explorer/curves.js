// The KL of every pair over the training, with stage boundaries and a cursor, drawn with any pen.
import { sameMoment } from "./format.js"
import { decimals } from "./words.js"

/** The plot's frame: epoch to x, nats to y, and back from x to the nearest moment. */
export function plotOf({ packs, width, height, size }) {
  const left = size * 3.4
  const right = size * 4.6
  const top = size * 1.7
  const bottom = size * 1.9
  const last = Math.max(...packs.map(pack => pack.epochs.at(-1)), 1e-6)
  const values = packs.flatMap(pack => pack.pairKl.flat()).filter(Number.isFinite)
  const above = packs[0].about.stages?.length ? 1.25 : 1.06 // stages are named on top
  const highest = Math.max(0.001, ...values) * above
  const x = epoch => left + ((width - left - right) * epoch) / last
  const y = value => height - bottom - ((height - top - bottom) * value) / highest
  const nearest = at =>
    packs[0].epochs.reduce(
      (best, epoch, place) =>
        Math.abs(x(epoch) - at) < Math.abs(x(packs[0].epochs[best]) - at) ? place : best,
      0,
    )
  return { width, height, size, left, right, top, bottom, last, highest, x, y, nearest }
}

/** The pair whose curve passes within reach of a point; null where none does. */
export function pairAt(plot, packs, at, height, reach = 14) {
  const moment = plot.nearest(at)
  let best = null
  packs[0].pairs.forEach((_, pair) => {
    const value = packs[0].pairKl[moment][pair]
    const far = Number.isFinite(value) ? Math.abs(plot.y(value) - height) : Infinity
    if (far < reach && (best === null || far < best.far)) best = { pair, far }
  })
  return best?.pair ?? null
}

export function drawCurves(pen, plot, { packs, state, look }) {
  const { size, x, y, height, bottom, top } = plot
  const base = height - bottom
  const style = { size, font: look.font, colour: look.muted }
  const step = niceStep(plot.highest / 3)
  const digits = Math.max(1, -Math.floor(Math.log10(step) + 1e-9))
  for (let value = 0; value <= plot.highest; value += step) {
    pen.path(
      [
        [plot.left, y(value), true],
        [plot.width - plot.right, y(value)],
      ],
      { stroke: look.grid },
    )
    pen.text(
      value >= 1000 ? value.toLocaleString("en", { notation: "compact" }) : decimals(value, digits),
      plot.left - 6,
      y(value),
      { ...style, anchor: "end" },
    )
  }
  const titles = [
    "Attention KL of every pair, in nats, over the epochs",
    "Attention KL of pairs (nats), by epoch",
    "Attention KL, nats",
  ]
  pen.text(
    titles.find(words => pen.widthOf(words, style) < plot.width - plot.left) ?? titles.at(-1),
    plot.left,
    size * 0.7,
    { ...style, colour: look.text },
  )
  const epochs = Math.max(1, Math.ceil(plot.last / 8))
  for (let epoch = 0; epoch <= plot.last; epoch += epochs)
    pen.text(String(epoch), x(epoch), height - size * 0.7, { ...style, anchor: "middle" })
  stages(pen, plot, packs[0], look)
  const cursor = x(packs[0].epochs[state.moment])
  pen.path(
    [
      [cursor, top - 4, true],
      [cursor, base],
    ],
    { stroke: look.text, line: 1.4 },
  )
  for (const chosen of [false, true]) {
    packs.forEach((pack, run) =>
      pack.pairs.forEach((_, pair) => {
        if ((pair === state.pair) !== chosen) return
        const points = pack.epochs
          .map((epoch, moment) => [x(epoch), pack.pairKl[moment][pair]])
          .filter(point => Number.isFinite(point[1]))
          .map(([at, value]) => [at, y(value)])
        if (!points.length) return
        pen.path(points, {
          stroke: pack.about.colour || look.text,
          line: chosen ? 3 : 1.2,
          alpha: chosen ? 1 : 0.45,
          dash: chosen ? [] : run ? [2, 3] : [],
        })
        if (!chosen) return
        const moment = sameMoment(packs[0], state.moment, pack)
        const here = pack.pairKl[moment][pair]
        if (Number.isFinite(here))
          pen.rect(x(pack.epochs[moment]) - 4, y(here) - 4, 8, 8, {
            fill: pack.about.colour || look.text,
            stroke: look.background,
          })
      }),
    )
  }
  ends(pen, plot, packs, state, look, style)
}

function stages(pen, plot, pack, look) {
  const begun = pack.about.stages ?? []
  begun.forEach(([epoch, name], place) => {
    if (place)
      pen.path(
        [
          [plot.x(epoch), plot.top - 2, true],
          [plot.x(epoch), plot.height - plot.bottom],
        ],
        { stroke: look.muted, dash: [3, 3] },
      )
    const room = plot.x(begun[place + 1]?.[0] ?? plot.last) - plot.x(epoch)
    const most = Math.floor(room / (plot.size * 0.5))
    const letters = [...String(name)]
    const words = letters.length > most ? `${letters.slice(0, most - 1).join("")}…` : name
    if (most > 5)
      pen.text(words, plot.x(epoch) + 4, plot.top + plot.size * 0.4, {
        size: plot.size,
        colour: look.muted,
        font: look.font,
      })
  })
}

/** The pairs' names at the right ends of their curves, pushed apart where curves meet. */
function ends(pen, plot, packs, state, look, style) {
  const pack = packs[0]
  const gap = plot.size * 1.02
  const labels = pack.pairs.map(([student, teacher], pair) => ({
    pair,
    at: plot.y(pack.pairKl.at(-1)[pair] ?? 0),
    words: `${student + 1} ↔ ${teacher + 1}`,
  }))
  labels.sort((a, b) => a.at - b.at)
  labels.forEach((label, place) => {
    if (place) label.at = Math.max(label.at, labels[place - 1].at + gap)
  })
  const over = labels.at(-1).at - (plot.height - plot.bottom)
  if (over > 0)
    for (let place = labels.length - 1, most = plot.height - plot.bottom; place >= 0; place--, most -= gap)
      labels[place].at = Math.min(labels[place].at, most)
  for (const { pair, at, words } of labels) {
    pen.text(words, plot.x(pack.epochs.at(-1)) + 8, at, {
      ...style,
      bold: pair === state.pair,
      colour: pair === state.pair ? look.text : look.muted,
    })
  }
}

function niceStep(rough) {
  const power = 10 ** Math.floor(Math.log10(rough))
  const share = rough / power
  return power * (share < 1.5 ? 1 : share < 3.5 ? 2 : share < 7.5 ? 5 : 10)
}
