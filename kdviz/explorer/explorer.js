// The picture: one sentence, both models' maps through training, everything linked. All drawing is local.
import { arranged, controls } from "./controls.js"
import { drawCurves, pairAt, plotOf } from "./curves.js"
import { el, mark, write } from "./dom.js"
import { cellAt, drawFigure, laidOut } from "./figure.js"
import { answerOf, sameMoment } from "./format.js"
import { Heads } from "./heads.js"
import { drawOn } from "./pen.js"
import { START, carried, changed, keyed, lookOf, withLook } from "./state.js"
import { tableOf, take } from "./take.js"
import { Theme, isNarrow } from "./theme.js"
import { Tower } from "./tower.js"
import {
  answerText,
  cellText,
  described,
  filterText,
  footText,
  leftOutText,
  momentName,
  otherEpoch,
  untrainedText,
} from "./words.js"

const REST_MS = 180
const PLAY_MS = 650
const HOLD_MS = 2600
const SLOW_TOKENS = 64

export class Explorer {
  /** `palette`: see Theme. `options`: differences, chrome, finding, autoplay, keys, maxSide. */
  constructor(parent, { palette, options = {}, onLook = () => {} }) {
    Object.assign(this, {
      onLook,
      packs: [],
      state: START,
      options: { differences: true, chrome: true, keys: "page", ...options },
    })
    this.tower = new Tower(pair => this.set({ pair }))
    this.heads = new Heads({ choose: head => this.set({ head }), preview: head => this.preview(head) })
    const act = {
      set: changes => this.set(changes),
      play: () => this.play(!this.state.playing),
      take: kind => take(this.scene(), kind),
      leave: () => this.leave(),
      open: () => this.fillTable(),
    }
    Object.assign(this, controls(act))
    const { chrome } = this.options
    this.root = arranged(this, { chrome, tower: this.tower.root, heads: this.heads.root })
    parent.append(this.root)
    this.theme = new Theme(this.root, palette)
    this.listen()
    this.observer = new ResizeObserver(() => this.draw())
    this.observer.observe(this.root)
    this.onPageKey = event => this.pageKey(event)
    document.addEventListener("keydown", this.onPageKey)
    if (this.options.autoplay && !matchMedia("(prefers-reduced-motion: reduce)").matches) this.autoplay = true
  }

  destroy() {
    this.observer.disconnect()
    document.removeEventListener("keydown", this.onPageKey)
    cancelAnimationFrame(this.frame)
    clearTimeout(this.timer)
    clearTimeout(this.rest)
    this.root.remove()
  }

  /** Show these packs, the first being the run looked at; what is looked at stays but for `look`. */
  show(packs, look = null) {
    const before = this.packs[0]
    this.packs = packs
    if (look) {
      this.told = null
      this.state = withLook({ ...this.state, focus: null, pinned: false }, look, packs[0])
    } else this.state = before ? carried(this.state, before, packs[0]) : withLook(this.state, {}, packs[0])
    this.words()
    if (this.options.chrome) this.heads.build(packs)
    if (this.autoplay && !this.state.playing) {
      this.autoplay = false
      this.again = true
      this.state = { ...this.state, moment: 0 }
      this.play(true)
    }
    this.render()
  }

  look(look) {
    this.told = null
    this.state = withLook(this.state, look, this.packs[0])
    this.draw()
  }

  set(changes, quiet = false) {
    if (!this.packs.length) return
    if ("moment" in changes && !quiet) this.play(false)
    this.state = changed(this.state, changes, this.packs[0])
    this.draw()
    if (!("focus" in changes)) this.tell()
  }

  /** Tell the outside where we are, once we have come to rest. */
  tell() {
    clearTimeout(this.rest)
    this.rest = setTimeout(() => {
      if (this.state.playing || this.dragging) return this.tell()
      const look = lookOf(this.state, this.packs[0])
      const text = JSON.stringify(look)
      if (text !== this.told) {
        this.told = text
        this.onLook(look)
      }
    }, REST_MS)
  }

  play(on) {
    clearTimeout(this.timer)
    if (!on) {
      this.again = false
      if (this.state.playing) {
        this.state = { ...this.state, playing: false }
        this.tell()
      }
      return
    }
    const last = this.packs[0].steps.length - 1
    if (this.state.moment >= last) this.state = { ...this.state, moment: 0 }
    this.state = { ...this.state, playing: true }
    const next = () => {
      const at = this.state.moment
      if (document.hidden) {
        this.timer = setTimeout(next, PLAY_MS)
        return
      }
      if (at < this.packs[0].steps.length - 1) this.set({ moment: at + 1 }, true)
      else if (this.again) this.set({ moment: 0 }, true)
      else {
        this.play(false)
        this.draw()
        return
      }
      this.timer = setTimeout(
        next,
        this.state.moment < this.packs[0].steps.length - 1 ? PLAY_MS : this.again ? HOLD_MS : 0,
      )
    }
    this.timer = setTimeout(next, PLAY_MS)
    this.draw()
  }

  listen() {
    const point = (event, canvas) => {
      const box = canvas.getBoundingClientRect()
      return [event.clientX - box.left, event.clientY - box.top]
    }
    this.figure.addEventListener("pointermove", event => {
      if (!this.layout || (this.state.pinned && event.pointerType === "mouse")) return
      this.focusOn(cellAt(this.layout, ...point(event, this.figure)))
    })
    this.figure.addEventListener("pointerleave", () => this.leave())
    this.figure.addEventListener("click", event => {
      const cell = cellAt(this.layout, ...point(event, this.figure))
      this.set({ focus: cell, pinned: Boolean(cell) && !this.state.pinned })
    })
    const scrub = event => this.set({ moment: this.plot.nearest(point(event, this.curves)[0]) })
    this.slider.addEventListener("pointerdown", event => {
      if (event.button) return
      this.slider.setPointerCapture(event.pointerId)
      this.dragging = true
      this.pressed = point(event, this.curves)
      scrub(event)
    })
    this.slider.addEventListener("pointermove", event => {
      if (this.dragging) scrub(event)
    })
    const drop = event => {
      if (!this.dragging) return
      this.dragging = false
      const [x, y] = point(event, this.curves)
      if (event.type === "pointerup" && Math.hypot(x - this.pressed[0], y - this.pressed[1]) < 4) {
        const pair = pairAt(this.plot, this.packs, x, y)
        if (pair !== null && this.options.chrome) this.set({ pair })
      }
      this.tell()
    }
    for (const kind of ["pointerup", "pointercancel", "lostpointercapture"])
      this.slider.addEventListener(kind, drop)
    this.root.addEventListener("keydown", event => this.key(event))
  }

  key(event) {
    const target = event.composedPath()[0]
    if (event.ctrlKey || event.metaKey || event.altKey || /^(INPUT|SELECT|TEXTAREA)$/.test(target.tagName))
      return
    if (event.key === " " && !/^(BUTTON|SUMMARY)$/.test(target.tagName)) {
      event.preventDefault()
      this.play(!this.state.playing)
      return
    }
    this.takeKey(event)
  }

  /** The arrow keys move the moment wherever nothing else on the page has the keyboard. */
  pageKey(event) {
    if (
      this.options.keys !== "page" ||
      event.defaultPrevented ||
      document.activeElement !== document.body ||
      !this.root.isConnected
    )
      return
    if (event.key === "ArrowLeft" || event.key === "ArrowRight") this.takeKey(event)
  }

  takeKey(event) {
    if (!this.packs.length || event.ctrlKey || event.metaKey || event.altKey) return
    const next = keyed(this.state, event.key, this.packs[0])
    if (
      !next ||
      (!this.options.chrome &&
        (next.pair !== this.state.pair || next.head !== this.state.head || next.mode !== this.state.mode))
    )
      return
    event.preventDefault()
    event.stopPropagation()
    this.set(Object.fromEntries(Object.entries(next).filter(([name, value]) => value !== this.state[name])))
  }

  focusOn(focus) {
    const now = this.state.focus
    if (focus?.query === now?.query && focus?.key === now?.key) return
    this.set({ focus: focus && { query: focus.query, key: focus.key } })
  }

  leave() {
    if (!this.state.pinned) this.focusOn(null)
  }

  preview(head) {
    if (this.state.preview !== head) {
      this.state = { ...this.state, preview: head }
      this.draw()
    }
  }

  words() {
    const { tokens, special } = this.packs[0]
    const key = tokens.join("\u0000")
    if (this.wordsOf === key) return
    this.wordsOf = key
    this.sentence.replaceChildren(
      ...tokens.map((token, place) =>
        el(
          "span",
          {
            role: "option",
            "data-choice": place,
            tabindex: place ? -1 : 0,
            dir: "auto",
            class: special[place] ? "kx-special" : null,
            onpointerenter: () => !this.state.pinned && this.focusOn({ query: place, key: place }),
            onfocus: () => this.focusOn({ query: place, key: place }),
            onblur: () => this.leave(),
            onclick: () =>
              this.set({
                focus: { query: place, key: place },
                pinned: !(this.state.pinned && this.state.focus?.query === place),
              }),
          },
          token,
        ),
      ),
    )
  }

  draw() {
    if (this.frame) return
    this.frame = requestAnimationFrame(() => {
      this.frame = 0
      this.render()
    })
  }

  render() {
    if (!this.packs.length || !this.root.isConnected) return
    cancelAnimationFrame(this.frame)
    this.frame = 0
    const look = this.theme.look()
    const state = this.shown()
    const packs = this.packs
    const stage = this.figure.parentElement.clientWidth || this.root.clientWidth
    if (!stage) return
    const maxSide = this.options.maxSide ?? Math.min(460, Math.max(210, innerHeight * 0.345))
    this.layout = laidOut({
      packs,
      state,
      width: stage,
      maxSide,
      size: look.size,
      differences: this.options.differences,
    })
    this.layout.compact = !this.options.chrome
    drawOn(this.figure, stage, this.layout.height, pen =>
      drawFigure(pen, this.layout, { packs, state, look }),
    )
    const width = this.slider.clientWidth
    const height = this.options.chrome ? Math.round(look.size * 9) : Math.round(look.size * 15)
    this.plot = plotOf({ packs, width, height, size: look.size })
    drawOn(this.curves, width, height, pen => drawCurves(pen, this.plot, { packs, state, look }))
    const left = this.plot.x(packs[0].epochs[state.moment]) - 7
    this.thumb.style.transform = `translate(${left}px, ${height - this.plot.bottom - 7}px)`
    if (this.options.chrome) {
      this.tower.build(
        packs,
        Math.max(170, Math.min(this.layout.height, isNarrow() ? 250 : 420)),
        Math.max(1, look.size / 14.4),
      )
      this.tower.update(packs, state)
      this.heads.update(packs, state, look)
    }
    this.say(state)
    this.drawn = (this.drawn ?? 0) + 1
  }

  /** What is drawn: the state with the head that is only previewed. */
  shown() {
    const { preview } = this.state
    return preview === undefined ? this.state : { ...this.state, head: preview }
  }

  scene() {
    return { packs: this.packs, state: this.shown(), look: this.theme.look(), layout: this.layout }
  }

  fillTable() {
    if (this.numbers.open && this.packs.length) this.table.replaceChildren(tableOf(this.scene()))
  }

  say(state) {
    const { packs } = this
    const first = packs[0]
    const { finding } = this.options
    write(this.headline, finding?.text ?? "")
    write(this.behind, finding?.note ?? "")
    const right = first.about.labels?.[first.about.label]
    write(
      this.answers,
      [
        `Teacher: ${answerText(answerOf(first, null))}`,
        ...packs.map(
          pack =>
            `${pack.about.name}: ${answerText(answerOf(pack, sameMoment(first, state.moment, pack)))}` +
            otherEpoch(first, state.moment, pack),
        ),
        right ? `right answer: ${right}` : "",
      ]
        .filter(Boolean)
        .join(" · "),
    )
    write(
      this.readout,
      state.focus
        ? cellText(packs, state)
        : filterText(state) ||
            "Move over a word or a cell, or tap it: its row and column light up in every map.",
    )
    write(this.playButton, state.playing ? "❚❚ Pause" : "▶ Play")
    mark(this.playButton, "aria-label", state.playing ? "Pause" : "Play through the training")
    write(this.when, momentName(first, state.moment))
    mark(this.slider, "aria-valuemax", first.steps.length - 1)
    mark(this.slider, "aria-valuenow", state.moment)
    mark(this.slider, "aria-valuetext", momentName(first, state.moment))
    for (const button of this.modes) mark(button, "aria-pressed", button.dataset.mode === state.mode)
    this.hideBox.checked = state.hide
    this.renormaliseBox.checked = state.renormalise
    this.renormaliseBox.disabled = !state.hide
    this.weakSlider.value = state.weak
    write(this.weakText, `Leave links blank that are weaker than ${state.weak}`)
    this.sentence.childNodes.forEach((word, place) => {
      mark(word, "aria-selected", state.focus?.query === place)
      word.classList.toggle("kx-seen", state.focus?.key === place)
    })
    const long =
      first.tokens.length > SLOW_TOKENS
        ? `${first.tokens.length} tokens: drawing is slower above ${SLOW_TOKENS}. `
        : ""
    write(
      this.note,
      long + leftOutText(packs) + untrainedText(packs, state.moment) + (first.about.note || ""),
    )
    write(this.foot, footText(packs))
    mark(this.figure, "aria-label", described(packs, state))
    clearTimeout(this.speaking)
    this.speaking = setTimeout(() => {
      if (!this.state.playing) write(this.live, described(packs, this.state))
      this.fillTable()
    }, 500)
  }
}
