// Brings one packed sentence to the browser, which keeps the last few: nothing to see here.
const MOST = 12

export default function ({ data }) {
  if (!data?.length) return
  const store = (globalThis.kdvizPacks ??= new Map())
  const length = new DataView(data.buffer, data.byteOffset).getUint32(4, true)
  const { id } = JSON.parse(new TextDecoder().decode(data.subarray(8, 8 + length)))
  const known = store.get(id)
  store.delete(id)
  store.set(id, known ?? data.slice())
  while (store.size > MOST) store.delete(store.keys().next().value)
  if (!known) dispatchEvent(new CustomEvent("kdviz-pack"))
}
