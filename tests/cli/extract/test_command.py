from __future__ import annotations

import csv
import json
import re
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table

from trap.cli import main
from trap.images.beam import Beam
from trap.images.headers.projection import celestial_wcs
from trap.simulation.pixels import noise_transfer, render_noise, render_sources

SIZE, PIXEL, RMS = 160, 2.0 / 3600, 1e-3
BEAM = Beam(bmaj=5 * PIXEL, bmin=4 * PIXEL, bpa=30)
ROUND_TWICE = Beam(bmaj=10 * PIXEL, bmin=9 * PIXEL, bpa=30)
X, Y, FLUX = np.array([40.3, 110.6, 60.2]), np.array([50.7, 35.2, 120.4]), np.array([0.1, 0.05, 0.02])
ALL_FILES = {
    "--csv": ".csv",
    "--votable": ".vot",
    "--fits": ".sources.fits",
    "--regions": ".reg",
    "--skymodel": ".skymodel",
    "--rms-map": ".rms.fits",
    "--significance-map": ".significance.fits",
    "--model": ".model.fits",
    "--residual": ".residual.fits",
    "--islands": ".islands.fits",
}


def header(beam=BEAM):
    return fits.Header(
        {
            "CTYPE1": "RA---SIN", "CRVAL1": 150.0, "CRPIX1": (SIZE + 1) / 2, "CDELT1": -PIXEL, "CUNIT1": "deg",
            "CTYPE2": "DEC--SIN", "CRVAL2": -30.0, "CRPIX2": (SIZE + 1) / 2, "CDELT2": PIXEL, "CUNIT2": "deg",
            "CTYPE3": "FREQ", "CRVAL3": 1.5e8, "CRPIX3": 1.0, "CDELT3": 1e7, "CUNIT3": "Hz",
            "BMAJ": beam.bmaj, "BMIN": beam.bmin, "BPA": beam.bpa, "BUNIT": "JY/BEAM",
            "DATE-OBS": "2026-01-01T00:00:00", "TELESCOP": "none",
        }
    )  # fmt: skip


def position(x, y):
    return tuple(float(value) for value in celestial_wcs(header()).all_pix2world(x, y, 0))


def write_image(path, x, y, flux, *, seed, resolved=False):
    """An image of point sources, and with ``resolved`` of one in the middle that is twice as large as the beam."""
    form = BEAM.quadratic_form(-PIXEL, PIXEL)
    noise = render_noise(np.random.default_rng(seed), noise_transfer(form, (SIZE, SIZE)), (SIZE, SIZE))
    data = RMS * noise + render_sources(
        np.asarray(x), np.asarray(y), np.asarray(flux), beam_form=form, shape=noise.shape
    )
    if resolved:
        form = ROUND_TWICE.quadratic_form(-PIXEL, PIXEL)
        middle = np.array([80.0])
        data += render_sources(middle, middle, np.array([0.06]), beam_form=form, shape=noise.shape)
    fits.writeto(path, data.astype(np.float32), header())
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("images")
    write_image(folder / "field.fits", X, Y, FLUX, seed=1, resolved=True)
    write_image(folder / "quiet.fits", X[:1], Y[:1], FLUX[:1], seed=2)
    write_image(folder / "pair.fits", [80, 86.5], [80, 80], [0.1, 0.08], seed=3)
    (folder / "broken.fits").write_text("no image")
    return folder


@pytest.fixture
def sources(folder, capsys):
    """Run a command with --json on one image: its sources, and the values of the image."""

    def run(name, *options):
        assert main(["extract", str(folder / name), "--json", *map(str, options)]) == 0
        (image,) = json.loads(capsys.readouterr().out)
        return image["sources"], image

    return run


@pytest.fixture(scope="module")
def products(folder, tmp_path_factory):
    """All files that can be made of one image."""
    out = tmp_path_factory.mktemp("products") / "made"
    assert main(["extract", str(folder / "field.fits"), *ALL_FILES, "--output-dir", str(out)]) == 0
    return out


def test_table_for_people_names_every_source(folder, capsys):
    assert main(["extract", str(folder / "field.fits")]) == 0
    heading, columns, *lines = capsys.readouterr().out.splitlines()
    assert re.search(r"field\.fits: 4 sources; detection at 5 σ; noise [01]\S* to 1\.\S+ mJy/beam; Stokes I", heading)
    assert columns.split()[:4] == ["source", "ra", "deg", "dec"]
    assert [line.split()[0] for line in lines] == ["1", "2", "3", "4"]


def test_sources_are_measured_within_their_errors(sources):
    found, image = sources("field.fits")
    assert (image["detection_threshold"], image["analysis_threshold"], image["problem"]) == (5, 3, None)
    for x, y, flux in zip(X, Y, FLUX, strict=True):
        (source,) = [s for s in found if np.hypot(s["x"] - x, s["y"] - y) < 1]
        assert abs(source["f_int"] - flux) < 4 * source["f_int_err"]


def test_resolved_source_is_deconvolved_to_its_own_size(sources):
    found, _ = sources("field.fits")
    (source,) = [s for s in found if np.hypot(s["x"] - 80, s["y"] - 80) < 2]
    # The fitted shape is the one drawn; both have one angle, so squares of semi-axes subtract: pixels of 2″.
    expected = np.sqrt(np.array([10.0, 9.0]) ** 2 - np.array([5.0, 4.0]) ** 2)
    assert source["n_unresolved"] == 0
    assert abs(source["semimajor_dc"] - expected[0]) < 4 * source["semimajor_dc_err"] < 4
    assert abs(source["semiminor_dc"] - expected[1]) < 4 * source["semiminor_dc_err"] < 4


def test_detection_threshold_limits_the_sources(sources):
    assert len(sources("field.fits", "--detection-threshold", 30)[0]) == 3
    assert len(sources("field.fits", "--detection-threshold", 200)[0]) == 0


def test_analysis_threshold_decides_how_far_an_island_reaches(folder, tmp_path):
    sizes = []
    for threshold in (3, 8):
        options = ["--detection-threshold", "10", "--analysis-threshold", str(threshold), "--islands"]
        options += ["--output-dir", str(tmp_path)]
        assert main(["extract", str(folder / "quiet.fits"), *options]) == 0
        sizes.append((fits.getdata(tmp_path / "quiet.islands.fits") > 0).sum())
    assert sizes[0] > sizes[1] > 0


def test_margin_and_radius_decide_where_is_searched(sources):
    # The brightest source is 49 pixels from the middle; the resolved one lies there.
    assert len(sources("field.fits", "--radius", 20)[0]) == 1
    assert len(sources("field.fits", "--margin", 60)[0]) == 1


def test_grid_decides_the_cells_of_the_noise(folder, tmp_path):
    for grid, n_values in ((16, 1000), (SIZE, 1)):
        assert (
            main(
                ["extract", str(folder / "quiet.fits"), "--grid", str(grid), "--rms-map", "--output-dir", str(tmp_path)]
            )
            == 0
        )
        assert np.unique(fits.getdata(tmp_path / "quiet.rms.fits")).size >= n_values
    assert np.unique(fits.getdata(tmp_path / "quiet.rms.fits")).size == 1


def test_blended_pair_is_parted_unless_that_is_not_wanted(sources):
    assert len(sources("pair.fits")[0]) == 2
    assert len(sources("pair.fits", "--deblend")[0]) == 2
    assert len(sources("pair.fits", "--no-deblend")[0]) == 1


def test_forced_beam_gives_every_source_the_beams_shape(sources):
    for source in sources("field.fits", "--force-beam")[0]:
        assert source["semimajor"] == pytest.approx(5.0, rel=1e-3)
        assert source["n_unresolved"] == 2
        assert source["semimajor_err"] is None
    assert any(source["semimajor"] > 8 for source in sources("field.fits", "--free")[0])


def test_beam_of_the_options_replaces_the_header(sources):
    beam = ("--bmaj", 10 * PIXEL, "--bmin", 9 * PIXEL, "--bpa", 30)
    found = sources("field.fits", "--force-beam", *beam)[0]
    assert {round(source["semimajor"], 2) for source in found} == {10.0}


def test_incomplete_or_impossible_beam_is_refused(folder, capsys):
    assert main(["extract", str(folder / "field.fits"), "--bmaj", "0.1", "--bpa", "0"]) == 1
    assert "a beam is --bmaj, --bmin and --bpa; --bmin missing" in capsys.readouterr().err
    assert main(["extract", str(folder / "field.fits"), "--bmaj", "0.1", "--bmin", "0.2", "--bpa", "0"]) == 1
    assert "bmin 0.2 deg is larger than bmaj 0.1 deg" in capsys.readouterr().err


def test_beam_makes_up_for_an_image_without_one(folder, tmp_path, capsys):
    data, head = fits.getdata(folder / "quiet.fits", header=True)
    del head["BMAJ"]
    fits.writeto(tmp_path / "beamless.fits", data, head)
    assert main(["extract", str(tmp_path / "beamless.fits")]) == 3
    assert "left out: no restoring beam in the header" in capsys.readouterr().out
    beam = ["--bmaj", str(BEAM.bmaj), "--bmin", str(BEAM.bmin), "--bpa", "30"]
    assert main(["extract", str(tmp_path / "beamless.fits"), *beam]) == 0
    assert ": 1 source;" in capsys.readouterr().out


def test_fdr_finds_the_faint_source_and_no_noise(sources):
    found, image = sources("quiet.fits", "--fdr")
    assert len(found) == 1
    assert 3 < image["detection_threshold"] < 6
    assert image["analysis_threshold"] == image["detection_threshold"]


def test_alpha_and_analysis_threshold_go_with_fdr(sources):
    strict, lax = (sources("field.fits", "--fdr", "--alpha", a)[1]["detection_threshold"] for a in (1e-4, 0.1))
    assert strict > lax
    assert sources("field.fits", "--fdr", "--analysis-threshold", 3)[1]["analysis_threshold"] == 3


def test_fdr_of_noise_alone_finds_nothing(tmp_path, capsys):
    write_image(tmp_path / "noise.fits", [], [], [], seed=5)
    assert (
        main(["extract", str(tmp_path / "noise.fits"), "--fdr", "--islands", "--csv", "--output-dir", str(tmp_path)])
        == 0
    )
    assert ": 0 sources; nothing above the noise;" in capsys.readouterr().out
    assert fits.getdata(tmp_path / "noise.islands.fits").max() == 0
    assert len((tmp_path / "noise.csv").read_text().splitlines()) == 1


def test_sources_of_a_detection_image_are_measured_in_another(folder, sources):
    found, image = sources("quiet.fits", "--detection-image", folder / "field.fits")
    assert image["detected_in"].endswith("field.fits")
    assert len(found) == 4
    assert [s["island"] for s in found] == [1, 2, 3, 4]
    for source in found:
        flux = FLUX[0] if np.hypot(source["x"] - X[0], source["y"] - Y[0]) < 1 else 0
        assert abs(source["f_int"] - flux) < 4 * source["f_int_err"]


def test_island_map_is_of_the_detection_image(folder, tmp_path):
    for images in (["quiet.fits", "--detection-image", str(folder / "field.fits")], ["field.fits"]):
        assert main(["extract", str(folder / images[0]), *images[1:], "--islands", "--output-dir", str(tmp_path)]) == 0
    one, other = (fits.getdata(tmp_path / f"{name}.islands.fits") for name in ("quiet", "field"))
    assert (one == other).all()


def test_unusable_detection_image_ends_the_command(folder, capsys):
    assert main(["extract", str(folder / "quiet.fits"), "--detection-image", str(folder / "broken.fits")]) == 1
    assert "broken.fits" in capsys.readouterr().err


def test_fixed_positions_are_measured_in_their_order(sources):
    places = [position(10, 140), position(X[0], Y[0]), (150.0, 60.0)]
    found, _ = sources("quiet.fits", "--fixed-positions", json.dumps(places), "--box", 12)
    empty, bright, far = found
    assert abs(empty["f_int"]) < 4 * empty["f_int_err"]
    assert abs(bright["f_int"] - FLUX[0]) < 4 * bright["f_int_err"]
    assert (far["f_int"], far["flags"]) == (None, 16)


@pytest.mark.parametrize("suffix", [".json", ".csv", ".vot"])
def test_positions_come_from_files_with_their_names(sources, folder, tmp_path, capsys, suffix):
    (ra, dec), path = position(X[0], Y[0]), tmp_path / f"places{suffix}"
    if suffix == ".json":
        path.write_text(json.dumps([{"name": "here", "ra": ra, "dec": dec}]))
    elif suffix == ".csv":
        path.write_text(f"name,ra,dec\nhere,{ra},{dec}\n")
    else:
        Table({"name": ["here"], "ra": [ra], "dec": [dec]}).write(path, format="votable")
    ((source,), _) = sources("quiet.fits", "--fixed-positions", path)
    assert (source["name"], source["ra"]) == ("here", pytest.approx(ra))
    out = tmp_path / "out"
    options = ["--fixed-positions", str(path), *ALL_FILES, "--output-dir", str(out)]
    assert main(["extract", str(folder / "quiet.fits"), *options]) == 0
    assert "here" in capsys.readouterr().out
    assert "text={here}" in (out / "quiet.reg").read_text()
    assert Table.read(out / "quiet.sources.fits")["name"][0].strip() == "here"


def test_tables_of_one_run_are_positions_for_the_next(sources, products):
    found, _ = sources("field.fits")
    for suffix in (".csv", ".vot"):
        fixed, _ = sources("field.fits", "--fixed-positions", products / f"field{suffix}")
        assert [s["ra"] for s in fixed] == pytest.approx([s["ra"] for s in found])


def test_settings_of_a_file_apply_and_options_override_them(sources, tmp_path):
    settings = tmp_path / "trap.toml"
    settings.write_text("[source_extraction]\ndetection_threshold = 30.0\nforce_beam = true\n")
    found, image = sources("field.fits", "--config", settings)
    assert (len(found), image["detection_threshold"]) == (3, 30)
    assert {round(source["semimajor"], 1) for source in found} == {5.0}
    assert len(sources("field.fits", "--config", settings, "--detection-threshold", 10)[0]) == 4


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--alpha", "0.1"], "--alpha is the share of false pixels that --fdr allows"),
        (["--fdr", "--alpha", "2"], "--alpha must lie between 0 and 1, got 2"),
        (["--fdr", "--detection-threshold", "5"], "--fdr finds the detection threshold itself"),
        (["--fixed-positions", "[[1, 2]]", "--free"], "leave out --free"),
        (["--box", "5"], "--box is for --fixed-positions and --detection-image"),
        (["--fixed-positions", "[[1, 200]]"], "dec must be between -90 and 90 degrees, got 200"),
        (["--fixed-positions", "[[1, 2]"], "cannot read the positions"),
        (["--fixed-positions", "nowhere.csv"], "nowhere.csv: cannot read the positions"),
        (["--detection-threshold", "2"], "analysis_threshold 3.0 is above detection_threshold 2.0"),
        (["--grid", "1"], "back_size_x"),
    ],
)
def test_contradiction_is_one_line(folder, capsys, options, said):
    assert main(["extract", str(folder / "quiet.fits"), *options]) == 1
    output = capsys.readouterr()
    assert said in output.err
    assert len(output.err.splitlines()) == 1


@pytest.mark.parametrize(
    "options",
    [
        ["--fdr", "--fixed-positions", "[[1, 2]]"],
        ["--fdr", "--detection-image", "a.fits"],
        ["--detection-image", "a.fits", "--fixed-positions", "[[1, 2]]"],
        ["--free", "--force-beam"],
        ["--deblend", "--no-deblend"],
    ],
)
def test_two_ways_at_once_are_refused(options, capsys):
    with pytest.raises(SystemExit) as stopped:
        main(["extract", "a.fits", *options])
    assert stopped.value.code == 2
    assert "not allowed with argument" in capsys.readouterr().err


def test_bad_image_costs_itself_alone(folder, tmp_path, capsys):
    images = [str(folder / name) for name in ("broken.fits", "quiet.fits", "nowhere.fits")]
    assert main(["extract", *images, "--csv", "--output-dir", str(tmp_path)]) == 3
    output = capsys.readouterr().out
    assert output.count("left out: ") == 2
    assert ": 1 source;" in output
    assert [path.name for path in tmp_path.iterdir()] == ["quiet.csv"]
    assert main(["extract", "--json", *images]) == 3
    assert [image["problem"] is None for image in json.loads(capsys.readouterr().out)] == [False, True, False]


def test_image_without_values_has_no_sources(folder, tmp_path, capsys):
    fits.writeto(tmp_path / "empty.fits", np.full((SIZE, SIZE), np.nan, np.float32), header())
    assert main(["extract", str(tmp_path / "empty.fits"), *ALL_FILES, "--output-dir", str(tmp_path)]) == 0
    assert ": 0 sources; " in capsys.readouterr().out
    assert len(Table.read(tmp_path / "empty.vot", format="votable")) == 0


def test_images_of_one_name_do_not_replace_each_other(folder, tmp_path, capsys):
    write_image(tmp_path / "quiet.fits", X, Y, FLUX, seed=7)
    images = [str(folder / "quiet.fits"), str(tmp_path / "quiet.fits")]
    assert main(["extract", *images, "--csv", "--output-dir", str(tmp_path)]) == 1
    assert "several images are called quiet" in capsys.readouterr().err


def test_folder_that_cannot_be_written_is_one_line(folder, tmp_path, capsys):
    (tmp_path / "file").write_text("")
    assert main(["extract", str(folder / "quiet.fits"), "--csv", "--output-dir", str(tmp_path / "file")]) == 1
    assert "cannot be written" in capsys.readouterr().err


def test_every_chosen_file_is_written(products):
    assert {path.name for path in products.iterdir()} == {f"field{suffix}" for suffix in ALL_FILES.values()}


def test_tables_hold_the_same_numbers(products):
    with (products / "field.csv").open() as file:
        rows = list(csv.DictReader(file))
    votable = Table.read(products / "field.vot", format="votable")
    table = Table.read(products / "field.sources.fits")
    assert list(rows[0]) == votable.colnames == table.colnames
    for name in ("ra", "f_int", "semimajor_dc", "flags"):
        values = [float(row[name]) for row in rows]
        assert list(votable[name]) == pytest.approx(values) == list(table[name])


def test_regions_are_the_ellipses_at_half_maximum_on_the_sky(products):
    table = Table.read(products / "field.sources.fits")
    lines = (products / "field.reg").read_text().splitlines()
    assert lines[0].startswith("# Region file format: DS9")
    assert lines[2] == "icrs"
    ellipses = [re.fullmatch(r'ellipse\((\S+),(\S+),(\S+)",(\S+)",(\S+)\) # text={(\d+)}', line) for line in lines[3:]]
    assert len(ellipses) == len(table)
    for ellipse, row in zip(ellipses, table, strict=True):
        ra, dec, major, minor, angle = map(float, ellipse.groups()[:5])
        assert (ra, dec) == pytest.approx((row["ra"], row["dec"]), abs=1e-6)
        assert (major, minor) == pytest.approx((row["semimajor"], row["semiminor"]), abs=1e-3)
        # Counted from west, where a position angle is counted from north.
        assert (angle - 90) % 360 == pytest.approx(row["pa"], abs=1e-2)


def test_sky_model_holds_deconvolved_full_widths(products):
    table = Table.read(products / "field.sources.fits")
    format_line, _, *lines = (products / "field.skymodel").read_text().splitlines()
    assert format_line.startswith("# (Name, Type, Ra, Dec, I,")
    for line, row in zip(lines, table, strict=True):
        _, kind, ra, dec, flux, *_, major, minor, pa, frequency, _ = line.split(", ")
        hours, minutes, seconds = map(float, ra.split(":"))
        assert 15 * (hours + minutes / 60 + seconds / 3600) == pytest.approx(row["ra"], abs=1e-6)
        degrees, arcmin, arcsec, fraction = dec.split(".")
        assert -(abs(float(degrees)) + float(arcmin) / 60 + float(f"{arcsec}.{fraction}") / 3600) == pytest.approx(
            row["dec"], abs=1e-6
        )
        assert float(flux) == pytest.approx(row["f_int"], rel=1e-5)
        assert float(frequency) == 1.5e8
        if row["n_unresolved"] == 2:
            assert (kind, float(major)) == ("POINT", 0)
        else:
            assert kind == "GAUSSIAN"
            widths = (2 * row["semimajor_dc"], 2 * row["semiminor_dc"])
            assert (float(major), float(minor)) == pytest.approx(widths, abs=1e-3)
            assert float(pa) == pytest.approx(row["pa_dc"], abs=1e-2)
    assert any("GAUSSIAN" in line for line in lines)


def test_maps_lie_on_the_pixels_of_the_image(products, folder):
    original = fits.getheader(folder / "field.fits")
    for suffix in [suffix for option, suffix in ALL_FILES.items() if option not in ("--csv", "--fits")]:
        if suffix.endswith(".fits"):
            made = fits.getheader(products / f"field{suffix}")
            assert (made["NAXIS1"], made["NAXIS2"], made["CRVAL1"], made["BMAJ"]) == (
                SIZE, SIZE, original["CRVAL1"], original["BMAJ"],
            )  # fmt: skip


def test_residual_is_noise_alone(products):
    residual = fits.getdata(products / "field.residual.fits")
    assert residual.std() == pytest.approx(RMS, rel=0.08)
    assert np.abs(residual).max() < 6 * RMS


def test_model_and_residual_and_background_make_up_the_image(products, folder):
    data, model, residual, rms, significance = (
        fits.getdata(path)
        for path in [folder / "field.fits"]
        + [products / f"field.{name}.fits" for name in ("model", "residual", "rms", "significance")]
    )
    # Significance is (data - background) / rms.
    assert model + residual == pytest.approx(significance * rms, abs=1e-7)
    assert rms.mean() == pytest.approx(RMS, rel=0.1)
    assert np.abs(data - model - residual).max() < RMS


def test_islands_carry_the_numbers_of_the_table(products):
    table, islands = Table.read(products / "field.sources.fits"), fits.getdata(products / "field.islands.fits")
    for row in table:
        assert islands[round(row["y"]), round(row["x"])] == row["island"]
    assert islands.max() == 4


def test_residual_map_can_be_searched_again(products, capsys):
    assert main(["extract", str(products / "field.residual.fits"), "--detection-threshold", "6"]) == 0
    assert ": 0 sources;" in capsys.readouterr().out


def test_compressed_image_gives_its_plain_name_to_files(folder, tmp_path):
    fits.writeto(tmp_path / "sky.fits.gz", *fits.getdata(folder / "quiet.fits", header=True))
    assert main(["extract", str(tmp_path / "sky.fits.gz"), "--csv", "--output-dir", str(tmp_path)]) == 0
    assert (tmp_path / "sky.csv").is_file()


def test_files_go_to_the_current_folder_by_default(folder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["extract", str(folder / "quiet.fits"), "--regions"]) == 0
    assert Path("quiet.reg").is_file()


def test_log_does_not_disturb_the_json(folder, tmp_path, capsys):
    data, head = fits.getdata(folder / "quiet.fits", header=True)
    head["BMIN"] = -1.0
    fits.writeto(tmp_path / "odd.fits", data, head)
    assert main(["extract", "--json", str(tmp_path / "odd.fits")]) == 3
    output = capsys.readouterr()
    assert json.loads(output.out)[0]["problem"] == "no restoring beam in the header"
    assert "beam_unusable" in output.err


@pytest.fixture(scope="module")
def cube(tmp_path_factory):
    """A cube of I, Q, U and V in the second HDU, with two channels: one source in each plane, at another position."""
    folder = tmp_path_factory.mktemp("cube")
    planes = [
        fits.getdata(write_image(folder / f"{i}.fits", [40.0 + 10 * i], [60.0], [-0.1 if i == 7 else 0.1], seed=i))
        for i in range(8)
    ]
    made = header()
    made["CTYPE4"], made["CRVAL4"], made["CRPIX4"], made["CDELT4"] = "STOKES", 1.0, 1.0, 1.0
    pixels = np.array(planes).reshape(4, 2, SIZE, SIZE)
    fits.HDUList([fits.PrimaryHDU(), fits.ImageHDU(pixels, made, name="SCI")]).writeto(folder / "cube.fits")
    return folder / "cube.fits"


@pytest.mark.parametrize(
    ("settings", "plane"),
    [
        ("", 0), ('stokes = "Q"', 2), ('stokes = "V"', 6), ("channel = 1", 1), ('stokes = "u"\nchannel = 1', 5),
        ('hdu = "SCI"\nstokes = "V"\nchannel = 1', 7),
    ],
)  # fmt: skip
def test_plane_of_a_cube_is_that_of_the_settings(cube, tmp_path, capsys, settings, plane):
    (tmp_path / "trap.toml").write_text(f"[reading]\n{settings}\n")
    arguments = [str(cube), "--config", str(tmp_path / "trap.toml"), "--json"]
    assert main(["extract", *arguments]) == 0
    (image,) = json.loads(capsys.readouterr().out)
    assert [source["x"] for source in image["sources"]] == pytest.approx([40 + 10 * plane], abs=0.3)
    assert image["stokes"] == "IQUV"[plane // 2]
    assert main(["inspect", *arguments]) == 0
    (image,) = json.loads(capsys.readouterr().out)
    assert image["stokes"] == "IQUV"[plane // 2]
    assert image["freq_eff"] == 1.5e8 + 1e7 * (plane % 2)
    assert image["n_sources"] == 1


@pytest.mark.parametrize("command", ["extract", "inspect"])
@pytest.mark.parametrize(
    ("settings", "message"),
    [('hdu = "7"', "no HDU '7'"), ("channel = 2", "no channel 2"), ('stokes = "RR"', "no Stokes RR")],
)
def test_missing_plane_is_no_other_plane(cube, tmp_path, capsys, command, settings, message):
    (tmp_path / "trap.toml").write_text(f"[reading]\n{settings}\n")
    assert main([command, str(cube), "--config", str(tmp_path / "trap.toml")]) == 3
    assert message in capsys.readouterr().out


def test_values_that_settings_give_hold_for_extraction(tmp_path, capsys):
    path = write_image(tmp_path / "v.fits", X[:1], Y[:1], -FLUX[:1], seed=4)
    (tmp_path / "trap.toml").write_text('[[reading.given]]\nmatch = "v.fits"\nstokes = "V"\nunit = "mJy/beam"\n')
    assert main(["extract", str(path), "--config", str(tmp_path / "trap.toml"), "--json"]) == 0
    (image,) = json.loads(capsys.readouterr().out)
    assert image["stokes"] == "V"
    assert [source["f_peak"] for source in image["sources"]] == pytest.approx([-1e-3 * FLUX[0]], abs=4e-3 * RMS)


def test_heading_names_the_stokes_parameter(cube, capsys):
    assert main(["extract", str(cube)]) == 0
    assert capsys.readouterr().out.splitlines()[0].endswith("Jy/beam; Stokes I")


def test_negative_sources_are_found_on_request(tmp_path, capsys):
    path = write_image(tmp_path / "v.fits", X, Y, FLUX * [1, -1, 1], seed=5)
    output = ["--output-dir", str(tmp_path), "--islands", "--detection-threshold", "6"]
    assert main(["extract", str(path), "--json", *output]) == 0
    (without,) = json.loads(capsys.readouterr().out)
    assert main(["extract", str(path), "--json", "--negative", *output]) == 0
    (found,) = json.loads(capsys.readouterr().out)
    assert [source["f_peak"] > 0 for source in without["sources"]] == [True, True]
    assert found["sources"][-1]["f_peak"] == pytest.approx(-FLUX[1], abs=4 * RMS)
    islands = fits.getdata(tmp_path / "v.islands.fits")
    assert sorted(np.unique(islands)) == [-1, 0, 1, 2]
    assert islands[round(Y[1]), round(X[1])] == -1


def test_negative_sources_have_no_meaning_at_given_positions(capsys):
    assert main(["extract", "x.fits", "--negative", "--fixed-positions", "[[150, -30]]"]) == 1
    assert "leave out --negative" in capsys.readouterr().err
