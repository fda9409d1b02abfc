"""Made-up scenes of which everything is known: the matte, the shadow, the floor."""

from rmbg_service.evaluation.scenes.scene import Scene, make_scene, make_scenes

__all__ = ["Scene", "make_scene", "make_scenes"]
