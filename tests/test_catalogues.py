import inspect

import numpy as np
import pytest
from astropy import units

from trap import catalogues
from trap.catalogues import AssociationType, ExtractType, FitType, Flag, Measurements
from trap.tables import ColumnTable

TABLES = [
    item
    for item in vars(catalogues).values()
    if inspect.isclass(item) and issubclass(item, ColumnTable) and item is not ColumnTable
]

ONE = {
    "x": 1.0,
    "y": 2.0,
    "ra": 10.0,
    "dec": 20.0,
    "ew_fit_err": 3 / 3600,
    "ns_fit_err": 4 / 3600,
    "f_peak": 1.0,
    "f_peak_err": 0.1,
    "f_int": 1.0,
    "f_int_err": 0.1,
    "rms": 0.1,
    "significance": 10.0,
    "semimajor": 5.0,
    "semiminor": 4.0,
    "pa": 0.0,
}


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.__name__)
def test_every_column_has_a_sentence_and_a_unit(table):
    for name, spec in table.columns().items():
        assert spec.doc.endswith("."), name
        units.Unit(spec.unit)
        assert spec.dtype.kind in "fiuUb", name


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.__name__)
def test_every_table_may_be_empty(table):
    assert len(table.empty()) == 0


def test_codes_equal_the_codes_in_databases_of_trap():
    # TraP has no joint fits.
    assert [item.value for item in ExtractType] == [0, 1, 2, 3]
    assert [item.value for item in FitType] == [0, 1]
    assert {item.name: item.value for item in AssociationType} == {
        "FORKED": 2,
        "ONE_TO_ONE": 3,
        "NEW_SOURCE": 4,
        "INHERITED": 6,
        "NULL_DETECTION": 7,
        "MONITOR_FIRST": 8,
        "MONITOR": 9,
        # TraP has no other types.
        "PART": 10,
        "BLEND": 11,
        "BACKWARD": 12,
        "JOINT": 13,
        "REVEALED": 14,
    }


def test_flags_are_single_bits():
    assert [flag.value for flag in Flag] == [1 << bit for bit in range(len(Flag))]


def test_position_error_adds_the_systematic_one_in_quadrature():
    measurement = Measurements(**ONE, ew_sys_err=4.0, ns_sys_err=3.0)
    assert measurement.uncertainty_ew * 3600 == pytest.approx([5.0])
    assert measurement.uncertainty_ns * 3600 == pytest.approx([5.0])


def test_error_radius_is_the_corner_of_the_fits_box():
    assert Measurements(**ONE, ew_sys_err=10.0).error_radius == pytest.approx([5.0])


@pytest.mark.parametrize("column", ["f_peak", "f_peak_err", "f_int", "f_int_err", "ew_fit_err", "ns_fit_err"])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_row_with_a_missing_number_is_not_measured(column, value):
    assert Measurements(**ONE).is_measured.tolist() == [True]
    assert Measurements(**ONE | {column: value}).is_measured.tolist() == [False]


def test_blind_gaussian_fit_without_flags_is_the_default():
    measurement = Measurements(**ONE)
    assert (measurement.extract_type[0], measurement.fit_type[0], measurement.flags[0]) == (0, 1, 0)
    assert np.isnan(measurement.chisq[0])
