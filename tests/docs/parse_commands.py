"""Parse commands as their programs do, without running them: JSON lists of words in, a JSON list of what is wrong out.

One process parses all: starting a program for each command would take minutes. Between two commands the flags are removed
that the first one's module defined.
"""

import importlib
import json
import sys

from absl import flags

MODULES = {"srnet-lift": "srnet_jax.commands.predict", "launch.predict": "srnet_jax.commands.predict"}


def wrong_with(name, arguments, *, required):
    """Return what is wrong with a command, "" for nothing; `required`: whether a required flag may not be missing."""
    kept = set(flags.FLAGS)
    module = MODULES.get(name, name)
    sys.argv = [name, *arguments]
    sys.modules.pop(module, None)
    try:
        program = importlib.import_module(module)
        words = flags.FLAGS(sys.argv)[1:]
        if words and f"python -m {name} {words[0]} " not in f"{program.__doc__} ".replace("\n", " "):
            return f"{words[0]}: no command of {name}"
        if words[1:]:
            return f"{words[1]}: not a flag"
        if "config" in flags.FLAGS:
            check_config(program)
    except flags.IllegalFlagValueError as error:
        return "" if not required and "must have a value other than None" in str(error) else str(error)
    except (Exception, SystemExit) as error:
        return f"{type(error).__name__}: {error}"
    finally:
        for flag in set(flags.FLAGS) - kept:
            delattr(flags.FLAGS, flag)
    return ""


def check_config(program):
    """Check the fields of --config, as far as that is possible without a run's folder."""
    from srnet_jax.config import command_line

    if "using_default_value" in dir(flags.FLAGS["config"]) and program.__name__ in ("launch.evaluate", "launch.reproduce"):
        command_line.changes()
    else:
        command_line.load()


if __name__ == "__main__":
    flags.FLAGS(sys.argv[:1])
    print(json.dumps([wrong_with(name, arguments, required=required) for name, arguments, required in json.load(sys.stdin)]))
