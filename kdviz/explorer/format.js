// A packed sentence, and every number that is taken from it. Pure: no page, no drawing.

const text = new TextDecoder()

/** The pack in `bytes` (see pack.py) as typed arrays. Head `numHeads` is the mean of the others. */
export function unpack(bytes) {
  const copy = new Uint8Array(bytes.length)
  copy.set(bytes)
  if (text.decode(copy.subarray(0, 4)) !== "KDX1") throw new Error("this is not a packed sentence")
  const end = 8 + new DataView(copy.buffer).getUint32(4, true)
  const header = JSON.parse(text.decode(copy.subarray(8, end)))
  const start = (end + 3) & ~3
  const part = (name, Kind) => {
    const [from, length] = header.sections[name] ?? []
    return length === undefined ? null : new Kind(copy.buffer, start + from, length)
  }
  const side = name => ({
    codes: part(`${name}_codes`, Uint8Array),
    fine: part(`${name}_fine`, Int8Array),
    peaks: part(`${name}_peaks`, Uint16Array),
  })
  return {
    id: header.id,
    tokens: header.tokens,
    special: header.special,
    pairs: header.pairs,
    numHeads: header.num_heads,
    steps: header.steps,
    epochs: header.epochs,
    pairKl: header.pair_kl,
    refined: header.refined,
    numLeftOut: header.num_left_out,
    about: header.about,
    teacher: side("teacher"),
    student: side("student"),
    rows: part("row_kl", Float32Array),
    remembered: new Map(),
  }
}

const offset = (pack, pair, head) => pair * (pack.numHeads + 1) + (head ?? pack.numHeads)

/** One (query × key) map of probabilities; `moment` null: the teacher's. NaN in a row that is not finite. */
export function mapOf(pack, moment, pair, head) {
  const n = pack.tokens.length
  const side = moment === null ? pack.teacher : pack.student
  const index = offset(pack, pair, head) + (moment ?? 0) * pack.pairs.length * (pack.numHeads + 1)
  const values = new Float32Array(n * n)
  for (let query = 0, cell = 0; query < n; query++) {
    const peak = side.peaks[index * n + query]
    const isLost = !peak && side.codes[(index * n + query) * n] > 0
    const scale = isLost ? NaN : peak / (255 * 65535)
    for (let key = 0; key < n; key++, cell++) {
      const from = index * n * n + cell
      values[cell] = (side.codes[from] + (side.fine ? side.fine[from] / 254 : 0)) * scale
    }
  }
  return values
}

/** KL in nats of every query row. */
export function rowKl(pack, moment, pair, head) {
  const n = pack.tokens.length
  const from = (moment * pack.pairs.length * (pack.numHeads + 1) + offset(pack, pair, head)) * n
  return pack.rows.subarray(from, from + n)
}

/** KL in nats of a pair (head null: as the run recorded it) or of one of its heads. */
export function klOf(pack, moment, pair, head) {
  if (head === null) return pack.pairKl[moment][pair]
  return meanOf(rowKl(pack, moment, pair, head))
}

const meanOf = values => values.reduce((sum, value) => sum + value, 0) / values.length

/** Places of the tokens that are shown. If nothing but special tokens is there, all are. */
export function keptPlaces(pack, hide) {
  const all = pack.tokens.map((_, place) => place)
  const kept = hide ? all.filter(place => !pack.special[place]) : all
  return kept.length ? kept : all
}

/** What the filters leave of a map: (kept × kept), each row scaled to sum to 1 again where asked. */
export function filtered(pack, values, { hide, renormalise }) {
  const kept = keptPlaces(pack, hide)
  const n = pack.tokens.length
  const k = kept.length
  if (k === n) return values
  const left = new Float32Array(k * k)
  for (let row = 0; row < k; row++) {
    let total = 0
    for (let column = 0; column < k; column++) {
      const value = values[kept[row] * n + kept[column]]
      left[row * k + column] = value
      total += value
    }
    if (renormalise && total > 0) for (let column = 0; column < k; column++) left[row * k + column] /= total
  }
  return left
}

/** The shown map, remembered: (kept × kept). The threshold is applied where it is drawn. */
export function shownMap(pack, moment, pair, head, filters) {
  const key = `${moment} ${pair} ${head} ${filters.hide} ${filters.hide && filters.renormalise}`
  let values = pack.remembered.get(key)
  if (!values) {
    values = filtered(pack, mapOf(pack, moment, pair, head), filters)
    if (pack.remembered.size > 600) pack.remembered.clear()
    pack.remembered.set(key, values)
  }
  return values
}

/** The ends of the scales of one pair and head: the same at every moment and for every run shown, so that a
 * shade means one number from the first moment to the last. */
export function limitsOf(packs, pair, head, filters) {
  const key =
    `limits ${pair} ${head} ${filters.hide} ${filters.hide && filters.renormalise} ` +
    packs.map(pack => `${pack.about.run} ${pack.steps.length}`).join()
  const known = packs[0].remembered.get(key)
  if (known) return known
  let attention = 0.01
  let difference = 0.01
  let kl = 0.001
  const teacher = shownMap(packs[0], null, pair, head, filters)
  for (const value of teacher) if (value > attention) attention = value
  for (const pack of packs) {
    for (let moment = 0; moment < pack.steps.length; moment++) {
      const student = filtered(pack, mapOf(pack, moment, pair, head), filters)
      for (let cell = 0; cell < student.length; cell++) {
        if (student[cell] > attention) attention = student[cell]
        const apart = Math.abs(teacher[cell] - student[cell])
        if (apart > difference) difference = apart
      }
      for (const value of rowKl(pack, moment, pair, head)) if (value > kl) kl = value
    }
  }
  const limits = { attention, difference, kl }
  packs[0].remembered.set(key, limits)
  return limits
}

const nearest = (values, wanted) =>
  values.reduce(
    (best, value, place) => (Math.abs(value - wanted) < Math.abs(values[best] - wanted) ? place : best),
    0,
  )

/** Whether two runs were to train equally long: then an epoch of one is that epoch of the other. */
const equallyLong = (first, pack) => Boolean(first.about.epochs) && first.about.epochs === pack.about.epochs

/** The moment of `pack` that belongs to `moment` of `first`: of the same epoch, or as far through it all. */
export function sameMoment(first, moment, pack) {
  if (pack === first) return moment
  if (equallyLong(first, pack)) return nearest(pack.epochs, first.epochs[moment])
  const share = first.steps[moment] / (first.steps.at(-1) || 1)
  const last = pack.steps.at(-1) || 1
  return share === 1
    ? pack.steps.length - 1
    : nearest(
        pack.steps.map(step => step / last),
        share,
      )
}

/** The predicted class and its probability, NaN where it is not finite; null where nothing was recorded. */
export function answerOf(pack, moment) {
  const shares = moment === null ? pack.about.teacher_answer : pack.about.student_answers?.[moment]
  if (shares === null) return { share: NaN }
  if (!shares?.length) return null
  const best = shares.indexOf(Math.max(...shares))
  return { label: best, name: pack.about.labels?.[best] ?? `class ${best}`, share: shares[best] }
}
