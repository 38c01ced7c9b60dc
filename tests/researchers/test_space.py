import json

import pytest
from hypothesis import given

from aar.researchers.brains.search.compose import compose
from aar.researchers.brains.search.space import VANILLA, MethodSpec
from tests.researchers.spec_space import specs


@given(specs)
def test_a_spec_survives_json_in_canonical_form(spec):
    assert MethodSpec.from_dict(json.loads(json.dumps(spec.to_dict()))) == spec.canonical()


@given(specs)
def test_the_canonical_form_writes_the_same_method(spec):
    assert compose(spec, "why") == compose(spec.canonical(), "why")


@given(specs, specs)
def test_two_canonical_specs_that_differ_write_different_methods(one, other):
    one, other = one.canonical(), other.canonical()
    assert (one == other) == (compose(one, "why") == compose(other, "why"))


def test_a_spec_says_in_what_it_differs_from_another():
    assert MethodSpec(labels="em", hard=False).changes_from(VANILLA) == {"labels": "em", "hard": False}


def test_a_dimension_without_effect_is_no_difference():
    prior, product = MethodSpec(labels="prior"), MethodSpec(labels="product", prior_share=0.9)
    assert prior.changes_from(product) == {"labels": "prior"}


def test_a_value_that_is_not_in_the_space_is_refused_with_the_values_that_are():
    with pytest.raises(ValueError, match=r"keep is 0\.33; expected one of"):
        MethodSpec(keep=0.33)


@pytest.mark.parametrize("data", [None, [], "em", {"labels": "gold"}, {"seed": 1}, {"keep": [0.5]}, {"epochs": "many"}])
def test_what_is_no_spec_is_refused(data):
    with pytest.raises(ValueError):
        MethodSpec.from_dict(data)
