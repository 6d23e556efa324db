"""Parameters that the projections of FITS need."""

__all__ = ["PARAMETERS"]

_CONIC = {"PV2_1": 45.0, "PV2_2": 25.0}
PARAMETERS = {
    "AZP": {"PV2_1": 2.0, "PV2_2": 30.0},
    "SZP": {"PV2_1": 2.0, "PV2_2": 180.0, "PV2_3": 60.0},
    "ZPN": {"PV2_1": 1.0, "PV2_3": 0.1},
    "AIR": {"PV2_1": 45.0},
    "CYP": {"PV2_1": 1.0, "PV2_2": 0.7},
    "CEA": {"PV2_1": 0.75},
    "BON": {"PV2_1": 45.0},
    **dict.fromkeys(("COP", "COE", "COD", "COO"), _CONIC),
}
"""Values of PV by projection; other projections need none."""
