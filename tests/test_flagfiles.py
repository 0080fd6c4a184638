import pytest

from kliep_tf.errors import UserError
from kliep_tf.flagfiles import expand


@pytest.fixture
def write(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def write_file(name, content):
        content = content if isinstance(content, bytes) else content.encode()
        (tmp_path / name).write_bytes(content)

    return write_file


def test_flags_of_files_come_first_and_nested_ones_in_their_place(write):
    write("outer", "# a comment\n\n--a=1\n--flagfile=inner\n  --c=3 \n// end")
    write("inner", "--b=2\n")
    words = ["program", "--a=7", "--flagfile=outer", "--d", "4"]
    assert expand(words) == [
        *("program", "--a=1", "--b=2", "--c=3"),
        *("--a=7", "--d", "4"),
    ]
    assert expand(["", "--flagfile", "inner"]) == ["", "--b=2"]


def test_byte_order_mark_is_no_flag(write):
    write("marked", b"\xef\xbb\xbf--a=1\r\n--b=\xc3\xa4\r\n")
    assert expand(["", "--flagfile=marked"]) == ["", "--a=1", "--b=\u00e4"]


def test_one_file_twice_is_no_circle(write):
    write("common", "--a=1\n")
    write("twice", "--flagfile=common\n--flagfile=common\n")
    assert expand(["", "--flagfile=twice"]) == ["", "--a=1", "--a=1"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"--a=\xe4\n", "expected text in UTF-8"),
        ("--a=1\n".encode("utf-16"), "expected text in UTF-8"),
        ("--a=1\n".encode("utf-16-le"), "expected text in UTF-8"),
        (b"--a=1\nb=2\n", "line 2: expected --flag=value, found 'b=2'"),
        (b"--flagfile=./some.flags\n", "found one that names itself"),
        (b"--flagfile=missing\n", "missing: expected a file"),
        (b"--flagfile=.\n", "expected a file, found: Is a directory"),
    ],
)
def test_flagfile_of_another_kind_is_one_line(write, content, message):
    write("some.flags", content)
    with pytest.raises(UserError, match=message) as error:
        expand(["program", "--flagfile=some.flags"])
    assert "\n" not in str(error.value)
