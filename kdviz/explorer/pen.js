// Two pens with the same strokes: one on a canvas (fast), one that writes SVG (to take away).
import { stepOf } from "./colour.js"

/** The step of a cell's colour; -1 where it is blank: it is to be, or is no number. */
const cellStep = (grid, cell) =>
  (grid.isBlank && grid.isBlank(cell)) || Number.isNaN(grid.values[cell])
    ? -1
    : stepOf(grid.values[cell], grid.limit, grid.diverging)

let scratch = null

/** Cells of a grid as pixels on a small canvas of its own. */
export function pixels(grid, canvas) {
  const n = grid.size
  if (canvas.width !== n || canvas.height !== n) {
    canvas.width = n
    canvas.height = n
  }
  const context = canvas.getContext("2d")
  const image = context.createImageData(n, n)
  const words = new Uint32Array(image.data.buffer)
  for (let cell = 0; cell < n * n; cell++) {
    const step = cellStep(grid, cell)
    if (step >= 0) words[cell] = grid.ramp.pixels[step]
  }
  context.putImageData(image, 0, 0)
  return canvas
}

let ruler = null

/** Width of words in css pixels, as either pen writes them. */
export function widthOf(words, { size, font, bold = false }) {
  ruler ??= document.createElement("canvas").getContext("2d")
  ruler.font = `${bold ? 700 : 400} ${size}px ${font}`
  return ruler.measureText(words).width
}

export class CanvasPen {
  constructor(context) {
    this.context = context
  }

  widthOf(words, style) {
    return widthOf(words, style)
  }

  grid(x, y, side, grid) {
    scratch ??= document.createElement("canvas")
    this.context.imageSmoothingEnabled = false
    this.context.drawImage(pixels(grid, scratch), x, y, side, side)
  }

  rect(x, y, width, height, { fill, stroke, line = 1 }) {
    if (fill) {
      this.context.fillStyle = fill
      this.context.fillRect(x, y, width, height)
    }
    if (stroke) {
      this.context.strokeStyle = stroke
      this.context.lineWidth = line
      this.context.strokeRect(x, y, width, height)
    }
  }

  path(points, { stroke, line = 1, dash = [], alpha = 1 }) {
    const context = this.context
    context.beginPath()
    points.forEach(([x, y, lift]) => (lift ? context.moveTo(x, y) : context.lineTo(x, y)))
    context.strokeStyle = stroke
    context.lineWidth = line
    context.globalAlpha = alpha
    context.lineJoin = "round"
    context.setLineDash(dash)
    context.stroke()
    context.setLineDash([])
    context.globalAlpha = 1
  }

  text(words, x, y, { size, colour, font, anchor = "start", bold = false, turn = 0, halo = null }) {
    const context = this.context
    context.save()
    context.translate(x, y)
    if (turn) context.rotate((turn * Math.PI) / 180)
    context.font = `${bold ? 700 : 400} ${size}px ${font}`
    context.textAlign = anchor === "middle" ? "center" : anchor
    context.textBaseline = "middle"
    if (halo) {
      context.strokeStyle = halo
      context.lineWidth = 3
      context.lineJoin = "round"
      context.strokeText(words, 0, 0)
    }
    context.fillStyle = colour
    context.fillText(words, 0, 0)
    context.restore()
  }
}

const SVG = "http://www.w3.org/2000/svg"

export class SvgPen {
  constructor(width, height, background) {
    this.root = document.createElementNS(SVG, "svg")
    this.set(this.root, { width, height, viewBox: `0 0 ${width} ${height}`, xmlns: SVG })
    this.rect(0, 0, width, height, { fill: background })
  }

  widthOf(words, style) {
    return widthOf(words, style)
  }

  set(element, values) {
    for (const [name, value] of Object.entries(values))
      if (value !== null && value !== undefined) element.setAttribute(name, value)
    return element
  }

  add(name, values, words) {
    const element = this.set(document.createElementNS(SVG, name), values)
    if (words !== undefined) element.textContent = words
    this.root.append(element)
  }

  grid(x, y, side, grid) {
    const cell = side / grid.size
    for (let at = 0; at < grid.size ** 2; at++) {
      const step = cellStep(grid, at)
      if (step < 0) continue
      this.add("rect", {
        x: (x + (at % grid.size) * cell).toFixed(2),
        y: (y + Math.floor(at / grid.size) * cell).toFixed(2),
        width: (cell + 0.3).toFixed(2),
        height: (cell + 0.3).toFixed(2),
        fill: grid.ramp.css[step],
      })
    }
  }

  rect(x, y, width, height, { fill, stroke, line = 1 }) {
    this.add("rect", {
      x,
      y,
      width: Math.max(0, width),
      height,
      fill: fill || "none",
      stroke,
      "stroke-width": stroke ? line : null,
    })
  }

  path(points, { stroke, line = 1, dash = [], alpha = 1 }) {
    const d = points
      .map(([x, y, lift], place) => `${lift || !place ? "M" : "L"}${x.toFixed(1)} ${y.toFixed(1)}`)
      .join("")
    this.add("path", {
      d,
      stroke,
      fill: "none",
      "stroke-width": line,
      "stroke-dasharray": dash.length ? dash.join(" ") : null,
      "stroke-opacity": alpha < 1 ? alpha : null,
      "stroke-linejoin": "round",
    })
  }

  text(words, x, y, { size, colour, font, anchor = "start", bold = false, turn = 0 }) {
    this.add(
      "text",
      {
        x,
        y,
        "font-size": size,
        fill: colour,
        "font-family": font,
        "text-anchor": anchor,
        "dominant-baseline": "central",
        "font-weight": bold ? 700 : null,
        transform: turn ? `rotate(${turn} ${x} ${y})` : null,
      },
      words,
    )
  }

  source() {
    return new XMLSerializer().serializeToString(this.root)
  }
}

/** A pen whose strokes stand `x` and `y` farther on. */
export const shifted = (pen, x, y) => ({
  path: (points, more) =>
    pen.path(
      points.map(([px, py, lift]) => [px + x, py + y, lift]),
      more,
    ),
  text: (words, px, py, more) => pen.text(words, px + x, py + y, more),
  rect: (px, py, ...more) => pen.rect(px + x, py + y, ...more),
  grid: (px, py, ...more) => pen.grid(px + x, py + y, ...more),
  widthOf: (words, style) => pen.widthOf(words, style),
})

/** Draw on a canvas of this size in css pixels, as sharp as the screen is. */
export function drawOn(canvas, width, height, draw) {
  const scale = devicePixelRatio || 1
  const w = Math.round(width * scale)
  const h = Math.round(height * scale)
  if (canvas.width !== w || canvas.height !== h) {
    canvas.width = w
    canvas.height = h
    canvas.style.width = `${width}px`
    canvas.style.height = `${height}px`
  }
  const context = canvas.getContext("2d")
  context.setTransform(scale, 0, 0, scale, 0, 0)
  context.clearRect(0, 0, width, height)
  draw(new CanvasPen(context))
}

/** Words cut to `most` letters. */
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

/** Words as lines that fit into `room` pixels; a word that is wider by itself goes on in the next line. */
export function linesOf(pen, words, room, style) {
  const lines = []
  let line = ""
  const fits = more => pen.widthOf(line + more, style) <= room
  const end = () => {
    if (line) lines.push(line)
    line = ""
  }
  for (const word of words.split(" ")) {
    if (line && fits(` ${word}`)) {
      line += ` ${word}`
      continue
    }
    end()
    for (const letter of word) {
      if (!fits(letter)) end()
      line += letter
    }
  }
  end()
  return lines
}
