"""The tables of a report: an evaluation in, HTML out; every row kind in every table."""

from collections.abc import Callable, Sequence
from html import escape

from pictura.core.html import cell, number, table
from pictura.evaluate.metrics.bootstrap import Interval
from pictura.evaluate.report.html import share
from pictura.evaluate.results import Evaluation, Likeness, Row

_Value = Callable[[Row], float | None]


def tasks(found: Evaluation) -> str:
    """Accuracy per task, by every judge."""
    judged = [row for row in found.rows if row.judges]
    names = list(judged[0].judges[0].tasks)
    parts = []
    for place, judge in reversed(list(enumerate(judged[0].judges))):
        best = _best(judged, lambda row, i=place: row.judges[i].overall.value)  # type: ignore[misc]
        rows = [
            (
                row.kind,
                [
                    cell(escape(row.name)),
                    share(row.judges[place].overall, best=row.name in best),
                    *(share(row.judges[place].tasks[name]) for name in names),
                ],
            )
            for row in judged
        ]
        title = f"<h3>{escape(judge.judge)} <code>{judge.hash[:12]}</code></h3>"
        parts.append(title + table(["", "overall", *map(escape, names)], rows))
    return "\n".join(parts)


def scores(found: Evaluation) -> str:
    """One wide table: what fits the sentence, then what is like real pictures in each net."""
    rows = found.rows
    head, columns = [""], []
    for place, judge in reversed(list(enumerate(rows[0].judges))):
        head.append(f"{escape(found.benchmark['name'])}<br>{escape(judge.judge)} ↑")
        columns.append([share(row.judges[place].overall) for row in rows])
    clip = rows[0].clip
    if clip is not None:
        head += [f"LocalCLIPScore<br>[{clip.hash[:12]}] ↑", "R-precision ↑"]
        columns.append([_interval(row.clip.score if row.clip else None) for row in rows])
        columns.append([share(row.clip.r_precision if row.clip else None) for row in rows])
    for place, net in enumerate(rows[0].likeness):
        for key, title, sign in _LIKENESS:
            values = [_of(row, place, key) for row in rows]
            if any(value is not None for value in values):
                head.append(f"{title}<br>[{net.hash}] {sign}")
                columns.append([number(value) for value in values])
        if net.diversity is not None:
            head.append(f"diversity<br>[{net.hash}]")
            spread = [row.likeness[place].diversity if row.likeness else None for row in rows]
            columns.append([_interval(value) for value in spread])
    body = [
        (row.kind, [cell(f'<span title="{escape(row.about)}">{escape(row.name)}</span>'), *cells])
        for row, *cells in zip(rows, *columns, strict=True)
    ]
    return table(head, body)


_LIKENESS = (
    ("fd", "FD-local", "↓"),
    ("kd", "KD-local", "↓"),
    ("precision", "precision", "↑"),
    ("recall", "recall", "↑"),
    ("density", "density", "↑"),
    ("coverage", "coverage", "↑"),
)


def rankings(found: Evaluation) -> str:
    """In what order the nets put the sets, and whether they agree."""
    parts = []
    for ranking in found.rankings:
        verdict = "All nets agree" if ranking.agree else "The nets do not agree"
        taus = ", ".join(f"{escape(pair)}: {tau:+.2f}" for pair, tau in ranking.tau.items())
        orders = (
            ("", [cell(escape(net)), cell(" &lt; ".join(map(escape, order)))])
            for net, order in ranking.orders.items()
        )
        parts.append(
            f"<h3>Order by FD-local of {escape(ranking.of)}</h3><p>{verdict} on the order"
            f"{f' (Kendall tau of {taus})' if taus else ''}.</p>" + table(["net", "best first"], orders)
        )
    return "\n".join(parts)


def memorisations(found: Evaluation) -> str:
    """Nearest-neighbour distances to the reference against those of real pictures."""
    head = [
        "",
        "net",
        "as near as the nearest real ones ↓",
        "expected",
        "copies ↓",
        "median distance",
        "of real",
    ]
    rows = []
    for row in found.rows:
        for net in row.likeness:
            if (m := net.memorisation) is not None:
                cells = [cell(f"{100 * m[key]:.1f} %") for key in ("share", "expected")]
                cells.append(cell(f"{m['copies']:.0f}"))
                cells += [number(m["median"]), number(m["median_of_real"])]
                rows.append((row.kind, [cell(escape(row.name)), cell(escape(net.net)), *cells]))
    return (
        "<p class='soft'>A set that is as new as real pictures has the expected share; far more says that "
        "pictures were remembered, far less that they are like nothing.</p>" + table(head, rows)
    )


def agreements(found: Evaluation) -> str:
    """Two by two: the verdicts of both judges about the compared sets and the ceiling."""
    parts = []
    for row in found.rows:
        if (a := row.agreement) is None or row.kind == "floor":
            continue
        n = a.num_pictures
        boxes = "".join(
            f'<div class="n" style="--v:{100 * count / n:.0f}%;--tone:var(--{tone})">{count}</div>'
            for count, tone in ((a.both, "yes"), (a.only_second, "no"))
        )
        lower = "".join(
            f'<div class="n" style="--v:{100 * count / n:.0f}%;--tone:var(--{tone})">{count}</div>'
            for count, tone in ((a.only_first, "no"), (a.neither, "yes"))
        )
        parts.append(
            f"<div><h3>{escape(row.name)}</h3><div class='quad'><div></div><div>{escape(a.first)} right</div>"
            f"<div>{escape(a.first)} wrong</div><div>{escape(a.second)} right</div>{boxes}"
            f"<div>{escape(a.second)} wrong</div>{lower}</div>"
            f"<p class='soft'>They agree on {100 * a.share:.1f} % of {n} pictures, kappa {a.kappa:.2f}."
            "</p></div>"
        )
    return f'<div class="heroes">{"".join(parts)}</div>'


def speeds(found: Evaluation) -> str:
    """Seconds and pictures a second of painting and of scoring."""
    head = ["", "pictures", "painted now", "painting", "scoring"]
    rows = []
    for row in found.compared:
        painting, scoring = row.painting or {}, row.scoring or {}
        rows.append(
            (
                row.kind,
                [
                    cell(escape(row.name)),
                    cell(str(row.num_pictures)),
                    cell(str(painting.get("num_painted", "–"))),
                    cell(_speed(painting)),
                    cell(_speed(scoring)),
                ],
            )
        )
    return table(head, rows)


def _speed(facts: object) -> str:
    if not isinstance(facts, dict) or not facts.get("pictures_per_s"):
        return "–"
    return f"{facts['seconds']:.0f} s, {facts['pictures_per_s']:.3g} pictures/s"


def _interval(value: Interval | None) -> str:
    if value is None:
        return cell("–")
    return cell(f"{value.value:.3g} <i>{value.low:.3g}–{value.high:.3g}</i>")


def _of(row: Row, place: int, key: str) -> float | None:
    if not row.likeness:
        return None
    like: Likeness = row.likeness[place]
    value: float | None = getattr(like, key)
    return value


def _best(rows: Sequence[Row], value: _Value) -> set[str]:
    """Names of the best of the compared rows, if there are several."""
    compared = {row.name: value(row) or 0.0 for row in rows if row.kind in ("model", "folder")}
    top = max(compared.values(), default=0.0)
    return {name for name, score in compared.items() if score == top} if len(compared) > 1 else set()
