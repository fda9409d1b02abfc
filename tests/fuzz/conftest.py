from hypothesis import settings

settings.register_profile("fuzz", max_examples=200_000, deadline=None)
