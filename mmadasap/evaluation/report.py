"""Results of several models side by side: tables for people, files for programs."""
import csv
import os.path as osp
from pathlib import Path

from mmadasap.evaluation.robustness import RobustnessResult
from mmadasap.fileio import replacing, write_json
from mmadasap.visualization.robustness import draw_margins, draw_relative, draw_severities

Results = dict[str, RobustnessResult]
Table = list[list[str]]


def format_results(results: Results) -> str:
    """All tables as Markdown with even columns; margins are against the first model."""
    tables = [summary_table(results), corruption_table(results)]
    if len(next(iter(results.values())).by_severity()) > 2:
        tables.append(severity_table(results))
    if any(r.clean_classes for r in results.values()):
        tables.append(class_table(results))
    return '\n\n'.join(_markdown(table) for table in tables)


def summary_table(results: Results) -> Table:
    """One row a model: size against the first model, accuracy clean and corrupted, their ratio (paper: Table 3)."""
    first = next(iter(results.values()))
    rows = [['model', 'parameters', 'size', 'clean', 'mAP_C (mPC)', 'R_C (rPC)', 'margin clean', 'margin mAP_C']]
    for name, r in results.items():
        size = ['', ''] if r.parameters is None else [f'{r.parameters / 1e6:.3f} M', _share(r, first)]
        rows.append([name, *size, *map(_number, (r.clean, r.mean_corrupted, r.relative)),
                     _margin(r.clean - first.clean), _margin(r.mean_corrupted - first.mean_corrupted)])
    return rows


def corruption_table(results: Results) -> Table:
    """One row a corruption, mean over its severities; then the margins of the other models (paper: Figure 5)."""
    columns = {name: r.by_corruption() for name, r in results.items()}
    return _compared('corruption', columns)


def severity_table(results: Results) -> Table:
    """One row a severity, mean over the corruptions; 0 is clean."""
    return _compared('severity', {name: r.by_severity() for name, r in results.items()})


def class_table(results: Results) -> Table:
    """One row a class: mean over all corrupted versions, and clean."""
    columns = {}
    for name, r in results.items():
        columns[f'{name}, clean'] = {label: pair[0] for label, pair in r.by_class().items()}
        columns[f'{name}, corrupted'] = {label: pair[1] for label, pair in r.by_class().items()}
    return [['class', *columns]] + [[label, *(_number(c.get(label)) for c in columns.values())]
                                    for label in next(iter(columns.values()))]


def _compared(title: str, columns: dict[str, dict]) -> Table:
    first, *others = columns.values()
    head = [title, *columns, *(f'{name} - {next(iter(columns))}' for name in list(columns)[1:])]
    return [head] + [[str(key), *(_number(c.get(key)) for c in columns.values()),
                      *(_margin(c[key] - first[key]) if key in c else '' for c in others)] for key in first]


def _share(result: RobustnessResult, first: RobustnessResult) -> str:
    return f'{result.parameters / first.parameters:.2f}' if first.parameters else ''


def _number(value) -> str:
    return '' if value is None else f'{value:.3f}'


def _margin(value: float) -> str:
    return f'{value:+.3f}'


def _markdown(table: Table) -> str:
    widths = [max(len(row[i]) for row in table) for i in range(len(table[0]))]
    lines = ['| ' + ' | '.join(cell.ljust(w) if i == 0 else cell.rjust(w)
                               for i, (cell, w) in enumerate(zip(row, widths))) + ' |' for row in table]
    rule = '|' + '|'.join('-' * (w + 2) if i == 0 else '-' * (w + 1) + ':' for i, w in enumerate(widths)) + '|'
    return '\n'.join([lines[0], rule, *lines[1:]])


def write_report(folder: str, results: Results, about: dict) -> list[str]:
    """Writes robustness.json, .csv, .md, margins.png (of several models), severities.png and relative.png.

    Args:
        folder: Where they go.
        results: Name -> result of each model; the first is what the others are compared with.
        about: What was run: ``corruptions``, ``severities`` and anything else JSON can hold.

    Returns:
        Paths of what was written.
    """
    paths = {kind: osp.join(folder, f'robustness.{kind}') for kind in ('json', 'csv', 'md')}
    write_json(paths['json'], about | dict(models={name: r.to_dict() for name, r in results.items()}))
    with replacing(paths['csv']) as partial, open(partial, 'w', newline='') as file:
        csv.writer(file).writerows(_csv_rows(results))
    with replacing(paths['md']) as partial, open(partial, 'w') as file:
        file.write(f'# Robustness\n\n{describe(results, about)}\n\n{format_results(results)}\n')
    pictures = dict(severities=draw_severities, relative=draw_relative)
    if len(results) > 1:
        pictures['margins'] = draw_margins
    else:
        # An earlier run's.
        Path(folder, 'margins.png').unlink(missing_ok=True)
    for name, draw in pictures.items():
        paths[name] = osp.join(folder, f'{name}.png')
        draw(results, paths[name])
    return list(paths.values())


def describe(results: Results, about: dict) -> str:
    """What was measured, and over what the means go."""
    metric = next(iter(results.values())).metric
    severities = ', '.join(map(str, about['severities']))
    return (f'Accuracy is `{metric}` as a share of 1. mAP_C is its mean over exactly {len(about["corruptions"])} '
            f'corruptions ({", ".join(about["corruptions"])}) at severity {severities}; R_C = mAP_C / clean.'
            f'{" " + about["note"] if about.get("note") else ""}')


def _csv_rows(results: Results) -> list[list]:
    rows = [['model', 'corruption', 'severity', 'class', 'accuracy']]
    for name, r in results.items():
        rows.append([name, 'clean', 0, '', repr(r.clean)])
        rows += [[name, 'clean', 0, label, repr(value)] for label, value in r.clean_classes.items()]
        for corruption, row in r.corrupted.items():
            for severity, value in row.items():
                rows.append([name, corruption, severity, '', repr(value)])
                rows += [[name, corruption, severity, label, repr(grid[corruption][severity])]
                         for label, grid in r.corrupted_classes.items() if severity in grid.get(corruption, {})]
    return rows
