"""A dataset of any size for tests and benchmarks of queries, which the database creates in a few statements.

Entry ``e`` is detected in every ``stride``-th image, so that all images have equally many measurements. Rows are like
rows of a run, with simple numbers.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from sqlalchemy import text

from trap.config import PipelineConfig
from trap.db.datasets import insert_dataset
from trap.db.models import Base

if TYPE_CHECKING:
    from sqlalchemy import Connection

__all__ = ["fill_dataset"]

MOMENT = "'2026-01-01 00:00:00'"


def fill_dataset(
    connection: Connection, *, n_entries: int, n_images: int, stride: int = 1, config: PipelineConfig | None = None
) -> int:
    """Fill the tables of an empty database; return the number of the dataset.

    Parameters
    ----------
    n_entries
        A multiple of ``stride``.
    n_images
        A multiple of ``stride``, one a timestep; an entry has ``n_images / stride`` points.
    """
    dataset = insert_dataset(connection, config or PipelineConfig())
    per_image, points = n_entries // stride, n_images // stride
    image = f"((n - 1) / {per_image} + 1)"
    entry = f"(((n - 1) % {per_image}) * {stride} + ((n - 1) / {per_image}) % {stride} + 1)"
    first = f"(((n - 1) % {stride}) * {per_image} + (n - 1) / {stride} + 1)"
    ra, dec = "((e * 137) % 36000) / 100.0", "(((e * 7919) % 6000) - 3000) / 100.0"
    flux = "(0.01 + 0.00001 * ((n * 31) % 100))"
    every = {
        "frequencyband": (1, {"dataset": dataset, "freq_central": 140e6, "freq_low": 139e6, "freq_high": 141e6}),
        "skyregion": (1, {"dataset": dataset, "centre_ra": 180, "centre_decl": 0, "xtr_radius": 90}),
        "timestep": (n_images, {"dataset": dataset, "taustart_ts": _later("n"), "state": "'done'", "n_images": 1,
                                "n_accepted": 1, "n_measured": per_image}),
        "image": (n_images, {"dataset": dataset, "timestep": "n", "band": 1, "skyrgn": 1, "freq_eff": 140e6,
                             "taustart_ts": _later("n"), "tau_time": 60, "rms_qc": 1e-3, "rms_min": 1e-3,
                             "rms_max": 2e-3, "url": "'i' || n", "content_hash": "'filled ' || n"}),
        "calibration": (n_images, {"image": "n"}),
        "extractedsource": (n_images * per_image, {
            "image": image, "ra": ra.replace("e", entry), "decl": dec.replace("e", entry),
            "f_int": flux, "f_peak": flux, "f_int_err": "0.0001", "f_peak_err": "0.0001", "rms": "0.0001",
            "det_sigma": "100.0", "fit_type": 1,
            "uncertainty_ew": "0.001", "uncertainty_ns": "0.001", "x": "1.0", "y": "0.0", "z": "0.0",
            "semimajor": "10.0", "semiminor": "9.0", "pa": "45.0", "x_pix": "100.5", "y_pix": "99.5",
            "chisq": "1.0", "reduced_chisq": "1.0", "error_radius": "3.0"}),
        "runningcatalog": (n_entries, {"dataset": dataset, "xtrsrc": first, "datapoints": points,
                                       "wm_ra": ra.replace("e", "n"), "wm_decl": dec.replace("e", "n"),
                                       "weight_ew": "1e6", "weight_ns": "1e6", "wm_uncertainty_ew": "0.001",
                                       "wm_uncertainty_ns": "0.001"}),
        "runningcatalog_flux": (n_entries, {"runcat": "n", "band": 1, "f_datapoints": points, "avg_f_int": "0.01",
                                            "wsum_f_int": "1e8", "wsum_f_peak": "1e8", "max_f_int": "0.011"}),
        "assocxtrsource": (n_images * per_image, {"runcat": entry, "xtrsrc": "n", "type": 3, "v_int": "0.01",
                                                  "eta_int": "1.0", "f_datapoints": image, "distance_arcsec": "0.5",
                                                  "r": "0.5"}),
        "assocskyrgn": (n_entries, {"runcat": "n", "skyrgn": 1}),
        "newsource": (max(1, n_entries // 100), {"runcat": "n * 100", "trigger_xtrsrc": first.replace("n", "(n * 100)"),
                                                 "previous_limits_image": 1, "newsource_type": 1}),
        "varmetric": (n_entries, {"runcat": "n", "band": 1, "v_int": "((n * 31) % 1009) / 1000.0",
                                  "eta_int": "((n * 17) % 10007) / 100.0", "lightcurve_max": "0.011",
                                  "lightcurve_avg": "0.01", "lightcurve_median": "0.01", "f_datapoints": points,
                                  "newsource": "CASE WHEN n % 100 = 0 THEN n / 100 END"}),
    }  # fmt: skip
    for table, (n, expressions) in every.items():
        _insert(connection, table, n, {"id": "n", **expressions})
    return dataset


def _later(n: str) -> str:
    return f"@{n}"


def _insert(connection: Connection, name: str, n_rows: int, given: dict[str, object]) -> None:
    """Insert numbered rows; required columns that are not in ``given`` get a simple value."""
    is_sqlite = connection.dialect.name == "sqlite"
    plain = {str: "''", datetime: MOMENT if is_sqlite else f"TIMESTAMPTZ {MOMENT}", bool: "false", bytes: "NULL"}
    values = {}
    for column in Base.metadata.tables[name].columns:
        value = given.get(column.name)
        if value is None and (column.nullable or column.server_default is not None):
            continue
        value = plain.get(column.type.python_type, "0") if value is None else str(value)
        if value.startswith("@"):
            shift = f"datetime({MOMENT}, '+' || {value[1:]} || ' minutes') || '.000000'"
            value = shift if is_sqlite else f"TIMESTAMPTZ {MOMENT} + {value[1:]} * INTERVAL '1 minute'"
        values[column.name] = value
    series = f"generate_series(1, {n_rows}) AS s(n)"
    if is_sqlite:
        series = f"(WITH RECURSIVE s(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s WHERE n < {n_rows}) SELECT n FROM s)"
    columns = ", ".join(f'"{column}"' for column in values)
    connection.execute(
        text(f"INSERT INTO {name} ({columns}) SELECT {', '.join(values.values())} FROM {series} ORDER BY n")
    )
    if not is_sqlite:
        connection.execute(text(f"SELECT setval(pg_get_serial_sequence('{name}', 'id'), {n_rows})"))
