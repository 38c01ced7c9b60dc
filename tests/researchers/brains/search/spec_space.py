"""Hypothesis strategy for method specs."""

from hypothesis import strategies as st

from aar.researchers.brains.search.space import DIMENSIONS, MethodSpec

specs = st.fixed_dictionaries({name: st.sampled_from(values) for name, values in DIMENSIONS.items()}).map(
    lambda values: MethodSpec(**values)
)
