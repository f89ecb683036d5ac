"""Write the dashboards: `python -m dashboards.generate`; with `--check`, say which are stale."""

from __future__ import annotations

import sys
from argparse import ArgumentParser
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from grafana_foundation_sdk.builders import dashboard as build
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import (
    DashboardCursorSync,
    DashboardLinkType,
    VariableOption,
    VariableRefresh,
    VariableSort,
)

from dashboards import kubernetes
from dashboards.panel import SOURCE

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from dashboards.layout import Board

FOLDER = Path(__file__).parent / "grafana"
TAG = "mailstat"
RUNBOOKS = "https://runbooks.example.org/mailstat"
UP = "mailstat_build_info"
LABELS = {
    "job": ("Job", f"label_values({UP}, job)"),
    "instance": ("Instance", f'label_values({UP}{{job=~"$job"}}, instance)'),
    "mta": ("Mail server", 'label_values(mailstat_log_lines_total{job=~"$job", instance=~"$instance"}, mta)'),
    "service": ("Service", 'label_values(mail_messages_removed_total{job=~"$job", mta=~"$mta"}, service)'),
    "provider": ("Provider", 'label_values(mail_deliveries_total{job=~"$job", mta=~"$mta"}, provider)'),
    "probe": ("Probe", 'label_values(mail_probe_success{job=~"$job"}, probe)'),
}


def boards() -> Iterator[Board]:
    """All of them, in the order of their files' names."""
    for path in sorted((Path(__file__).parent / "board").glob("[a-z]*.py")):
        yield import_module(f"dashboards.board.{path.stem}").BOARD


def text(board: Board) -> str:
    """The JSON that Grafana imports."""
    made = build.Dashboard(f"mailstat / {board.title}").uid(f"mailstat-{board.name}").description(board.text)
    made.tags([TAG]).editable().refresh("1m").time("now-24h", "now").timezone("browser")
    made.tooltip(DashboardCursorSync.CROSSHAIR)
    made.variables([build.DatasourceVariable("datasource").label("Prometheus").type("prometheus")])
    for name in ("job", "instance", *board.filters):
        made.with_variable(_variable(name))
    made.with_variable(build.TextBoxVariable("runbooks").label("Runbooks at").default_value(RUNBOOKS))
    link = build.DashboardLink("mailstat").type(DashboardLinkType.DASHBOARDS).tags([TAG])
    made.link(link.include_vars(True).keep_time(True))
    for row in board.rows:
        made.with_row(build.Row(row.title))
        for panel in row.panels:
            made.with_panel(panel)
    return JSONEncoder(indent=2, sort_keys=True).encode(made.build()) + "\n"


def _variable(name: str) -> build.QueryVariable:
    """A filter; all is everything, the empty provider of local deliveries too."""
    label, query = LABELS[name]
    variable = build.QueryVariable(name).label(label).query(query).datasource(SOURCE)
    variable.refresh(VariableRefresh.ON_TIME_RANGE_CHANGED).sort(VariableSort.ALPHABETICAL_ASC)
    variable.multi(True).include_all(True).all_value(".*")
    return variable.current(VariableOption(selected=True, text="All", value="$__all"))


def stale(folder: Path) -> list[str]:
    """The dashboards that are missing or are not what the code says now, and those that no code makes."""
    wanted = {f"{board.name}.json": text(board) for board in boards()}
    there = {path.name: path.read_text(encoding="utf-8") for path in folder.glob("*.json")}
    return sorted(name for name in wanted.keys() | there.keys() if wanted.get(name) != there.get(name))


def main(argv: Sequence[str] | None = None, folder: Path = FOLDER, manifests: Path = kubernetes.FOLDER) -> int:
    """Write, and what Kubernetes takes of it; with `--check`, say which are not current: then the status is 1."""
    parser = ArgumentParser(prog="python -m dashboards.generate", description="Write the dashboards for Grafana.")
    parser.add_argument("--check", action="store_true", help="write nothing; fail where a dashboard is not current")
    if parser.parse_args(argv).check:
        old = [f"{folder.name}/{name}" for name in stale(folder)]
        old += [f"{manifests.name}/{name}" for name in kubernetes.stale(manifests)]
        for name in old:
            print(f"{name} is not what the code says: run make dashboards", file=sys.stderr)
        return int(bool(old))
    for board in boards():
        (folder / f"{board.name}.json").write_text(text(board), encoding="utf-8")
    kubernetes.write(manifests)
    return 0


if __name__ == "__main__":
    sys.exit(main())
