"""The record id in a figure's own metadata; read without matplotlib."""

import xml.etree.ElementTree as ElementTree
from pathlib import Path

from PIL import Image

from sc2.errors import ProvenanceError

PNG_RECORD = "sc2-record"
"""Keyword of the PNG's tEXt chunk; in an SVG the id is the Dublin Core identifier."""

_DUBLIN_CORE = "{http://purl.org/dc/elements/1.1/}"


def figure_record_id(path: Path) -> str:
    """Return the id of the provenance record that a figure carries.

    Args:
        path: An SVG or PNG that `sc2.report.style.save` wrote.

    Raises:
        ProvenanceError: The file is unreadable or carries no id.
    """
    try:
        if path.suffix == ".svg":
            element = ElementTree.parse(path).getroot().find(f".//{_DUBLIN_CORE}identifier")
            found = (element.text or "").strip() if element is not None else ""
        else:
            with Image.open(path) as image:
                found = str(image.info.get(PNG_RECORD, ""))
    except (OSError, ElementTree.ParseError) as error:
        raise ProvenanceError(f"{path}: not a readable SVG or PNG ({error})") from error
    if not found:
        raise ProvenanceError(f"{path}: carries no record id; it was not written by the stage plot_figure")
    return found
