"""A benchmark's JSON as a page: tables, and the aims with what was reached."""

_HEADER = """# KLIEP beside published solvers

Written by
`python benchmarks/kliep.py --markdown=docs/results/kliep_benchmark.md` on
{cpus} CPU cores (load average {load:.1f}), every solver in a process of its
own. Samples of known density ratio: latent normals of dimension 10, shifted by
one deviation, seen through a random map to d features with noise.

- gemm: the float32 matrix product that the distances to 100 centers need, or
  those to all target points: what no solver over these centers can beat.
- seconds: the best of up to eight calls (fewer where they take long); CPU: the
  least processor seconds of them; first: the first call, compilation included.
- J: mean log ratio over the target at mean 1 over the source, in nats, higher
  is better at the same centers and width; gap: certified bound on what J lacks
  (only kliep_tf has one). adapt and densratio have no constant beside the
  kernels.
- ESS: effective share of the source; error: mean squared error against the
  true ratio, both of mean 1; memory: the process's peak, and what of it the
  solver added to samples and libraries, in MiB.
"""
_COLUMNS = (
    "| solver | seconds | CPU | first | J | gap | ESS | error | width "
    "| memory |"
)
_LARGE = ("large", "gta")


def as_markdown(report: dict) -> str:
    """Returns the page."""
    pages = [_HEADER.format(cpus=report["cpus"], load=report["load_average"])]
    for case in report["cases"].values():
        pages.append(_table(case))
    pages.append("## Aims\n\n| aim | reached | |\n|---|---|---|")
    page = "\n".join(pages) + "\n"
    return page + "\n".join(_aims(report["cases"])) + "\n"


def _table(case: dict) -> str:
    source, target, dim = case["shape"]
    lines = [f"## {source:,} source, {target:,} target points, d = {dim}", ""]
    lines += [_COLUMNS, "|---" * (_COLUMNS.count("|") - 1) + "|"]
    for name, found in case["solvers"].items():
        if "failed" in found and "steady" not in found:
            lines.append(f"| {name} | {found['failed']} |" + " |" * 8)
            continue
        cells = [
            name,
            _number(found, "steady", ".3f"),
            _number(found, "steady_cpu", ".3f"),
            _number(found, "first", ".2f"),
            _number(found, "log_likelihood", ".5f"),
            _number(found, "gap", ".0e"),
            _number(found, "ess", ".3f"),
            found.get("failed") or _number(found, "error", ".3f"),
            _number(found, "bandwidth", ".3g"),
            f"{found['peak_memory_mib']} (+{found['peak_memory_added_mib']})",
        ]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join([*lines, ""])


def _number(found: dict, key: str, form: str) -> str:
    return format(found[key], form) if key in found else ""


def _aims(cases: dict):
    """Yields a row for each aim that this run can speak of."""
    for name in _LARGE:
        if name not in cases:
            continue
        found = cases[name]["solvers"]
        size = " x ".join(f"{n:,}" for n in cases[name]["shape"][:2])
        yield from _aims_at_fixed_width(found, f"{size}, 100 centers")
        yield from _aims_of_selection(found, f"{size}, selection")
    solvers = cases.get("gta", {"solvers": {}})["solvers"]
    if "kliep_tf, all centers" in solvers:
        seconds = solvers["kliep_tf, all centers"]["steady_cpu"]
        yield _row(
            "all 2,975 centers: under 2 CPU seconds",
            f"{seconds:.2f} s",
            seconds < 2,
        )


def _aims_at_fixed_width(found: dict, size: str):
    if not {"gemm", "kliep_tf, 100 centers"} <= set(found):
        return
    ours = found["kliep_tf, 100 centers"]
    for other, times in (("adapt", 10), ("densratio", 50)):
        aim = f"{size}: {times} times faster than {other}"
        yield _faster(aim, ours, found[f"{other}, 100 centers"], times)
    ratio = ours["steady"] / found["gemm"]["steady"]
    aim = f"{size}: within 5 times the matrix product"
    yield _row(aim, f"{ratio:.1f} times", ratio <= 5)
    first = ours["first"]
    yield _row(f"{size}: first call under 6 s", f"{first:.1f} s", first < 6)


def _aims_of_selection(found: dict, size: str):
    for name, centers in (
        ("kliep_tf, width selected", "all centers"),
        ("kliep_tf, width selected, 100 centers", "the same 100 centers"),
    ):
        if name in found:
            yield from _selection_against_others(
                found, found[name], f"{size}, {centers}"
            )


def _selection_against_others(found: dict, ours: dict, size: str):
    for other in ("adapt", "densratio"):
        theirs = found[f"{other}, width selected"]
        yield _faster(f"{size}: 20 times faster than {other}", ours, theirs, 20)
        if "error" in theirs and "error" in ours:
            yield _row(
                f"{size}: lower error than {other}",
                f"{ours['error']:.3f} against {theirs['error']:.3f}",
                ours["error"] < theirs["error"],
            )


def _faster(aim: str, ours: dict, theirs: dict, times: float) -> str:
    if "steady" not in ours:
        return f"| {aim} | {ours['failed']} | |"
    if "longer_than" in theirs:
        return _at_least(aim, theirs["longer_than"] / ours["steady"], times)
    if "steady" not in theirs:
        return f"| {aim} | {theirs['failed']} | |"
    ratio = theirs["steady"] / ours["steady"]
    return _row(aim, f"{ratio:.1f} times", ratio >= times)


def _at_least(aim: str, ratio: float, times: float) -> str:
    """Returns the row where the other solver was given up."""
    reached = f"more than {ratio:.1f} times (it was given up)"
    if ratio >= times:
        return _row(aim, reached, True)
    return f"| {aim} | {reached} | not decided |"


def _row(aim: str, reached: str, met: bool) -> str:
    return f"| {aim} | {reached} | {'met' if met else 'missed'} |"
