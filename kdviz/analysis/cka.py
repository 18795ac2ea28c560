"""Linear centred kernel alignment: where in the teacher a student's layer sits. Kornblith et al., ICML 2019,
equation 3.
"""

from collections.abc import Sequence

import numpy as np

FEW_EXAMPLES = 200
"""Over fewer examples vectors that have nothing to do with each other are alike too. MiniLM's own [CLS]
vectors, shuffled among the sentences, come to 0.1 over 400 of them, 0.2 over 200, 0.4 over 50 and 0.8 over 8.
"""


class RunningCka:
    """Similarity, 0 to 1, of every student layer with every teacher layer, (student layers, teacher layers),
    over examples that come in batches, in any order, without keeping them. Blind to rotations and to one
    common scale of either side; 0 where a side does not vary, and so has no direction to compare; NaN where
    features are not finite.

    Linear CKA needs the features only through the products XᵀX, YᵀY and XᵀY of the centred features. These
    are summed as examples come, CHUNK of them at a time, so the memory depends on the layers' widths and not
    on the number of examples: of all of QQP's 40,430 questions with 12 + 6 layers of 768, some 0.3 GB instead
    of 2.2. Features are taken relative to the mean of the first chunk, so that subtracting the means at the
    end costs no precision.
    """

    CHUNK = 1024

    def __init__(self) -> None:
        self._waiting: list[list[np.ndarray]] = []
        self._num_waiting = self._num = 0
        self._shift: list[np.ndarray] = []
        self._sums: list[np.ndarray] = []
        self._own: list[np.ndarray] = []
        self._cross: list[list[np.ndarray]] = []
        self._num_students = 0

    def add(self, student_features: Sequence[np.ndarray], teacher_features: Sequence[np.ndarray]) -> None:
        """Take in a batch: (batch, d) of every student layer and of every teacher layer."""
        self._num_students = len(student_features)
        layers = [np.asarray(layer) for layer in (*student_features, *teacher_features)]
        layers = [layer.astype(np.result_type(layer.dtype, np.float32), copy=False) for layer in layers]
        self._waiting.append(layers)
        self._num_waiting += len(layers[0])
        if self._num_waiting >= self.CHUNK:
            self._take_in()

    def matrix(self) -> np.ndarray:
        """The table of everything that came: (student layers, teacher layers). A side that does not vary over
        the examples has no direction to compare: 0.
        """
        self._take_in()
        num, students = self._num, self._num_students
        own = [
            float(np.linalg.norm(product - np.outer(total, total / num)))
            for product, total in zip(self._own, self._sums)
        ]
        table = np.zeros((students, len(own) - students))
        for row, products in enumerate(self._cross):
            for column, product in enumerate(products):
                scale = own[row] * own[students + column]
                if not np.isfinite(scale):
                    table[row, column] = np.nan
                elif scale > np.finfo(np.float64).tiny:
                    centred = product - np.outer(self._sums[row], self._sums[students + column] / num)
                    table[row, column] = np.clip(np.linalg.norm(centred) ** 2 / scale, 0.0, 1.0)
        return table

    def _take_in(self) -> None:
        """Add the waiting examples to the sums."""
        if not self._waiting:
            return
        layers = [np.concatenate(parts) for parts in zip(*self._waiting)]
        self._waiting, self._num_waiting = [], 0
        if not self._shift:
            self._shift = [layer.mean(axis=0, dtype=np.float64).astype(layer.dtype) for layer in layers]
            self._sums = [np.zeros(layer.shape[1]) for layer in layers]
            self._own = [np.zeros((layer.shape[1],) * 2, layer.dtype) for layer in layers]
            self._cross = [
                [
                    np.zeros((student.shape[1], teacher.shape[1]), np.result_type(student, teacher))
                    for teacher in layers[self._num_students :]
                ]
                for student in layers[: self._num_students]
            ]
        layers = [layer - shift for layer, shift in zip(layers, self._shift)]
        self._num += len(layers[0])
        for total, product, layer in zip(self._sums, self._own, layers):
            total += layer.sum(axis=0, dtype=np.float64)
            product += layer.T @ layer
        for row, products in enumerate(self._cross):
            for column, product in enumerate(products):
                product += layers[row].T @ layers[self._num_students + column]
