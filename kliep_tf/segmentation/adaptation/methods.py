"""The registry of adaptation methods: `--method` by name."""

from kliep_tf.errors import UserError
from kliep_tf.segmentation.adaptation.adaptsegnet import METHOD as ADAPTSEGNET
from kliep_tf.segmentation.adaptation.adda import METHOD as ADDA
from kliep_tf.segmentation.adaptation.method import Method
from kliep_tf.segmentation.adaptation.road import METHOD as ROAD

METHODS: dict[str, Method] = {
    "adaptsegnet": ADAPTSEGNET,
    "road": ROAD,
    "adda": ADDA,
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
    return METHODS[name]


def settings_of(name: str) -> type:
    """Returns the dataclass of a method's own flags.

    Raises:
        UserError: there is no such method.
    """
    return load_method(name).settings
