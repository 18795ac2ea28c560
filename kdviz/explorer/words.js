// What the picture says in words. Pure.
import { answerOf, klOf, sameMoment, shownMap, keptPlaces, rowKl } from "./format.js"

/** A number with three decimals; a dash where there is none. */
export const decimals = (value, digits = 3) =>
  value === null || value === undefined || !Number.isFinite(value)
    ? "–"
    : value.toFixed(digits).replace("-", "−")

export const signed = (value, digits = 3) => (value > 0 ? "+" : "") + decimals(value, digits)

/** Decimals for the end of a scale: two, and as many as a small one needs. */
export const digitsOf = value => (Math.abs(value) < 0.05 ? 3 : 2)

export const percent = share => `${Math.round(100 * share)} %`

export const headName = head => (head === null ? "mean of heads" : `head ${head + 1}`)

export function momentName(pack, moment) {
  if (pack.steps[moment] === 0) return "before training"
  const step = pack.steps[moment].toLocaleString("en")
  return `${epochName(pack.epochs[moment])} · step ${step}`
}

const epochName = epoch => `epoch ${Number.isInteger(epoch) ? epoch : epoch.toFixed(1)}`

/** " · epoch 4" where `pack` shows a moment of epoch 4 beside one of another: it has none of that epoch, or was to
 * train for longer or shorter and shows the moment as far through. Else "". */
export function otherEpoch(first, moment, pack) {
  const own = epochName(pack.epochs[sameMoment(first, moment, pack)])
  return own === epochName(first.epochs[moment]) ? "" : ` · ${own}`
}

export function answerText(answer) {
  if (!answer) return "no answer recorded"
  return Number.isFinite(answer.share) ? `${answer.name} ${percent(answer.share)}` : "answer not finite"
}

/** What is shown, for those who cannot see it, and under the picture. */
export function described(packs, state) {
  const first = packs[0]
  const [student, teacher] = first.pairs[state.pair]
  const parts = packs.map(pack => {
    const moment = sameMoment(first, state.moment, pack)
    return (
      `${pack.about.name}: ${answerText(answerOf(pack, moment))}, attention KL ` +
      `${decimals(klOf(pack, moment, state.pair, state.head))} nats${otherEpoch(first, state.moment, pack)}`
    )
  })
  return (
    `Student layer ${student + 1} beside teacher layer ${teacher + 1}, ${headName(state.head)}, ` +
    `${momentName(first, state.moment)}. Teacher: ${answerText(answerOf(first, null))}. ${parts.join(". ")}.`
  )
}

/** Which of them a word is that occurs several times in its sentence: " (2 of 3)", else "". */
function whichOf(tokens, place) {
  const alike = tokens.flatMap((token, other) => (token === tokens[place] ? [other] : []))
  return alike.length > 1 ? ` (${alike.indexOf(place) + 1} of ${alike.length})` : ""
}

/** The words of a sentence, no two of them the same. */
export const toldApart = tokens => tokens.map((token, place) => token + whichOf(tokens, place))

const cellShare = value => decimals(value) + (Number.isFinite(value) ? "" : " (not finite)")

/** The numbers of one cell: who looks at what, by how much. */
export function cellText(packs, state) {
  const { query, key } = state.focus
  const first = packs[0]
  const kept = keptPlaces(first, state.hide)
  const row = kept.indexOf(query)
  const column = kept.indexOf(key)
  const at = row * kept.length + column
  if (row < 0 || column < 0) return ""
  const teacher = shownMap(first, null, state.pair, state.head, state)[at]
  const parts = packs.map(pack => {
    const moment = sameMoment(first, state.moment, pack)
    const student = shownMap(pack, moment, state.pair, state.head, state)[at]
    const kl = rowKl(pack, moment, state.pair, state.head)[query]
    return (
      `${packs.length > 1 ? `“${pack.about.name}”` : "student"} ${cellShare(student)}, difference ` +
      `${signed(teacher - student)}, KL of the row ${decimals(kl)} nats`
    )
  })
  const named = place => `“${first.tokens[place]}”${whichOf(first.tokens, place)}`
  return `${named(query)} looks at ${named(key)}: teacher ${cellShare(teacher)}, ${parts.join("; ")}`
}

export function filterText(state) {
  const parts = []
  if (state.hide)
    parts.push(
      `special tokens hidden, rows ${state.renormalise ? "scaled to sum to 1" : "sum to less than 1"}`,
    )
  if (state.weak > 0) parts.push(`links weaker than ${state.weak} left blank`)
  return parts.length ? `${parts.join("; ")}; KL of whole rows` : ""
}

/** Which students' answers say nothing yet at a moment, because no stage has trained their classifier. */
export function untrainedText(packs, moment) {
  const early = packs.filter(
    pack =>
      pack.about.untrained_until &&
      pack.epochs[sameMoment(packs[0], moment, pack)] <= pack.about.untrained_until + 1e-6,
  )
  return early
    .map(
      pack =>
        `Up to epoch ${pack.about.untrained_until} the classifier of “${pack.about.name}” ` +
        "is not trained: its answers say nothing yet. ",
    )
    .join("")
}

/** What the packs had no room for, each by its run's name where there are several. */
export function leftOutText(packs) {
  return packs
    .map(({ about, numLeftOut, numHeads, steps }) => {
      const lacks = [
        numLeftOut ? `${numLeftOut} of ${numLeftOut + steps.length} moments` : "",
        numHeads ? "" : "single heads",
      ].filter(Boolean)
      if (!lacks.length) return ""
      const whose = packs.length > 1 ? ` of “${about.name}”` : ""
      return `Left out${whose}, to keep the picture small: ${lacks.join(" and ")}. `
    })
    .join("")
}

export function footText(packs) {
  const cells = packs.every(pack => pack.refined)
    ? "cells to four digits"
    : "cells in 8 bits: within 1/255 of the largest of their row"
  return `Colours keep their meaning over the whole training; ${cells}; KL in nats, in full precision.`
}
