"""How good a matte is: measures, synthetic scenes, reports."""
