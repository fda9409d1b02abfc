"""From a small matte to full-size alpha and clean edge colours."""
