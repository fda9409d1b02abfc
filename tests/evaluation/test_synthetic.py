from pathlib import Path

import numpy as np

from rmbg_service.evaluation.dataset import load_matte, load_rgb, load_shadow, read_dataset
from rmbg_service.evaluation.scenes import make_scene
from rmbg_service.evaluation.synthetic import write_scenes


def test_scenes_are_read_back_as_they_were_made(tmp_path: Path) -> None:
    scenes = [make_scene(index, size=(120, 160)) for index in range(5)]
    write_scenes(scenes, tmp_path)
    samples = read_dataset(tmp_path)
    assert [sample.id for sample in samples] == [scene.id for scene in scenes]
    for sample, scene in zip(samples, scenes, strict=True):
        assert sample.tags == set(scene.tags)
        assert sample.gt_kind == "composite-exact"
        assert np.array_equal(load_rgb(sample.image), scene.rgb)
        np.testing.assert_allclose(load_matte(sample.alpha), scene.alpha / 255, atol=1e-6)
        assert (sample.shadow is None) == (scene.shadow is None)
        if sample.shadow is not None and scene.shadow is not None:
            assert np.array_equal(load_shadow(sample.shadow) > 0, scene.shadow > 0.05 * 255)
    assert {scene.shadow is None for scene in scenes} == {True, False}
