"""The page of η and V: with scripts and without."""

import re

import pytest

FIND_POINT = """
runcat => {
  const find = (view) => {
    for (const one of view.child_views ?? []) {
      const found = find(one);
      if (found) return found;
    }
    if (view.model.type !== "Figure") return null;
    for (const { data_source: source } of view.model.renderers) {
      if (source?.name !== "points") continue;
      const row = [...source.data.runcat].indexOf(runcat);
      if (row < 0) continue;
      const { x, y } = view.el.getBoundingClientRect();
      const { x_scale, y_scale } = view.frame;
      return [x + x_scale.compute(source.data.v[row]), y + y_scale.compute(source.data.eta[row])];
    }
    return null;
  };
  for (const view of window.Bokeh.index) {
    const found = find(view);
    if (found) return found;
  }
}
"""
"""Finds the place of a source on the screen."""


def rows_of(text):
    return [int(one) for one in re.findall(r'<tr data-runcat="(\d+)"', text)]


def test_page_lists_the_sources_of_a_range_without_scripts(client):
    page = client.get("/datasets/1/eta-v?min_eta=0.001&max_v=100")
    every = rows_of(page.text)
    assert page.status_code == 200
    assert len(every) >= 8
    number = r'<td class="number">([\d.e+-]+)</td>'
    etas = [float(eta) for eta, _, _ in re.findall(number * 3, page.text)]
    assert etas == sorted(etas, reverse=True)
    between = (etas[2] + etas[3]) / 2
    assert rows_of(client.get(f"/datasets/1/eta-v/rows?min_eta={between}").text) == every[:3]


def test_panel_has_the_numbers_of_a_source(client):
    text = client.get("/datasets/1/eta-v/source?runcat=1").text
    assert 'data-chart="/datasets/1/sources/1/light-curve.json"' in text
    assert "Source 1" in text


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("rows?min_eta=abc", 400),
        ("rows?max_v=nan", 400),
        ("source?runcat=12345", 404),
        ("source", 422),
        ("rows?flux=x", 422),
    ],
)
def test_impossible_queries_are_refused(client, query, status):
    assert client.get(f"/datasets/1/eta-v/{query}").status_code == status


def test_hostile_choices_are_escaped(client):
    page = client.get("/datasets/1/eta-v", params={"min_eta": "1", "sigma_eta": "2", "max_v": '"><script>alert(1)'})
    assert page.status_code == 400
    assert "<script>alert" not in page.text


def test_box_lists_sources_and_a_point_fills_the_panel(server, browser_page):
    page = browser_page
    page.goto(f"{server}/datasets/1/eta-v")
    page.wait_for_selector("#plane:not([aria-busy]) .chart-notes p")
    box = page.locator("#plane .chart-plot").bounding_box()
    left, right = box["x"] + 80, box["x"] + box["width"] - 130
    low, high = box["y"] + box["height"] - 110, box["y"] + 140
    page.mouse.move(left, low)
    page.mouse.down()
    page.mouse.move(right, high, steps=5)
    page.mouse.up()
    page.wait_for_selector("#rows:has-text('in these ranges')")
    assert "min_eta=" in page.url
    listed = rows_of(page.locator("#rows").inner_html())
    assert len(listed) >= 5
    place = page.evaluate(FIND_POINT, listed[0])
    page.mouse.click(*place)
    page.wait_for_selector(f"#panel [data-runcat='{listed[0]}'] .chart-notes p")
    assert f"runcat={listed[0]}" in page.url
    assert page.locator("#rows tr.chosen").get_attribute("data-runcat") == str(listed[0])
    assert page.locator("#panel h2 a").get_attribute("href") == f"/datasets/1/sources/{listed[0]}"
    # The address holds the view.
    page.reload()
    assert rows_of(page.locator("#rows").inner_html()) == listed
