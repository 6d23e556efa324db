"""First tables: TraP's, and further ones."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

Names = tuple[str, ...]
IDENTIFIER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Create all tables."""
    _create_datasets()
    _create_images()
    _create_measurements()
    _create_catalogue()
    _create_candidates()
    _link_measurements_back()


def _create_datasets() -> None:
    """Create the tables of datasets, settings and timesteps."""
    _create_table(
        "dataset",
        _integers("rerun", default="0"),
        _integers("type", default="1"),
        _times("process_start_ts"),
        _times("process_end_ts", null=True),
        _floats("detection_threshold", "analysis_threshold", "assoc_radius", null=True),
        _integers("backsize_x", "backsize_y", null=True),
        _floats("margin_width", null=True),
        _texts("description", "state", "config_hash", "software_version"),
    )
    _create_table(
        "config",
        _reference("dataset", "dataset"),
        _texts("section", "key", "value", "type"),
        unique=("dataset", "section", "key"),
    )
    _create_table(
        "timestep",
        _reference("dataset", "dataset"),
        _times("taustart_ts"),
        _texts("state"),
        _texts("message", null=True),
        _times("stored_ts"),
        _integers("n_images", "n_accepted", "n_rejected", "n_measured", "n_new_entries", "n_newsources", default="0"),
        _integers("n_forced_requested", "n_forced_measured", default="0"),
        _texts("seconds", null=True),
        unique=("dataset", "taustart_ts"),
    )
    _create_table(
        "unreadableimage",
        _reference("dataset", "dataset"),
        _texts("url", "reason"),
        unique=("dataset", "url"),
    )
    op.create_table(
        "version",
        sa.Column("name", sa.Text(), nullable=False),
        *_integers("value"),
        sa.PrimaryKeyConstraint("name", name="pk_version"),
    )


def _create_images() -> None:
    """Create the tables of images, bands, regions and rejections."""
    _create_table(
        "frequencyband",
        _reference("dataset", "dataset"),
        _floats("freq_central", "freq_low", "freq_high"),
        indexes=("dataset",),
    )
    _create_table(
        "skyregion",
        _reference("dataset", "dataset"),
        _floats("centre_ra", "centre_decl", "xtr_radius", "x", "y", "z"),
        unique=("dataset", "centre_ra", "centre_decl", "xtr_radius"),
    )
    _create_table(
        "image",
        _reference("dataset", "dataset"),
        _reference("timestep", "timestep", null=True),
        _reference("band", "frequencyband"),
        _reference("skyrgn", "skyregion"),
        _integers("tau", null=True),
        _integers("stokes", default="1"),
        _floats("tau_time", null=True),
        _floats("freq_eff"),
        _floats("freq_bw", null=True),
        _times("taustart_ts"),
        _floats("rb_smaj", "rb_smin", "rb_pa", "deltax", "deltay", "fwhm_arcsec", "fov_degrees", null=True),
        _floats("rms_qc", "rms_min", "rms_max", "detection_thresh", "analysis_thresh", null=True),
        _texts("url", "content_hash"),
        _texts("telescope", null=True),
        unique=("dataset", "content_hash"),
        indexes=("timestep", "band", "skyrgn"),
    )
    op.create_index("ix_image_dataset_taustart_ts", "image", ["dataset", "taustart_ts"])
    _create_table(
        "imagedata",
        _reference("image", "image"),
        _texts("fits_header", null=True),
        [sa.Column("fits_data", sa.LargeBinary(), nullable=True)],
        indexes=("image",),
    )
    _create_table(
        "rmsmap",
        _reference("image", "image"),
        _integers("nx", "ny", "origin_x", "origin_y", "extent_x", "extent_y", "cell_x", "cell_y", "mesh_nx", "mesh_ny"),
        [sa.Column(name, sa.LargeBinary(), nullable=False) for name in ("mesh_mean", "mesh_rms")],
        unique=("image",),
    )
    _create_table("rejectreason", _texts("description"))
    _create_table(
        "rejection",
        _reference("image", "image"),
        _reference("rejectreason", "rejectreason"),
        _texts("comment"),
        indexes=("image", "rejectreason"),
    )


def _create_measurements() -> None:
    """Create the table of measurements."""
    is_sqlite = op.get_context().dialect.name == "sqlite"
    _create_table(
        "extractedsource",
        _reference("image", "image"),
        # These two tables are made later. SQLite takes the link now and only now, PostgreSQL only then.
        _reference("ff_runcat", "runningcatalog" if is_sqlite else None, null=True, on_delete="SET NULL"),
        _reference("ff_monitor", "monitor" if is_sqlite else None, null=True, on_delete="SET NULL"),
        _integers("zone"),
        _floats("ra", "decl", "uncertainty_ew", "uncertainty_ns"),
        _floats("ra_err", "decl_err", "ra_fit_err", "decl_fit_err"),
        _floats("ew_sys_err", "ns_sys_err", "error_radius", "x", "y", "z", "racosdecl"),
        _booleans("margin"),
        _floats("det_sigma", "semimajor", "semiminor", "pa", null=True),
        _floats("f_peak", "f_peak_err", "f_int", "f_int_err", "chisq", "reduced_chisq", null=True),
        _integers("extract_type", "fit_type"),
        _floats("x_pix", "y_pix", "rms", null=True),
        _integers("island", "flags", default="0"),
        indexes=("image", "decl"),
    )
    for name in ("ff_runcat", "ff_monitor"):
        forced = sa.text(f"{name} IS NOT NULL")
        op.create_index(
            f"ix_extractedsource_{name}", "extractedsource", [name], sqlite_where=forced, postgresql_where=forced
        )


def _create_catalogue() -> None:
    """Create the running catalogue and its light curves."""
    _create_table(
        "runningcatalog",
        _reference("xtrsrc", "extractedsource"),
        _reference("dataset", "dataset"),
        _integers("datapoints", "zone"),
        _floats("wm_ra", "wm_decl", "wm_uncertainty_ew", "wm_uncertainty_ns", "avg_ra_err", "avg_decl_err"),
        _floats("avg_wra", "avg_wdecl", "avg_weight_ra", "avg_weight_decl", "x", "y", "z"),
        _booleans("inactive", "mon_src"),
        _integers("forcedfits_count", default="0"),
        _floats("weight_ew", "weight_ns"),
        _times("first_seen"),
        _integers("parent", null=True),
        unique=("xtrsrc",),
    )
    op.create_index("ix_runningcatalog_dataset_wm_decl", "runningcatalog", ["dataset", "wm_decl"])
    averages = ("avg_{0}", "avg_{0}_sq", "avg_{0}_weight", "avg_weighted_{0}", "avg_weighted_{0}_sq")
    streamed = ("m2_{0}", "wsum_{0}", "wmean_{0}", "wm2_{0}")
    _create_table(
        "runningcatalog_flux",
        _reference("runcat", "runningcatalog"),
        _reference("band", "frequencyband"),
        _integers("stokes", default="1"),
        _integers("f_datapoints"),
        *(_floats(*(name.format(q) for name in averages)) for q in ("f_peak", "f_int")),
        *(_floats(*(name.format(q) for name in streamed)) for q in ("f_peak", "f_int")),
        _floats("max_f_int"),
        unique=("runcat", "band", "stokes"),
        indexes=("band",),
    )
    _create_table(
        "assocxtrsource",
        _reference("runcat", "runningcatalog"),
        _reference("xtrsrc", "extractedsource"),
        _integers("type"),
        _floats("distance_arcsec", "r", "loglr", "v_int", "eta_int", null=True),
        _integers("f_datapoints"),
        unique=("runcat", "xtrsrc"),
        indexes=("xtrsrc",),
    )
    _create_table(
        "assocskyrgn",
        _reference("runcat", "runningcatalog"),
        _reference("skyrgn", "skyregion"),
        _floats("distance_deg", null=True),
        unique=("runcat", "skyrgn"),
        indexes=("skyrgn",),
    )


def _create_candidates() -> None:
    """Create the tables of candidates, monitored positions and metrics."""
    _create_table(
        "newsource",
        _reference("runcat", "runningcatalog"),
        _reference("trigger_xtrsrc", "extractedsource"),
        _reference("previous_limits_image", "image"),
        _integers("newsource_type"),
        indexes=("runcat", "trigger_xtrsrc", "previous_limits_image"),
    )
    _create_table(
        "monitor",
        _reference("dataset", "dataset"),
        _reference("runcat", "runningcatalog", null=True, on_delete="SET NULL"),
        _floats("ra", "decl"),
        _texts("name", default="''"),
        indexes=("dataset", "runcat"),
    )
    _create_table(
        "varmetric",
        _reference("runcat", "runningcatalog"),
        _floats("v_int", "eta_int", null=True),
        _reference("band", "frequencyband"),
        _reference("newsource", "newsource", null=True, on_delete="SET NULL"),
        _floats("sigma_rms_max", "sigma_rms_min", null=True),
        _floats("lightcurve_max", "lightcurve_avg"),
        _floats("lightcurve_median", null=True),
        unique=("runcat",),
        indexes=("v_int", "eta_int", "band", "newsource"),
    )


def _link_measurements_back() -> None:
    if op.get_context().dialect.name == "sqlite":
        return
    for name, target in (("ff_runcat", "runningcatalog"), ("ff_monitor", "monitor")):
        op.create_foreign_key(
            f"fk_extractedsource_{name}_{target}", "extractedsource", target, [name], ["id"], ondelete="SET NULL"
        )


def _create_table(name: str, *columns: list[sa.Column[Any]], unique: Names = (), indexes: Names = ()) -> None:
    """Create a table with its key, its references and its indexes."""
    links = [column.info["link"] for group in columns for column in group if "link" in column.info]
    op.create_table(
        name,
        sa.Column("id", IDENTIFIER, nullable=False),
        *(column for group in columns for column in group),
        sa.PrimaryKeyConstraint("id", name=f"pk_{name}"),
        *(
            sa.ForeignKeyConstraint([key], [f"{to}.id"], name=f"fk_{name}_{key}_{to}", ondelete=on_delete)
            for key, to, on_delete in links
        ),
        *([sa.UniqueConstraint(*unique, name=f"uq_{name}_{'_'.join(unique)}")] if unique else []),
    )
    for key in indexes:
        op.create_index(f"ix_{name}_{key}", name, [key])


def _reference(name: str, to: str | None, *, null: bool = False, on_delete: str = "CASCADE") -> list[sa.Column[Any]]:
    info = {} if to is None else {"link": (name, to, on_delete)}
    return [sa.Column(name, IDENTIFIER, nullable=null, info=info)]


def _integers(*names: str, null: bool = False, default: str | None = None) -> list[sa.Column[Any]]:
    return [sa.Column(name, sa.Integer(), nullable=null, server_default=_sql(default)) for name in names]


def _floats(*names: str, null: bool = False) -> list[sa.Column[Any]]:
    return [sa.Column(name, sa.Double(), nullable=null) for name in names]


def _texts(*names: str, null: bool = False, default: str | None = None) -> list[sa.Column[Any]]:
    return [sa.Column(name, sa.Text(), nullable=null, server_default=_sql(default)) for name in names]


def _times(*names: str, null: bool = False) -> list[sa.Column[Any]]:
    return [sa.Column(name, sa.DateTime(timezone=True), nullable=null) for name in names]


def _booleans(*names: str) -> list[sa.Column[Any]]:
    return [sa.Column(name, sa.Boolean(), nullable=False, server_default=sa.false()) for name in names]


def _sql(default: str | None) -> sa.TextClause | None:
    return None if default is None else sa.text(default)
