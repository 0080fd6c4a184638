from concurrent.futures import ThreadPoolExecutor

import pytest

from kliep_tf.ordered_map import ordered_map


@pytest.fixture
def pool():
    with ThreadPoolExecutor(2) as executor:
        yield executor


@pytest.mark.parametrize("size", [0, 1, 2, 50])
def test_results_come_in_the_order_of_the_items(pool, size):
    squares = ordered_map(pool, lambda item: item**2, range(size), 3)
    assert list(squares) == [item**2 for item in range(size)]


def test_no_more_items_are_read_than_may_be_in_flight(pool):
    read = []

    def items():
        for number in range(50):
            read.append(number)
            yield number

    results = ordered_map(pool, abs, items(), 3)
    assert read == [0, 1, 2]  # begun before anything is asked for
    for number in results:
        assert len(read) == min(number + 3, 50)


def test_an_error_comes_in_its_turn(pool):
    results = ordered_map(pool, int, ["1", "x", "3"], 3)
    assert next(results) == 1
    with pytest.raises(ValueError, match="'x'"):
        next(results)
