"""Synthetic scenes whose matte, shadow and floor are known exactly."""

from rmbg_service.evaluation.scenes.scene import Scene, make_scene, make_scenes

__all__ = ["Scene", "make_scene", "make_scenes"]
