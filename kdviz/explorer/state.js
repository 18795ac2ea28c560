// The state of the picture and how it changes. Pure.

export const START = {
  pair: 0,
  head: null,
  moment: 0,
  mode: "maps",
  hide: false,
  renormalise: false,
  weak: 0,
  focus: null,
  pinned: false,
  preview: undefined,
  playing: false,
}

const inside = (value, count) => Math.min(Math.max(value, 0), count - 1)

/** A head that the pack has; null, the mean of all, for any other. */
const headIn = (head, pack) => (head >= 0 && head < pack.numHeads ? head : null)

/** The state that a look from outside (a link, the presenter) asks for, fitted to the pack. */
export function withLook(state, look, pack) {
  const step = look.step ?? null
  let moment = pack.steps.length - 1
  if (step !== null) {
    moment = pack.steps.reduce(
      (best, each, place) => (Math.abs(each - step) < Math.abs(pack.steps[best] - step) ? place : best),
      0,
    )
  }
  return {
    ...state,
    moment,
    pair: inside(look.pair ?? pack.pairs.length - 1, pack.pairs.length),
    head: headIn(look.head, pack),
    mode: look.mode === "lines" ? "lines" : "maps",
    hide: Boolean(look.hide),
    renormalise: Boolean(look.renormalise),
    weak: Number(look.weak) || 0,
  }
}

/** What the outside is told. The newest moment is told as null: whoever looks at it stays with it. */
export function lookOf(state, pack) {
  const last = state.moment === pack.steps.length - 1
  return {
    pair: state.pair,
    head: state.head,
    step: last ? null : pack.steps[state.moment],
    mode: state.mode,
    hide: state.hide,
    renormalise: state.renormalise,
    weak: state.weak,
  }
}

/** The same look at another pack of the same sentence (a moment was added) or of another one. */
export function carried(state, before, pack) {
  if (!before) return state
  const look = lookOf(state, before)
  const same =
    before.tokens.length === pack.tokens.length && before.tokens.every((token, i) => token === pack.tokens[i])
  const next = withLook(state, look, pack)
  return same ? next : { ...next, focus: null, pinned: false }
}

const KEYS = {
  ArrowLeft: state => ({ moment: state.moment - 1 }),
  ArrowRight: state => ({ moment: state.moment + 1 }),
  Home: () => ({ moment: 0 }),
  End: () => ({ moment: Infinity }),
  ArrowUp: state => ({ pair: state.pair + 1 }),
  ArrowDown: state => ({ pair: state.pair - 1 }),
  ",": (state, pack) => ({
    head: state.head === null ? pack.numHeads - 1 : state.head ? state.head - 1 : null,
  }),
  ".": (state, pack) => ({
    head: state.head === null ? 0 : state.head + 1 < pack.numHeads ? state.head + 1 : null,
  }),
  m: () => ({ head: null }),
  l: state => ({ mode: state.mode === "maps" ? "lines" : "maps" }),
  Escape: state => (state.focus || state.pinned ? { focus: null, pinned: false } : null),
}

/** What a key changes; null where it means nothing here. */
export function keyed(state, key, pack) {
  const change = KEYS[key]?.(state, pack)
  return change ? changed(state, change, pack) : null
}

/** `state` with changes, kept inside what there is. */
export function changed(state, changes, pack) {
  const next = { ...state, ...changes }
  next.moment = inside(next.moment, pack.steps.length)
  next.pair = inside(next.pair, pack.pairs.length)
  next.head = headIn(next.head, pack)
  return next
}
