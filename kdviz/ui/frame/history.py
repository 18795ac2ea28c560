"""Back undoes the last choice, in one press.

Streamlit makes an entry of the browser's history of every address it writes. Those that nobody chose would
be stations at which Back seems to do nothing: a page's bare address before its view is known, a link that was
put right, the place where a playing picture came to rest. They replace the entry before them instead. Only
the address that opened the app may have been left behind before the script stood: Back goes on past it.

After a walk through the history, until the next choice, an entry that has its address keeps it: what is still
written then is the answer to an entry that a quicker Back has left already, and would take the way forward.
"""

from functools import cache

import streamlit as st

_SCRIPT = """
export default function() {
  if (window.kdvizHistory) return
  window.kdvizHistory = true
  const opened = new URL(performance.getEntriesByType("navigation")[0].name)
  const isStation = location.search !== "" && opened.search === "" && opened.pathname === location.pathname
  let chosen = false, walking = false
  const isWalk = event =>
    event.altKey || event.metaKey || event.button > 2 || /^Browser/.test(event.key ?? "")
  const choose = event => {
    if (isWalk(event)) return
    chosen = chosen || event.type !== "click" || event.detail === 0
    if (chosen) walking = false
  }
  for (const kind of ["pointerdown", "keydown", "click"]) window.addEventListener(kind, choose, true)
  window.addEventListener("popstate", event => {
    chosen = false
    walking = true
    if (!isStation || location.search !== "" || location.pathname !== opened.pathname) return
    event.stopImmediatePropagation()
    history.back()
  }, true)
  const push = history.pushState.bind(history)
  history.pushState = (state, title, address) => {
    const isSamePage = new URL(address, location.href).pathname === location.pathname
    if (walking && (location.search !== "" || !isSamePage)) return
    if (chosen || !isSamePage) push(state, title, address)
    else history.replaceState(state, title, address)
    chosen = false
  }
}
"""
_PLACE = "kdviz_history"
_UNSEEN = f"<style>.st-key-{_PLACE} {{ display: none }}</style>"


@cache
def _component():
    return st.components.v2.component("kdviz_history", js=_SCRIPT)


def one_entry_a_choice() -> None:
    """Let the browser's history hold what the visitor chose. Before anything writes an address."""
    st.html(_UNSEEN)
    with st.container(key=_PLACE):
        _component()(key="kdviz.history", height=1)
