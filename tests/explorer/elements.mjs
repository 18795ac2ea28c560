// What the explorer's own modules ask of a page, as far as a test without a browser needs it.

class Element {
  constructor(tag) {
    Object.assign(this, { tag, attributes: {}, children: [], listeners: {}, textContent: "" })
  }

  setAttribute(name, value) {
    this.attributes[name] = String(value)
  }

  getAttribute(name) {
    return this.attributes[name] ?? null
  }

  addEventListener(kind, act) {
    this.listeners[kind] = act
  }

  append(...children) {
    this.children.push(...children)
  }

  replaceChildren(...children) {
    this.children = children
  }
}

globalThis.document = {
  createElement: tag => new Element(tag),
  createElementNS: (_, tag) => new Element(tag),
}

/** Press a key on an element: what was done about it. */
export function press(element, key) {
  const done = []
  element.listeners.keydown({
    key,
    preventDefault: () => done.push("prevented"),
    stopPropagation: () => done.push("stopped"),
  })
  return done
}
