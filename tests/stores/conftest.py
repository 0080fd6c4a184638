"""Two stores in the memory of the process: TensorFlow's and fsspec's."""

import pytest
import tensorflow as tf

from kliep_tf.stores import lease
from kliep_tf.stores.folders import open_folder


@pytest.fixture(params=["ram", "memory"])
def address(request):
    """The address of a folder that is not there yet."""
    bucket = f"{request.param}://bucket"
    yield f"{bucket}/some/folder"
    folder = open_folder(bucket)
    for name in folder.names():
        folder.remove(name)
    if request.param == "ram" and tf.io.gfile.isdir(bucket):
        tf.io.gfile.rmtree(bucket)


@pytest.fixture(autouse=True)
def settle_at_once(monkeypatch):
    """Stores in memory need no moment until all have read what one wrote."""
    monkeypatch.setattr(lease, "_SECONDS_TO_SETTLE", 0.0)
