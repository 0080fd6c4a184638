import pytest

from kliep_tf.density_ratio.blocks import in_order


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
