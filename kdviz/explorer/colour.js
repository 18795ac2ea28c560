// Colours: ramps of 256 steps from a few, and what reads on them. Pure.

const parts = colour => [1, 3, 5].map(at => parseInt(colour.slice(at, at + 2), 16))

/** 256 colours evenly along a list of `#RRGGBB`: as css texts, and as pixels (little-endian RGBA). */
export function ramp(colours) {
  const css = []
  const pixels = new Uint32Array(256)
  for (let step = 0; step < 256; step++) {
    const at = (step / 255) * (colours.length - 1)
    const below = Math.min(Math.floor(at), colours.length - 2)
    const low = parts(colours[below])
    const high = parts(colours[below + 1])
    const [r, g, b] = low.map((each, i) => Math.round(each + (high[i] - each) * (at - below)))
    css.push(`rgb(${r},${g},${b})`)
    pixels[step] = ((255 << 24) | (b << 16) | (g << 8) | r) >>> 0
  }
  return { css, pixels }
}

/** The step of a ramp for a value: sequential from 0 to `limit`, or diverging from −limit to limit. */
export const stepOf = (value, limit, diverging) => {
  const share = diverging ? 0.5 + value / (2 * limit) : value / limit
  return Math.min(255, Math.max(0, Math.round(255 * share)))
}

/** Whether a css colour (`rgb(…)` or `#RRGGBB`) is dark. */
export function isDark(colour) {
  const found = colour.trim().startsWith("#")
    ? parts(colour.trim())
    : (colour.match(/[\d.]+/g) || [255, 255, 255]).map(Number)
  return 0.2126 * found[0] + 0.7152 * found[1] + 0.0722 * found[2] < 128
}

/** The colour of a run in the picture. */
export const colourOf = (pack, look) => pack.about.colour || look.text
