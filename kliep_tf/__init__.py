"""Semantically consistent synthetic-to-real translation by KLIEP weights."""

from kliep_tf.startup import set_environment

__version__ = "0.1.0"

# Here, because it must come before TensorFlow, whatever is imported first.
set_environment()
