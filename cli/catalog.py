"""Commands about models and their files: list, info, download, verify, cache. None of them imports torch."""

from __future__ import annotations

import json
import math
import shlex
import warnings
from collections.abc import Iterable
from dataclasses import asdict, replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import click

from zoo.errors import InputError, WeightsError, ZooError, near
from zoo.files import is_file
from zoo.metrics import wording
from zoo.registry.cards import row_of
from zoo.registry.datasets import caution
from zoo.registry.facts import VERBS, Entry, Format
from zoo.registry.index import registry, search
from zoo.registry.licenses import commercial, terms
from zoo.registry.values import printable
from zoo.weights.folder import export
from zoo.weights.hub import repository
from zoo.weights.resolve import entry_of, fetch, on_disk
from zoo.weights.verify import check

from .console import heading, table
from .names import PathType


def complete_names(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """Names for the shell's completion, which may print nothing else."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        names = [*registry().models, *registry().entries, "local-dir:", "hf-hub:"]
    return [name for name in names if name.startswith(incomplete)]


def as_json(value: Any) -> None:
    """Print for a script to read, in ASCII: any terminal and any pipe takes that."""
    click.echo(json.dumps(value, indent=2))


def entry_facts(entry: Entry) -> dict[str, Any]:
    """All facts of an entry but its figures, for JSON."""
    facts = asdict(replace(entry, metrics=()))
    for key in ("folder", "metrics"):
        del facts[key]
    return {"name": entry.name, **facts, "embedded": _embedded(entry)}


def _embedded(entry: Entry) -> bool:
    return not entry.source and is_file(entry.embedded)


def describe(given: Format | None) -> str:
    """A format in a few words: ``RGB image 64x64``."""
    if given is None:
        return "noise"
    if given.kind != "image":
        return given.kind
    colour = {1: "grey ", 3: "RGB "}.get(given.channels or 0, "")
    size = f" {given.size[0]}x{given.size[1]}" if given.size else " of any size"
    return f"{colour}image{f', {given.scale} times larger' if given.scale > 1 else size}"


def megabytes(size: int | None) -> str:
    return f"{size / 1e6:.1f} MB" if size else "?"


@click.command("list")
@click.argument("pattern", default="*")
@click.option("--verb", type=click.Choice(VERBS), help="Only models with this verb.")
@click.option("--license", help="Only weights with this licence, such as 'cc-by*', or commercial.")
@click.option("--json", "json_", is_flag=True, help="Print all facts as JSON.")
def list_(pattern: str, verb: str | None, license: str | None, json_: bool) -> None:
    """Show the models and checkpoints whose name matches PATTERN, such as '*gan*'."""
    entries = search(pattern, verb=verb, license=license)
    if json_:
        return as_json([entry_facts(entry) for entry in entries])
    bare = [name for name, (e, *_) in registry().models.items() if not e.checkpoint and fnmatchcase(name, pattern)]
    bare = [] if verb or license else bare
    if not entries and not bare:
        options = " with these options" if verb or license else ""
        known = near(pattern, [*registry().models, *registry().entries]) or "; `zoo list` shows all."
        raise InputError(f"No model matches {pattern!r}{options}{known}")
    foreign = any(entry.package != "zoo" for entry in entries)
    rows = [["NAME", "VERB", "OUTPUT", "SIZE", "LICENSE", *["PACKAGE"] * foreign, "SUMMARY"]]
    for e in entries:
        size = megabytes(e.bytes) + (", Hub" if e.hub and not _embedded(e) else "")
        facts = [e.name, ", ".join(e.verbs), describe(e.output), size, e.license]
        rows.append([*facts, *[e.package] * foreign, e.summary])
    if entries:
        table(rows)
    if bare:
        click.echo(f"\nNetworks without weights, for `zoo import`: {', '.join(bare)}".lstrip("" if entries else "\n"))
    return None


@click.command("info")
@click.argument("name", shell_complete=complete_names)
@click.option("--speed", is_flag=True, help="Also measure the speed of each --precision on this machine.")
@click.option("--json", "json_", is_flag=True, help="Print JSON.")
def info_(name: str, speed: bool, json_: bool) -> None:
    """Show the network, weights, licence, data and metrics of a model or checkpoint.

    NAME can also be local-dir:FOLDER or hf-hub:OWNER/REPO, as in all commands that load a model.
    """
    from zoo.tasks import tasks_of

    entry = entry_of(name)
    if json_:
        able = {task.name: dict(entry.tasks.get(task.name, {})) for task in tasks_of(entry)}
        return as_json({**entry_facts(entry), "metrics": [row_of(metric) for metric in entry.metrics], "tasks": able})
    where = "embedded" if _embedded(entry) else f"on the Hub, {entry.hub.repo}" if entry.hub else "yours"
    lines = {
        "Paper": entry.paper,
        "Verbs": ", ".join(entry.verbs),
        "Takes": describe(entry.input) if entry.checkpoint else "",
        "Gives": describe(entry.output) if entry.checkpoint else "",
        "Weights": f"{megabytes(entry.bytes)}, {entry.license}, {where}"
        if entry.checkpoint
        else f"none: `zoo import`{' or `zoo train`' * bool(entry.recipe)}",
        "sha256": entry.sha256,
        "Verified": "" if entry.verified else "no: the maintainers have never loaded this file",
        "Data": f"{entry.data.name} ({entry.data.license}), {entry.data.source}" if entry.data else "",
        "Caution": caution(entry.data),
        "From": _origin(entry),
        "Recipe": entry.recipe,
        # Words stand below, at the condition.
        "Builder": f"{entry.builder}({', '.join(f'{k}={v}' for k, v in entry.config.items() if k != 'vocabulary')})",
        "Package": entry.package,
        "Others": ", ".join(e.name for e in registry().models[entry.model] if e is not entry),
    }
    click.echo(f"{heading(entry.name)}: {printable(entry.summary)}\n")
    for title, text in lines.items():
        if text:
            click.echo(f"{heading(f'{title:<9}')}{printable(text)}")
    if tasks := tasks_of(entry) if entry.checkpoint else []:
        click.echo()
    for task in tasks:
        own = ", ".join(f"{name} {value}" for name, value in entry.tasks.get(task.name, {}).items())
        click.echo(f"{heading(f'zoo {task.name}')}: {task.summary}{f' ({printable(own)})' if own else ''}")
    for condition in entry.conditions:
        values = ", ".join(map(str, condition.choices)) or condition.kind
        if condition.default is not None:
            values += f"; {condition.default} by default"
        click.echo(f"\n-c {printable(f'{condition.name}=... ({values}): {condition.help}')}")
        if condition.examples:
            click.echo(f"  such as {printable(repr(condition.examples[0]))}")
        if words := [word for word in condition.vocabulary if word != ","]:
            click.echo(f"  of the words {printable(', '.join(words))}")
    for rows in wording.by_protocol(entry.metrics):
        way = wording.better(rows[0])
        click.echo(f"\n{heading(printable(wording.name(rows[0])))}{f' ({way} is better)' if way else ''}")
        for row in rows:
            click.echo(f"  {printable(wording.in_one_line(row))}")
        click.echo(f"  {printable(wording.sentence(rows[0]))}")
    if text := wording.training_note(entry):
        click.echo(f"\n{printable(text)}")
    if speed:
        from zoo.jobs.speed import measure

        click.echo("\nBeside the plain network, on this machine, one sample at a time:")
        for precision, quick, ratio in measure(name):
            near = "the same" if quick.agreement == math.inf else f"{quick.agreement:.0f} dB of agreement"
            click.echo(f"{precision}: {quick.kind}; {ratio:.2f} times as fast, {near}")
    return None


def _origin(entry: Entry) -> str:
    """Which files weights were imported from."""
    if not entry.origin:
        return ""
    files = ", ".join(f"{name} (sha256 {digest[:12]}...)" for name, digest in entry.origin.files.items())
    taken = "".join(f", {where}" for where in entry.origin.taken.values())
    return f"{files}{taken}, in the layout {entry.origin.layout}"


def entries_of(names: Iterable[str]) -> list[Entry]:
    """The entries that names, as :func:`zoo.load` takes them, and shell patterns stand for, each once."""
    entries: list[Entry] = []
    for name in names:
        matches = search(name) if set(name) & set("*?[") and ":" not in name else [entry_of(name)]
        if not matches:
            raise InputError(f"No model matches {name!r}; `zoo list` shows all.")
        entries += matches
    return list({entry.address: entry for entry in entries}.values())


@click.command("licenses")
@click.argument("names", nargs=-1, required=True, shell_complete=complete_names)
@click.option("--json", "json_", is_flag=True, help="Print JSON.")
def licenses_(names: tuple[str, ...], json_: bool) -> None:
    """Show the obligations from the licences of code, weights and data. Not legal advice."""
    rows = []
    for entry in entries_of(names):
        code = "Apache-2.0" if entry.package == "zoo" else "unknown"
        parts = [("code", code), ("weights", entry.license)]
        parts += [(f"data: {entry.data.name}", entry.data.license)] if entry.data else []
        facts = [{"of": what, **asdict(terms(name))} for what, name in parts]
        rows.append({"name": entry.address, "commercial": commercial(entry), "parts": facts})
    if json_:
        return as_json(rows)
    for row in rows:
        click.echo(f"{row['name']}: commercial use {'is allowed' if row['commercial'] else 'is not allowed'}")
        for part in row["parts"]:  # type: ignore[attr-defined]
            said = f"{part['of']}, {part['license']}: {part['duties']}"
            click.echo(f"  {printable(said)}")
    return None


@click.command()
@click.argument("names", nargs=-1, shell_complete=complete_names)
@click.option("--all", "all_", is_flag=True, help="All checkpoints.")
@click.option("--to", type=PathType(), help="Copy the files to this folder, for a machine without network.")
@click.option("--force", is_flag=True, help="Download again even if the file is on this machine.")
def download(names: tuple[str, ...], all_: bool, to: Path | None, force: bool) -> None:
    """Download weights that are missing on this machine, or copy weights to a folder.

    --to FOLDER writes a sub-folder for each checkpoint. Load it as `local-dir:FOLDER/NAME`, or by its usual
    name with ZOO_WEIGHTS=FOLDER or, in Python, weights="FOLDER".
    """
    if bool(names) == all_:
        raise InputError("Name what to download, or give --all.")
    entries = entries_of(["*"] if all_ else names)
    folders: dict[str, str] = {}
    for entry in entries:
        if to and folders.setdefault(entry.name, entry.address) != entry.address:
            both = f"{folders[entry.name]} and {entry.address}"
            raise InputError(f"{both} would both be {to / entry.name}: download them to two folders.")
    failed = []
    for entry in entries:
        try:
            path = fetch(entry, force=force)
            if to is not None:
                path = export(entry, path, to / entry.name)
            click.echo(f"{entry.address}: {path}")
        except WeightsError as error:
            if len(entries) == 1:
                raise
            failed.append(entry.address)
            click.echo(f"{entry.address}: {error}", err=True)
    if failed:
        raise WeightsError(f"{len(failed)} of {len(entries)} were not downloaded: {', '.join(failed)}.")


@click.command()
@click.argument("names", nargs=-1, shell_complete=complete_names)
@click.option("--json", "json_", is_flag=True, help="Print JSON.")
def verify(names: tuple[str, ...], json_: bool) -> None:
    """Compare the sha256 of all weights on this machine with the registry, without network.

    Exits with 1 if a file has another sha256.
    """
    rows = []
    for entry in entries_of(names or ["*"]):
        files = list(on_disk(entry))
        for path in files:
            try:
                check(path, entry, anew=True)
                rows.append({"name": entry.address, "status": "good", "detail": str(path)})
            except WeightsError as error:
                rows.append({"name": entry.address, "status": "wrong", "detail": str(error)})
        if not files:
            cure = f"`zoo download {shlex.quote(entry.address)}` gets it" if entry.hub else "it is not on the Hub"
            rows.append({"name": entry.address, "status": "absent", "detail": cure})
    if json_:
        as_json(rows)
    else:
        table([list(row.values()) for row in rows])
    wrong = sum(row["status"] == "wrong" for row in rows)
    if wrong:
        raise ZooError(f"{wrong} of {len(rows)} files {'is' if wrong == 1 else 'are'} wrong.")


@click.group()
def cache() -> None:
    """Show or delete downloaded weights of the zoo in the Hub's cache."""


def _cached() -> dict[str, Any]:
    """The repositories in the Hub's cache, by ``owner/name``."""
    from huggingface_hub import scan_cache_dir
    from huggingface_hub.errors import CacheNotFound

    try:
        return {repo.repo_id: repo for repo in scan_cache_dir().repos if repo.repo_type == "model" and repo.nb_files}
    except (CacheNotFound, OSError, RuntimeError, ValueError):  # there is none, or no home for it, or no folder
        return {}


@cache.command("list")
@click.option("--json", "json_", is_flag=True, help="Print JSON.")
def cache_list(json_: bool) -> None:
    """Show which weights were downloaded, their size, and when they were last used."""
    repos, entries = _cached(), registry().entries.values()
    rows = [
        {"name": e.name, "bytes": repo.size_on_disk, "used": repo.last_accessed_str, "path": str(repo.repo_path)}
        for e in entries
        if e.hub and (repo := repos.get(e.hub.repo))
    ]
    if json_:
        return as_json(rows)
    if not rows:
        return click.echo("Nothing was downloaded.")
    return table([[row["name"], megabytes(row["bytes"]), row["used"], row["path"]] for row in rows])


@cache.command("clear")
@click.argument("names", nargs=-1, shell_complete=complete_names)
@click.option("--all", "all_", is_flag=True, help="All downloaded weights of the zoo.")
def cache_clear(names: tuple[str, ...], all_: bool) -> None:
    """Delete downloaded weights, for hf-hub:OWNER/REPO all revisions. Weights in the package are kept."""
    from huggingface_hub import scan_cache_dir

    if bool(names) == all_:
        raise InputError("Name what to delete, or give --all.")
    wanted = {repository(name)[0] for name in names if name.startswith("hf-hub:")}
    entries = entries_of(["*"] if all_ else [name for name in names if not name.startswith("hf-hub:")])
    wanted |= {entry.hub.repo for entry in entries if entry.hub}
    repos = {name: repo for name, repo in _cached().items() if name in wanted}
    commits = [revision.commit_hash for repo in repos.values() for revision in repo.revisions]
    if commits:
        scan_cache_dir().delete_revisions(*commits).execute()
    click.echo(f"Deleted {megabytes(sum(repo.size_on_disk for repo in repos.values())) if repos else 'nothing'}.")
