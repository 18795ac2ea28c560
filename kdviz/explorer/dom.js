// Elements without markup: what is written is always a text node.

const SVG = "http://www.w3.org/2000/svg"

function dress(element, values, children) {
  for (const [name, value] of Object.entries(values)) {
    if (value === null || value === undefined || value === false) continue
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value)
    else element.setAttribute(name, value === true ? "" : value)
  }
  element.append(...children.filter(child => child !== null && child !== undefined))
  return element
}

export const el = (tag, values = {}, ...children) => dress(document.createElement(tag), values, children)
export const svg = (tag, values = {}, ...children) =>
  dress(document.createElementNS(SVG, tag), values, children)

/** Write only what changed: a page that is not touched does not flicker, and is not read out again. */
export function write(element, words) {
  if (element.textContent !== words) element.textContent = words
}

export function mark(element, name, value) {
  if (element.getAttribute(name) !== String(value)) element.setAttribute(name, value)
}

/** Move the one tab stop of a group of choices with the arrow keys. */
export function roving(group, event, keys) {
  const items = [...group.querySelectorAll("[data-choice]")]
  const here = items.indexOf(event.target.closest("[data-choice]"))
  const step = keys[event.key]
  if (here < 0 || step === undefined) return false
  event.preventDefault()
  event.stopPropagation()
  const next = items[Math.min(Math.max(here + step, 0), items.length - 1)]
  next.focus()
  next.dispatchEvent(new Event("choose"))
  return true
}

export function save(blob, name) {
  const link = el("a", { href: URL.createObjectURL(blob), download: name })
  link.click()
  setTimeout(() => URL.revokeObjectURL(link.href), 10000)
}
