"""The one exception that means: the user can mend this."""


class UserError(ValueError):
    """A mistake in an argument, a file or a dataset.

    Its message is one line: what, where, what was expected, what was found.
    Programs print it without a traceback and exit with status 1.
    """
