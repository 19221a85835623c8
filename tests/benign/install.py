"""Installs everything, each way into a place of its own. Prints one line of JSON for each package, and each hook that
must be seen: where, what, by whom. Runs in the overlay."""

import glob
import json
import os
import subprocess
import sys

sys.path.insert(0, "/srv/tools")
from packages import DEBIAN, FEW, TOGETHER

TOOLS = sys.argv[1]
PIP, UV = f"{TOOLS}/bin/pip", f"{TOOLS}/bin/uv"
CACHE = "/var/cache/benign"
WORK = "/srv/benign"
ENVIRONMENT = {
    **{name: value for name, value in os.environ.items() if not name.startswith("PYTHON")},
    "HOME": "/home/benign",
    "PIP_CACHE_DIR": f"{CACHE}/pip",
    "UV_CACHE_DIR": f"{CACHE}/uv",
    "UV_PYTHON_DOWNLOADS": "never",
    "PIP_DISABLE_PIP_VERSION_CHECK": "1",
    "PIP_ROOT_USER_ACTION": "ignore",
    "DEBIAN_FRONTEND": "noninteractive",
    "TMPDIR": "/var/tmp",
    "LC_ALL": "C.UTF-8",
}


def run(*command, may_fail=False):
    done = subprocess.run(command, env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode and not may_fail:
        print(f"{' '.join(command)}: {done.returncode}\n{done.stdout[-2000:]}", file=sys.stderr)
    return done.returncode == 0


def installed(place, installer, package, hook=None, really=True):
    """Says what stands below `place` now, or why not."""
    print(json.dumps({"place": place, "installer": installer, "package": package, "hook": hook, "installed": really}))
    sys.stdout.flush()


def venv(name, *options):
    place = f"{WORK}/{name}"
    run("/usr/bin/python3", "-m", "venv", *options, place)
    return place


def pip(place, *arguments):
    return run(PIP, "--python", f"{place}/bin/python", *arguments)


def wheels():
    """Many wheels at once, by pip and by uv."""
    names = [requirement for requirement, _ in TOGETHER]
    place = venv("pip", "--without-pip")
    done = pip(place, "install", "--no-deps", "--only-binary", ":all:", *names)
    for requirement, hook in TOGETHER:
        installed(place, "pip", requirement, hook, done)
    place = f"{WORK}/uv"
    run(UV, "venv", "--python", "/usr/bin/python3", place)
    done = run(UV, "pip", "install", "--python", place, "--no-deps", "--only-binary", ":all:", *names)
    for requirement, hook in TOGETHER:
        installed(place, "uv", requirement, hook, done)


def environments():
    """Empty environments, of every kind and Python."""
    place = venv("venv")
    installed(place, "venv", "ensurepip", "distutils-precedence.pth")
    run(UV, "venv", "--seed", "--python", "/usr/bin/python3", f"{WORK}/uv-seed")
    installed(f"{WORK}/uv-seed", "uv venv", "seed")
    maker = venv("maker", "--without-pip")
    done = pip(maker, "install", "virtualenv")
    done = done and run(f"{maker}/bin/python", "-m", "virtualenv", "--setuptools", "bundle", f"{WORK}/virtualenv", may_fail=True)
    done = done or run(f"{maker}/bin/python", "-m", "virtualenv", f"{WORK}/virtualenv")
    installed(f"{WORK}/virtualenv", "virtualenv", "seed", None, done)
    place = venv("ensurepip", "--without-pip")
    done = run(f"{place}/bin/python", "-m", "ensurepip")
    installed(place, "ensurepip", "ensurepip", "distutils-precedence.pth", done)
    for python in sorted(glob.glob("/root/.pyenv/versions/3.*/bin/python3"))[-3:]:
        version = python.split("/")[4]
        done = run(python, "-m", "venv", f"{WORK}/pyenv-{version}")
        done = done and pip(f"{WORK}/pyenv-{version}", "install", "--no-deps", *FEW)
        installed(f"{WORK}/pyenv-{version}", "pip", f"{len(FEW)} wheels", "hunter.pth", done)


def ways():
    """The other ways of pip: for the user, into a directory, for all, upgrading and removing."""
    system = ["--python", "/usr/bin/python3"]
    done = run(PIP, *system, "install", "--user", "--break-system-packages", "--no-deps", *FEW)
    installed("/home/benign", "pip --user", f"{len(FEW)} wheels", "hunter.pth", done)
    done = run(PIP, *system, "install", "--target", f"{WORK}/target/site-packages", "--no-deps", *FEW)
    installed(f"{WORK}/target", "pip --target", f"{len(FEW)} wheels", "hunter.pth", done)
    done = run(PIP, *system, "install", "--break-system-packages", "--no-deps", "--ignore-installed", *FEW)
    installed("/usr/local", "pip as root", f"{len(FEW)} wheels", "hunter.pth", done)
    place = venv("upgraded", "--without-pip")
    done = pip(place, "install", "--no-deps", "setuptools==59.8.0", "pytest-cov==5.0.0", "hunter==3.7.0")
    done = done and pip(place, "install", "--no-deps", "--upgrade", "setuptools", "pytest-cov", "hunter")
    installed(place, "pip upgrade", "setuptools, pytest-cov, hunter", "distutils-precedence.pth", done)
    done = done and pip(place, "uninstall", "--yes", "setuptools", "hunter")
    installed(place, "pip uninstall", "setuptools, hunter", None, done)


PROJECTS = {
    "flat": ("setuptools", "flat/__init__.py", ""),
    "src": ("setuptools", "src/src_layout/__init__.py", '[tool.setuptools.packages.find]\nwhere = ["src"]\n'),
    "finder": ("setuptools", "code/__init__.py", '[tool.setuptools]\npackages = ["finder"]\npackage-dir = { finder = "code" }\n'),
    "hatch": ("hatchling", "src/hatch/__init__.py", ""),
}
BACKENDS = {"setuptools": "setuptools.build_meta", "hatchling": "hatchling.build"}


def editable():
    """Projects that are installed from where they are worked on."""
    for installer in ["pip", "uv"]:
        place = venv(f"editable-{installer}", "--without-pip")
        pip(place, "install", "setuptools", "wheel", "hatchling", "editables")
        for name, (backend, file, more) in PROJECTS.items():
            project = f"/home/benign/projects-{installer}/{name}"
            os.makedirs(os.path.dirname(f"{project}/{file}"))
            open(f"{project}/{file}", "w").close()
            with open(f"{project}/pyproject.toml", "w") as out:
                out.write(f'[build-system]\nrequires = ["{backend}"]\nbuild-backend = "{BACKENDS[backend]}"\n')
                out.write(f'[project]\nname = "{name}"\nversion = "1.0"\n{more}')
            options = ["install", "--no-deps", "--no-build-isolation", "--editable", project]
            if installer == "pip":
                done = pip(place, *options)
            else:
                done = run(UV, "pip", *options[:1], "--python", place, *options[1:])
            hook = "__editable__.*.pth" if backend == "setuptools" else "_*.pth"
            installed(place, f"{installer} -e", name, hook if name == "finder" else None, done)


def debian():
    """Debian's packages, by apt-get and dpkg."""
    options = ["-o", f"Dir::Cache::Archives={CACHE}/apt", "-o", "APT::Sandbox::User=root", "-o", "APT::Keep-Downloaded-Packages=1"]
    run("/usr/bin/apt-get", "update", may_fail=True)
    names = [package for package, _ in DEBIAN]
    done = run("/usr/bin/apt-get", *options, "install", "--yes", "--reinstall", "--no-install-recommends", *names)
    for package, hook in DEBIAN:
        installed("/usr/lib", "apt-get", package, hook, done)


def everything_else():
    """What comes from the Python package index."""
    for step in [wheels, environments, ways, editable]:
        step()


os.makedirs("/home/benign", exist_ok=True)
os.makedirs(WORK, exist_ok=True)
{"debian": debian, "wheels": everything_else}[sys.argv[2]]()
