from __future__ import annotations

import numpy as np
import pytest
from sqlalchemy import update

from trap.db import glances
from trap.db.engine import transaction
from trap.db.glances import dataset_glances
from trap.db.models import Calibration, VarMetric
from trap.db.result_tables import read_rows


def test_figures_of_a_dataset_are_those_of_its_accepted_images(busy, ask):
    images = ask(read_rows, "images", [busy.id])
    is_accepted = np.array([reason is None or reason == "" for reason in images["reason"]])
    assert 0 < np.count_nonzero(~is_accepted) < len(is_accepted)
    found = ask(dataset_glances)[busy.id]
    assert found.noise == np.median(images["rms_qc"][is_accepted])
    assert (found.first, found.last) == (images["taustart_ts"].min(), images["taustart_ts"].max())
    assert found.last_candidate == ask(read_rows, "transients", [busy.id])["newsource"].max()


def test_variables_are_those_with_an_improbable_eta(busy, ask):
    sources = ask(read_rows, "sources", [busy.id])
    expected = np.count_nonzero(sources["eta_p_value"] <= 1e-4)
    assert ask(dataset_glances)[busy.id].n_variables == expected
    with transaction(busy.engine) as connection:
        connection.execute(
            update(VarMetric).where(VarMetric.runcat == int(sources["runcat"][0])).values(eta_p_value=0.0)
        )
    more = expected + (not sources["eta_p_value"][0] <= 1e-4)
    assert ask(dataset_glances)[busy.id].n_variables == more


def test_the_scatter_of_gains_is_robust(busy, ask):
    with transaction(busy.engine) as connection:
        connection.execute(update(Calibration).values(gain=2.0))
    found = ask(dataset_glances)[busy.id]
    assert np.isnan(found.gain_scatter) if found.n_gains < 2 else found.gain_scatter == 0
    # By hand: the median of 1.0, 1.1 and 9.0 is 1.1, and that of the distances 0.1, 0 and 7.9 is 0.1.
    assert glances._scatter(np.array([1.0, 1.1, 9.0])) == pytest.approx(1.4826 * 0.1 / 1.1)


def test_an_empty_database_has_no_figures(ask, engine):
    assert ask(dataset_glances) == {}
