# SPDX-License-Identifier: ISC
"""Where the programs behind the doors are; they are made when they are not."""

import os
import pathlib
import subprocess
import sys

TOP = pathlib.Path(__file__).resolve().parents[2]


def sh(*command, cwd):
    done = subprocess.run(command, cwd=cwd, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if done.returncode != 0:
        sys.exit("%s\n%s failed" % (done.stdout,
                                    " ".join(map(str, command))))


def build_folder():
    if os.environ.get("HIKYAKU_BUILD"):
        return pathlib.Path(os.environ["HIKYAKU_BUILD"]).resolve()
    for folder in (pathlib.Path.cwd(), TOP / "build", TOP / "build-dev", TOP):
        if (folder / "config.status").exists():
            return folder
    if not (TOP / "configure").exists():
        sh("autoreconf", "-fi", cwd=TOP)
    (TOP / "build").mkdir(exist_ok=True)
    sh(TOP / "configure", cwd=TOP / "build")
    return TOP / "build"


def program(name):
    folder = build_folder()
    if not os.environ.get("HIKYAKU_NO_MAKE"):
        sh("make", "-s", "-j2", name, cwd=folder)
    return folder / name
