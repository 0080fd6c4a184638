import pytest

from tests.translation.methods.reuse import give_back


@pytest.fixture(autouse=True)
def models_given_back():
    """Leaves the models of a test to the next one."""
    yield
    give_back()
