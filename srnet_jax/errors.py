"""The one error a user can cause."""


class UserError(Exception):
    """A mistake in an input: its message is one line that says what was found and what was expected.

    Launchers print the message and exit with code 2; nothing else is shown to the user.
    """


class ConfigError(UserError):
    """A config field is unknown, has the wrong type, or a value that is not allowed."""


class DataError(UserError):
    """A data file is missing, damaged, or does not hold what was expected."""


class TrainingError(UserError):
    """A run cannot go on: a non-finite loss, or a workdir that belongs to another run."""
