from __future__ import annotations

import time

import pytest
from sqlalchemy import text

from trap.db.engine import reading
from trap.db.patience import limited_time
from trap.errors import TooSlowError

ENDLESS = {
    "sqlite": "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n",
    "postgresql": "SELECT pg_sleep(60)",
}


def test_an_endless_query_ends_and_the_transaction_goes_on(engine):
    begin = time.monotonic()
    with reading(engine) as connection:
        with pytest.raises(TooSlowError, match="ended after 0.05 s"), limited_time(connection, 0.05):
            connection.execute(text(ENDLESS[engine.dialect.name]))
        assert time.monotonic() - begin < 50
        assert connection.execute(text("SELECT count(*) FROM dataset")).scalar_one() == 0


def test_the_limit_ends_with_its_block(engine):
    with reading(engine) as connection:
        with limited_time(connection, 0.001):
            pass
        time.sleep(0.005)
        many = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 50000) SELECT max(i) FROM n"
        assert connection.execute(text(many)).scalar_one() == 50_000
