"""One shard translated, wherever: here, or by a worker of another machine."""

import dataclasses
import functools
import os
import uuid
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from kliep_tf import runs
from kliep_tf.data import records
from kliep_tf.data.class_sets import ClassSet
from kliep_tf.data.png import encode_png
from kliep_tf.translation.shards import (
    Manner,
    TranslatedImage,
    Translator,
    load_translator,
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class ShardWork:
    """How shards are translated; it travels to workers whole.

    Attributes:
        saved_model: the SavedModel's directory.
        fingerprint: of its files.
        manner: how it is called.
        image_format: of the translated images, "png" or "jpeg".
        output_dir: where the translated shard goes, under its name.
        png_dir: where images/ and labels/ go as files too; "" for nowhere.
        weights: to be attached, by filename; None keeps those there are.
        classes: of the labels.
    """

    saved_model: str
    fingerprint: str
    manner: Manner
    image_format: str
    output_dir: str
    png_dir: str
    weights: Mapping[str, float] | None
    classes: ClassSet

    def load(self) -> Translator:
        """Returns the translator, which is loaded once in a process.

        Raises:
            UserError: the directory holds no SavedModel that translates.
        """
        return _load(self.saved_model, self.manner, self.fingerprint)

    def translate(
        self, path: str, count: Callable[[], object], attempt: str = ""
    ) -> int:
        """Translates one shard; returns the number of its images.

        Args:
            path: of the shard.
            count: called once for each image.
            attempt: see `records.write_shard`.

        Raises:
            UserError: the SavedModel or an example cannot be used.
        """
        examples = self._examples(path, count, attempt)
        return records.write_shard(
            output_path(self.output_dir, path), examples, attempt
        )

    def translate_apart(self, path: str) -> int:
        """Translates one shard, which others may be translating too."""
        attempt = f".{uuid.uuid4().hex}"
        return self.translate(path, lambda: None, attempt)

    def _examples(
        self, path: str, count: Callable[[], object], attempt: str
    ) -> Iterator[bytes]:
        images = self.load().translate_shard(path, self.image_format)
        for translated in images:
            example = records.replace_image(
                translated.serialized, translated.encoded, self.image_format
            )
            if self.weights is not None:
                weight = self.weights[translated.filename]
                example = records.append_weight(example, weight)
            if self.png_dir:
                self._write_pngs(translated, path, attempt)
            yield example
            count()

    def _write_pngs(
        self, translated: TranslatedImage, shard: str, attempt: str
    ) -> None:
        """Writes images/NAME.png and, if there is a label, labels/NAME.png."""
        directory = Path(self.png_dir)
        name = f"{translated.filename}.png"
        image_path = directory / "images" / name
        image_path.parent.mkdir(exist_ok=True)
        encoded = translated.as_png(self.image_format)
        runs.write_atomically(image_path, encoded, attempt)
        label = translated.decode_label(self.classes, shard)
        if label is not None:
            label_path = directory / "labels" / name
            label_path.parent.mkdir(exist_ok=True)
            encoded = encode_png(
                self.classes.raw_ids()[label], self.classes.palette()
            )
            runs.write_atomically(label_path, encoded, attempt)


def output_path(output_dir: str, path: str) -> Path:
    """Returns where the translation of a shard goes."""
    return Path(output_dir) / os.path.basename(path)


@functools.lru_cache(maxsize=1)
def _load(path: str, manner: Manner, fingerprint: str) -> Translator:
    del fingerprint  # of the key alone: a model made anew is loaded anew
    return load_translator(path, manner)
