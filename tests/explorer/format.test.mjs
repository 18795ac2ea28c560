// Every number the picture shows comes out of format.js: an error here would show as truth.
import assert from "node:assert/strict"
import { readFileSync } from "node:fs"
import test from "node:test"
import {
  answerOf,
  filtered,
  klOf,
  limitsOf,
  mapOf,
  rowKl,
  sameMoment,
  shownMap,
  unpack,
} from "../../kdviz/explorer/format.js"
import { ramp, stepOf } from "../../kdviz/explorer/colour.js"
import { START, carried, changed, keyed, lookOf, withLook } from "../../kdviz/explorer/state.js"
import {
  answerText,
  cellText,
  decimals,
  leftOutText,
  otherEpoch,
  signed,
  toldApart,
} from "../../kdviz/explorer/words.js"

const folder = process.env.KDVIZ_PACKS
const expected = JSON.parse(readFileSync(`${folder}/expected.json`))
const [fine, coarse, ...diverged] = ["fine", "coarse", "diverged", "diverged-coarse"].map(name =>
  unpack(new Uint8Array(readFileSync(`${folder}/${name}.pack`))),
)
const everything = { hide: false, renormalise: false, weak: 0 }

const close = (found, wanted, within) =>
  found.forEach((value, i) =>
    assert.ok(Math.abs(value - wanted[i]) <= within, `${i}: ${value} for ${wanted[i]}`),
  )

test("cells equal the arrays: four decimals where refined, 1/255 of the row's largest in 8 bits", () => {
  for (const { moment, pair, head, values, peak } of expected.maps) {
    close(mapOf(fine, moment, pair, head), values, 2.5e-5)
    close(mapOf(coarse, moment, pair, head), values, peak / 255)
  }
})

test("KL of rows, heads and pairs is never taken from the packed cells", () => {
  for (const { moment, pair, head, rows } of expected.rows) {
    close(rowKl(fine, moment, pair, head), rows, 1e-6)
    assert.deepEqual([...rowKl(coarse, moment, pair, head)], [...rowKl(fine, moment, pair, head)])
  }
  assert.equal(klOf(fine, 1, 0, null), expected.pairKl[1][0])
})

test("hidden tokens leave their rows and columns; renormalised rows sum to 1", () => {
  const values = shownMap(fine, null, 0, 0, { hide: true, renormalise: true })
  const k = Math.sqrt(values.length)
  assert.equal(k, fine.tokens.length - 2)
  for (let row = 0; row < k; row++)
    assert.ok(Math.abs(values.slice(row * k, row * k + k).reduce((a, b) => a + b) - 1) < 1e-5)
  const plain = filtered(fine, mapOf(fine, null, 0, 0), { hide: true, renormalise: false })
  assert.ok(plain.slice(0, k).reduce((a, b) => a + b) < 1)
})

test("one scale from the first moment to the last, and for both runs", () => {
  const limits = limitsOf([fine], 0, 1, everything)
  for (let moment = 0; moment < fine.steps.length; moment++)
    for (const value of mapOf(fine, moment, 0, 1)) assert.ok(value <= limits.attention + 1e-6)
  assert.equal(limitsOf([fine], 0, 1, everything), limits)
  assert.notEqual(limitsOf([fine], 0, 1, { ...everything, hide: true }), limits)
})

test("a state stays inside what there is, whatever key or link asks", () => {
  const far = changed(START, { moment: 999, pair: -4, head: 99 }, fine)
  assert.deepEqual([far.moment, far.pair, far.head], [fine.steps.length - 1, 0, null])
  const linked = withLook(START, { pair: 77, head: 50, step: 123456, mode: "<b>", weak: "x" }, fine)
  assert.deepEqual(
    [linked.pair, linked.head, linked.moment, linked.mode, linked.weak],
    [fine.pairs.length - 1, null, fine.steps.length - 1, "maps", 0],
  )
  assert.equal(keyed(START, "q", fine), null)
  assert.equal(keyed(START, "ArrowRight", fine).moment, 1)
  assert.equal(keyed(START, "End", fine).moment, fine.steps.length - 1)
  assert.equal(keyed({ ...START, head: 0 }, ",", fine).head, null)
})

test("Escape is taken where there is something to let go, and left to the page elsewhere", () => {
  assert.equal(keyed(START, "Escape", fine), null)
  for (const held of [{ focus: { query: 1, key: 2 } }, { focus: { query: 1, key: 2 }, pinned: true }]) {
    const { focus, pinned } = keyed({ ...START, ...held }, "Escape", fine)
    assert.deepEqual([focus, pinned], [null, false])
  }
})

test("where single heads were left out, no key and no link chooses one", () => {
  const meanOnly = { ...fine, numHeads: 0 }
  for (const key of [",", "."]) assert.equal(keyed({ ...START, pair: 1 }, key, meanOnly).head, null, key)
  for (const head of [-1, 0, NaN]) {
    assert.equal(changed(START, { head }, meanOnly).head, null)
    assert.equal(withLook(START, { head }, meanOnly).head, null)
  }
  for (const head of [-1, 99]) assert.equal(withLook(START, { head }, fine).head, null)
})

test("what is told outside comes back as the same state", () => {
  const state = changed(START, { moment: 1, pair: 1, head: 0, mode: "lines", hide: true, weak: 0.1 }, fine)
  const back = withLook(START, lookOf(state, fine), fine)
  for (const name of ["moment", "pair", "head", "mode", "hide", "weak"]) assert.equal(back[name], state[name])
})

test("whoever looks at the newest moment stays at the newest; others stay where they are", () => {
  const grown = { ...fine, steps: [...fine.steps, 900], epochs: [...fine.epochs, 9] }
  assert.equal(
    carried(changed(START, { moment: Infinity }, fine), fine, grown).moment,
    grown.steps.length - 1,
  )
  assert.equal(carried(changed(START, { moment: 1 }, fine), fine, grown).moment, 1)
})

test("two runs are compared as far through training as each other", () => {
  const slow = { ...fine, steps: fine.steps.map(step => step * 3) }
  fine.steps.forEach((_, moment) => assert.equal(sameMoment(fine, moment, slow), moment))
})

test("the picture and the numbers of the page beside it are of the same moment of the other run", () => {
  assert.ok(expected.sameMoments.length > 50)
  for (const { first, moment, other, step } of expected.sameMoments) {
    const found = other.steps[sameMoment(first, moment, { ...other })]
    assert.equal(found, step, `${JSON.stringify([first, moment, other])}`)
  }
})

test("a run that was stopped early is compared at the epoch it reached", () => {
  const run = (epochs, about) => ({ ...fine, epochs, steps: epochs.map(epoch => 10 * epoch), about })
  const whole = run([0, 1, 2, 3, 4], { epochs: 4 })
  const stopped = run([0, 1, 2], { epochs: 4 })
  assert.equal(sameMoment(whole, 2, stopped), 2)
  assert.equal(sameMoment(whole, 4, stopped), 2)
  assert.deepEqual(
    [2, 3, 4].map(moment => otherEpoch(whole, moment, stopped)),
    ["", " · epoch 2", " · epoch 2"],
  )
  // Another length: as far through is another epoch, and is said to be.
  assert.equal(otherEpoch(whole, 4, run([0, 1], { epochs: 1 })), " · epoch 1")
  assert.equal(otherEpoch(whole, 0, run([0, 1], { epochs: 1 })), "")
})

test("of two runs beside each other a cell's numbers stand behind the name they belong to", () => {
  const other = { ...fine, about: { ...fine.about, name: "all, seed 1" }, remembered: new Map() }
  const said = cellText([fine, other], { ...START, focus: { query: 1, key: 2 } })
  const share = decimals(mapOf(fine, 0, 0, null)[1 * fine.tokens.length + 2])
  assert.ok(said.includes(`; “all, seed 1” ${share}, difference`), said)
})

test("of words that occur several times it is said which one looks at which", () => {
  const [first, ...rest] = fine.tokens
  const twice = { ...fine, tokens: [first, first, ...rest.slice(1)], remembered: new Map() }
  const said = cellText([twice], { ...START, focus: { query: 0, key: 1 } })
  assert.ok(said.startsWith(`“${first}” (1 of 2) looks at “${first}” (2 of 2): `), said)
  assert.deepEqual(toldApart(["the", "cat"]), ["the", "cat"])
})

test("whatever had no room is said: moments, single heads, and in which of two runs", () => {
  const lacking = more => ({ ...fine, ...more })
  assert.equal(leftOutText([fine, fine]), "")
  assert.match(leftOutText([lacking({ numHeads: 0 })]), /Left out, .*: single heads\. $/)
  assert.match(leftOutText([lacking({ numHeads: 0, numLeftOut: 2 })]), /2 of 5 moments and single heads/)
  const other = lacking({ numLeftOut: 1, about: { name: "soft labels" } })
  assert.match(leftOutText([fine, other]), /^Left out of “soft labels”, .*: 1 of 4 moments\. $/)
})

test("a row that is not finite is a dash, never a number, and moves no scale", () => {
  const sound = limitsOf([fine], 0, 1, everything)
  for (const pack of diverged) {
    const n = pack.tokens.length
    for (const [head, row] of [
      [1, 2],
      [null, 2],
    ]) {
      const values = mapOf(pack, 2, 0, head)
      for (let cell = 0; cell < n * n; cell++)
        assert.equal(Number.isNaN(values[cell]), Math.floor(cell / n) === row, `${head} ${cell}`)
    }
    close(mapOf(pack, 2, 0, 0), [...mapOf(fine, 2, 0, 0)], 1 / 255)
    const state = { ...START, moment: 2, head: 1, focus: { query: 2, key: 1 } }
    for (const filters of [everything, { hide: true, renormalise: true }]) {
      const said = cellText([pack], { ...state, ...filters })
      assert.match(said, /student – \(not finite\), difference –, KL of the row – nats$/)
    }
    for (const limit of ["attention", "difference", "kl"])
      assert.ok(limitsOf([pack], 0, 1, everything)[limit] <= sound[limit] + 0.01, limit)
  }
})

test("an answer that is not finite is told from one that was not recorded", () => {
  const pack = {
    about: { student_answers: [[0.25, 0.75], null, []], teacher_answer: null, labels: ["no", "yes"] },
  }
  const said = [0, 1, 2, null].map(moment => answerText(answerOf(pack, moment)))
  assert.deepEqual(said, ["yes 75 %", "answer not finite", "no answer recorded", "answer not finite"])
  assert.equal(answerText(answerOf({ about: {} }, null)), "no answer recorded")
})

test("numbers are written with three decimals, missing ones as a dash", () => {
  assert.deepEqual(
    [decimals(0.12349), decimals(null), decimals(NaN), signed(0.5), signed(-0.5)],
    ["0.123", "–", "–", "+0.500", "−0.500"],
  )
  assert.equal(answerOf({ about: {} }, 0), null)
})

test("ramps begin and end with their colours; the difference is neutral in the middle", () => {
  const { css } = ramp(["#FFFFFF", "#000000"])
  assert.equal(css[0], "rgb(255,255,255)")
  assert.equal(css[255], "rgb(0,0,0)")
  assert.equal(stepOf(0, 0.4, true), 128)
  assert.equal(stepOf(9, 0.4, true), 255)
  assert.equal(stepOf(0, 0.4, false), 0)
})
