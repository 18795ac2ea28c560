// Brings the pictures of a file to life: reads the packs that lie in it, deflated; shows the chosen sentence.
import { Explorer } from "./explorer.js"
import { unpack } from "./format.js"

async function unpacked(element) {
  const bytes = Uint8Array.from(atob(element.textContent.trim()), letter => letter.charCodeAt(0))
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"))
  return unpack(new Uint8Array(await new Response(stream).arrayBuffer()))
}

for (const place of document.querySelectorAll("[data-kdviz-explorer]")) {
  const {
    palette,
    options,
    look: opening,
    sentences,
  } = JSON.parse(place.querySelector("script[type='application/json']").textContent)
  const stored = [...place.querySelectorAll("script[type='text/plain']")]
  const known = new Map()
  const packOf = id =>
    known.get(id) ?? known.set(id, unpacked(stored.find(element => element.dataset.pack === id))).get(id)
  const picture = place.querySelector("[data-picture]")
  const choice = place.querySelector("select")
  picture.explorer = new Explorer(picture, { palette, options })
  const show = async look => {
    const number = Number(choice?.value ?? 0)
    const packs = await Promise.all(sentences[number].packs.map(packOf))
    if (number === Number(choice?.value ?? 0)) picture.explorer.show(packs, look)
  }
  choice?.addEventListener("change", () => show(null))
  show(opening)
}
