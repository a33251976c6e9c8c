"""How many cases hypothesis tries: `pytest --hypothesis-profile=nightly` tries many more."""

from hypothesis import settings

settings.register_profile("nightly", max_examples=2000, deadline=None, print_blob=True)
