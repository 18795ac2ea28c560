// Where things stand and what lies under a finger: an error here lights another cell than the one touched.
import assert from "node:assert/strict"
import { readFileSync } from "node:fs"
import test from "node:test"
import { pairAt, drawCurves, plotOf } from "../../kdviz/explorer/curves.js"
import { cellAt, drawFigure, gridOf, laidOut } from "../../kdviz/explorer/figure.js"
import { mapOf, unpack } from "../../kdviz/explorer/format.js"
import { ramp } from "../../kdviz/explorer/colour.js"
import { CanvasPen, SvgPen, fitting, shifted } from "../../kdviz/explorer/pen.js"
import { START } from "../../kdviz/explorer/state.js"
import { csvOf, posterOf, tableOf } from "../../kdviz/explorer/take.js"
import { Tower } from "../../kdviz/explorer/tower.js"
import { described, filterText, footText } from "../../kdviz/explorer/words.js"
import { press } from "./elements.mjs"

const fine = unpack(new Uint8Array(readFileSync(`${process.env.KDVIZ_PACKS}/fine.pack`)))
const diverged = unpack(new Uint8Array(readFileSync(`${process.env.KDVIZ_PACKS}/diverged.pack`)))
const grey = ramp(["#000000", "#FFFFFF"])
const look = { sequential: grey, diverging: grey, font: "serif", size: 12 }
const layouts = []
for (const packs of [[fine], [fine, fine]])
  for (const width of [320, 390, 619, 620, 900, 1600]) {
    for (const differences of [true, false])
      for (const mode of ["maps", "lines"])
        for (const hide of [false, true]) {
          const state = { ...START, mode, hide }
          layouts.push({
            packs,
            state,
            width,
            layout: laidOut({ packs, state, width, maxSide: 400, size: 12, differences }),
          })
        }
  }
/** A pen that only remembers. */
const pen = () => {
  const drawn = []
  const note =
    kind =>
    (...given) =>
      drawn.push([kind, ...given])
  return {
    drawn,
    grid: note("grid"),
    rect: note("rect"),
    path: note("path"),
    text: note("text"),
    widthOf: (words, { size }) => words.length * size * 0.6,
  }
}

test("the ends of a scale are rounded, and the ticks of a curve differ, however small the numbers", () => {
  const state = { ...START, moment: 2 }
  for (const [most, said] of [
    [0.259, "+0.26"],
    [0.0199, "+0.020"],
  ]) {
    const limits = { attention: 0.5, difference: most, kl: most }
    const key = `limits ${state.pair} ${state.head} ${state.hide} ${state.hide && state.renormalise}  3`
    const packs = [{ ...fine, remembered: new Map([[key, limits]]), about: { ...fine.about, run: "" } }]
    const layout = laidOut({ packs, state, width: 900, maxSide: 400, size: 12, differences: true })
    const paper = pen()
    drawFigure(paper, layout, { packs, state, look })
    const words = paper.drawn.filter(each => each[0] === "text").map(each => each[1])
    assert.ok(
      words.some(each => each.endsWith(said)),
      `${said} in ${words}`,
    )
    assert.ok(words.includes(said.slice(1)), `${said} at the rows' end in ${words}`)
  }
  for (const highest of [3, 0.3, 0.03, 0.02, 0.006, 0.002]) {
    const pack = { ...fine, pairKl: fine.pairKl.map(line => line.map((_, pair) => highest / (pair + 1))) }
    const paper = pen()
    const plot = plotOf({ packs: [pack], width: 600, height: 140, size: 14 })
    drawCurves(paper, plot, { packs: [pack], state, look })
    const ticks = paper.drawn
      .filter(each => each[0] === "text" && each[4].anchor === "end")
      .map(each => each[1])
    assert.ok(ticks.length > 2 && new Set(ticks).size === ticks.length, `${ticks}`)
  }
})

test("the centre of every cell of every map is that cell", () => {
  for (const { layout } of layouts) {
    for (const panel of layout.panels.filter(each =>
      ["teacher", "student", "difference"].includes(each.kind),
    )) {
      layout.kept.forEach((query, row) =>
        layout.kept.forEach((key, column) => {
          const found = cellAt(
            layout,
            panel.x + (column + 0.5) * layout.cell,
            panel.y + (row + 0.5) * layout.cell,
          )
          assert.deepEqual(found, { query, key, kind: panel.kind })
        }),
      )
    }
    assert.equal(cellAt(layout, -500, -500), null)
  }
})

test("panels stand inside the width and do not cover each other", () => {
  for (const { layout, width } of layouts) {
    for (const [place, one] of layout.panels.entries()) {
      assert.ok(
        one.x >= 0 && one.x + one.width <= width + 1,
        `${width}: ${one.kind} at ${one.x} of ${one.width}`,
      )
      assert.ok(one.y >= 0 && one.y + one.side <= layout.height)
      for (const other of layout.panels.slice(place + 1)) {
        const apart =
          one.x + one.width <= other.x ||
          other.x + other.width <= one.x ||
          one.y + one.side <= other.y ||
          other.y + other.side <= one.y
        assert.ok(apart, `${width}: ${one.kind} over ${other.kind}`)
      }
    }
  }
})

test("a title that does not fit takes its shorter words, and is never wider than its map", () => {
  const page = pen()
  for (const [choices, room, said] of [
    [["Student: stacked", "stacked"], 200, "Student: stacked"],
    [["Student: stacked", "stacked"], 60, "stacked"],
    [["Student: stacked", "stacked"], 30, "sta…"],
  ]) {
    const found = fitting(page, choices, room, { size: 12 })
    assert.equal(found, said)
    assert.ok(page.widthOf(found, { size: 12 }) <= room)
  }
})

test("two seeds of one strategy are told apart in their titles, however narrow the maps", () => {
  const named = seed => ({
    ...fine,
    about: { ...fine.about, run: `s${seed}`, name: `all layers at once, seed ${seed}` },
    remembered: new Map(),
  })
  const packs = [named(0), named(1)]
  for (const mode of ["maps", "lines"])
    for (const width of [390, 620, 1100]) {
      const page = pen()
      const state = { ...START, mode }
      const layout = laidOut({ packs, state, width, maxSide: 300, size: 14, differences: true })
      drawFigure(page, layout, { packs, state, look })
      for (const seed of [0, 1])
        assert.ok(
          page.drawn.some(([kind, words]) => kind === "text" && words.endsWith(`seed ${seed}`)),
          `${mode} ${width}`,
        )
    }
})

test("every word is written, and the one looked at always is", () => {
  const state = { ...START, focus: { query: 3, key: 1 } }
  const layout = laidOut({ packs: [fine], state, width: 900, maxSide: 20, size: 12, differences: true })
  const page = pen()
  drawFigure(page, layout, { packs: [fine], state, look })
  const bold = page.drawn.filter(([kind, , , , style]) => kind === "text" && style.bold).map(each => each[1])
  assert.ok(bold.includes(fine.tokens[3]) && bold.includes(fine.tokens[1]))
})

test("no letter is smaller than the size asked for: 20 pixels on a wall", () => {
  for (const { packs, state, layout } of layouts) {
    const page = pen()
    const scene = { packs, state: { ...state, focus: { query: 1, key: 2 } }, look }
    drawFigure(page, layout, scene)
    drawCurves(page, plotOf({ packs, width: 500, height: 200, size: 12 }), scene)
    for (const [kind, words, , , style] of page.drawn) if (kind === "text") assert.ok(style.size >= 12, words)
  }
})

test("difference is teacher minus student, cell by cell", () => {
  const grid = gridOf(
    { kind: "difference", run: 0 },
    { packs: [fine], state: { ...START, pair: 1, head: 2 }, look, moments: [2] },
  )
  const teacher = mapOf(fine, null, 1, 2)
  const student = mapOf(fine, 2, 1, 2)
  grid.values.forEach((value, cell) => assert.ok(Math.abs(value - (teacher[cell] - student[cell])) < 1e-7))
})

test("a row that is not finite is left blank in every map, and draws no line", () => {
  const n = diverged.tokens.length
  const at = { packs: [diverged], state: { ...START, moment: 2, head: 1 }, look, moments: [2] }
  for (const [kind, blank] of Object.entries({ teacher: 0, student: n, difference: n })) {
    const paper = new SvgPen(100, 100, "white")
    paper.grid(0, 0, 100, gridOf({ kind, run: 0 }, at))
    const cells = paper.root.children.slice(1)
    assert.equal(cells.length, n * n - blank, kind)
    assert.ok(
      cells.every(({ attributes }) => attributes.fill.startsWith("rgb")),
      kind,
    )
  }
  const layout = laidOut({ ...at, state: { ...at.state, mode: "lines" }, width: 900, maxSide: 300, size: 12 })
  const page = pen()
  drawFigure(page, layout, { ...at, state: { ...at.state, mode: "lines" } })
  const lines = page.drawn.filter(([kind]) => kind === "path")
  assert.ok(lines.length > n)
  for (const [, , { line, alpha }] of lines) assert.ok(Number.isFinite(line) && Number.isFinite(alpha))
})

test("where a row is not finite the file of numbers is empty and the table has a dash", () => {
  const scene = { packs: [diverged], state: { ...START, moment: 2, head: 1 } }
  const [, ...lines] = csvOf(scene).trim().split("\n")
  lines.forEach((line, cell) => {
    const [teacher, student, kl] = line.split(",").slice(-3)
    const isLost = Math.floor(cell / diverged.tokens.length) === 2
    assert.ok(Number(teacher) > 0)
    assert.deepEqual([student === "", kl === ""], [isLost, isLost], line)
    assert.ok(!line.includes("NaN"))
  })
  const rows = tableOf(scene).children.at(-1).children
  assert.deepEqual(
    rows[2].children.slice(2).map(cell => cell.children[0]),
    ["–", "–"],
  )
  assert.ok(!JSON.stringify(rows.map(row => row.children)).includes("undefined"))
})

test("a curve is found where it is drawn, and the scrubber's moment is the nearest", () => {
  const plot = plotOf({ packs: [fine], width: 700, height: 200, size: 12 })
  const page = pen()
  fine.epochs.forEach((epoch, moment) => assert.equal(plot.nearest(plot.x(epoch) + 3), moment))
  const found = fine.pairs.map((_, pair) => pairAt(plot, [fine], plot.x(0), plot.y(fine.pairKl[0][pair])))
  assert.deepEqual(
    found,
    fine.pairs.map((_, pair) => pair),
  )
  assert.equal(pairAt(plot, [fine], plot.x(0), -100), null)
  drawCurves(page, plot, { packs: [fine], state: START, look })
  assert.equal(
    page.drawn.filter(
      ([kind, points, style]) => kind === "path" && style.line >= 1.2 && points.length === fine.steps.length,
    ).length,
    2,
  )
})

test("a saved picture holds every word of its sentence and of what it means, inside its edges", () => {
  const sentences = {
    short: "a b c",
    words: "many words and ".repeat(333).trim(),
    letters: "中".repeat(5000),
  }
  const named = text => pack =>
    Object.assign({}, pack, { about: { ...pack.about, text, name: "all layers, seed 0" } })
  for (const [kind, text] of Object.entries(sentences))
    for (const packs of [[fine], [fine, fine]])
      for (const width of [390, 1600]) {
        const said = packs.map(named(text))
        const state = { ...START, hide: true, renormalise: true, weak: 0.05 }
        const layout = laidOut({ packs: said, state, width, maxSide: 300, size: 14, differences: true })
        const scene = { packs: said, state, look: { ...look, size: 14 }, layout }
        const page = pen()
        const poster = posterOf(scene, page)
        poster.draw(page)
        const written = page.drawn.filter(([what]) => what === "text")
        for (const [, words, x, y, style] of written.filter(each => !each[4].anchor && !each[4].turn))
          assert.ok(
            x + page.widthOf(words, style) <= poster.width && y > 0 && y + style.size / 2 <= poster.height,
            `${kind} ${width}: ${words} at ${x}, ${y} of ${poster.width} x ${poster.height}`,
          )
        const all = written.map(each => each[1]).join(" ")
        for (const each of [text, described(said, state), filterText(state), footText(said)])
          assert.ok(all.replaceAll(" ", "").includes(each.replaceAll(" ", "")), `${kind} ${width}: ${each}`)
        const lines = written.filter(([, words, x]) => x === 8 && words.length > 12)
        const places = lines.map(each => each[3])
        assert.deepEqual(
          places,
          places.toSorted((a, b) => a - b),
        )
        for (const [place, at] of places.entries()) if (place) assert.ok(at - places[place - 1] >= 14)
      }
})

test("a word that begins like a formula stays text in a spreadsheet", () => {
  const hostile = { ...fine, tokens: ["=1+1", "@SUM(A1)", '"', "-2", "a,b"], remembered: new Map() }
  const lines = csvOf({ packs: [hostile], state: START })
    .trim()
    .split("\n")
  assert.equal(lines.length, 26)
  assert.ok(
    lines[1].startsWith(`"'=1+1","'=1+1",`) &&
      lines[2].startsWith(`"'=1+1","'@SUM(A1)",`) &&
      lines[3].includes('""""'),
  )
})

test("no two rows of the file of numbers name the same two words", () => {
  const twice = { ...fine, tokens: fine.tokens.map(() => "the"), remembered: new Map() }
  const [, ...lines] = csvOf({ packs: [twice], state: START })
    .trim()
    .split("\n")
  const named = new Set(lines.map(line => line.split(",").slice(0, 2).join()))
  assert.equal(named.size, fine.tokens.length ** 2)
})

test("the words at the two ends of a colour scale never meet", () => {
  for (const maxSide of [60, 120, 200, 226, 240, 300, 400])
    for (const width of [320, 700, 1000, 1600]) {
      const state = START
      const page = pen()
      const layout = laidOut({ packs: [fine], state, width, maxSide, size: 14, differences: true })
      drawFigure(page, layout, { packs: [fine], state, look: { ...look, size: 14 } })
      const written = page.drawn
        .filter(([kind]) => kind === "text")
        .map(([, words, x, y, style]) => ({ words, x, y, style, width: page.widthOf(words, style) }))
      for (const right of written.filter(
        ({ style, words }) => style.anchor === "end" && /^(teacher more )?[+±]|^attention /.test(words),
      )) {
        const left = written.findLast(
          ({ y, x, style }) => y === right.y && x < right.x && style.anchor !== "end",
        )
        assert.ok(
          left.x + left.width < right.x - right.width,
          `${left.words} | ${right.words} at ${layout.side}`,
        )
      }
    }
})

test("a pen moved aside can do whatever a pen can", () => {
  const strokes = Object.getOwnPropertyNames(CanvasPen.prototype)
    .filter(name => name !== "constructor")
    .toSorted()
  assert.deepEqual(Object.keys(shifted(pen(), 1, 2)).toSorted(), strokes)
})

test("a key that chooses a pair in the tower does nothing else: Space would also begin to play", () => {
  const chosen = []
  const tower = new Tower(pair => chosen.push(pair))
  tower.build([fine], 300, 1)
  for (const key of [" ", "Enter"]) assert.deepEqual(press(tower.choices[1], key), ["prevented", "stopped"])
  assert.deepEqual(chosen, [1, 1])
  assert.deepEqual(press(tower.choices[0], "l"), [])
})
