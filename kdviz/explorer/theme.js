// Colours and type of the page around the picture, in the theme it has now.
import { isDark, ramp } from "./colour.js"

const NARROW = 620

export const isNarrow = () => innerWidth < NARROW

/** What to draw with, read from `root`'s style; the same object as long as nothing of it changed.
 * `palette`: {light, dark} of {sequential, diverging, grid, muted, text}, and `teacher`. */
export class Theme {
  constructor(root, palette) {
    Object.assign(this, { root, palette })
  }

  look() {
    const style = getComputedStyle(this.root)
    const value = (name, other) => style.getPropertyValue(name).trim() || other
    const background = value("--st-background-color", "#FFFFFF")
    const key = `${background} ${style.fontFamily} ${style.fontSize} ${isNarrow()}`
    if (this.now?.key === key) return this.now
    const dark = isDark(background)
    const theme = this.palette[dark ? "dark" : "light"]
    this.now = {
      key,
      background,
      dark,
      text: value("--st-text-color", theme.text),
      muted: theme.muted,
      grid: theme.grid,
      teacher: this.palette.teacher,
      font: style.fontFamily,
      size: parseFloat(style.fontSize) * (isNarrow() ? 0.8 : 0.9),
      sequential: ramp(theme.sequential),
      diverging: ramp(theme.diverging),
    }
    this.root.style.setProperty("--kx-muted", theme.muted)
    this.root.style.setProperty("--kx-grid", theme.grid)
    this.root.style.setProperty("--kx-teacher", this.palette.teacher)
    return this.now
  }
}
