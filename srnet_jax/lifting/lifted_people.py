"""The people of a file or a video in 3D: a sequence of results that is saved and shown as a whole."""

import warnings
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import overload

from srnet_jax.lifting import outputs, webpage
from srnet_jax.lifting.outputs import ANGLES, JOINTS, PICTURES, Output
from srnet_jax.lifting.result import Result
from srnet_jax.lifting.show import show, together

_MOST_SHOWN = 20  # people in `repr`


class LiftedPeople(Sequence[Result]):
    """The people of a keypoint file or a video, lifted to 3D: a sequence of `Result`.

    `people[0]` is the first person, `for person in people:` visits all, and `(person,) = people` takes the only one.

    Attributes:
      source: the keypoint file or the video.
      inputs: files that were read, and that `save` does not write.
    """

    def __init__(self, people: Iterable[Result], source: str | Path, inputs: Sequence[str | Path] = ()) -> None:
        self._people = tuple(people)
        self.source, self.inputs = source, tuple(inputs)

    def __len__(self) -> int:
        return len(self._people)

    @overload
    def __getitem__(self, index: int) -> Result: ...

    @overload
    def __getitem__(self, index: slice) -> "LiftedPeople": ...

    def __getitem__(self, index: int | slice) -> "Result | LiftedPeople":
        """Return a person, or some of the people."""
        if isinstance(index, slice):
            return LiftedPeople(self._people[index], self.source, self.inputs)
        return self._people[index]

    def __repr__(self) -> str:
        """Return a line about the file and one about each person."""
        count = len(self)
        head = f"{count:,} {'person' if count == 1 else 'people'} in {self.source}"
        if self:
            head += f", lifted by the network {self[0].model} to {len(Result.joints)} joints in {Result.unit}s"
        more = [f"  ... and {count - _MOST_SHOWN:,} more"] if count > _MOST_SHOWN else []
        return "\n".join([head, *(f"  {person.summary()}" for person in self[:_MOST_SHOWN]), *more])

    def save(self, path: str | Path) -> list[Path]:
        """Write a file for each person; the ending of the name chooses the format, see `Result.save`.

        The file of one person has the given name. With several people, each name gets the person's: `walk.bvh` becomes
        `walk_person_1.bvh`, `walk_person_2.bvh` and so on. A person without a pose in any frame gets a `.npz` file and pictures
        only, with a warning.

        Returns:
          The files that were written.

        Raises:
          UserError: for another ending, a folder that does not exist, a missing package or program, or if a file would replace
            one that was read.
        """
        return self._save(Output(outputs.check_file(path, JOINTS + PICTURES)))

    def save_angles(self, path: str | Path) -> list[Path]:
        """Write the joint angles of each person to a `.csv` or a `.mot` file, named as by `save`; see `Result.save_angles`.

        Returns:
          The files that were written.

        Raises:
          UserError: as `save`.
        """
        return self._save(Output(outputs.check_file(path, ANGLES), angles=True))

    def _save(self, file: Output) -> list[Path]:
        return [path for paths in self.write([file]) for path in paths]

    def write(self, files: Sequence[Output]) -> list[list[Path]]:
        """Write several files for each person, named as by `save`.

        Args:
          files: from `outputs.check_outputs`.

        Returns:
          The files of each person that were written.

        Raises:
          UserError: as `save`.
        """
        written = []
        for person, own in zip(self, outputs.of_people(files, [one.name for one in self], self.inputs), strict=True):
            if len(self) > 1 and not person.motion().known.any():
                if any(file.is_motion for file in own):
                    warnings.warn(f"{person.name}: no frame has a pose, motions are not written", stacklevel=2)
                own = [file for file in own if not file.is_motion]
            for file in own:
                person.save_angles(file.path) if file.angles else person.save(file.path)
            written.append([file.path for file in own])
        return written

    def page(self) -> str:
        """Return a web page with the 2D keypoints and the 3D poses; with several people, a reader chooses one."""
        return together({person.name: webpage.page(person.scene()) for person in self})

    def show(self) -> Path | None:
        """Display the page in a notebook, or else open it in the browser.

        Returns:
          The temporary file of the page, which is kept, and printed if there is no browser; None in a notebook.
        """
        return show(self.page())
