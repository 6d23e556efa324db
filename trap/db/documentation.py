"""The tables as a page of documentation, made from the models themselves, and how they differ from TraP's."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import UniqueConstraint
from sqlalchemy.dialects import postgresql

from trap.db.models import Base

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Column, Table

__all__ = ["TRAP_TABLES", "database_page"]

_POSITION = "zone ra decl uncertainty_ew uncertainty_ns ra_err decl_err ra_fit_err decl_fit_err ew_sys_err ns_sys_err"
_FLUX = "avg_{0} avg_{0}_sq avg_{0}_weight avg_weighted_{0} avg_weighted_{0}_sq"
TRAP_TABLES = {
    name: tuple(columns.split())
    for name, columns in {
        "dataset": "id rerun type process_start_ts process_end_ts detection_threshold analysis_threshold assoc_radius"
        " backsize_x backsize_y margin_width description node nodes",
        "config": "id dataset section key value type",
        "image": "id dataset tau band stokes tau_time freq_eff freq_bw taustart_ts skyrgn rb_smaj rb_smin rb_pa deltax"
        " deltay fwhm_arcsec fov_degrees rms_qc rms_min rms_max detection_thresh analysis_thresh url node nodes",
        "imagedata": "id image fits_header fits_data",
        "frequencyband": "id dataset freq_central freq_low freq_high",
        "skyregion": "id dataset centre_ra centre_decl xtr_radius x y z",
        "extractedsource": f"id image ff_runcat ff_monitor {_POSITION} error_radius x y z racosdecl margin det_sigma"
        " semimajor semiminor pa f_peak f_peak_err f_int f_int_err chisq reduced_chisq extract_type fit_type"
        " node nodes",
        "runningcatalog": "id xtrsrc dataset datapoints zone wm_ra wm_decl wm_uncertainty_ew wm_uncertainty_ns"
        " avg_ra_err avg_decl_err avg_wra avg_wdecl avg_weight_ra avg_weight_decl x y z inactive mon_src"
        " forcedfits_count",
        "runningcatalog_flux": "id runcat band stokes f_datapoints "
        + " ".join(_FLUX.format(q) for q in ("f_peak", "f_int")),
        "assocxtrsource": "id runcat xtrsrc type distance_arcsec r loglr v_int eta_int f_datapoints",
        "assocskyrgn": "id runcat skyrgn distance_deg",
        "newsource": "id runcat trigger_xtrsrc newsource_type previous_limits_image",
        "monitor": "id dataset runcat ra decl name",
        "rejection": "id image rejectreason comment",
        "rejectreason": "id description",
        "varmetric": "id runcat v_int eta_int band newsource sigma_rms_max sigma_rms_min lightcurve_max"
        " lightcurve_avg lightcurve_median",
        "version": "name value",
    }.items()
}
"""Columns of TraP's tables at its schema revision 40. Its tables ``node`` and ``temprunningcatalog`` are scratch."""

_HEAD = """\
# The database

<!-- made by docs/make_database.py from the models in trap/db/models; do not edit -->

Results are kept in SQLite or PostgreSQL, in the same tables. A timestep is there whole or not at all. Deleting a
dataset deletes all that hangs on it. Times are in UTC; on SQLite they are text without a zone. SQLite stores NaN as
NULL. The schema version stands in table `alembic_version`; `trap db upgrade` brings older tables up to date, `trap db
check` says whether what is in them is sound.

- [For people who know TraP's schema](#for-people-who-know-traps-schema)"""

_FOR_TRAP_USERS = """\
## For people who know TraP's schema

All tables of TraP's last revision (40) are here by name, with their columns and units, so that its queries run as they
are. What is different:

- Ids are 64 bits wide. `image.taustart_ts` knows its time zone, which is UTC.
- `dataset.detection_threshold` and its like are filled in; the settings in `config` come back with their types.
- Columns `node` and `nodes`, and the tables `node` and `temprunningcatalog`, are gone: they were for sharding and as
  scratch, and held no results. Nor are there SQL functions; `median(…)` is `varmetric.lightcurve_median`, or
  PostgreSQL's `percentile_cont(0.5) WITHIN GROUP (ORDER BY …)`.
- `extractedsource.extract_type`, `fit_type` and `assocxtrsource.type` have TraP's codes.
- `runningcatalog.xtrsrc` of a forked entry is the measurement that forked it, as in TraP; the entry it was forked from
  is deleted, and its number stays in `parent`.
- `varmetric` is kept up to date with every timestep, but for the median, which is worked out at the end of a run.
- `imagedata.fits_data` stays empty: pixels that are kept are FITS files, whose path is in `imagedata.path`.
- Every reference deletes with what it refers to, or is set to NULL: deleting the row of a dataset deletes the dataset.

### What is added
"""


def database_page() -> str:
    """Write all tables as Markdown: columns, units, meanings, keys and indexes."""
    tables = sorted(Base.metadata.tables.values(), key=lambda table: table.name)
    listed = [f"- [`{table.name}`](#{table.name}): {_models()[table.name].partition('.')[0]}." for table in tables]
    return "\n".join([_HEAD, *listed, "", *map(_table, tables), _FOR_TRAP_USERS, *_additions(tables)]) + "\n"


def _models() -> dict[str, str]:
    """What each table is for: the docstring of its model."""
    return {
        model.local_table.name: " ".join((model.class_.__doc__ or "").replace("``", "`").split())  # type: ignore[attr-defined]
        for model in Base.registry.mappers
    }


def _table(table: Table) -> str:
    rows = (_row(column) for column in table.columns)
    head = f"## `{table.name}`\n\n{_models()[table.name]}\n"
    return "\n".join([head, "| column | type | unit | meaning |", "|---|---|---|---|", *rows, "", *_keys(table)])


def _row(column: Column[object]) -> str:
    kind = column.type.compile(dialect=postgresql.dialect())  # type: ignore[no-untyped-call]
    null = "" if not column.nullable else ", NULL"
    to = "".join(f" → [`{key.column.table.name}`](#{key.column.table.name})" for key in column.foreign_keys)
    meaning = (column.doc or "").replace("|", "\\|")
    return f"| `{column.name}`{to} | {kind.lower()}{null} | {column.info.get('unit', '')} | {meaning} |"


def _keys(table: Table) -> Iterator[str]:
    unique = [_names(rule) for rule in table.constraints if isinstance(rule, UniqueConstraint)]
    if unique:
        yield f"Unique: {', '.join(sorted(unique))}.\n"
    indexes = [_names(index) for index in table.indexes]
    if indexes:
        yield f"Indexes: {', '.join(sorted(indexes))}.\n"


def _names(rule: object) -> str:
    return "(" + ", ".join(f"`{column.name}`" for column in rule.columns) + ")"  # type: ignore[attr-defined]


def _additions(tables: list[Table]) -> Iterator[str]:
    yield "| table | columns that TraP does not have |\n|---|---|"
    for table in tables:
        if table.name not in TRAP_TABLES:
            yield f"| [`{table.name}`](#{table.name}) | the table itself |"
            continue
        added = [f"`{column.name}`" for column in table.columns if column.name not in TRAP_TABLES[table.name]]
        if added:
            yield f"| [`{table.name}`](#{table.name}) | {', '.join(added)} |"
