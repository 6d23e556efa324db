import copy
import pickle
from dataclasses import FrozenInstanceError, dataclass

import numpy as np
import pytest
from numpy.typing import NDArray

from trap.tables import Column, ColumnTable, column


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Fluxes(ColumnTable):
    """A small table."""

    flux: NDArray[np.float64] = column("f8", "Jy", "Flux density; NaN where not measured.")
    band: NDArray[np.int16] = column("i2", "", "Number of the band.")
    gain: NDArray[np.float64] = column("f8", "", "Correction.", default=1.0)
    name: NDArray[np.str_] = column("U8", "", "Name.", default="")


@pytest.fixture
def table():
    return Fluxes(flux=[1.0, 2.0, np.nan], band=[0, 1, 0])


def test_columns_get_the_dtype_they_were_declared_with(table):
    assert [getattr(table, name).dtype for name in Fluxes.columns()] == ["f8", "i2", "f8", "U8"]
    assert table.band.tolist() == [0, 1, 0]


def test_declaration_is_kept_for_documentation_and_database():
    assert list(Fluxes.columns()) == ["flux", "band", "gain", "name"]
    assert Fluxes.columns()["flux"] == Column(np.dtype("f8"), "Jy", "Flux density; NaN where not measured.")


def test_default_fills_the_column(table):
    assert table.gain.tolist() == [1.0, 1.0, 1.0]


def test_scalar_fills_the_column():
    assert Fluxes(flux=[1.0, 2.0], band=3).band.tolist() == [3, 3]


def test_scalars_alone_make_one_row():
    assert len(Fluxes(flux=1.0, band=3)) == 1


def test_length_is_the_number_of_rows(table):
    assert len(table) == 3
    assert len(Fluxes.empty()) == 0


def test_empty_columns_take_a_default_of_no_rows():
    assert len(Fluxes(flux=[], band=[]).gain) == 0


def test_missing_column_is_refused():
    with pytest.raises(TypeError, match="band"):
        Fluxes(flux=[1.0])


def test_columns_of_different_lengths_are_refused():
    with pytest.raises(ValueError, match=r"Fluxes: columns differ in length: \{'flux': 2, 'band': 3\}"):
        Fluxes(flux=[1.0, 2.0], band=[1, 2, 3])


def test_columns_of_two_dimensions_are_refused():
    with pytest.raises(ValueError, match=r"Fluxes: columns must be one-dimensional, got \{'flux': \(1, 2\)\}"):
        Fluxes(flux=[[1.0, 2.0]], band=[1])


def assert_read_only(table):
    for values in table.as_dict().values():
        with pytest.raises(ValueError, match="read-only"):
            values[:] = values[::-1]
    with pytest.raises(FrozenInstanceError):
        setattr(table, next(iter(table.columns())), np.zeros(3))


def test_columns_are_read_only(table):
    assert_read_only(table)


@pytest.mark.parametrize("travel", [lambda table: pickle.loads(pickle.dumps(table)), copy.copy, copy.deepcopy])
def test_copied_or_unpickled_table_is_the_same_and_still_read_only(table, travel):
    arrived = travel(table)
    assert type(arrived) is Fluxes
    for name, values in table.as_dict().items():
        assert np.array_equal(getattr(arrived, name), values, equal_nan=values.dtype.kind == "f")
    assert_read_only(arrived)


def test_array_of_the_caller_stays_writable():
    flux = np.array([1.0, 2.0])
    Fluxes(flux=flux, band=0)
    flux[0] = 5.0


def test_array_of_the_right_dtype_is_not_copied():
    flux = np.array([1.0, 2.0])
    assert np.shares_memory(Fluxes(flux=flux, band=0).flux, flux)


def test_concatenated_rows_keep_their_order(table):
    joined = Fluxes.concatenate([table, Fluxes(flux=[9.0], band=[7]), Fluxes.empty()])
    assert joined.band.tolist() == [0, 1, 0, 7]


def test_concatenation_of_nothing_is_empty():
    assert len(Fluxes.concatenate([])) == 0


@pytest.mark.parametrize(
    "rows", [np.array([2, 0]), np.array([True, False, True]), slice(None, None, 2), np.array([], np.intp)]
)
def test_take_picks_rows_as_numpy_does(table, rows):
    taken = table.take(rows)
    assert np.array_equal(taken.flux, table.flux[rows], equal_nan=True)
    assert np.array_equal(taken.band, table.band[rows])


def test_with_columns_leaves_the_original_alone(table):
    changed = table.with_columns(gain=2.0)
    assert changed.gain.tolist() == [2.0, 2.0, 2.0]
    assert table.gain.tolist() == [1.0, 1.0, 1.0]
    assert changed.band is not None


def test_as_dict_gives_the_columns_without_a_copy(table):
    assert list(table.as_dict()) == list(Fluxes.columns())
    assert table.as_dict()["flux"] is table.flux


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Shapes(ColumnTable):
    """A table with a column of several numbers a row."""

    x: NDArray[np.float64] = column("f8", "pix", "Column of the centre.")
    form: NDArray[np.float64] = column("f8", "pix-2", "Coefficients a, b and c.", shape=(3,))


@pytest.fixture
def shapes():
    return Shapes(x=[1.0, 2.0], form=np.arange(6.0).reshape(2, 3))


def test_a_column_may_hold_several_numbers_a_row(shapes):
    assert shapes.form.shape == (2, 3)
    assert Shapes.empty().form.shape == (0, 3)
    assert Shapes(x=[1.0, 2.0], form=0.0).form.shape == (2, 3)
    assert_read_only(pickle.loads(pickle.dumps(shapes)))


def test_rows_of_several_numbers_are_taken_and_stacked_whole(shapes):
    assert shapes.take(np.array([1])).form.tolist() == [[3.0, 4.0, 5.0]]
    assert Shapes.concatenate([shapes, shapes]).form.shape == (4, 3)


@pytest.mark.parametrize("form", [np.zeros(2), np.zeros((2, 2)), np.zeros((2, 3, 1))])
def test_a_column_of_another_shape_than_declared_is_refused(form):
    with pytest.raises(ValueError, match=r"Shapes: columns must have the shapes \{'form': \(n, 3\)\}, got"):
        Shapes(x=[1.0, 2.0], form=form)


def test_where_selects_whole_rows_of_one_table_or_the_other(shapes):
    mixed = shapes.where(np.array([True, False]), Shapes(x=[-1.0, -2.0], form=-1.0))
    assert mixed.x.tolist() == [1.0, -2.0]
    assert mixed.form.tolist() == [[0.0, 1.0, 2.0], [-1.0, -1.0, -1.0]]
    assert_read_only(mixed)


def test_unchecked_table_equals_the_checked_one(table):
    unchecked = Fluxes.of_checked(**{name: values.copy() for name, values in table.as_dict().items()})
    assert np.array_equal(unchecked.flux, table.flux, equal_nan=True)
    assert_read_only(unchecked)
