"""What licences of weights and data allow and oblige to, as far as a program can say. Not legal advice."""

from __future__ import annotations

import shlex
import warnings
from dataclasses import dataclass

from zoo.errors import ResearchOnly
from zoo.registry.facts import Entry

NOTICE = "keep the copyright notice and the text of the licence"
CREDIT = "name the authors and the licence, and say what was changed"
ALIKE = "share what is derived from it under the same licence"


@dataclass(frozen=True)
class Terms:
    """What a licence says.

    Attributes:
        license: its identifier.
        commercial: whether it allows commercial use.
        duties: what using it obliges to.
    """

    license: str
    commercial: bool
    duties: str


_KNOWN = {
    terms.license.lower(): terms
    for terms in (
        Terms("MIT", True, NOTICE),
        Terms("BSD-2-Clause", True, NOTICE),
        Terms("BSD-3-Clause", True, f"{NOTICE}; do not advertise with the authors' names"),
        Terms("Apache-2.0", True, f"{NOTICE}; say what was changed"),
        Terms("CC0-1.0", True, "nothing"),
        *(Terms(f"CC-BY-{version}", True, CREDIT) for version in ("2.0", "3.0", "4.0")),
        *(Terms(f"CC-BY-SA-{version}", True, f"{CREDIT}; {ALIKE}") for version in ("2.0", "3.0", "4.0")),
        *(Terms(f"CC-BY-NC-{version}", False, f"{CREDIT}; no commercial use") for version in ("2.0", "3.0", "4.0")),
        *(
            Terms(f"CC-BY-NC-SA-{version}", False, f"{CREDIT}; {ALIKE}; no commercial use")
            for version in ("2.0", "3.0", "4.0")
        ),
        Terms("LicenseRef-BSDS-non-commercial", False, "research and education only; cite Martin et al. 2001"),
        Terms(
            "LicenseRef-magnetic-tile-research",
            False,
            "research only; the authors welcome use and ask to cite Huang et al. 2020, Surface defect saliency of "
            "magnetic tile",
        ),
        Terms(
            "LicenseRef-brain-mri-research",
            False,
            "research only: the copy trained on states no licence; Kaggle has the collection as CC0, from somebody "
            "who put it together out of other people's data",
        ),
        Terms("unknown", False, "nobody has stated what is allowed: ask the authors before you do more than research"),
    )
}


def terms(license: str) -> Terms:
    """What a licence says; one that is not known here counts as not commercial."""
    return _KNOWN.get(license.lower()) or Terms(license, False, "read it: it is none that the zoo knows")


def commercial(entry: Entry) -> bool:
    """Whether weights may be used commercially, by their licence and that of the data they were trained on."""
    return terms(entry.license).commercial and (entry.data is None or terms(entry.data.license).commercial)


def note(entry: Entry) -> None:
    """Say of weights that are for research alone that they are."""
    if not commercial(entry):
        warnings.warn(
            f"{entry.address} is for research: `zoo licenses {shlex.quote(entry.address)}` says what its licence and "
            "its data allow.",
            ResearchOnly,
            stacklevel=3,
        )
