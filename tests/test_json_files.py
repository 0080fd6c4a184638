"""What is wrong with a JSON file is one line that names the file."""

import json

import pytest

from kliep_tf.errors import DataError
from kliep_tf.json_files import Maybe, read_json

SCHEMA = {
    "name": str,
    "number": float,
    "whole": Maybe(int),
    "list": Maybe([bool]),
    "table": Maybe({str: {"inner": int}}),
}


def error_of(path, text, schema=SCHEMA):
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(DataError) as error:
        read_json(path, "a thing", schema)
    message = str(error.value)
    assert message.startswith(f"{path}: expected a thing")
    assert "\n" not in message
    assert len(message) < len(str(path)) + 200
    return message.removeprefix(f"{path}: expected a thing")


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", "found no JSON (Expecting value"),
        ('{"name": "a", "num', "found no JSON (Unterminated string"),
        (b'{"name": "\xff"}', "found text that is not UTF-8"),
        ('{"a": 1, "a": 2}', "found the key 'a' twice"),
        ('{"a": NaN}', "found the number NaN"),
        ('{"a": 1e999}', "found the number 1e999"),
        (f'{{"a": 1{"0" * 400}}}', "found the number 1000000"),
        (f'{{"a": 1{"0" * 9000}}}', "found the number 1000000"),
        ("[" * 100 + "]" * 100, "found values nested too deeply"),
        ("[" * 99999 + "]" * 99999, "found values nested too deeply"),
    ],
)
def test_what_is_no_json(tmp_path, text, found):
    assert found in error_of(tmp_path / "x.json", text)


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ({"name": 3}, "name: expected text, found 3"),
        ({"number": "3"}, "number: expected a number, found '3'"),
        ({"number": True}, "number: expected a number, found true or false"),
        ({"whole": 1.5}, "whole: expected a whole number, found 1.5"),
        ({"list": [True, 1]}, "list[1]: expected true or false, found 1"),
        ({"list": {}}, "list: expected a list, found an object"),
        ({"table": {"a": {}}}, "table.a: expected the key inner, found none"),
        ({"table": {"a": 7}}, "table.a: expected an object, found 7"),
    ],
)
def test_what_is_no_such_thing(tmp_path, change, found):
    value = {"name": "a", "number": 1} | change
    assert error_of(tmp_path / "x.json", json.dumps(value)) == f"; {found}"


def test_missing_key_and_other_kinds_of_values(tmp_path):
    path = tmp_path / "x.json"
    found = error_of(path, '{"name": "a"}')
    assert found == "; in it: expected the key number, found name"
    assert error_of(path, "3") == "; in it: expected an object, found 3"


def test_what_fits_is_read_with_keys_that_nobody_asked_for(tmp_path):
    value = {"name": "ä", "number": 2, "whole": None, "more": [1.5]}
    path = tmp_path / "x.json"
    path.write_text(json.dumps(value, ensure_ascii=False), "utf-8-sig")
    assert read_json(path, "a thing", SCHEMA) == value
