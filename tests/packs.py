"""Reading back what a page or a report gives to the explorer, in Python: the check of the other side."""

import base64
import json
import re
import struct
import zlib

import numpy as np

KINDS = {"codes": np.uint8, "fine": np.int8, "peaks": "<u2", "row_kl": "<f4"}


class Pack:
    """A pack, decoded by its own description. `map` of the teacher is that of moment None."""

    def __init__(self, packed: bytes):
        assert packed[:4] == b"KDX1"
        (length,) = struct.unpack_from("<I", packed, 4)
        self.header = json.loads(packed[8 : 8 + length])
        start = 8 + length + (-length % 4)
        self.arrays = {
            name: np.frombuffer(packed, KINDS.get(name) or KINDS[name.split("_")[1]], count, start + place)
            for name, (place, count) in self.header["sections"].items()
        }
        self.num_tokens, self.num_heads = len(self.header["tokens"]), self.header["num_heads"]

    def map(self, moment: int | None, pair: int, head: int | None) -> np.ndarray:
        """(query, key) probabilities, NaN in a row that is not finite; head None: the mean of the heads."""
        who, n = "teacher" if moment is None else "student", self.num_tokens
        place = self._place(moment or 0, pair, head)
        codes = self.arrays[f"{who}_codes"].reshape(-1, n, n)[place].astype(float)
        if f"{who}_fine" in self.arrays:
            codes = codes + self.arrays[f"{who}_fine"].reshape(-1, n, n)[place] / 254
        peaks = self.arrays[f"{who}_peaks"].reshape(-1, n)[place].astype(float)
        peaks[(peaks == 0) & codes.any(axis=-1)] = np.nan
        return codes * peaks[:, None] / (255 * 65535)

    def rows(self, moment: int, pair: int, head: int | None) -> np.ndarray:
        return self.arrays["row_kl"].reshape(-1, self.num_tokens)[self._place(moment, pair, head)]

    def _place(self, moment: int, pair: int, head: int | None) -> int:
        heads = self.num_heads + 1
        return (moment * len(self.header["pairs"]) + pair) * heads + (
            self.num_heads if head is None else head
        )


def pictures(app) -> tuple[dict, list[Pack]]:
    """What an AppTest page gives to its picture: the settings, and the packs in their order."""
    parts = [element.proto for element in app.get("bidi_component")]
    [settings] = next(json.loads(part.json) for part in parts if '"packs"' in part.json)
    packs = [Pack(part.bytes) for part in parts if part.bytes]
    return settings, sorted(packs, key=lambda pack: settings["packs"].index(pack.header["id"]))


def came_to_rest(app, look: dict) -> None:
    """Run the page as when its picture has told that the visitor has come to rest at `look`."""
    [part] = [each.proto for each in app.get("bidi_component") if '"packs"' in each.proto.json]
    widgets = app._tree.get_widget_states()
    widgets.widgets.add(id=part.id, json_value=json.dumps({"look": look}))
    app._run(widgets)


def pictures_in(html: str) -> list[list[list[Pack]]]:
    """The pictures of a file: of each its sentences, of each sentence its packs."""
    packs = {
        name: Pack(zlib.decompress(base64.b64decode(text)))
        for name, text in re.findall(r'data-pack="(\w+)">([^<]*)<', html)
    }
    found = re.findall(
        r'<div data-kdviz-explorer>.*?<script type="application/json">(.*?)</script>', html, re.DOTALL
    )
    return [
        [[packs[name] for name in sentence["packs"]] for sentence in json.loads(text)["sentences"]]
        for text in found
    ]
