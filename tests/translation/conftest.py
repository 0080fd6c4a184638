import pytest
import tensorflow as tf


@pytest.fixture
def eager():
    """Runs step by step: tracing would take longer than the arithmetic."""
    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(False)
