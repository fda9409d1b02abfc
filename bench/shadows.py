"""Measure `shadow=keep`: on made-up scenes with exact truth, and on photos with shadow masks.

    python bench/shadows.py [--scenes 210] [--seed 0]
    python bench/shadows.py --data DATASET [--sheet FOLDER]
    python bench/shadows.py --time

On scenes both the true matte and the embedded model's are used. On photos the columns are the IoU
with the shadow mask outside the subject, the usable edge accuracy near the shadow, the part of the
mask's pixels that the matte takes for the subject, and what `keep` makes of the rest. `--sheet` writes one
row for each photo: the original, the cutout without and with its shadow on white, with it on blue.
"""

import argparse
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from statistics import median

import cv2
import numpy as np
from numpy.typing import NDArray

import rmbg_service
from detail import load_network  # type: ignore[import-not-found]  # beside this script
from rmbg_service.evaluation.dataset import Sample, load_matte, load_rgb, read_dataset
from rmbg_service.evaluation.edges import usable_edge
from rmbg_service.evaluation.measures import shadow_leak
from rmbg_service.evaluation.scenes import Scene, make_scene, make_scenes
from rmbg_service.imaging import compose
from rmbg_service.imaging.cutout import Cutout, Shadow
from rmbg_service.matting.arrays import UNIT, Alpha, Picture
from rmbg_service.matting.choice import plan_detail, to_full_size
from rmbg_service.matting.crops import blend
from rmbg_service.matting.foreground import estimate_foreground
from rmbg_service.matting.shadow import keep_shadow
from rmbg_service.models.predictor import Matte

EMBEDDED = Path(rmbg_service.__file__).parent / "models" / "weights" / "u2netp.onnx"
SIDE = 320
FREE = 26
DENSE = 0.1
TWELVE_MP = (4000, 3000)
ROW_HEIGHT_PX = 300
