import pytest

from tests.conftest import eagerly


@pytest.fixture
def eager():
    """Runs step by step."""
    with eagerly():
        yield
