"""A folder of a store, as a dictionary of files would behave."""

import pytest
import tensorflow as tf

from kliep_tf.errors import UserError
from kliep_tf.stores.addresses import scheme_of
from kliep_tf.stores.folders import open_folder


@pytest.fixture
def folder(address):
    return open_folder(address)


def test_missing_folder_is_empty(folder):
    assert folder.names() == []
    assert not folder.is_file()
    assert folder.read("a") is None
    folder.remove("a")


def test_files_come_back_by_their_names(folder, tmp_path):
    (tmp_path / "file").write_bytes(b"\0content\n")
    folder.put(str(tmp_path / "file"), "deep/er/file.bin")
    folder.put(str(tmp_path / "file"), ".hidden")
    assert folder.names() == [".hidden", "deep/er/file.bin"]
    folder.get("deep/er/file.bin", str(tmp_path / "back"))
    assert (tmp_path / "back").read_bytes() == b"\0content\n"
    folder.remove("deep/er/file.bin")
    assert folder.names() == [".hidden"]


def test_the_newest_content_replaces_a_longer_one(folder, tmp_path):
    for content in (b"a longer one", b"short"):
        (tmp_path / "file").write_bytes(content)
        folder.put(str(tmp_path / "file"), "put")
        folder.write("written", content)
    assert folder.read("put") == folder.read("written") == b"short"


def test_the_address_of_a_file_is_a_folder_of_its_own(
    folder, address, tmp_path
):
    folder.write("model.h5", b"weights")
    file = open_folder(f"{address}/model.h5")
    assert file.is_file() and not folder.is_file()
    file.get("", str(tmp_path / "model.h5"))
    assert (tmp_path / "model.h5").read_bytes() == b"weights"


def test_what_is_not_there_is_an_os_error(folder, tmp_path):
    with pytest.raises(FileNotFoundError):
        folder.get("nothing", str(tmp_path / "nothing"))


@pytest.mark.parametrize(
    ("path", "scheme"),
    [
        ("gs://bucket/a", "gs"),
        ("S3://bucket", "s3"),
        ("/a/b", ""),
        ("a:b", ""),
        ("a/gs://b", ""),
    ],
)
def test_scheme_of_an_address(path, scheme):
    assert scheme_of(path) == scheme


def test_unknown_stores_are_one_line():
    with pytest.raises(UserError, match=r"ftp://a: expected .* gs:// or s3://"):
        open_folder("ftp://a")


def test_a_store_that_does_not_answer_is_not_empty(monkeypatch):
    gfile = tf.io.gfile

    def fail(path):
        raise tf.errors.UnavailableError(None, None, "503")

    monkeypatch.setattr(gfile, "stat", fail)
    folder = open_folder("gs://bucket/run")
    with pytest.raises(OSError, match="503"):
        folder.names()
    with pytest.raises(OSError, match="503"):
        folder.is_file()
