"""Mixing, changing, choosing and taking apart CLIP's vectors, against known answers, on numpy and torch."""

import math
from typing import Any

import numpy as np
import pytest
import torch

from pictura.core.errors import ConfigError
from pictura.sample.embeddings import fit_pca, keep_better, reconstruct, slerp, text_difference

LIBRARIES = pytest.mark.parametrize("array", [np.asarray, torch.tensor], ids=["numpy", "torch"])


def unit(*shape: int, seed: int = 0) -> np.ndarray:
    rows = np.random.default_rng(seed).standard_normal(shape)
    return rows / np.linalg.norm(rows, axis=-1, keepdims=True)


@LIBRARIES
def test_a_third_of_a_right_angle_is_thirty_degrees(array: Any) -> None:
    mixed = slerp(array([[1.0, 0.0]]), array([[0.0, 1.0]]), 1 / 3)
    np.testing.assert_allclose(mixed, [[math.cos(math.pi / 6), 0.5]])


@LIBRARIES
def test_the_arc_starts_at_one_ends_at_the_other_and_keeps_its_speed(array: Any) -> None:
    a, b = unit(3, 5), unit(3, 5, seed=1)
    np.testing.assert_allclose(slerp(array(a), array(b), 0.0), a, atol=1e-12)
    np.testing.assert_allclose(slerp(array(a), array(b), 1.0), b, atol=1e-12)
    strip = np.stack([np.asarray(slerp(array(a), array(b), share)) for share in np.linspace(0, 1, 6)])
    np.testing.assert_allclose(np.linalg.norm(strip, axis=-1), 1)
    cosines = (strip[1:] * strip[:-1]).sum(axis=-1)
    np.testing.assert_allclose(cosines, np.broadcast_to(cosines[0], cosines.shape))


def test_noise_of_any_shape_is_mixed_with_its_length() -> None:
    a, b = np.full((1, 2, 2, 2), 1.0), np.full((1, 2, 2, 2), 1.0)
    b[:, 0] = -1
    mixed = slerp(a, 3 * b, 0.5)
    assert mixed.shape == a.shape
    assert np.linalg.norm(mixed) == pytest.approx(2 * np.linalg.norm(a))
    np.testing.assert_allclose(mixed[:, 0], 0, atol=1e-12)


def test_equal_vectors_mix_to_themselves_and_opposite_ones_are_refused() -> None:
    a = unit(2, 5)
    np.testing.assert_allclose(slerp(a, a, 0.4), a)
    with pytest.raises(ConfigError, match=r"^Two vectors to mix must not point in opposite directions"):
        slerp(a, np.stack([a[0], -a[1]]), 0.4)


@LIBRARIES
def test_the_difference_of_texts_is_the_direction_between_them(array: Any) -> None:
    difference = text_difference(array([[0.6, 0.8]]), array([[0.6, -0.8]]))
    np.testing.assert_allclose(difference, [[0.0, 1.0]])
    with pytest.raises(ConfigError, match=r"^The two texts of an edit must differ"):
        text_difference(array([[0.6, 0.8]]), array([[0.6, 0.8]]))


@LIBRARIES
def test_of_each_pictures_candidates_the_nearest_to_the_text_is_kept(array: Any) -> None:
    candidates = array([[[1.0, 0.0], [0.0, 1.0], [0.0, -1.0]], [[0.6, 0.8], [0.8, 0.6], [-1.0, 0.0]]])
    np.testing.assert_allclose(keep_better(candidates, array([[0.1, 0.9]])), [[0.0, 1.0], [0.6, 0.8]])
    np.testing.assert_array_equal(
        keep_better(candidates, array([[1.0, 0.0], [-1.0, 0.0]])), [[1.0, 0.0], [-1.0, 0.0]]
    )


def test_components_are_orthogonal_and_sorted_and_hold_the_variance() -> None:
    rows = np.random.default_rng(0).standard_normal((200, 6)) * np.array([3, 1, 2, 0.5, 0.1, 0.2])
    mean, components, variances = fit_pca(rows)
    np.testing.assert_allclose(components @ components.T, np.eye(6), atol=1e-6)
    np.testing.assert_allclose(mean, rows.mean(axis=0), atol=1e-6)
    assert (np.diff(variances) <= 0).all()
    np.testing.assert_allclose(((rows - mean) @ components.T).var(axis=0), variances, rtol=1e-4)
    assert abs(components[0, 0]) > 0.99  # the first axis varies most
    again = fit_pca(rows[::-1])
    np.testing.assert_allclose(again.components, components, atol=1e-4)  # signs too


@LIBRARIES
def test_all_components_give_a_vector_back_and_fewer_leave_more_out(array: Any) -> None:
    rows = unit(100, 8) * np.linspace(2, 0.1, 8) + 0.2
    z = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    pca = type(fit_pca(z))(*(array(part.astype(np.float64)) for part in fit_pca(z)))
    np.testing.assert_allclose(reconstruct(array(z), pca, 8), z, atol=1e-5)
    errors = [float(np.square(np.asarray(reconstruct(array(z), pca, n)) - z).sum()) for n in range(1, 9)]
    assert errors == sorted(errors, reverse=True)
    assert errors[0] > 100 * errors[-1] + 1
    for wrong in (0, 9):
        with pytest.raises(ConfigError, match=rf"must be from 1 to 8; got {wrong}"):
            reconstruct(array(z), pca, wrong)


def test_one_vector_has_no_components() -> None:
    with pytest.raises(ConfigError, match=r"at least 2 embeddings; got 1"):
        fit_pca(unit(1, 4))
