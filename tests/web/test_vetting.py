"""People rate candidates: the queue, the form, the keys, and the list of ratings."""

from __future__ import annotations

import re
from contextlib import closing
from datetime import UTC, datetime

import pytest
from starlette.testclient import TestClient

from trap.cli import main
from trap.db.engine import make_engine, transaction
from trap.db.ratings import rate_candidate, rating_history
from trap.db.result_tables import read_rows
from trap.results import open_dataset
from trap.selection import Selection
from trap.web.app import make_app
from trap.web.vetting_queue import read_queue

from .conftest import served

HOSTILE = "<script>alert(1)</script>\" onload='x"
NOW = datetime(2026, 11, 29, 12, 0, tzinfo=UTC)
PAGE = "/datasets/1/vetting"


@pytest.fixture
def candidates(editable):
    """Make a candidate of each further source, with scores from 0.01 on; return all by score, best first."""
    with closing(make_engine(editable.url).raw_connection()) as connection:
        cursor = connection.cursor()
        columns = "previous_limits_image, newsource_type, grade, newness, noise_peaks"
        cursor.execute(
            f"INSERT INTO newsource (runcat, trigger_xtrsrc, score, {columns})"
            f" SELECT a.runcat, a.xtrsrc, 0.01 * a.rank, {columns} FROM newsource n JOIN"
            " (SELECT runcat, max(xtrsrc) AS xtrsrc, row_number() OVER (ORDER BY runcat) AS rank FROM assocxtrsource"
            "  WHERE runcat NOT IN (SELECT runcat FROM newsource) GROUP BY runcat) a"
            " WHERE n.id = (SELECT min(id) FROM newsource)"
        )
        cursor.execute(
            "UPDATE varmetric SET newsource = (SELECT max(id) FROM newsource WHERE newsource.runcat = varmetric.runcat)"
        )
        connection.commit()
    with editable.reader.read() as connection:
        rows = read_rows(connection, "transients", [1])
    assert len(rows["newsource"]) >= 12
    return rows["newsource"].tolist()


@pytest.fixture
def visitor(editable):
    with TestClient(make_app(editable), raise_server_exceptions=False) as client:
        yield client


def rate(visitor, candidate, rating="true", query="", **fields):
    data = {"candidate": candidate, "rating": rating, "rater": "Ada", **fields}
    return visitor.post(PAGE + query, data=data, follow_redirects=False)


def shown(answer):
    """Return the number of the candidate on a page; None without one."""
    assert answer.status_code == 200, answer.text
    found = re.search(r"<h1>Candidate (\d+)</h1>", answer.text)
    return int(found[1]) if found else None


def stored(site):
    with site.reader.read() as connection:
        history = rating_history(connection, 1)
        return list(zip(history["rater"], history["rating"], history["tags"], history["note"], strict=True))


def test_best_candidate_comes_first_and_a_rating_leads_to_the_next(visitor, candidates, editable):
    assert shown(visitor.get(PAGE)) == candidates[0]
    answer = rate(visitor, candidates[0], tag=["AGN", "noise"], new_tags=" XRB,, ULX", note="two\r\nlines")
    assert (answer.status_code, answer.headers["location"]) == (303, f"{PAGE}?candidate={candidates[1]}")
    assert stored(editable) == [("Ada", "true", "AGN, noise, ULX, XRB", "two\nlines")]
    page = visitor.get(answer.headers["location"])
    assert shown(page) == candidates[1]
    assert f"1 of {len(candidates)} rated by Ada" in page.text
    assert 'value="ULX"' in page.text
    # The way back shows the own rating, and another one counts instead.
    again = visitor.get(f"{PAGE}?candidate={candidates[0]}").text
    assert "You rated it" in again
    assert "two\nlines</textarea>" in again
    assert re.search(r'value="AGN" checked', again)
    rate(visitor, candidates[0], "false")
    assert [row[1] for row in stored(editable)] == ["true", "false"]
    assert open_dataset(editable.url).ratings()["rating"].tolist() == ["false"]


def test_candidate_that_is_passed_over_comes_again_at_the_end(visitor, candidates):
    for candidate in candidates[1:]:
        answer = rate(visitor, candidate)
    assert answer.headers["location"] == f"{PAGE}?candidate={candidates[0]}"
    done = visitor.get(rate(visitor, candidates[0]).headers["location"])
    assert shown(done) is None
    assert f"You have rated all {len(candidates)} candidates" in done.text


def test_queue_is_the_selection_of_the_address(visitor, candidates):
    query = f"?min_score=0.02&max_score=0.04&near={HOSTILE}"
    assert visitor.get(f"{PAGE}{query}").status_code == 400
    page = visitor.get(f"{PAGE}?min_score=0.02&max_score=0.04&order=-score&page=2")
    assert "0 of 3 rated" in page.text
    answer = rate(visitor, shown(page), query="?min_score=0.02&max_score=0.04&queue=random")
    assert answer.headers["location"].startswith(f"{PAGE}?min_score=0.02&max_score=0.04&queue=random&candidate=")
    assert "1 of 3 rated by Ada" in visitor.get(answer.headers["location"]).text
    assert "No candidate passes the filters" in visitor.get(f"{PAGE}?min_score=0.9999999").text


def test_random_order_has_every_candidate_once_and_differs_between_people(visitor, candidates, editable):
    def order(rater):
        with editable.reader.read() as connection:
            return read_queue(connection, 1, Selection(), rater, is_random=True).candidates.tolist()

    first, second = order("Bo"), order("Cy")
    assert sorted(first) == sorted(second) == sorted(candidates)
    assert len({tuple(first), tuple(second), tuple(candidates)}) == 3
    # Every page has the same order, so that the way back is the way that was taken.
    answer = rate(visitor, first[0], query="?queue=random", rater="Bo")
    assert answer.headers["location"] == f"{PAGE}?queue=random&candidate={first[1]}"
    page = visitor.get(answer.headers["location"]).text
    assert f'href="{PAGE}?queue=random&amp;candidate={first[0]}" data-key="p"' in page
    assert f'href="{PAGE}?queue=random&amp;candidate={first[2]}" data-key="n"' in page


def test_ratings_of_others_are_hidden_until_one_has_rated(visitor, candidates):
    rate(visitor, candidates[0], "unsure", rater="Bo", note="a plane?")
    visitor.cookies.clear()
    visitor.cookies.set("transients_rater", "Ada")
    before = visitor.get(f"{PAGE}?candidate={candidates[0]}").text
    assert "<details><summary>Ratings of others" in before
    assert shown(visitor.get(PAGE)) == candidates[0]
    rate(visitor, candidates[0])
    after = visitor.get(f"{PAGE}?candidate={candidates[0]}").text
    assert "<details open><summary>Ratings of others" in after
    assert "a plane?" in after


def test_read_only_pages_show_candidates_and_ratings_without_a_form(client, editable, candidates):
    with transaction(make_engine(editable.url)) as connection:
        rate_candidate(connection, 1, candidates[0], "true", rater=HOSTILE, now=NOW, tags=[HOSTILE], note=HOSTILE)
    read_only = TestClient(make_app(type(editable)(url=editable.url, reader=editable.reader)))
    for address in (PAGE, f"{PAGE}?candidate={candidates[0]}", f"{PAGE}/ratings"):
        page = read_only.get(address)
        assert page.status_code == 200
        assert "<form" not in page.text
        assert "<script>alert" not in page.text
    assert "&lt;script&gt;" in page.text
    answer = rate(read_only, candidates[0])
    assert answer.status_code == 403
    assert "--allow-edit" in answer.text
    assert rate(client, candidates[0]).status_code == 403
    assert len(stored(editable)) == 1


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"rating": "maybe"}, 400),
        ({"rater": " "}, 400),
        ({"rater": "x" * 101}, 400),
        ({"note": "x" * 20_000}, 400),
        ({"new_tags": "y" * 200}, 400),
        ({"candidate": 99_999_999}, 404),
        ({"candidate": "x"}, 422),
        ({"candidate": "-1"}, 422),
        ({"candidate": "1" * 30}, 422),
    ],
)
def test_unsuitable_forms_store_nothing(visitor, editable, fields, status):
    answer = visitor.post(PAGE, data={"candidate": 1, "rating": "true", "rater": "Ada", **fields})
    assert answer.status_code == status
    assert "Traceback" not in answer.text
    assert stored(editable) == []


@pytest.mark.parametrize(
    ("address", "status"),
    [
        ("?candidate=99999999", 404),
        ("?candidate=x", 422),
        ("?nonsense=1", 400),
        ("?min_score=x", 400),
        ("?near=%00", 400),
        ("?band=1", 400),
        ("/ratings?page=0", 400),
        ("/ratings?min_rater=1", 400),
    ],
)
def test_nonsense_in_the_address_is_refused(client, address, status):
    answer = client.get(PAGE + address)
    assert answer.status_code == status
    assert "Traceback" not in answer.text


def test_form_of_another_site_is_refused(visitor, editable):
    data = {"candidate": 1, "rating": "true", "rater": "Ada"}
    assert visitor.post(PAGE, data=data, headers={"origin": "http://evil.example"}).status_code == 403
    assert stored(editable) == []


def test_list_of_ratings_has_people_agreement_and_tags(visitor, candidates):
    for candidate, ada, bo in zip(candidates, ("true", "false", "false"), ("true", "false", "unsure"), strict=False):
        rate(visitor, candidate, ada, tag=["noise"])
        rate(visitor, candidate, bo, rater="Bo", note=HOSTILE)
    page = visitor.get(f"{PAGE}/ratings").text
    assert "6 ratings of 3 candidates" in page
    # Two of three are equal; chance has (1 x 1 + 2 x 1) / 9, so that kappa is (2/3 - 1/3) / (2/3).
    assert re.search(
        r"Ada, Bo</th><td class=\"number\">3</td><td class=\"number\">66.7 %</td><td class=\"number\">0.5<", page
    )
    assert '<a href="/datasets/1/transients?tag=noise">noise 3</a>' in page
    assert visitor.get("/datasets/1/transients?tag=noise").text.count("/datasets/1/sources/") >= 3
    # Ada has rated all three, and with the tag; the selection of the address is the one of the queue.
    visitor.cookies.clear()
    assert "0 of 2 rated" in visitor.get(f"{PAGE}?tag=noise&rating=false").text
    assert "<script>alert" not in page
    assert "min_score=0.5&amp;page" not in page
    assert "download?format=csv&amp;min_score=0.5" in visitor.get(f"{PAGE}/ratings?min_score=0.5").text


def test_download_is_what_the_command_exports(visitor, candidates, editable, tmp_path):
    for candidate, rating in zip(candidates, ("true", "false", "unsure"), strict=False):
        rate(visitor, candidate, rating, tag=["noise"], note="=1+1")
    path = tmp_path / "ratings.csv"
    command = ["export", "1", "--what", "ratings", "--format", "csv", "-o", str(path), "--database", editable.url]
    for query, options in (
        ("", []),
        ("&rating=true", ["--rating", "true"]),
        ("&tag=noise&min_score=0.1", ["--tag", "noise", "--min", "score=0.1"]),
    ):
        assert main([*command, "--force", *options]) == 0
        assert visitor.get(f"/datasets/1/ratings/download?format=csv{query}").content == path.read_bytes()
        assert len(path.read_text().splitlines()) > 1


def test_name_of_the_user_is_offered_on_this_machine_only(visitor, editable, candidates, monkeypatch):
    monkeypatch.setattr("getpass.getuser", lambda: "grace")
    assert 'name="rater" value="grace"' in visitor.get(PAGE).text
    rate(visitor, candidates[0], rater="  Ada   Lovelace ")
    assert 'name="rater" value="Ada Lovelace"' in visitor.get(PAGE).text
    remote = TestClient(make_app(type(editable)(url=editable.url, reader=editable.reader, edits=True, token="secret")))  # noqa: S106
    page = remote.get(PAGE, headers={"authorization": "Bearer secret"}).text
    assert 'name="rater" value=""' in page
    assert "grace" not in page


def wait_for(page, candidate):
    """Wait until the page of a candidate is there, with its scripts."""
    page.get_by_role("heading", name=f"Candidate {candidate}", exact=True).wait_for()
    page.wait_for_load_state()


def test_ten_candidates_are_rated_by_keyboard(editable, candidates, browser_page):
    page = browser_page
    # The chart and the cut-outs have tests of their own.
    page.route("**/light-curve.json*", lambda route: route.fulfill(json={}))
    page.route(re.compile("charts.js|bokeh"), lambda route: route.fulfill(body="", content_type="text/javascript"))
    page.route("**/cutouts/*", lambda route: route.fulfill(body="<svg xmlns='http://www.w3.org/2000/svg'/>",
                                                           content_type="image/svg+xml"))  # fmt: skip
    keys = "tfutfutfut"
    with served(editable) as address:
        page.goto(f"{address}{PAGE}")
        assert page.evaluate("document.documentElement.scrollWidth") <= 1280
        page.fill("input[name=rater]", "Ada")
        # Letters in a field are no ratings.
        page.fill("textarea", "")
        page.locator("textarea").press_sequentially("tun")
        page.keyboard.press("Escape")
        page.keyboard.press("1")
        for n, key in enumerate(keys):
            wait_for(page, candidates[n])
            assert page.locator(".progress").inner_text().startswith(f"{n} of {len(candidates)} rated")
            page.keyboard.press(key)
        wait_for(page, candidates[10])
        page.keyboard.press("n")
        wait_for(page, candidates[11])
        page.keyboard.press("p")
        wait_for(page, candidates[10])
    words = {"t": "true", "f": "false", "u": "unsure"}
    assert [row[:2] for row in stored(editable)] == [("Ada", words[key]) for key in keys]
    assert stored(editable)[0][2:] == ("flaring star", "tun")
    assert all(row[2:] == ("", "") for row in stored(editable)[1:])


def test_the_number_of_detections_is_not_called_points(visitor, candidates):
    # The light curve has forced fits too, which datapoints does not count.
    html = visitor.get(f"{PAGE}?candidate={candidates[0]}").text
    assert "<dt>detections</dt>" in html
    assert "<dt>points</dt>" not in html
