"""Every method looks like itself, and unlike any other, also to the colour-blind and without colour."""

from itertools import combinations

import numpy as np
import pytest
from matplotlib.colors import to_rgb

from sc2.methods import get_method, method_names
from sc2.report.looks import CORNER, FAMILIES, LOOKS, family_title, in_order, look, text_colour
from sc2.report.series import MethodFacts

# G. M. Machado, M. M. Oliveira and L. A. F. Fernandes, IEEE Trans. Vis. Comput. Graph. 15, 2009: severity 1.0.
VISION = {
    "all cones": [[1, 0, 0], [0, 1, 0], [0, 0, 1]],
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.01182, 0.04294, 0.968881]],
    "tritanopia": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.3039]],
}


def lab(colour: str, vision: str) -> np.ndarray:
    """CIELAB of a colour as someone with that vision sees it."""
    channels = np.array(to_rgb(colour))
    linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    seen = np.clip(np.array(VISION[vision]) @ linear, 0, 1)
    to_xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
    x, y, z = np.cbrt(to_xyz @ seen / [0.9505, 1, 1.089])
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


def test_every_method_has_a_look_of_its_own() -> None:
    assert set(method_names()) == set(LOOKS)
    assert len({its.colour for its in LOOKS.values()}) == len(LOOKS)
    assert len({(its.marker, str(its.line)) for its in LOOKS.values()}) == len(LOOKS)


@pytest.mark.parametrize("vision", VISION)
def test_colours_that_seem_alike_come_with_another_marker_and_line(vision: str) -> None:
    alike = [
        (first, second)
        for first, second in combinations(LOOKS, 2)
        if np.linalg.norm(lab(LOOKS[first].colour, vision) - lab(LOOKS[second].colour, vision)) < 10
    ]
    assert not [pair for pair in alike if LOOKS[pair[0]].marker == LOOKS[pair[1]].marker]
    assert not [pair for pair in alike if str(LOOKS[pair[0]].line) == str(LOOKS[pair[1]].line)]
    if vision == "all cones":
        assert not alike


def test_every_method_says_a_family_that_has_a_title() -> None:
    families: dict[str, set[str]] = {}
    for name in method_names():
        families.setdefault(get_method(name).family, set()).add(name)
    assert set(families) == set(FAMILIES)
    assert families["student"] == {
        *("end_to_end", "entropic_student", "entropic_student_shp", "entropic_student_mshp", "fine_tuned_split")
    }
    assert families["gained"] == {"gained_student", "entropic_student_joint"}
    assert families["reduction"] == {"channel_reduction_quantization"}
    assert families[CORNER] == {"teacher_on_device", "local_model", "lossless_image"}


def test_families_are_ordered_and_an_unknown_one_stands_under_its_own_name_before_the_corners() -> None:
    assert in_order(["corner", "unit", "wavelet_codec", "codec", "unit"]) == [
        "codec",
        "unit",
        "wavelet_codec",
        "corner",
    ]
    assert family_title("wavelet_codec") == "Wavelet codec"
    assert len({family.title for family in FAMILIES.values()}) == len({its.hue for its in FAMILIES.values()}) == 8


def test_published_looks_stay() -> None:
    assert {name: LOOKS[name].colour for name in ("jpeg", "webp", "entropic_student")} == {
        **{"jpeg": "#E69F00", "webp": "#009E73", "entropic_student": "#0072B2"}
    }


@pytest.mark.parametrize("family", ["wavelet_codec", "student"])
def test_a_method_that_is_not_listed_has_a_stable_look_unlike_the_listed(family: str) -> None:
    names = [f"later_method_{number}" for number in range(30)]
    others = [look(name, family) for name in names]
    assert others == [look(name, family) for name in names]
    assert not {its.marker for its in others} & {its.marker for its in LOOKS.values()}
    assert not {its.colour.upper() for its in others} & {its.colour for its in LOOKS.values()}
    assert len(set(map(str, others))) >= 28


def test_a_later_method_of_a_known_family_has_its_hue() -> None:
    hue = np.arctan2(*lab(FAMILIES["student"].hue, "all cones")[:0:-1])
    for number in range(10):
        its = look(f"later_method_{number}", "student")
        assert abs(np.arctan2(*lab(its.colour, "all cones")[:0:-1]) - hue) < 0.35


def test_the_curves_of_a_method_share_its_marker_and_differ_in_line_and_lightness() -> None:
    first = look("bottleneck_unit", "unit")
    curves = [look("bottleneck_unit", "unit", number) for number in range(6)]
    assert curves[0] == first
    assert {its.marker for its in curves} == {first.marker}
    assert len({str(its.line) for its in curves}) == 6
    lightness = [lab(its.colour, "all cones")[0] for its in curves]
    assert lightness == sorted(lightness)
    assert len({its.colour for its in (look("jpeg", "codec", number) for number in range(12))}) == 12


def test_texts_are_dark_enough_to_read() -> None:
    for its in LOOKS.values():
        channels = np.array(to_rgb(text_colour(its.colour)))
        linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
        assert 1.05 / (linear @ [0.2126, 0.7152, 0.0722] + 0.05) >= 5


@pytest.mark.parametrize(
    ("method", "point", "text"),
    [
        *(("entropic_student", "1e-5", "β=1e-5"), ("jpeg", "30", "q=30"), ("bpg", "30", "QP 30")),
        *(("channel_reduction_quantization", "6", "C=6"), ("local_model", "8", "width 8")),
        *(("bottleneck_unit", "layer3_q1_s2_k64", "layer3_q1_s2_k64"), ("fine_tuned_split", "layer1_4", "layer1_4")),
        *(("lossless_image", "webp", "webp"), ("teacher_on_device", "label", "label")),
    ],
)
def test_a_point_is_written_behind_the_symbol_of_its_axis(method: str, point: str, text: str) -> None:
    symbol = get_method(method).rate_axis.symbol
    assert MethodFacts("any", symbol).point(point) == text
