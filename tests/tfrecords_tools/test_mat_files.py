"""MATLAB's files as SciPy writes them are read; damaged ones are refused."""

import hypothesis
import numpy as np
import pytest
import scipy.io

from tests.faults.damage import MUTATIONS, mutate
from tfrecords_tools.mat_files import read_numbers

VARIABLES = {
    "trainIds": np.arange(1, 300)[:, None],
    "valIds": np.array([[7.0], [8.0]]),  # stored as bytes would do
    "oneId": np.array([[70000]], np.uint32),
    "empty": np.zeros((0, 1)),
    "halves": np.array([[0.5, 1.5]], np.float32),
}


@pytest.mark.parametrize("packed", [False, True])
def test_numbers_are_those_that_scipy_wrote(tmp_path, packed):
    path = tmp_path / "split.mat"
    others = {"text": "hello", "complex": np.array([1j]), "cells": [1, "a"]}
    scipy.io.savemat(path, VARIABLES | others, do_compression=packed)
    found = read_numbers(path)
    assert found.keys() == VARIABLES.keys()
    for name, values in VARIABLES.items():
        np.testing.assert_array_equal(found[name], values.ravel())


@pytest.mark.parametrize("packed", [False, True])
def test_damaged_files_are_read_or_refused(tmp_path, packed):
    path = tmp_path / "split.mat"
    scipy.io.savemat(path, VARIABLES, do_compression=packed)
    whole, refused = path.read_bytes(), []

    @hypothesis.settings(max_examples=300, derandomize=True, deadline=None)
    @hypothesis.given(MUTATIONS)
    def check(mutation):
        path.write_bytes(mutate(whole, mutation))
        try:
            read_numbers(path)
        except ValueError as error:
            refused.append(mutation)
            assert "\n" not in str(error)

    check()
    assert len(refused) > 50


def test_small_file_that_unpacks_to_much_is_refused(tmp_path):
    path = tmp_path / "split.mat"
    many = {"trainIds": np.zeros((2**23 + 1, 1))}
    scipy.io.savemat(path, many, do_compression=True)
    assert path.stat().st_size < 2**20
    with pytest.raises(ValueError, match="cut short, or too large"):
        read_numbers(path)


def test_files_of_other_versions_are_refused(tmp_path):
    path = tmp_path / "split.mat"
    scipy.io.savemat(path, {"a": np.ones((1, 1))}, format="4")
    with pytest.raises(ValueError, match="no header of MATLAB 5"):
        read_numbers(path)
