"""Features brought to the scale on which they are compared.

Both domains are scaled together. Each by its own mean and deviation would
remove the very difference that the density ratio is about.
"""

import dataclasses
from collections.abc import Mapping

import numpy as np

from kliep_tf.errors import UserError

SCALINGS = ("raw", "standardize", "pca")

_MAX_COMPONENTS = 50
_PREFIX = "scaling_"


@dataclasses.dataclass(frozen=True)
class FeatureScaling:
    """An affine map of features, fitted once and kept with the weights.

    Attributes:
        kind: one of SCALINGS, for people.
        offset: [d] float64, subtracted first.
        divisor: [d] float64, positive, divides then.
        components: [d, k] float64, columns projected on at last, or None.
    """

    kind: str
    offset: np.ndarray
    divisor: np.ndarray
    components: np.ndarray | None = None

    def apply(self, values: np.ndarray) -> np.ndarray:
        """Returns float32 [N, k], the scaled features.

        Args:
            values: [N, d], of either domain or of new images.

        Raises:
            UserError: the number of columns is not d, or a value is not
                finite.
        """
        values = _checked("features", values)
        if values.shape[1] != len(self.offset):
            raise UserError(
                f"features: expected {len(self.offset)} columns, as in the "
                f"features that were scaled first, found {values.shape[1]}"
            )
        scaled = (values - self.offset) / self.divisor
        if self.components is not None:
            scaled = scaled @ self.components
        return scaled.astype(np.float32)

    def to_arrays(self) -> dict[str, np.ndarray]:
        """Returns what `from_arrays` needs, for a weights file."""
        arrays = {
            "kind": np.asarray(self.kind),
            "offset": self.offset,
            "divisor": self.divisor,
        }
        if self.components is not None:
            arrays["components"] = self.components
        return {_PREFIX + name: value for name, value in arrays.items()}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> "FeatureScaling":
        """Returns the scaling among a weights file's arrays.

        Raises:
            UserError: there is none.
        """
        try:
            return cls(
                kind=str(arrays[_PREFIX + "kind"]),
                offset=np.asarray(arrays[_PREFIX + "offset"]),
                divisor=np.asarray(arrays[_PREFIX + "divisor"]),
                components=arrays.get(_PREFIX + "components"),
            )
        except KeyError as error:
            raise UserError(
                f"weights: expected the array {error.args[0]}, found "
                f"{', '.join(sorted(arrays)) or 'none'}"
            ) from None


def fit_scaling(
    source_values: np.ndarray, target_values: np.ndarray, kind: str
) -> FeatureScaling:
    """Returns the scaling of both domains' features.

    Args:
        source_values: [N_s, d].
        target_values: [N_t, d].
        kind: "raw" leaves the features as they are; "standardize" gives the
            pooled features mean 0 and deviation 1 (constant ones become 0);
            "pca" projects them on their leading components, 50 at most.

    Raises:
        UserError: the kind is unknown, the widths differ, or a value is not
            finite.
    """
    source = _checked("source features", source_values)
    target = _checked("target features", target_values)
    if source.shape[1] != target.shape[1]:
        raise UserError(
            f"features: expected the same columns in both domains, found "
            f"{source.shape[1]} (source) and {target.shape[1]} (target)"
        )
    width = source.shape[1]
    zeros, ones = np.zeros(width), np.ones(width)
    if kind == "raw":
        return FeatureScaling(kind, zeros, ones)
    pooled = np.concatenate([source, target])
    mean = pooled.mean(axis=0)
    if kind == "standardize":
        return FeatureScaling(kind, mean, _deviation(pooled))
    if kind == "pca":
        return FeatureScaling(kind, mean, ones, _leading(pooled - mean))
    raise UserError(f"scaling: expected {', '.join(SCALINGS)}, found {kind!r}")


def _deviation(pooled: np.ndarray) -> np.ndarray:
    """Returns [d]: the columns' deviations, 1 for constant columns."""
    deviation = pooled.std(axis=0)
    # Rounding leaves a constant 0.1 a deviation of 1e-17.
    constant = deviation <= 1e-9 * np.abs(pooled).max(axis=0)
    return np.where(constant, 1.0, deviation)


def _leading(centered: np.ndarray) -> np.ndarray:
    """Returns [d, k]: the orthonormal directions of greatest variance."""
    covariance = centered.T @ centered / len(centered)
    variances, directions = np.linalg.eigh(covariance)  # ascending
    directions = directions[:, ::-1][:, :_MAX_COMPONENTS]
    variances = variances[::-1][:_MAX_COMPONENTS]
    kept = variances > 1e-12 * max(variances[0], 0.0)
    # If nothing varies at all, one direction is as good as another.
    directions = directions[:, kept] if kept.any() else directions[:, :1]
    # A direction and its opposite are the same: the largest entry decides.
    largest = np.argmax(np.abs(directions), axis=0)
    return directions * np.sign(
        directions[largest, np.arange(directions.shape[1])]
    )


def _checked(name: str, values: np.ndarray) -> np.ndarray:
    """Returns the values as float64 [N, d]."""
    values = np.asarray(values, np.float64)
    if values.ndim != 2 or not values.size:
        raise UserError(
            f"{name}: expected an array [N, d], found {list(values.shape)}"
        )
    if not np.isfinite(values).all():
        row, column = np.argwhere(~np.isfinite(values))[0]
        raise UserError(
            f"{name}: expected finite values, found {values[row, column]} in "
            f"row {row}, column {column}"
        )
    return values
