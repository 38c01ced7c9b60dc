import numpy as np
import pytest

from aar.methods.em_posterior import calibrated, posterior, product
from tests.methods.lab_double import LabDouble, two_columns


def noisy_views(weak_noise: float, prior_noise: float, size: int = 2000):
    """Labels and two calibrated views of them that err independently."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, size)
    views = [2 * labels - 1 + noise * rng.normal(size=size) for noise in (weak_noise, prior_noise)]
    return labels, *(calibrated(two_columns(view)) for view in views)


def test_calibration_ignores_scale_and_centre_of_the_log_odds():
    odds = np.random.default_rng(0).normal(size=200)
    assert np.allclose(calibrated(two_columns(odds)), calibrated(two_columns(7 * odds + 4)))


def test_calibration_tells_saturated_beliefs_apart_by_their_smaller_column():
    belief = calibrated(two_columns(np.array([-50.0, -40.0, 40.0, 50.0])))
    assert (np.diff(belief) > 0).all()


def test_equal_beliefs_are_calibrated_to_equal_values_strictly_between_0_and_1():
    belief = calibrated(np.array([[1, 0], [1, 0], [0, 1], [0, 1]], dtype=np.float32))
    assert belief.tolist() == [0.25, 0.25, 0.75, 0.75]
    assert calibrated(np.full((3, 2), 0.5)).tolist() == [0.5, 0.5, 0.5]


def test_the_product_moves_from_the_teacher_to_the_prior_with_the_share():
    weak, prior = np.array([0.9]), np.array([0.2])
    beliefs = [product(weak, prior, share)[0] for share in (0.1, 0.5, 0.9)]
    assert beliefs == sorted(beliefs, reverse=True)
    assert product(weak, weak, 0.5)[0] > 0.9


def test_the_posterior_is_cleaner_than_either_of_two_equal_annotators():
    labels, weak, prior = noisy_views(1.5, 1.5)
    errors = [((belief > 0.5) != labels).mean() for belief in (weak, prior, posterior(weak, prior, 0.5))]
    assert errors[2] < min(errors[:2]) - 0.03


def test_the_posterior_loses_little_to_a_much_better_prior_and_is_better_than_the_teacher():
    labels, weak, prior = noisy_views(2.0, 0.8)
    weak_acc, prior_acc, both = (
        ((belief > 0.5) == labels).mean() for belief in (weak, prior, posterior(weak, prior, 0.75))
    )
    assert both > weak_acc + 0.15
    assert both > prior_acc - 0.02


@pytest.mark.parametrize("kind", ["preference", "binary"])
def test_the_posterior_is_a_probability_and_names_both_labels_about_equally_often(kind):
    lab = LabDouble(kind)
    belief = posterior(calibrated(lab.weak_labels), calibrated(lab.zero_shot()), 0.75)
    assert belief.min() >= 0 and belief.max() <= 1
    assert (belief > 0.5).mean() == pytest.approx(0.5, abs=0.05)
