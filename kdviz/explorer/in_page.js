// The picture as a component of the page. The page may be made anew at any time: this is then called again,
// with the same place to draw in, and goes on with the picture that is there.
import { Explorer } from "./explorer.js"
import { unpack } from "./format.js"

const pictures = new WeakMap()
const store = (globalThis.kdvizPacks ??= new Map())

class Picture {
  constructor(parent, { palette, options }) {
    // The serial with it: the page hears nothing that is word for word what it heard last, as after Back.
    const onLook = look => this.tell("look", { ...look, serial: this.serial })
    this.explorer = new Explorer(parent, { palette, options, onLook })
    const place = parent.host ?? parent
    place.explorer = this.explorer
    this.update = () => this.arrive()
    addEventListener("kdviz-pack", this.update)
  }

  want(data) {
    this.data = data
    Object.assign(this.explorer.options, data.options)
    this.arrive()
  }

  /** Draw what is wanted, once all of its packs are here; until then what was there stays. */
  arrive() {
    const { packs: ids, look, serial } = this.data
    if (!ids.every(id => store.has(id))) return
    const asked = serial !== this.serial ? look : null
    const names = ids.join()
    if (names !== this.names) {
      this.explorer.show(
        ids.map(id => {
          const kept = store.get(id)
          return kept instanceof Uint8Array ? store.set(id, unpack(kept)).get(id) : kept
        }),
        asked,
      )
    } else if (asked) this.explorer.look(asked)
    else this.explorer.draw()
    this.names = names
    this.serial = serial
  }

  end() {
    removeEventListener("kdviz-pack", this.update)
    this.explorer.destroy()
  }
}

export default function ({ data: [data], parentElement, setStateValue }) {
  if (!pictures.has(parentElement)) pictures.set(parentElement, new Picture(parentElement, data))
  const picture = pictures.get(parentElement)
  const turn = (picture.turn ?? 0) + 1
  picture.turn = turn
  picture.tell = setStateValue
  picture.want(data)
  return () => {
    if (picture.turn !== turn) return
    picture.end()
    pictures.delete(parentElement)
  }
}
