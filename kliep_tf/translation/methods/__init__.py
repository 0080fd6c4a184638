"""The registry of translation methods: `--method` by name.

A method is a folder here, whose module `method` defines METHOD. It is imported
when it is asked for, and no other with it.
"""

import importlib

from kliep_tf.errors import UserError
from kliep_tf.translation.method import Method

METHODS = {
    "cyclegan": "kliep_tf.translation.methods.cyclegan.method",
    "cycada": "kliep_tf.translation.methods.cycada.method",
    "unit": "kliep_tf.translation.methods.unit.method",
}


def load_method(name: str) -> Method:
    """Returns the method of that name.

    Raises:
        UserError: there is none.
    """
    if name not in METHODS:
        raise UserError(
            f"--method={name}: expected one of {', '.join(METHODS)}"
        )
    return importlib.import_module(METHODS[name]).METHOD


def settings_of(name: str) -> type:
    """Returns the dataclass of a method's own flags.

    Raises:
        UserError: there is no such method.
    """
    return load_method(name).settings
