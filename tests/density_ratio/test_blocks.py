import numpy as np
import pytest

from kliep_tf.density_ratio.blocks import in_order, shared


@pytest.mark.parametrize("size", [1, 2, 50])
def test_results_come_in_order(size):
    squares = in_order(lambda item: item**2, range(size))
    assert list(squares) == [item**2 for item in range(size)]


def test_no_work_runs_far_ahead():
    begun = []
    for i, _ in enumerate(in_order(begun.append, range(50))):
        assert len(begun) <= i + 3


def test_an_error_reaches_the_caller():
    with pytest.raises(ZeroDivisionError):
        list(in_order(lambda item: 1 // item, [2, 1, 0, 1]))


def test_a_block_is_shared_and_not_copied():
    block = np.zeros((4, 8), np.float32)
    tensor = shared(block)
    block[1, 2] = 3.0
    assert tensor.numpy()[1, 2] == 3.0


@pytest.mark.parametrize("kind", ["read-only", "misaligned", "strided"])
def test_what_cannot_be_shared_is_copied(kind):
    values = np.arange(65, dtype=np.float32)
    block = {
        "read-only": values[:64].reshape(4, 16),
        "misaligned": values[1:].reshape(4, 16),
        "strided": values[:64].reshape(4, 16)[:, ::2],
    }[kind]
    block.flags.writeable = kind != "read-only"
    expected = block.tolist()
    tensor = shared(block)
    values[:] = -1.0
    assert tensor.numpy().tolist() == expected
