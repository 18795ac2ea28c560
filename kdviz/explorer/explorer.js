// The picture: one sentence, both models' maps through training, everything linked. All drawing is local.
import { isDark, ramp } from "./colour.js"
import { drawCurves, pairAt, plotOf } from "./curves.js"
import { el, mark, roving, write } from "./dom.js"
import { cellAt, drawFigure, laidOut, thumbnail } from "./figure.js"
import { answerOf, klOf, sameMoment } from "./format.js"
import { CanvasPen, pixels } from "./pen.js"
import { START, carried, changed, keyed, lookOf, withLook } from "./state.js"
import { tableOf, take } from "./take.js"
import { Tower } from "./tower.js"
import { answerText, cellText, decimals, described, filterText, footText, headName, momentName, untrainedText } from "./words.js"

const REST_MS = 180, PLAY_MS = 650, HOLD_MS = 2600
const SLOW_TOKENS = 64

export class Explorer {
  /** `palette`: {light, dark} of {sequential, diverging, grid, muted}, and `teacher`. `options`: differences, chrome, finding, autoplay, keys. */
  constructor(parent, { palette, options = {}, onLook = () => {} }) {
    Object.assign(this, { parent, palette, onLook, packs: [], state: START, options: { differences: true, chrome: true, keys: "page", ...options } })
    this.scratch = document.createElement("canvas")
    this.tower = new Tower(pair => this.set({ pair }))
    this.build()
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

  /** Show these packs, the first being the run looked at. What is looked at stays, unless `look` says another. */
  show(packs, look = null) {
    const before = this.packs[0]
    this.packs = packs
    if (look) this.state = withLook({ ...this.state, focus: null, pinned: false }, look, packs[0])
    else this.state = before ? carried(this.state, before, packs[0]) : withLook(this.state, {}, packs[0])
    this.words()
    this.heads()
    if (this.autoplay && !this.state.playing) { this.autoplay = false; this.again = true; this.state = { ...this.state, moment: 0 }; this.play(true) }
    this.render()
  }

  look(look) {
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
      const look = lookOf(this.state, this.packs[0]), text = JSON.stringify(look)
      if (text !== this.told) { this.told = text; this.onLook(look) }
    }, REST_MS)
  }

  play(on) {
    clearTimeout(this.timer)
    if (!on) {
      this.again = false
      if (this.state.playing) { this.state = { ...this.state, playing: false }; this.tell() }
      return
    }
    const last = this.packs[0].steps.length - 1
    if (this.state.moment >= last) this.state = { ...this.state, moment: 0 }
    this.state = { ...this.state, playing: true }
    const next = () => {
      const at = this.state.moment
      if (document.hidden) { this.timer = setTimeout(next, PLAY_MS); return }
      if (at < this.packs[0].steps.length - 1) this.set({ moment: at + 1 }, true)
      else if (this.again) this.set({ moment: 0 }, true)
      else { this.play(false); this.draw(); return }
      this.timer = setTimeout(next, this.state.moment < this.packs[0].steps.length - 1 ? PLAY_MS : this.again ? HOLD_MS : 0)
    }
    this.timer = setTimeout(next, PLAY_MS)
    this.draw()
  }

  build() {
    const canvas = name => el("canvas", { class: name })
    const button = (words, run, more = {}) => el("button", { type: "button", onclick: run, ...more }, words)
    this.headline = el("p", { class: "kx-finding" })
    this.behind = el("p", { class: "kx-behind" })
    this.sentence = el("div", { class: "kx-words", role: "listbox", "aria-label": "The sentence, word by word: a word lights its row and column",
      onkeydown: event => roving(this.sentence, event, { ArrowLeft: -1, ArrowRight: 1 }), onpointerleave: () => this.leave() })
    this.answers = el("p", { class: "kx-answers" })
    this.figure = Object.assign(canvas("kx-figure"), { tabIndex: -1 })
    mark(this.figure, "role", "img")
    this.readout = el("p", { class: "kx-readout" })
    this.live = el("p", { class: "kx-hidden", "aria-live": "polite" })
    this.playButton = button("", () => this.play(!this.state.playing), { class: "kx-play" })
    this.when = el("output", { class: "kx-when" })
    this.modes = ["maps", "lines"].map(mode => button(mode === "maps" ? "Maps" : "Lines", () => this.set({ mode }), { "data-mode": mode }))
    const check = (words, name) => {
      const box = el("input", { type: "checkbox", onchange: () => this.set({ [name]: box.checked }) })
      this[`${name}Box`] = box
      return el("label", {}, box, words)
    }
    this.weakSlider = el("input", { type: "range", min: 0, max: 0.5, step: 0.01, "aria-label": "Leave links blank that are weaker than", oninput: () => this.set({ weak: Number(this.weakSlider.value) }) })
    this.weakText = el("span")
    this.filters = el("details", { class: "kx-menu" }, el("summary", {}, "Filters"), el("div", {}, check("Hide special tokens", "hide"),
      check("Let the rest sum to 1 again", "renormalise"), el("label", {}, this.weakText, this.weakSlider)))
    this.take = el("details", { class: "kx-menu" }, el("summary", {}, "Save"), el("div", {},
      ...[["Picture (PNG)", "png"], ["Drawing (SVG)", "svg"], ["Numbers (CSV)", "csv"]].map(([words, kind]) => button(words, () => take(this.scene(), kind)))))
    this.bar = el("div", { class: "kx-bar" }, this.playButton, this.when, el("span", { class: "kx-space" }),
      this.options.chrome ? el("span", { class: "kx-modes", role: "group", "aria-label": "How attention is drawn" }, ...this.modes) : null,
      this.options.chrome ? this.filters : null, this.take)
    this.curves = canvas("kx-curves")
    this.thumb = el("span", { class: "kx-thumb" })
    this.slider = el("div", { class: "kx-slider", role: "slider", tabindex: 0, "aria-label": "Moment of training", "aria-valuemin": 0 }, this.curves, this.thumb)
    this.strip = el("div", { class: "kx-heads", role: "radiogroup", "aria-label": "Heads: teacher and student of each",
      onkeydown: event => roving(this.strip, event, { ArrowLeft: -1, ArrowRight: 1 }), onpointerleave: () => this.preview(undefined) })
    this.table = el("div", { class: "kx-table" })
    this.numbers = el("details", { class: "kx-numbers", ontoggle: () => this.fillTable() }, el("summary", {}, "Table of numbers"), this.table)
    this.foot = el("p", { class: "kx-foot" })
    this.note = el("p", { class: "kx-note", role: "note" })
    const chrome = this.options.chrome
    this.root = el("section", { class: `kx${chrome ? "" : " kx-plain"}`, "aria-label": "Teacher and student attention, linked" },
      this.headline, this.behind, el("div", { class: "kx-top" }, this.sentence, this.answers), this.note, chrome ? this.bar : null,
      el("div", { class: "kx-main" }, chrome ? this.tower.root : null, el("div", { class: "kx-stage" }, this.figure),
        chrome ? null : el("div", { class: "kx-aside" }, this.bar, this.slider, this.readout, this.foot)),
      ...(chrome ? [this.readout, this.slider, this.strip, this.numbers, this.foot] : []), this.live)
    this.parent.append(this.root)
    this.listen()
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
    this.slider.addEventListener("pointermove", event => { if (this.dragging) scrub(event) })
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
    for (const kind of ["pointerup", "pointercancel", "lostpointercapture"]) this.slider.addEventListener(kind, drop)
    this.root.addEventListener("keydown", event => this.key(event))
  }

  key(event) {
    const target = event.composedPath()[0]
    if (event.ctrlKey || event.metaKey || event.altKey || /^(INPUT|SELECT|TEXTAREA)$/.test(target.tagName)) return
    if (event.key === " " && !/^(BUTTON|SUMMARY)$/.test(target.tagName)) { event.preventDefault(); this.play(!this.state.playing); return }
    this.takeKey(event)
  }

  /** The arrow keys move the moment wherever nothing else on the page has the keyboard. */
  pageKey(event) {
    if (this.options.keys !== "page" || event.defaultPrevented || document.activeElement !== document.body || !this.root.isConnected) return
    if (event.key === "ArrowLeft" || event.key === "ArrowRight") this.takeKey(event)
  }

  takeKey(event) {
    if (!this.packs.length || event.ctrlKey || event.metaKey || event.altKey) return
    const next = keyed(this.state, event.key, this.packs[0])
    if (!next || (!this.options.chrome && (next.pair !== this.state.pair || next.head !== this.state.head || next.mode !== this.state.mode))) return
    event.preventDefault()
    event.stopPropagation()
    this.set(Object.fromEntries(Object.entries(next).filter(([name, value]) => value !== this.state[name])))
  }

  focusOn(focus) {
    const now = this.state.focus
    if (focus?.query === now?.query && focus?.key === now?.key) return
    this.set({ focus: focus && { query: focus.query, key: focus.key } })
  }

  leave() { if (!this.state.pinned) this.focusOn(null) }

  preview(head) {
    if (this.state.preview !== head) { this.state = { ...this.state, preview: head }; this.draw() }
  }

  words() {
    const { tokens, special } = this.packs[0], key = tokens.join("\u0000")
    if (this.wordsOf === key) return
    this.wordsOf = key
    this.sentence.replaceChildren(...tokens.map((token, place) => el("span", { role: "option", "data-choice": place, tabindex: place ? -1 : 0, dir: "auto",
      class: special[place] ? "kx-special" : null, onpointerenter: () => !this.state.pinned && this.focusOn({ query: place, key: place }),
      onfocus: () => this.focusOn({ query: place, key: place }), onblur: () => this.leave(),
      onclick: () => this.set({ focus: { query: place, key: place }, pinned: !(this.state.pinned && this.state.focus?.query === place) }) }, token)))
  }

  heads() {
    const key = `${this.packs[0].numHeads} ${this.packs.length}`
    if (this.headsOf === key || !this.options.chrome) return
    this.headsOf = key
    this.thumbs = [null, ...Array(this.packs[0].numHeads).keys()].map(head => {
      const canvas = el("canvas", { "aria-hidden": "true" }), kl = el("span", { class: "kx-kl" })
      const choose = () => this.set({ head })
      const item = el("div", { role: "radio", "data-choice": head ?? "mean", onclick: choose, onchoose: choose,
        onpointerenter: event => event.pointerType === "mouse" && this.preview(head) }, el("span", {}, head === null ? "mean" : String(head + 1)), canvas, kl)
      return { head, canvas, kl, item }
    })
    this.strip.replaceChildren(...this.thumbs.map(thumb => thumb.item))
  }

  /** Colours and type of the page around us, in the theme it has now. */
  colours() {
    const style = getComputedStyle(this.root), value = (name, other) => style.getPropertyValue(name).trim() || other
    const background = value("--st-background-color", "#FFFFFF"), dark = isDark(background), key = `${background} ${style.fontFamily} ${style.fontSize} ${innerWidth < 620}`
    if (this.lookKey !== key) {
      this.lookKey = key
      const theme = this.palette[dark ? "dark" : "light"]
      this.theme = { background, dark, text: value("--st-text-color", theme.text), muted: theme.muted, grid: theme.grid, teacher: this.palette.teacher,
        font: style.fontFamily, size: parseFloat(style.fontSize) * (innerWidth < 620 ? 0.8 : 0.9), sequential: ramp(theme.sequential), diverging: ramp(theme.diverging) }
      this.root.style.setProperty("--kx-muted", theme.muted)
      this.root.style.setProperty("--kx-grid", theme.grid)
      this.root.style.setProperty("--kx-teacher", this.palette.teacher)
      this.drawnHeads = null
    }
    return this.theme
  }

  draw() {
    if (this.frame) return
    this.frame = requestAnimationFrame(() => { this.frame = 0; this.render() })
  }

  render() {
    if (!this.packs.length || !this.root.isConnected) return
    cancelAnimationFrame(this.frame)
    this.frame = 0
    const look = this.colours(), state = this.shown(), packs = this.packs
    const stage = this.figure.parentElement.clientWidth || this.root.clientWidth
    if (!stage) return
    const maxSide = this.options.maxSide ?? Math.min(460, Math.max(210, innerHeight * 0.345))
    this.layout = laidOut({ packs, state, width: stage, maxSide, size: look.size, differences: this.options.differences })
    this.layout.compact = !this.options.chrome
    this.onCanvas(this.figure, stage, this.layout.height, pen => drawFigure(pen, this.layout, { packs, state, look }))
    const width = this.slider.clientWidth, height = this.options.chrome ? Math.round(look.size * 9) : Math.round(look.size * 15)
    this.plot = plotOf({ packs, width, height, size: look.size })
    this.onCanvas(this.curves, width, height, pen => drawCurves(pen, this.plot, { packs, state, look }))
    this.thumb.style.transform = `translate(${this.plot.x(packs[0].epochs[state.moment]) - 7}px, ${height - this.plot.bottom - 7}px)`
    if (this.options.chrome) {
      this.tower.build(packs, Math.max(170, Math.min(this.layout.height, innerWidth < 620 ? 250 : 420)), Math.max(1, look.size / 14.4))
      this.tower.update(packs, state)
      this.drawHeads(look)
    }
    this.say(state)
    this.drawn = (this.drawn ?? 0) + 1
  }

  /** What is drawn: the state with the head that is only previewed. */
  shown() {
    const { preview } = this.state
    return preview === undefined ? this.state : { ...this.state, head: preview }
  }

  scene() { return { packs: this.packs, state: this.shown(), look: this.colours(), layout: this.layout } }

  fillTable() {
    if (this.numbers.open && this.packs.length) this.table.replaceChildren(tableOf(this.scene()))
  }

  onCanvas(canvas, width, height, draw) {
    const scale = devicePixelRatio || 1, w = Math.round(width * scale), h = Math.round(height * scale)
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

  drawHeads(look) {
    const { state, packs } = this, key = JSON.stringify([packs.map(pack => pack.id), state.pair, state.moment, state.hide, state.renormalise, state.weak])
    const moments = packs.map(pack => sameMoment(packs[0], state.moment, pack))
    if (this.drawnHeads !== key) {
      this.drawnHeads = key
      for (const { head, canvas, kl, item } of this.thumbs) {
        thumbnail(head, { packs, state, look, moments, canvas, scratch: this.scratch, pixels })
        const values = packs.map((pack, run) => decimals(klOf(pack, moments[run], state.pair, head), packs.length > 1 ? 2 : 3))
        write(kl, values.join(" · "))
        mark(item, "aria-label", `${headName(head)}, KL ${values.join(" and ")} nats`)
      }
    }
    for (const { head, item } of this.thumbs) {
      mark(item, "aria-checked", head === state.head)
      mark(item, "tabindex", head === state.head ? 0 : -1)
    }
  }

  say(state) {
    const { packs } = this, first = packs[0]
    const { finding } = this.options
    write(this.headline, finding?.text ?? "")
    write(this.behind, finding?.note ?? "")
    const right = first.about.labels?.[first.about.label]
    write(this.answers, [`Teacher: ${answerText(answerOf(first, null))}`, ...packs.map(pack =>
      `${pack.about.name}: ${answerText(answerOf(pack, sameMoment(first, state.moment, pack)))}`), right ? `right answer: ${right}` : ""].filter(Boolean).join(" · "))
    write(this.readout, state.focus ? cellText(packs, state) : filterText(state) || "Move over a word or a cell, or tap it: its row and column light up in every map.")
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
    const long = first.tokens.length > SLOW_TOKENS ? `${first.tokens.length} tokens: drawing is slower above ${SLOW_TOKENS}. ` : ""
    const left = first.numLeftOut ? `${first.numLeftOut} of ${first.numLeftOut + first.steps.length} moments are left out${first.numHeads ? "" : ", and single heads,"} to keep it fluid. ` : ""
    write(this.note, long + left + untrainedText(packs, state.moment) + (first.about.note || ""))
    write(this.foot, footText(packs))
    mark(this.figure, "aria-label", described(packs, state))
    clearTimeout(this.speaking)
    this.speaking = setTimeout(() => { if (!this.state.playing) write(this.live, described(packs, this.state)); this.fillTable() }, 500)
  }
}
