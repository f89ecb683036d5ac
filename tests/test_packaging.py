"""What is shipped: the wheel holds all that runs and nothing else; the image starts it as nobody in particular."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import tomllib
import zipfile
from configparser import ConfigParser
from pathlib import Path

import pytest

from tests.service import PATIENCE

ROOT = Path(__file__).parent.parent
PACKAGES = ("parsers", "exporter", "mailstat")
RULES = ROOT / "dashboards/rules"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(folder), str(ROOT)]
    subprocess.run(command, check=True)
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def names(wheel: Path) -> list[str]:
    with zipfile.ZipFile(wheel) as archive:
        return archive.namelist()


def metadata(wheel: Path, name: str) -> str:
    with zipfile.ZipFile(wheel) as archive:
        (path,) = (path for path in archive.namelist() if path.endswith(f".dist-info/{name}"))
        return archive.read(path).decode()


def shipped() -> list[str]:
    """The files of the packages, code and data."""
    files = (path for name in PACKAGES for path in (ROOT / name).rglob("*") if path.is_file())
    names = [str(path.relative_to(ROOT)) for path in files if path.suffix != ".pyc"]
    rules = [path.relative_to(RULES) for path in RULES.rglob("*.yaml")]  # `mailstat replay` has them beside it
    return sorted([*names, *(f"mailstat/rules/{path}" for path in rules)])


def test_its_top_level_is_the_three_packages(names: list[str]) -> None:
    top = {name.partition("/")[0] for name in names}
    assert {name for name in top if not name.endswith(".dist-info")} == set(PACKAGES)


def test_it_holds_every_file_of_the_packages(names: list[str]) -> None:
    assert sorted(name for name in names if ".dist-info/" not in name) == shipped()


@pytest.mark.parametrize(
    "name",
    [
        "parsers/reasons/replies.yaml",
        "parsers/providers/providers.yaml",
        "exporter/demo.yml",
        "mailstat/rules/delivery.yaml",
        "mailstat/render/page.css",
    ],
)
def test_it_holds_the_knowledge(names: list[str], name: str) -> None:
    assert name in names


@pytest.mark.parametrize("package", PACKAGES)
def test_it_says_that_it_has_types(names: list[str], package: str) -> None:
    assert f"{package}/py.typed" in names


def test_it_installs_the_two_commands(wheel: Path) -> None:
    entries = ConfigParser()
    entries.read_string(metadata(wheel, "entry_points.txt"))
    assert dict(entries["console_scripts"]) == {
        "mailstat": "mailstat.cli:main",
        "mailstat_exporter": "exporter.cli:main",
    }


def test_it_tells_its_licence_and_the_least_python(wheel: Path, names: list[str]) -> None:
    lines = metadata(wheel, "METADATA").splitlines()
    assert "License-Expression: GPL-3.0-or-later" in lines
    assert "Requires-Python: >=3.11" in lines
    assert any(name.endswith(".dist-info/licenses/LICENSE") for name in names)


def test_the_rules_can_be_read_out_of_it(wheel: Path, tmp_path: Path) -> None:
    """From the wheel unpacked, with nothing of the repository beside it."""
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path)
    ask = "from parsers import reason; print(reason.__file__, len(reason.book().sure.rules))"
    env = {**os.environ, "PYTHONPATH": str(tmp_path)}
    done = subprocess.run([sys.executable, "-P", "-c", ask], cwd=tmp_path, env=env, capture_output=True, check=True)
    file, rules = done.stdout.decode().split()
    assert Path(file).is_relative_to(tmp_path)
    assert int(rules) > 0


# --- the source distribution ---


def test_the_sources_are_all_there_and_nothing_else(tmp_path: Path) -> None:
    known = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False)
    if known.returncode:
        pytest.skip("no repository here that knows what is ours")
    make = "import sys; from hatchling.build import build_sdist; build_sdist(sys.argv[1])"
    subprocess.run([sys.executable, "-c", make, str(tmp_path)], cwd=ROOT, check=True, capture_output=True)
    (file,) = tmp_path.glob("mailstat-*.tar.gz")
    with tarfile.open(file) as archive:
        held = {name.partition("/")[2] for name in archive.getnames()}
    wanted = {name for name in known.stdout.split("\0") if name and (ROOT / name).exists()}
    assert held == {*wanted, "PKG-INFO"}


# --- the environment ---


def test_a_python_that_is_too_old_or_broken_is_refused_with_advice(tmp_path: Path) -> None:
    command = [str(ROOT / "tools" / "environment.sh"), str(tmp_path / "venv")]
    done = subprocess.run(command, env={**os.environ, "PYTHON": "false"}, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "Python 3.11 or newer" in done.stderr
    assert not (tmp_path / "venv").exists()


# --- the image ---


def instructions() -> list[tuple[str, str]]:
    """The instructions of the image's last stage."""
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8").replace("\\\n", " ")
    rows = [line.split(maxsplit=1) for line in text.splitlines() if line and not line.startswith("#")]
    last = max(index for index, (word, _) in enumerate(rows) if word == "FROM")
    return [(word, rest) for word, rest in rows[last:]]


def instruction(name: str) -> str:
    (rest,) = (rest for word, rest in instructions() if word == name)
    return rest


def test_the_image_is_made_in_two_stages() -> None:
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    assert len(re.findall("^FROM ", text, re.MULTILINE)) == 2
    assert not any(word == "RUN" for word, _ in instructions())


def test_the_image_runs_as_somebody_without_rights() -> None:
    user, _, group = instruction("USER").partition(":")
    assert int(user) > 0
    assert int(group) > 0


def test_python_in_the_image_does_not_import_from_where_it_stands() -> None:
    assert "PYTHONSAFEPATH=1" in instruction("ENV").split()


def test_the_image_starts_a_command_that_is_installed_without_a_shell() -> None:
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["scripts"]
    for name in ("ENTRYPOINT", "HEALTHCHECK"):
        assert re.search(r'\["(?:mailstat_exporter|python)".*\]$', instruction(name))
    assert re.match(r'\["(\w+)"', instruction("ENTRYPOINT"))[1] in scripts  # type: ignore[index]


def test_what_the_image_is_built_from_is_let_through() -> None:
    let_through = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    sources = [word for line in re.findall("^COPY (?!--)(.*) ", text, re.MULTILINE) for word in line.split()]
    assert set(PACKAGES) <= set(sources)
    for name in sources:
        assert (ROOT / name).exists()
        assert f"!{name}" in let_through


# --- the service ---

UNIT = ROOT / "packaging" / "mailstat_exporter.service"


def settings(name: str) -> list[str]:
    """The values of one setting of the unit, in order."""
    rows = (line.split("=", 1) for line in UNIT.read_text(encoding="utf-8").splitlines() if "=" in line)
    return [row[1] for row in rows if row[0] == name]


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="no systemd-analyze")
def test_the_service_leaves_little_to_an_attacker() -> None:
    command = ["systemd-analyze", "security", "--offline=true", "--threshold=20", "--no-pager", str(UNIT)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="no systemd-analyze")
def test_systemd_knows_every_setting_of_the_unit() -> None:
    done = subprocess.run(["systemd-analyze", "verify", str(UNIT)], capture_output=True, text=True, check=False)
    complaints = [line for line in done.stderr.splitlines() if UNIT.name in line and "is not executable" not in line]
    assert complaints == []


def test_the_service_starts_the_command_that_is_installed() -> None:
    (command,) = settings("ExecStart")
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["scripts"]
    assert Path(command.split()[0]).name in scripts


# --- the image's last stage, without an engine ---

# A root of a few mounts, as an engine makes it for --read-only --cap-drop=ALL. $1 is the root, $2 has what the image
# has, $3 is the id of the user, and what follows is mounted where it is.
ENGINE = r"""
set -eu
umask 022
root=$1 made=$2 user=$3
shift 3
ip link set lo up
mount -t tmpfs none "$root"
for path in "$@"; do
    if [ -h "$path" ]; then cp -P "$path" "$root$path"; continue; fi
    mkdir -p "$root$path" && mount --bind "$path" "$root$path" && mount -o remount,ro,bind "$root$path"
done
cd "$root"
mkdir -p proc dev opt/mailstat var/log var/lib/mailstat
mount -t proc proc proc
mount --bind /dev dev
mount --bind "$made/opt" opt/mailstat && mount -o remount,ro,bind opt/mailstat
mount --bind "$made/log" var/log && mount -o remount,ro,bind var/log
mount --bind "$made/state" var/lib/mailstat
mount -o remount,ro "$root"
rights="--no-new-privs --bounding-set=-all --inh-caps=-all --ambient-caps=-all"
exec chroot . setpriv --reuid "$user" --regid "$user" --groups 4 $rights -- sh -euc "$INSIDE"
"""
# What is done in it; in braces stand the words of the instructions.
INSIDE = r"""
for folder in / /tmp /opt/mailstat /var/log; do if touch "$folder/written"; then exit 9; fi; done
if {entry} --demo; then exit 9; fi
{entry} &
until {health}; do kill -0 $!; done
until python -c "from urllib.request import urlopen; urlopen('http://127.0.0.1:9587/-/ready')"; do kill -0 $!; done
python -c "from urllib.request import urlopen; print(urlopen('http://127.0.0.1:9587/metrics').read().decode())"
grep ^CapEff /proc/$!/status
kill $!
wait $!
"""


APART = ["unshare", "--mount", "--net", "--pid", "--fork", "--kill-child", "--propagation=private"]


def words(name: str) -> str:
    """What an instruction runs, for a shell."""
    return shlex.join(json.loads(re.search(r"\[.*\]$", instruction(name))[0]))  # type: ignore[index]


@pytest.fixture
def made(wheel: Path, tmp_path: Path) -> Path:
    """An environment as the image has it, but that what the project needs is that of the tests; a log, a state."""
    opt = tmp_path / "opt"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(opt)], check=True)
    pip = [sys.executable, "-m", "pip", "--python", str(opt / "bin/python"), "install", "--quiet", "--no-deps"]
    subprocess.run([*pip, str(wheel)], check=True)
    (site,) = opt.glob("lib/python3*/site-packages")
    (site / "needed.pth").write_text(sysconfig.get_path("purelib") + "\n")
    script = opt / "bin/mailstat_exporter"
    script.write_text("#!/opt/mailstat/bin/python\n" + script.read_text().partition("\n")[2])
    user, _, group = instruction("USER").partition(":")
    for name in ("root", "log", "state"):
        (tmp_path / name).mkdir(mode=0o755)
    os.chown(tmp_path / "state", int(user), int(group))
    return tmp_path


def run_image(made: Path, line: str) -> str:
    """Start and end it with a log of this line; what it said, metrics and all."""
    log = made / "log/mail.log"
    log.unlink(missing_ok=True)
    log.write_text(line)
    log.chmod(0o640)
    os.chown(log, 0, 4)  # adm of Debian
    settings = dict(word.split("=", 1) for word in shlex.split(instruction("ENV")))
    settings["PATH"] = settings["PATH"].replace("${PATH}", "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin")
    settings["INSIDE"] = INSIDE.format(entry=words("ENTRYPOINT"), health=words("HEALTHCHECK"))
    here = ["/usr", "/bin", "/sbin", "/lib", "/lib64", "/etc", sys.base_prefix, sysconfig.get_path("purelib")]
    mounts = [it for it in here if Path(it).exists() and not it.startswith("/usr/")]
    user = instruction("USER").partition(":")[0]
    command = [*APART, "sh", "-c", ENGINE, "sh", made / "root", made, user, *mounts]
    done = subprocess.run(command, env=settings, capture_output=True, text=True, check=False, timeout=PATIENCE)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return done.stdout + done.stderr


@pytest.mark.skipif(
    os.geteuid() != 0 or not all(map(shutil.which, ("unshare", "setpriv", "ip"))),
    reason="needs root, unshare, setpriv and ip",
)
def test_it_runs_as_the_image_says_and_writes_its_state_alone(made: Path) -> None:
    if subprocess.run([*APART, "mount", "-t", "tmpfs", "none", made / "root"], check=False).returncode:
        pytest.skip("namespaces or mounts are refused here")
    line = "2026-11-21T23:59:58+00:00 mail postfix/qmgr[7]: 4T{}: removed\n"
    for count in (1, 2):
        said = run_image(made, line.format(count))
        assert "--demo needs a folder to write in" in said
        assert "ended on request" in said
        assert re.search(r"CapEff:\s+0+$", said, re.MULTILINE)
        assert "mailstat_state_last_save_successful 1.0" in said
        (parsed,) = re.findall(r'mailstat_log_lines_total{mta="postfix",outcome="parsed",.*} (\S+)', said)
        assert float(parsed) == count
    assert sorted(path.name for path in (made / "state").iterdir()) == ["state.db"]
    assert (made / "state/state.db").stat().st_mode & 0o777 == 0o600
