"""What a visitor does after a run, in a browser: from the list of datasets to the pixels, and to any position."""

import pytest
from astropy.coordinates import SkyCoord
from astropy.io import fits
from astropy.wcs import WCS

from trap.results import open_dataset

VIEW_OF_PICTURE = """
pixel => {
  const drawing = document.querySelector("svg[data-place]");
  const place = new DOMPoint(pixel[0] + 0.5, drawing.viewBox.baseVal.height - pixel[1] - 0.5);
  const { x, y } = place.matrixTransform(drawing.getScreenCTM());
  return [x, y];
}
"""
"""Finds the place of a pixel on the screen."""


def settled_box(place):
    """Return the box of an element as soon as it stays where it is: Bokeh lays a chart out in several steps."""
    before, box = None, place.bounding_box()
    while box != before:
        place.page.wait_for_timeout(200)
        before, box = box, place.bounding_box()
    return box


@pytest.fixture
def transient(database):
    """Return the entry of the candidate with the highest score."""
    return int(open_dataset(database, 1).transients(limit=1)["runcat"][0])


def test_light_curve_of_the_first_transient_is_two_clicks_away(server, browser_page, transient):
    browser_page.goto(f"{server}/")
    browser_page.get_by_role("link", name="a simulated survey").click()
    browser_page.get_by_role("table").first.get_by_role("row").nth(1).get_by_role("link").first.click()
    browser_page.wait_for_url(f"**/sources/{transient}*")
    browser_page.wait_for_selector("figure.chart .chart-plot > *")


def test_from_eta_v_by_a_brush_to_a_source_its_cut_out_its_image_and_a_free_position(server, browser_page, database):
    page = browser_page
    page.goto(f"{server}/datasets/1")
    page.get_by_role("link", name="η–V", exact=True).first.click()
    page.wait_for_selector("#plane .chart-notes p")
    box = settled_box(page.locator("#plane .chart-plot"))
    page.mouse.move(box["x"] + 100, box["y"] + box["height"] - 110)
    page.mouse.down()
    page.mouse.move(box["x"] + 200, box["y"] + 200)
    page.mouse.move(box["x"] + box["width"] - 130, box["y"] + 140)
    page.mouse.up()
    page.wait_for_selector("#rows:has-text('in these ranges')")
    page.locator("#rows tbody tr").first.get_by_role("link", name="Show").click()
    page.wait_for_selector("#panel h2 a")
    page.locator("#panel h2 a").click()
    page.wait_for_selector("#epoch figcaption a")
    page.locator("#epoch figcaption a").click()
    page.wait_for_selector("svg[data-place]")
    number = int(page.url.rsplit("/", 1)[-1])
    page.locator("svg[data-place]").scroll_into_view_if_needed()
    pixel = (20.0, 100.0)
    page.mouse.click(*page.evaluate(VIEW_OF_PICTURE, pixel))
    page.wait_for_url("**/position?at=*")
    asked = page.get_by_label("Position, ICRS").input_value()
    file = str(open_dataset(database, 1).images(min_image=number, max_image=number)["url"][0])
    wcs = WCS(fits.getheader(file), naxis=2)
    expected = SkyCoord(*wcs.all_pix2world(*pixel, 0), unit="deg")
    pixel_arcsec = 3600 * abs(wcs.wcs.cdelt[0])
    assert SkyCoord(*map(float, asked.split()), unit="deg").separation(expected).arcsec < pixel_arcsec
    page.get_by_role("button", name="Measure in 6 images").click()
    page.get_by_text("6 of 6 images measured.").wait_for()
    page.wait_for_selector("figure.chart .chart-plot > *")
    assert page.get_by_role("table").first.get_by_role("row").count() == 7
