"""Manage the checkpoints of a run: write them in the background, keep the latest and the best, and set damaged ones aside.

Each folder `WORKDIR/checkpoints/STEP/` is one checkpoint, which `checkpoint_format` describes.
"""

import contextlib
import re
import threading
from collections.abc import Callable, Collection, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

from srnet_jax.errors import DiskFullError, TrainingError, UserError, full_disk
from srnet_jax.io.files import absolute, remove
from srnet_jax.training import checkpoint_format
from srnet_jax.training.checkpoint_format import UNFINISHED, DamagedError, Snapshot
from srnet_jax.training.state import TrainState

FOLDER = "checkpoints"  # in a workdir
_WRITING = threading.Lock()  # orbax cannot write two checkpoints at once in one process


class Checkpoints:
    """The checkpoints of one workdir; a context manager that waits for an unfinished save on exit."""

    def __init__(
        self,
        workdir: Path,
        *,
        read_only: bool = False,
        keep_latest: int = 1,
        keep_best: int = 1,
        keep_epochs: Collection[int] = (),
        say: Callable[[str], None] = print,
    ) -> None:
        """Open the workdir's checkpoints, and make the folder unless `read_only`.

        Args:
          workdir: folder of the run; the caller ensures that no other process writes there.
          read_only: whether checkpoints are only listed and restored.
          keep_latest: number of newest checkpoints to keep after a save.
          keep_best: number of checkpoints with the lowest validation error to keep as well.
          keep_epochs: epochs whose checkpoints are always kept.
          say: called with a line about each damaged checkpoint that was skipped.
        """
        self._folder = absolute(workdir) / FOLDER
        self._keep_latest, self._keep_best, self._keep_epochs, self._say = keep_latest, keep_best, keep_epochs, say
        if read_only and not self._folder.is_dir():
            raise UserError(f"{self._folder}: no such folder, expected checkpoints; has this run been trained?")
        if not read_only:
            self.check_path(workdir)
            self._folder.mkdir(parents=True, exist_ok=True)
            self._remove_unfinished()
        ranks = {step: checkpoint_format.rank(self._folder / str(step)) for step in _steps(self._folder)}
        self._errors = {step: error for step, (error, _) in ranks.items()}
        self._epochs = {step: epoch for step, (_, epoch) in ranks.items()}
        self._writer = ThreadPoolExecutor(1, "checkpoints")
        self._saving: Future[None] | None = None
        self._verified = False  # whether a checkpoint written here has been read back

    @staticmethod
    def exist(workdir: Path) -> bool:
        """Return whether a workdir holds a checkpoint, possibly a damaged one."""
        return bool(_steps(Path(workdir) / FOLDER))

    @staticmethod
    def check_path(workdir: Path) -> None:
        """Reject a workdir where checkpoints would be lost, or where those of another run would be removed.

        Raises:
          UserError: if the path has a character that orbax or tensorstore treats as a pattern or as the end of a name, or if
            the folder of the checkpoints is a link.
        """
        folder = absolute(workdir) / FOLDER
        if odd := sorted(set(re.findall(r"[*?\[\\\ud800-\udfff]", str(folder)))):
            raise UserError(f"{workdir}: found {' '.join(odd)} in the path, expected a path without it for checkpoints")
        if folder.is_symlink():
            raise UserError(f"{folder}: found a link, expected a folder; to use another disk, make the whole workdir a link")

    def __enter__(self) -> "Checkpoints":
        return self

    def __exit__(self, kind: type[BaseException] | None, *exception: object) -> None:
        failure = self.failure(wait=True)
        self._writer.shutdown()
        if failure is not None and kind is None:
            raise failure

    @property
    def kept(self) -> str:
        """Text about the checkpoint to continue from; waits for an unfinished save."""
        if self._saving is not None:
            self._saving.exception()
        steps = sorted(self._errors)
        return f"the checkpoint of step {steps[-1]} is kept" if steps else "nothing was saved"

    def save(self, snapshot: Snapshot, validation_mpjpe_mm: float | None) -> None:
        """Start to write a checkpoint, which is complete when `failure(wait=True)` returns None.

        Args:
          snapshot: the snapshot to save; it is copied before this function returns.
          validation_mpjpe_mm: validation error, millimetres, which ranks the checkpoint; None within an epoch.
        """
        if self._saving is not None:
            self._saving.exception()
        if int(snapshot.state.step) not in self._errors:
            self._saving = self._writer.submit(self._write, snapshot.to_host(), validation_mpjpe_mm)

    def try_writing(self, snapshot: Snapshot) -> None:
        """Write a snapshot, read it back and remove it, to detect an unusable disk before the first step.

        Raises:
          TrainingError: if the snapshot cannot be written or read.
        """
        draft = self._folder / f"trial{UNFINISHED}"
        folder = draft / str(int(snapshot.state.step))
        try:
            with _WRITING:
                checkpoint_format.write(folder, snapshot.to_host(), None)
            checkpoint_format.read(folder, snapshot.state)
        except Exception as error:
            raise self._not_written(self._folder, error) from error
        finally:
            remove(draft)
        self._verified = True

    def failure(self, *, wait: bool = False) -> TrainingError | None:
        """Return the error of the last save, once; None if it succeeded or, unless `wait`, is not finished."""
        if self._saving is None or not (wait or self._saving.done()):
            return None
        failure = self._saving.exception()
        self._saving = None
        if failure is not None and not isinstance(failure, TrainingError):
            raise failure
        return failure

    def restore_latest(self, state: TrainState) -> Snapshot | None:
        """Restore the newest undamaged snapshot, in the structure of the given state; None if nothing was saved.

        Newer, damaged checkpoints are reported and renamed to `STEP.damaged`.

        Raises:
          UserError: if all checkpoints are damaged (they are left unchanged), or one holds another network.
        """
        damaged: dict[int, str] = {}
        for step in sorted(self._errors, reverse=True):
            try:
                snapshot = checkpoint_format.read(self._folder / str(step), state)
            except DamagedError as error:
                damaged[step] = str(error)
                continue
            self._verified = True
            for bad, reason in damaged.items():
                aside = self._set_aside(bad).name
                self._say(f"warning: {self._folder / str(bad)}: damaged ({reason}), now {aside}; continuing from step {step}")
            return snapshot
        if damaged:
            reasons = "; ".join(f"{step}: {reason}" for step, reason in damaged.items())
            raise UserError(f"{self._folder}: every checkpoint is damaged ({reasons}), remove the folder to start again")
        return None

    def restore(self, which: str, state: TrainState) -> TrainState:
        """Restore a checkpoint's state; arguments and errors are those of `restore_variables`."""
        with self._reading(which) as folder:
            return checkpoint_format.read(folder, state).state

    def restore_variables(self, which: str, variables: Any) -> tuple[dict[str, Any], int]:
        """Restore a checkpoint's variables, in the structure of the given ones, and return them with its step.

        Args:
          which: "best", "latest" or a step.
          variables: a tree of arrays or shapes.

        Raises:
          UserError: if the checkpoint is missing or damaged, or holds another network.
        """
        with self._reading(which) as folder:
            return checkpoint_format.read_variables(folder, variables), int(folder.name)

    def find(self, which: str) -> Path:
        """Return the folder of the checkpoint "best", "latest" or of a step.

        Raises:
          UserError: if there is no such checkpoint; lists the existing ones.
        """
        named = {str(step): step for step in sorted(self._errors)}
        named |= {"latest": max(named.values())} if named else {}
        named |= {"best": best[0]} if (best := self._best()) else {}
        if which not in named:
            expected = f"one of {', '.join(named)}" if named else "a run that has saved one"
            raise UserError(f"{self._folder}: no checkpoint {which!r}, expected {expected}")
        return self._folder / str(named[which])

    def _best(self) -> list[int]:
        """Return the steps that have a validation error, by increasing error."""
        return [step for _, step in sorted((error, step) for step, error in self._errors.items() if error is not None)]

    @contextlib.contextmanager
    def _reading(self, which: str) -> Iterator[Path]:
        """Yield the folder of a checkpoint; if it proves damaged, raise a UserError that lists the others."""
        folder = self.find(which)
        try:
            yield folder
        except DamagedError as error:
            others = ", ".join(str(step) for step in sorted(self._errors) if str(step) != folder.name) or "none"
            raise UserError(f"{folder}: damaged ({error}); other steps: {others}") from error

    def _write(self, snapshot: Snapshot, validation_mpjpe_mm: float | None) -> None:
        """Write a checkpoint, then remove the superseded ones; runs in the background thread."""
        step = int(snapshot.state.step)
        folder = self._folder / str(step)
        try:
            with _WRITING:
                checkpoint_format.write(folder, snapshot, validation_mpjpe_mm)
            if not self._verified:
                self._verify(folder, snapshot)
        except Exception as error:
            raise self._not_written(folder, error) from error
        self._errors[step] = validation_mpjpe_mm
        self._epochs[step] = None if snapshot.batch else int(snapshot.state.epoch)
        keep = {*sorted(self._errors)[-self._keep_latest :], *self._best()[: self._keep_best]}
        keep |= {step for step, epoch in self._epochs.items() if epoch in self._keep_epochs}
        for old in [step for step in self._errors if step not in keep]:
            del self._errors[old]
            folder = self._folder / str(old)
            with contextlib.suppress(FileNotFoundError):
                remove(folder.rename(f"{folder}{UNFINISHED}-removed"))

    def _not_written(self, folder: Path, error: Exception) -> TrainingError:
        """Remove the remains of a failed save, and return the error to raise."""
        self._remove_unfinished()
        found = sorted(self._errors)
        kept = f"kept: {', '.join(map(str, found))}" if found else "nothing is saved yet"
        reason = full_disk(error)
        kind = DiskFullError if reason else TrainingError
        short = reason or " ".join(str(error).split())
        return kind(f"{folder}: the checkpoint could not be written ({short}); {kept}")

    def _verify(self, folder: Path, snapshot: Snapshot) -> None:
        """Read the first checkpoint back, to detect any problem of path, file system or libraries."""
        try:
            checkpoint_format.read(folder, snapshot.state)
        except DamagedError as error:
            folder.rename(f"{folder}{UNFINISHED}-unreadable")
            raise DamagedError(f"it cannot be read back: {error}") from error
        self._verified = True

    def _set_aside(self, step: int) -> Path:
        """Rename a damaged checkpoint to `STEP.damaged`, and return the new path."""
        del self._errors[step]
        path = self._folder / str(step)
        aside = Path(f"{path}.damaged")
        remove(aside)
        return path.rename(aside)

    def _remove_unfinished(self) -> None:
        """Remove the remains of saves and removals that were killed or failed."""
        for path in self._folder.iterdir():
            if UNFINISHED in path.name:
                remove(path)


def _steps(folder: Path) -> list[int]:
    names = [path.name for path in folder.iterdir()] if folder.is_dir() else []
    return [int(name) for name in names if re.fullmatch(r"0|[1-9][0-9]*", name)]
