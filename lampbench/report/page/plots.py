"""Plots as inline SVG: 360 units wide, scaled by the page, coloured by its style sheet."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from markupsafe import Markup

_WIDTH = 360.0
_LABELS, _ROW, _FOOT, _TOP = 104.0, 26.0, 26.0, 6.0
_LONGEST = 15  # characters of a label
_DOTS = 200  # users above which the box alone is drawn


@dataclass(frozen=True, slots=True)
class PlottedValue:
    """A labelled value with the ends of its interval, NaN where they are open.

    `parts` are values that it is the mean of, such as those of several seeds.
    """

    label: str
    value: float
    low: float
    high: float
    note: str = ""
    parts: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class ScatterPoint:
    """A labelled point of a scatter plot; filled or hollow."""

    label: str
    x: float
    y: float
    filled: bool


@dataclass(frozen=True, slots=True)
class _Axis:
    """A linear map of values to units."""

    low: float
    high: float
    begin: float
    end: float

    def __call__(self, value: float) -> float:
        return self.begin + (value - self.low) / (self.high - self.low) * (self.end - self.begin)


def element(name: str, *content: str, **attributes: object) -> Markup:
    """One element. Text and attributes are escaped; a trailing or inner `_` of a name is undone."""
    pairs = Markup("").join(
        Markup(' {}="{}"').format(key.rstrip("_").replace("_", "-"), _written(value))
        for key, value in attributes.items()
    )
    return Markup("<{0}{1}>{2}</{0}>").format(name, pairs, Markup("").join(content))


def intervals(marks: Sequence[PlottedValue], description: str) -> Markup:
    """A row per value: a dot on its interval, its parts as small ones, zero as a line, the note at
    the right.
    """
    values = [v for mark in marks for v in (mark.low, mark.value, mark.high, *mark.parts)]
    ends = [value for value in values if math.isfinite(value)]
    ticks = _ticks(min([0.0, *ends]), max([0.0, *ends]), 3)
    axis = _Axis(ticks[0], ticks[-1], _LABELS, _WIDTH - 62)

    def draw(row: int, y: float) -> list[Markup]:
        mark = marks[row]
        drawn = []
        if math.isfinite(mark.low):
            drawn.append(_line(axis(mark.low), y, axis(mark.high), y, "whisker"))
        drawn += [element("circle", cx=axis(v), cy=y - 7, r=2, class_="part") for v in mark.parts]
        drawn.append(element("circle", cx=axis(mark.value), cy=y, r=4, class_="dot"))
        note = element("text", mark.note, x=_WIDTH - 2, y=y + 4, class_="note", text_anchor="end")
        return [*drawn, note]

    return _in_rows([mark.label for mark in marks], ticks, axis, draw, description)


def distributions(rows: Sequence[tuple[str, Sequence[float]]], description: str) -> Markup:
    """A row per label: quartiles as a box, the median as a line, and a dot for each value.

    Above 200 values the dots are left out and a line runs from the least to the greatest.
    """
    values = [value for _, each in rows for value in each]
    ticks = _ticks(min(values), max(values), 3)
    axis = _Axis(ticks[0], ticks[-1], _LABELS, _WIDTH - 18)

    def draw(row: int, y: float) -> list[Markup]:
        each = sorted(rows[row][1])
        first, middle, third = (axis(_quantile(each, q)) for q in (0.25, 0.5, 0.75))
        box = element("rect", x=first, y=y - 8, width=third - first, height=16, class_="box")
        drawn = [box]
        if len(each) <= _DOTS:
            drawn += _swarm([axis(value) for value in each], y)
        else:
            drawn += [_line(axis(each[0]), y, axis(each[-1]), y, "whisker")]
        return [*drawn, _line(middle, y - 9, middle, y + 9, "median")]

    return _in_rows([label for label, _ in rows], ticks, axis, draw, description)


def scatter(points: Sequence[ScatterPoint], x_title: str, y_title: str, description: str) -> Markup:
    """Points over a logarithmic x axis; labels at the right are connected to their points."""
    height, labels = max(210.0, 60.0 + 17 * len(points)), _WIDTH - 92
    powers = [math.log10(max(point.x, 1.0)) for point in points]
    low = math.floor(min(powers))
    high = max(math.ceil(max(powers)), low + 1)
    across = _Axis(low, high, 40, labels - 22)
    ticks = _ticks(min(p.y for p in points), max(p.y for p in points))
    up = _Axis(ticks[0], ticks[-1], height - 44, 20)
    drawn = _sideways(ticks, up, labels - 22)
    for decade in range(low, high + 1):
        x = across(decade)
        drawn.append(_line(x, 20, x, height - 44, "grid"))
        tick = _thousands(10.0**decade)
        drawn.append(element("text", tick, x=x, y=height - 28, class_="tick", text_anchor="middle"))
    places = sorted(zip(points, powers, strict=True), key=lambda pair: -pair[0].y)
    ys = _spread([up(point.y) for point, _ in places], 15, 16, height - 44)
    for (point, power), y in zip(places, ys, strict=True):
        x, own = across(power), up(point.y)
        drawn.append(_line(x, own, labels - 5, y, "leader"))
        kind = "dot" if point.filled else "dot hollow"
        drawn.append(element("circle", cx=x, cy=own, r=4.5, class_=kind))
        drawn.append(_label(point.label, labels, y + 4))
    drawn.append(element("text", y_title, x=2, y=11, class_="tick"))
    drawn.append(element("text", x_title, x=40, y=height - 8, class_="tick"))
    return _svg(height, drawn, description)


def series(marks: Sequence[PlottedValue], y_title: str, description: str) -> Markup:
    """Values from left to right at equal distances, joined by a line; notes are below labels."""
    height = 196.0
    ends = [v for mark in marks for v in (mark.low, mark.value, mark.high) if math.isfinite(v)]
    ticks = _ticks(min(ends), max(ends))
    up = _Axis(ticks[0], ticks[-1], height - 40, 20)
    across = _Axis(-0.5, len(marks) - 0.5, 40, _WIDTH - 8)
    drawn = _sideways(ticks, up, _WIDTH - 8)
    path = " ".join(f"{across(i):.1f},{up(mark.value):.1f}" for i, mark in enumerate(marks))
    drawn.append(element("polyline", points=path, class_="path"))
    for i, mark in enumerate(marks):
        x = across(i)
        if math.isfinite(mark.low):
            drawn.append(_line(x, up(mark.low), x, up(mark.high), "whisker"))
        drawn.append(element("circle", cx=x, cy=up(mark.value), r=4, class_="dot"))
        for text, y in ((mark.label, height - 24), (mark.note, height - 8)):
            place = {"x": x, "y": y, "class_": "tick", "text_anchor": "middle"}
            drawn.append(element("text", _cut(text), **place))
    drawn.append(element("text", y_title, x=2, y=11, class_="tick"))
    return _svg(height, drawn, description)


def lines(
    rows: Sequence[tuple[str, Sequence[PlottedValue]]],
    places: Sequence[str],
    y_title: str,
    description: str,
) -> Markup:
    """A line per row through its values at some of the `places`, which are at equal distances.

    A row's label is at the right, connected to its last value. Whiskers of one place are drawn
    side by side.
    """
    height, right = max(210.0, 60.0 + 17 * len(rows)), _WIDTH - 98
    ends = [
        v for _, marks in rows for m in marks for v in (m.low, m.value, m.high) if math.isfinite(v)
    ]
    ticks = _ticks(min(ends), max(ends))
    up = _Axis(ticks[0], ticks[-1], height - 40, 20)
    across = _Axis(-0.5, len(places) - 0.5, 40, right - 12)
    drawn = _sideways(ticks, up, right - 12)
    for i, place in enumerate(places):
        at = {"x": across(i), "y": height - 24, "class_": "tick", "text_anchor": "middle"}
        drawn.append(element("text", _cut(place), **at))
    ordered = sorted(rows, key=lambda row: -row[1][-1].value)
    labels = _spread([up(marks[-1].value) for _, marks in ordered], 15, 16, height - 40)
    for number, ((label, marks), label_y) in enumerate(zip(ordered, labels, strict=True)):
        shift = 3.0 * (number - (len(rows) - 1) / 2)
        points = [(across(places.index(m.label)) + shift, up(m.value), m) for m in marks]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y, _ in points)
        drawn.append(element("polyline", points=path, class_="path"))
        for x, y, mark in points:
            if math.isfinite(mark.low):
                drawn.append(_line(x, up(mark.low), x, up(mark.high), "whisker thin"))
            drawn.append(element("circle", cx=x, cy=y, r=3, class_="dot"))
        drawn.append(_line(points[-1][0], points[-1][1], right - 4, label_y, "leader"))
        drawn.append(_label(label, right, label_y + 4))
    drawn.append(element("text", y_title, x=2, y=11, class_="tick"))
    return _svg(height, drawn, description)


def _in_rows(
    labels: Sequence[str],
    ticks: Sequence[float],
    axis: _Axis,
    draw: Callable[[int, float], list[Markup]],
    description: str,
) -> Markup:
    height = _TOP + _ROW * len(labels) + _FOOT
    bottom = height - _FOOT
    drawn = []
    for tick, text in zip(ticks, _numbers(ticks), strict=True):
        x = axis(tick)
        drawn.append(_line(x, _TOP, x, bottom, "zero" if tick == 0 else "grid"))
        drawn.append(element("text", text, x=x, y=bottom + 17, class_="tick", text_anchor="middle"))
    for row, label in enumerate(labels):
        y = _TOP + _ROW * (row + 0.5)
        drawn += [_label(label, 0, y + 4), *draw(row, y)]
    return _svg(height, drawn, description)


def _sideways(ticks: Sequence[float], up: _Axis, right: float) -> list[Markup]:
    drawn = []
    for tick, text in zip(ticks, _numbers(ticks), strict=True):
        y = up(tick)
        drawn.append(_line(40, y, right, y, "grid"))
        drawn.append(element("text", text, x=34, y=y + 4, class_="tick", text_anchor="end"))
    return drawn


def _svg(height: float, drawn: Sequence[Markup], description: str) -> Markup:
    box = f"0 0 {_written(_WIDTH)} {_written(height)}"
    return element("svg", *drawn, viewBox=box, role="img", aria_label=description)


def _line(x1: float, y1: float, x2: float, y2: float, kind: str) -> Markup:
    return element("line", x1=x1, y1=y1, x2=x2, y2=y2, class_=kind)


def _label(text: str, x: float, y: float) -> Markup:
    return element("text", element("title", text), _cut(text), x=x, y=y, class_="label")


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"


def _swarm(xs: Sequence[float], y: float) -> list[Markup]:
    """Dots that would overlap are moved up and down alternately, within the row."""
    columns: dict[int, int] = {}
    drawn = []
    for x in xs:
        place = round(x / 4)
        count = columns[place] = columns.get(place, -1) + 1
        shift = min((count + 1) // 2 * 3.2, 9.6) * (1 if count % 2 else -1)
        drawn.append(element("circle", cx=x, cy=y + shift, r=1.9, class_="user"))
    return drawn


def _spread(ys: Sequence[float], gap: float, top: float, bottom: float) -> list[float]:
    """Ascending places at least `gap` apart, near the wanted ones and above `bottom`."""
    placed: list[float] = []
    for y in ys:
        placed.append(max(y, placed[-1] + gap) if placed else max(y, top))
    limit = bottom
    for i in reversed(range(len(placed))):
        placed[i] = min(placed[i], limit)
        limit = placed[i] - gap
    return placed


def _ticks(low: float, high: float, most: int = 4) -> list[float]:
    """Round numbers that enclose the values, with at most `most` steps between these."""
    span = (high - low) or abs(high) or 1.0
    power = 10.0 ** math.floor(math.log10(span / most))
    step = next(power * f for f in (1, 2, 5, 10) if span / (power * f) <= most)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [round(i * step, 12) for i in range(first, max(last, first + 1) + 1)]


def _numbers(ticks: Sequence[float]) -> list[str]:
    digits = max(0, -math.floor(math.log10(ticks[1] - ticks[0]) + 1e-9))
    return [f"{tick:.{digits}f}".replace("-", "\N{MINUS SIGN}") for tick in ticks]


def _thousands(value: float) -> str:
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{value / size:.0f}{letter}"
    return f"{value:.0f}"


def _quantile(ordered: Sequence[float], share: float) -> float:
    """Linear between neighbours, as numpy's default."""
    place = share * (len(ordered) - 1)
    below = math.floor(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (place - below) * (ordered[above] - ordered[below])


def _written(value: object) -> str:
    return f"{value:.1f}".removesuffix(".0") if isinstance(value, float) else str(value)
