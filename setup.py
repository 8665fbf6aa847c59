"""Copies ``registry.yaml`` into the package when it is built; all else is in pyproject.toml."""

import shutil
from pathlib import Path

from setuptools import find_packages, setup
from setuptools.command.build_py import build_py


class BuildWithRegistry(build_py):
    def run(self) -> None:
        super().run()
        if not self.editable_mode:  # in a checkout the file beside the package is read
            shutil.copy("registry.yaml", Path(self.build_lib) / "zoo" / "registry.yaml")


packages = [*find_packages(include=["zoo", "zoo.*"]), "zoo.cli"]
setup(packages=packages, cmdclass={"build_py": BuildWithRegistry})
