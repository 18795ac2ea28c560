// The little tower: teacher and student layers, layer 1 at the bottom; a matched pair is one choice.
import { klOf, sameMoment } from "./format.js"
import { mark, roving, svg, write } from "./dom.js"
import { decimals } from "./words.js"

const WIDTH = 172
const BOX = 44
const HEAD = 18

export class Tower {
  constructor(choose) {
    this.choose = choose
    this.root = svg("svg", {
      class: "kx-tower",
      role: "radiogroup",
      "aria-label": "Matched layers, layer 1 at the bottom",
      onkeydown: event =>
        roving(this.root, event, { ArrowUp: 1, ArrowDown: -1, ArrowRight: 1, ArrowLeft: -1 }),
    })
    this.built = ""
  }

  /** `height` in css pixels; `scale`: how much larger than usual the letters around it are. */
  build(packs, height, scale) {
    const { pairs, about } = packs[0]
    const key = JSON.stringify([
      pairs,
      about.teacher_layers,
      about.student_layers,
      height,
      scale,
      packs.map(pack => pack.about.colour),
    ])
    if (key === this.built) return
    this.built = key
    mark(this.root, "width", WIDTH * scale)
    mark(this.root, "height", height)
    const width = BOX * scale
    const head = HEAD * scale
    const room = height - head - 4
    const middle = (layer, count) => head + room - ((layer + 0.5) * room) / count
    const tall = count => Math.min(26 * scale, room / count - 3)
    const box = (x, layer, count, kind) =>
      svg(
        "g",
        { class: kind },
        svg("rect", { x, y: middle(layer, count) - tall(count) / 2, width, height: tall(count), rx: 4 }),
        svg("text", { x: x + width / 2, y: middle(layer, count) }, String(layer + 1)),
      )
    const matched = new Set(pairs.map(pair => pair[1]))
    const right = (BOX + 34) * scale
    const numbersAt = right + width + (packs.length > 1 ? 4 + 10 * scale : 5)
    const others = Array.from({ length: about.teacher_layers }, (_, layer) => layer).filter(
      layer => !matched.has(layer),
    )
    this.numbers = []
    this.choices = pairs.map(([student, teacher], pair) => {
      const from = middle(teacher, about.teacher_layers)
      const to = middle(student, about.student_layers)
      const two = packs.length > 1
      const at = run => to + (two ? (run - 0.5) * 13 * scale : 0)
      const numbers = packs.map((_, run) => svg("text", { class: "kx-kl", x: numbersAt, y: at(run) }))
      const badges = two
        ? packs.map((pack, run) =>
            svg("rect", {
              class: "kx-badge",
              x: right + width + 4,
              y: at(run) - 3.5 * scale,
              width: 7 * scale,
              height: 7 * scale,
              style: `fill: ${pack.about.colour}`,
            }),
          )
        : []
      this.numbers.push(numbers)
      return svg(
        "g",
        {
          role: "radio",
          "data-choice": pair,
          onclick: () => this.choose(pair),
          onchoose: () => this.choose(pair),
          onkeydown: event => {
            if (event.key === "Enter" || event.key === " ") {
              event.preventDefault()
              event.stopPropagation()
              this.choose(pair)
            }
          },
        },
        svg("rect", {
          class: "kx-touch",
          x: 0,
          y: Math.min(from, to) - 12,
          width: WIDTH * scale,
          height: Math.abs(from - to) + 24,
        }),
        svg("line", { x1: width, y1: from, x2: right, y2: to }),
        box(0, teacher, about.teacher_layers, "kx-teacher"),
        box(right, student, about.student_layers, "kx-student"),
        ...badges,
        ...numbers,
      )
    })
    this.root.replaceChildren(
      ...[
        [0, "teacher"],
        [right, "student"],
      ].map(([x, who]) => svg("text", { class: "kx-who", x: x + width / 2, y: head / 2 }, who)),
      ...others.map(layer => box(0, layer, about.teacher_layers, "kx-other")),
      ...this.choices,
    )
  }

  update(packs, state) {
    this.choices.forEach((choice, pair) => {
      const [student, teacher] = packs[0].pairs[pair]
      const values = packs.map(pack =>
        decimals(klOf(pack, sameMoment(packs[0], state.moment, pack), pair, null)),
      )
      values.forEach((value, run) => write(this.numbers[pair][run], value))
      mark(choice, "aria-checked", pair === state.pair)
      mark(choice, "tabindex", pair === state.pair ? 0 : -1)
      mark(
        choice,
        "aria-label",
        `student layer ${student + 1}, teacher layer ${teacher + 1}, KL ${values.join(" and ")} nats`,
      )
    })
  }
}
