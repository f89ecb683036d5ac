"""`--reasons` and `--providers` of the command: in force, or refused with what is wrong."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
RULES = 'rules: [{id: ours, class: loop, phrases: [round and round], sample: "550 round and round"}]\n'
PROVIDERS = "- {name: partner, domains: [partner.example]}\n"


def explain(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "mailstat", "explain", "--format", "json", *map(str, arguments), "-"]
    item = json.dumps({"reply": "550 5.1.1 round and round", "recipient": "kim@partner.example"})
    return subprocess.run(command, input=item, capture_output=True, text=True, cwd=ROOT, check=False)


def test_own_rules_and_providers_are_in_force(tmp_path: Path) -> None:
    (tmp_path / "rules.yml").write_text(RULES)
    (tmp_path / "providers.yml").write_text(PROVIDERS)
    done = explain("--reasons", tmp_path / "rules.yml", "--providers", tmp_path / "providers.yml")
    found = json.loads(done.stdout)
    found = found[0] if isinstance(found, list) else found
    assert (found["reason"], found["rule"], found["provider"]) == ("loop", "ours", "partner")


def test_a_bad_file_is_wrong_usage(tmp_path: Path) -> None:
    (tmp_path / "rules.yml").write_text(RULES.replace("loop", "loops"))
    done = explain("--reasons", tmp_path / "rules.yml")
    assert done.returncode == 2
    assert 'rules[0].class: "loops" is neither one of ours nor in classes' in done.stderr
    assert not done.stdout
