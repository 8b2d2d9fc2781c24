"""Builds the image of a Containerfile without an engine: its steps are carried out in roots.

Each stage begins as a copy of a plain Debian root, RUN is run there under chroot, COPY copies from
the repository or from the stage that it names, and the rest is kept as the image's settings.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import msgspec

from tests.deploy.containerfile import Instruction, Stage, filled_in, pairs, stages
from tests.deploy.debian_root import pip_settings, run_in

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
STEP_S = 420


class Image(msgspec.Struct):
    """A root with the settings that the container would start with."""

    root: Path
    environment: dict[str, str]
    folder: str = "/"
    user: str = "root"
    entrypoint: list[str] = []
    command: list[str] = []
    health: list[str] = []
    stop_signal: str = ""
    ports: list[str] = []

    def run(self, *command: str, timeout_s: float = 60) -> str:
        """Runs the image's entry point with these words, as a container would."""
        return run_in(
            self.root,
            [*self.entrypoint, *command],
            self.environment,
            user=self.user,
            folder=self.folder,
            seen=[],
            timeout_s=timeout_s,
        )


class Builder:
    """Carries a Containerfile out. `plain` is a Debian root that is left as it is."""

    def __init__(self, context: Path, plain: Path, folder: Path) -> None:
        self._context = context
        self._plain = plain
        self._folder = folder
        self._variables, self._seen = pip_settings(plain)
        self._built: dict[str, Image] = {}

    def build(self, text: str) -> Image:
        """The image of the last stage. Raises `ValueError` for what is not carried out here."""
        image: Image | None = None
        for number, stage in enumerate(stages(text)):
            image = self._begin(stage, number)
            for instruction in stage.instructions:
                self._carry_out(image, instruction)
            self._built[stage.name or str(number)] = image
        if image is None:
            raise ValueError("a Containerfile begins with FROM")
        return image

    def _begin(self, stage: Stage, number: int) -> Image:
        if stage.base in self._built:
            raise ValueError(f"FROM {stage.base}: a stage on a stage is not carried out here")
        root = self._folder / f"stage-{number}"
        # Owners, links and devices as they are, which shutil.copytree does not keep.
        copy = ["cp", "--archive", "--reflink=auto", str(self._plain), str(root)]
        subprocess.run(copy, check=True)
        return Image(root, {"PATH": PATH})

    def _carry_out(self, image: Image, instruction: Instruction) -> None:
        match instruction.name:
            case "RUN":
                self._run(image, instruction)
            case "COPY":
                self._copy(image, instruction)
            case "ENV":
                image.environment |= pairs(instruction, image.environment)
            case "WORKDIR":
                image.folder = os.path.join(image.folder, instruction.rest)  # noqa: PTH118
                inside(image.root, image.folder).mkdir(parents=True, exist_ok=True)
            case "USER":
                image.user = instruction.rest
            case "ENTRYPOINT":
                image.entrypoint, image.command = instruction.words, []
            case "CMD":
                image.command = instruction.words
            case "HEALTHCHECK":
                image.health = Instruction("CMD", {}, instruction.rest.removeprefix("CMD ")).words
            case "STOPSIGNAL":
                image.stop_signal = instruction.rest
            case "EXPOSE":
                image.ports += instruction.words
            case other:
                raise ValueError(f"{other} is not carried out here")

    def _run(self, image: Image, instruction: Instruction) -> None:
        command = instruction.exec_form or ["/bin/sh", "-c", instruction.rest]
        run_in(
            image.root,
            command,
            self._variables | {"HOME": "/root"} | image.environment,
            user=image.user,
            folder=image.folder,
            seen=self._seen,
            timeout_s=STEP_S,
        )

    def _copy(self, image: Image, instruction: Instruction) -> None:
        *sources, target = (filled_in(word, image.environment) for word in instruction.words)
        unknown = instruction.flags.keys() - {"from"}
        if unknown:
            raise ValueError(f"COPY with {', '.join(unknown)} is not carried out here")
        stage = instruction.flags.get("from")
        place = inside(image.root, os.path.join(image.folder, target))  # noqa: PTH118
        for source in sources:
            found = (
                self._context / source if stage is None else inside(self._built[stage].root, source)
            )
            if found.is_dir():
                ignore = shutil.ignore_patterns("__pycache__") if stage is None else None
                shutil.copytree(found, place, symlinks=True, dirs_exist_ok=True, ignore=ignore)
            else:
                as_file = len(sources) == 1 and not target.endswith("/")
                goal = place if as_file and not place.is_dir() else place / found.name
                goal.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(found, goal)


def inside(root: Path, path: str) -> Path:
    """A path of the root, as it is seen from outside."""
    return root / os.path.normpath(path).lstrip("/")
