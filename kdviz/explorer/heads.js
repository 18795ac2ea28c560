// The strip of heads: teacher and students of each as small maps, with their KL. Hovering one previews it.
import { el, mark, roving, write } from "./dom.js"
import { thumbnail } from "./figure.js"
import { klOf, sameMoment } from "./format.js"
import { pixels } from "./pen.js"
import { decimals, headName } from "./words.js"

export class Heads {
  /** `choose(head)` and `preview(head)` are called with a head's number from 0, or null for the mean of all;
   * `preview(undefined)` when the pointer has left. */
  constructor({ choose, preview }) {
    Object.assign(this, { choose, preview, thumbs: [] })
    this.scratch = document.createElement("canvas")
    this.root = el("div", {
      class: "kx-heads",
      role: "radiogroup",
      "aria-label": "Heads: teacher and student of each",
      onkeydown: event => roving(this.root, event, { ArrowLeft: -1, ArrowRight: 1 }),
      onpointerleave: () => preview(undefined),
    })
  }

  build(packs) {
    const key = `${packs[0].numHeads} ${packs.length}`
    if (this.built === key) return
    this.built = key
    this.thumbs = [null, ...Array(packs[0].numHeads).keys()].map(head => this.thumb(head))
    this.root.replaceChildren(...this.thumbs.map(thumb => thumb.item))
  }

  thumb(head) {
    const canvas = el("canvas", { "aria-hidden": "true" })
    const kl = el("span", { class: "kx-kl" })
    const item = el(
      "div",
      {
        role: "radio",
        "data-choice": head ?? "mean",
        onclick: () => this.choose(head),
        onchoose: () => this.choose(head),
        onpointerenter: event => event.pointerType === "mouse" && this.preview(head),
      },
      el("span", {}, head === null ? "mean" : String(head + 1)),
      canvas,
      kl,
    )
    return { head, canvas, kl, item }
  }

  /** Draw what changed; the maps only where pair, moment, filters or colours are not those drawn last. */
  update(packs, state, look) {
    const { pair, moment, hide, renormalise, weak } = state
    const key = JSON.stringify([packs.map(pack => pack.id), pair, moment, hide, renormalise, weak, look.key])
    if (this.drawn !== key) {
      this.drawn = key
      this.drawMaps(packs, state, look)
    }
    for (const { head, item } of this.thumbs) {
      mark(item, "aria-checked", head === state.head)
      mark(item, "tabindex", head === state.head ? 0 : -1)
    }
  }

  drawMaps(packs, state, look) {
    const moments = packs.map(pack => sameMoment(packs[0], state.moment, pack))
    for (const { head, canvas, kl, item } of this.thumbs) {
      thumbnail(head, { packs, state, look, moments, canvas, scratch: this.scratch, pixels })
      const values = packs.map((pack, run) =>
        decimals(klOf(pack, moments[run], state.pair, head), packs.length > 1 ? 2 : 3),
      )
      write(kl, values.join(" · "))
      mark(item, "aria-label", `${headName(head)}, KL ${values.join(" and ")} nats`)
    }
  }
}
