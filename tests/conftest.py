"""One Hypothesis profile for all: examples are derived from the test itself, so every run tries the same ones."""
from hypothesis import HealthCheck, settings

settings.register_profile(
    "evenflow", derandomize=True, deadline=None, max_examples=50, print_blob=False,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
settings.load_profile("evenflow")
