"""The head's plan in its own coordinates: 0 at the centre, 1 at the scalp, x to the side,
y to the front, z up. Proportions are a human brain's by eye; nothing is measured."""

import numpy as np

Path = tuple[tuple[float, float, float], ...]

# Cortex. The white matter of a gyrus ends at CROWN; sulci are the zero lines of a sum of waves.
CROWN = 0.88
WAVES = 6
WAVE_NUMBER = 11.0  # on the unit sphere: a sulcus every 0.3 units or so
WAVE_SPREAD = (0.8, 1.3)  # of the wave number
SULCUS = 0.05  # half-width on the unit sphere
SULCUS_DEPTH = (0.28, 0.34)
RIBBON = 0.055  # thickness: about 4 mm on a human head
RIBBON_LEAST = 0.8  # voxels
UNEVEN, UNEVEN_WAVE = 0.2, 4.0  # of the ribbon's thickness, and its wave number
SWAY, SWAY_DEPTH, SWAY_WAVE = 0.012, 0.15, 2.5  # of the surface and of the sulci's depth
FISSURE = 0.075  # half the gap between the hemispheres' white matter, cortex included
FISSURE_FLOOR, FISSURE_FALL = 0.1, 1.6  # it is open above FLOOR − FALL · y²
NEAR_CENTRE = 0.2  # closer to the centre than this the waves no longer turn with direction

# Deep grey: centre and radii, mirrored in x. The claustrum is a sheet outside the putamen.
THALAMUS = ((0.16, -0.1, -0.08), (0.12, 0.2, 0.13))
PUTAMEN = ((0.4, 0.08, -0.02), (0.08, 0.26, 0.17))
NUCLEUS_SIZE = (0.85, 1.15)  # drawn for each
NUCLEUS_GREY = 0.92  # the rest stays what it was
CLAUSTRUM_AWAY, CLAUSTRUM_HALF = 0.07, 0.018
CLAUSTRUM_FROM = (0.4, 0.46)  # it is lateral to this x only
CLAUSTRUM_AWAY_LEAST, SHEET_HALF_LEAST = 2.0, 0.5  # voxels

# Ventricles: two lateral tubes, and the third, a thin disc in the midline.
VENTRICLE: Path = (
    (0.1, 0.42, 0.03),
    (0.11, 0.1, 0.09),
    (0.17, -0.3, 0.06),
    (0.3, -0.42, -0.08),
    (0.4, -0.2, -0.26),
)
VENTRICLE_RADIUS = (0.06, 0.11)
VENTRICLE_JITTER = 0.012
THIRD_CENTRE, THIRD_RADII, THIRD_HALF = (-0.05, -0.1), (0.245, 0.173), 0.02  # in y and z

# Callosum: a sheet z = HEIGHT − ARCH y² + SPREAD (√(x² + BEND) − √BEND).
CALLOSUM_HEIGHT, CALLOSUM_SPREAD = (0.20, 0.27), (0.5, 0.7)
CALLOSUM_ARCH, CALLOSUM_BEND = 0.45, 0.02
CALLOSUM_HALF, CALLOSUM_FAN, CALLOSUM_FANS = (0.035, 0.05), 2.2, (0.1, 0.6)
CALLOSUM_LENGTH, CALLOSUM_WIDTH = (0.5, 0.6), 0.8
CALLOSUM_ALONE = (0.12, 0.3)  # no other fibres nearer to the midline
CALLOSUM_PAINTS = (0.25, 0.35)  # white matter across the fissure up to this x

# Association bundles, mirrored: path and radius.
ARCUATE: Path = (
    (0.36, 0.62, 0.22),
    (0.44, 0.25, 0.4),
    (0.46, -0.2, 0.4),
    (0.44, -0.55, 0.18),
    (0.5, -0.4, -0.2),
)
INFERIOR: Path = (
    (0.3, 0.62, -0.05),
    (0.3, 0.3, -0.28),
    (0.36, -0.1, -0.26),
    (0.3, -0.7, -0.05),
)
ASSOCIATION = (("arcuate", ARCUATE, 0.15), ("inferior", INFERIOR, 0.1))
ASSOCIATION_JITTER, ASSOCIATION_SIZE = 0.025, (0.85, 1.15)

# Lines of one to two voxels that follow the callosum: x, rise above it, reach in y.
LINES = (("cingulum", 0.12, 0.14, 0.5), ("fornix", 0.05, -0.13, 0.3))
LINE_RADIUS, LINE_RADIUS_LEAST = 0.03, 0.7  # head units; voxels
LINE_JITTER, LINE_POINTS = 0.01, 7

# Bundles between random places of one hemisphere: ends on a circle, a middle in a window.
RANDOM_COUNT, RANDOM_RADIUS = 2, (0.07, 0.12)
RANDOM_END_X, RANDOM_END_RADIUS, RANDOM_APART = 0.4, 0.65, (2.0, 3.5)
RANDOM_MIDDLE_X, RANDOM_MIDDLE = 0.42, (-0.2, 0.25)

BRAINSTEM: Path = ((0.0, -0.05, -0.2), (0.0, -0.1, -0.55), (0.0, -0.2, -0.92))
BRAINSTEM_RADIUS, BRAINSTEM_JITTER = (0.12, 0.16), 0.02

# Corona radiata: fans out from FOCUS and turns radial between these radii.
FOCUS, FOCUS_JITTER = np.array([0.0, -0.12, -1.15]), 0.04
RADIAL = (0.5, 0.85)

# How much of a crossing voxel each kind of bundle takes, and where it suffers no other.
STRENGTH = {"corona": 0.7, "callosum": 1.0, "association": 1.1, "line": 1.5, "random": 1.0}
ASSOCIATION_ALONE = 0.2
TUBE_LEAST = 1.0  # voxels: no bundle or ventricle is thinner than this radius
